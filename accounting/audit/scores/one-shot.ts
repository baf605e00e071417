import { checkCount, checkDelta, checkPositive, DpError } from '../../check.ts';
import { bisect } from '../../numerics/bisect.ts';
import { betaCdf, betaQuantile } from '../../numerics/incomplete-beta.ts';
import { normalCdf } from '../../numerics/normal.ts';
import { checkAuditDelta, checkSignificance, verb } from './arguments.ts';
import type { EpsilonEstimate, EpsilonLowerBound } from './bound.ts';
import { clopperPearsonUpper, epsilonOfLimits } from './rates.ts';

/** A normal law. */
export interface Normal {
  readonly mean: number;
  readonly deviation: number;
}

/**
 * Hockey-stick divergence of two normal laws: the largest P(S) - e^ε Q(S) over all sets S.
 *
 * @param p - the law P; q - the law Q; deviations > 0
 * @example
 * ```ts
 * hockeyStick({ mean: 1, deviation: 1 }, { mean: 0, deviation: 1 }, { epsilon: 1 }); // ~0.126936737
 * ```
 */
export function hockeyStick(p: Normal, q: Normal, { epsilon }: { readonly epsilon: number }): number {
  const [first, second] = whereLarger(p, q, epsilon);
  const mass = (law: Normal): number => massOf(first, law) + massOf(second, law);
  return Math.max(0, mass(p) - Math.exp(epsilon) * mass(q));
}

type Stretch = readonly [from: number, to: number];
const nowhere: Stretch = [0, 0];

/** Where log p/q > ε: a x² + b x + c > ε is two tails, an interval or a half line. */
function whereLarger(p: Normal, q: Normal, epsilon: number): readonly [Stretch, Stretch] {
  const [pPrecision, qPrecision] = [p.deviation ** -2, q.deviation ** -2];
  const a = (qPrecision - pPrecision) / 2;
  const b = p.mean * pPrecision - q.mean * qPrecision;
  const logs = Math.log(q.deviation / p.deviation);
  const c = (q.mean ** 2 * qPrecision - p.mean ** 2 * pPrecision) / 2 + logs - epsilon;
  if (a === 0) return [halfLine(b, c), nowhere];
  const discriminant = b * b - 4 * a * c;
  if (discriminant <= 0) return [a > 0 ? [-Infinity, Infinity] : nowhere, nowhere];
  const [low, high] = roots({ a, b, c, root: Math.sqrt(discriminant) });
  return a > 0
    ? [
        [-Infinity, low],
        [high, Infinity],
      ]
    : [[low, high], nowhere];
}

function halfLine(b: number, c: number): Stretch {
  if (b === 0) return c > 0 ? [-Infinity, Infinity] : nowhere;
  return b > 0 ? [-c / b, Infinity] : [-Infinity, -c / b];
}

/** Without cancellation: the larger one by sum, the other by their product. */
function roots(of: { a: number; b: number; c: number; root: number }): Stretch {
  const sum = -(of.b + (of.b < 0 ? -of.root : of.root)) / 2;
  const [one, other] = [sum / of.a, of.c / sum];
  return one < other ? [one, other] : [other, one];
}

function massOf([from, to]: Stretch, { mean, deviation }: Normal): number {
  const [low, high] = [(from - mean) / deviation, (to - mean) / deviation];
  return low > 0 ? normalCdf(-low) - normalCdf(-high) : normalCdf(high) - normalCdf(low);
}

/**
 * Smallest ε at which two normal laws are (ε, δ)-close in both directions.
 *
 * @param options - delta: in (0, 1)
 * @example
 * ```ts
 * epsilonBetween({ mean: 0, deviation: 1 }, { mean: 1, deviation: 1 }, { delta: 1e-5 }); // ~4.377178
 * ```
 */
export function epsilonBetween(p: Normal, q: Normal, { delta }: { readonly delta: number }): number {
  const isClose = (epsilon: number): boolean =>
    hockeyStick(p, q, { epsilon }) <= delta && hockeyStick(q, p, { epsilon }) <= delta;
  if (isClose(0)) return 0;
  let highest = 1;
  while (!isClose(highest) && highest < 2 ** 40) highest *= 2;
  return bisect(0, highest, isClose).outer;
}

/** What is asked of cosines between canaries' directions and the released model's change. */
export interface OneShotQuestion {
  /** One cosine for each canary that took part. */
  readonly cosines: ArrayLike<number>;
  /** Number of parameters, which gives the law of a cosine by chance. */
  readonly dimension: number;
  readonly delta: number;
}

