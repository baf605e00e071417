import { describe, expect, it } from 'vitest';
import { laplaceCurve, subsampledLaplaceCurve } from '../../../accounting/rdp/laplace.ts';

const plain = (noiseMultiplier: number) => ({ kind: 'laplace', noiseMultiplier }) as const;
const sampled = (noiseMultiplier: number, samplingProbability: number) =>
  ({ kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability }) as const;

/** ∫ P^a Q^(1-a) by the midpoint rule on the stretch where the densities' ratio moves, with exact ends. */
function riemannMoment(scale: number, q: number, power: number): number {
  const shift = 1 / scale;
  const ratio = (x: number): number => 1 - q + q * Math.exp(Math.abs(x) - Math.abs(x - shift));
  const steps = 200_000;
  let sum = 0.5 * ratio(-1) ** power + 0.5 * Math.exp(-shift) * ratio(shift + 1) ** power;
  for (let j = 0; j < steps; j += 1) {
    const x = ((j + 0.5) * shift) / steps;
    sum += ((0.5 * shift) / steps) * Math.exp(-x) * ratio(x) ** power;
  }
  return sum;
}

describe('laplaceCurve()', () => {
  it('is the known closed form', () => {
    for (const [scale, order] of [
      [0.2, 3],
      [1, 1.5],
      [1, 2],
      [4, 30],
    ] as const) {
      const epsilon = 1 / scale;
      const moment =
        (order / (2 * order - 1)) * Math.exp((order - 1) * epsilon) +
        ((order - 1) / (2 * order - 1)) * Math.exp(-order * epsilon);
      const ours = laplaceCurve(plain(scale), 'add-or-remove')(order);
      expect(Math.abs((ours * (order - 1)) / Math.log(moment) - 1)).toBeLessThan(1e-12);
    }
  });

  it('keeps its digits for little loss: order·ε²/2', () => {
    const ours = laplaceCurve(plain(1e8), 'zero-out')(1 + 1e-9);
    expect(Math.abs(ours / (0.5e-16 * (1 + 1e-9)) - 1)).toBeLessThan(1e-7);
  });

  it('under replace is that of half the scale, and never above the pure ε', () => {
    for (const order of [1.1, 4, 1e9]) {
      expect(laplaceCurve(plain(2), 'replace')(order)).toBe(laplaceCurve(plain(1), 'add-or-remove')(order));
      expect(laplaceCurve(plain(2), 'replace')(order)).toBeLessThanOrEqual(1 + 1e-12);
    }
  });
});

describe('subsampledLaplaceCurve()', () => {
  it('is the larger of both directions by a fine sum', () => {
    for (const [scale, q, order] of [
      [1, 0.1, 2],
      [0.3, 0.01, 5.5],
      [0.05, 0.5, 3],
      [3, 0.9, 1.4],
    ] as const) {
      const moments = [riemannMoment(scale, q, order), riemannMoment(scale, q, 1 - order)];
      const exact = Math.log(Math.max(...moments)) / (order - 1);
      const ours = subsampledLaplaceCurve(sampled(scale, q))(order);
      expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-7));
      expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-7));
    }
  });

  it('is q²·(E[r²] - 1) for the tiniest moments at order 2', () => {
    const second = Math.expm1(laplaceCurve(plain(2), 'add-or-remove')(2));
    const ours = subsampledLaplaceCurve(sampled(2, 1e-12))(2);
    expect(ours).toBeGreaterThanOrEqual(1e-24 * second * (1 - 1e-14));
    expect(ours).toBeLessThanOrEqual(1e-24 * second * (1 + 1e-10));
  });

  it('tends to plain Laplace noise, from below', () => {
    for (const order of [1.01, 3, 40]) {
      const whole = laplaceCurve(plain(0.7), 'add-or-remove')(order);
      const ours = subsampledLaplaceCurve(sampled(0.7, 1 - 1e-12))(order);
      expect(Math.abs(ours / whole - 1)).toBeLessThan(1e-9);
      expect(subsampledLaplaceCurve(sampled(0.7, 1))(order)).toBe(whole);
      expect(subsampledLaplaceCurve(sampled(0.7, 0.5))(order)).toBeLessThan(whole);
    }
  });

  it('stays finite for hardly any noise', () => {
    const ours = subsampledLaplaceCurve(sampled(1e-3, 0.1))(50);
    expect(ours).toBeGreaterThan(900);
    expect(ours).toBeLessThanOrEqual(1000);
  });
});
