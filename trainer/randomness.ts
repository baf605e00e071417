import { createCipheriv, createHash, createHmac, randomBytes, type Cipher } from 'node:crypto';
import { DpError } from '../accounting/check.ts';

/** What a stream of random bits is for; streams of different purposes are independent. */
export type RandomPurpose = 'noise' | 'sampling';

/** An endless stream of uniform random bits out of a cryptographic generator. */
export interface RandomBits {
  /** The next whole number, uniform over 0 .. 2^53 - 1. */
  next53(): number;
}

/** An endless stream of uniform random words. */
export interface RandomWords {
  /** Fills an array with the next words, each uniform over 0 .. 2^32 - 1. */
  fillWords(words: Uint32Array<ArrayBuffer>): void;
}

/** One stream, read as numbers or as words. */
export interface RandomStream extends RandomBits, RandomWords {}

/** A step of a run, and how often the run had departed from what its ledger says when it was made. */
export interface StepPoint {
  /** Steps finished before it, >= 0. */
  readonly step: number;
  /** 0 unless a step could not be repeated after a crash. */
  readonly attempt: number;
}

/** A stream that starts anew at every point of a run, from the key and the point alone. */
export interface PointStream extends RandomStream {
  /** @param context - more that the stream depends on, such as a digest of what it is for */
  seek(point: StepPoint, context?: string): void;
}

const keyBytes = 32;
const blockWords = 16384;
const zeros = new Uint8Array(4 * blockWords);

/**
 * A fresh secret key of 32 bytes from the operating system. Whoever knows it can take the noise
 * off every step. A ledger holds `commitmentOf(key)` alone.
 *
 * @example
 * ```ts
 * freshKey().length; // 32
 * ```
 */
export function freshKey(): Uint8Array {
  return new Uint8Array(randomBytes(keyBytes));
}

/** SHA-256 commitment to a key, 64 hexadecimal digits; it tells nothing about a key of 32 random bytes. */
export function commitmentOf(key: Uint8Array): string {
  return createHash('sha256').update('privacy-unit/commitment/v1\0').update(key).digest('hex');
}

/**
 * One of the independent keys that a run's secret key stands for: `noise` hides the sums, `sampling`
 * decides who is drawn, `digest` keeps the digests of the ledger from telling what they are of, `sample` hides
 * the samples of noise in it. The sampling key can be shown to an auditor without the others; that gives up the privacy that sampling adds.
 *
 * @param key - 32 bytes
 * @example
 * ```ts
 * deriveKey(new Uint8Array(32), 'noise').length; // 32
 * ```
 */
export function deriveKey(key: Uint8Array, purpose: RandomPurpose | 'digest' | 'sample'): Uint8Array {
  checkKey(key);
  return new Uint8Array(createHmac('sha256', key).update(`privacy-unit/key/${purpose}/v2`).digest());
}

/**
 * Keyed SHA-256 (HMAC) over some bytes at a point of a run, 64 hexadecimal digits. Without the key
 * it tells nothing about the bytes, not even whether those of two points are equal.
 *
 * @param options - more: bytes that follow; where there are any, the number of bytes before them must be fixed
 */
export function digestAt(
  point: StepPoint,
  options: { key: Uint8Array; bytes: Uint8Array; more?: Uint8Array | undefined },
): string {
  const { key, bytes, more = new Uint8Array(0) } = options;
  return createHmac('sha256', key)
    .update(`privacy-unit/digest/v2\0${point.step}\0${point.attempt}\0`)
    .update(bytes)
    .update(more)
    .digest('hex');
}

/**
 * AES-256 in counter mode, keyed by SHA-256 over key and purpose: one reproducible stream for
 * each purpose.
 *
 * @param key - 32 bytes
 * @example
 * ```ts
 * const key = new Uint8Array(32);
 * openBits(key, 'noise').next53() === openBits(key, 'noise').next53(); // true
 * openBits(key, 'noise').next53() === openBits(key, 'sampling').next53(); // false
 * ```
 */
