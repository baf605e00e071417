import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shiftedNoise, type Direction } from '../../../accounting/laws/loss-curve.ts';
import { gaussianLaw } from '../../../accounting/laws/gaussian.ts';
import { tabulate } from '../../../accounting/laws/table.ts';
import { composeOnGrid } from '../../../accounting/pld/compose.ts';
import {
  cumulantAt,
  panelLoss,
  repeatedLoss,
  type RepeatedLoss,
} from '../../../accounting/laws/cumulants.ts';
import { gaussianDelta, singleStepDelta } from '../../../accounting/profiles/single.ts';
import { gridLoss } from '../../../accounting/pld/grid.ts';
import { deltaLower, deltaUpper, smoothingsOf } from '../../../accounting/profiles/profile.ts';
import { chooseWindow, logKernelMoment } from '../../../accounting/pld/window.ts';

function subsampled(
  noiseMultiplier: number,
  samplingProbability: number,
  direction: Direction,
): RepeatedLoss {
  const noise = shiftedNoise({ kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability });
  return repeatedLoss(tabulate(gaussianLaw(noise, direction), -80), 1);
}

const directions = ['remove', 'add'] as const;

/** Profile E(1 - xR)+ of the factor that stands for one split, by its closed form. */
function kernelProfile(x: number, spacing: number): number {
  const k = 1 / x;
  if (k >= Math.exp(spacing)) return 1 - x;
  if (k <= Math.exp(-spacing)) return 0;
  const put = (Math.sqrt(k) - Math.exp(-spacing / 2)) ** 2 / -Math.expm1(-spacing);
  return put * x;
}

describe('the certificate of the lower bound', () => {
  const cases = fc.record({
    spacing: fc.double({ min: 1e-3, max: 3, noNaN: true }),
    share: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
    at: fc.double({ min: -1.2, max: 1.2, noNaN: true }),
  });

  it('one factor dominates every split of a loss between grid points', () => {
    fc.assert(
      fc.property(cases, ({ spacing, share, at }) => {
        const up = Math.exp(share * spacing);
        const down = Math.exp(-(1 - share) * spacing);
        const probabilityUp = (1 - down) / (up - down);
        const x = Math.exp(at * spacing);
        const split =
          probabilityUp * Math.max(0, 1 - x * up) + (1 - probabilityUp) * Math.max(0, 1 - x * down);
        expect(split).toBeLessThanOrEqual(kernelProfile(x, spacing) + 1e-13);
      }),
      { numRuns: 1000 },
    );
  });

  it('a Gaussian mechanism with ratio sqrt(pi/8) spacing dominates that factor', () => {
    fc.assert(
      fc.property(cases, ({ spacing, at }) => {
        const ratio = Math.sqrt(Math.PI / 8) * spacing;
        const x = Math.exp(at * spacing);
        // δ at a negative ε: δ(-ε) = 1 - x + x δ(ε), by symmetry.
        const epsilon = Math.abs(Math.log(x));
        const positive = gaussianDelta(ratio, epsilon).upper;
        const gaussian = x >= 1 ? positive : 1 - x + x * positive;
        expect(kernelProfile(x, spacing)).toBeLessThanOrEqual(gaussian + 1e-12);
      }),
      { numRuns: 1000 },
    );
  });

  it('the knots of the smoothing carry mass 1 and mean 1', () => {
    const part = { ...subsampled(1, 0.1, 'remove'), count: 50 };
    const profile = composeOnGrid([part], { tilt: 2, epsilon: 3, gap: 0.1, largestSize: 2 ** 12 });
    for (const { offsets, weights } of smoothingsOf(profile)) {
      const mass = weights.reduce((sum, weight) => sum + weight, 0);
      const mean = weights.reduce((sum, weight, k) => sum + weight * Math.exp(offsets[k]!), 0);
      expect(Math.abs(mass - 1)).toBeLessThanOrEqual(1e-12);
      expect(Math.abs(mean - 1)).toBeLessThanOrEqual(1e-12);
    }
  });

  it('logKernelMoment() is 0 at z = 0 and z = -1, and the variance is a third of the squared spacing', () => {
    expect(logKernelMoment(0, 0.3)).toBe(0);
    expect(Math.abs(logKernelMoment(-1, 0.3))).toBeLessThanOrEqual(1e-15);
    expect(Math.abs(logKernelMoment(99.5, 1e-3) - (1e-6 / 6) * (1e4 - 0.25))).toBeLessThanOrEqual(1e-6);
  });
});

describe('tabulate()', () => {
  it.each(directions)('polynomials agree with the loss (%s)', direction => {
    for (const [noise, sampled] of [
      [1, 0.01],
      [0.05, 1e-9],
      [1e6, 0.5],
      [0.5, 0.9],
    ] as const) {
      const { table } = subsampled(noise, sampled, direction);
      for (const panel of table.panels) {
        const [height, slope] = [Math.abs(panel.coefficients[0]!), Math.abs(panel.coefficients[1]!)];
        // What gridLoss() allows for.
        const size = height + slope * (2 + (1 + Math.abs(panel.centre)) / panel.radius);
        for (const s of [-1, -0.7, 0.1, 0.93, 1]) {
          const exact = panel.curve.loss(panel.centre + panel.radius * s);
          expect(Math.abs(panelLoss(panel, s) - exact)).toBeLessThanOrEqual(4e-15 * size);
        }
      }
    }
  });
});

