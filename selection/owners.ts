import { DpError } from '../accounting/check.ts';
import { checkColumns } from './contract.ts';
import { compareUtf8 } from './key.ts';
import { orderedRows, type OwnerLists, Ownership } from './owners-order.ts';
import { repeatedRecords } from './owners-repeats.ts';
import { type CapRule, checkCapRule, isMergeable, isWellFormed } from './rule.ts';
import type { NumberColumn } from './selector.ts';

export type { OwnerLists } from './owners-order.ts';

/** Records that may belong to several users; every column has one entry a record. */
export interface OwnedRecords {
  /** Distinct user ids. */
  readonly users: readonly string[];
  readonly owners: OwnerLists;
  readonly ids: readonly string[];
  /** For longest and shortest, in one unit. */
  readonly lengths?: NumberColumn | undefined;
  /** For the token cap; default `lengths`. */
  readonly tokens?: NumberColumn | undefined;
  /** For highest and lowest perplexity. */
  readonly scores?: NumberColumn | undefined;
}

/** What a cap over all owners keeps. */
export interface OwnedSelection {
  /** Rows kept, in canonical order: by the list of owners, then by record id, all by UTF-8 bytes. */
  readonly rows: Int32Array;
  /** Under `truncate`: row to tokens that stay, at least 1. */
  readonly cuts: ReadonlyMap<number, number>;
  /** Records kept of each user, by place in `users`; at most recordsPerUser. */
  readonly recordsOf: Int32Array;
  /** Tokens kept of each user; at most tokensPerUser. All 0 without a token cap. */
  readonly tokensOf: Float64Array;
}

/**
 * Lays lists of owners out in two arrays.
 *
 * @param lists - for each record the places of its owners in `users`, in any order; one named twice counts once
 * @example
 * ```ts
 * const { starts, indices } = ownerLists([[0], [1, 0]]);
 * [[...starts], [...indices]]; // [[0, 1, 3], [0, 1, 0]]
 * ```
 */
export function ownerLists(lists: readonly (readonly number[])[]): OwnerLists {
  const starts = new Int32Array(lists.length + 1);
  for (const [row, list] of lists.entries()) starts[row + 1] = starts[row]! + list.length;
  const indices = new Int32Array(starts.at(-1)!);
  for (const [row, list] of lists.entries()) indices.set(list, starts[row]);
  return { starts, indices };
}

