import type { Plan } from '../../accounting/plan.ts';
import type { PackOptions } from '../../trainer/batches.ts';
import type { GradientSource } from '../../trainer/clip.ts';
import type { UserTokens } from '../../trainer/data.ts';
import {
  openMechanism,
  privateGradient,
  type Mechanism,
  type MechanismOptions,
  type StepBook,
} from '../../trainer/mechanism.ts';
import { chiSquareBounds, isPlausibleCount } from './statistics.ts';
import { norm, planFor, toyGradient, toySource, toyVocabulary, usersWith } from './toy.ts';

/** A step implementation under check: the project's own, or one with a planted bug. */
export interface StepImplementation {
  open(options: MechanismOptions): Mechanism;
  readonly step: typeof privateGradient;
  /** The toy that stands for the engine; `zero` asks for gradients of zero. */
  source(options: { zero?: boolean; size?: number }): GradientSource;
}

/** The point of a step that is made once. */
export const pointOf = (step: number): { step: number; attempt: number } => ({ step, attempt: 0 });

/** A book that takes every step as it comes. */
export const bookOf = (note: (drawSize: number) => unknown = () => undefined): StepBook => ({
  attemptAt: () => 0,
  enter({ drawSize }) {
    note(drawSize);
    return true;
  },
});

/** The project's own step. */
export const correctStep: StepImplementation = {
  open: openMechanism,
  step: privateGradient,
  source: toySource,
};

/** Context and limits so small that the largest users don't fit one run. */
const packing: PackOptions = { contextLength: 24, endOfText: 0, limits: { tokens: 128, units: 4 } };

function open(
  implementation: StepImplementation,
  options: { plan: Plan; users: readonly UserTokens[]; seed?: number; zero?: boolean; size?: number },
): Mechanism {
  const { plan, users, seed = 1, ...source } = options;
  const gradients = implementation.source(source);
  return implementation.open({ plan, users, gradients, packing, key: new Uint8Array(32).fill(seed) });
}

