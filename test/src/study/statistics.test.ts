import { describe, expect, it } from 'vitest';
import { array, assert, double, property } from 'fast-check';
import { crossing, estimateOf, studentPoint } from '../../../src/study/statistics.ts';

/** Pr[|T| > t] by integrating the density of Student's t, without its constant, over the angle. */
function outside(t: number, degrees: number): number {
  const steps = 20_000;
  const density = (angle: number): number => Math.cos(angle) ** (degrees - 1);
  const integral = (from: number, to: number): number => {
    let sum = 0;
    for (let at = 0; at < steps; at++) sum += density(from + ((at + 0.5) * (to - from)) / steps);
    return (sum * (to - from)) / steps;
  };
  const angle = Math.atan(t / degrees ** 0.5);
  return integral(angle, Math.PI / 2) / integral(0, Math.PI / 2);
}

describe('studentPoint()', () => {
  it('leaves just under 5 % outside for 1 to 30 degrees of freedom', () => {
    for (let degrees = 1; degrees <= 30; degrees++) {
      const left = outside(studentPoint(degrees), degrees);
      expect(left, `${degrees} degrees`).toBeLessThanOrEqual(0.05 + 1e-9);
      expect(left, `${degrees} degrees`).toBeGreaterThan(0.0499);
    }
  });

  it('stays on the wide side beyond the table', () => {
    expect(studentPoint(31)).toBe(studentPoint(30));
    expect(studentPoint(1000)).toBe(studentPoint(30));
  });
});

describe('estimateOf()', () => {
  it('gives the textbook interval', () => {
    const { mean, interval } = estimateOf([4, 5, 6]);
    expect(mean).toBe(5);
    expect(interval!.upper).toBeCloseTo(5 + 4.3027 / 3 ** 0.5, 10);
    expect(interval!.lower).toBeCloseTo(5 - 4.3027 / 3 ** 0.5, 10);
  });

  it('gives no interval for one value', () => {
    expect(estimateOf([3])).toEqual({ mean: 3, interval: null, values: [3] });
  });

  it('moves and stretches with its values', () => {
    const values = array(double({ min: -100, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });
    assert(
      property(values, double({ min: 0.1, max: 10, noNaN: true }), (numbers, scale) => {
        const plain = estimateOf(numbers);
        const other = estimateOf(numbers.map(value => scale * value + 7));
        expect(other.mean).toBeCloseTo(scale * plain.mean + 7, 6);
        expect(other.interval!.upper).toBeCloseTo(scale * plain.interval!.upper + 7, 6);
      }),
    );
  });
});

describe('crossing()', () => {
  it('finds zero between two points and nowhere else', () => {
    expect(crossing({ x: 2, y: 1 }, { x: 10, y: -3 })).toBe(4);
    expect(crossing({ x: 2, y: -1 }, { x: 10, y: 3 })).toBe(4);
    expect(crossing({ x: 2, y: 1 }, { x: 10, y: 3 })).toBeUndefined();
    expect(crossing({ x: 2, y: 0 }, { x: 10, y: 0 })).toBeUndefined();
  });
});
