import { describe, expect, it } from 'vitest';
import type { RepeatedLoss } from '../../../accounting/laws/cumulants.ts';
import { splitFar } from '../../../accounting/profiles/far.ts';
import { singleStepDelta } from '../../../accounting/profiles/single.ts';
import { partsOfSteps } from './parts.ts';

/** δ of all runs of two steps in which at least one loss is far, by summing over pairs of nodes. */
function slowDelta(
  { losses, weights }: RepeatedLoss,
  epsilon: number,
  isFar: (loss: number) => boolean,
): number {
  let sum = 0;
  for (let i = 0; i < losses.length; i += 1) {
    for (let j = 0; j < losses.length; j += 1) {
      if (!isFar(losses[i]!) && !isFar(losses[j]!)) continue;
      const total = losses[i]! + losses[j]!;
      if (total > epsilon) sum -= weights[i]! * weights[j]! * Math.expm1(epsilon - total);
    }
  }
  return sum;
}

const settings = [
  { noiseMultiplier: 1.1, samplingProbability: 1e-5, epsilon: 0.2, logDelta: Math.log(1e-32) },
  { noiseMultiplier: 0.5, samplingProbability: 1e-3, epsilon: 1, logDelta: Math.log(1e-8) },
  { noiseMultiplier: 3, samplingProbability: 1e-4, epsilon: 2e-3, logDelta: Math.log(1e-25) },
];

describe('splitFar()', () => {
  it.each(settings)('is the quadrature over one step: %o', ({ epsilon, logDelta, ...step }) => {
    const [part] = partsOfSteps({ ...step, steps: 1 });
    const { profile, near } = splitFar([part!], { epsilon, logDelta })!;
    const panels = part!.table.panels.filter(panel => !near[0]!.table.panels.includes(panel));
    const table = { ...part!.table, panels, outside: 0 };
    const truth = singleStepDelta(table, epsilon).lower;
    const found = profile.valueAt(epsilon) * Math.exp(profile.logScale);
    expect(panels.length).toBeGreaterThan(0);
    expect(Math.abs(found / truth - 1)).toBeLessThan(1e-10);
  });

  it.each(settings)('is the sum over pairs of losses of two steps: %o', ({ epsilon, logDelta, ...step }) => {
    const [part] = partsOfSteps({ ...step, steps: 2 });
    const { profile, near } = splitFar([part!], { epsilon, logDelta })!;
    const highest = Math.max(...near[0]!.losses);
    const truth = slowDelta(part!, epsilon, loss => loss > highest);
    const found = profile.valueAt(epsilon) * Math.exp(profile.logScale);
    const error = profile.errorAt(epsilon) * Math.exp(profile.logScale);
    expect(error).toBeLessThan(1e-9 * truth);
    expect(Math.abs(found - truth)).toBeLessThan(error + 1e-9 * truth);
  });

  it('leaves as infinite what it takes, so that the near law is whole with it', () => {
    const [part] = partsOfSteps({ noiseMultiplier: 1, samplingProbability: 1e-3, steps: 10 });
    const { near } = splitFar([part!], { epsilon: 1, logDelta: -30 })!;
    const mass = near[0]!.weights.reduce((sum, weight) => sum + weight, 0);
    expect(near[0]!.table.infinite).toBeGreaterThan(0);
    expect(Math.abs(mass + near[0]!.table.infinite - 1)).toBeLessThan(1e-12);
    expect(Math.max(...near[0]!.losses)).toBeLessThan(Math.max(...part!.losses));
  });

  it('takes nothing where no loss is above ε', () => {
    const parts = partsOfSteps({ noiseMultiplier: 10, samplingProbability: 1e-3, steps: 10 });
    expect(splitFar(parts, { epsilon: 100, logDelta: -30 })).toBeUndefined();
  });

  it('takes nothing where the other losses may well outweigh a far one', () => {
    const parts = partsOfSteps({ noiseMultiplier: 0.5, samplingProbability: 0.9, steps: 50 });
    expect(splitFar(parts, { epsilon: 1, logDelta: -10 })).toBeUndefined();
  });
});
