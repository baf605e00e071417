import { bisect } from '../../numerics/bisect.ts';
import { gaussianDelta, invertDelta } from '../../profiles/single.ts';
import { checkDelta } from '../../check.ts';
import { checkAuditDelta, checkGuesses, checkSignificance, type Guesses, verb } from './arguments.ts';
import type { EpsilonLowerBound } from './bound.ts';
import { gaussianTradeoff, type Tradeoff, tradeoffOfPromise } from './tradeoff.ts';

/** More than what the rounding of as many sums as there are guesses can do. */
const rounding = 1e-9;

/**
 * Whether so many correct guesses about the canaries of one run reject a trade-off curve.
 *
 * Mahloujifar, Melis and Chaudhuri (arXiv 2410.22235), Algorithm 3, for guesses between in and out: if the training is f-DP for one
 * canary, of which each was included by a fair coin, this happens with probability at most the significance.
 *
 * @param test - curve: a lower bound of the trade-off curve; significance: in (0, 0.5)
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { gaussianTradeoff } from 'privacy-unit/accounting/audit';
 * const guesses = { canaries: 1000, guesses: 100, correct: 95, significance: 0.05 };
 * rejectsTradeoff({ ...guesses, curve: gaussianTradeoff(0.5) }); // true
 * rejectsTradeoff({ ...guesses, curve: gaussianTradeoff(2) }); // false
 * ```
 */
export function rejectsTradeoff(
  test: Guesses & { readonly curve: Tradeoff; readonly significance: number },
): boolean {
  checkGuesses(test);
  return rejects(test, test.curve, checkSignificance(test.significance));
}

function rejects({ canaries, guesses, correct }: Guesses, curve: Tradeoff, level: number): boolean {
  const most = (guesses / canaries) * (1 + rounding);
  let right = (level * correct) / canaries;
  let wrong = (level * (guesses - correct)) / canaries;
  for (let i = correct - 1; i >= 0 && right + wrong <= most; i -= 1) {
    const next = curve(right);
    if (next <= wrong) break;
    right = Math.min(1, right + (i / (guesses - i)) * (next - wrong));
    wrong = next;
  }
  return right + wrong > most;
}

/**
 * The smallest significance at which so many correct guesses reject a trade-off curve.
 *
 * @param test - curve: a lower bound of the claim's own trade-off curve
 * @returns from above, to four digits, and never below 1e-12
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { gaussianTradeoff } from 'privacy-unit/accounting/audit';
 * tradeoffPValue({ canaries: 1000, guesses: 100, correct: 95, curve: gaussianTradeoff(0.5) }); // ~5.05e-4
 * ```
 */
export function tradeoffPValue(test: Guesses & { readonly curve: Tradeoff }): number {
  checkGuesses(test);
  const isRejected = (logLevel: number): boolean => rejects(test, test.curve, Math.exp(logLevel));
  const least = Math.log(1e-12);
  if (isRejected(least)) return 1e-12;
  if (!isRejected(0)) return 1;
  return Math.exp(bisect(least, 0, isRejected, { width: 1e-4 }).outer);
}

/** The largest parameter whose curve is rejected, from below; curves fall as it grows. */
function largestRejected(curveOf: (at: number) => Tradeoff, guesses: Guesses, level: number): number {
  const isKept = (at: number): boolean => !rejects(guesses, curveOf(at), level);
  if (guesses.guesses === 0 || isKept(0)) return 0;
  let highest = 1;
  while (!isKept(highest) && highest < 1024) highest *= 2;
  return bisect(0, highest, isKept, { width: 1e-9 }).inner;
}

/** What a bound of one run is asked at. */
export interface FDpQuestion extends Guesses {
  readonly delta: number;
  readonly significance: number;
}

/**
 * Lower bound on ε at δ from the guesses about the canaries of one run: the largest ε for which the curve of (ε, δ)-DP itself is
 * rejected. It holds for every training, and is much tighter than {@link oneRunBound} where canaries × δ is not small.
 *
 * @param question - delta: in [0, 1), that of the claim; significance: in (0, 0.5)
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * fDpBound({ canaries: 1000, guesses: 100, correct: 95, delta: 1e-5, significance: 0.05 }).epsilon; // ~2.15574
 * ```
 */
export function fDpBound(question: FDpQuestion): EpsilonLowerBound {
  checkGuesses(question);
  const delta = checkAuditDelta(question.delta);
  const level = checkSignificance(question.significance);
  const curveOf = (epsilon: number): Tradeoff => tradeoffOfPromise({ epsilon, delta });
  const perfect = { ...question, correct: question.guesses };
  return {
    side: 'lower',
    family: 'any',
    epsilon: largestRejected(curveOf, question, level),
    detectionLimit: largestRejected(curveOf, perfect, level),
    trials: 'fair-coins',
  };
}

/**
 * Lower bound on μ, and by it on ε at δ, for trainings whose trade-off curve is Gaussian.
 *
 * It says "not μ-GDP for any smaller μ". A composition with subsampling is not exactly Gaussian, so against a claim about one the
 * claim's own curve has to be tested, by {@link rejectsTradeoff} and {@link tradeoffOfEvent}.
 *
 * @param question - delta: in (0, 1), that of the claim; significance: in (0, 0.5)
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const bound = fDpGaussianBound({ canaries: 1000, guesses: 100, correct: 95, delta: 1e-5, significance: 0.05 });
 * bound.epsilon; // ~3.32330
 * ```
 */
export function fDpGaussianBound(question: FDpQuestion): EpsilonLowerBound & { readonly mu: number } {
  checkGuesses(question);
  const delta = checkDelta(question.delta, { verb, name: 'delta' });
  const level = checkSignificance(question.significance);
  const mu = largestRejected(gaussianTradeoff, question, level);
  const most = largestRejected(gaussianTradeoff, { ...question, correct: question.guesses }, level);
  return {
    side: 'lower',
    family: 'gaussian',
    mu,
    epsilon: epsilonOfMu(mu, delta),
    detectionLimit: epsilonOfMu(most, delta),
    trials: 'fair-coins',
  };
}

/** ε at δ of a Gaussian mechanism, from below. */
export function epsilonOfMu(mu: number, delta: number): number {
  if (mu === 0) return 0;
  return invertDelta(epsilon => gaussianDelta(mu, epsilon), { delta, highest: mu * (mu + 80) }).lower;
}
