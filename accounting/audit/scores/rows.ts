import { DpError } from '../../check.ts';
import { logBinomialTail } from '../../numerics/binomial-tail.ts';
import { verb } from './arguments.ts';

/** What was tried with one canary. */
export interface CanaryScore {
  /** Its name, once in a run. */
  readonly canary: string;
  /** Whether it was trained on. */
  readonly included: boolean;
  /** Higher speaks for having been trained on. */
  readonly score: number;
  /** The unit of protection that it belongs to; itself where left out. */
  readonly unit?: string | undefined;
  /** How many copies of it were put in; 1 where left out. */
  readonly repeats?: number | undefined;
  /** The training that it was put into; one and the same where left out. */
  readonly run?: string | undefined;
}

/** Checked scores, by column. */
export interface ScoreColumns {
  readonly canaries: readonly string[];
  readonly included: Uint8Array;
  readonly scores: Float64Array;
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

function duplicate(what: string, row: number): DpError {
  return new DpError(
    'DUPLICATE_RECORD',
    `Cannot ${verb}: the ${what} of row ${row + 1} occurred before in the same run. Give each one row.`,
  );
}

/**
 * Checks rows and turns them into columns.
 *
 * @param options - oneRowAUnit: whether a unit may have only one row in a run
 * @throws DpError `INVALID_DATA`: no rows, a score that is not finite, canaries all in or all out, repeats that differ;
 *   `DUPLICATE_RECORD`
 */
export function scoreColumns(
  rows: readonly CanaryScore[],
  options: { readonly oneRowAUnit: boolean },
): ScoreColumns {
  if (rows.length === 0) throw invalidRows('there are 0 scores', 'Give one row a canary');
  checkNames(rows, options);
  const included = Uint8Array.from(rows, row => Number(row.included));
  const includedCount = included.reduce((sum, value) => sum + value, 0);
  if (includedCount === 0 || includedCount === rows.length) {
    const advice = 'Include each canary by a fair coin, and give the scores of both sorts';
    throw invalidRows(`${includedCount} of ${rows.length} canaries were included`, advice);
  }
  const { runs, runCount } = runsOf(rows);
  return {
    canaries: rows.map(({ canary }) => canary),
    included,
    scores: scoresOf(rows),
    runs,
    runCount,
    repeats: repeatsOf(rows),
    includedCount,
  };
}

function scoresOf(rows: readonly CanaryScore[]): Float64Array {
  const scores = new Float64Array(rows.length);
  for (let row = 0; row < rows.length; row += 1) {
    scores[row] = rows[row]!.score;
    if (!Number.isFinite(scores[row]!))
      throw invalidRows(`the score of row ${row + 1} is ${scores[row]}`, 'Give finite numbers');
  }
  return scores;
}

function checkNames(rows: readonly CanaryScore[], { oneRowAUnit }: { readonly oneRowAUnit: boolean }): void {
  const [canaries, units] = [new Set<string>(), new Set<string>()];
  for (let row = 0; row < rows.length; row += 1) {
    const { canary, unit = canary, run = '' } = rows[row]!;
    const [name, owner] = [`${run}\n${canary}`, `${run}\n${unit}`];
    if (canaries.has(name)) throw duplicate('canary', row);
    if (oneRowAUnit && units.has(owner)) throw duplicate('unit', row);
    canaries.add(name);
    units.add(owner);
  }
}

function runsOf(rows: readonly CanaryScore[]): { runs: Int32Array; runCount: number } {
  const numbers = new Map<string, number>();
  const runs = Int32Array.from(rows, ({ run = '' }) => {
    const known = numbers.get(run) ?? numbers.size;
    numbers.set(run, known);
    return known;
  });
  return { runs, runCount: numbers.size };
}

function repeatsOf(rows: readonly CanaryScore[]): number {
  const first = rows[0]!.repeats ?? 1;
  for (let row = 0; row < rows.length; row += 1) {
    const repeats = rows[row]!.repeats ?? 1;
    if (!Number.isSafeInteger(repeats) || repeats < 1)
      throw invalidRows(`row ${row + 1} has ${repeats} repeats`, 'Give whole numbers of at least 1');
    if (repeats !== first)
      throw invalidRows(`row 1 has ${first} repeats and row ${row + 1} has ${repeats}`, 'Audit them apart');
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
  const seen = new Map<string, number>();
  let again = 0;
  for (let row = 0; row < canaries.length; row += 1) {
    const before = seen.get(canaries[row]!);
    if (before === undefined) seen.set(canaries[row]!, included[row]!);
    else if (before !== included[row]) return false;
    else again += 1;
  }
  return again * Math.LN2 > -Math.log(unbelievable);
}
