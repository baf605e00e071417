/** One bit for every row of a source. */
export class RowBits {
  readonly #bits: Int32Array;

  constructor(rows: number) {
    this.#bits = new Int32Array((rows >>> 5) + 1);
  }

  set(row: number): void {
    this.#bits[row >>> 5]! |= 1 << (row & 31);
  }

  has(row: number): boolean {
    return ((this.#bits[row >>> 5]! >>> (row & 31)) & 1) === 1;
  }

  /** Whether any of `count` rows from `first` on is set. */
  hasAny(first: number, count: number): boolean {
    for (let row = first; row < first + count;) {
      if ((row & 31) === 0 && this.#bits[row >>> 5] === 0) row += 32;
      else if (this.has(row)) return true;
      else row += 1;
    }
    return false;
  }
}
