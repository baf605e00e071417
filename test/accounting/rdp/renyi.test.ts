import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renyiCurve } from '../../../accounting/rdp/renyi.ts';
import { lossIntegral } from '../../../accounting/rdp/renyi-quadrature.ts';
import { referenceVectors } from '../vectors.ts';

function sampled(noiseMultiplier: number, samplingProbability: number) {
  return { kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability } as const;
}

/** Moment minus 1 at a whole order: sum over i >= 2 of C(a, i) (1-q)^(a-i) q^i (e^((i²-i)/2s²) - 1), all terms positive. */
function logMomentByBinomialSum(noise: number, q: number, order: number): number {
  let total = 0;
  let choose = 1;
  for (let i = 0; i <= order; i += 1) {
    if (i > 0) choose *= (order - i + 1) / i;
    total += choose * (1 - q) ** (order - i) * q ** i * Math.expm1((i * i - i) / (2 * noise * noise));
  }
  return Math.log1p(total);
}

describe('renyiCurve() of the subsampled Gaussian', () => {
  it('is the binomial sum at whole orders, never below it', () => {
    const noise = fc.double({ min: 0.5, max: 300, noNaN: true });
    const logProbability = fc.double({ min: -20, max: -0.01, noNaN: true });
    fc.assert(
      fc.property(noise, logProbability, fc.integer({ min: 2, max: 12 }), (s, logQ, order) => {
        const exact = logMomentByBinomialSum(s, Math.exp(logQ), order) / (order - 1);
        const ours = renyiCurve(sampled(s, Math.exp(logQ)), 'add-or-remove')(order);
        expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-13));
        expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-9));
      }),
    );
  });

  const cases = referenceVectors().filter(({ query }) => query.order !== undefined);
  it.each(cases)('$id is at least the truth and at most 1e-9 above it', ({ mechanism, query, truth }) => {
    const { sigma, q } = mechanism[0]!;
    const ours = renyiCurve(sampled(sigma, q!), 'add-or-remove')(query.order!);
    expect(ours).toBeGreaterThanOrEqual(truth!.value * (1 - 1e-14));
    expect(ours).toBeLessThanOrEqual(truth!.value * (1 + 1e-9));
  });

  it('keeps its digits where others lose them', () => {
    expect(renyiCurve(sampled(100, 1e-6), 'add-or-remove')(3.3) / 1.65008250297e-16).toBeCloseTo(1, 10);
    const tiny = renyiCurve(sampled(50, 1e-9), 'add-or-remove')(2);
    const exact = Math.log1p(1e-18 * Math.expm1(1 / 2500));
    expect(tiny).toBeGreaterThanOrEqual(exact);
    expect(tiny).toBeLessThanOrEqual(exact * (1 + 1e-6));
  });

  it('tends to the plain Gaussian as the sampling probability tends to 1', () => {
    const plain = renyiCurve({ kind: 'gaussian', noiseMultiplier: 2 }, 'add-or-remove');
    for (const order of [1.01, 1.5, 3, 17.25])
      expect(
        Math.abs(renyiCurve(sampled(2, 1 - 1e-12), 'add-or-remove')(order) / plain(order) - 1),
      ).toBeLessThan(1e-9);
  });

  it('is smooth across whole orders: (order - 1) times it is convex', () => {
    for (const [noise, q] of [
      [0.6, 0.01],
      [1, 1e-4],
      [5, 0.2],
    ] as const) {
      const curve = renyiCurve(sampled(noise, q), 'add-or-remove');
      for (let order = 1.1; order < 40; order += 0.37) {
        const log = [order, order + 0.3, order + 0.6].map(at => (at - 1) * curve(at));
        expect(log[1]! * 2).toBeLessThanOrEqual((log[0]! + log[2]!) * (1 + 1e-9));
      }
    }
  });

  it('under replace is between add-or-remove and the Gaussian of sensitivity 2', () => {
    for (const [noise, q, order] of [
      [1, 0.01, 8],
      [2, 0.3, 2.5],
      [0.7, 0.001, 4.4],
    ] as const) {
      const [one, two] = [
        renyiCurve(sampled(noise, q), 'add-or-remove'),
        renyiCurve(sampled(noise, q), 'replace'),
      ];
      expect(two(order)).toBeGreaterThan(one(order));
      expect(two(order)).toBeLessThan((2 * order) / noise ** 2);
      expect(renyiCurve(sampled(noise, q), 'zero-out')(order)).toBe(one(order));
    }
  });

  it('is Infinity, not NaN, where the integral would take too many nodes', () => {
    expect(renyiCurve(sampled(0.001, 0.5), 'add-or-remove')(1e6)).toBe(Infinity);
  });
});

describe('lossIntegral()', () => {
  const mixture = { shifts: [0, 0.5, 1], weights: [0.25, 0.5, 0.25] };

  it('of a mixture is its double sum at order 2', () => {
    let exact = 0;
    mixture.shifts.forEach((a, i) =>
      mixture.shifts.forEach(
        (b, j) => (exact += mixture.weights[i]! * mixture.weights[j]! * Math.exp(a * b)),
      ),
    );
    const ours = lossIntegral(mixture, 'remove')(2);
    expect(ours).toBeGreaterThanOrEqual(Math.log(exact));
    expect(ours).toBeLessThanOrEqual(Math.log(exact) * (1 + 1e-9));
  });

  it('agrees with a plain fine Riemann sum in every direction', () => {
    const density = (x: number, mean: number): number =>
      Math.exp(-((x - mean) ** 2) / 2) / Math.sqrt(2 * Math.PI);
    const mixed = (x: number): number =>
      mixture.shifts.reduce((sum, shift, j) => sum + mixture.weights[j]! * density(x, shift), 0);
    const pairs = {
      remove: [mixed, (x: number): number => density(x, 0)],
      add: [(x: number): number => density(x, 0), mixed],
      replace: [mixed, (x: number): number => mixed(-x)],
    } as const;
    for (const direction of ['remove', 'add', 'replace'] as const) {
      for (const order of [1.3, 2.7, 6]) {
        const [upper, lower] = pairs[direction];
        let sum = 0;
        for (let x = -25; x < 25; x += 1e-3)
          sum += Math.exp(order * Math.log(upper(x)) + (1 - order) * Math.log(lower(x))) * 1e-3;
        expect(Math.abs(lossIntegral(mixture, direction)(order) / Math.log(sum) - 1)).toBeLessThan(1e-8);
      }
    }
  });

  it('of a mixture without shifts is 0', () => {
    expect(lossIntegral({ shifts: [0], weights: [1] }, 'remove')(5)).toBe(0);
  });

  it('removal is never below addition for one record', () => {
    const pair = { shifts: [0, 0.8], weights: [0.9, 0.1] };
    for (const order of [1.1, 2, 5.5, 30])
      expect(lossIntegral(pair, 'remove')(order)).toBeGreaterThanOrEqual(lossIntegral(pair, 'add')(order));
  });
});
