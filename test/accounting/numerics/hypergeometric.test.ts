import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binomialMixture } from '../../../accounting/numerics/binomial.ts';
import { dominatingMixture } from '../../../accounting/numerics/dominating.ts';
import { hypergeometricMixture } from '../../../accounting/numerics/hypergeometric.ts';

function choose(n: number, k: number): bigint {
  let value = 1n;
  for (let j = 0; j < k; j += 1) value = (value * BigInt(n - j)) / BigInt(j + 1);
  return k > n ? 0n : value;
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

const mean = ({ sensitivities, probabilities }: ReturnType<typeof hypergeometricMixture>): number =>
  sensitivities.reduce((sum, value, j) => sum + value * probabilities[j]!, 0);

describe('hypergeometricMixture()', () => {
  it('has at least the exact mass above every number, and 1e-10 more at most', () => {
    const size = fc.integer({ min: 1, max: 60 });
    fc.assert(
      fc.property(size, size, size, (population, marked, draws) => {
        fc.pre(marked <= population && draws <= population);
        const { sensitivities, probabilities } = hypergeometricMixture({ population, marked, draws });
        let [ours, exact] = [0n, 0n];
        for (let j = Math.min(marked, draws); j > 0; j -= 1) {
          const index = sensitivities.indexOf(j);
          ours += index < 0 ? 0n : scaled(probabilities[index]!);
          const rest = draws - j <= population - marked ? choose(population - marked, draws - j) : 0n;
          exact += choose(marked, j) * rest;
          const exactScaled = (exact << 1200n) / choose(population, draws);
          expect(ours * (10n ** 15n + 1n) >= exactScaled * 10n ** 15n).toBe(true);
          expect(ours * 10n ** 10n <= exactScaled * (10n ** 10n + 1n) + scaled(3e-40) * 10n ** 10n).toBe(
            true,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of one marked is drawn with draws ÷ population', () => {
    const { sensitivities, probabilities } = hypergeometricMixture({
      population: 50_000,
      marked: 1,
      draws: 500,
    });
    expect(sensitivities).toEqual([0, 1]);
    expect(probabilities[1]).toBeGreaterThanOrEqual(0.01);
    expect(probabilities[1]).toBeLessThanOrEqual(0.01 * (1 + 1e-10));
  });

  it('has the mean of large populations, and few terms', () => {
    const mixture = hypergeometricMixture({ population: 1e9, marked: 10_000, draws: 3e8 });
    expect(Math.abs(mean(mixture) / 3000 - 1)).toBeLessThan(1e-9);
    expect(mixture.sensitivities.length).toBeLessThan(1500);
    expect(Math.abs(mixture.probabilities.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-12);
  });

  it('is certain where all are drawn', () => {
    expect(hypergeometricMixture({ population: 9, marked: 4, draws: 9 })).toEqual({
      sensitivities: [4],
      probabilities: [1],
    });
  });
});

describe('dominatingMixture()', () => {
  it('of binomial ratios is the binomial mixture', () => {
    const [trials, odds] = [10_000, 0.3 / 0.7];
    const ours = dominatingMixture({
      lowest: 0,
      highest: trials,
      mode: 3000,
      ratioAt: j => ((trials - j) / (j + 1)) * odds,
    });
    const { sensitivities, probabilities } = binomialMixture({ trials, probability: 0.3 });
    expect(ours.sensitivities).toEqual(sensitivities);
    // The lowest one gets what the raised others leave.
    ours.probabilities
      .slice(1)
      .forEach((value, j) => expect(Math.abs(value / probabilities[j + 1]! - 1)).toBeLessThan(1e-8));
  });
});
