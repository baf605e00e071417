import { type HashTarget, paddedLength, PrefixHash, sha256InPlace } from './sha256.ts';

/** Words (32 bits each) in one key. */
export const keyWords = 8;

const encoder = new TextEncoder();

/**
 * Compares two strings by their UTF-8 bytes, which is the order of code points.
 *
 * JavaScript's own `<` compares UTF-16 units and puts U+1F600 before U+FF01; no database does.
 *
 * @returns below 0, 0 or above 0
 * @example
 * ```ts
 * compareUtf8('a', 'b'); // -1
 * compareUtf8('\u{1f600}', '\uff01'); // 1
 * ```
 */
export function compareUtf8(left: string, right: string): number {
  if (left === right) return 0;
  const shorter = Math.min(left.length, right.length);
  for (let i = 0; i < shorter; i++) {
    const x = left.charCodeAt(i);
    const y = right.charCodeAt(i);
    if (x !== y) return unitRank(x) < unitRank(y) ? -1 : 1;
  }
  return left.length < right.length ? -1 : 1;
}

/** Moves surrogates (code points from U+10000) behind the units U+E000 to U+FFFF. */
function unitRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Number of UTF-8 bytes of a well-formed string. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/**
 * Computes the key K of the selection contract, v1: SHA-256 over the UTF-8 bytes of
 * `<seed>:<byte length of user>:<user>:<record id>`. The part up to the record id is encoded once per user.
 */
export class KeyHasher {
  readonly #seed: string;
  readonly #short = new PrefixHash();
  #bytes: Uint8Array = new Uint8Array(256);
  #prefixLength = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  setUser(user: string): void {
    this.#setPrefix(`${this.#seed}:${utf8Length(user)}:${user}:`);
  }

  /** Writes the eight words of K for a record of the current user. */
  write(recordId: string, target: HashTarget): void {
    const start = this.#prefixLength;
    const end = start + this.#append(recordId);
    if (this.#short.fits(end - start)) this.#short.write(this.#bytes, { start, end }, target);
    else sha256InPlace(this.#bytes, end, target);
  }

  /** As `write`, of an id that is UTF-8 already: `source` from `start` to `end`. */
  writeBytes(source: Uint8Array, range: { start: number; end: number }, target: HashTarget): void {
    const { start, end } = range;
    if (this.#short.fits(end - start)) {
      this.#short.write(source, range, target);
      return;
    }
    const length = this.#prefixLength + end - start;
    this.#reserve(length);
    for (let from = start, to = this.#prefixLength; from < end; from++, to++) this.#bytes[to] = source[from]!;
    sha256InPlace(this.#bytes, length, target);
  }

  #setPrefix(prefix: string): void {
    const encoded = encoder.encode(prefix);
    this.#reserve(encoded.length);
    this.#bytes.set(encoded);
    this.#prefixLength = encoded.length;
    this.#short.setPrefix(encoded, encoded.length);
  }

  #append(text: string): number {
    this.#reserve(this.#prefixLength + 3 * text.length);
    const bytes = this.#bytes;
    const start = this.#prefixLength;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) return encoder.encodeInto(text, bytes.subarray(start)).written;
      bytes[start + i] = unit;
    }
    return text.length;
  }

  #reserve(length: number): void {
    const needed = paddedLength(length);
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * needed);
    grown.set(this.#bytes.subarray(0, this.#prefixLength));
    this.#bytes = grown;
  }
}

/** Compares two keys by bytes; `left` and `right` are positions of their first words. */
export function compareKeys(keys: Uint32Array, left: number, right: number): number {
  for (let i = 0; i < keyWords; i++) {
    const x = keys[left + i]!;
    const y = keys[right + i]!;
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

function hexOf(words: Uint32Array): string {
  return Array.from(words, word => word.toString(16).padStart(8, '0')).join('');
}

function digestWords(text: string): Uint32Array {
  const encoded = encoder.encode(text);
  const bytes = new Uint8Array(paddedLength(encoded.length));
  bytes.set(encoded);
  const out = new Uint32Array(keyWords);
  sha256InPlace(bytes, encoded.length, { out, at: 0 });
  return out;
}

/**
 * The key K by which ties are broken and random choices are made (selection contract, v1).
 *
 * @param owner - `seed`: public text; `user`: the record's user, any well-formed string
 * @param recordId - unique per user
 * @returns SHA-256 over `<seed>:<byte length of user>:<user>:<record id>` in lower-case hex; hex order is byte order
 * @example
 * ```ts
 * recordKey({ seed: '42', user: 'hèllo' }, 'r1'); // '18ada7d5ecc4d750d16d8885113f9461af29b94d2d523eec0eb5241c0321fc7d'
 * ```
 */
export function recordKey(owner: { seed: string; user: string }, recordId: string): string {
  const { seed, user } = owner;
  return hexOf(digestWords(`${seed}:${utf8Length(user)}:${user}:${recordId}`));
}

/**
 * A whole number below 2^48 that depends on a text alone: the first 12 hex digits of its SHA-256.
 *
 * @example
 * ```ts
 * hash48('abc') === 0xba7816bf8f01; // true
 * ```
 */
export function hash48(text: string): number {
  const [first, second] = digestWords(text);
  return first! * 2 ** 16 + (second! >>> 16);
}
