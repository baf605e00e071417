import { DpError } from '../accounting/check.ts';
import { compareUtf8 } from './key.ts';
import { type CapRule, checkCapRule, isWellFormed, usesLengths, usesScores } from './rule.ts';
import { type NumberColumn, Selector, type SelectionColumns } from './selector.ts';

/** Version of the written order below; a change of any rule raises it. */
export const contractVersion = 1;

/** One user's records in the order given; every column has one entry a record. */
export interface UserRecords extends SelectionColumns {
  readonly user: string;
}

/** Whole numbers 0 to count - 1. */
export function positions(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, index) => index);
}

function checkColumn(
  column: NumberColumn | undefined,
  expected: { rows: number; name: string; neededFor: string },
): NumberColumn {
  const { rows, name, neededFor } = expected;
  if (column === undefined) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: ${neededFor} needs "${name}", which is absent. Give one number a record.`,
    );
  }
  if (column.length !== rows) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: "${name}" has ${column.length} values but "ids" has ${rows}. Give one a record.`,
    );
  }
  return column;
}

function checkScores(scores: NumberColumn): void {
  for (let row = 0; row < scores.length; row++) {
    if (Number.isNaN(scores[row]!)) {
      throw new DpError(
        'INVALID_DATA',
        `Cannot select: the score of row ${row + 1} is NaN. Score every record or leave it out.`,
      );
    }
  }
}

function checkSizes(column: NumberColumn, name: string): void {
  for (let row = 0; row < column.length; row++) {
    if (!(column[row]! >= 0 && column[row]! < Infinity)) {
      throw new DpError(
        'INVALID_DATA',
        `Cannot select: "${name}" of row ${row + 1} is ${column[row]}. Give finite numbers of at least 0.`,
      );
    }
  }
}

/**
 * Checks that the columns which a rule looks at are there and in order, and lets lengths stand in for absent tokens.
 *
 * @returns the columns to select by
 */
export function checkColumns(columns: SelectionColumns, rule: CapRule): SelectionColumns {
  const rows = columns.ids.length;
  const { strategy } = rule;
  if (strategy === 'random-chunk') {
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot select: random-chunk keeps blocks, not records. Use chunksOfUser().',
    );
  }
  if (usesScores(strategy)) {
    checkScores(checkColumn(columns.scores, { rows, name: 'scores', neededFor: strategy }));
  }
  if (usesLengths(strategy)) {
    checkSizes(checkColumn(columns.lengths, { rows, name: 'lengths', neededFor: strategy }), 'lengths');
  }
  if ((rule.tokensPerUser ?? null) === null) return columns;
  const tokens = columns.tokens ?? columns.lengths;
  checkSizes(checkColumn(tokens, { rows, name: 'tokens', neededFor: 'tokensPerUser' }), 'tokens');
  return { ...columns, tokens };
}

/** Refuses duplicate and ill-formed ids: K orders nothing where two records share it. */
function checkIds(user: string, ids: readonly string[]): void {
  if (!isWellFormed(user)) {
    throw new DpError(
      'INVALID_DATA',
      'Cannot select: the user id holds a lone surrogate. Give well-formed text.',
    );
  }
  const seen = new Set<string>();
  for (const [index, id] of ids.entries()) {
    if (!isWellFormed(id)) {
      throw new DpError(
        'INVALID_DATA',
        `Cannot select: the id of record ${index + 1} holds a lone surrogate. Give well-formed text.`,
      );
    }
    seen.add(id);
    if (seen.size <= index) {
      throw new DpError(
        'DUPLICATE_RECORD',
        `Cannot select: the id of record ${index + 1} occurs before. Give each record of a user its own id.`,
      );
    }
  }
}

/**
 * The records one user keeps under the selection contract, v1; a pure function of this user alone.
 *
 * Orders: `random` by K; `longest` and `shortest` by `lengths`; `highest-perplexity` and `lowest-perplexity` by
 * `scores`; each tie by K; `random-window` by K from `windowStart` on, with wrap-around; `first` by place as given (the
 * one order that depends on how rows are laid out).
 * K: see `recordKey`. Caps: the first `recordsPerUser` records and, in this order, records while the running sum of
 * `tokens` is at most `tokensPerUser`; under `stop` the first one beyond and all after it are left out, under
 * `truncate` it is kept and to be cut (`keptTokens` says where).
 *
 * @param records - `tokens` defaults to `lengths`, so give those in tokens where `tokensPerUser` is set
 * @param rule - caps of at least 1; `partial` keeps also the first record beyond the token cap, uncut: what a shard
 *   must pass on so that `select(A ∪ B) = select(partial(A) ∪ partial(B))`; refused for `random-window`, which shards
 *   cannot be merged under
 * @returns positions into `ids`, best first
 * @throws DpError `DUPLICATE_RECORD` where an id occurs twice, `INVALID_DATA` where a score is NaN
 * @example
 * ```ts
 * const records = { user: 'ada', ids: ['a', 'b', 'c'], lengths: [5, 9, 7] };
 * [...selectForUser(records, { strategy: 'longest', recordsPerUser: 2, seed: '42' })]; // [1, 2]
 * ```
 */
export function selectForUser(
  records: UserRecords,
  rule: CapRule & { readonly partial?: boolean },
): Int32Array {
  checkCapRule(rule, 'select');
  checkIds(records.user, records.ids);
  const columns = checkColumns(records, rule);
  const rows = positions(records.ids.length);
  return new Selector(columns, rule).keep(records.user, rows, rule.partial ?? false);
}

/**
 * Tokens that each kept record contributes: its own count, save that the last is cut where it passes the cap.
 *
 * @param kept - positions in key order, as `selectForUser` returns them under `truncate`
 * @param options - `tokens`: count by position; `tokensPerUser`: the cap
 * @returns shape [kept.length]; the sum is at most `tokensPerUser`
 * @example
 * ```ts
 * [...keptTokens(Int32Array.of(2, 0), { tokens: [4, 9, 5], tokensPerUser: 7 })]; // [5, 2]
 * ```
 */
export function keptTokens(
  kept: Int32Array,
  options: { tokens: NumberColumn; tokensPerUser: number },
): Int32Array {
  let left = options.tokensPerUser;
  return kept.map(position => {
    const count = Math.min(left, options.tokens[position]!);
    left -= count;
    return count;
  });
}

/**
 * Sorts ids into canonical order (UTF-8 bytes), leaving the input as it is.
 *
 * @example
 * ```ts
 * canonicalOrder(['\u{1f600}', '\uff01', 'a']); // ['a', '\uff01', '\u{1f600}']
 * ```
 */
export function canonicalOrder(ids: readonly string[]): string[] {
  return [...ids].sort(compareUtf8);
}
