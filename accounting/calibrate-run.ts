import type { Interval } from './accountant.ts';
import { checkCount, checkDelta, checkPositive, checkProbability, DpError } from './check.ts';
import type { EpsilonOptions } from './epsilon.ts';
import { convertGroup, type Conversion } from './group.ts';

/** A run of which one number is sought, and the target that it must keep. */
export interface RunOptions extends EpsilonOptions {
  /** Target that the upper bound must not exceed, in nats, > 0. */
  readonly epsilon: number;
  readonly noiseMultiplier: number;
  /** Records a user may have, each sampled on its own; 1 where the user is sampled as a whole, the default. */
  readonly groupSize?: number | undefined;
  /** How records become a user where groupSize > 1; `mixture` unless said otherwise. */
  readonly conversion?: Conversion | undefined;
}

/** The number found and what it achieves: epsilon.upper is at most the target. */
export interface CalibratedRun {
  readonly value: number;
  readonly epsilon: Interval;
}

const verb = 'calibrate the run';
const mostSteps = 2 ** 40;

/**
 * The most steps whose certified ε does not exceed the target.
 *
 * @returns value: a whole number of steps; one more would exceed the target
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE` where one step already exceeds it
 * @example
 * ```ts
 * const { value, epsilon } = calibrateSteps({
 *   epsilon: 2, delta: 1e-6, noiseMultiplier: 1, samplingProbability: 0.01, neighbours: 'add-or-remove',
 * });
 * value > 850 && value < 890; // true
 * epsilon.upper <= 2; // true
 * ```
 */
export function calibrateSteps(
  options: RunOptions & { readonly samplingProbability: number },
): CalibratedRun {
  const question = checked(options);
  checkProbability(options.samplingProbability, { verb, name: 'samplingProbability' });
  const ask = (steps: number): Interval => epsilonOfRun(question, { ...options, steps });
  const first = ask(1);
  if (first.upper > question.epsilon) throw unreachable(question, 'one step', first);
  return largest(ask, {
    epsilon: question.epsilon,
    low: 1,
    lowAnswer: first,
    high: mostSteps,
    isWhole: true,
  });
}

/**
 * The largest sampling probability whose certified ε does not exceed the target, to within 1e-4 of itself.
 *
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE` where a probability of 1e-12 already exceeds it
 * @example
 * ```ts
 * const { value } = calibrateSamplingProbability({
 *   epsilon: 2, delta: 1e-6, noiseMultiplier: 1, steps: 1000, neighbours: 'add-or-remove',
 * });
 * value > 0.009 && value < 0.0096; // true
 * ```
 */
export function calibrateSamplingProbability(
  options: RunOptions & { readonly steps: number },
): CalibratedRun {
  const question = checked(options);
  checkCount(options.steps, { verb, name: 'steps' });
  const ask = (samplingProbability: number): Interval =>
    epsilonOfRun(question, { steps: options.steps, samplingProbability });
  const least = 1e-12;
  const first = ask(least);
  if (first.upper > question.epsilon)
    throw unreachable(question, `a sampling probability of ${least}`, first);
  return largest(ask, { epsilon: question.epsilon, low: least, lowAnswer: first, high: 1, isWhole: false });
}

/**
 * The largest expected batch of a table of `datasetSize` units whose certified ε does not exceed the target.
 *
 * @returns value: a whole number of units; its sampling probability is value ÷ datasetSize
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE` where a batch of one already exceeds it
 * @example
 * ```ts
 * const { value } = calibrateBatchSize({
 *   epsilon: 2, delta: 1e-6, noiseMultiplier: 1, steps: 1000, datasetSize: 10000, neighbours: 'add-or-remove',
 * });
 * value > 90 && value < 96; // true
 * ```
 */
export function calibrateBatchSize(
  options: RunOptions & { readonly steps: number; readonly datasetSize: number },
): CalibratedRun {
  const question = checked(options);
  checkCount(options.steps, { verb, name: 'steps' });
  const datasetSize = checkCount(options.datasetSize, { verb, name: 'datasetSize' });
  const ask = (batch: number): Interval =>
    epsilonOfRun(question, { steps: options.steps, samplingProbability: batch / datasetSize });
  const first = ask(1);
  if (first.upper > question.epsilon) throw unreachable(question, 'an expected batch of one', first);
  return largest(ask, {
    epsilon: question.epsilon,
    low: 1,
    lowAnswer: first,
    high: datasetSize,
    isWhole: true,
  });
}

