import { DpError } from '../check.ts';
import { logSumExp } from '../numerics/special.ts';
import { logBinomialTail } from '../numerics/binomial-tail.ts';
import { minimise } from '../numerics/minimise.ts';
import type { SamplerPlan } from '../plan.ts';
import { chiSquareTwoSided } from './chi-square.ts';
import { independentDraws, type DrawLaw } from './draw-law.ts';

/** Sizes of consecutive draws that the sampler decides together: an epoch, or any number of independent draws. */
export interface DrawRun {
  /** Place of the first draw in its epoch, 0 for samplers without epochs. */
  readonly first: number;
  /** Units drawn, one entry a draw. */
  readonly sizes: readonly number[];
}

/** What sizes of draws are held against. */
export interface ParticipationOptions {
  readonly sampler: SamplerPlan;
  /** Users or records that are sampled from. */
  readonly units: number;
  /** Chance at most that sizes of the stated sampler are refuted, all tests together; in (0, 1). Default 1e-6. */
  readonly significance?: number | undefined;
}

/** What about the sizes did not fit. */
export type ParticipationTest =
  'certain' | 'constant' | 'narrow' | 'wide' | 'mean' | 'largest' | 'smallest' | 'none';

/** How well sizes of draws fit a sampler. */
export interface ParticipationAnswer {
  /** False only where the sizes refute the sampler at the stated false-alarm rate. */
  readonly holds: boolean;
  readonly significance: number;
  /** At least the chance that the stated sampler gives something as far off; 0 where it cannot. */
  readonly pValue: number;
  /** The test with the smallest p-value. */
  readonly test: ParticipationTest;
  readonly draws: number;
  readonly mean: number;
  readonly expectedMean: number;
  /** Sum of squared deviations from the mean ÷ ((draws - 1) × expected variance); null for fewer than 2 draws. About 1 where all is well. */
  readonly indexOfDispersion: number | null;
  /** Two-sided, of the index under the chi-square law that it has for large draws; beside the decision, which rests on bounds. */
  readonly chiSquare: number | null;
}

const defaultSignificance = 1e-6;
const clipped = 4;
const largestRate = 64;
const rounding = 1e-9;

/**
 * Holds the numbers of units drawn against the sampler that a plan asks for.
 *
 * Under Poisson sampling the sizes are independent Binomial(units, q), so that their mean, their spread and their extremes have known
 * laws; equal sizes are far too regular. The p-values are bounds by Chernoff's inequality from the exact law of one draw, not
 * approximations for large batches: honest draws are refuted with a chance of at most `significance`. Truncated draws have that law
 * with all larger sizes at the limit. Of balls in bins the first half of an epoch is close to independent Poisson sizes, within a
 * factor that is accounted for, and a whole epoch has every unit once. Shuffled batches have sizes that are known.
 *
 * Sizes can refute a sampler; they cannot confirm it: whoever writes them down can make them up.
 *
 * @throws DpError `INVALID_ARGUMENT` where significance is not in (0, 1)
 * @example
 * ```ts
 * const sampler = { kind: 'poisson', over: 'users', samplingProbability: 0.1, expectedBatchSize: 100 } as const;
 * const runs = [{ first: 0, sizes: Array.from({ length: 20 }, () => 100) }];
 * testParticipation(runs, { sampler, units: 1000 }).holds; // false
 * testParticipation(runs, { sampler, units: 1000 }).test; // 'constant'
 * ```
 */
export function testParticipation(
  runs: readonly DrawRun[],
  options: ParticipationOptions,
): ParticipationAnswer {
  const { sampler, units, significance = defaultSignificance } = options;
  if (!(significance > 0 && significance < 1)) throw badSignificance(significance);
  const sizes = runs.flatMap(run => run.sizes);
  const draws = independentDraws(sampler, units);
  const described = describe(sizes, draws.law);
  const isCertain = isImpossible(runs, options);
  const isOpen = !isCertain && sizes.length > 0 && sampler.kind !== 'shuffled';
  const decided = isOpen ? decide(testsOf(runs, options), significance) : known(isCertain);
  return {
    ...decided,
    holds: decided.pValue > significance,
    significance,
    draws: sizes.length,
    ...described,
  };
}

function known(isCertain: boolean): Tested {
  return isCertain ? { test: 'certain', pValue: 0 } : { test: 'none', pValue: 1 };
}

/** The smallest of the p-values, times their number (Bonferroni). Equal sizes are called so where that alone would do. */
function decide(tests: readonly Tested[], significance: number): Tested {
  const least = tests.reduce((least, next) => (next.pValue < least.pValue ? next : least), known(false));
  const isConstant = tests.some(
    ({ test, pValue }) => test === 'constant' && pValue * tests.length <= significance,
  );
  const pValue = Math.min(1, least.pValue * Math.max(1, tests.length));
  return { test: isConstant ? 'constant' : least.test, pValue };
}

function badSignificance(significance: number): DpError {
  return new DpError(
    'INVALID_ARGUMENT',
    `Cannot test the draws: significance is ${significance}. Give a false-alarm rate strictly between 0 and 1.`,
  );
}

function describe(
  sizes: readonly number[],
  law: DrawLaw,
): Pick<ParticipationAnswer, 'mean' | 'expectedMean' | 'indexOfDispersion' | 'chiSquare'> {
  const mean = sizes.length === 0 ? 0 : sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  const known = { mean, expectedMean: law.mean };
  if (sizes.length < 2 || law.variance === 0) return { ...known, indexOfDispersion: null, chiSquare: null };
  const squares = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / law.variance;
  const degrees = sizes.length - 1;
  return { ...known, indexOfDispersion: squares / degrees, chiSquare: chiSquareTwoSided(squares, degrees) };
}

