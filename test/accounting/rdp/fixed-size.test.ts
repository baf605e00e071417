import { describe, expect, it } from 'vitest';
import { replacementMoments } from '../../../accounting/rdp/fixed-size.ts';
import { renyiCurve } from '../../../accounting/rdp/renyi.ts';
import { rdpAccountant } from '../../../accounting/rdp/rdp.ts';
import { gaussianEvent, repeat } from '../../../accounting/event.ts';

const step = (options: { batchSize: number; groupSize?: number; noiseMultiplier?: number }) =>
  ({ kind: 'fixed-size-gaussian', noiseMultiplier: 2, datasetSize: 1000, groupSize: 1, ...options }) as const;

const poisson = {
  kind: 'poisson-subsampled-gaussian',
  noiseMultiplier: 2,
  samplingProbability: 0.05,
} as const;
const truncated = (maximumBatchSize: number) =>
  ({ ...poisson, kind: 'truncated-poisson-gaussian', datasetSize: 10_000, maximumBatchSize }) as const;

/** The profile's integral over r > 1 by the midpoint rule, as it is defined. */
function riemannExcess(shift: number, q: number, order: number): number {
  const phi = (r: number): number => r ** order - 1 - order * (r - 1);
  const [from, to, steps] = [shift / 2, order * shift + 12, 400_000];
  const width = (to - from) / steps;
  let sum = 0;
  for (let j = 0; j < steps; j += 1) {
    const x = from + (j + 0.5) * width;
    const r = 1 + q * Math.expm1(shift * (x - shift / 2));
    sum += (width / Math.sqrt(2 * Math.PI)) * Math.exp((-x * x) / 2) * (phi(r) + r * phi(1 / r));
  }
  return sum;
}

describe('replacementMoments()', () => {
  it('is the integral of the dominating profile', () => {
    for (const [shift, q, order] of [
      [1, 0.1, 2],
      [2, 0.01, 4.5],
      [0.2, 0.5, 1.5],
      [0.05, 0.3, 20],
      [3, 0.001, 3],
    ] as const) {
      const exact = riemannExcess(shift, q, order);
      const ours = Math.expm1(replacementMoments({ shift, probability: q })(order));
      expect(ours).toBeGreaterThanOrEqual(exact * (1 - 1e-8));
      expect(ours).toBeLessThanOrEqual(exact * (1 + 1e-8));
    }
  });

  it('tends to the plain Gaussian, and is it where the record is always drawn', () => {
    for (const shift of [0.1, 1, 5])
      for (const order of [1.01, 2, 7.3, 40]) {
        const plain = (order * (order - 1) * shift * shift) / 2;
        expect(
          Math.abs(replacementMoments({ shift, probability: 1 - 1e-13 })(order) / plain - 1),
        ).toBeLessThan(1e-9);
        expect(Math.abs(replacementMoments({ shift, probability: 1 })(order) / plain - 1)).toBeLessThan(
          1e-14,
        );
      }
  });

  it('is about q²(e^(shift²) - 1) at order 2 for a rare record, from both sides of it', () => {
    const ours = replacementMoments({ shift: 1, probability: 1e-10 })(2);
    const second = 1e-20 * Math.expm1(1);
    // Twice the part above r = 1, which is more than half of the whole.
    expect(ours).toBeGreaterThan(second);
    expect(ours).toBeLessThan(2 * second);
  });

  it('is never NaN, and Infinity only where orders are out of reach', () => {
    for (const shift of [1e-6, 0.1, 100])
      for (const probability of [1e-12, 0.5])
        for (const order of [1 + 1e-12, 2, 300]) {
          const ours = replacementMoments({ shift, probability })(order);
          expect(ours).toBeGreaterThanOrEqual(0);
          expect(ours).toBeLessThanOrEqual(
            ((order * shift) / 2) * (shift * (order - 1)) * (1 + 1e-9) + 1e-13,
          );
        }
    expect(replacementMoments({ shift: 100, probability: 0.5 })(1e4)).toBe(Infinity);
  });
});

