/** Two words of 32 bits, signed as all bit operations leave them. */
export interface HashPair {
  low: number;
  high: number;
}

/** SipHash's constants for 32-bit words. */
const initial2 = 0x6c796765;
const initial3 = 0x74656462;

/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, INDOCRYPT 2012, and their reference code of 2016).
 *
 * Keyed, so that nobody who writes the texts can make two of them meet; built of 32-bit operations, so that it runs at
 * a third of the cost of SHA-256 for a text of 200 bytes. Not for secrets: its key has 64 bits.
 */
export class HalfSipHash {
  readonly #key0: number;
  readonly #key1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;

  /** @param key - at least 8 bytes, little-endian */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
    this.#key0 = view.getInt32(0, true);
    this.#key1 = view.getInt32(4, true);
  }

  /** Hashes the first `length` bytes into `out`. */
  hash(bytes: Uint8Array, length: number, out: HashPair): void {
    this.#v0 = this.#key0;
    this.#v1 = this.#key1 ^ 0xee;
    this.#v2 = this.#key0 ^ initial2;
    this.#v3 = this.#key1 ^ initial3;
    const rest = length & 3;
    this.#absorb(bytes, length - rest);
    this.#word(lastWord(bytes, length, rest));
    this.#v2 ^= 0xee;
    this.#rounds(4);
    out.low = this.#v1 ^ this.#v3;
    this.#v1 ^= 0xdd;
    this.#rounds(4);
    out.high = this.#v1 ^ this.#v3;
  }

  #word(word: number): void {
    this.#v3 ^= word;
    this.#rounds(2);
    this.#v0 ^= word;
  }

  #rounds(count: number): void {
    for (let i = 0; i < count; i++) this.#round();
  }

  #round(): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }

  /** `#word` over whole words, with the rounds written out and the state in registers. */
  #absorb(bytes: Uint8Array, end: number): void {
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    for (let at = 0; at < end; at += 4) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      v3 ^= word;
      for (let i = 0; i < 2; i++) {
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
      v0 ^= word;
    }
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
  }
}

/** The bytes left over, and the length modulo 256 in the top byte. */
function lastWord(bytes: Uint8Array, length: number, rest: number): number {
  let word = length << 24;
  for (let i = 0; i < rest; i++) word |= bytes[length - rest + i]! << (8 * i);
  return word;
}
