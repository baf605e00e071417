import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composeOnLine } from '../../../accounting/contour/compose.ts';
import { exactEpsilon } from '../../../accounting/contour/contour.ts';
import { poissonEvent } from '../../../accounting/event.ts';
import { repeatedLoss, saddleForEpsilon, type RepeatedLoss } from '../../../accounting/laws/cumulants.ts';
import { composeOnGrid } from '../../../accounting/pld/compose.ts';
import { pldEpsilon } from '../../../accounting/pld/pld.ts';
import { peel } from '../../../accounting/profiles/peel.ts';
import { deltaLower, deltaUpper, smoothingsOf, type Profile } from '../../../accounting/profiles/profile.ts';
import type { Composer } from '../../../accounting/profiles/composer.ts';
import { partsOfSteps } from './parts.ts';

const neighbours = 'add-or-remove';

function composerOf(compose: Composer<Profile>['compose']): Composer<Profile> {
  return {
    compose,
    describe: () => 'a profile',
    isFinest: () => false,
    usualGap: () => 1e-4,
    acceptedGap: 1e-4,
  };
}

const onLine = composerOf(composeOnLine);
const onGrid = composerOf((parts, request) => composeOnGrid(parts, { ...request, largestSize: 2 ** 18 }));

describe('peel()', () => {
  const visible = [
    { noiseMultiplier: 1, samplingProbability: 1e-3, steps: 300, epsilon: 1 },
    { noiseMultiplier: 0.8, samplingProbability: 1e-4, steps: 2000, epsilon: 0.8 },
    { noiseMultiplier: 2, samplingProbability: 1e-2, steps: 50, epsilon: 0.3 },
  ];

  it.each(visible)('agrees with one profile where one shows δ: %o', ({ epsilon, ...step }) => {
    const parts = partsOfSteps(step);
    const { tilt, logDelta } = saddleForEpsilon(parts, epsilon);
    const gap = 1e-4 * epsilon;
    const whole = composeOnLine(parts, { tilt, epsilon, gap });
    for (const composer of [onLine, onGrid]) {
      const sum = peel(parts, { epsilon, gap, logDelta, doubt: Infinity }, composer)!;
      expect(sum.terms.length + (sum.far === undefined ? 0 : 1)).toBeGreaterThan(1);
      const [lower, upper] = [deltaLower(sum, epsilon, smoothingsOf(sum)), deltaUpper(sum, epsilon)];
      expect(lower).toBeLessThanOrEqual(deltaUpper(whole, epsilon));
      expect(upper).toBeGreaterThanOrEqual(deltaLower(whole, epsilon, smoothingsOf(whole)));
      expect((upper - lower) / upper).toBeLessThan(0.02);
    }
  });

  /** Losses on a lattice, so that all sums of them can be listed. */
  function latticeLaw(likely: number, large: readonly number[], count: number): RepeatedLoss {
    const masses = [1 - likely - large.length * 1e-6, likely, ...large.map(() => 1e-6)];
    const losses = [-0.01, 0.05, ...large];
    const atoms = losses.map((loss, index) => ({ loss, logMass: Math.log(masses[index]!) }));
    const highest = Math.max(...losses);
    return repeatedLoss({ panels: [], atoms, outside: 0, infinite: 0, highest }, count);
  }

  function listedDelta({ losses, weights }: RepeatedLoss, epsilon: number): number {
    const places = losses.map((_, index) => index);
    const delta = (loss: number): number => (loss > epsilon ? -Math.expm1(epsilon - loss) : 0);
    let sum = 0;
    for (const a of places)
      for (const b of places)
        for (const c of places)
          sum += weights[a]! * weights[b]! * weights[c]! * delta(losses[a]! + losses[b]! + losses[c]!);
    return sum;
  }

  it.each([0.4, 0.7, 1.02, 1.5])('encloses what listing all sums of losses gives at ε = %d', epsilon => {
    const law = latticeLaw(1e-3, [0.45, 0.5, 0.8, 1.6, 3], 3);
    const truth = listedDelta(law, epsilon);
    const request = { epsilon, gap: 1e-4 * epsilon, logDelta: Math.log(truth), doubt: Infinity };
    const sum = peel([law], request, onGrid)!;
    expect(deltaUpper(sum, epsilon)).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
    expect(deltaLower(sum, epsilon, smoothingsOf(sum))).toBeLessThanOrEqual(truth * (1 + 1e-12));
    expect(deltaUpper(sum, epsilon)).toBeLessThan(1.001 * truth);
  });

  it('is not made where large losses are not rare', () => {
    const parts = partsOfSteps({ noiseMultiplier: 1, samplingProbability: 1, steps: 100 });
    const request = { epsilon: 60, gap: 1e-3, logDelta: -20, doubt: 1e-12 };
    expect(peel(parts, request, onLine)).toBeUndefined();
  });
});

describe('the certified gap over the domain that is promised', () => {
  /** Log-uniform in noise 0.3 to 50, q 1e-6 to 1, 1 to 1e6 steps, δ 1e-30 to 1e-3. */
  const between = (low: number, high: number): fc.Arbitrary<number> =>
    fc
      .double({ min: Math.log(low), max: Math.log(high), noNaN: true })
      .map(log => Math.min(high, Math.max(low, Math.exp(log))));
  const settings = fc.tuple(
    between(0.3, 50),
    between(1e-6, 1),
    between(1, 1e6).map(Math.round),
    between(1e-30, 1e-3),
  );
  // Once out of reach: δ is made by one large loss among many steps.
  const hard: [number, number, number, number][] = [
    [1.088, 6.27e-6, 10028, 1.4e-30],
    [1.343, 1.81e-6, 7772, 5.2e-29],
    [0.6343, 1.46e-6, 19904, 8.9e-11],
    [0.9868, 2.71e-6, 349944, 7.37e-14],
    [0.9055, 4.24e-6, 3, 4.07e-22],
    [0.4265, 0.801, 686800, 2.21e-16],
  ];

  it.each([
    [1e-4, 20],
    [1e-6, 5],
  ])('is at most %d', (gap, numRuns) => {
    const holds = ([noiseMultiplier, samplingProbability, steps, delta]: (typeof hard)[number]): void => {
      const event = poissonEvent({ noiseMultiplier, samplingProbability, steps });
      const relativeGap = gap === 1e-4 ? undefined : gap;
      const { lower, upper, value } = exactEpsilon(event, { delta, neighbours, relativeGap });
      expect(upper - lower).toBeLessThanOrEqual(gap * (1 + 1e-9) * upper);
      expect(value!).toBeGreaterThanOrEqual(lower);
      expect(value!).toBeLessThanOrEqual(upper);
    };
    for (const setting of hard) holds(setting);
    fc.assert(fc.property(settings, holds), { numRuns });
  });

  it.each(hard)('contradicts no interval by grid: %d, %d, %d, %d', (noise, probability, steps, delta) => {
    const event = poissonEvent({ noiseMultiplier: noise, samplingProbability: probability, steps });
    const exact = exactEpsilon(event, { delta, neighbours });
    const pld = pldEpsilon(event, { delta, neighbours });
    expect(exact.lower).toBeLessThanOrEqual(pld.upper);
    expect(exact.upper).toBeGreaterThanOrEqual(pld.lower);
    expect(pld.lower).toBeLessThanOrEqual(exact.value!);
    expect(pld.upper).toBeGreaterThanOrEqual(exact.value!);
  });
});