describe('gridLoss()', () => {
  it.each(directions)('keeps the masses under P and under Q (%s)', direction => {
    const part = subsampled(0.8, 0.05, direction);
    const window = chooseWindow([part], { tilt: 1e-9, epsilon: 0, gap: 1e-3, largestSize: 2 ** 14 });
    const wide = { ...window, size: 2 ** 16, firstIndex: -(2 ** 15) };
    const { masses, logMass } = gridLoss(part, { window: wide, tilt: 0, logScale: 0 });
    let underQ = 0;
    masses.forEach((mass, at) => {
      const index = at < 2 ** 15 ? at : at - 2 ** 16;
      underQ += mass === 0 ? 0 : Math.exp(logMass + Math.log(mass) - index * window.spacing);
    });
    expect(Math.abs(Math.expm1(logMass))).toBeLessThanOrEqual(1e-12);
    expect(Math.abs(underQ - 1)).toBeLessThanOrEqual(1e-10);
  });

  it.each(directions)('interpolates the true profile of a single step (%s)', direction => {
    const part = subsampled(1, 0.2, direction);
    const profile = composeOnGrid([part], { tilt: 3, epsilon: 0.3, gap: 1e-2, largestSize: 2 ** 12 });
    const smoothings = smoothingsOf(profile);
    for (let index = 1; index < 12; index += 1) {
      const epsilon = index * profile.window.spacing;
      const truth = singleStepDelta(part.table, epsilon);
      // Connecting the dots is exact at the dots; only rounding and the tails are left.
      expect(deltaUpper(profile, epsilon)).toBeGreaterThanOrEqual(truth.lower);
      expect(deltaUpper(profile, epsilon)).toBeLessThanOrEqual(truth.upper * (1 + 1e-7) + 1e-10);
      expect(deltaLower(profile, epsilon, smoothings)).toBeLessThanOrEqual(truth.upper);
    }
  });
});

describe('composeOnGrid()', () => {
  it.each(directions)('agrees with the double loop (%s)', direction => {
    const part = { ...subsampled(0.9, 0.3, direction), count: 3 };
    const request = { tilt: 1.5, epsilon: 2, gap: 0.2, largestSize: 2 ** 10 };
    const profile = composeOnGrid([part], request);
    const { spacing } = profile.window;
    const { masses, logMass } = gridLoss(part, {
      window: { ...profile.window, size: 2 ** 12 },
      tilt: 0,
      logScale: 0,
    });
    const law = new Map<number, number>([[0, 1]]);
    for (let step = 0; step < 3; step += 1) {
      const before = [...law];
      law.clear();
      for (const [sum, weight] of before) {
        masses.forEach((mass, at) => {
          const index = sum + (at < 2 ** 11 ? at : at - 2 ** 12);
          if (mass * weight > 1e-30)
            law.set(index, (law.get(index) ?? 0) + mass * Math.exp(logMass) * weight);
        });
      }
    }
    for (const epsilon of [0, 0.5, 2, 4.01]) {
      const slow = [...law].reduce(
        (sum, [index, mass]) => sum + mass * Math.max(0, -Math.expm1(epsilon - index * spacing)),
        0,
      );
      const error =
        slow * 1e-9 + profile.errorAt(epsilon) * Math.exp(profile.logScale - profile.tilt * epsilon);
      expect(deltaUpper(profile, epsilon)).toBeGreaterThanOrEqual(slow * (1 - 1e-11));
      expect(deltaUpper(profile, epsilon)).toBeLessThanOrEqual(slow + 2 * error + profile.outside);
    }
  });

  it('composes Gaussians to the Gaussian that they are', () => {
    const law = gaussianLaw(shiftedNoise({ kind: 'gaussian', noiseMultiplier: 10 }), 'remove');
    const parts = [repeatedLoss(tabulate(law, -80), 400)];
    const profile = composeOnGrid(parts, { tilt: 2.5, epsilon: 10, gap: 1e-4, largestSize: 2 ** 18 });
    for (const epsilon of [8, 10, 12, 15]) {
      const truth = gaussianDelta(2, epsilon);
      const [lower, upper] = [
        deltaLower(profile, epsilon, smoothingsOf(profile)),
        deltaUpper(profile, epsilon),
      ];
      expect(lower).toBeLessThanOrEqual(truth.upper);
      expect(upper).toBeGreaterThanOrEqual(truth.lower);
      expect(upper / lower).toBeLessThanOrEqual(1.002);
    }
    expect(Math.abs(cumulantAt(parts, 2).value - 12)).toBeLessThanOrEqual(1e-11);
  });
});