function invalid(reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot select: ${reason}. ${advice}.`);
}

function checkUsers(users: readonly string[]): void {
  if (new Set(users).size < users.length) {
    throw invalid('a user id occurs twice', 'Give each user one place, else their records are capped twice');
  }
  if (!users.every(user => isWellFormed(user) && user !== '')) {
    throw invalid('a user id is empty or holds a lone surrogate', 'Give well-formed text');
  }
}

function checkOwners({ users, owners, ids }: OwnedRecords): void {
  const { starts, indices } = owners;
  if (starts.length !== ids.length + 1 || starts[0] !== 0 || starts.at(-1) !== indices.length) {
    throw invalid(
      `the owners of ${starts.length - 1} records are given but "ids" has ${ids.length}`,
      'Give one list of owners a record',
    );
  }
  for (let row = 0; row < ids.length; row++) {
    if (starts[row]! >= starts[row + 1]!) {
      throw invalid(`row ${row + 1} has no owner`, 'Name at least one, or leave the row out');
    }
    for (let at = starts[row]!; at < starts[row + 1]!; at++) {
      if (users[indices[at]!] === undefined) {
        throw invalid(`an owner of row ${row + 1} has no place among ${users.length} users`, 'Mend the list');
      }
    }
  }
}

/** The contract asks for an id of its own for each record of a user. */
function checkIds({ users, ids, owners }: OwnedRecords): void {
  for (const [row, id] of ids.entries()) {
    if (isWellFormed(id)) continue;
    throw invalid(`the id of row ${row + 1} holds a lone surrogate`, 'Give well-formed text');
  }
  const [repeated] = repeatedRecords({ ids, owners }, users.length);
  if (repeated === undefined) return;
  throw new DpError(
    'DUPLICATE_RECORD',
    `Cannot select: row ${repeated + 1} repeats a record id of one of its owners. Make ids unique for each owner.`,
  );
}

/** What every owner, by rank, has kept so far. */
class Budgets {
  readonly recordsOf: Int32Array;
  readonly tokensOf: Float64Array;
  readonly cuts = new Map<number, number>();
  readonly #isClosed: Uint8Array;
  readonly #mostRecords: number;
  readonly #mostTokens: number;
  readonly #truncates: boolean;

  constructor(users: number, { recordsPerUser, tokensPerUser = null, tokenPolicy }: CapRule) {
    this.recordsOf = new Int32Array(users);
    this.tokensOf = new Float64Array(users);
    this.#isClosed = new Uint8Array(users);
    this.#mostRecords = recordsPerUser ?? Infinity;
    this.#mostTokens = tokensPerUser ?? Infinity;
    this.#truncates = tokenPolicy === 'truncate';
  }

  /** Takes a record into account where every owner has room for it. */
  keeps(row: number, owners: Int32Array, tokens: number): boolean {
    let left = Infinity;
    for (const owner of owners) {
      if (this.#isFull(owner)) return false;
      left = Math.min(left, this.#left(owner));
    }
    const isWhole = tokens <= left;
    const taken = isWhole ? tokens : left;
    if (!isWhole) this.#close(owners, this.#truncates ? left : tokens);
    if (!isWhole && (!this.#truncates || left <= 0)) return false;
    if (!isWhole) this.cuts.set(row, left);
    for (const owner of owners) {
      this.recordsOf[owner]! += 1;
      this.tokensOf[owner]! += taken;
    }
    return true;
  }

  #isFull(owner: number): boolean {
    return this.#isClosed[owner] === 1 || this.recordsOf[owner]! >= this.#mostRecords;
  }

  #left(owner: number): number {
    return this.#mostTokens - this.tokensOf[owner]!;
  }

  /** Ends the selection of owners who have no room for a record: of all its tokens, or of what stays of them. */
  #close(owners: Int32Array, tokens: number): void {
    for (const owner of owners) {
      const left = this.#left(owner);
      if (left < tokens || (this.#truncates && left === tokens)) this.#isClosed[owner] = 1;
    }
  }
}

/**
 * Applies a cap to records that may have several owners: every owner counts.
 *
 * Over all records in the order of the rule (its number, then K), a record is kept where each of its owners has kept
 * fewer than `recordsPerUser` so far and has room for its tokens. Under `stop` a record that passes the token cap of some
 * owners is left out and closes those; under `truncate` it is cut to the smallest room among its owners and closes those
 * whose room that was. A record that an owner who is full or closed keeps out changes nothing for the others. Where every
 * record has one owner this is `selectRows`, record for record.
 *
 * Not user-local: a record kept for one user can keep out a record of another. So who owns which record, and the ids, are
 * taken as public, as in greedy contribution bounding elsewhere (arXiv 2503.03622); under the strategies that look into
 * records their lengths or scores are taken as public too, so prefer `random` (choices `owner-graph` and `owner-order` of
 * `privacyCostOf`). Nor can shards be merged: a record that one shard leaves out may have room once a better record of
 * another shard has displaced what kept it out. The result does not depend on the order of the rows, save under `first`.
 *
 * @param records - ids unique among the records of each owner
 * @throws DpError `INVALID_ARGUMENT` for a rule without a cap or a column that it needs; `INVALID_DATA` for a row without
 *   owners, a user named twice, or NaN; `DUPLICATE_RECORD`
 * @example
 * ```ts
 * const owners = ownerLists([[0, 1], [1], [0]]);
 * const records = { users: ['ada', 'bo'], owners, ids: ['mail', 'note', 'list'], lengths: [9, 5, 1] };
 * const { rows, recordsOf } = selectOwned(records, { strategy: 'longest', recordsPerUser: 1, seed: '42' });
 * [...rows]; // [0]
 * [...recordsOf]; // [1, 1]
 * ```
 */
export function selectOwned(records: OwnedRecords, rule: CapRule): OwnedSelection {
  checkCapRule(rule, 'select');
  if (!isMergeable(rule.strategy)) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: a ${rule.strategy} lies within the records of one owner, and these may have several. Use random.`,
    );
  }
  checkUsers(records.users);
  checkOwners(records);
  const columns = checkColumns(records, rule);
  checkIds(records);
  const ownership = new Ownership(records, rule.seed);
  const budgets = new Budgets(records.users.length, rule);
  const isCapped = (rule.tokensPerUser ?? null) !== null;
  const kept = orderedRows(columns, rule, ownership).filter(row =>
    budgets.keeps(row, ownership.ownersOf(row), isCapped ? columns.tokens![row]! : 0),
  );
  const { ids } = records;
  kept.sort((a, b) => ownership.compare(a, b) || compareUtf8(ids[a]!, ids[b]!));
  return {
    rows: kept,
    cuts: budgets.cuts,
    recordsOf: ownership.rankOf.map(rank => budgets.recordsOf[rank]!),
    tokensOf: Float64Array.from(ownership.rankOf, rank => budgets.tokensOf[rank]!),
  };
}
