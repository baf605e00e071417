import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { DpError } from '../accounting/check.ts';

/** What a stream of random bits is for; streams of different purposes are independent. */
export type RandomPurpose = 'noise' | 'sampling';

/** An endless stream of uniform random bits out of a cryptographic generator. */
export interface RandomBits {
  /** The next whole number, uniform over 0 .. 2^53 - 1. */
  next53(): number;
}

const keyBytes = 32;
const blockWords = 16384;

/**
 * A fresh secret key of 32 bytes from the operating system. Whoever knows it can take the noise
 * off every step, so it is never written down: a ledger holds `commitmentOf(key)` alone.
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
 * The key of one stretch of a run. A resumed run passes the number of steps whose noise was
 * already drawn, so that no noise is ever drawn twice, even where a test injects its key.
 */
export function keyOfSegment(key: Uint8Array, segment: number): Uint8Array {
  const hash = createHash('sha256').update('privacy-unit/segment/v1\0').update(key).update(`\0${segment}`);
  return new Uint8Array(hash.digest());
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
export function openBits(key: Uint8Array, purpose: RandomPurpose): RandomBits {
  if (key.length !== keyBytes) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot open a random stream: the key has ${key.length} bytes. Give ${keyBytes} random bytes.`,
    );
  }
  const streamKey = createHash('sha256').update(`privacy-unit/${purpose}/v1\0`).update(key).digest();
  const cipher = createCipheriv('aes-256-ctr', streamKey, new Uint8Array(16));
  const zeros = new Uint8Array(4 * blockWords);
  const words = new Uint32Array(blockWords);
  const bytes = new Uint8Array(words.buffer);
  let position = blockWords;
  return {
    next53(): number {
      if (position === blockWords) {
        bytes.set(cipher.update(zeros));
        position = 0;
      }
      const high = words[position]! >>> 5;
      const low = words[position + 1]! >>> 6;
      position += 2;
      return high * 67108864 + low;
    },
  };
}
