import type { Guesses } from './arguments.ts';
import type { Counts } from './rates.ts';

/** Scores in ascending order, so that any number of guesses is counted fast. */
export interface Ranking {
  readonly scores: Float64Array;
  /** How many of the first i are included, i from 0 to all. */
  readonly includedBelow: Int32Array;
}

/** The rows that a ranking is made of. */
export interface Scored {
  readonly scores: Float64Array;
  readonly included: Uint8Array;
}

export function rankingOf({ scores, included }: Scored): Ranking {
  const order = Uint32Array.from(scores, (_, index) => index).sort((a, b) => scores[a]! - scores[b]!);
  const sorted = new Float64Array(order.length);
  const includedBelow = new Int32Array(order.length + 1);
  for (let place = 0; place < order.length; place += 1) {
    sorted[place] = scores[order[place]!]!;
    includedBelow[place + 1] = includedBelow[place]! + included[order[place]!]!;
  }
  return { scores: sorted, includedBelow };
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
  const { scores, includedBelow } = ranking;
  const all = scores.length;
  const correct = correctAbove(ranking, highest) + correctBelow(ranking, lowest);
  return { canaries: includedBelow.length - 1, guesses: Math.min(all, highest + lowest), correct };
}

function correctAbove({ scores, includedBelow }: Ranking, count: number): number {
  if (count === 0) return 0;
  const all = scores.length;
  const value = scores[all - count]!;
  const [from, to] = [placeOf(scores, value, false), placeOf(scores, value, true)];
  const left = to - from - (includedBelow[to]! - includedBelow[from]!);
  return includedBelow[all]! - includedBelow[to]! + Math.max(0, count - (all - to) - left);
}

function correctBelow({ scores, includedBelow }: Ranking, count: number): number {
  if (count === 0) return 0;
  const value = scores[count - 1]!;
  const [from, to] = [placeOf(scores, value, false), placeOf(scores, value, true)];
  const inside = includedBelow[to]! - includedBelow[from]!;
  return from - includedBelow[from]! + Math.max(0, count - from - inside);
}

/** Calls every canary included whose score is at least the threshold. */
export function countByThreshold({ scores, includedBelow }: Ranking, threshold: number): Counts {
  const all = scores.length;
  const place = placeOf(scores, threshold, false);
  const falseNegatives = includedBelow[place]!;
  const truePositives = includedBelow[all]! - falseNegatives;
  return {
    truePositives,
    falseNegatives,
    falsePositives: all - place - truePositives,
    trueNegatives: place - falseNegatives,
  };
}

/** The same as guesses about all canaries. */
export function guessByThreshold(ranking: Ranking, threshold: number): Guesses {
  const { truePositives, trueNegatives } = countByThreshold(ranking, threshold);
  const canaries = ranking.scores.length;
  return { canaries, guesses: canaries, correct: truePositives + trueNegatives };
}
