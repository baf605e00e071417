import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocationLaws, type AllocationLaws } from '../../../accounting/laws/allocation.ts';
import type { LossLaw } from '../../../accounting/laws/law.ts';
import { erfc, logNormalTail } from '../../../accounting/numerics/special.ts';
import { uniformValues } from '../../support/random-values.ts';
import { gaussianDelta } from '../../../accounting/profiles/single.ts';

const ways = ['remove', 'add'] as const;
type Way = (typeof ways)[number];

function lawDelta({ atoms, infinite }: LossLaw, epsilon: number): number {
  return atoms.reduce(
    (sum, { loss, logMass }) => (loss > epsilon ? sum - Math.exp(logMass) * Math.expm1(epsilon - loss) : sum),
    infinite,
  );
}

function lawEpsilon(law: LossLaw, delta: number): number {
  let [low, high] = [0, 60];
  while (high - low > 1e-9) {
    const middle = (low + high) / 2;
    if (lawDelta(law, middle) > delta) low = middle;
    else high = middle;
  }
  return high;
}

function laws(noiseMultiplier: number, stepsPerEpoch: number, points = 400): AllocationLaws {
  return allocationLaws({ noiseMultiplier, stepsPerEpoch }, { points });
}

function total({ atoms, infinite }: LossLaw): number {
  return atoms.reduce((sum, { logMass }) => sum + Math.exp(logMass), infinite);
}

/** Mass under the other side of what isn't lost. */
function otherTotal({ atoms }: LossLaw): number {
  return atoms.reduce((sum, { loss, logMass }) => sum + Math.exp(logMass - loss), 0);
}

const below = (x: number): number => erfc(-x * Math.SQRT1_2) / 2;

/** E max(0, ±(Y - strike)) of one ratio, by the formula of Black and Scholes. */
function option(strike: number, noiseMultiplier: number, way: Way): number {
  if (strike <= 0) return way === 'remove' ? 1 - strike : 0;
  const far = -Math.log(strike) * noiseMultiplier - 1 / (2 * noiseMultiplier);
  const near = far + 1 / noiseMultiplier;
  return way === 'remove' ? below(near) - strike * below(far) : strike * below(-far) - below(-near);
}

/** E max(0, ±(sum of `count` ratios - strike)): the trapezoidal rule over all but one, which is smooth and so loses nothing. */
function sumOption(count: number, strike: number, noiseMultiplier: number, way: Way): number {
  if (count === 1) return option(strike, noiseMultiplier, way);
  const shift = 1 / noiseMultiplier;
  const step = 0.06;
  let sum = 0;
  for (let place = -9; place <= 9 + shift; place += step) {
    const ratio = Math.exp(shift * (place - shift / 2));
    sum += Math.exp((-place * place) / 2) * sumOption(count - 1, strike - ratio, noiseMultiplier, way);
  }
  return (sum * step) / Math.sqrt(2 * Math.PI);
}

/** δ of `count` steps: E max(0, S - e^ε), or E max(0, 1 - e^ε S). */
function quadratureDelta(count: number, noiseMultiplier: number, epsilon: number, way: Way): number {
  if (way === 'remove') return sumOption(count, count * Math.exp(epsilon), noiseMultiplier, way) / count;
  return (sumOption(count, count * Math.exp(-epsilon), noiseMultiplier, way) / count) * Math.exp(epsilon);
}

/** ε that the event {some x_t > C} proves, for the best C (Chua et al., arXiv 2412.16802). */
function cubeEpsilon(noiseMultiplier: number, steps: number, delta: number): number {
  let best = 0;
  for (let c = 0; c <= 10; c += 0.002) {
    const logInside = (steps - 1) * Math.log1p(-Math.exp(logNormalTail(c / noiseMultiplier)));
    const one = Math.exp(logNormalTail(c / noiseMultiplier));
    const other = Math.exp(logNormalTail((c - 1) / noiseMultiplier));
    const outsideP = other - Math.expm1(logInside) * (1 - other);
    const outsideQ = one - Math.expm1(logInside) * (1 - one);
    if (outsideP > delta && outsideQ > 0) best = Math.max(best, Math.log((outsideP - delta) / outsideQ));
  }
  return best;
}