/** Sizes that the sampler cannot draw, whatever its chance. */
function isImpossible(runs: readonly DrawRun[], { sampler, units }: ParticipationOptions): boolean {
  const most = sampler.kind === 'truncated-poisson' ? Math.min(units, sampler.batchLimit) : units;
  if (runs.some(({ sizes }) => sizes.some(size => size > most || size < 0))) return true;
  if (sampler.samplingProbability === 1) return runs.some(({ sizes }) => sizes.some(size => size !== most));
  if (!('stepsPerEpoch' in sampler)) return false;
  const { kind, stepsPerEpoch } = sampler;
  const isOff = kind === 'shuffled' ? isUneven : isIncomplete;
  return runs.some(run => isOff(run, { stepsPerEpoch, units }));
}

/** Shuffled batches: step s of an epoch has floor((s + 1) N / m) - floor(s N / m) units. */
function isUneven({ first, sizes }: DrawRun, epoch: { stepsPerEpoch: number; units: number }): boolean {
  const endOf = (step: number): number => Math.floor((step * epoch.units) / epoch.stepsPerEpoch);
  return sizes.some((size, at) => size !== endOf(first + at + 1) - endOf(first + at));
}

/** Balls in bins: each unit once in an epoch. */
function isIncomplete({ first, sizes }: DrawRun, epoch: { stepsPerEpoch: number; units: number }): boolean {
  const sum = sizes.reduce((total, size) => total + size, 0);
  const isWhole = first === 0 && sizes.length === epoch.stepsPerEpoch;
  return isWhole ? sum !== epoch.units : sum > epoch.units;
}

interface Tested {
  readonly test: ParticipationTest;
  /** An upper bound, of this test alone. */
  readonly pValue: number;
}

function testsOf(runs: readonly DrawRun[], options: ParticipationOptions): Tested[] {
  const { sampler, units } = options;
  if (sampler.samplingProbability === 1) return [];
  const { law, perEpoch, logExcess } = independentDraws(sampler, units);
  const used = runs.map(({ first, sizes }) => sizes.slice(0, Math.max(0, perEpoch - first)));
  const sizes = used.flat();
  const excess = used.filter(part => part.length > 0).length * logExcess;
  const context = { law, excess };
  return [
    ...byExtremes(
      runs.flatMap(run => run.sizes),
      options,
    ),
    ...(law.variance === 0 ? [] : bySums(sizes, context)),
  ];
}

/** Union bounds: the chance that any of the draws is as large, or as small. */
function byExtremes(sizes: readonly number[], { sampler, units }: ParticipationOptions): Tested[] {
  const { samplingProbability: probability } = sampler;
  const [largest, smallest] = sizes.reduce(
    ([high, low], size) => [Math.max(high, size), Math.min(low, size)],
    [-Infinity, Infinity],
  );
  const tail = (options: { probability: number; least: number }): number =>
    Math.exp(logBinomialTail({ trials: units, ...options }) + rounding) * sizes.length;
  const isAtLimit = sampler.kind === 'truncated-poisson' && smallest >= sampler.batchLimit;
  return [
    { test: 'largest', pValue: tail({ probability, least: largest }) },
    {
      test: 'smallest',
      pValue: isAtLimit ? 1 : tail({ probability: 1 - probability, least: units - smallest }),
    },
  ];
}

function bySums(sizes: readonly number[], context: { law: DrawLaw; excess: number }): Tested[] {
  const { law, excess } = context;
  if (sizes.length === 0) return [];
  const deviation = Math.sqrt(law.variance);
  const distance = (size: number): number =>
    Math.max(-clipped, Math.min(clipped, (size - law.mean) / deviation));
  const square = (size: number): number => distance(size) ** 2;
  const bound = (score: (size: number) => number, sign: 1 | -1): number =>
    Math.exp(Math.min(0, logChernoff(sizes, { law, score, sign }) + excess));
  return [
    { test: 'constant', pValue: constantBound(sizes, context) },
    { test: 'wide', pValue: bound(square, 1) },
    { test: 'narrow', pValue: bound(square, -1) },
    { test: 'mean', pValue: bound(distance, 1) },
    { test: 'mean', pValue: bound(distance, -1) },
  ];
}

/** The chance that all draws are equal is at most that of the likeliest size to the power of all but one of them. */
function constantBound(sizes: readonly number[], { law, excess }: { law: DrawLaw; excess: number }): number {
  if (sizes.some(size => size !== sizes[0])) return 1;
  const likeliest = law.probabilities.reduce((most, next) => Math.max(most, next), 0);
  return Math.exp(Math.min(0, (sizes.length - 1) * (Math.log(likeliest) + rounding) + excess));
}

/** log of min over r of E[exp(r (score - observed mean))]^draws: Chernoff's bound on a sum of scores as far out. */
function logChernoff(
  sizes: readonly number[],
  { law, score, sign }: { law: DrawLaw; score: (size: number) => number; sign: 1 | -1 },
): number {
  const observed = sizes.reduce((sum, size) => sum + score(size), 0) / sizes.length;
  const away = Float64Array.from(law.probabilities, (_, at) => sign * (score(law.lowest + at) - observed));
  const logs = law.probabilities.map(Math.log);
  const terms = new Float64Array(logs.length);
  const logMoment = (rate: number): number => {
    if (rate > largestRate) return Infinity;
    for (let at = 0; at < terms.length; at += 1) terms[at] = logs[at]! + rate * away[at]!;
    return sizes.length * (logSumExp(terms) + rounding);
  };
  return Math.min(0, minimise(logRate => logMoment(Math.exp(logRate))).value);
}
