import { createCipheriv } from 'node:crypto';
import { type ExactRandom, exactRandom } from '../../selection/private-noise.ts';

/** Exact draws out of AES-256 in counter mode: as good as the real generator, and the same in every run. */
export function repeatableRandom(seed: number): ExactRandom {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, seed);
  const cipher = createCipheriv('aes-256-ctr', key, new Uint8Array(16));
  return exactRandom(words => {
    const stream = cipher.update(new Uint8Array(words.byteLength));
    words.set(new Uint32Array(stream.buffer, stream.byteOffset, words.length));
  });
}
