import { DpError } from '../accounting/check.ts';
import { compareKeys, KeyHasher, keyWords } from './key.ts';
import { type CapRule, isMergeable, usesLengths, usesScores } from './rule.ts';
import { selectNumber } from './select-number.ts';
import { windowOf, windowStart } from './window.ts';

/** Numbers by row; typed arrays keep the inner loops fast. */
export type NumberColumn = Float64Array | Int32Array | readonly number[];

/** Record ids that are no strings; they hand themselves to the hasher. */
export interface PackedIds {
  /** Writes the eight words of K of a row. */
  writeKey(row: number, hasher: KeyHasher, target: { out: Uint32Array; at: number }): void;
}

/** What an order may look at, by row. */
export interface SelectionColumns {
  readonly ids: readonly string[];
  /** For longest and shortest. */
  readonly lengths?: NumberColumn | undefined;
  /** For the token cap. */
  readonly tokens?: NumberColumn | undefined;
  /** For highest and lowest perplexity. */
  readonly scores?: NumberColumn | undefined;
}

/** The same with ids in either form. */
export type RankColumns = Omit<SelectionColumns, 'ids'> & { readonly ids: readonly string[] | PackedIds };

/** Rows of one user among others: from `start` to `end` of `rows`. */
interface RowRange {
  readonly rows: Int32Array;
  readonly start: number;
  readonly end: number;
}

/** What is known of a record: nothing, that its K is written, that it is among the best. */
const [unmarked, hasKey, taken] = [0, 1, 2];

/**
 * Applies one rule to one user after the other, reusing its buffers.
 *
 * Records are compared by a number first (`#primary`: score, length, place, or the leading 53 bits of K) and by the
 * whole of K where that ties, so K is computed only for records that tie.
 */
export class Selector {
  #columns: RankColumns;
  readonly #rule: CapRule;
  readonly #hasher: KeyHasher;
  #primary: Float64Array = new Float64Array(0);
  /** A copy of `#primary` to be moved about. */
  #values: Float64Array = new Float64Array(0);
  #keys: Uint32Array = new Uint32Array(0);
  #marks: Uint8Array = new Uint8Array(0);
  #order: Int32Array = new Int32Array(0);
  #rows: Int32Array = new Int32Array(0);
  /** The user's rows stand in `#rows` from here on. */
  #start = 0;
  #count = 0;
  #user: string | (() => string) = '';
  #isUserSet = false;

  constructor(columns: RankColumns, rule: CapRule) {
    this.#columns = columns;
    this.#rule = rule;
    this.#hasher = new KeyHasher(rule.seed);
  }

  /** Goes on with other records, keeping the memory. */
  use(columns: RankColumns): void {
    this.#columns = columns;
  }

  /** True where no cap binds, so that nothing needs to be ordered. */
  keepsAll(rows: Int32Array, start = 0, end: number = rows.length): boolean {
    const { recordsPerUser, tokensPerUser = null } = this.#rule;
    if (recordsPerUser !== null && end - start > recordsPerUser) return false;
    return tokensPerUser === null || this.#totalTokens(rows, start, end) <= tokensPerUser;
  }

