import { checkNonNegative } from '../../check.ts';
import { logBinomialDensity, logBinomialTail } from '../../numerics/binomial-tail.ts';
import { bisect } from '../../numerics/bisect.ts';
import { checkAuditDelta, checkGuesses, checkSignificance, type Guesses, verb } from './arguments.ts';
import type { EpsilonLowerBound } from './bound.ts';

/** What a test of a run is asked at. */
export interface OneRunQuestion extends Guesses {
  readonly delta: number;
}

/** More than what rounding can do to a p-value. */
const rounding = 1e-9;

/**
 * Largest probability of so many correct guesses if the training is (ε, δ)-DP for one canary, after a single run.
 *
 * Steinke, Nasr and Jagielski (arXiv 2305.08846), Theorem 5.2 and appendix D: each of the canaries was included by a fair coin of its
 * own; the auditor then guessed at `guesses` of them. Of the δ all canaries count, those not guessed at too.
 *
 * @param question - epsilon: in nats, >= 0; delta: in [0, 1)
 * @returns in (0, 1], to about ten digits; never decreases in ε
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * oneRunPValue({ canaries: 1000, guesses: 100, correct: 90, epsilon: 1, delta: 1e-5 }); // ~8.412885614e-4
 * ```
 */
export function oneRunPValue(question: OneRunQuestion & { readonly epsilon: number }): number {
  checkGuesses(question);
  checkAuditDelta(question.delta);
  checkNonNegative(question.epsilon, { verb, name: 'epsilon' });
  return pValue(question, question.epsilon);
}

function pValue({ canaries, guesses, correct, delta }: OneRunQuestion, epsilon: number): number {
  if (correct === 0) return 1;
  const law = { trials: guesses, probability: 1 / (1 + Math.exp(-epsilon)) };
  const beta = Math.exp(logBinomialTail({ ...law, least: correct }));
  if (delta === 0 || beta >= 1) return Math.min(1, beta);
  return Math.min(1, beta + 2 * canaries * delta * steepestShare(law, correct));
}

/** max over i of Pr[correct > B >= correct - i] ÷ i, summed from its own terms: a difference of tails would cancel. */
function steepestShare(
  law: { readonly trials: number; readonly probability: number },
  correct: number,
): number {
  const { trials, probability } = law;
  const logOdds = Math.log(probability / (1 - probability));
  let logTerm = logBinomialDensity(law, correct - 1);
  let [sum, best] = [0, 0];
  for (let i = 1; i <= correct && best * i < 1; i += 1) {
    sum += Math.exp(logTerm);
    best = Math.max(best, sum / i);
    const count = correct - i;
    logTerm += Math.log(count / (trials - count + 1)) - logOdds;
  }
  return best;
}

/** ε that no number of correct guesses can exceed at δ = 0: a^r = significance, ε = log(a / (1 - a)). */
function limitWithoutDelta(guesses: number, significance: number): number {
  const logShare = Math.log(significance) / guesses;
  return logShare - Math.log(-Math.expm1(logShare));
}

/** sup { ε : p(ε) <= significance }, from below. */
function largestRefuted(question: OneRunQuestion, significance: number): number {
  const isKept = (epsilon: number): boolean => pValue(question, epsilon) * (1 + rounding) > significance;
  if (question.guesses === 0 || isKept(0)) return 0;
  const highest = Math.max(0, limitWithoutDelta(question.guesses, significance)) + 1e-6;
  return bisect(0, highest, isKept, { width: 1e-9 }).inner;
}

/**
 * Lower bound on ε at δ from the guesses about the canaries of one run.
 *
 * @param question - delta: in [0, 1), that of the claim; significance: in (0, 0.5)
 * @returns a bound that is too large with probability at most the significance, if the number of guesses was not chosen by
 *   looking at which canaries were included
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const bound = oneRunBound({ canaries: 1000, guesses: 100, correct: 95, delta: 1e-5, significance: 0.05 });
 * bound.epsilon; // ~2.16518
 * bound.detectionLimit; // ~3.46538
 * ```
 */
export function oneRunBound(question: OneRunQuestion & { readonly significance: number }): EpsilonLowerBound {
  checkGuesses(question);
  checkAuditDelta(question.delta);
  const significance = checkSignificance(question.significance);
  const perfect = { ...question, correct: question.guesses };
  return {
    side: 'lower',
    family: 'any',
    epsilon: largestRefuted(question, significance),
    detectionLimit: largestRefuted(perfect, significance),
    trials: 'fair-coins',
  };
}

/**
 * How many guesses, all right, it takes to refute a claim of (ε, 0)-DP from one run.
 *
 * @param question - epsilon: in nats, >= 0; significance: in (0, 0.5)
 * @returns about e^ε log(1 / significance)
 * @example
 * ```ts
 * perfectGuessesNeeded({ epsilon: 3, significance: 0.05 }); // 62
 * ```
 */
export function perfectGuessesNeeded(question: {
  readonly epsilon: number;
  readonly significance: number;
}): number {
  const epsilon = checkNonNegative(question.epsilon, { verb, name: 'epsilon' });
  const significance = checkSignificance(question.significance);
  return Math.ceil(Math.log(significance) / -Math.log1p(Math.exp(-epsilon)));
}
