import { expect } from 'vitest';
import { runJson } from '../support.ts';

/** Options that most questions of the tests share. */
export const asked = '--delta 1e-6 --neighbours add-or-remove';
export const run = '--noise-multiplier 1 --sampling-probability 0.01 --steps 100';

/** Words of a line without quotes or empty words. */
export function words(line: string): string[] {
  return line.split(' ').filter(word => word !== '');
}

/** The JSON that a command line answers. */
export async function answerOf<T>(line: string): Promise<T> {
  const answer: unknown = await runJson(...words(line));
  // oxlint-disable-next-line no-unsafe-type-assertion -- the tests look at the fields
  return answer as T;
}

/** Bounds are on either side of a known truth. */
export function expectWithin(
  { lower, upper }: { readonly lower: number; readonly upper: number | string },
  truth: number,
): void {
  expect(lower).toBeLessThanOrEqual(truth);
  expect(Number(upper)).toBeGreaterThanOrEqual(truth);
  expect(Number(upper) - lower).toBeLessThanOrEqual(1e-3 * truth);
}
