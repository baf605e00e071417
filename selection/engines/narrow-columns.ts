/** Rows of one piece of a growing column. */
const pieceRows = 2 ** 18;

type NumberArray = Int32Array | Float64Array;

/** A column of numbers that grows piece by piece; one piece where it is known how many there will be. */
export class NumberColumn<T extends NumberArray> {
  readonly #make: (length: number) => T;
  readonly #pieceRows: number;
  #pieces: T[] = [];
  #last: T;
  #used = 0;

  constructor(make: (length: number) => T, expected: number | undefined) {
    this.#make = make;
    this.#pieceRows = expected ?? pieceRows;
    this.#last = make(0);
  }

  get length(): number {
    return Math.max(0, this.#pieces.length - 1) * this.#pieceRows + this.#used;
  }

  push(value: number): void {
    if (this.#used === this.#last.length) this.#grow();
    this.#last[this.#used++] = value;
  }

  /** As `push` of every value. */
  append(values: Int32Array | Float64Array): void {
    for (let at = 0; at < values.length;) {
      if (this.#used === this.#last.length) this.#grow();
      const some = values.subarray(at, at + this.#last.length - this.#used);
      this.#last.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
    }
  }

  /** All values in one array; the column is empty afterwards. */
  take(): T {
    const pieces = this.#pieces.reverse();
    const used = this.#used;
    this.#pieces = [];
    this.#last = this.#make(0);
    this.#used = 0;
    if (pieces.length <= 1) return cut(pieces[0] ?? this.#last, used);
    const out = this.#make((pieces.length - 1) * this.#pieceRows + used);
    for (let at = 0; pieces.length > 0; at += this.#pieceRows) {
      const piece = pieces.pop()!;
      out.set(pieces.length === 0 ? piece.subarray(0, used) : piece, at);
    }
    return out;
  }

  #grow(): void {
    this.#last = this.#make(this.#pieceRows);
    this.#pieces.push(this.#last);
    this.#used = 0;
  }
}

function cut<T extends NumberArray>(values: T, length: number): T {
  // oxlint-disable-next-line no-unsafe-type-assertion -- a part of an array is of its type
  return values.subarray(0, length) as T;
}

export function int32Column(expected?: number): NumberColumn<Int32Array> {
  return new NumberColumn(length => new Int32Array(length), expected);
}

export function float64Column(expected?: number): NumberColumn<Float64Array> {
  return new NumberColumn(length => new Float64Array(length), expected);
}

/** Byte strings one after the other; together below 2^31 bytes. */
export class ByteColumn {
  #bytes: Uint8Array = new Uint8Array(1 << 16);
  readonly #ends: NumberColumn<Int32Array>;
  #used = 0;

  constructor(expected?: number) {
    this.#ends = int32Column(expected);
  }

  get byteLength(): number {
    return this.#used;
  }

  push(source: Uint8Array, start: number, end: number): void {
    const needed = this.#used + end - start;
    if (needed > this.#bytes.length) this.#grow(needed);
    for (let at = start, to = this.#used; at < end; at++, to++) this.#bytes[to] = source[at]!;
    this.#used = needed;
    this.#ends.push(needed);
  }

  /** The bytes and where each string ends; the column is empty afterwards. */
  take(): { bytes: Uint8Array; ends: Int32Array } {
    const bytes = this.#bytes.subarray(0, this.#used);
    this.#bytes = new Uint8Array(0);
    this.#used = 0;
    return { bytes, ends: this.#ends.take() };
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length + (this.#bytes.length >> 1)));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}
