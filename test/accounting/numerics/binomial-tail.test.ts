import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { logBinomialTail, truncatedSampling } from '../../../accounting/numerics/binomial-tail.ts';

/** Pr[Binomial(trials, numerator/1024) >= least] in integers, as a double. */
function exactTail(trials: number, numerator: number, least: number): number {
  let choose = 1n;
  let total = 0n;
  for (let j = 0; j <= trials; j += 1) {
    if (j >= least)
      total += choose * BigInt(numerator) ** BigInt(j) * BigInt(1024 - numerator) ** BigInt(trials - j);
    choose = (choose * BigInt(trials - j)) / BigInt(j + 1);
  }
  return Number((total << 1000n) >> BigInt(10 * trials)) / 2 ** 1000;
}

const numerators = fc.integer({ min: 1, max: 1023 });

describe('logBinomialTail()', () => {
  it('is the direct sum on both sides of the mode', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), numerators, fc.nat(60), (trials, numerator, least) => {
        const exact = exactTail(trials, numerator, least);
        const ours = Math.exp(logBinomialTail({ trials, probability: numerator / 1024, least }));
        expect(Math.abs(ours - exact)).toBeLessThanOrEqual(exact * 1e-12);
      }),
    );
  });

  // From 40-digit arithmetic.
  it.each([
    { trials: 1e9, probability: 0.5, least: 500_100_000, log: -22.7867756218235 },
    { trials: 1e9, probability: 0.9, least: 900_100_000, log: -58.85447007048222 },
    { trials: 1e9, probability: 1e-6, least: 1100, log: -6.945846387331063 },
    { trials: 1e8, probability: 0.25, least: 25_000_000, log: -0.6930704070295663 },
  ])('keeps its digits with $trials trials', ({ log, ...options }) => {
    expect(Math.abs(logBinomialTail(options) - log)).toBeLessThan(1e-11);
  });
});

describe('truncatedSampling()', () => {
  it('bounds the direct sums, by 1e-9 at most', () => {
    const records = fc.integer({ min: 2, max: 60 });
    fc.assert(
      fc.property(records, numerators, fc.integer({ min: 1, max: 59 }), (datasetSize, numerator, cap) => {
        fc.pre(cap < datasetSize);
        const cut = truncatedSampling({
          datasetSize,
          samplingProbability: numerator / 1024,
          maximumBatchSize: cap,
        });
        const full = exactTail(datasetSize - 1, numerator, cap);
        const kept = (cap / datasetSize) * exactTail(datasetSize, numerator, cap + 1);
        expect(cut.truncationProbability).toBeGreaterThanOrEqual(full);
        expect(cut.truncationProbability).toBeLessThanOrEqual(full * (1 + 1e-9));
        expect(cut.truncationProbabilityAtLeast).toBeLessThanOrEqual(full);
        expect(cut.truncationProbabilityAtLeast).toBeGreaterThanOrEqual(full * (1 - 1e-9));
        const both = cut.truncationProbability * cut.samplingProbabilityWhenTruncated;
        expect(both).toBeGreaterThanOrEqual(kept * (1 - 1e-15));
        expect(both).toBeLessThanOrEqual(kept * (1 + 1e-9));
        expect(cut.samplingProbabilityWhenTruncated).toBeLessThanOrEqual(numerator / 1024);
      }),
    );
  });

  it('is never 0 where a batch can overflow, and 0 where none can', () => {
    const sample = { datasetSize: 1e6, samplingProbability: 1e-3 };
    const rare = truncatedSampling({ ...sample, maximumBatchSize: 500_000 });
    expect(rare.truncationProbability).toBe(Number.MIN_VALUE);
    expect(rare.truncationProbabilityAtLeast).toBe(0);
    expect(rare.samplingProbabilityWhenTruncated).toBe(1e-3);
    expect(truncatedSampling({ ...sample, maximumBatchSize: 1e6 }).truncationProbability).toBe(0);
  });

  it('with every record sampled is a batch of fixed size', () => {
    const cut = truncatedSampling({ datasetSize: 8, samplingProbability: 1, maximumBatchSize: 2 });
    expect(cut.truncationProbability).toBe(1);
    expect(cut.samplingProbabilityWhenTruncated).toBeGreaterThanOrEqual(0.25);
    expect(cut.samplingProbabilityWhenTruncated).toBeLessThanOrEqual(0.25 * (1 + 1e-9));
  });
});
