import type { Interval } from './accountant.ts';
import { answerOf, checkTarget, unreachable } from './calibrate.ts';
import { checkCount, checkPositive, checkProbability } from './check.ts';
import type { EpsilonOptions } from './epsilon.ts';
import type { PoissonOptions } from './event.ts';
import type { Conversion } from './group.ts';

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
const leastProbability = 1e-12;

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
  const { samplingProbability } = options;
  checkProbability(samplingProbability, { verb, name: 'samplingProbability' });
  const runAt = (steps: number): Run => ({ samplingProbability, steps });
  return largest({ runAt, low: 1, high: mostSteps, isWhole: true, least: 'one step' }, options);
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
  const { steps } = options;
  checkCount(steps, { verb, name: 'steps' });
  const runAt = (samplingProbability: number): Run => ({ steps, samplingProbability });
  const least = `a sampling probability of ${leastProbability}`;
  return largest({ runAt, low: leastProbability, high: 1, isWhole: false, least }, options);
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
  const { steps, datasetSize } = options;
  checkCount(steps, { verb, name: 'steps' });
  checkCount(datasetSize, { verb, name: 'datasetSize' });
  const runAt = (batch: number): Run => ({ steps, samplingProbability: batch / datasetSize });
  return largest(
    { runAt, low: 1, high: datasetSize, isWhole: true, least: 'an expected batch of one' },
    options,
  );
}

type Run = Pick<PoissonOptions, 'steps' | 'samplingProbability'>;

interface Search {
  readonly runAt: (at: number) => Run;
  readonly low: number;
  readonly high: number;
  readonly isWhole: boolean;
  /** The run at `low` in words. */
  readonly least: string;
}

/** An argument and the ε there. */
interface Tried {
  readonly at: number;
  readonly answer: Interval;
}

/** The largest argument whose upper bound keeps the target: false position in logarithms, as ε is nearly a power of both. */
function largest(search: Search, options: RunOptions): CalibratedRun {
  const { low, high, isWhole } = search;
  const question = { ...options, ...checkTarget(options, verb) };
  checkPositive(options.noiseMultiplier, { verb, name: 'noiseMultiplier' });
  const tryAt = (at: number): Tried => ({ at, answer: answerOf({ ...question, ...search.runAt(at) }) });
  let below = tryAt(low);
  if (below.answer.upper > question.epsilon)
    throw unreachable(question, {
      reason: ` with noiseMultiplier ${options.noiseMultiplier}: ${search.least} gives ${below.answer.upper.toPrecision(3)}`,
      remedy: 'Raise noiseMultiplier, epsilon or delta',
    });
  let above: Tried | undefined;
  for (let tries = 0; tries < 200 && below.at < high; tries += 1) {
    const end = above?.at ?? high;
    if (isWhole ? above !== undefined && end - below.at <= 1 : end <= below.at * (1 + 1e-4)) break;
    const guess = guessFor(below, above, { epsilon: question.epsilon, tries });
    const most = above === undefined || !isWhole ? high : end - 1;
    const tried = tryAt(Math.min(most, isWhole ? Math.max(below.at + 1, Math.round(guess)) : guess));
    if (tried.answer.upper <= question.epsilon) below = tried;
    else above = tried;
  }
  return { value: below.at, epsilon: below.answer };
}

/** Every third trial halves, so that a crooked curve can't hold up the search. */
function guessFor(
  below: Tried,
  above: Tried | undefined,
  { epsilon, tries }: { readonly epsilon: number; readonly tries: number },
): number {
  if (above === undefined) return below.at * 2 ** Math.min(30, 2 ** tries);
  const [least, most] = [below.answer.upper, above.answer.upper];
  const share = Math.log(epsilon / least) / Math.log(most / least);
  const isUsable = least > 0 && most < Infinity && tries % 3 !== 2;
  return below.at * (above.at / below.at) ** (isUsable ? Math.min(0.999, Math.max(0.001, share)) : 0.5);
}
