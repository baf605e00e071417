import { describe, expect, it } from 'vitest';
import { withoutReplacementLaw } from '../../../accounting/laws/fixed-size.ts';
import { gaussianLaws } from '../../../accounting/laws/gaussian.ts';
import { truncatedPoissonLaws } from '../../../accounting/laws/truncated.ts';
import type { Neighbours } from '../../../accounting/event.ts';
import { deltaOf, massUnderQ, tailError, totalMass } from './law-delta.ts';

const relations: readonly Neighbours[] = ['add-or-remove', 'replace', 'zero-out'];

function truncated(maximumBatchSize: number, samplingProbability = 0.05) {
  return {
    kind: 'truncated-poisson-gaussian',
    noiseMultiplier: 1.5,
    samplingProbability,
    datasetSize: 200,
    maximumBatchSize,
  } as const;
}

function poisson(neighbours: Neighbours) {
  const event = {
    kind: 'poisson-subsampled-gaussian',
    noiseMultiplier: 1.5,
    samplingProbability: 0.05,
  } as const;
  return gaussianLaws(event, neighbours)!.dominating!;
}

/** Pr[Binomial(trials, 0.05) = k], by products. */
function binomial(trials: number, k: number): number {
  let mass = 0.95 ** trials;
  for (let j = 0; j < k; j += 1) mass *= ((trials - j) / (j + 1)) * (0.05 / 0.95);
  return mass;
}

function binomialAbove(trials: number, most: number): number {
  let mass = 0;
  for (let k = most + 1; k <= trials; k += 1) mass += binomial(trials, k);
  return mass;
}

describe('truncatedPoissonLaws', () => {
  for (const neighbours of relations) {
    it(`${neighbours}: δ is that of the two cases, weighed`, () => {
      const cap = 14;
      const cut = binomialAbove(199, cap - 1);
      const probability = (cap * binomialAbove(200, cap)) / (200 * cut);
      const fixed = withoutReplacementLaw({ shift: 2 / 1.5, probability });
      const { dominating, attained } = truncatedPoissonLaws(truncated(cap), neighbours)!;
      for (const direction of ['remove', 'add'] as const) {
        for (const epsilon of [0, 0.04, 0.5, 2]) {
          const truth =
            (1 - cut) * deltaOf(poisson(neighbours)[direction], epsilon) + cut * deltaOf(fixed, epsilon);
          const delta = deltaOf(dominating![direction], epsilon);
          expect(delta).toBeGreaterThanOrEqual(truth * (1 - 1e-12));
          expect(delta).toBeLessThanOrEqual(truth * (1 + 5e-9));
        }
        for (const mass of [totalMass(dominating![direction]), massUnderQ(dominating![direction])]) {
          expect(mass).toBeGreaterThanOrEqual(1 - 1e-12);
          expect(mass).toBeLessThanOrEqual(1 + 1e-9);
        }
      }
      expect(attained).toBeUndefined();
    });

    it(`${neighbours}: costs more the oftener batches are cut, and never less than Poisson batches`, () => {
      const deltas = [200, 60, 25, 15, 10].map(cap =>
        deltaOf(truncatedPoissonLaws(truncated(cap), neighbours)!.dominating!.remove, 0.5),
      );
      expect(deltas[0]).toBe(deltaOf(poisson(neighbours).remove, 0.5));
      for (let k = 1; k < deltas.length; k += 1)
        expect(deltas[k]).toBeGreaterThanOrEqual(deltas[k - 1]! * (1 - 1e-12));
    });
  }

  it('batches that are never cut are Poisson batches', () => {
    const laws = truncatedPoissonLaws(truncated(200), 'add-or-remove')!;
    expect(laws.attained).toBe(laws.dominating);
    expect(laws.attained!.add.curves).toHaveLength(1);
  });

  it('batches that are always cut are batches of fixed size', () => {
    const { remove } = truncatedPoissonLaws(truncated(50, 1), 'add-or-remove')!.dominating!;
    const fixed = withoutReplacementLaw({ shift: 2 / 1.5, probability: 0.25 });
    const delta = deltaOf(fixed, 0.5);
    expect(deltaOf(remove, 0.5)).toBeGreaterThanOrEqual(delta * (1 - 1e-12));
    expect(deltaOf(remove, 0.5)).toBeLessThanOrEqual(delta * (1 + 1e-8));
  });

  it('tails of weighed curves are those of their density', () => {
    for (const curve of truncatedPoissonLaws(truncated(12), 'replace')!.dominating!.remove.curves) {
      const place = (curve.from ?? (curve.to ?? 1) - 1) + 0.5;
      expect(tailError(curve, place)).toBeLessThanOrEqual(1e-7);
    }
  });
});
