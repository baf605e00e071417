import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sumNoiseMultiplier } from '../../accounting/clipping.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { ClippedSum, GradientSource } from '../../trainer/clip.ts';
import type { UserTokens } from '../../trainer/data.ts';
import { openLedger, type NoisedEntry } from '../../trainer/ledger.ts';
import { openMechanism, privateGradient, type Mechanism, type StepBook } from '../../trainer/mechanism.ts';
import { openStepBook } from '../../trainer/step-book.ts';
import { clipAt, StepClip } from '../../trainer/step-clip.ts';
import { adaptivePlan, clipping } from './adaptive-plan.ts';
import { bookOf, pointOf, variedUsers } from './checks.ts';
import { chiSquareBounds, distanceFromNormal, kolmogorovBound } from './statistics.ts';
import { norm, planFor, toySource, usersWith } from './toy.ts';

const packing = { contextLength: 24, endOfText: 0, limits: { tokens: 128, units: 4 } };

function open(
  plan: Plan,
  options: { users?: readonly UserTokens[]; gradients?: GradientSource } = {},
): Mechanism {
  const { users = variedUsers, gradients = toySource() } = options;
  return openMechanism({ plan, users, gradients, packing, key: new Uint8Array(32).fill(5) });
}

/** What everybody together adds to sum and count. */
async function contributed(plan: Plan, users: readonly UserTokens[]): Promise<ClippedSum> {
  const mechanism = open(plan, { users });
  const summed = await mechanism.clippedSum(mechanism.sample(pointOf(0)), 0);
  return { ...summed, sum: summed.sum.slice() };
}

/** Length of the difference of two contributions, each part in units of its noise. */
function distance(plan: Plan, [first, second]: readonly [ClippedSum, ClippedSum]): number {
  const sumNoise = sumNoiseMultiplier(plan) * plan.clipNorm;
  const apart = norm(first.sum.map((value, index) => value - second.sum[index]!)) / sumNoise;
  return Math.hypot(apart, (first.balance - second.balance) / plan.clipping!.countNoise);
}

describe('the joint contribution of a user to sum and count', () => {
  const lengths = fc.array(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 7 }), {
    minLength: 2,
    maxLength: 6,
  });
  const settings = fc.record({
    mechanism: fc.constantFrom('user-wise' as const, 'group-privacy' as const),
    clipNorm: fc.double({ min: 0.01, max: 40, noNaN: true }),
    noiseMultiplier: fc.double({ min: 0.3, max: 7.9, noNaN: true }),
  });

  it('is at most 1/z a unit for a user who joins, and 2/z for one who becomes another', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, settings, async (records, planned) => {
        const users = usersWith(records);
        fc.pre(users[0]!.records.length > 0 && users[1]!.records.length > 0);
        const plan = adaptivePlan(users, planned);
        const others = users.slice(2);
        const [none, first, second] = await Promise.all(
          [others, [users[0]!, ...others], [users[1]!, ...others]].map(some => contributed(plan, some)),
        );
        const units = ({ records: { length } }: UserTokens): number =>
          planned.mechanism === 'user-wise' ? 1 : length;
        const most = 1 / plan.noiseMultiplier;
        expect(distance(plan, [none!, first!])).toBeLessThanOrEqual(most * units(users[0]!));
        const both = units(users[0]!) + units(users[1]!);
        expect(distance(plan, [first!, second!])).toBeLessThanOrEqual(most * both);
      }),
      { numRuns: 60 },
    );
  });

  it('reaches that but for the margin below the clip, within the clip and beyond it', async () => {
    const users = usersWith([[9], [9]]);
    const length = norm((await contributed(adaptivePlan(users, { clipNorm: 900 }), users.slice(1))).sum);
    for (const [clipNorm, balance] of [
      [length * (1 + 2e-5), 0.5],
      [length / 2, -0.5],
    ] as const) {
      const plan = adaptivePlan(users, { clipNorm });
      const one = await contributed(plan, users.slice(1));
      expect(one.balance).toBe(balance);
      expect(distance(plan, [one, await contributed(plan, [])]) * plan.noiseMultiplier).toBeGreaterThan(
        1 - 1e-4,
      );
    }
  });
});

