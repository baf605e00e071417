import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minimise } from '../../../accounting/numerics/minimise.ts';
import { findThreshold } from '../../../accounting/numerics/threshold.ts';

describe('minimise()', () => {
  it('finds the minimum of a function with one valley, infinite walls included', () => {
    fc.assert(
      fc.property(fc.double({ min: -50, max: 50, noNaN: true }), centre => {
        const valley = (x: number): number => (x > centre + 30 ? Infinity : Math.cosh((x - centre) / 10));
        expect(Math.abs(minimise(valley).at - centre)).toBeLessThan(1e-3);
      }),
    );
  });
});

describe('findThreshold()', () => {
  const tolerance = 1e-3;
  const options = { start: 0, slope: -1, tolerance, limits: [-20, 20] } as const;

  it('ends just inside whatever the slope is', () => {
    const slopes = fc.double({ min: 0.02, max: 40, noNaN: true });
    fc.assert(
      fc.property(slopes, fc.double({ min: -15, max: 15, noNaN: true }), (slope, root) => {
        const trial = findThreshold(x => slope * (root - x) + Math.tanh(root - x), options);
        expect(trial.value).toBeLessThanOrEqual(0);
        expect(trial.value).toBeGreaterThanOrEqual(-tolerance);
      }),
    );
  });

  it('takes few evaluations for a smooth function', () => {
    let evaluations = 0;
    findThreshold(x => {
      evaluations += 1;
      return Math.log1p(Math.exp(3 - x)) - 0.5;
    }, options);
    expect(evaluations).toBeLessThanOrEqual(9);
  });

  it('never returns a point whose value was not computed there, jumps included', () => {
    const jump = (x: number): number => (x < 1.25 ? 3 : -2);
    const trial = findThreshold(jump, options);
    expect(trial.value).toBe(-2);
    expect(trial.at).toBeGreaterThanOrEqual(1.25);
    expect(trial.at).toBeLessThan(1.26);
  });

  it('says so when the upper limit is too low, and stops at the lower one', () => {
    expect(findThreshold(() => 1, options)).toEqual({ at: 20, value: 1 });
    expect(findThreshold(() => -1, options)).toEqual({ at: -20, value: -1 });
    expect(findThreshold(x => (x < 2 ? Infinity : 2.5 - x), options).value).toBeLessThanOrEqual(0);
  });
});
