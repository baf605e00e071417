import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DpError } from '../../../accounting/check.ts';
import type { LossLaw } from '../../../accounting/laws/law.ts';
import {
  discreteGaussianLaws,
  guaranteeLaws,
  randomisedResponseLaws,
} from '../../../accounting/laws/discrete.ts';
import { deltaOf, massUnderQ, totalMass } from './law-delta.ts';

function discreteGaussian(scale: number, sensitivity = 1): LossLaw {
  return discreteGaussianLaws({ kind: 'discrete-gaussian', scale, sensitivity }, 'add-or-remove').dominating!
    .remove;
}

/** Σ max(0, P(k) - e^ε Q(k)), with weights summed as they are. */
function bruteDelta(event: { scale: number; sensitivity: number }, epsilon: number): number {
  const { scale, sensitivity } = event;
  const weight = (k: number): number => Math.exp(-(k * k) / (2 * scale * scale));
  let [total, delta] = [0, 0];
  for (let k = -2000; k <= 2000; k += 1) {
    total += weight(k);
    delta += Math.max(0, weight(k - sensitivity) - Math.exp(epsilon) * weight(k));
  }
  return delta / total;
}

describe('discreteGaussianLaws', () => {
  it.each([0.2, 0.9, 1.9999999, 2, 7.5, 40])('scale %d has the δ of its definition', scale => {
    for (const sensitivity of [1, 3]) {
      for (const epsilon of [0, 0.1, 1, 3]) {
        const truth = bruteDelta({ scale, sensitivity }, epsilon);
        const actual = deltaOf(discreteGaussian(scale, sensitivity), epsilon);
        // The definition is a sum of differences.
        expect(Math.abs(actual - truth)).toBeLessThanOrEqual(1e-12 * truth + 1e-15);
      }
    }
  });

  it('replace doubles the sensitivity', () => {
    const event = { kind: 'discrete-gaussian', scale: 2, sensitivity: 3 } as const;
    const doubled = discreteGaussian(2, 6);
    expect(discreteGaussianLaws(event, 'replace').attained!.add).toEqual(doubled);
    expect(discreteGaussianLaws(event, 'zero-out').dominating!.add).toEqual(discreteGaussian(2, 3));
  });

  it('masses under P and Q are 1', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.05, max: 500, noNaN: true }),
        fc.integer({ min: 1, max: 5 }),
        (scale, sensitivity) => {
          const law = discreteGaussian(scale, sensitivity);
          expect(Math.abs(totalMass(law) - 1)).toBeLessThanOrEqual(1e-12);
          expect(massUnderQ(law)).toBeLessThanOrEqual(1 + 1e-12);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('a wide scale has as many atoms as its tails need, a wider one is refused', () => {
    const wide = discreteGaussian(1e4);
    expect(wide.atoms.length).toBeLessThanOrEqual(76 * 1e4);
    expect(Math.abs(totalMass(wide) - 1)).toBeLessThanOrEqual(1e-12);
    expect(() => discreteGaussian(100_001)).toThrow(DpError);
    expect(() => discreteGaussian(100_001)).toThrow(
      'Cannot bound the discrete Gaussian: scale is 100001, which needs too many atoms. Give at most 10000.',
    );
  });

  it('tails that are cut early count above and not below', () => {
    const event = { kind: 'discrete-gaussian', scale: 5, sensitivity: 1 } as const;
    const { dominating, attained } = discreteGaussianLaws(event, 'add-or-remove', {
      logTail: Math.log(1e-3),
    });
    const exact = discreteGaussian(5);
    for (const epsilon of [0, 0.3, 0.6, 2]) {
      const truth = deltaOf(exact, epsilon);
      expect(deltaOf(dominating!.remove, epsilon)).toBeGreaterThanOrEqual(truth);
      expect(deltaOf(attained!.remove, epsilon)).toBeLessThanOrEqual(truth);
    }
    expect(totalMass(dominating!.remove)).toBeGreaterThanOrEqual(1 - 1e-12);
  });
});

describe('randomisedResponseLaws', () => {
  const event = (randomProbability: number, buckets: number) =>
    ({ kind: 'randomised-response', randomProbability, buckets }) as const;

  it('has the δ of its definition', () => {
    for (const [random, buckets] of [
      [0.5, 2],
      [0.1, 3],
      [0.9, 10],
      [0.999, 1000],
    ] as const) {
      const { remove } = randomisedResponseLaws(event(random, buckets), 'replace')!.dominating!;
      const [other, truth] = [random / buckets, 1 - random + random / buckets];
      for (const epsilon of [0, 0.3, 1, 20]) {
        const delta = Math.max(0, truth - Math.exp(epsilon) * other);
        expect(Math.abs(deltaOf(remove, epsilon) - delta)).toBeLessThanOrEqual(1e-14);
      }
      expect(Math.abs(totalMass(remove) - 1)).toBeLessThanOrEqual(1e-14);
      expect(Math.abs(massUnderQ(remove) - 1)).toBeLessThanOrEqual(1e-13);
    }
  });

  it('is known for replace only', () => {
    expect(randomisedResponseLaws(event(0.5, 2), 'add-or-remove')).toBeUndefined();
    expect(randomisedResponseLaws(event(0.5, 2), 'zero-out')).toBeUndefined();
  });

  it('truth alone reveals all, chance alone nothing', () => {
    expect(randomisedResponseLaws(event(0, 4), 'replace')!.dominating!.remove.infinite).toBe(1);
    const chance = randomisedResponseLaws(event(1, 4), 'replace')!.dominating!.add;
    expect(chance.atoms.map(({ loss }) => loss)).toEqual([0, 0, 0]);
    expect(Math.abs(totalMass(chance) - 1)).toBeLessThanOrEqual(1e-15);
  });
});

describe('guaranteeLaws', () => {
  const lawOf = (epsilon: number, delta: number): LossLaw =>
    guaranteeLaws({ kind: 'guarantee', epsilon, delta }).dominating!.remove;

  it('meets the guarantee exactly', () => {
    for (const epsilon of [0, 1e-9, 1, 30]) {
      for (const delta of [0, 1e-9, 0.3, 1]) {
        const law = lawOf(epsilon, delta);
        expect(deltaOf(law, epsilon)).toBe(delta);
        expect(Math.abs(totalMass(law) - 1)).toBeLessThanOrEqual(1e-15);
        expect(massUnderQ(law)).toBeLessThanOrEqual(1 - delta + 4e-15);
      }
    }
  });

  it('ε = 0 is one atom without loss', () => {
    const { atoms } = lawOf(0, 0.25);
    expect(atoms.map(({ loss }) => loss)).toEqual([0]);
    expect(atoms[0]!.logMass).toBe(Math.log1p(-0.25));
  });

  it('is one law in both directions, attained by the worst mechanism with the guarantee', () => {
    const { dominating, attained } = guaranteeLaws({ kind: 'guarantee', epsilon: 1, delta: 0 });
    expect(attained).toBe(dominating);
    expect(dominating!.add).toBe(dominating!.remove);
  });
});
