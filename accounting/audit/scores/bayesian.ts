import { bisect } from '../../numerics/bisect.ts';
import { betaCdf, betaQuantile, type BetaShape } from '../../numerics/incomplete-beta.ts';
import type { Interval } from '../../accountant.ts';
import { checkAuditDelta, checkSignificance } from './arguments.ts';
import { checkCounts, type RatesQuestion } from './rates.ts';
import type { EpsilonEstimate } from './bound.ts';

const points = 4000;
/** No credible ε is searched beyond: e^-40 is less than what a billion trials can show. */
const highest = 40;

interface Posterior {
  /** False negative rates, each standing for an equal share of belief. */
  readonly falseNegatives: Float64Array;
  readonly falsePositive: BetaShape;
  readonly delta: number;
}

/**
 * Credible limits of ε at δ under Jeffreys priors of both error rates.
 *
 * Zanella-Béguelin et al. (arXiv 2206.05199): the belief that both rates lie in the region that (ε, δ)-DP allows, solved for ε. A
 * credible interval is about belief, not about how often it errs, so this is an estimate.
 *
 * @param question - significance: belief that ε is below `epsilon`, and that it is outside of `interval`, half on each side
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const counts = { truePositives: 95, falseNegatives: 5, falsePositives: 5, trueNegatives: 95 };
 * bayesianEstimate({ ...counts, delta: 1e-5, significance: 0.05 }).epsilon; // ~2.5681
 * ```
 */
export function bayesianEstimate(question: RatesQuestion): EpsilonEstimate & { readonly interval: Interval } {
  checkCounts(question);
  const significance = checkSignificance(question.significance);
  const posterior = posteriorOf(question, checkAuditDelta(question.delta));
  const quantile = (belief: number): number => quantileOf(posterior, belief);
  return {
    side: 'estimate',
    epsilon: quantile(significance),
    interval: { lower: quantile(significance / 2), upper: quantile(1 - significance / 2) },
    because: 'a credible interval promises nothing of how often it errs',
  };
}

function posteriorOf(counts: RatesQuestion, delta: number): Posterior {
  const { truePositives, falseNegatives, falsePositives, trueNegatives } = counts;
  const shape = { a: 0.5 + falseNegatives, b: 0.5 + truePositives };
  const rates = new Float64Array(points);
  for (let index = 0; index < points; index += 1) rates[index] = betaQuantile((index + 0.5) / points, shape);
  return {
    falseNegatives: rates,
    falsePositive: { a: 0.5 + falsePositives, b: 0.5 + trueNegatives },
    delta,
  };
}

function quantileOf(posterior: Posterior, belief: number): number {
  const reaches = (epsilon: number): boolean => beliefIn(posterior, epsilon) >= belief;
  return reaches(0) ? 0 : bisect(0, highest, reaches, { width: 1e-7 }).outer;
}

/** Belief that both rates lie where (ε, δ)-DP allows. */
function beliefIn({ falseNegatives, falsePositive, delta }: Posterior, epsilon: number): number {
  const [grow, shrink] = [Math.exp(epsilon), Math.exp(-epsilon)];
  let sum = 0;
  for (let index = 0; index < falseNegatives.length; index += 1) {
    const x = falseNegatives[index]!;
    const least = Math.max(0, 1 - delta - grow * x, (1 - delta - x) * shrink);
    const most = Math.min(1, 1 + (delta - x) * shrink, delta + (1 - x) * grow);
    if (most > least) sum += betaCdf(most, falsePositive) - betaCdf(least, falsePositive);
  }
  return sum / falseNegatives.length;
}
