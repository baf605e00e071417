/** Seeded numbers in [0, 1) for test inputs: mulberry32, of which nothing but repeatability is asked. */
export function uniformValues(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Seeded values in [-1, 1), rounded to float32 so that every engine starts from the same numbers. */
export function smallValues(seed: number, count: number): Float32Array {
  const uniform = uniformValues(seed);
  return Float32Array.from({ length: count }, () => 2 * uniform() - 1);
}

/** Seeded whole numbers in [0, limit). */
export function smallCounts(seed: number, { count, limit }: { count: number; limit: number }): Int32Array {
  const uniform = uniformValues(seed);
  return Int32Array.from({ length: count }, () => Math.floor(uniform() * limit));
}