  /**
   * The rows a user keeps, best first.
   *
   * @param rows - the user's rows in the order given
   * @param partial - also keep the first record that passes the token cap, which a later merge of shards needs
   * @throws DpError `INVALID_ARGUMENT` for a part of a user under a strategy that is not mergeable
   */
  keep(user: string, rows: Int32Array, partial = false): Int32Array {
    if (partial) this.#checkMergeable();
    this.#use(user, { rows, start: 0, end: rows.length });
    this.#loadPrimary();
    const best = this.#chosen();
    const kept = new Int32Array(best.length);
    for (let i = 0; i < kept.length; i++) kept[i] = rows[best[i]!]!;
    return kept.subarray(0, this.#withinTokens(kept, partial));
  }

  /**
   * As `keep` where there is no token cap, in no order and without an array for each user.
   *
   * @param user - its text, asked for where a key is needed
   * @param range - the user's rows stand in `rows` from `start` to `end`
   * @param target - where kept rows go
   * @returns how many there are
   */
  keepInto(user: () => string, range: RowRange, target: { out: Int32Array; at: number }): number {
    this.#use(user, range);
    this.#loadPrimary();
    const limit = this.#limit;
    if (this.#rule.strategy === 'random-window') this.#emit(this.#chosen(), limit, target);
    else if (limit === 0) return 0;
    else this.#emitBest(limit, target);
    return limit;
  }

  /** The first `limit` by number, and by key where the last of them tie; in the order in which they stand. */
  #emitBest(limit: number, { out, at }: { out: Int32Array; at: number }): void {
    const last = this.#valueAt(limit);
    const isTaken = this.#takeTies(last, limit);
    const [primary, rows, start] = [this.#primary, this.#rows, this.#start];
    let next = at;
    for (let i = 0; i < this.#count; i++) {
      const value = primary[i]!;
      if (value < last || (value === last && isTaken[i] === taken)) out[next++] = rows[start + i]!;
    }
  }

  /** Marks those of the records that tie at the last number which belong to the first `limit`. */
  #takeTies(last: number, limit: number): Uint8Array {
    const [primary, order, marks] = [this.#primary, this.#order, this.#marks];
    let best = 0;
    let ties = 0;
    for (let i = 0; i < this.#count; i++) {
      if (primary[i]! < last) best += 1;
      else if (primary[i] === last) order[ties++] = i;
    }
    const missing = limit - best;
    if (missing < ties) this.#partition(missing, ties);
    for (let i = 0; i < missing; i++) marks[order[i]!] = taken;
    return marks;
  }

  #emit(order: Int32Array, length: number, { out, at }: { out: Int32Array; at: number }): void {
    for (let i = 0; i < length; i++) out[at + i] = this.#rows[this.#start + order[i]!]!;
  }

  /** The number at a place, from 1 on, in rising order. */
  #valueAt(place: number): number {
    const values = this.#values;
    for (let i = 0; i < this.#count; i++) values[i] = this.#primary[i]!;
    return selectNumber(values, { count: this.#count, place });
  }

  /** Records that the cap on them leaves. */
  get #limit(): number {
    return Math.min(this.#rule.recordsPerUser ?? this.#count, this.#count);
  }

  #chosen(): Int32Array {
    const limit = this.#limit;
    return this.#rule.strategy === 'random-window' ? this.#window(limit) : this.#best(limit);
  }

  #checkMergeable(): void {
    const { strategy } = this.#rule;
    if (isMergeable(strategy)) return;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: a ${strategy} cannot be merged from parts of a user. Give all records of a user at once.`,
    );
  }

  /** The first `limit` positions in order. */
  #best(limit: number): Int32Array {
    this.#resetOrder();
    if (limit < this.#count) this.#partition(limit, this.#count);
    return this.#order.subarray(0, limit).sort((a, b) => this.#compare(a, b));
  }

  #window(limit: number): Int32Array {
    const count = this.#count;
    const start = windowStart(this.#userText, { seed: this.#rule.seed, count });
    return windowOf(this.#best(count), { start, length: limit });
  }

  get #userText(): string {
    return typeof this.#user === 'string' ? this.#user : this.#user();
  }

  #totalTokens(rows: Int32Array, start: number, end: number): number {
    const tokens = this.#columns.tokens!;
    let total = 0;
    for (let i = start; i < end; i++) total += tokens[rows[i]!]!;
    return total;
  }

  #withinTokens(kept: Int32Array, partial: boolean): number {
    const { tokensPerUser = null, tokenPolicy } = this.#rule;
    if (tokensPerUser === null) return kept.length;
    const tokens = this.#columns.tokens!;
    let total = 0;
    for (let i = 0; i < kept.length; i++) {
      const before = total;
      total += tokens[kept[i]!]!;
      if (total > tokensPerUser)
        return partial || (tokenPolicy === 'truncate' && before < tokensPerUser) ? i + 1 : i;
    }
    return kept.length;
  }

  #use(user: string | (() => string), { rows, start, end }: RowRange): void {
    const count = end - start;
    this.#reserve(count);
    this.#rows = rows;
    this.#start = start;
    this.#count = count;
    this.#user = user;
    this.#isUserSet = false;
    for (let i = 0; i < count; i++) this.#marks[i] = unmarked;
  }

  /** One loop for each kind of order: asking which it is for every row costs as much as a short hash. */
  #loadPrimary(): void {
    const { strategy } = this.#rule;
    const { lengths, scores } = this.#columns;
    const column = usesLengths(strategy) ? lengths : usesScores(strategy) ? scores : undefined;
    const primary = this.#primary;
    const count = this.#count;
    if (column !== undefined) {
      const sign = strategy === 'longest' || strategy === 'highest-perplexity' ? -1 : 1;
      const [rows, start] = [this.#rows, this.#start];
      for (let i = 0; i < count; i++) primary[i] = sign * column[rows[start + i]!]!;
    } else if (strategy === 'first') for (let i = 0; i < count; i++) primary[i] = i;
    else for (let i = 0; i < count; i++) primary[i] = this.#leadingBits(i);
  }

  #leadingBits(position: number): number {
    const at = this.#keyAt(position);
    return this.#keys[at]! * 2 ** 21 + (this.#keys[at + 1]! >>> 11);
  }

  #keyAt(position: number): number {
    const at = position * keyWords;
    if (this.#marks[position] === unmarked) {
      this.#writeKey(this.#rows[this.#start + position]!, { out: this.#keys, at });
      this.#marks[position] = hasKey;
    }
    return at;
  }

  #writeKey(row: number, target: { out: Uint32Array; at: number }): void {
    const { ids } = this.#columns;
    if (!this.#isUserSet) this.#hasher.setUser(this.#userText);
    this.#isUserSet = true;
    if ('writeKey' in ids) ids.writeKey(row, this.#hasher, target);
    else this.#hasher.write(ids[row]!, target);
  }

  #compare(left: number, right: number): number {
    const x = this.#primary[left]!;
    const y = this.#primary[right]!;
    if (x < y) return -1;
    if (x > y) return 1;
    return left === right ? 0 : compareKeys(this.#keys, this.#keyAt(left), this.#keyAt(right));
  }

  #reserve(count: number): void {
    if (count <= this.#order.length) return;
    const capacity = Math.max(count, 2 * this.#order.length);
    this.#order = new Int32Array(capacity);
    this.#primary = new Float64Array(capacity);
    this.#values = new Float64Array(capacity);
    this.#marks = new Uint8Array(capacity);
    this.#keys = new Uint32Array(capacity * keyWords);
  }

  #resetOrder(): void {
    for (let i = 0; i < this.#count; i++) this.#order[i] = i;
  }

  /** Quickselect (Hoare): moves the `limit` best of the first `count` positions of `#order` to its front, in no order. */
  #partition(limit: number, count: number): void {
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const [left, right] = this.#split(low, high);
      if (limit - 1 <= right) high = right;
      else if (limit - 1 >= left) low = left;
      else return;
    }
  }

  /** One pass of Hoare's partition; everything up to the second result is not after everything from the first on. */
  #split(low: number, high: number): [number, number] {
    const order = this.#order;
    const pivot = order[(low + high) >>> 1]!;
    let left = low;
    let right = high;
    while (left <= right) {
      while (this.#compare(order[left]!, pivot) < 0) left++;
      while (this.#compare(order[right]!, pivot) > 0) right--;
      if (left > right) break;
      const swapped = order[left]!;
      order[left++] = order[right]!;
      order[right--] = swapped;
    }
    return [left, right];
  }
}
