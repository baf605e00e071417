import type { Interval } from './accountant.ts';
import { checkChoice, checkCount, checkDelta, checkPositive, checkProbability, DpError } from './check.ts';
import type { EpsilonOptions } from './epsilon.ts';
import type { Sampling } from './event.ts';
import { convertGroup, recordDelta, type Conversion, type GroupOptions } from './group.ts';
import { findThreshold, type Trial } from './numerics/threshold.ts';
import { totalSpent, type PrivacySpent } from './spent.ts';

/** What the noise is to achieve, and what is given. */
export interface CalibrationOptions extends EpsilonOptions {
  /** Target that the upper bound must not exceed, in nats, > 0. */
  readonly epsilon: number;
  /** Of one unit of sampling in one step, in (0, 1]. */
  readonly samplingProbability: number;
  readonly steps: number;
  /** Records a user may have, each sampled on its own; 1 where the user is sampled as a whole, the default. */
  readonly groupSize?: number | undefined;
  /** How records become a user where groupSize > 1; `mixture` unless said otherwise. */
  readonly conversion?: Conversion | undefined;
  /** How a step gets its units where not by plain Poisson sampling. */
  readonly sampling?: Sampling | undefined;
  /** What the target has to pay for beside the run, under the same neighbours; nothing where left out. */
  readonly spent?: readonly PrivacySpent[] | undefined;
}

/** A noise multiplier and what it achieves. */
export interface Calibration {
  readonly noiseMultiplier: number;
  readonly epsilon: Interval;
}

const verb = 'calibrate the noise';
const tolerance = 1e-3;
const limits = [Math.log(0.02), Math.log(1e6)] as const;

/**
 * The least noise multiplier, to within the tolerance, whose certified ε does not exceed the target.
 *
 * @returns epsilon.upper <= target always, and >= 0.999 of it unless a noise multiplier of 0.02 already suffices
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE` where a noise multiplier of 1e6 is still too little
 * @example
 * ```ts
 * const { noiseMultiplier, epsilon } = calibrateNoise({
 *   epsilon: 1, delta: 1e-6, samplingProbability: 0.01, steps: 1000, neighbours: 'add-or-remove',
 * });
 * epsilon.upper <= 1; // true
 * noiseMultiplier; // ~1.564
 * ```
 */
export function calibrateNoise(options: CalibrationOptions): Calibration {
  const question = checked(options);
  const guess = firstGuess(question);
  // A closed form costs nothing, so it is followed to its last digits.
  const isClosed =
    question.samplingProbability === 1 &&
    question.conversion === 'mixture' &&
    !question.spent?.length &&
    question.sampling === undefined;
  const close = isClosed ? 1e-10 : tolerance;
  const { at: start, slope } = guess;
  const found = isSettled(guess, question) ? guess : search(question, { start, slope, tolerance: close });
  if (found.value > 0) throw tooLittle(question, found.answer);
  return { noiseMultiplier: Math.exp(found.at), epsilon: found.answer };
}

type Question = GroupOptions & { readonly epsilon: number; readonly conversion: Conversion };

/**
 * Target, group and conversion of a calibration, checked and with their defaults.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * checkTarget({ epsilon: 1, delta: 1e-6 }, 'calibrate').groupSize; // 1
 * ```
 */
export function checkTarget(
  options: Pick<CalibrationOptions, 'epsilon' | 'delta' | 'groupSize' | 'conversion'>,
  verb: string,
): Pick<Question, 'epsilon' | 'delta' | 'groupSize' | 'conversion'> {
  const { epsilon, delta, groupSize = 1, conversion = 'mixture' } = options;
  checkPositive(epsilon, { verb, name: 'epsilon' });
  checkDelta(delta, { verb, name: 'delta' });
  checkCount(groupSize, { verb, name: 'groupSize' });
  checkChoice(conversion, { verb, name: 'conversion', choices: ['lemma', 'rdp', 'mixture'] });
  return { epsilon, delta, groupSize, conversion };
}

/**
 * ε by a question's conversion and the narrowest accountant, where no other is chosen: what all of them together
 * answer later is at most that.
 *
 * @example
 * ```ts
 * const run = { noiseMultiplier: 1, samplingProbability: 1, steps: 1, groupSize: 1 } as const;
 * answerOf({ ...run, delta: 1e-6, neighbours: 'add-or-remove', conversion: 'mixture' }).upper; // ~4.8866
 * ```
 */
export function answerOf(question: GroupOptions & { readonly conversion: Conversion }): Interval {
  const accountant = question.accountant ?? 'exact';
  const { bound } = convertGroup({ ...question, accountant }, question.conversion);
  return { lower: bound.lower ?? 0, upper: bound.upper };
}

