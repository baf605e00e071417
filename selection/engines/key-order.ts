import { compareKeys, KeyHasher, keyWords } from '../key.ts';
import type { PackedIds } from '../selector.ts';

/** Leading bits of K are whole numbers below this. */
const leadingSpan = 2 ** 53;

/** Puts all rows of one user into the order of K, with memory that the next user takes again. */
export class KeyOrder {
  readonly #hasher: KeyHasher;
  readonly #keys: Uint32Array = new Uint32Array(2 * keyWords);
  #leading: Float64Array = new Float64Array(0);
  #ends: Int32Array = new Int32Array(0);
  #order: Int32Array = new Int32Array(0);

  constructor(seed: string) {
    this.#hasher = new KeyHasher(seed);
  }

  /**
   * The rows in order, up to the next call.
   *
   * @param user - its text, asked for where a key is needed
   */
  sorted(user: () => string, rows: Int32Array, ids: PackedIds): Int32Array {
    if (rows.length < 2) return rows;
    this.#reserve(rows.length);
    this.#hasher.setUser(user());
    for (let i = 0; i < rows.length; i++) {
      ids.writeKey(rows[i]!, this.#hasher, { out: this.#keys, at: 0 });
      this.#leading[i] = this.#keys[0]! * 2 ** 21 + (this.#keys[1]! >>> 11);
    }
    this.#deal(rows.length);
    this.#settle(rows, ids);
    const order = this.#order;
    for (let i = 0; i < rows.length; i++) order[i] = rows[order[i]!]!;
    return order.subarray(0, rows.length);
  }

  /** Keys are spread evenly, so that as many buckets as rows leave little to sort. */
  #deal(count: number): void {
    const [leading, ends, order] = [this.#leading, this.#ends, this.#order];
    const scale = count / leadingSpan;
    for (let bucket = 0; bucket <= count; bucket++) ends[bucket] = 0;
    for (let i = 0; i < count; i++) ends[Math.floor(leading[i]! * scale)]! += 1;
    for (let bucket = 1; bucket <= count; bucket++) ends[bucket]! += ends[bucket - 1]!;
    for (let i = count - 1; i >= 0; i--) order[--ends[Math.floor(leading[i]! * scale)]!] = i;
  }

  /** Insertion sort of what is in order save within buckets. */
  #settle(rows: Int32Array, ids: PackedIds): void {
    const order = this.#order;
    for (let i = 1; i < rows.length; i++) {
      const moved = order[i]!;
      let at = i;
      for (; at > 0 && this.#isAfter(order[at - 1]!, moved, { rows, ids }); at--) order[at] = order[at - 1]!;
      order[at] = moved;
    }
  }

  #isAfter(left: number, right: number, { rows, ids }: { rows: Int32Array; ids: PackedIds }): boolean {
    const difference = this.#leading[left]! - this.#leading[right]!;
    if (difference !== 0) return difference > 0;
    ids.writeKey(rows[left]!, this.#hasher, { out: this.#keys, at: 0 });
    ids.writeKey(rows[right]!, this.#hasher, { out: this.#keys, at: keyWords });
    return compareKeys(this.#keys, 0, keyWords) > 0;
  }

  #reserve(count: number): void {
    if (count <= this.#order.length) return;
    const room = count + (count >> 1);
    this.#leading = new Float64Array(room);
    this.#ends = new Int32Array(room + 1);
    this.#order = new Int32Array(room);
  }
}