describe('allocationLaws() against the truth', () => {
  it.each([0.05, 0.3, 1, 10, 1e4])('one step is the plain Gaussian, noise %d', noiseMultiplier => {
    const { dominating, attained } = laws(noiseMultiplier, 1, 1500);
    for (const way of ways) {
      for (const widths of [0, 0.3, 1, 2.5, 4, 6]) {
        const epsilon = widths / noiseMultiplier + 1 / (2 * noiseMultiplier ** 2);
        const { lower, upper } = gaussianDelta(1 / noiseMultiplier, epsilon);
        expect(lawDelta(attained[way], epsilon)).toBeLessThanOrEqual(upper);
        expect(lawDelta(dominating[way], epsilon)).toBeGreaterThanOrEqual(lower);
        expect(lawDelta(dominating[way], epsilon)).toBeLessThanOrEqual(upper * 1.02);
        expect(lawDelta(attained[way], epsilon)).toBeGreaterThanOrEqual(lower * 0.98);
      }
    }
  });

  const few = [
    [2, 0.3],
    [2, 1],
    [2, 5],
    [3, 0.5],
    [3, 1],
  ] as const;

  it.each(few)('%d steps at noise %d agree with quadrature', (steps, noiseMultiplier) => {
    const { dominating, attained } = laws(noiseMultiplier, steps, 1000);
    for (const way of ways) {
      for (const epsilon of [0, 0.1, 0.5, 1, 2]) {
        const truth = quadratureDelta(steps, noiseMultiplier, epsilon, way);
        const [lower, upper] = [attained[way], dominating[way]].map(law => lawDelta(law, epsilon));
        // Relative error of the quadrature, and absolute where Black and Scholes cancel.
        const error = 1e-10 * truth + 1e-15;
        expect(lower).toBeLessThanOrEqual(truth + error);
        expect(upper).toBeGreaterThanOrEqual(truth - error);
        if (truth > 1e-9) expect(upper! - lower!).toBeLessThanOrEqual(0.01 * truth);
      }
    }
  });

  // Published values: ε at δ 1e-6 by events {max x_t > C}, to two decimals.
  const published = [
    [1000, 0.35, 10.17],
    [1000, 0.8, 0.44],
    [10_000, 0.4, 5.25],
    [10_000, 0.8, 0.05],
    [100_000, 0.5, 0.47],
  ] as const;

  it.each(published)('%d steps at noise %d reach the published lower bound %d', (steps, noise, epsilon) => {
    const { dominating, attained } = laws(noise, steps, 1500);
    const cube = cubeEpsilon(noise, steps, 1e-6);
    expect(Math.abs(cube - epsilon)).toBeLessThanOrEqual(0.01);
    const [lower, upper] = [attained.remove, dominating.remove].map(law => lawEpsilon(law, 1e-6));
    expect(upper).toBeGreaterThanOrEqual(cube);
    expect(lower).toBeGreaterThanOrEqual(epsilon - 0.005);
    expect(upper! - lower!).toBeLessThanOrEqual(0.002 * upper!);
  });

  it('ten steps agree with a simulation', () => {
    const { dominating, attained } = laws(1, 10);
    for (const { epsilon, way, mean, deviation } of simulate({
      steps: 10,
      noiseMultiplier: 1,
      runs: 200_000,
    })) {
      expect(lawDelta(attained[way], epsilon)).toBeLessThanOrEqual(mean + 5 * deviation);
      expect(lawDelta(dominating[way], epsilon)).toBeGreaterThanOrEqual(mean - 5 * deviation);
    }
  });
});