function checked(options: CalibrationOptions): Question {
  checkProbability(options.samplingProbability, { verb, name: 'samplingProbability' });
  checkCount(options.steps, { verb, name: 'steps' });
  const target = checkTarget(options, verb);
  if (options.sampling?.kind === 'shuffled')
    throw unreachable(target, {
      reason: ' by shuffling: no upper bound of it is proved',
      remedy: 'Give the noise, or another sampling',
    });
  const spent = totalSpent(options.spent);
  if (spent.epsilon >= target.epsilon || spent.delta >= target.delta)
    throw unreachable(target, {
      reason: `: epsilon ${spent.epsilon} at delta ${spent.delta} is spent already`,
      remedy: 'Raise epsilon or delta',
    });
  return { ...options, ...target, noiseMultiplier: 1 };
}

/** Where to begin, and how fast the answer falls there in logarithms: like 1/noise where that is not known. */
interface Guess {
  readonly at: number;
  readonly slope?: number | undefined;
}

/** A trial and the interval behind its value. */
interface Answered extends Trial, Guess {
  readonly answer: Interval;
}

/** Reports ask the same function, so a calibrated plan can't exceed its target later. */
function search(
  question: Question,
  options: { start: number; slope?: number | undefined; tolerance: number },
): Answered {
  const { start, slope = -1, tolerance: close } = options;
  const answers = new Map<number, Interval>();
  const excess = (logNoise: number): number => {
    const answer = answerOf({ ...question, noiseMultiplier: Math.exp(logNoise) });
    answers.set(logNoise, answer);
    return Math.log(answer.upper / question.epsilon);
  };
  const found = findThreshold(excess, { start, slope, tolerance: close, limits });
  return { ...found, slope: slopeOf(answers), answer: answers.get(found.at)! };
}

/** Of the last two trials; undefined where they tell none. */
function slopeOf(answers: ReadonlyMap<number, Interval>): number | undefined {
  const [before, last] = [...answers].slice(-2);
  if (before === undefined || last === undefined) return undefined;
  const slope = Math.log(last[1].upper / before[1].upper) / (last[0] - before[0]);
  return Number.isFinite(slope) && slope < 0 ? slope : undefined;
}

/** Logarithm of a noise multiplier to start from, got cheaply: from RDP, or from the record's share of the budget. */
function firstGuess(question: Question): Guess | Answered {
  const { epsilon, delta, samplingProbability, steps, groupSize, conversion, accountant } = question;
  if (conversion === 'lemma' && groupSize > 1) {
    const spent = totalSpent(question.spent);
    const share = (epsilon - spent.epsilon) / groupSize;
    const record = { epsilon: share, delta: recordDelta(share, delta - spent.delta, groupSize) };
    return {
      at: Math.log(calibrateNoise({ ...question, ...record, groupSize: 1, spent: [] }).noiseMultiplier),
    };
  }
  const central = groupSize * samplingProbability * Math.sqrt(2 * steps * Math.log(1.25 / delta));
  const start = Math.log(Math.max(0.5, central / epsilon));
  const isPlain = samplingProbability === 1;
  if (isPlain || conversion === 'rdp' || accountant === 'rdp' || question.neighbours === 'replace')
    return { at: start };
  const guess = search({ ...question, accountant: 'rdp', sampling: undefined }, { start, tolerance: 0.02 });
  if (question.sampling === undefined) return guess;
  // The laws of other samplings cost much more than that of plain Poisson sampling, which is close to them and as steep.
  const { at, slope } = search({ ...question, sampling: undefined }, { start: guess.at, tolerance: 0.01 });
  return { at, slope };
}

/** True where RDP alone allows the least noise there is; sharper bounds can't allow less. */
function isSettled(guess: Guess | Answered, { accountant }: Question): guess is Answered {
  return 'answer' in guess && guess.at <= limits[0] && guess.value <= 0 && accountant !== 'pld';
}

function tooLittle(question: Question, { upper }: Interval): DpError {
  const { steps, groupSize, conversion } = question;
  const group = groupSize === 1 ? '' : ` for ${groupSize} records per user by the ${conversion} conversion`;
  return unreachable(question, {
    reason: ` in ${steps} steps${group}: even noiseMultiplier 1e6 gives ${upper.toPrecision(3)}`,
    remedy: 'Lower steps or samplingProbability',
  });
}

/** The error for a target that nothing reaches. */
export function unreachable(
  { epsilon, delta }: { readonly epsilon: number; readonly delta: number },
  { reason, remedy }: { readonly reason: string; readonly remedy: string },
): DpError {
  return new DpError(
    'BUDGET_UNREACHABLE',
    `Cannot reach epsilon ${epsilon} at delta ${delta}${reason}. ${remedy}.`,
  );
}
