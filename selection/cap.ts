import { checkColumns } from './contract.ts';
import { compareUtf8 } from './key.ts';
import { groupByUser, type Records, rowsOfUser } from './records.ts';
import { type CapRule, checkCapRule } from './rule.ts';
import { type NumberColumn, Selector } from './selector.ts';

/** Numbers by row that a rule may look at. */
export interface SelectRowsOptions {
  /** For longest and shortest, in one unit. */
  readonly lengths?: NumberColumn | undefined;
  /** For the token cap; default `lengths`. */
  readonly tokens?: NumberColumn | undefined;
  /** For highest and lowest perplexity; default the scores of the records. */
  readonly scores?: NumberColumn | undefined;
}

/** Places of texts in canonical order. */
function canonicalPlaces(texts: readonly string[]): Int32Array {
  const places = Int32Array.from(texts, (_, index) => index);
  return places.sort((a, b) => compareUtf8(texts[a]!, texts[b]!));
}

/** Sorts rows of one user by record id, in place. */
function sortById(rows: Int32Array, ids: readonly string[]): Int32Array {
  return rows.length === 1 ? rows : rows.sort((a, b) => compareUtf8(ids[a]!, ids[b]!));
}

/** Rows kept, and of records that `truncate` cuts how many tokens stay. */
export interface CappedRows {
  readonly rows: Int32Array;
  readonly cuts: ReadonlyMap<number, number>;
}

/** Notes the last record of a user, best first, where all of them together pass the token cap. */
export function noteCut(
  kept: Int32Array,
  tokens: NumberColumn,
  cap: { tokensPerUser: number; cuts: Map<number, number> },
): void {
  let before = 0;
  for (const row of kept.subarray(0, -1)) before += tokens[row]!;
  const last = kept.at(-1);
  if (last === undefined || before + tokens[last]! <= cap.tokensPerUser) return;
  cap.cuts.set(last, cap.tokensPerUser - before);
}

/**
 * As `selectRows`, and says which records are to be cut under `truncate`.
 *
 * @returns `cuts`: row to tokens that stay, at least 1
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['bo', 'ada', 'bo'], id: ['1', '2', '3'] });
 * const records = readRecords(table, { user: 'user', id: 'id', file: 'mail.csv' });
 * const rule = { strategy: 'first', recordsPerUser: null, tokensPerUser: 6, tokenPolicy: 'truncate', seed: '42' };
 * [...selectCapped(records, rule, { tokens: [4, 4, 4] }).cuts]; // [[2, 2]]
 * ```
 */
export function selectCapped(records: Records, rule: CapRule, options: SelectRowsOptions = {}): CappedRows {
  checkCapRule(rule, 'select');
  const { ids, users } = records;
  const columns = checkColumns({ ids, scores: records.scores, ...defined(options) }, rule);
  const selector = new Selector(columns, rule);
  const groups = groupByUser(records);
  const out = new Int32Array(groups.rows.length);
  const cuts = new Map<number, number>();
  let count = 0;
  for (const user of canonicalPlaces(users)) {
    const rows = rowsOfUser(groups, user);
    const isWhole = selector.keepsAll(rows);
    const kept = isWhole ? rows : selector.keep(users[user]!, rows);
    if (!isWhole && rule.tokenPolicy === 'truncate' && columns.tokens !== undefined) {
      noteCut(kept, columns.tokens, { tokensPerUser: rule.tokensPerUser ?? Infinity, cuts });
    }
    out.set(sortById(kept, ids), count);
    count += kept.length;
  }
  return { rows: out.slice(0, count), cuts };
}

/**
 * Applies a per-user cap to a whole table: what `selectForUser` keeps of every user.
 *
 * Rows are grouped by a counting sort, and K is computed only for users above the cap; 10M records of 1M users take a
 * few seconds. User-local: the rows kept of one user depend on nothing but that user's records and the rule.
 *
 * @param records - from `readRecords`; `first` follows the order of its rows
 * @returns rows kept, in canonical order: by user, then by record id, both by UTF-8 bytes
 * @throws DpError `INVALID_ARGUMENT` for a rule without a cap or a column that it needs, `INVALID_DATA` for NaN
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['bo', 'ada', 'bo'], id: ['1', '2', '3'] });
 * const records = readRecords(table, { user: 'user', id: 'id', file: 'mail.csv' });
 * [...selectRows(records, { strategy: 'first', recordsPerUser: 1, seed: '42' })]; // [1, 0]
 * ```
 */
export function selectRows(records: Records, rule: CapRule, options: SelectRowsOptions = {}): Int32Array {
  return selectCapped(records, rule, options).rows;
}

function defined(options: SelectRowsOptions): SelectRowsOptions {
  return Object.fromEntries(Object.entries(options).filter(([, column]) => column !== undefined));
}

/**
 * Records per user among some rows (default all), in the order of `records.users`; users without any are left out.
 *
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['bo', 'ada', 'bo'], id: ['1', '2', '3'] });
 * const records = readRecords(table, { user: 'user', id: 'id', file: 'mail.csv' });
 * [...countsPerUser(records)]; // [2, 1]
 * ```
 */
export function countsPerUser(records: Records, rows?: Int32Array): Int32Array {
  const counts = new Int32Array(records.users.length);
  for (const row of rows ?? records.userOf.keys()) {
    const user = records.userOf[row]!;
    if (user >= 0) counts[user]! += 1;
  }
  return counts.filter(count => count > 0);
}
