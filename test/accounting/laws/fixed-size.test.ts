import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixedSizeLaws, withoutReplacementLaw } from '../../../accounting/laws/fixed-size.ts';
import type { EventLaws, LossLaw } from '../../../accounting/laws/law.ts';
import { logNormalTail } from '../../../accounting/numerics/special.ts';
import { deltaOf, massUnderQ, tailError, totalMass } from './law-delta.ts';

function lawsOf(
  event: { noiseMultiplier: number; batchSize: number; groupSize?: number },
  neighbours: 'add-or-remove' | 'replace' | 'zero-out',
): EventLaws | undefined {
  return fixedSizeLaws({ kind: 'fixed-size-gaussian', datasetSize: 100, groupSize: 1, ...event }, neighbours);
}

const tail = (x: number): number => Math.exp(logNormalTail(x));

interface Pair {
  readonly shift: number;
  readonly q: number;
}

/** Where (1 - q) N(0) + q N(shift) is `ratio` times N(0). */
function placeOf({ shift, q }: Pair, ratio: number): number {
  return Math.log((ratio - 1 + q) / q) / shift + shift / 2;
}

function removalDelta({ shift, q }: Pair, epsilon: number): number {
  const place = placeOf({ shift, q }, Math.exp(epsilon));
  return (1 - q) * tail(place) + q * tail(place - shift) - Math.exp(epsilon) * tail(place);
}

function additionDelta({ shift, q }: Pair, epsilon: number): number {
  if (Math.exp(-epsilon) <= 1 - q) return 0;
  const place = placeOf({ shift, q }, Math.exp(-epsilon));
  return tail(-place) - Math.exp(epsilon) * ((1 - q) * tail(-place) + q * tail(shift - place));
}

function isNear(actual: number, truth: number): void {
  // The closed forms are differences.
  expect(Math.abs(actual - truth)).toBeLessThanOrEqual(1e-11 * truth + 4e-16);
}

const pairs: readonly Pair[] = [
  { shift: 2, q: 0.25 },
  { shift: 0.02, q: 0.5 },
  { shift: 8, q: 0.01 },
  { shift: 1, q: 0.99 },
];

describe('fixedSizeLaws', () => {
  it('one record leaving a batch moves the sum by 2', () => {
    for (const { shift, q } of pairs) {
      const event = { noiseMultiplier: 2 / shift, batchSize: 100 * q };
      const { remove, add } = lawsOf(event, 'add-or-remove')!.dominating!;
      for (const epsilon of [0.001, 0.3, 2]) {
        isNear(deltaOf(remove, epsilon), removalDelta({ shift, q }, epsilon));
        isNear(deltaOf(add, epsilon), additionDelta({ shift, q }, epsilon));
      }
    }
  });

  it('a group leaving moves it by twice the records drawn', () => {
    const { dominating, attained } = lawsOf(
      { noiseMultiplier: 2, batchSize: 40, groupSize: 2 },
      'add-or-remove',
    )!;
    const both = (40 * 39) / (100 * 99);
    const one = (2 * 40 * 60) / (100 * 99);
    const ratio = (x: number): number =>
      1 - both - one + one * Math.exp(x - 0.5) + both * Math.exp(2 * x - 2);
    let [low, high] = [-10, 10];
    for (let round = 0; round < 60; round += 1) {
      const middle = (low + high) / 2;
      if (ratio(middle) > Math.exp(0.5)) high = middle;
      else low = middle;
    }
    const inM = (1 - both - one) * tail(high) + one * tail(high - 1) + both * tail(high - 2);
    const truth = inM - Math.exp(0.5) * tail(high);
    const [lower, upper] = [deltaOf(attained!.remove, 0.5), deltaOf(dominating!.remove, 0.5)];
    expect(lower).toBeLessThanOrEqual(truth);
    expect(upper).toBeGreaterThanOrEqual(truth);
    expect(upper - lower).toBeLessThanOrEqual(1e-9 * truth);
  });

  it('groups of all sorts have masses of 1, and what is attained is below what dominates', () => {
    const sizes = fc.record({
      batchSize: fc.integer({ min: 1, max: 100 }),
      groupSize: fc.integer({ min: 2, max: 100 }),
      noiseMultiplier: fc.double({ min: 8, max: 80, noNaN: true }),
    });
    fc.assert(
      fc.property(sizes, event => {
        const { dominating, attained } = lawsOf(event, 'add-or-remove')!;
        for (const direction of ['remove', 'add'] as const) {
          const [upper, lower] = [dominating![direction], attained![direction]];
          for (const law of [upper, lower]) expect(Math.abs(totalMass(law) - 1)).toBeLessThanOrEqual(1e-12);
          expect(deltaOf(lower, 0.3)).toBeLessThanOrEqual(deltaOf(upper, 0.3) * (1 + 1e-12));
        }
      }),
      { numRuns: 15 },
    );
  });

  it('a group in a batch of everything is all in it', () => {
    const { dominating, attained } = lawsOf(
      { noiseMultiplier: 6, batchSize: 100, groupSize: 3 },
      'add-or-remove',
    )!;
    const truth = tail(1 - 0.5) - Math.exp(1) * tail(1 + 0.5);
    for (const { add } of [dominating!, attained!]) isNear(deltaOf(add, 1), truth);
  });

  it('replace attains both directions and is dominated by the larger of them', () => {
    const { dominating, attained } = lawsOf({ noiseMultiplier: 1, batchSize: 25 }, 'replace')!;
    expect(dominating!.remove).toBe(dominating!.add);
    for (const epsilon of [0, 0.1, 0.28, 1, 3]) {
      isNear(deltaOf(attained!.remove, epsilon), removalDelta({ shift: 2, q: 0.25 }, epsilon));
      isNear(deltaOf(attained!.add, epsilon), additionDelta({ shift: 2, q: 0.25 }, epsilon));
      isNear(deltaOf(dominating!.add, epsilon), removalDelta({ shift: 2, q: 0.25 }, epsilon));
    }
  });

  it('a batch of everything is the Gaussian mechanism', () => {
    const { dominating, attained } = lawsOf({ noiseMultiplier: 1, batchSize: 100 }, 'replace')!;
    expect(dominating).toBe(attained);
    isNear(deltaOf(dominating!.add, 1), tail(0.5 - 1) - Math.exp(1) * tail(0.5 + 1));
  });

  it('knows nothing of replaced groups or of zero-out', () => {
    expect(lawsOf({ noiseMultiplier: 1, batchSize: 10, groupSize: 2 }, 'replace')).toBeUndefined();
    expect(lawsOf({ noiseMultiplier: 1, batchSize: 10 }, 'zero-out')).toBeUndefined();
  });
});

