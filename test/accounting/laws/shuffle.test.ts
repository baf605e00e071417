import { describe, expect, it } from 'vitest';
import type { Neighbours, ShuffledGaussianEvent } from '../../../accounting/event.ts';
import { shuffledEpochs, shuffledLaws } from '../../../accounting/laws/shuffle.ts';
import { logNormalTail } from '../../../accounting/numerics/special.ts';
import { bothOf, deltaOf, epsilonOf, massUnderQ, totalMass } from './law-delta.ts';

const relations: readonly Neighbours[] = ['zero-out', 'add-or-remove', 'replace'];

function shuffled(stepsPerEpoch: number, noiseMultiplier: number): ShuffledGaussianEvent {
  return { kind: 'shuffled-gaussian', noiseMultiplier, stepsPerEpoch, epochs: 1, order: 'persistent' };
}

/** δ by the single event {greatest coordinate > C}, means 2 and 1 (Chua et al., arXiv 2403.17673). */
function cubeDelta({ stepsPerEpoch, noiseMultiplier }: ShuffledGaussianEvent, epsilon: number): number {
  const outside = (mean: number, c: number): number =>
    -Math.expm1(
      logNormalTail((mean - c) / noiseMultiplier) + (stepsPerEpoch - 1) * logNormalTail(-c / noiseMultiplier),
    );
  let most = 0;
  for (let c = 0; c < 20; c += 0.01) most = Math.max(most, outside(2, c) - Math.exp(epsilon) * outside(1, c));
  return most;
}

/** The published pair for few steps, exactly, by a grid over the plane. */
function planeDelta(noise: number, { epsilon, absent }: { epsilon: number; absent: number }): number {
  const h = 0.02;
  const density = (x: number, y: number, mean: number): number =>
    (Math.exp(-((x - mean) ** 2 + y * y) / (2 * noise * noise)) +
      Math.exp(-(x * x + (y - mean) ** 2) / (2 * noise * noise))) /
    (4 * Math.PI * noise * noise);
  let delta = 0;
  for (let x = -8; x <= 10; x += h)
    for (let y = -8; y <= 10; y += h)
      delta += Math.max(0, density(x, y, 2) - Math.exp(epsilon) * density(x, y, absent)) * h * h;
  return delta;
}

const published = [
  [1000, 0.35, 17.08],
  [1000, 0.8, 6.04],
  [10000, 0.4, 14.45],
  [10000, 0.8, 4.94],
  [100000, 0.5, 10.97],
  [100000, 1, 0.46],
] as const;

describe('shuffledLaws', () => {
  it.each(published)('%d steps with noise %d cost at least about %d at 1e-6', (steps, noise, epsilon) => {
    const { remove } = shuffledLaws(shuffled(steps, noise), 'zero-out').attained!;
    expect(Math.abs(epsilonOf(remove, 1e-6) - epsilon)).toBeLessThanOrEqual(0.02);
  });

  it('sees at least nearly as much as the best single event', () => {
    for (const [steps, noise, published] of [
      [1000, 0.8, 6.04],
      [100, 0.5, 9],
      [20, 2, 1],
    ] as const) {
      const event = shuffled(steps, noise);
      const { remove } = shuffledLaws(event, 'zero-out').attained!;
      for (const share of [0.3, 0.7, 1]) {
        const truth = cubeDelta(event, share * published);
        expect(deltaOf(remove, share * published)).toBeGreaterThanOrEqual(truth * 0.999);
      }
    }
  });

  it('stays below the pair that it is cut from', () => {
    for (const noise of [0.7, 1.5]) {
      for (const [relation, absent] of [
        ['zero-out', 1],
        ['replace', 0],
      ] as const) {
        const { remove } = shuffledLaws(shuffled(2, noise), relation).attained!;
        for (const epsilon of [0.2, 1, 2]) {
          const truth = planeDelta(noise, { epsilon, absent });
          expect(deltaOf(remove, epsilon)).toBeLessThanOrEqual(truth * 1.001);
          expect(deltaOf(remove, epsilon)).toBeGreaterThanOrEqual(truth * 0.6);
        }
      }
    }
  });

  it('one step is the Gaussian mechanism, from just below', () => {
    for (const noise of [0.3, 1, 20]) {
      const { remove, add } = shuffledLaws(shuffled(1, noise), 'zero-out').attained!;
      for (const epsilon of [0, 1 / noise, 3 / noise]) {
        const tail = (x: number): number => Math.exp(logNormalTail(x));
        const truth =
          tail(epsilon * noise - 1 / (2 * noise)) -
          Math.exp(epsilon) * tail(epsilon * noise + 1 / (2 * noise));
        for (const law of [remove, add]) {
          expect(deltaOf(law, epsilon)).toBeLessThanOrEqual(truth * (1 + 1e-12));
          expect(deltaOf(law, epsilon)).toBeGreaterThanOrEqual(truth * 0.998);
        }
      }
    }
  });

  it('masses under P and Q are 1 but for what was rounded down, of which little', () => {
    for (const [steps, noise] of [
      [1, 1],
      [7, 0.05],
      [1000, 0.4],
      [100000, 3],
      [1e9, 0.5],
    ] as const) {
      for (const relation of relations) {
        for (const law of bothOf(shuffledLaws(shuffled(steps, noise), relation).attained!)) {
          expect(totalMass(law)).toBeLessThanOrEqual(1 + 1e-15);
          expect(totalMass(law)).toBeGreaterThanOrEqual(1 - 1e-8);
          expect(massUnderQ(law)).toBeLessThanOrEqual(1 + 1e-8);
          expect(massUnderQ(law)).toBeGreaterThanOrEqual(1 - 1e-8);
        }
      }
    }
  });

  it('a replaced record costs more than one that is zeroed out', () => {
    for (const direction of ['remove', 'add'] as const) {
      const zeroed = shuffledLaws(shuffled(50, 0.8), 'zero-out').attained![direction];
      const replaced = shuffledLaws(shuffled(50, 0.8), 'replace').attained![direction];
      expect(deltaOf(replaced, 2)).toBeGreaterThanOrEqual(deltaOf(zeroed, 2));
    }
  });

  it('a shuffle that is kept is one epoch with less noise, a new one composes', () => {
    const kept = { ...shuffled(100, 1), epochs: 4 };
    expect(shuffledLaws(kept, 'zero-out').attained!.add).toEqual(
      shuffledLaws(shuffled(100, 0.5), 'zero-out').attained!.add,
    );
    const anew = { ...kept, order: 'reshuffled' } as const;
    expect(shuffledLaws(anew, 'zero-out').attained!.add).toEqual(
      shuffledLaws(shuffled(100, 1), 'zero-out').attained!.add,
    );
    expect([shuffledEpochs(kept), shuffledEpochs(anew)]).toEqual([1, 4]);
  });

  it('promises nothing from above', () => {
    expect(shuffledLaws(shuffled(10, 1), 'zero-out').dominating).toBeUndefined();
  });
});
