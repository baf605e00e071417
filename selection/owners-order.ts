import { compareKeys, compareUtf8, keyWords } from './key.ts';
import { OwnerKeyHasher } from './owners-key.ts';
import type { CapRule } from './rule.ts';
import type { SelectionColumns } from './selector.ts';

/** Owners of every record: those of row r are `indices[starts[r]]` to `indices[starts[r + 1] - 1]`, places in `users`. */
export interface OwnerLists {
  readonly starts: Int32Array;
  readonly indices: Int32Array;
}

/** Place of every user in the order of ids by UTF-8 bytes. */
function ranksOf(users: readonly string[]): { rankOf: Int32Array; names: string[] } {
  const order = Int32Array.from(users, (_, place) => place);
  order.sort((a, b) => compareUtf8(users[a]!, users[b]!));
  const rankOf = new Int32Array(users.length);
  for (const [rank, place] of order.entries()) rankOf[place] = rank;
  return { rankOf, names: Array.from(order, place => users[place]!) };
}

/** Sorts a few numbers, which costs less than the platform's call. */
function insertionSort(values: Int32Array, start: number, end: number): void {
  for (let i = start + 1; i < end; i++) {
    const value = values[i]!;
    let place = i;
    for (; place > start && values[place - 1]! > value; place--) values[place] = values[place - 1]!;
    values[place] = value;
  }
}

const few = 16;

/** Owners of every row as ascending ranks, each once. */
function rankedLists({ starts, indices }: OwnerLists, rankOf: Int32Array): OwnerLists {
  const ranked = indices.map(owner => rankOf[owner]!);
  const rankedStarts = new Int32Array(starts.length);
  let filled = 0;
  for (let row = 0; row + 1 < starts.length; row++) {
    const start = starts[row]!;
    const end = starts[row + 1]!;
    if (end - start <= few) insertionSort(ranked, start, end);
    else ranked.subarray(start, end).sort();
    for (let at = start; at < end; at++) {
      const rank = ranked[at]!;
      if (filled === rankedStarts[row] || rank !== ranked[filled - 1]) ranked[filled++] = rank;
    }
    rankedStarts[row + 1] = filled;
  }
  return { starts: rankedStarts, indices: ranked.subarray(0, filled) };
}

/** Who owns which row, with owners as ranks, and the keys K that follow from it. */
export class Ownership {
  /** Place in `users` to rank. */
  readonly rankOf: Int32Array;
  readonly #lists: OwnerLists;
  readonly #hasher: OwnerKeyHasher;

  constructor({ users, owners }: { users: readonly string[]; owners: OwnerLists }, seed: string) {
    const { rankOf, names } = ranksOf(users);
    this.rankOf = rankOf;
    this.#lists = rankedLists(owners, rankOf);
    this.#hasher = new OwnerKeyHasher(seed, names);
  }

  /** Ranks of a row's owners, ascending, each once; a view. */
  ownersOf(row: number): Int32Array {
    const { starts, indices } = this.#lists;
    return indices.subarray(starts[row], starts[row + 1]);
  }

  /** Orders rows by their owners, one after the other; a list before those that continue it. */
  compare(left: number, right: number): number {
    const { starts, indices } = this.#lists;
    const leftStart = starts[left]!;
    const rightStart = starts[right]!;
    const leftCount = starts[left + 1]! - leftStart;
    const rightCount = starts[right + 1]! - rightStart;
    const shorter = Math.min(leftCount, rightCount);
    for (let i = 0; i < shorter; i++) {
      const difference = indices[leftStart + i]! - indices[rightStart + i]!;
      if (difference !== 0) return difference;
    }
    return leftCount - rightCount;
  }

  /** Writes the eight words of K for a record of this id in this row. */
  writeKey(row: number, id: string, target: { out: Uint32Array; at: number }): void {
    this.#hasher.write(this.ownersOf(row), id, target);
  }
}

/** The leading 53 bits of K of every row. */
function leadingKeys(ids: readonly string[], ownership: Ownership): Float64Array {
  const leading = new Float64Array(ids.length);
  const key = new Uint32Array(keyWords);
  for (const [row, id] of ids.entries()) {
    ownership.writeKey(row, id, { out: key, at: 0 });
    leading[row] = key[0]! * 2 ** 21 + (key[1]! >>> 11);
  }
  return leading;
}

/** The number by which the rule orders before K, smaller first; undefined for `random`, which has none. */
function primaryOf({ lengths, scores }: SelectionColumns, { strategy }: CapRule): Float64Array | undefined {
  switch (strategy) {
    case 'longest':
      return Float64Array.from(lengths!, length => -length);
    case 'shortest':
      return Float64Array.from(lengths!);
    case 'highest-perplexity':
      return Float64Array.from(scores!, score => -score);
    case 'lowest-perplexity':
      return Float64Array.from(scores!);
    default:
      return undefined;
  }
}

/** Sign of left - right; equal infinite scores tie, where their difference is NaN. */
function compareNumbers(left: number, right: number): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** All rows, best first: by the rule's number, then by K; as given under `first`. */
export function orderedRows(columns: SelectionColumns, rule: CapRule, ownership: Ownership): Int32Array {
  const { ids } = columns;
  const rows = Int32Array.from(ids, (_, row) => row);
  if (rule.strategy === 'first') return rows;
  const leading = leadingKeys(ids, ownership);
  const primary = primaryOf(columns, rule) ?? leading;
  const keys = new Uint32Array(2 * keyWords);
  const compareWhole = (left: number, right: number): number => {
    ownership.writeKey(left, ids[left]!, { out: keys, at: 0 });
    ownership.writeKey(right, ids[right]!, { out: keys, at: keyWords });
    return compareKeys(keys, 0, keyWords);
  };
  return rows.sort((left, right) => {
    const first = compareNumbers(primary[left]!, primary[right]!);
    if (first !== 0 || left === right) return first;
    return compareNumbers(leading[left]!, leading[right]!) || compareWhole(left, right);
  });
}