interface Estimate {
  readonly epsilon: number;
  readonly way: Way;
  readonly mean: number;
  readonly deviation: number;
}

/** δ at a few ε by Box and Muller's normals, with its standard error. */
function simulate(options: { steps: number; noiseMultiplier: number; runs: number }): Estimate[] {
  const uniform = uniformValues(7);
  const shift = 1 / options.noiseMultiplier;
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const average = (): number => {
    let sum = 0;
    for (let step = 0; step < options.steps; step += 1) sum += Math.exp(shift * (normal() - shift / 2));
    return sum / options.steps;
  };
  const ratios = Float64Array.from({ length: options.runs }, average);
  return [0, 0.2, 0.6].flatMap(epsilon =>
    ways.map(way => {
      const factor = Math.exp(epsilon);
      const values = ratios.map(ratio => Math.max(0, way === 'remove' ? ratio - factor : 1 - factor * ratio));
      const mean = values.reduce((a, b) => a + b, 0) / options.runs;
      const square = values.reduce((a, b) => a + (b - mean) ** 2, 0) / options.runs;
      return { epsilon, way, mean, deviation: Math.sqrt(square / options.runs) };
    }),
  );
}

const cases = fc.record({
  noiseMultiplier: fc.double({ min: -2.9, max: 5, noNaN: true }).map(Math.exp),
  steps: fc.double({ min: 0, max: 16, noNaN: true }).map(exponent => Math.floor(2 ** exponent)),
});

/** ε from 0 to beyond the plain Gaussian's at δ 1e-12. */
function epsilons(noiseMultiplier: number): number[] {
  const most = 7.5 / noiseMultiplier + 1 / (2 * noiseMultiplier ** 2);
  return Array.from({ length: 16 }, (_, k) => most * (k / 15) ** 2);
}

