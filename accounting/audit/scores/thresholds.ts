import { checkCount, DpError } from '../../check.ts';
import { verb } from './arguments.ts';
import type { Scored } from './guesses.ts';

/** How canaries are told apart: by rank, the highest taken for included and the lowest for not, or by a threshold. */
export type Cut = { readonly highest: number; readonly lowest: number } | { readonly threshold: number };

/**
 * How a cut may be chosen, so that the level of the test stays what it says.
 *
 * `preregistered`: fixed before any score was seen. `split`: the best on one half of the canaries, used on the other. `grid`: the best
 * of a list that was fixed beforehand, each at its share of the significance (Bonferroni).
 * A share is that of canaries guessed at, half of them the highest and half the lowest.
 */
export type CutRule =
  | { readonly rule: 'preregistered'; readonly cut: Cut }
  | { readonly rule: 'split'; readonly shares?: readonly number[]; readonly thresholds?: readonly number[] }
  | { readonly rule: 'grid'; readonly shares: readonly number[] }
  | { readonly rule: 'grid'; readonly thresholds: readonly number[] };

/** Shares that are tried where none are given. */
export const usualShares: readonly number[] = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128];

/** A cut with its checks for so many canaries. */
export function checkCut(cut: Cut, canaries: number): Cut {
  if ('threshold' in cut) {
    if (Number.isFinite(cut.threshold)) return cut;
    throw refused(`the threshold is ${cut.threshold}`, 'Give a finite number');
  }
  checkCount(cut.highest, { verb, name: 'k_plus', least: 0 });
  checkCount(cut.lowest, { verb, name: 'k_minus', least: 0 });
  const guesses = cut.highest + cut.lowest;
  if (guesses > 0 && guesses <= canaries) return cut;
  throw refused(
    `${guesses} guesses about ${canaries} canaries were registered`,
    'Register at least one guess, and no more than there are canaries',
  );
}

function refused(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. ${advice}.`);
}

/** Shares as cuts for so many canaries, each once. */
export function cutsOfShares(shares: readonly number[], canaries: number): readonly Cut[] {
  const sides = shares.map(share => {
    if (share > 0 && share <= 1) return Math.max(1, Math.floor((share * canaries) / 2));
    throw refused(`a share of the grid is ${share}`, 'Give shares above 0 and at most 1');
  });
  if (sides.length === 0) throw refused('the grid has 0 shares', 'Give at least one');
  const lowestOf = (side: number): number => Math.min(side, canaries - side);
  return [...new Set(sides)].map(side => ({ highest: side, lowest: lowestOf(side) }));
}

/** Thresholds as cuts, each once. */
export function cutsOfThresholds(thresholds: readonly number[]): readonly Cut[] {
  if (thresholds.length === 0) throw refused('the grid has 0 thresholds', 'Give at least one');
  const finite = thresholds.find(threshold => !Number.isFinite(threshold));
  if (finite !== undefined) throw refused(`a threshold is ${finite}`, 'Give finite numbers');
  return [...new Set(thresholds)].map(threshold => ({ threshold }));
}

/** Thresholds between the scores at hand, for the half that chooses. */
const mostThresholds = 256;

export function thresholdsOf({ scores }: Scored): readonly number[] {
  const sorted = [...new Set(scores)].sort((a, b) => a - b);
  const stride = Math.max(1, sorted.length / mostThresholds);
  const count = Math.min(sorted.length, mostThresholds);
  return Array.from({ length: count }, (_, index) => sorted[Math.floor(index * stride)]!);
}

/** Both halves of some rows. */
export interface Halves {
  readonly choosing: Scored;
  readonly testing: Scored;
}

/** Halves by a hash of each canary's name and run (FNV-1a), so that neither the order nor the scores decide. */
export function halvesOf(
  { scores, included }: Scored,
  { canaries, runs }: { readonly canaries: readonly string[]; readonly runs: Int32Array },
): Halves {
  const isTesting = Uint8Array.from(canaries, (name, row) => hashBit(`${name}\n${runs[row]}`));
  const half = (side: number): Scored => ({
    scores: scores.filter((_, row) => isTesting[row] === side),
    included: included.filter((_, row) => isTesting[row] === side),
  });
  const [choosing, testing] = [half(0), half(1)];
  if (choosing.scores.length > 0 && testing.scores.length > 0) return { choosing, testing };
  throw refused(`${canaries.length} canaries leave a half empty`, 'Use more canaries or a grid');
}

function hashBit(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & 1;
}