describe('the count of units within the clip', () => {
  /** Every unit has the norm that its only token says, but for NaN and zero. */
  const sourceOf = (normOf: (token: number) => number): GradientSource => ({
    size: 1,
    run(batch, clipNorm) {
      const { units, rowsPerUnit, tokens } = batch.shape;
      const norms = Float32Array.from({ length: units }, (_, unit) =>
        normOf(batch.targetIds[unit * rowsPerUnit * tokens]!),
      );
      let sum = 0;
      for (const value of norms.subarray(0, batch.unitsFilled))
        sum += Number.isFinite(value) ? Math.min(value, clipNorm) : 0;
      return Promise.resolve({ losses: new Float32Array(units), norms, sums: [Float32Array.of(sum)] });
    },
  });
  const oneTokenUsers = (count: number): UserTokens[] =>
    Array.from({ length: count }, (_, user) => ({
      user: `user-${user}`,
      records: [{ id: '0', tokens: Int32Array.of(user) }],
    }));

  it('takes norms that are not numbers for longer than any clip, and gradients of zero for nobody', async () => {
    const norms = [0.5, 2, NaN, Infinity, 0, 0];
    const users = oneTokenUsers(norms.length);
    const mechanism = open(adaptivePlan(users, { clipNorm: 1 }), {
      users,
      gradients: sourceOf(token => norms[token]!),
    });
    const { balance, sum, notFinite } = await mechanism.clippedSum(mechanism.sample(pointOf(0)), 0);
    expect(balance).toBe(0.5 - 0.5 - 0.5 - 0.5);
    expect(notFinite).toBe(2);
    expect(Math.abs(sum[0]! - 1.5)).toBeLessThan(2e-5);
  });

  it('counts a user that comes in parts once', async () => {
    const users = usersWith([[24, 24, 24, 24, 24, 24, 24]]);
    expect((await contributed(adaptivePlan(users, { clipNorm: 0.5 }), users)).balance).toBe(-0.5);
    expect((await contributed(adaptivePlan(users, { clipNorm: 900 }), users)).balance).toBe(0.5);
  });

  it('becomes a share of the expected batch, whatever number was drawn', async () => {
    const users = oneTokenUsers(40);
    const gradients = sourceOf(() => 1);
    const clip = { countNoise: 1e-9, minimum: 1e-3, maximum: 1e3 };
    const sampler = { ...planFor(users).sampler, samplingProbability: 0.3, expectedBatchSize: 12 };
    const plan = adaptivePlan(users, { sampler, clipNorm: 20, noiseMultiplier: 1e-9, clip });
    const mechanism = open(plan, { users, gradients });
    const sizes = new Set<number>();
    for (let step = 0; step < 8; step += 1) {
      const before = mechanism.clip.norm;
      const { drawSize } = await privateGradient(mechanism, { step, book: bookOf() });
      const fraction = 0.5 + drawSize / 2 / 12;
      expect(Math.abs(mechanism.clip.state.previousFraction! - fraction)).toBeLessThan(1e-8);
      const moved = Math.exp(-0.2 * (fraction - 0.5));
      expect(Math.abs(mechanism.clip.norm / before - moved)).toBeLessThan(1e-8);
      sizes.add(drawSize);
    }
    expect(sizes.size).toBeGreaterThan(2);
  });

  it.each([0.2, 0.5, 0.8])(
    'leads the clip to quantile %d of the norms, from below and above',
    async quantile => {
      const users = oneTokenUsers(500);
      // Norms from 0.02 to e^4, evenly spread on a log scale.
      const normOf = (token: number): number => Math.exp(-4 + (8 * (token + 0.5)) / 500);
      const ideal = Math.exp(-4 + 8 * quantile);
      for (const clipNorm of [0.01, 90]) {
        const clip = { targetQuantile: quantile, countNoise: 10 };
        const plan = adaptivePlan(users, { clipNorm, noiseMultiplier: 1, probability: 0.4, clip });
        const mechanism = open(plan, { users, gradients: sourceOf(normOf) });
        let late = 0;
        for (let step = 0; step < 200; step += 1) {
          await privateGradient(mechanism, { step, book: bookOf() });
          if (step >= 150) late += Math.log(mechanism.clip.norm) / 50;
        }
        // A tenth of the range of quantiles is 0.8 on the log scale.
        expect(Math.abs(late - Math.log(ideal))).toBeLessThan(0.4);
      }
    },
    60_000,
  );
});