describe('allocationLaws() at any noise and number of steps', () => {
  it('the dominating laws are above the attained ones, below the plain Gaussian, and no δ is NaN', () => {
    fc.assert(
      fc.property(cases, ({ noiseMultiplier, steps }) => {
        const { dominating, attained } = laws(noiseMultiplier, steps, 150);
        for (const way of ways) {
          for (const epsilon of epsilons(noiseMultiplier)) {
            const lower = lawDelta(attained[way], epsilon);
            expect(lower).toBeGreaterThanOrEqual(0);
            expect(lower).toBeLessThanOrEqual(lawDelta(dominating[way], epsilon));
            expect(lower).toBeLessThanOrEqual(gaussianDelta(1 / noiseMultiplier, epsilon).upper);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('masses add up to 1 and the ratio has mean 1', () => {
    fc.assert(
      fc.property(cases, ({ noiseMultiplier, steps }) => {
        const { dominating, attained } = laws(noiseMultiplier, steps, 150);
        for (const way of ways) {
          expect(total(dominating[way])).toBeGreaterThanOrEqual(1);
          expect(total(dominating[way])).toBeLessThanOrEqual(1 + 2e-12);
          expect(total(attained[way])).toBeLessThanOrEqual(1);
          expect(total(attained[way])).toBeGreaterThanOrEqual(1 - 2e-12);
          expect(otherTotal(dominating[way])).toBeLessThanOrEqual(1 + 1e-10);
          expect(Math.abs(otherTotal(attained[way]) - 1)).toBeLessThanOrEqual(2e-3);
          if (noiseMultiplier > 0.3) expect(otherTotal(dominating[way])).toBeGreaterThanOrEqual(1 - 1e-4);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('more steps never cost more, up to the width of the bounds', () => {
    fc.assert(
      fc.property(cases, ({ noiseMultiplier, steps }) => {
        const fewer = laws(noiseMultiplier, steps, 150).dominating;
        const more = laws(noiseMultiplier, steps + 1 + (steps >> 1), 150).attained;
        for (const way of ways) {
          for (const epsilon of epsilons(noiseMultiplier))
            expect(lawDelta(more[way], epsilon)).toBeLessThanOrEqual(lawDelta(fewer[way], epsilon));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('laws of all numbers of points agree', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 100, max: 400 }), ({ noiseMultiplier, steps }, points) => {
        const [coarse, fine] = [laws(noiseMultiplier, steps, 100), laws(noiseMultiplier, steps, points)];
        for (const way of ways) {
          for (const epsilon of epsilons(noiseMultiplier)) {
            const upper = Math.min(
              ...[coarse, fine].map(({ dominating }) => lawDelta(dominating[way], epsilon)),
            );
            const lower = Math.max(...[coarse, fine].map(({ attained }) => lawDelta(attained[way], epsilon)));
            expect(lower).toBeLessThanOrEqual(upper);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    [100, 0.5],
    [1000, 1],
    [37, 3],
  ] as const)('%d steps at noise %d: twice the points, a quarter of the gap', (steps, noiseMultiplier) => {
    const gap = (points: number, way: Way): number => {
      const { dominating, attained } = laws(noiseMultiplier, steps, points);
      return lawEpsilon(dominating[way], 1e-6) - lawEpsilon(attained[way], 1e-6);
    };
    for (const way of ways) {
      expect(gap(600, way)).toBeLessThanOrEqual(gap(300, way) / 3);
      expect(gap(600, way)).toBeLessThanOrEqual(gap(150, way) / 9);
    }
  });
});

describe('allocationLaws() in the corners', () => {
  const corners = [
    ['hardly any noise', 1e-3, 100],
    ['just too little noise for a grid', 0.0499, 1000],
    ['just enough noise for a grid', 0.05, 1000],
    ['huge noise', 1e7, 1000],
    ['more noise than a grid resolves', 1e12, 10],
    ['a billion steps', 1, 1e9],
    ['more steps than rounding allows', 1, 2 ** 53 - 1],
  ] as const;

  it.each(corners)('%s: both sides hold, and nothing is NaN', (_, noiseMultiplier, steps) => {
    const { dominating, attained } = laws(noiseMultiplier, steps, 150);
    for (const way of ways) {
      const lower = [0, 1e-3, 0.1, 1].map(epsilon => lawDelta(attained[way], epsilon));
      const { curves } = dominating[way];
      // The plain Gaussian's law is a curve.
      const upper = [0, 1e-3, 0.1, 1].map(epsilon =>
        curves.length > 0
          ? gaussianDelta(1 / noiseMultiplier, epsilon).upper
          : lawDelta(dominating[way], epsilon),
      );
      for (const k of lower.keys()) expect(lower[k]).toBeLessThanOrEqual(upper[k]!);
      expect(lower.every(delta => delta >= 0 && delta <= 1)).toBe(true);
      expect(upper.every(delta => delta >= 0 && delta <= 1 + 2e-12)).toBe(true);
    }
  });

  it('noise too small for a grid: a certain loss is still proven', () => {
    const { attained } = laws(1e-3, 100);
    expect(lawEpsilon(attained.remove, 1e-6)).toBeGreaterThanOrEqual(50);
  });

  it('even at a billion steps the bounds are close', () => {
    const { dominating, attained } = laws(1, 1e9);
    const [lower, upper] = [attained.remove, dominating.remove].map(law => lawEpsilon(law, 1e-6));
    expect(lower).toBeGreaterThanOrEqual(0.95 * upper!);
  });

  it('the mass that leaves the grids is about what was allowed', () => {
    const { dominating } = allocationLaws(
      { noiseMultiplier: 1, stepsPerEpoch: 100 },
      { points: 200, logTail: -40 },
    );
    expect(dominating.remove.infinite).toBeLessThanOrEqual(10 * Math.exp(-40));
    expect(dominating.add.infinite).toBeLessThanOrEqual(10 * Math.exp(-40));
    expect(dominating.remove.infinite).toBeGreaterThanOrEqual(Math.exp(-60));
  });
});
