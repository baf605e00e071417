/** Bits set in a word. */
function countBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Says of rows of a source whether they are kept and where they go: one bit a row, and one number a kept row. */
export class KeptPlaces {
  readonly #bits: Int32Array;
  /** Kept rows before each word of bits. */
  readonly #before: Int32Array;
  /** Place of every kept row, in the order of the source. */
  readonly #places: Int32Array;

  /**
   * @param rows - kept rows in the order in which they go out, each once
   * @param total - rows of the source
   */
  constructor(rows: Int32Array | Float64Array, total: number) {
    this.#bits = new Int32Array((total >>> 5) + 1);
    this.#before = new Int32Array(this.#bits.length);
    this.#places = new Int32Array(rows.length);
    for (let place = 0; place < rows.length; place++)
      this.#bits[rows[place]! >>> 5]! |= 1 << (rows[place]! & 31);
    for (let word = 1; word < this.#bits.length; word++)
      this.#before[word] = this.#before[word - 1]! + countBits(this.#bits[word - 1]!);
    for (let place = 0; place < rows.length; place++) this.#places[this.#rank(rows[place]!)] = place;
  }

  /** Whether any of `count` rows from `first` on is kept. */
  hasAny(first: number, count: number): boolean {
    return this.#rank(first + count) > this.#rank(first);
  }

  /** Rows that are kept of `count` from `first` on, less `first`, and their places. */
  among(first: number, count: number): { rows: Int32Array; places: Int32Array } {
    const start = this.#rank(first);
    const places = this.#places.subarray(start, this.#rank(first + count));
    const rows = new Int32Array(places.length);
    for (let row = 0, at = 0; row < count; row++)
      if (((this.#bits[(first + row) >>> 5]! >>> ((first + row) & 31)) & 1) === 1) rows[at++] = row;
    return { rows, places };
  }

  /** Kept rows before a row. */
  #rank(row: number): number {
    const word = row >>> 5;
    return this.#before[word]! + countBits(this.#bits[word]! & ((1 << (row & 31)) - 1));
  }
}
