import { describe, expect, it } from 'vitest';
import { chebyshevCoefficients, powersOf } from '../../../accounting/numerics/chebyshev.ts';

const size = 12;
const nodes = Array.from({ length: size }, (_, j) => Math.cos((Math.PI * (j + 0.5)) / size));

function horner(powers: Float64Array, x: number): number {
  return powers.reduceRight((sum, power) => sum * x + power, 0);
}

describe('chebyshevCoefficients()', () => {
  it.each([0, 1, 5, 11])('finds the one polynomial T%d and nothing else', degree => {
    const values = Float64Array.from(nodes, x => Math.cos(degree * Math.acos(x)));
    chebyshevCoefficients(values).forEach((coefficient, k) => {
      expect(Math.abs(coefficient - (k === degree ? 1 : 0))).toBeLessThanOrEqual(1e-14);
    });
  });
});

describe('powersOf()', () => {
  it('writes T5 as 16x⁵ - 20x³ + 5x', () => {
    expect([...powersOf(Float64Array.of(0, 0, 0, 0, 0, 1))]).toEqual([0, 5, 0, -20, 0, 16]);
  });

  it('gives back a smooth function between the nodes', () => {
    const powers = powersOf(chebyshevCoefficients(Float64Array.from(nodes, x => Math.exp(x / 4))));
    for (const x of [-1, -0.61, 0, 0.333, 1])
      expect(Math.abs(horner(powers, x) - Math.exp(x / 4))).toBeLessThanOrEqual(1e-14);
  });
});