export function openBits(key: Uint8Array, purpose: RandomPurpose): RandomStream {
  checkKey(key);
  return new Stream(createHash('sha256').update(`privacy-unit/${purpose}/v1\0`).update(key).digest());
}

/**
 * AES-256 in counter mode, keyed anew at every point by HMAC-SHA-256 of the point. Two points, or
 * two contexts at one point, have independent streams; a point that is sought again has the same one.
 *
 * @param key - 32 bytes, used for nothing else: see `deriveKey`
 * @example
 * ```ts
 * const bits = openPointBits(new Uint8Array(32));
 * bits.seek({ step: 3, attempt: 0 });
 * const first = bits.next53();
 * bits.seek({ step: 3, attempt: 1 });
 * bits.next53() === first; // false
 * ```
 */
export function openPointBits(key: Uint8Array): PointStream {
  checkKey(key);
  let stream: Stream | undefined;
  const current = (): Stream => {
    if (stream === undefined) throw new Error('seek() comes before the first bits');
    return stream;
  };
  return {
    seek(point, context = ''): void {
      stream = new Stream(pointKey(key, { ...point, context }));
    },
    next53: () => current().next53(),
    fillWords: words => current().fillWords(words),
  };
}

function pointKey(key: Uint8Array, { step, attempt, context }: StepPoint & { context: string }): Uint8Array {
  return createHmac('sha256', key).update(`privacy-unit/stream/v2\0${step}\0${attempt}\0${context}`).digest();
}

/**
 * Words out of the middle of a stream of `openPointBits`: at each place i the words 2i and 2i + 1, one pair after the other, without
 * making those before them.
 *
 * @param at - where that stream was sought, and the places, >= 0
 */
export function wordPairsAt(
  key: Uint8Array,
  at: { point: StepPoint; context: string; places: Int32Array },
): Uint32Array {
  const { point, context, places } = at;
  const blocks = new DataView(new ArrayBuffer(16 * places.length));
  places.forEach((place, index) => blocks.setUint32(16 * index + 12, Math.floor(place / 2)));
  // What counter mode enciphers is the number of the block of 16 bytes.
  const cipher = createCipheriv('aes-256-ecb', pointKey(key, { ...point, context }), null);
  const made = cipher.update(new Uint8Array(blocks.buffer));
  const pairs = new Uint32Array(2 * places.length);
  const bytes = new Uint8Array(pairs.buffer);
  places.forEach((place, index) => {
    const start = 16 * index + 8 * (place % 2);
    bytes.set(made.subarray(start, start + 8), 8 * index);
  });
  return pairs;
}

function checkKey(key: Uint8Array): void {
  if (key.length === keyBytes) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot open a random stream: the key has ${key.length} bytes. Give ${keyBytes} random bytes.`,
  );
}

class Stream implements RandomStream {
  readonly #cipher: Cipher;
  #words = new Uint32Array(0);
  #position = 0;

  constructor(key: Uint8Array) {
    this.#cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  }

  next53(): number {
    if (this.#position === this.#words.length) this.#refill();
    const words = this.#words;
    const high = words[this.#position]! >>> 5;
    const low = words[this.#position + 1]! >>> 6;
    this.#position += 2;
    return high * 67108864 + low;
  }

  #refill(): void {
    // Streams that only fill words never take this memory.
    if (this.#words.length === 0) this.#words = new Uint32Array(blockWords);
    this.fillWords(this.#words);
    this.#position = 0;
  }

  fillWords(words: Uint32Array<ArrayBuffer>): void {
    const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    for (let start = 0; start < bytes.length; start += zeros.length) {
      const end = Math.min(bytes.length, start + zeros.length);
      bytes.set(this.#cipher.update(zeros.subarray(0, end - start)), start);
    }
  }
}