describe('the noise of a step with an adaptive clip', () => {
  const digest = 'd'.repeat(64);
  const noisedCounts = (plan: Plan, count: number): Float64Array =>
    Float64Array.from({ length: count }, (_, step) => {
      const mechanism = open(plan);
      mechanism.moveClip(3.5, { ...pointOf(step), clippedSumDigest: digest });
      const share = mechanism.clip.state.previousFraction! - 0.5;
      return (share * plan.sampler.expectedBatchSize - 3.5) / plan.clipping!.countNoise;
    });

  it('is Gaussian on the count, of the planned variance (false alarms: one in a million a bound)', () => {
    const count = 4000;
    const values = noisedCounts(adaptivePlan(variedUsers, { probability: 0.7 }), count);
    const { lower, upper } = chiSquareBounds(count);
    const squares = values.reduce((total, value) => total + value * value, 0);
    expect(squares).toBeGreaterThan(lower);
    expect(squares).toBeLessThan(upper);
    expect(distanceFromNormal(values)).toBeLessThan(kolmogorovBound(count));
  });

  it('is raised on the sum as the closed form says', () => {
    const size = 60_001;
    const { lower, upper } = chiSquareBounds(size);
    // The raise is 11 %, several times the width of the bounds.
    const plan = adaptivePlan(variedUsers, { noiseMultiplier: 3.5, clip: { countNoise: 4 } });
    const sum = new Float64Array(size);
    open(plan).addNoise(sum, { ...pointOf(0), clippedSumDigest: digest });
    const deviation = plan.clipNorm / Math.sqrt(3.5 ** -2 - 8 ** -2);
    const squares = (norm(sum) / deviation) ** 2;
    expect(squares).toBeGreaterThan(lower);
    expect(squares).toBeLessThan(upper);
    expect(upper / lower).toBeLessThan(1.1 ** 2);
  });

  it('is that of the clip which its step was made with and wrote down, not of the first or the next', async () => {
    const size = 60_001;
    const { lower, upper } = chiSquareBounds(size);
    const plan = adaptivePlan(variedUsers, { clip: { learningRate: 2 } });
    const mechanism = open(plan, { gradients: toySource({ zero: true, size }) });
    const clips: number[] = [];
    const book: StepBook = { attemptAt: () => 0, enter: ({ clipNorm }) => clips.push(clipNorm) > 0 };
    for (let step = 0; step < 4; step += 1) {
      const { gradient } = await privateGradient(mechanism, { step, book });
      const deviation = (sumNoiseMultiplier(plan) * clips[step]!) / plan.sampler.expectedBatchSize;
      const squares = (norm(gradient) / deviation) ** 2;
      expect(squares).toBeGreaterThan(lower);
      expect(squares).toBeLessThan(upper);
      // Far enough apart to be told from each other.
      expect(Math.abs(Math.log(mechanism.clip.norm / clips[step]!))).toBeGreaterThan(0.1);
    }
  });

  it('is a function of key, point and digest, and not that of the sum', () => {
    const plan = adaptivePlan(variedUsers);
    const released = (clippedSumDigest: string, point = pointOf(0)): number => {
      const mechanism = open(plan);
      mechanism.moveClip(0, { ...point, clippedSumDigest });
      return (mechanism.clip.state.previousFraction! - 0.5) * plan.sampler.expectedBatchSize;
    };
    expect(released(digest)).toBe(released(digest));
    const others = [
      released(digest, pointOf(1)),
      released('e'.repeat(64)),
      released(digest, { step: 0, attempt: 1 }),
    ];
    const sum = new Float64Array(1);
    open(plan).addNoise(sum, { ...pointOf(0), clippedSumDigest: digest });
    const first = (sum[0]! / (sumNoiseMultiplier(plan) * plan.clipNorm)) * plan.clipping!.countNoise;
    expect(new Set([released(digest), ...others].map(value => value.toFixed(6))).size).toBe(4);
    expect(Math.abs(first - released(digest))).toBeGreaterThan(1e-6);
  });

  it('has a digest that covers count and clip: no two clips ever meet one noise', () => {
    const drawn = Int32Array.of(1, 2);
    const sum = Float64Array.of(1, 2, 3);
    const digestOf = (clipNorm: number, balance: number): string =>
      open(adaptivePlan(variedUsers, { clipNorm })).seal(pointOf(3), { drawn, sum, balance })
        .clippedSumDigest;
    expect(digestOf(2, 0.5)).toBe(digestOf(2, 0.5));
    expect(new Set([digestOf(2, 0.5), digestOf(2, 1), digestOf(2 + 2 ** -51, 0.5)]).size).toBe(3);
    const fixed = open(planFor(variedUsers)).seal(pointOf(3), { drawn, sum, balance: 1 });
    expect(open(planFor(variedUsers)).seal(pointOf(3), { drawn, sum, balance: 2 })).toEqual(fixed);
  });

  it('is refused to a mechanism whose count would have none', () => {
    expect(() => open(adaptivePlan(variedUsers, { clip: { countNoise: 0 } }))).toThrow(
      'clipping.countNoise is 0',
    );
  });
});

