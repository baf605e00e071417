import { describe, expect, it } from 'vitest';
import { addGaussianNoise } from '../../trainer/noise.ts';
import { openBits } from '../../trainer/randomness.ts';
import { chiSquareBounds, distanceFromNormal, isPlausibleCount, kolmogorovBound } from './statistics.ts';

function noise(count: number, options: { seed: number; standardDeviation?: number }): Float64Array {
  const sum = new Float64Array(count);
  const bits = openBits(new Uint8Array(32).fill(options.seed), 'noise');
  addGaussianNoise(sum, { standardDeviation: options.standardDeviation ?? 1, bits });
  return sum;
}

const squares = (values: Float64Array): number => values.reduce((total, value) => total + value * value, 0);

describe('addGaussianNoise()', () => {
  it.each([1, 0.37, 12.5])('has the variance asked for (standard deviation %d)', standardDeviation => {
    const { lower, upper } = chiSquareBounds(200_001);
    const scaled = squares(noise(200_001, { seed: 1, standardDeviation })) / standardDeviation ** 2;
    expect(scaled).toBeGreaterThan(lower);
    expect(scaled).toBeLessThan(upper);
  });

  it('is Gaussian (Kolmogorov and Smirnov)', () => {
    expect(distanceFromNormal(noise(100_000, { seed: 2 }))).toBeLessThan(kolmogorovBound(100_000));
  });

  it('has Gaussian tails: as many values beyond 3 and 4 standard deviations as there should be', () => {
    const values = noise(1_000_000, { seed: 3 });
    for (const [threshold, probability] of [
      [3, 0.0026997960632602],
      [4, 6.334248366624e-5],
    ] as const) {
      const count = values.reduce((total, value) => total + (Math.abs(value) > threshold ? 1 : 0), 0);
      expect(isPlausibleCount(count, { trials: values.length, probability }), `${count}`).toBe(true);
    }
  });

  it('has uncorrelated neighbours: cosine and sine of one pair, and one pair and the next', () => {
    const values = noise(400_000, { seed: 4 });
    for (const lag of [1, 2]) {
      let product = 0;
      for (let index = 0; index + lag < values.length; index += 4)
        product += values[index]! * values[index + lag]!;
      // A product of independent standard normals is sub-exponential; 6 standard errors leave far less than 1e-6.
      expect(Math.abs(product)).toBeLessThan(6 * Math.sqrt(values.length / 4));
    }
  });

  it('adds to what is there, and adds nothing at standard deviation 0', () => {
    const sum = Float64Array.of(1, 2, 3);
    const bits = openBits(new Uint8Array(32), 'noise');
    addGaussianNoise(sum, { standardDeviation: 0, bits });
    expect([...sum]).toEqual([1, 2, 3]);
    addGaussianNoise(sum, { standardDeviation: 1e-3, bits });
    expect(sum.every((value, index) => value !== index + 1 && Math.abs(value - index - 1) < 0.01)).toBe(true);
  });

  it('is finite at both ends of the generator', () => {
    for (const end of [0, 2 ** 53 - 1]) {
      const sum = new Float64Array(3);
      addGaussianNoise(sum, { standardDeviation: 1, bits: { next53: () => end } });
      expect(sum.every(Number.isFinite)).toBe(true);
      expect(Math.max(...sum.map(Math.abs))).toBeLessThan(8.6);
    }
  });

  it('differs between keys and between purposes of one key', () => {
    const first = noise(4, { seed: 5 });
    expect([...noise(4, { seed: 5 })]).toEqual([...first]);
    expect([...noise(4, { seed: 6 })]).not.toEqual([...first]);
  });
});
