import { checkCount, DpError } from '../../check.ts';
import { verb } from './arguments.ts';
import type { NameColumn } from './columns.ts';
import type { Scored } from './guesses.ts';
import type { ScoreColumns } from './rows.ts';

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
  const sorted = scores.slice().sort();
  let count = 0;
  for (let place = 0; place < sorted.length; place += 1)
    if (count === 0 || sorted[place] !== sorted[count - 1]) sorted[count++] = sorted[place]!;
  const stride = Math.max(1, count / mostThresholds);
  const taken = Math.min(count, mostThresholds);
  return Array.from({ length: taken }, (_, index) => sorted[Math.floor(index * stride)]!);
}

/** Both halves of some rows. */
export interface Halves {
  readonly choosing: Scored;
  readonly testing: Scored;
}

/** Halves by a hash of each canary's name and run (FNV-1a), so that neither the order nor the scores decide. */
export function halvesOf(columns: ScoreColumns): Halves {
  const sides = sidesOf(columns);
  const [choosing, testing] = [halfOf(columns, sides, 0), halfOf(columns, sides, 1)];
  if (choosing.scores.length > 0 && testing.scores.length > 0) return { choosing, testing };
  throw refused(`${sides.length} canaries leave a half empty`, 'Use more canaries or a grid');
}

function halfOf({ scores, included }: Scored, sides: Uint8Array, side: number): Scored {
  const half = { scores: new Float64Array(sides.length), included: new Uint8Array(sides.length) };
  let count = 0;
  for (let row = 0; row < sides.length; row += 1) {
    if (sides[row] !== side) continue;
    half.scores[count] = scores[row]!;
    half.included[count++] = included[row]!;
  }
  return { scores: half.scores.subarray(0, count), included: half.included.subarray(0, count) };
}

const hashStart = 0x811c9dc5;
const hashStep = 0x01000193;
const lineFeed = 10;

function sidesOf({ canaries, runNames }: ScoreColumns): Uint8Array {
  const sides = new Uint8Array(canaries.codes.length);
  for (let row = 0; row < sides.length; row += 1) {
    const name = Math.imul(hashedName(hashStart, canaries, row) ^ lineFeed, hashStep);
    sides[row] = mixedBit(runNames === undefined ? name : hashedName(name, runNames, row));
  }
  return sides;
}

function hashedName(start: number, { codes, bytes, offsets }: NameColumn, row: number): number {
  const end = offsets[codes[row]! + 1]!;
  let hash = start;
  for (let at = offsets[codes[row]!]!; at < end; at += 1) hash = Math.imul(hash ^ bytes[at]!, hashStep);
  return hash;
}

function mixedBit(start: number): number {
  let hash = Math.imul(start ^ (start >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & 1;
}
