import type { Guesses } from './arguments.ts';
import type { Counts } from './rates.ts';

/** Scores in ascending order, so that any number of guesses is counted fast. */
export interface Ranking {
  readonly scores: Float64Array;
  /** Those of the included canaries alone. */
  readonly included: Float64Array;
}

/** The rows that a ranking is made of. */
export interface Scored {
  readonly scores: Float64Array;
  readonly included: Uint8Array;
}

/** Sorted as plain numbers, which is many times as fast as sorting rows by a rule. */
export function rankingOf({ scores, included }: Scored): Ranking {
  return { scores: scores.slice().sort(), included: scoresWhere({ scores, included }, 1).sort() };
}

/** Scores of the canaries of one sort: 1 for those that are included. */
export function scoresWhere({ scores, included }: Scored, sort: number): Float64Array {
  const found = new Float64Array(scores.length);
  let count = 0;
  for (let row = 0; row < scores.length; row += 1) if (included[row] === sort) found[count++] = scores[row]!;
  return found.subarray(0, count);
}

/** First place whose score is at least `value`, or above it. */
function placeOf(scores: Float64Array, value: number, isAbove: boolean): number {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const isBefore = isAbove ? scores[middle]! <= value : scores[middle]! < value;
    if (isBefore) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Guesses "in" for the highest scores and "out" for the lowest. Where equal scores would have to be told apart the wrong guesses come
 * first: the order of the rows may depend on the coins.
 */
export function guessByRank(
  ranking: Ranking,
  { highest, lowest }: { readonly highest: number; readonly lowest: number },
): Guesses {
  const canaries = ranking.scores.length;
  const correct = correctAbove(ranking, highest) + correctBelow(ranking, lowest);
  return { canaries, guesses: Math.min(canaries, highest + lowest), correct };
}

function correctAbove({ scores, included }: Ranking, count: number): number {
  if (count === 0) return 0;
  const value = scores[scores.length - count]!;
  const above = scores.length - placeOf(scores, value, true);
  const includedAbove = included.length - placeOf(included, value, true);
  const includedTied = placeOf(included, value, true) - placeOf(included, value, false);
  const tied = placeOf(scores, value, true) - placeOf(scores, value, false);
  return includedAbove + Math.max(0, count - above - (tied - includedTied));
}

function correctBelow({ scores, included }: Ranking, count: number): number {
  if (count === 0) return 0;
  const value = scores[count - 1]!;
  const [below, includedBelow] = [placeOf(scores, value, false), placeOf(included, value, false)];
  const includedTied = placeOf(included, value, true) - includedBelow;
  return below - includedBelow + Math.max(0, count - below - includedTied);
}

/** Calls every canary included whose score is at least the threshold. */
export function countByThreshold({ scores, included }: Ranking, threshold: number): Counts {
  const place = placeOf(scores, threshold, false);
  const falseNegatives = placeOf(included, threshold, false);
  const truePositives = included.length - falseNegatives;
  return {
    truePositives,
    falseNegatives,
    falsePositives: scores.length - place - truePositives,
    trueNegatives: place - falseNegatives,
  };
}

/** The same as guesses about all canaries. */
export function guessByThreshold(ranking: Ranking, threshold: number): Guesses {
  const { truePositives, trueNegatives } = countByThreshold(ranking, threshold);
  const canaries = ranking.scores.length;
  return { canaries, guesses: canaries, correct: truePositives + trueNegatives };
}