describe('renyiCurve() of batches of fixed size', () => {
  it('with one record in a batch of all is the Gaussian of sensitivity 2', () => {
    const curve = renyiCurve(step({ batchSize: 1000 }), 'add-or-remove');
    const plain = renyiCurve(gaussianEvent(1), 'add-or-remove');
    for (const order of [1.5, 2, 9]) {
      expect(curve(order)).toBe(plain(order));
      expect(renyiCurve(step({ batchSize: 1000 }), 'replace')(order)).toBe(plain(order));
    }
  });

  it('of one record under add-or-remove is Poisson sampling of the same share at half the noise', () => {
    const curve = renyiCurve(step({ batchSize: 50 }), 'add-or-remove');
    const sampled = renyiCurve({ ...poisson, noiseMultiplier: 1 }, 'add-or-remove');
    for (const order of [1.5, 2, 9]) expect(Math.abs(curve(order) / sampled(order) - 1)).toBeLessThan(1e-9);
  });

  it('under replace is at least either direction of add-or-remove, and at most their excesses together', () => {
    for (const batchSize of [1, 30, 500])
      for (const order of [1.2, 3, 12]) {
        const replaced = renyiCurve(step({ batchSize }), 'replace')(order);
        const left = renyiCurve(step({ batchSize }), 'add-or-remove')(order);
        expect(replaced).toBeGreaterThanOrEqual(left * (1 - 1e-9));
        expect(replaced).toBeLessThan(2 * left);
      }
  });

  it('rises with the group', () => {
    const at = (groupSize: number): number =>
      renyiCurve(step({ batchSize: 100, groupSize }), 'add-or-remove')(3);
    expect(at(2)).toBeGreaterThan(at(1));
    expect(at(8)).toBeGreaterThan(at(2));
  });

  // ε of WBK19's bound (arXiv 1808.00087) by dp_accounting, whose noise is per record replaced: half our shift.
  it.each([
    [1, 50_000, 500, 1000, 1e-6, 4.0212080917779724],
    [5, 1000, 100, 1000, 1e-6, 7.035080324998547],
    [10, 10_000, 5000, 500, 1e-9, 16.491604944269305],
  ])(
    'beats the published bound: noise %d, %d records, batch %d',
    (noise, records, batch, steps, delta, peer) => {
      const event = step({ batchSize: batch, noiseMultiplier: 2 * noise });
      const { upper } = rdpAccountant.epsilon(repeat({ ...event, datasetSize: records }, steps), {
        delta,
        neighbours: 'replace',
      });
      expect(upper).toBeLessThan(0.75 * peer);
    },
  );
});

describe('renyiCurve() of truncated Poisson batches', () => {
  it('without a cut is Poisson sampling', () => {
    for (const neighbours of ['add-or-remove', 'replace', 'zero-out'] as const)
      expect(renyiCurve(truncated(10_000), neighbours)(5)).toBe(renyiCurve(poisson, neighbours)(5));
  });

  it('falls with the cap, towards Poisson sampling and not below it', () => {
    const at = (cap: number): number => renyiCurve(truncated(cap), 'add-or-remove')(4);
    const least = renyiCurve(poisson, 'add-or-remove')(4);
    expect(at(520)).toBeGreaterThan(at(540));
    expect(at(540)).toBeGreaterThan(at(600));
    expect(at(600)).toBeGreaterThanOrEqual(least);
    expect(at(700)).toBeLessThan(least * (1 + 1e-9));
  });

  it('where batches are always cut is the fixed size', () => {
    const always = { ...truncated(100), samplingProbability: 1 };
    const fixed = replacementMoments({ shift: 1, probability: 0.01 });
    expect(Math.abs(renyiCurve(always, 'replace')(3) / (fixed(3) / 2) - 1)).toBeLessThan(1e-8);
  });

  // ε of the removal direction by direct convolution of the step's loss law, rounded down.
  it.each([
    [truncated(520), 500, 4.6467],
    [{ ...truncated(550), noiseMultiplier: 1, samplingProbability: 0.01, datasetSize: 50_000 }, 1000, 5.9819],
  ])('is at least the truth of its own pair (%#)', (event, steps, truth) => {
    const { upper } = rdpAccountant.epsilon(repeat(event, steps), {
      delta: 1e-6,
      neighbours: 'add-or-remove',
    });
    expect(upper).toBeGreaterThanOrEqual(truth);
    expect(upper).toBeLessThan(truth * 1.25);
  });

  it('costs a rare cut in delta and not in moments', () => {
    const rare = { ...truncated(700), noiseMultiplier: 0.5 };
    const ask = { delta: 1e-6, neighbours: 'add-or-remove' } as const;
    const cut = rdpAccountant.epsilon(repeat(rare, 10), ask).upper;
    const whole = rdpAccountant.epsilon(repeat({ ...poisson, noiseMultiplier: 0.5 }, 10), ask).upper;
    expect(cut).toBeGreaterThanOrEqual(whole);
    expect(cut).toBeLessThan(whole * (1 + 1e-6));
  });
});
