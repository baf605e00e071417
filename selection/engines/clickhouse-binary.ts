import { isUtf8 } from 'node:buffer';

/** The bytes at hand end inside a value. */
export class Incomplete extends Error {}

/** A value that Arrow has no form of, such as text that is no UTF-8; the message says what it is. */
export class UnfitValue extends Error {}

/** A UUID lies as two halves, the lowest byte first. */
const uuidOrder = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];

/** Walks through bytes of the format RowBinary. */
export class BinaryCursor {
  #bytes: Buffer = Buffer.alloc(0);
  at = 0;

  /** Adds bytes; what was read already is let go. */
  append(piece: Buffer): void {
    const rest = this.#bytes.subarray(this.at);
    this.#bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    this.at = 0;
  }

  get isAtEnd(): boolean {
    return this.at === this.#bytes.length;
  }

  /** Where `count` bytes start, which are passed over. */
  #take(count: number): number {
    const start = this.at;
    if (start + count > this.#bytes.length) throw new Incomplete();
    this.at = start + count;
    return start;
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  int16(): number {
    return this.#bytes.readInt16LE(this.#take(2));
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.#take(4));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#take(8));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64LE(this.#take(8));
  }

  float32(): number {
    return this.#bytes.readFloatLE(this.#take(4));
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** LEB128. */
  length(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.uint8();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  /** A view, not a copy. */
  text(): Uint8Array {
    const count = this.length();
    const bytes = this.bytes(count);
    if (!isUtf8(bytes)) throw new UnfitValue('invalid UTF-8');
    return bytes;
  }

  /** A view, not a copy. */
  bytes(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#bytes.subarray(start, start + count);
  }

  /** Two's complement, the lowest byte first. */
  signed(count: number): bigint {
    const start = this.#take(count);
    let value = this.#bytes.readBigInt64LE(start + count - 8);
    for (let at = start + count - 16; at >= start; at -= 8)
      value = (value << 64n) | this.#bytes.readBigUInt64LE(at);
    return value;
  }

  /** In its usual form of 36 characters. */
  uuid(): string {
    const bytes = this.bytes(16);
    const hex = Buffer.from(uuidOrder.map(at => bytes[at]!)).toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
}
