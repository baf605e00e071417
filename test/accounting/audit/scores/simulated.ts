import type { CanaryScore } from '../../../../accounting/audit/index.ts';

/** Uniform numbers in (0, 1) from a seed (mulberry32). */
export function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
}

export function normal(uniform: () => number): number {
  return Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Canaries included by fair coins and scored by a law. */
export function canaries(
  count: number,
  { uniform, score }: { uniform: () => number; score: (included: boolean) => number },
): CanaryScore[] {
  return Array.from({ length: count }, (_, index) => {
    const included = uniform() < 0.5;
    return { canary: String(index), included, score: score(included) };
  });
}

/** Each canary in a training of its own. */
export function ofOwnRuns(rows: readonly CanaryScore[]): CanaryScore[] {
  return rows.map(row => ({ ...row, run: row.canary }));
}

/** Right about the side with probability e^ε / (1 + e^ε), however far out: every cut is as bad as (ε, 0)-DP lets it be. */
export function randomisedResponse(epsilon: number, uniform: () => number): (included: boolean) => number {
  const right = 1 / (1 + Math.exp(-epsilon));
  return included => (uniform() < right === included ? 1 : -1) * uniform();
}
