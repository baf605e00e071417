import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  discreteGaussianCurve,
  guaranteeCurve,
  randomisedResponseCurve,
} from '../../../accounting/rdp/discrete.ts';

/** (1/(a-1)) log Σ P^a Q^(1-a) over lists of probabilities. */
function divergence(p: readonly number[], q: readonly number[], order: number): number {
  const sum = p.reduce(
    (total, value, j) => total + Math.exp(order * Math.log(value) + (1 - order) * Math.log(q[j]!)),
    0,
  );
  return Math.log(sum) / (order - 1);
}

describe('discreteGaussianCurve()', () => {
  const noise = (scale: number, sensitivity: number) =>
    ({ kind: 'discrete-gaussian', scale, sensitivity }) as const;

  /** The same by a direct sum of Gaussian terms around the tilted centre, no positive parts. */
  function direct(scale: number, shift: number, order: number): number {
    let [above, below] = [0, 0];
    for (let k = -300; k <= 300; k += 1) {
      const near = k + Math.round(order * shift);
      above += Math.exp(-((near - order * shift) ** 2) / (2 * scale * scale));
      below += Math.exp(-(k * k) / (2 * scale * scale));
    }
    return (order * shift * shift) / (2 * scale * scale) + Math.log(above / below) / (order - 1);
  }

  it('is the direct sum, and never above the Gaussian of the same scale', () => {
    const scale = fc.double({ min: 0.15, max: 4, noNaN: true });
    const order = fc.double({ min: 1.05, max: 60, noNaN: true });
    fc.assert(
      fc.property(scale, fc.integer({ min: 1, max: 9 }), order, (s, shift, a) => {
        const exact = direct(s, shift, a);
        const ours = discreteGaussianCurve(noise(s, shift), 'add-or-remove')(a);
        expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-11));
        expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-11) + 1e-13);
        expect(ours).toBeLessThanOrEqual(((a * shift * shift) / (2 * s * s)) * (1 + 1e-11));
      }),
      { numRuns: 500 },
    );
  });

  it('tends to the KL divergence at order 1, where differences would have no digits left', () => {
    const scale = 0.4;
    let [total, kl] = [0, 0];
    for (let k = -40; k <= 40; k += 1) {
      const mass = Math.exp(-(k * k) / (2 * scale * scale));
      total += mass;
      kl += (mass * (1 + 2 * k)) / (2 * scale * scale);
    }
    const ours = discreteGaussianCurve(noise(scale, 1), 'zero-out')(1 + 1e-9);
    expect(Math.abs(ours / (kl / total) - 1)).toBeLessThan(1e-7);
  });

  it('under replace has twice the sensitivity', () => {
    for (const order of [1.2, 3, 17.5])
      expect(discreteGaussianCurve(noise(1, 3), 'replace')(order)).toBe(
        discreteGaussianCurve(noise(1, 6), 'add-or-remove')(order),
      );
  });

  it('is continuous where one formula takes over from another', () => {
    for (const scale of [0.2, 0.9, 1.4]) {
      const curve = discreteGaussianCurve(noise(scale, 1), 'add-or-remove');
      const border = (1 + Math.sqrt(1 + 400 * scale * scale)) / 2;
      expect(Math.abs(curve(border * (1 + 1e-12)) / curve(border * (1 - 1e-12)) - 1)).toBeLessThan(1e-9);
    }
  });

  it('is finite for little noise and for huge shifts', () => {
    for (const [scale, shift] of [
      [1e-3, 1],
      [1.4, 1e6],
      [0.01, 1000],
    ] as const)
      for (const order of [1 + 1e-15, 1.001, 2, 1e6]) {
        const ours = discreteGaussianCurve(noise(scale, shift), 'add-or-remove')(order);
        expect(ours).toBeGreaterThan(0);
        expect(ours).toBeLessThanOrEqual(((order * shift * shift) / (2 * scale * scale)) * (1 + 1e-11));
      }
  });
});

describe('randomisedResponseCurve()', () => {
  it('is the divergence of two rows of answers', () => {
    for (const [randomProbability, buckets] of [
      [0.5, 2],
      [0.1, 10],
      [0.9, 3],
    ] as const) {
      const other = randomProbability / buckets;
      const row = (place: number): number[] =>
        Array.from({ length: buckets }, (_, j) => (j === place ? 1 - randomProbability + other : other));
      for (const order of [1.1, 2, 8]) {
        const exact = divergence(row(0), row(1), order);
        const ours = randomisedResponseCurve({ kind: 'randomised-response', randomProbability, buckets })(
          order,
        );
        expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-13));
        expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-10));
      }
    }
  });

  it('is nothing where the answer says nothing, and Infinity where it is always true', () => {
    const curve = (randomProbability: number, buckets: number): number =>
      randomisedResponseCurve({ kind: 'randomised-response', randomProbability, buckets })(2);
    expect(curve(1, 5)).toBe(0);
    expect(curve(0.3, 1)).toBe(0);
    expect(curve(0, 2)).toBe(Infinity);
  });
});

describe('guaranteeCurve()', () => {
  it('is the divergence of a biased coin and its mirror image, never above ε', () => {
    for (const epsilon of [0.01, 1, 5]) {
      const heads = 1 / (1 + Math.exp(-epsilon));
      for (const order of [1.5, 2, 20, 1e5]) {
        const ours = guaranteeCurve({ kind: 'guarantee', epsilon, delta: 0 })(order);
        expect(ours).toBeLessThanOrEqual(epsilon * (1 + 1e-11));
        if (order > 100) continue;
        const exact = divergence([heads, 1 - heads], [1 - heads, heads], order);
        expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-11));
        expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-10));
      }
    }
  });

  it('has no RDP with a delta, and none to speak of at ε = 0', () => {
    expect(guaranteeCurve({ kind: 'guarantee', epsilon: 1, delta: 1e-9 })(2)).toBe(Infinity);
    expect(guaranteeCurve({ kind: 'guarantee', epsilon: 0, delta: 0 })(2)).toBe(0);
  });
});
