import { checkCount, checkDelta, DpError } from '../../check.ts';
import { logBinomialTail } from '../../numerics/binomial-tail.ts';
import { betaQuantile } from '../../numerics/incomplete-beta.ts';
import { normalQuantile } from '../../numerics/normal.ts';
import { findThreshold } from '../../numerics/threshold.ts';
import { checkAuditDelta, checkSignificance, verb } from './arguments.ts';
import type { EpsilonEstimate, EpsilonLowerBound } from './bound.ts';
import { epsilonOfMu } from './f-dp.ts';

/** How often a test with a threshold fixed beforehand was right and wrong, in independent trials. */
export interface Counts {
  /** Included and called so. */
  readonly truePositives: number;
  /** Included, but not called so. */
  readonly falseNegatives: number;
  /** Called included, but not. */
  readonly falsePositives: number;
  readonly trueNegatives: number;
}

/** Counts with what is asked of them. */
export interface RatesQuestion extends Counts {
  /** δ of the claim. */
  readonly delta: number;
  readonly significance: number;
}

/** Upper limits of both error rates. */
export interface RateLimits {
  readonly falsePositive: number;
  readonly falseNegative: number;
}

/** Whole counts, with at least one trial on each side. */
export function checkCounts(counts: Counts): void {
  const { truePositives, falseNegatives, falsePositives, trueNegatives } = counts;
  for (const [name, count] of Object.entries({
    truePositives,
    falseNegatives,
    falsePositives,
    trueNegatives,
  }))
    checkCount(count, { verb, name, least: 0 });
  const [included, left] = [truePositives + falseNegatives, falsePositives + trueNegatives];
  if (included > 0 && left > 0) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: ${included} trials are with the canary and ${left} without. Give at least one of each.`,
  );
}

/**
 * Upper confidence limit of a rate by Clopper and Pearson: exact, never too low more often than `level`.
 *
 * @param seen - how often it happened, of how many trials; level: in (0, 1)
 * @example
 * ```ts
 * clopperPearsonUpper({ count: 5, trials: 100, level: 0.025 }); // ~0.11283491
 * ```
 */
export function clopperPearsonUpper(seen: {
  readonly count: number;
  readonly trials: number;
  readonly level: number;
}): number {
  const { count, trials, level } = seen;
  if (count >= trials) return 1;
  const logLevel = Math.log(level);
  if (count === 0) return -Math.expm1(logLevel / trials) * (1 + 1e-12);
  // At most `count` successes at rate p are at least trials - count failures at rate 1 - p.
  const evaluate = (rate: number): number =>
    logBinomialTail({ trials, probability: 1 - rate, least: trials - count }) - logLevel + rounding;
  const [mean, steps] = [count / trials, Math.sqrt(-2 * logLevel)];
  const deviation = Math.sqrt((mean * (1 - mean)) / trials) + 1 / trials;
  const limits = [mean, 1 - 1e-16] as const;
  const { at, value } = findThreshold(evaluate, {
    start: mean + steps * deviation,
    slope: -steps / deviation,
    tolerance: rounding,
    limits,
  });
  return value <= 0 ? at : 1;
}

/** More than what is wrong with the logarithm of a tail. */
const rounding = 1e-9;

/** The same by the Jeffreys interval, which may be too low. */
export function jeffreysUpper(seen: { count: number; trials: number; level: number }): number {
  const { count, trials, level } = seen;
  return betaQuantile(1 - level, { a: count + 0.5, b: trials - count + 0.5 });
}

type UpperLimit = (seen: { count: number; trials: number; level: number }) => number;

/** Both limits hold at once but for `significance`. */
function limitsBy(upper: UpperLimit, counts: Counts, significance: number): RateLimits {
  const { truePositives, falseNegatives, falsePositives, trueNegatives } = counts;
  const level = significance / 2;
  return {
    falsePositive: upper({ count: falsePositives, trials: falsePositives + trueNegatives, level }),
    falseNegative: upper({ count: falseNegatives, trials: falseNegatives + truePositives, level }),
  };
}

/** ε that limits of both error rates imply: the larger of both directions, 0 where they imply nothing. */
export function epsilonOfLimits({ falsePositive, falseNegative }: RateLimits, delta: number): number {
  const direct = Math.log((1 - delta - falseNegative) / falsePositive);
  const mirrored = Math.log((1 - delta - falsePositive) / falseNegative);
  // A numerator below 0 has no logarithm, and implies nothing.
  return Math.max(0, direct || 0, mirrored || 0);
}

function withoutErrors(counts: Counts): Counts {
  return {
    truePositives: counts.truePositives + counts.falseNegatives,
    falseNegatives: 0,
    falsePositives: 0,
    trueNegatives: counts.falsePositives + counts.trueNegatives,
  };
}

function checkQuestion(question: RatesQuestion): { delta: number; significance: number } {
  checkCounts(question);
  return {
    delta: checkAuditDelta(question.delta),
    significance: checkSignificance(question.significance),
  };
}

/**
 * Lower bound on ε at δ from the error rates of a test in independent trainings, by Clopper–Pearson limits.
 *
 * Jagielski, Ullman and Oprea (arXiv 2006.07709), Nasr et al. (arXiv 2101.04535): ε >= log((1 - δ - FNR) / FPR) and the same with
 * the rates exchanged; each limit takes half of the significance.
 *
 * @param question - counts of trials that are independent, such as one training each: canaries of one training are not
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const counts = { truePositives: 95, falseNegatives: 5, falsePositives: 5, trueNegatives: 95 };
 * ratesBound({ ...counts, delta: 1e-5, significance: 0.05 }).epsilon; // ~2.06209
 * ```
 */
export function ratesBound(question: RatesQuestion): EpsilonLowerBound {
  const { delta, significance } = checkQuestion(question);
  const epsilonOf = (counts: Counts): number =>
    epsilonOfLimits(limitsBy(clopperPearsonUpper, counts, significance), delta);
  return {
    side: 'lower',
    family: 'any',
    epsilon: epsilonOf(question),
    detectionLimit: epsilonOf(withoutErrors(question)),
    trials: 'independent',
  };
}

/**
 * The same by Jeffreys limits: an estimate, because they may be too low.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const counts = { truePositives: 95, falseNegatives: 5, falsePositives: 5, trueNegatives: 95 };
 * jeffreysEstimate({ ...counts, delta: 1e-5, significance: 0.05 }).epsilon; // ~2.1312
 * ```
 */
export function jeffreysEstimate(question: RatesQuestion): EpsilonEstimate {
  const { delta, significance } = checkQuestion(question);
  return {
    side: 'estimate',
    epsilon: epsilonOfLimits(limitsBy(jeffreysUpper, question, significance), delta),
    because: 'Jeffreys limits do not promise their coverage',
  };
}

/**
 * Lower bound on μ, and by it on ε at δ, from the same rates for trainings whose trade-off curve is Gaussian.
 *
 * Nasr et al. (arXiv 2302.07956): μ >= Φ⁻¹(1 - FPR) - Φ⁻¹(FNR), and 0 where that is negative: a test that is wrong more often than
 * right shows nothing, unless the other direction was fixed beforehand.
 *
 * @param question - delta: in (0, 1)
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const counts = { truePositives: 95, falseNegatives: 5, falsePositives: 5, trueNegatives: 95 };
 * const bound = ratesGaussianBound({ ...counts, delta: 1e-5, significance: 0.05 });
 * bound.mu; // ~2.42318
 * bound.epsilon; // ~12.69665
 * ```
 */
export function ratesGaussianBound(question: RatesQuestion): EpsilonLowerBound & { readonly mu: number } {
  const { significance } = checkQuestion(question);
  const delta = checkDelta(question.delta, { verb, name: 'delta' });
  const muOf = (counts: Counts): number => {
    const { falsePositive, falseNegative } = limitsBy(clopperPearsonUpper, counts, significance);
    return Math.max(0, -normalQuantile(falsePositive) - normalQuantile(falseNegative));
  };
  const mu = muOf(question);
  return {
    side: 'lower',
    family: 'gaussian',
    mu,
    epsilon: epsilonOfMu(mu, delta),
    detectionLimit: epsilonOfMu(muOf(withoutErrors(question)), delta),
    trials: 'independent',
  };
}
