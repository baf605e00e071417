import { checkProbability, checkCount } from '../accounting/check.ts';
import type { RandomBits } from './randomness.ts';

/** Draws the units of one step. */
export interface PoissonSampler {
  /** Positions of the units drawn, ascending; often fewer or more than expected, sometimes none. */
  draw(): Int32Array;
  /** Draws made so far. */
  readonly draws: number;
}

/**
 * Poisson sampling: every unit enters every step independently with `samplingProbability`.
 *
 * Each unit takes one 53-bit uniform a step and enters when it lies below
 * floor(samplingProbability × 2^53). The realised probability is therefore never above the
 * stated one and less than 2^-53 below it: the side on which the accounting stays an upper bound.
 *
 * @param population - number of units (records for Group Privacy, users for User-wise DP-SGD), >= 0
 * @param options - samplingProbability: per unit and step, in (0, 1]; bits: a stream used by nothing else
 * @example
 * ```ts
 * const always = poissonSampler(3, { samplingProbability: 1, bits: { next53: () => 2 ** 53 - 1 } });
 * [...always.draw()]; // [0, 1, 2]
 * ```
 */
export function poissonSampler(
  population: number,
  options: { samplingProbability: number; bits: RandomBits },
): PoissonSampler {
  checkCount(population, { verb: 'sample', name: 'population', least: 0 });
  const { samplingProbability, bits } = options;
  checkProbability(samplingProbability, { verb: 'sample', name: 'samplingProbability' });
  const threshold = Math.floor(samplingProbability * 2 ** 53);
  const drawn = new Int32Array(population);
  let draws = 0;
  return {
    draw(): Int32Array {
      let count = 0;
      for (let unit = 0; unit < population; unit += 1) {
        if (bits.next53() < threshold) drawn[count++] = unit;
      }
      draws += 1;
      return drawn.slice(0, count);
    },
    get draws(): number {
      return draws;
    },
  };
}