describe('StepClip', () => {
  const plan = { clipNorm: 2, clipping };

  it('moves by the share that is off, and stays where the clip is fixed', () => {
    const clip = new StepClip(plan);
    expect(clip.state).toEqual({ clipNorm: 2 });
    clip.move(0.75);
    expect(clip.state).toEqual({ clipNorm: 2 * Math.exp(-0.2 * 0.25), previousFraction: 0.75 });
    const fixed = new StepClip({ clipNorm: 2 });
    fixed.move(0.75);
    expect(fixed.state).toEqual({ clipNorm: 2 });
    expect(fixed.kept).toBeUndefined();
  });

  it('stays within its bounds and is never not a number', () => {
    const share = fc.double({ noNaN: true, noDefaultInfinity: true });
    const rate = fc.double({ min: Number.MIN_VALUE, noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.array(share), rate, (shares, learningRate) => {
        const clip = new StepClip({ clipNorm: 2, clipping: { ...clipping, learningRate } });
        for (const each of shares) {
          clip.move(each);
          expect(clip.norm >= clipping.minimum && clip.norm <= clipping.maximum).toBe(true);
        }
      }),
    );
  });

  it('goes on from where it stood, but not from where the plan never lets it', () => {
    const state = { clipNorm: 0.5, previousFraction: 0.9 };
    expect(new StepClip(plan, state).kept).toEqual(state);
    expect(clipAt(plan, { step: 3, clip: state })).toEqual(state);
    expect(clipAt(plan, undefined)).toBeUndefined();
    expect(clipAt({}, { step: 3 })).toBeUndefined();
    const refused = expect.objectContaining({ code: 'CHECK_FAILED' });
    expect(() => clipAt(plan, { step: 3 })).toThrow(refused);
    for (const clipNorm of [1e4, 1e-4, NaN]) expect(() => new StepClip(plan, { clipNorm })).toThrow(refused);
    expect(() => new StepClip({ clipNorm: 2 }, { clipNorm: 3 })).toThrow(refused);
  });
});

describe('a step that is repeated', () => {
  it('is the same release only at the clip that was written down', () => {
    const record = {
      step: 0,
      attempt: 0,
      drawSize: 1,
      clipNorm: 2,
      previousFraction: 0.5,
      participationDigest: 'p',
      clippedSumDigest: 's',
    };
    const known: NoisedEntry = { kind: 'noised', ...record, noiseMultiplier: 1 };
    const isRepeated = (change: object): boolean =>
      openStepBook(openLedger(null), {
        history: { recorded: [known], step: 0, attempt: 0 },
        terms: { noiseMultiplier: 1, soFar: steps => ({ steps, epsilonUpper: null }) },
      }).enter({ ...record, ...change });
    expect(isRepeated({})).toBe(true);
    expect(isRepeated({ clipNorm: 2 + 2 ** -51 })).toBe(false);
    expect(isRepeated({ previousFraction: 0.4 })).toBe(false);
  });
});
