import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binomialMixture } from '../../../accounting/numerics/binomial.ts';

/** Binomial(trials, a/2^20) in integers: the numerators over 2^(20·trials). */
function exactTerms(trials: number, numerator: bigint): bigint[] {
  const rest = (1n << 20n) - numerator;
  const terms: bigint[] = [];
  let choose = 1n;
  for (let j = 0; j <= trials; j += 1) {
    terms.push(choose * numerator ** BigInt(j) * rest ** BigInt(trials - j));
    choose = (choose * BigInt(trials - j)) / BigInt(j + 1);
  }
  return terms;
}

/** A double as an exact fraction over 2^1200. */
function scaled(value: number): bigint {
  let exponent = 0;
  let mantissa = value;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent += 1;
  }
  return (BigInt(mantissa) << 1200n) >> BigInt(exponent);
}

describe('binomialMixture()', () => {
  it('has at least the exact mass above every sensitivity, and 1e-10 more at most', () => {
    const numerators = fc.integer({ min: 1, max: (1 << 20) - 1 });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), numerators, (trials, numerator) => {
        const terms = exactTerms(trials, BigInt(numerator));
        const { sensitivities, probabilities } = binomialMixture({
          trials,
          probability: numerator / (1 << 20),
        });
        let [ours, exact] = [0n, 0n];
        for (let j = trials; j > 0; j -= 1) {
          const index = sensitivities.indexOf(j);
          ours += index < 0 ? 0n : scaled(probabilities[index]!);
          exact += terms[j]!;
          const exactScaled = (exact << 1200n) >> BigInt(20 * trials);
          // Where nearly all mass lies above, the sum itself is 1 only to the last place.
          expect(ours * (10n ** 15n + 1n) >= exactScaled * 10n ** 15n).toBe(true);
          expect(ours * 10n ** 10n <= exactScaled * (10n ** 10n + 1n) + scaled(3e-40) * 10n ** 10n).toBe(
            true,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('sums to 1 and keeps few terms of 10,000 records', () => {
    for (const probability of [1e-9, 1e-4, 0.01, 0.5, 0.999]) {
      const { sensitivities, probabilities } = binomialMixture({ trials: 10_000, probability });
      expect(Math.abs(probabilities.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
      expect(probabilities.every(value => value > 0)).toBe(true);
      expect(sensitivities.at(-1)).toBe(10_000);
      expect(sensitivities.length).toBeLessThan(1500);
    }
  });

  it('has the mean and variance of 10,000 trials', () => {
    const { sensitivities, probabilities } = binomialMixture({ trials: 10_000, probability: 0.3 });
    const mean = sensitivities.reduce((sum, value, j) => sum + value * probabilities[j]!, 0);
    const variance = sensitivities.reduce(
      (sum, value, j) => sum + (value - mean) ** 2 * probabilities[j]!,
      0,
    );
    expect(Math.abs(mean / 3000 - 1)).toBeLessThan(1e-9);
    expect(Math.abs(variance / 2100 - 1)).toBeLessThan(1e-7);
  });
});