type Question = RunOptions & { readonly groupSize: number; readonly conversion: Conversion };

function checked(options: RunOptions): Question {
  checkPositive(options.epsilon, { verb, name: 'epsilon' });
  checkDelta(options.delta, { verb, name: 'delta' });
  checkPositive(options.noiseMultiplier, { verb, name: 'noiseMultiplier' });
  const groupSize = checkCount(options.groupSize ?? 1, { verb, name: 'groupSize' });
  // The narrowest accountant alone: what all of them together answer later is at most that.
  const accountant = options.accountant ?? 'exact';
  return { ...options, accountant, groupSize, conversion: options.conversion ?? 'mixture' };
}

function epsilonOfRun(
  question: Question,
  run: { readonly steps: number; readonly samplingProbability: number },
): Interval {
  const { steps, samplingProbability } = run;
  const { bound } = convertGroup({ ...question, steps, samplingProbability }, question.conversion);
  return { lower: bound.lower ?? 0, upper: bound.upper };
}

interface Search {
  readonly epsilon: number;
  readonly low: number;
  readonly lowAnswer: Interval;
  readonly high: number;
  readonly isWhole: boolean;
}

/** The largest argument whose upper bound keeps the target: false position in logarithms, as ε is nearly a power of both. */
function largest(ask: (at: number) => Interval, search: Search): CalibratedRun {
  const { epsilon, isWhole } = search;
  let below = { at: search.low, answer: search.lowAnswer };
  let above: { at: number; upper: number } | undefined;
  for (let tries = 0; tries < 200; tries += 1) {
    if (above === undefined && below.at === search.high) break;
    const end = above?.at ?? search.high;
    if (isWhole ? end - below.at <= 1 && above !== undefined : end <= below.at * (1 + 1e-4)) break;
    const at = nextTrial({ below: { at: below.at, upper: below.answer.upper }, above, search, tries });
    const answer = ask(at);
    if (answer.upper <= epsilon) below = { at, answer };
    else above = { at, upper: answer.upper };
  }
  return { value: below.at, epsilon: below.answer };
}

interface Bracket {
  readonly below: { readonly at: number; readonly upper: number };
  readonly above: { readonly at: number; readonly upper: number } | undefined;
  readonly search: Search;
  readonly tries: number;
}

function nextTrial({ below, above, search, tries }: Bracket): number {
  const { isWhole, high } = search;
  const guess = guessFor({ below, above, search, tries });
  if (!isWhole) return Math.min(high, guess);
  const most = above === undefined ? high : above.at - 1;
  return Math.min(most, Math.max(below.at + 1, Math.round(guess)));
}

/** Every third trial halves, so that a crooked curve can't hold up the search. */
function guessFor({ below, above, search: { epsilon, high }, tries }: Bracket): number {
  const logLow = Math.log(below.at);
  if (above === undefined) return Math.min(high, below.at * 2 ** Math.min(30, 2 ** tries));
  const width = Math.log(above.at) - logLow;
  const isUsable = below.upper > 0 && above.upper < Infinity && tries % 3 !== 2;
  if (!isUsable) return Math.exp(logLow + width / 2);
  const share = Math.log(epsilon / below.upper) / Math.log(above.upper / below.upper);
  return Math.exp(logLow + width * Math.min(0.999, Math.max(0.001, share)));
}

function unreachable(
  { epsilon, delta, noiseMultiplier }: Question,
  what: string,
  { upper }: Interval,
): DpError {
  return new DpError(
    'BUDGET_UNREACHABLE',
    `Cannot reach epsilon ${epsilon} at delta ${delta} with noiseMultiplier ${noiseMultiplier}: ` +
      `${what} gives ${upper.toPrecision(3)}. Raise noiseMultiplier, epsilon or delta.`,
  );
}