function demand(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

/** Records of one to ten rows, short and longer than the context, empty users, users larger than a run. */
export const variedUsers: UserTokens[] = usersWith([
  [5],
  [1, 2, 3],
  [30, 4],
  [],
  [24, 24, 24, 24, 24, 24, 24],
  [2, 40, 17, 9, 1, 8, 3, 12, 21, 5, 6],
  [16],
  [1],
  [13, 13],
]);

/** The clipped sum by its definition: one user (or record) after the other, mean over records, one clip each. */
export function naiveClippedSum(users: readonly UserTokens[], plan: Plan): Float64Array {
  const sum = new Float64Array(toyVocabulary);
  const units =
    plan.sampler.over === 'users'
      ? users.map(user => user.records)
      : users.flatMap(user => user.records.map(record => [record]));
  for (const records of units) {
    const gradient = new Float64Array(toyVocabulary);
    for (const { tokens } of records) {
      const read = tokens.subarray(0, packing.contextLength);
      for (const [index, value] of toyGradient(read, 1 / read.length).entries()) {
        gradient[index]! += value / records.length;
      }
    }
    const scale = Math.min(1, plan.clipNorm / norm(gradient)) || 0;
    for (const [index, value] of gradient.entries()) sum[index]! += scale * value;
  }
  return sum;
}

async function clippedSum(mechanism: Mechanism): Promise<Float64Array> {
  return (await mechanism.clippedSum(mechanism.sample(pointOf(0)), 0)).sum.slice();
}

/** The clipped sum equals the naive loop, to 1e-4 of a clip (the margin below the clip is 1e-5 of it). */
export async function checkClippedSum(implementation: StepImplementation): Promise<void> {
  for (const mechanism of ['user-wise', 'group-privacy'] as const) {
    for (const clipNorm of [0.5, 9, 1e6]) {
      const plan = planFor(variedUsers, { mechanism, clipNorm });
      const sum = await clippedSum(open(implementation, { plan, users: variedUsers }));
      const naive = naiveClippedSum(variedUsers, plan);
      const gap = norm(sum.map((value, index) => value - naive[index]!)) / norm(naive);
      demand(gap < 2e-5, `${mechanism} at clip ${clipNorm}: off by ${gap}`);
    }
  }
}

/** Leaving out any one user moves the sum by at most clipNorm × units of that user. */
export async function checkSensitivity(implementation: StepImplementation): Promise<void> {
  for (const mechanism of ['user-wise', 'group-privacy'] as const) {
    const plan = planFor(variedUsers, { mechanism, clipNorm: 0.5 });
    const whole = await clippedSum(open(implementation, { plan, users: variedUsers }));
    for (const left of variedUsers.keys()) {
      const users = variedUsers.filter((_, index) => index !== left);
      const without = await clippedSum(open(implementation, { plan, users }));
      const moved = norm(whole.map((value, index) => value - without[index]!));
      const units = mechanism === 'user-wise' ? 1 : variedUsers[left]!.records.length;
      demand(moved <= units * plan.clipNorm, `${mechanism}: user ${left} moves the sum by ${moved}`);
    }
  }
}

/** On gradients of zero, the step's output × expected batch size has the planned variance. */
export async function checkNoise(implementation: StepImplementation): Promise<void> {
  const size = 60_001;
  const { lower, upper } = chiSquareBounds(size);
  for (const [noiseMultiplier, clipNorm] of [
    [1.5, 2],
    [0.4, 0.1],
  ] as const) {
    const plan = planFor(variedUsers, { noiseMultiplier, clipNorm, probability: 0.5 });
    const mechanism = open(implementation, { plan, users: variedUsers, zero: true, size });
    const { gradient } = await implementation.step(mechanism, { step: 0, book: bookOf() });
    const scale = plan.sampler.expectedBatchSize / (noiseMultiplier * clipNorm);
    const squares = (norm(gradient) * scale) ** 2;
    demand(lower < squares && squares < upper, `sum of squares ${squares} outside [${lower}, ${upper}]`);
  }
}

/** The clipped sum is divided by the expected batch size, whatever was drawn. */
export async function checkDenominator(implementation: StepImplementation): Promise<void> {
  const plan = planFor(variedUsers, { probability: 0.4, noiseMultiplier: 1e-12, clipNorm: 1e6 });
  const mechanism = open(implementation, { plan, users: variedUsers });
  const sizes = new Set<number>();
  for (let step = 0; step < 12; step += 1) {
    let sum = new Float64Array(0);
    const clipped = mechanism.clippedSum.bind(mechanism);
    const spied: Mechanism = {
      ...mechanism,
      async clippedSum(drawn, at) {
        const result = await clipped(drawn, at);
        sum = result.sum.slice();
        return result;
      },
    };
    const { gradient, drawSize } = await implementation.step(spied, { step, book: bookOf() });
    sizes.add(drawSize);
    const gap = norm(gradient.map((value, index) => value - sum[index]! / plan.sampler.expectedBatchSize));
    demand(gap <= 1e-4, `step ${step} with ${drawSize} drawn: off by ${gap}`);
  }
  demand(sizes.size > 2, 'the draws had too few sizes to tell');
}

/** Units take part with the planned probability, each by itself and each step anew, so that draw sizes are binomial. */
export async function checkSampler(implementation: StepImplementation): Promise<void> {
  const users = usersWith(Array.from({ length: 300 }, () => [1]));
  const mechanism = open(implementation, { plan: planFor(users, { probability: 0.2 }), users });
  const counts = new Int32Array(300);
  let squares = 0;
  for (let step = 0; step < 200; step += 1) {
    const drawn = mechanism.sample(pointOf(step));
    for (const unit of drawn) counts[unit]! += 1;
    squares += (drawn.length - 60) ** 2 / 48;
    const { sum } = await mechanism.clippedSum(drawn, step);
    demand(drawn.length === 0 || norm(sum) > 0, `step ${step} ignores its ${drawn.length} units`);
  }
  const drawn = counts.reduce((sum, count) => sum + count, 0);
  demand(
    isPlausibleCount(drawn, { trials: 60_000, probability: 0.2 }),
    `${drawn} of 60000 at probability 0.2`,
  );
  const odd = counts.findIndex(count => !isPlausibleCount(count, { trials: 200, probability: 0.2 }));
  demand(odd === -1, `unit ${odd} took part ${counts[odd]} times of 200 at probability 0.2`);
  // Draw sizes are sums of 300 coins, near enough to Gaussian for a bound this wide.
  const { lower, upper } = chiSquareBounds(200);
  demand(lower < squares && squares < upper, `draw sizes scatter by ${squares / 200} of what they should`);
}

/** A step that draws nobody is logged and is noise of the planned variance. */
export async function checkEmptyStep(implementation: StepImplementation): Promise<void> {
  const size = 60_001;
  const { lower, upper } = chiSquareBounds(size);
  const plan = planFor(variedUsers, { probability: 1e-9 });
  const mechanism = open(implementation, { plan, users: variedUsers, size, zero: true });
  let logged = 0;
  const { gradient, drawSize } = await implementation.step(mechanism, {
    step: 0,
    book: bookOf(() => (logged += 1)),
  });
  demand(drawSize === 0, `${drawSize} were drawn at probability 1e-9`);
  demand(logged === 1, `the step was logged ${logged} times`);
  const scale = plan.sampler.expectedBatchSize / (plan.noiseMultiplier * plan.clipNorm);
  const squares = (norm(gradient) * scale) ** 2;
  demand(lower < squares && squares < upper, `sum of squares ${squares} outside [${lower}, ${upper}]`);
}

/** The step is in the ledger before any noise is drawn. */
export async function checkWriteAhead(implementation: StepImplementation): Promise<void> {
  const plan = planFor(variedUsers);
  const mechanism = open(implementation, { plan, users: variedUsers });
  const events: string[] = [];
  const addNoise = mechanism.addNoise.bind(mechanism);
  const spied: Mechanism = {
    ...mechanism,
    addNoise(sum, point) {
      events.push('noise');
      addNoise(sum, point);
    },
  };
  await implementation.step(spied, { step: 0, book: bookOf(() => events.push('logged')) });
  demand(events.join() === 'logged,noise', `order was ${events.join()}`);
}

/** Every check by name; each throws where an implementation fails it. */
export const checks: Readonly<Record<string, (implementation: StepImplementation) => Promise<void>>> = {
  clippedSum: checkClippedSum,
  sensitivity: checkSensitivity,
  noise: checkNoise,
  denominator: checkDenominator,
  sampler: checkSampler,
  emptyStep: checkEmptyStep,
  writeAhead: checkWriteAhead,
};
