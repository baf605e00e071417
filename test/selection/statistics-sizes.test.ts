import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SizeHistogram, sizeStatistics } from '../../selection/statistics-sizes.ts';
import { failureOf } from './fixtures.ts';

const shares = [0.001, 0.25, 0.5, 0.9, 0.999, 1];

const someSizes = fc.array(
  fc.oneof(
    fc.nat(1100),
    fc.nat(100_000),
    fc.maxSafeNat(),
    fc.nat(50).map(power => 2 ** power),
  ),
  { minLength: 1, maxLength: 80 },
);

describe('sizeStatistics()', () => {
  it('gives exact counts and extremes, and quantiles at most 1/512 too low', () => {
    fc.assert(
      fc.property(someSizes, sizes => {
        const sorted = sizes.toSorted((a, b) => a - b);
        const found = sizeStatistics(sizes, { shares });
        expect(found).toMatchObject({
          count: sizes.length,
          minimum: sorted[0],
          maximum: sorted.at(-1),
        });
        for (const { share, value } of found.quantiles) {
          const exact = sorted[Math.ceil(share * sizes.length) - 1]!;
          expect(value).toBeLessThanOrEqual(exact);
          expect(value).toBeGreaterThanOrEqual(exact < 1024 ? exact : exact * (1 - 1 / 512));
        }
      }),
    );
  });

  it('adds up parts to the whole', () => {
    fc.assert(
      fc.property(someSizes, someSizes, (first, second) => {
        const total = new SizeHistogram();
        const part = new SizeHistogram();
        for (const size of first) total.add(size);
        for (const size of second) part.add(size);
        total.merge(part);
        const { total: sum, mean, ...rest } = total.statistics(shares);
        const {
          total: expectedSum,
          mean: expectedMean,
          ...expected
        } = sizeStatistics([...first, ...second], { shares });
        expect(rest).toEqual(expected);
        expect(Math.abs(sum - expectedSum)).toBeLessThanOrEqual(1e-14 * expectedSum);
        expect(Math.abs(mean - expectedMean)).toBeLessThanOrEqual(1e-14 * expectedMean);
      }),
    );
  });

  it('says 0 of nothing and refuses what is no size', async () => {
    expect(sizeStatistics([], { shares: [0.5] })).toEqual({
      count: 0,
      total: 0,
      minimum: 0,
      maximum: 0,
      mean: 0,
      quantiles: [{ share: 0.5, value: 0 }],
    });
    expect((await failureOf(() => sizeStatistics([-1]))).code).toBe('INVALID_ARGUMENT');
  });
});
