// prettier-ignore
const roundConstants = new Int32Array([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);

// prettier-ignore
const initialState = new Int32Array([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/** The message schedule: one block in the first 16 words, the rest is made from it. */
const schedule = new Int32Array(64);
const state = new Int32Array(8);

/** FIPS 180-4, Sec. 6.2.2, step 1: in a loop of its own, which leaves the rounds to registers. */
function extendSchedule(w: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    // Sums of two, each cut to 32 bits: a longer sum could leave the integers on its way.
    w[i] = (((w[i - 16]! + s0) | 0) + ((w[i - 7]! + s1) | 0)) | 0;
  }
}

/**
 * FIPS 180-4, Sec. 6.2.2, the block in `schedule`; the eight working variables keep their letters from the standard.
 * Eight rounds at a time, after which every letter is back in its place, so that none has to be moved: a fifth faster.
 */
function compress(): void {
  const w = schedule;
  const k = roundConstants;
  extendSchedule(w);
  let a = state[0]!;
  let b = state[1]!;
  let c = state[2]!;
  let d = state[3]!;
  let e = state[4]!;
  let f = state[5]!;
  let g = state[6]!;
  let h = state[7]!;
  // prettier-ignore
  for (let i = 0; i < 64; i += 8) {
    h = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7)))) | 0;
    h = (h + (g ^ (e & (f ^ g))) + ((k[i]! + w[i]!) | 0)) | 0;
    d = (d + h) | 0;
    h = (h + (((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) | (c & (a | b)))) | 0;
    g = (g + (((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7)))) | 0;
    g = (g + (f ^ (d & (e ^ f))) + ((k[i + 1]! + w[i + 1]!) | 0)) | 0;
    c = (c + g) | 0;
    g = (g + (((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10))) + ((h & a) | (b & (h | a)))) | 0;
    f = (f + (((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7)))) | 0;
    f = (f + (e ^ (c & (d ^ e))) + ((k[i + 2]! + w[i + 2]!) | 0)) | 0;
    b = (b + f) | 0;
    f = (f + (((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10))) + ((g & h) | (a & (g | h)))) | 0;
    e = (e + (((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7)))) | 0;
    e = (e + (d ^ (b & (c ^ d))) + ((k[i + 3]! + w[i + 3]!) | 0)) | 0;
    a = (a + e) | 0;
    e = (e + (((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10))) + ((f & g) | (h & (f | g)))) | 0;
    d = (d + (((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7)))) | 0;
    d = (d + (c ^ (a & (b ^ c))) + ((k[i + 4]! + w[i + 4]!) | 0)) | 0;
    h = (h + d) | 0;
    d = (d + (((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10))) + ((e & f) | (g & (e | f)))) | 0;
    c = (c + (((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7)))) | 0;
    c = (c + (b ^ (h & (a ^ b))) + ((k[i + 5]! + w[i + 5]!) | 0)) | 0;
    g = (g + c) | 0;
    c = (c + (((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10))) + ((d & e) | (f & (d | e)))) | 0;
    b = (b + (((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7)))) | 0;
    b = (b + (a ^ (g & (h ^ a))) + ((k[i + 6]! + w[i + 6]!) | 0)) | 0;
    f = (f + b) | 0;
    b = (b + (((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10))) + ((c & d) | (e & (c | d)))) | 0;
    a = (a + (((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7)))) | 0;
    a = (a + (h ^ (f & (g ^ h))) + ((k[i + 7]! + w[i + 7]!) | 0)) | 0;
    e = (e + a) | 0;
    a = (a + (((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10))) + ((b & c) | (d & (b | c)))) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

function loadBlock(bytes: Uint8Array, at: number): void {
  for (let i = 0, p = at; i < 16; i++, p += 4) {
    schedule[i] = (bytes[p]! << 24) | (bytes[p + 1]! << 16) | (bytes[p + 2]! << 8) | bytes[p + 3]!;
  }
}

/** Where the eight words of a hash go. */
export interface HashTarget {
  readonly out: Uint32Array;
  readonly at: number;
}

function writeState({ out, at }: HashTarget): void {
  for (let i = 0; i < 8; i++) out[at + i] = state[i]!;
}

function resetState(): void {
  for (let i = 0; i < 8; i++) state[i] = initialState[i]!;
}

function pad(bytes: Uint8Array, length: number): number {
  const end = (length + 9 + 63) & ~63;
  bytes[length] = 0x80;
  bytes.fill(0, length + 1, end - 8);
  const high = Math.floor(length / 2 ** 29);
  const low = (length << 3) >>> 0;
  for (let i = 0; i < 4; i++) {
    bytes[end - 8 + i] = high >>> (24 - 8 * i);
    bytes[end - 4 + i] = low >>> (24 - 8 * i);
  }
  return end;
}

/** Room that `sha256InPlace` needs for a message of `length` bytes. */
export function paddedLength(length: number): number {
  return (length + 9 + 63) & ~63;
}

/**
 * SHA-256 (FIPS 180-4) of the first `length` bytes of a buffer, written into `out` as eight words.
 *
 * Ours because a call into the platform costs three times the hash of the short messages that keys are.
 *
 * @param bytes - at least `paddedLength(length)` long; what follows the message is overwritten by the padding
 * @param length - bytes of the message
 * @param target - `out`: eight unsigned words from `at` on; unsigned comparison word by word is comparison by bytes
 */
export function sha256InPlace(bytes: Uint8Array, length: number, target: HashTarget): void {
  const end = pad(bytes, length);
  resetState();
  for (let at = 0; at < end; at += 64) {
    loadBlock(bytes, at);
    compress();
  }
  writeState(target);
}

/** Bytes of a message that fits into one block with its padding. */
const oneBlock = 55;

/**
 * SHA-256 of short messages that begin alike: what they share is packed into words once, and the rest is put behind
 * it without a buffer in between, which saves a third of the time of a hash.
 */
export class PrefixHash {
  readonly #words = new Int32Array(16);
  #length = 0;

  /** @param bytes - the first `length` of them begin every message; beyond 55 nothing fits */
  setPrefix(bytes: Uint8Array, length: number): void {
    this.#length = length;
    this.#words.fill(0);
    for (let i = 0; i < Math.min(length, oneBlock); i++)
      this.#words[i >> 2]! |= bytes[i]! << (24 - 8 * (i & 3));
  }

  /** Whether a message with `more` bytes behind the prefix is short enough. */
  fits(more: number): boolean {
    return this.#length + more <= oneBlock;
  }

  /** The hash of the prefix and `source` from `start` to `end`, which must fit. */
  write(source: Uint8Array, { start, end }: { start: number; end: number }, target: HashTarget): void {
    const w = schedule;
    for (let i = 0; i < 16; i++) w[i] = this.#words[i]!;
    let place = this.#length;
    for (let at = start; at < end; at++, place++) w[place >> 2]! |= source[at]! << (24 - 8 * (place & 3));
    w[place >> 2]! |= 0x80 << (24 - 8 * (place & 3));
    w[15] = 8 * place;
    resetState();
    compress();
    writeState(target);
  }
}
