import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  averageCells,
  contract,
  ratioCells,
  spread,
  type RatioCells,
  type RatioLaw,
} from '../../../accounting/laws/sum-of-ratios.ts';
import { logNormalTail } from '../../../accounting/numerics/special.ts';

const exact = { infinite: 0, massError: 0, ratioError: 0 };

/** Up to a dozen atoms anywhere between 0 and 10. */
const lawCases = fc
  .array(fc.tuple(fc.double({ min: 0, max: 10, noNaN: true }), fc.integer({ min: 1, max: 99 })), {
    minLength: 1,
    maxLength: 12,
  })
  .map((pairs): RatioLaw => {
    const sorted = pairs.toSorted(([a], [b]) => a - b);
    const total = sorted.reduce((sum, [, mass]) => sum + mass, 0);
    return {
      ...exact,
      ratios: Float64Array.from(sorted, ([ratio]) => ratio),
      masses: Float64Array.from(sorted, ([, mass]) => mass / total),
    };
  });

const edgeCases = fc
  .uniqueArray(fc.integer({ min: 1, max: 1200 }), { minLength: 1, maxLength: 15 })
  .map(ticks => Float64Array.from(ticks, tick => tick / 100).toSorted());

const weightCases = fc.integer({ min: 1, max: 9 }).map(tenths => tenths / 10);

/** E max(0, ratio - strike). */
function call({ ratios, masses, infinite }: RatioLaw, strike: number): number {
  return ratios.reduce((sum, ratio, k) => sum + masses[k]! * Math.max(0, ratio - strike), infinite);
}

/** E max(0, strike - ratio). */
function put({ ratios, masses }: RatioLaw, strike: number): number {
  return ratios.reduce((sum, ratio, k) => sum + masses[k]! * Math.max(0, strike - ratio), 0);
}

/** The average's law, pair by pair. */
function productLaw(first: RatioLaw, second: RatioLaw, weight: number): RatioLaw {
  const pairs = [...first.ratios].flatMap((a, i) =>
    Array.from(second.ratios, (b, j) => ({
      ratio: weight * a + (1 - weight) * b,
      mass: first.masses[i]! * second.masses[j]!,
    })),
  );
  return {
    ...exact,
    ratios: Float64Array.from(pairs, ({ ratio }) => ratio),
    masses: Float64Array.from(pairs, ({ mass }) => mass),
  };
}

function average(first: RatioLaw, second: RatioLaw, weight: number, edges: Float64Array): RatioCells {
  return averageCells({ law: first, weight }, { law: second, weight: 1 - weight }, edges);
}

const strikes = [0.005, 0.3, 0.77, 1, 1.234, 3, 8, 11.9];
const slack = 1e-13;

describe('averageCells()', () => {
  it('a spread average is above the true one and a contracted one below, for every convex function', () => {
    fc.assert(
      fc.property(lawCases, lawCases, weightCases, edgeCases, (first, second, weight, edges) => {
        const truth = productLaw(first, second, weight);
        const cells = average(first, second, weight, edges);
        const [upper, lower] = [spread(cells), contract(cells)];
        for (const strike of strikes) {
          expect(call(upper, strike)).toBeGreaterThanOrEqual(call(truth, strike) - slack);
          expect(put(upper, strike)).toBeGreaterThanOrEqual(put(truth, strike) - slack);
          expect(call(lower, strike)).toBeLessThanOrEqual(call(truth, strike) + slack);
          expect(put(lower, strike)).toBeLessThanOrEqual(put(truth, strike) + slack);
        }
      }),
    );
  });

  it('keeps the mass and the mean', () => {
    fc.assert(
      fc.property(lawCases, lawCases, weightCases, edgeCases, (first, second, weight, edges) => {
        const cells = average(first, second, weight, edges);
        const mean = weight * call(first, 0) + (1 - weight) * call(second, 0);
        for (const law of [spread(cells), contract(cells)]) {
          expect(Math.abs(law.masses.reduce((a, b) => a + b, 0) - 1)).toBeLessThanOrEqual(slack);
          expect(Math.abs(call(law, 0) - mean)).toBeLessThanOrEqual(100 * slack);
        }
      }),
    );
  });

  it('counts every pair of equals once, as with a copy of the law', () => {
    fc.assert(
      fc.property(lawCases, edgeCases, (law, edges) => {
        const square = average(law, law, 0.5, edges);
        const product = average(law, { ...law }, 0.5, edges);
        for (const k of square.masses.keys()) {
          expect(Math.abs(square.masses[k]! - product.masses[k]!)).toBeLessThanOrEqual(slack);
          expect(Math.abs(square.shares[k]! - product.shares[k]!)).toBeLessThanOrEqual(slack);
        }
      }),
    );
  });

  it('adds the errors of masses, takes the larger one of ratios, and weighs what is infinite', () => {
    const law = { ratios: new Float64Array([1]), masses: new Float64Array([1]) };
    const first = { ...law, infinite: 0.1, massError: 0.01, ratioError: 0.02 };
    const second = { ...law, infinite: 0.2, massError: 0.03, ratioError: 0.01 };
    const cells = average(first, second, 0.25, new Float64Array([0.5]));
    expect(cells.massError).toBeGreaterThanOrEqual(0.04);
    expect(cells.massError).toBeLessThanOrEqual(0.04 + 1e-14);
    expect(cells.ratioError).toBeGreaterThanOrEqual(0.02);
    expect(cells.ratioError).toBeLessThanOrEqual(0.02 + 1e-14);
    expect(Math.abs(cells.infinite - 0.175)).toBeLessThanOrEqual(1e-16);
  });
});

describe('ratioCells()', () => {
  it.each([0.05, 0.3, 1, 20, 1e6])('at noise %d has the masses and means of a lognormal', noiseMultiplier => {
    const shift = 1 / noiseMultiplier;
    const places = Float64Array.from({ length: 60 }, (_, k) => -6 + k * ((12 + shift) / 59));
    const { edges, masses, shares } = ratioCells(places, noiseMultiplier);
    const below = (x: number): number => Math.exp(logNormalTail(-x));
    for (let k = 1; k < places.length; k += 1) {
      const [from, to] = [places[k - 1]!, places[k]!];
      expect(Math.abs(masses[k]! - (below(to) - below(from)))).toBeLessThanOrEqual(1e-14);
      const width = edges[k]! - edges[k - 1]!;
      const first = below(to - shift) - below(from - shift);
      const mean = edges[k - 1]! * masses[k]! + width * shares[k]!;
      expect(Math.abs(mean - first)).toBeLessThanOrEqual(2e-14);
    }
  });

  it('keeps mass 1 and mean 1 with its tails', () => {
    const law = spread(ratioCells(Float64Array.of(-1, 0, 0.5, 2), 0.7));
    expect(Math.abs(law.masses.reduce((a, b) => a + b, 0) - 1)).toBeLessThanOrEqual(2e-12);
    expect(Math.abs(call(law, 0) - 1)).toBeLessThanOrEqual(2e-12);
  });
});