describe('withoutReplacementLaw', () => {
  const record = fc.record({
    shift: fc.double({ min: 1e-3, max: 12, noNaN: true }),
    probability: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  });

  it('has the larger δ of both directions on either side of ε = 0', () => {
    for (const { shift, q } of pairs) {
      const law = withoutReplacementLaw({ shift, probability: q });
      for (const epsilon of [0, 0.01, 0.5, 4]) {
        isNear(deltaOf(law, epsilon), removalDelta({ shift, q }, epsilon));
        expect(removalDelta({ shift, q }, epsilon)).toBeGreaterThanOrEqual(
          additionDelta({ shift, q }, epsilon) - 1e-15,
        );
        if (Math.exp(-epsilon) <= 1 - q) continue;
        isNear(deltaOf(law, -epsilon), additionDelta({ shift, q }, -epsilon));
      }
    }
  });

  it('is its own reverse: δ(-ε) = 1 - e^-ε + e^-ε δ(ε)', () => {
    fc.assert(
      fc.property(record, fc.double({ min: 0, max: 3, noNaN: true }), (options, epsilon) => {
        const law = withoutReplacementLaw(options);
        const reverse = -Math.expm1(-epsilon) + Math.exp(-epsilon) * deltaOf(law, epsilon);
        expect(Math.abs(deltaOf(law, -epsilon) - reverse)).toBeLessThanOrEqual(1e-11);
      }),
      { numRuns: 60 },
    );
  });

  it('masses under P and Q are 1', () => {
    fc.assert(
      fc.property(record, options => {
        const law = withoutReplacementLaw(options);
        expect(Math.abs(totalMass(law) - 1)).toBeLessThanOrEqual(1e-12);
        expect(Math.abs(massUnderQ(law) - 1)).toBeLessThanOrEqual(1e-12);
      }),
      { numRuns: 60 },
    );
  });

  it.each([0.5, 0.0004, 3])('tails of its curves are those of the density, %d from the end', away => {
    for (const probability of [1e-4, 0.3, 1]) {
      for (const shift of [0.1, 2, 14]) {
        const [gains, losses]: LossLaw['curves'] = withoutReplacementLaw({ shift, probability }).curves;
        expect(tailError(gains!, gains!.from! + away)).toBeLessThanOrEqual(1e-7);
        expect(tailError(losses!, losses!.to! - away)).toBeLessThanOrEqual(1e-7);
      }
    }
  });

  it('keeps the digits of what has no loss where shifts are small', () => {
    const { atoms } = withoutReplacementLaw({ shift: 1e-9, probability: 0.5 });
    const truth = (0.5 * 1e-9) / Math.sqrt(2 * Math.PI);
    expect(Math.abs(Math.exp(atoms[0]!.logMass) / truth - 1)).toBeLessThanOrEqual(1e-14);
  });
});
