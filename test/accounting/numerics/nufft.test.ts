import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fourierSeries, MassSpreader } from '../../../accounting/numerics/nufft.ts';

interface Mass {
  readonly turns: number;
  readonly mass: number;
}

const masses: fc.Arbitrary<Mass[]> = fc.array(
  fc.record({
    turns: fc.double({ min: -3, max: 3, noNaN: true }),
    mass: fc.double({ min: 0, max: 2, noNaN: true }),
  }),
  { minLength: 1, maxLength: 12 },
);

function spread(modes: number, all: readonly Mass[]): MassSpreader {
  const spreader = new MassSpreader(modes);
  for (const { turns, mass } of all) spreader.add(turns, mass);
  return spreader;
}

/** mass·(exp(i·angle) - 1), with the digits of small angles; whole turns are taken away before anything is multiplied. */
function directSum(all: readonly Mass[], mode: number): { real: number; imaginary: number } {
  let [real, imaginary] = [0, 0];
  for (const { turns, mass } of all) {
    const angle = 2 * Math.PI * mode * (turns - Math.round(turns));
    real -= 2 * mass * Math.sin(angle / 2) ** 2;
    imaginary += mass * Math.sin(angle);
  }
  return { real, imaginary };
}

describe('MassSpreader', () => {
  it.each([1, 15, 16, 100])('agrees with the double loop up to mode %d', modes => {
    fc.assert(
      fc.property(masses, all => {
        const total = all.reduce((sum, { mass }) => sum + mass, 0);
        const spreader = spread(modes, all);
        const { real, imaginary } = spreader.sums();
        expect(real.length).toBe(modes + 1);
        for (let mode = 0; mode <= modes; mode += 1) {
          const direct = directSum(all, mode);
          const error = Math.hypot(real[mode]! - direct.real, imaginary[mode]! - direct.imaginary);
          // The direct sum's own rounding: that of its angles.
          expect(error).toBeLessThanOrEqual(spreader.errorAt(mode) + 1e-15 * (1 + mode / 8) * total + 1e-300);
          expect(spreader.errorAt(mode)).toBeLessThanOrEqual(1e-12 * total);
        }
      }),
      { numRuns: 60 },
    );
  });

  it.each([1e-4, 1e-6, -1e-6, 1e-9])('keeps the digits of masses at the small angle %d', turns => {
    const all = [
      { turns, mass: 0.7 },
      { turns: 3 * turns, mass: 0.3 },
    ];
    const { real, imaginary } = spread(20, all).sums();
    for (let mode = 1; mode <= 20; mode += 1) {
      const direct = directSum(all, mode);
      const error = Math.hypot(real[mode]! - direct.real, imaginary[mode]! - direct.imaginary);
      const size = Math.hypot(direct.real, direct.imaginary);
      expect(error).toBeLessThanOrEqual(1e-11 * size + 1e-17);
    }
  });

  it('a mass at the angle 0 adds nothing', () => {
    const { real, imaginary } = spread(9, [{ turns: 2, mass: 5 }]).sums();
    expect([...real, ...imaginary].every(value => Math.abs(value) <= 1e-17)).toBe(true);
  });
});

describe('the stated error', () => {
  it('grows with the mode and with the distance from 0', () => {
    const [far, near] = [0.3, 1e-9].map(turns => {
      const spreader = spread(1000, [{ turns, mass: 1 }]);
      spreader.sums();
      return spreader;
    });
    expect(far!.errorAt(1000)).toBeGreaterThan(far!.errorAt(0));
    expect(far!.errorAt(1000)).toBeLessThanOrEqual(1e-12);
    expect(near!.errorAt(0)).toBeLessThan(far!.errorAt(0) / 10);
  });

  it('is not exceeded by any mass on a grid of exact angles, at the highest mode of a full grid', () => {
    const modes = 1023;
    for (let k = 17; k < 2 ** 20; k += 104_729) {
      const spreader = spread(modes, [{ turns: k / 2 ** 20, mass: 1 }]);
      const { real, imaginary } = spreader.sums();
      for (let mode = 0; mode <= modes; mode += 11) {
        const angle = 2 * Math.PI * (((mode * k) % 2 ** 20) / 2 ** 20);
        const error = Math.hypot(real[mode]! - (Math.cos(angle) - 1), imaginary[mode]! - Math.sin(angle));
        expect(error).toBeLessThanOrEqual(spreader.errorAt(mode) + 1e-15);
      }
    }
  });
});

describe('fourierSeries()', () => {
  const coefficient = fc.double({ min: -1, max: 1, noNaN: true });
  const spectra = fc.array(fc.tuple(coefficient, coefficient), { minLength: 1, maxLength: 40 });

  it('agrees with the direct sum anywhere', () => {
    fc.assert(
      fc.property(spectra, fc.double({ min: -2, max: 2, noNaN: true }), (pairs, turns) => {
        const real = Float64Array.from(pairs, ([re]) => re);
        const imaginary = Float64Array.from(pairs, ([, im], mode) => (mode === 0 ? 0 : im));
        const fraction = turns - Math.round(turns);
        let [direct, moduli] = [real[0]!, Math.abs(real[0]!)];
        for (let mode = 1; mode < pairs.length; mode += 1) {
          const angle = -2 * Math.PI * mode * fraction;
          direct += 2 * (real[mode]! * Math.cos(angle) - imaginary[mode]! * Math.sin(angle));
          moduli += 2 * Math.hypot(real[mode]!, imaginary[mode]!);
        }
        const series = fourierSeries({ real, imaginary });
        // The direct sum rounds too.
        expect(Math.abs(series.valueAt(turns) - direct)).toBeLessThanOrEqual(
          series.error + 1e-14 * moduli + 1e-300,
        );
        expect(series.error).toBeLessThanOrEqual(1e-12 * moduli + 1e-300);
      }),
      { numRuns: 200 },
    );
  });
});
