import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Neighbours } from '../../../accounting/event.ts';
import type { DirectedLaws } from '../../../accounting/laws/law.ts';
import { laplaceLaws } from '../../../accounting/laws/laplace.ts';
import { bothOf, deltaOf, massUnderQ, tailError, totalMass } from './law-delta.ts';

function bare(noiseMultiplier: number, neighbours: Neighbours): DirectedLaws {
  return laplaceLaws({ kind: 'laplace', noiseMultiplier }, neighbours)!.dominating!;
}

function sampled(noiseMultiplier: number, samplingProbability: number): DirectedLaws {
  const event = { kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability } as const;
  return laplaceLaws(event, 'add-or-remove')!.dominating!;
}

/** Dwork's closed form: δ(ε) = 1 - exp((ε - 1/b) / 2). */
function laplaceDelta(scale: number, epsilon: number): number {
  return Math.max(0, -Math.expm1((epsilon - 1 / scale) / 2));
}

/** Removal: δ(ε) = q·δ₀(log((e^ε - 1 + q) / q)) for ε >= 0, the amplification by subsampling of Balle et al. */
function removalDelta(q: number, { scale, epsilon }: { scale: number; epsilon: number }): number {
  return q * laplaceDelta(scale, Math.log1p(Math.expm1(epsilon) / q));
}

/** Addition at ε >= 0: sup over thresholds of Lap(0) against the mixture, below the place where the ratio is e^-ε. */
function additionDelta(q: number, { scale, epsilon }: { scale: number; epsilon: number }): number {
  const ratio = (Math.exp(-epsilon) - (1 - q)) / q;
  if (ratio <= Math.exp(-1 / scale)) return 0;
  const place = (1 + scale * Math.log(ratio)) / 2;
  const still = 1 - Math.exp(-place / scale) / 2;
  const moved = Math.exp((place - 1) / scale) / 2;
  return still - Math.exp(epsilon) * ((1 - q) * still + q * moved);
}

const scales = [0.05, 0.3, 1, 3, 50];
const probabilities = [1e-6, 0.01, 0.4, 0.9, 0.999999];

describe('laplaceLaws', () => {
  it.each(scales)('scale %d without sampling has the δ of the closed form', scale => {
    for (const share of [0, 0.1, 0.5, 0.95]) {
      const truth = laplaceDelta(scale, share / scale);
      expect(
        Math.abs(deltaOf(bare(scale, 'add-or-remove').remove, share / scale) / truth - 1),
      ).toBeLessThanOrEqual(1e-11);
    }
    expect(deltaOf(bare(scale, 'add-or-remove').remove, (1 + 1e-12) / scale)).toBe(0);
  });

  it('replace is twice the sensitivity, zero-out the same', () => {
    expect(deltaOf(bare(1, 'replace').add, 0.5)).toBe(deltaOf(bare(0.5, 'add-or-remove').add, 0.5));
    expect(deltaOf(bare(1, 'zero-out').add, 0.5)).toBe(deltaOf(bare(1, 'add-or-remove').remove, 0.5));
    const event = {
      kind: 'poisson-subsampled-laplace',
      noiseMultiplier: 1,
      samplingProbability: 0.5,
    } as const;
    expect(laplaceLaws(event, 'replace')).toBeUndefined();
    expect(laplaceLaws({ ...event, samplingProbability: 1 }, 'replace')).toBeDefined();
  });

  for (const q of probabilities) {
    it.each(scales)(`sampled with ${q}, scale %d has the δ of the closed forms in both directions`, scale => {
      const { remove, add } = sampled(scale, q);
      for (const share of [0, 0.2, 0.7]) {
        const epsilon = share * remove.highest;
        const truth = removalDelta(q, { scale, epsilon });
        expect(Math.abs(deltaOf(remove, epsilon) / truth - 1)).toBeLessThanOrEqual(1e-10);
        const addEpsilon = share * add.highest;
        const addTruth = additionDelta(q, { scale, epsilon: addEpsilon });
        // The closed form for addition is a difference.
        expect(Math.abs(deltaOf(add, addEpsilon) - addTruth)).toBeLessThanOrEqual(1e-10 * addTruth + 1e-15);
      }
    });
  }

  it('masses under P and Q are 1, and tails are those of the density', () => {
    const scale = fc.double({ min: 0.02, max: 100, noNaN: true });
    const probability = fc.double({ min: 1e-9, max: 1, noNaN: true });
    fc.assert(
      fc.property(scale, probability, (b, q) => {
        for (const law of bothOf(sampled(b, q))) {
          expect(Math.abs(totalMass(law) - 1)).toBeLessThanOrEqual(1e-12);
          expect(Math.abs(massUnderQ(law) - 1)).toBeLessThanOrEqual(1e-12);
          for (const curve of law.curves) {
            const { from = NaN, to = NaN } = curve;
            expect(tailError(curve, 0.7 * from + 0.3 * to)).toBeLessThanOrEqual(1e-10);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it('losses increase along the curves, which meet each other in the middle and the atoms at the ends', () => {
    for (const { curves, atoms, highest } of bothOf(sampled(0.2, 0.3))) {
      const ends: number[] = [];
      for (const curve of curves) {
        const { from = NaN, to = NaN } = curve;
        const at = (k: number): number => curve.loss(from + ((to - from) * k) / 100);
        ends.push(curve.loss(from), curve.loss(to));
        for (let k = 1; k <= 100; k += 1) expect(at(k)).toBeGreaterThan(at(k - 1));
      }
      const [first, second, third, last] = ends.toSorted((a, b) => a - b);
      expect(Math.abs(third! - second!)).toBe(0);
      expect([first, last]).toEqual(atoms.map(({ loss }) => loss).toSorted((a, b) => a - b));
      expect(highest).toBe(last);
    }
  });

  it('neither small scales overflow nor rare sampling cancels', () => {
    const { remove, add } = sampled(1e-4, 1e-3);
    expect(Math.abs(remove.highest - (1e4 + Math.log(1e-3)))).toBeLessThanOrEqual(1e-10);
    expect(Math.abs(add.highest + Math.log1p(-1e-3))).toBeLessThanOrEqual(1e-15);
    const rare = sampled(1, 1e-12).remove;
    expect(Math.abs(rare.highest / (1e-12 * Math.expm1(1)) - 1)).toBeLessThanOrEqual(1e-11);
  });
});
