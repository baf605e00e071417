/** Rows of one piece of a growing column. */
const pieceRows = 2 ** 18;

type NumberArray = Int32Array | Float64Array;

/** A column of numbers that grows without ever being held twice. */
export class NumberColumn<T extends NumberArray> {
  readonly #make: (length: number) => T;
  #pieces: T[] = [];
  #last: T;
  #used = 0;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.#last = make(0);
  }

  get length(): number {
    return Math.max(0, this.#pieces.length - 1) * pieceRows + this.#used;
  }

  push(value: number): void {
    if (this.#used === this.#last.length) this.#grow();
    this.#last[this.#used++] = value;
  }

  /** All values in one array; the column is empty afterwards. */
  take(): T {
    const out = this.#make(this.length);
    const used = this.#used;
    const pieces = this.#pieces.reverse();
    this.#pieces = [];
    this.#last = this.#make(0);
    this.#used = 0;
    for (let at = 0; pieces.length > 0; at += pieceRows) {
      const piece = pieces.pop()!;
      out.set(pieces.length === 0 ? piece.subarray(0, used) : piece, at);
    }
    return out;
  }

  #grow(): void {
    this.#last = this.#make(pieceRows);
    this.#pieces.push(this.#last);
    this.#used = 0;
  }
}

export function int32Column(): NumberColumn<Int32Array> {
  return new NumberColumn(length => new Int32Array(length));
}

export function float64Column(): NumberColumn<Float64Array> {
  return new NumberColumn(length => new Float64Array(length));
}

/** Byte strings one after the other; together below 2^31 bytes. */
export class ByteColumn {
  #bytes: Uint8Array = new Uint8Array(1 << 16);
  #ends: NumberColumn<Int32Array> = int32Column();
  #used = 0;

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
