import { DpError } from '../../check.ts';
import type { Guesses } from './arguments.ts';
import { verb } from './arguments.ts';
import { bayesianEstimate } from './bayesian.ts';
import type { EpsilonEstimate, EpsilonLowerBound } from './bound.ts';
import { fDpBound, fDpGaussianBound, rejectsTradeoff, tradeoffPValue } from './f-dp.ts';
import {
  countByThreshold,
  guessByRank,
  guessByThreshold,
  type Ranking,
  rankingOf,
  type Scored,
} from './guesses.ts';
import { oneRunBound, oneRunPValue } from './one-run.ts';
import { type Counts, jeffreysEstimate, ratesBound, ratesGaussianBound } from './rates.ts';
import type { Cut } from './thresholds.ts';
import { type Tradeoff, tradeoffOfPromise } from './tradeoff.ts';

/** Ways to get from scores to ε. The first two need fair coins, the next three a threshold and independent trials. */
export const scoreMethods = [
  'one-run',
  'f-dp',
  'rates',
  'jeffreys',
  'bayesian',
  'one-shot',
  'lifted',
] as const;

/** One of {@link scoreMethods}. */
export type ScoreMethod = (typeof scoreMethods)[number];

/** What one cut shows. */
export interface Finding {
  readonly cut: Cut | null;
  /** A bound, or an estimate that refutes nothing. */
  readonly answer: EpsilonLowerBound | EpsilonEstimate;
  readonly guesses: Guesses;
  readonly counts: Counts | null;
  /** Whether the claim's own curve is rejected, and would have been had every guess been right; null where none was given. */
  readonly curve: { readonly isRejected: boolean; readonly couldBe: boolean } | null;
}

/** What is said of the finding that is shown, beside its answer. */
export interface Aside {
  /** Probability of as much under the claim, where the method has one. */
  readonly pValue: number | null;
  /** The bound for a Gaussian mechanism alone. */
  readonly gaussian: { readonly mu: number; readonly epsilon: number } | null;
}

/** What every cut is asked. */
export interface Asked {
  /** Largest ε that the claim stands for. */
  readonly epsilon: number;
  readonly delta: number;
  /** Share of the significance that a cut has. */
  readonly level: number;
  readonly curve: Tradeoff | undefined;
}

/** Turns what a cut shows of some rows into a finding. */
export type Examiner = (rows: Scored) => (cut: Cut, asked: Asked) => Finding;

function ranked(examine: (ranking: Ranking, cut: Cut, asked: Asked) => Finding): Examiner {
  return rows => {
    const ranking = rankingOf(rows);
    return (cut, asked) => examine(ranking, cut, asked);
  };
}

function guessesOf(ranking: Ranking, cut: Cut): Guesses {
  return 'threshold' in cut ? guessByThreshold(ranking, cut.threshold) : guessByRank(ranking, cut);
}

function oneRun(ranking: Ranking, cut: Cut, { delta, level }: Asked): Finding {
  const guesses = guessesOf(ranking, cut);
  return {
    cut,
    guesses,
    answer: oneRunBound({ ...guesses, delta, significance: level }),
    counts: null,
    curve: null,
  };
}

function fDp(ranking: Ranking, cut: Cut, { delta, level: significance, curve }: Asked): Finding {
  const guesses = guessesOf(ranking, cut);
  const question = { ...guesses, delta, significance };
  const rejects = (correct: number): boolean =>
    curve !== undefined && rejectsTradeoff({ ...guesses, correct, curve, significance });
  const isRejected = rejects(guesses.correct);
  return {
    cut,
    guesses,
    answer: fDpBound(question),
    curve: curve === undefined ? null : { isRejected, couldBe: isRejected || rejects(guesses.guesses) },
    counts: null,
  };
}

function byThreshold(
  answerOf: (question: Counts & { delta: number; significance: number }) => Finding['answer'],
): Examiner {
  return ranked((ranking, cut, { delta, level: significance }) => {
    if (!('threshold' in cut))
      throw new DpError(
        'INVALID_ARGUMENT',
        `Cannot ${verb}: ranks ${cut.highest} and ${cut.lowest} are no threshold. Give a threshold for this method.`,
      );
    const counts = countByThreshold(ranking, cut.threshold);
    const guesses = guessByThreshold(ranking, cut.threshold);
    return { cut, guesses, answer: answerOf({ ...counts, delta, significance }), counts, curve: null };
  });
}

/** The methods that look at each row by itself. */
export type RowMethod = Exclude<ScoreMethod, 'one-shot' | 'lifted'>;

/** Their examiners. */
export const examiners: Readonly<Record<RowMethod, Examiner>> = {
  'one-run': ranked(oneRun),
  'f-dp': ranked(fDp),
  rates: byThreshold(ratesBound),
  jeffreys: byThreshold(jeffreysEstimate),
  bayesian: byThreshold(bayesianEstimate),
};

/** p-value and Gaussian bound of the finding that is shown. */
export function asideOf(method: ScoreMethod, { guesses, counts }: Finding, asked: Asked): Aside {
  const { epsilon, delta, level: significance, curve } = asked;
  const hasDelta = delta > 0;
  if (method === 'one-run') return { pValue: oneRunPValue({ ...guesses, delta, epsilon }), gaussian: null };
  if (method === 'f-dp') {
    const pValue = tradeoffPValue({ ...guesses, curve: curve ?? tradeoffOfPromise({ epsilon, delta }) });
    return { pValue, gaussian: hasDelta ? fDpGaussianBound({ ...guesses, delta, significance }) : null };
  }
  const isRated = method === 'rates' && counts !== null && hasDelta;
  return { pValue: null, gaussian: isRated ? ratesGaussianBound({ ...counts, delta, significance }) : null };
}

/** Whether a method works with any number of guesses, and needs fair coins. */
export function isGuessing(method: ScoreMethod): boolean {
  return method === 'one-run' || method === 'f-dp';
}
