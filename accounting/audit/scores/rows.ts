import { DpError } from '../../check.ts';
import { logBinomialTail } from '../../numerics/binomial-tail.ts';
import { verb } from './arguments.ts';
import { type CanaryColumns, checkShape, type NameColumn, numberedRuns, repeatedPair } from './columns.ts';

/** Checked scores, by column. */
export interface ScoreColumns {
  readonly canaries: NameColumn;
  readonly included: Uint8Array;
  readonly scores: Float64Array;
  /** Names of the runs; undefined where there is but one. */
  readonly runNames: NameColumn | undefined;
  /** Number of the run of each row, from 0. */
  readonly runs: Int32Array;
  readonly runCount: number;
  /** Copies of each canary, the same for all. */
  readonly repeats: number;
  readonly includedCount: number;
}

function invalidRows(reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot ${verb}: ${reason}. ${advice}.`);
}

/**
 * Checks scores.
 *
 * @param options - oneRowAUnit: whether a unit may have only one row in a run
 * @throws DpError `INVALID_DATA`: no rows, a score that is not finite, canaries all in or all out, repeats that differ;
 *   `DUPLICATE_RECORD`; `INVALID_ARGUMENT`: columns that don't fit together
 */
export function scoreColumns(
  scores: CanaryColumns,
  options: { readonly oneRowAUnit: boolean },
): ScoreColumns {
  checkShape(scores);
  const { canary, included, score, run } = scores;
  const rows = score.length;
  if (rows === 0) throw invalidRows('there are 0 scores', 'Give one row a canary');
  const numbered = numberedRuns(scores);
  checkRepeated(scores, { ...numbered, ...options });
  const includedCount = sumOf(included);
  if (includedCount === 0 || includedCount === rows) {
    const advice = 'Include each canary by a fair coin, and give the scores of both sorts';
    throw invalidRows(`${includedCount} of ${rows} canaries were included`, advice);
  }
  checkFinite(score);
  const repeats = repeatsOf(scores.repeats);
  return { canaries: canary, included, scores: score, runNames: run, ...numbered, repeats, includedCount };
}

function sumOf(bits: Uint8Array): number {
  let sum = 0;
  for (let row = 0; row < bits.length; row += 1) sum += bits[row]!;
  return sum;
}

function checkFinite(scores: Float64Array): void {
  for (let row = 0; row < scores.length; row += 1)
    if (!Number.isFinite(scores[row]))
      throw invalidRows(`the score of row ${row + 1} is ${scores[row]}`, 'Give finite numbers');
}

function checkRepeated(
  { canary, unit }: CanaryColumns,
  options: { readonly oneRowAUnit: boolean; readonly runs: Int32Array; readonly runCount: number },
): void {
  checkOnce('canary', canary, options);
  if (options.oneRowAUnit && unit !== undefined) checkOnce('unit', unit, options);
}

function checkOnce(
  what: 'canary' | 'unit',
  { codes }: NameColumn,
  run: { readonly runs: Int32Array; readonly runCount: number },
): void {
  const pair = repeatedPair(codes, run);
  if (pair === undefined) return;
  throw new DpError(
    'DUPLICATE_RECORD',
    `Cannot ${verb}: rows ${pair[0] + 1} and ${pair[1] + 1} are of the same ${what} in the same run. Give each ${what} one row.`,
  );
}

function repeatsOf(repeats: Float64Array | undefined): number {
  if (repeats === undefined) return 1;
  const first = repeats[0]!;
  for (let row = 0; row < repeats.length; row += 1) {
    const count = repeats[row]!;
    if (!Number.isSafeInteger(count) || count < 1)
      throw invalidRows(`row ${row + 1} has ${count} repeats`, 'Give whole numbers of at least 1');
    if (count !== first)
      throw invalidRows(`row 1 has ${first} repeats and row ${row + 1} has ${count}`, 'Audit them apart');
  }
  return first;
}

/** How the canaries that went in were chosen. */
export type Inclusion = 'fair-coins' | 'fixed' | 'not-stated';

/** Chance that fair coins fall as unevenly, below which they are not believed. */
const unbelievable = 1e-9;

/**
 * Refuses inclusions that cannot have been fair coins, one for each canary and run.
 *
 * @throws DpError `INVALID_DATA`
 */
export function checkCoins(columns: ScoreColumns, inclusion: Inclusion): void {
  const { includedCount, included } = columns;
  const canaries = included.length;
  const advice = 'Toss a fair coin for each canary, or use the method rates with a run for each canary';
  if (inclusion === 'fixed') throw invalidRows('the canaries were split by a fixed rule', advice);
  if (inclusion === 'not-stated' && 2 * includedCount === canaries) {
    const stated = `State "inclusion: bernoulli(1/2)" if each canary had a fair coin of its own`;
    throw invalidRows(`exactly half of ${canaries} canaries were included, as a fixed split does`, stated);
  }
  const most = Math.max(includedCount, canaries - includedCount);
  const chance = 2 * Math.exp(logBinomialTail({ trials: canaries, probability: 0.5, least: most }));
  if (chance < unbelievable)
    throw invalidRows(
      `${includedCount} of ${canaries} canaries were included, which no fair coins do`,
      advice,
    );
  if (hasSharedCoins(columns)) {
    const reason = `every canary is in or out in all of ${columns.runCount} runs alike`;
    throw invalidRows(reason, 'Toss the coins anew for each run');
  }
}

/** Whether canaries that occur in several runs always fared alike, too many for chance. */
function hasSharedCoins({ canaries, included, runCount }: ScoreColumns): boolean {
  if (runCount === 1) return false;
  const { codes, offsets } = canaries;
  // 0 where a canary has not been seen, else how it fared and 1.
  const seen = new Uint8Array(offsets.length);
  let again = 0;
  for (let row = 0; row < codes.length; row += 1) {
    const before = seen[codes[row]!]!;
    if (before === 0) seen[codes[row]!] = included[row]! + 1;
    else if (before !== included[row]! + 1) return false;
    else again += 1;
  }
  return again * Math.LN2 > -Math.log(unbelievable);
}