/**
 * User-level estimate of ε from one training with random canary users.
 *
 * Andrew et al. (arXiv 2302.03098): every canary user sends a fixed random direction; their cosines with the final model are fitted by
 * a normal law and set against N(0, 1/d). No confidence is attached, and the fit may be wrong: an estimate.
 *
 * @param question - at least two cosines, each in [-1, 1]; dimension: whole, >= 2; delta: in (0, 1)
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const cosines = [0.02, 0.03, 0.01, 0.04, 0.025];
 * oneShotEstimate({ cosines, dimension: 10_000, delta: 1e-5 }).epsilon; // ~13.2067
 * ```
 */
export function oneShotEstimate(question: OneShotQuestion): EpsilonEstimate & { readonly fitted: Normal } {
  const delta = checkDelta(question.delta, { verb, name: 'delta' });
  const dimension = checkCount(question.dimension, { verb, name: 'dimension', least: 2 });
  const cosines = checkCosines(question.cosines, 2);
  const fitted = fitNormal(cosines);
  checkPositive(fitted.deviation, { verb, name: 'the deviation of the cosines' });
  return {
    side: 'estimate',
    epsilon: epsilonBetween(fitted, { mean: 0, deviation: dimension ** -0.5 }, { delta }),
    fitted,
    because: 'a normal law was fitted to the cosines, without confidence',
  };
}

function fitNormal(values: ArrayLike<number>): Normal {
  let [sum, squares] = [0, 0];
  for (let index = 0; index < values.length; index += 1) sum += values[index]!;
  const mean = sum / values.length;
  for (let index = 0; index < values.length; index += 1) squares += (values[index]! - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / values.length) };
}

function checkCosines(cosines: ArrayLike<number>, least: number): ArrayLike<number> {
  checkCount(cosines.length, { verb, name: 'the number of cosines', least });
  for (let index = 0; index < cosines.length; index += 1) {
    if (Math.abs(cosines[index]!) <= 1) continue;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: cosine ${index + 1} is ${cosines[index]}. Give cosines between -1 and 1.`,
    );
  }
  return cosines;
}

/**
 * Probability that the cosine of a fixed vector with a random direction exceeds a threshold, in d dimensions: exact.
 *
 * @param threshold - in [-1, 1]
 * @example
 * ```ts
 * cosineTail(0.5, { dimension: 3 }); // ~0.25000000
 * ```
 */
export function cosineTail(threshold: number, { dimension }: { readonly dimension: number }): number {
  const twoTails = betaCdf(1 - threshold * threshold, { a: (dimension - 1) / 2, b: 0.5 });
  return threshold >= 0 ? twoTails / 2 : 1 - twoTails / 2;
}

/** The threshold that a cosine exceeds by chance with a probability in (0, 1/2]. */
export function cosineThreshold(probability: number, { dimension }: { readonly dimension: number }): number {
  return Math.sqrt(1 - betaQuantile(2 * probability, { a: (dimension - 1) / 2, b: 0.5 }));
}

/**
 * Lower bound on ε at δ from the same cosines, for a threshold that was fixed beforehand.
 *
 * The rate by chance is known exactly, so all of the significance goes to the rate of hits (Clopper–Pearson).
 *
 * @param question - threshold: in [-1, 1]; trials must be independent: canaries of one training are not
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const cosines = Array.from({ length: 100 }, () => 0.05);
 * oneShotBound({ cosines, dimension: 10_000, threshold: 0.04, delta: 1e-5, significance: 0.05 }).epsilon; // ~10.33
 * ```
 */
export function oneShotBound(
  question: OneShotQuestion & { readonly threshold: number; readonly significance: number },
): EpsilonLowerBound {
  const dimension = checkCount(question.dimension, { verb, name: 'dimension', least: 2 });
  const [delta, level] = [checkAuditDelta(question.delta), checkSignificance(question.significance)];
  const cosines = checkCosines(question.cosines, 1);
  const falsePositive = cosineTail(question.threshold, { dimension }) * (1 + 1e-7) + Number.MIN_VALUE;
  let misses = 0;
  for (let index = 0; index < cosines.length; index += 1)
    if (!(cosines[index]! > question.threshold)) misses += 1;
  const epsilonAt = (count: number): number => {
    const falseNegative = clopperPearsonUpper({ count, trials: cosines.length, level });
    return epsilonOfLimits({ falsePositive, falseNegative }, delta);
  };
  return {
    side: 'lower',
    family: 'any',
    epsilon: epsilonAt(misses),
    detectionLimit: epsilonAt(0),
    trials: 'independent',
  };
}
