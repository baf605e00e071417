import { createHash } from 'node:crypto';

/** Box-Muller over a seeded xoshiro128**: for starting values only, never for noise that protects anyone. */
export function fillNormal(
  values: Float32Array,
  { deviation, seed }: { deviation: number; seed: string },
): Float32Array {
  const uniform = uniformStream(seed);
  for (let index = 0; index < values.length; index += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log1p(-uniform()));
    const angle = 2 * Math.PI * uniform();
    values[index] = radius * Math.cos(angle);
    if (index + 1 < values.length) values[index + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Numbers in [0, 1) with 32 random bits: xoshiro128** (Blackman and Vigna, arXiv 1805.01407). */
function uniformStream(seed: string): () => number {
  const digest = createHash('sha256').update(seed).digest();
  const state = Uint32Array.from([0, 4, 8, 12], offset => digest.readUInt32LE(offset));
  const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
  return () => {
    const result = Math.imul(rotate(Math.imul(state[1]!, 5), 7), 9) >>> 0;
    const shifted = state[1]! << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= state[1]!;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= shifted;
    state[3] = rotate(state[3]!, 11);
    return result / 2 ** 32;
  };
}
