import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SamplerPlan } from '../../accounting/plan.ts';
import { openPointSampler, stepsDecidedTogether, type PointSampler } from '../../trainer/point-sampler.ts';
import { openPointBits } from '../../trainer/randomness.ts';

const population = 60;
const common = { over: 'users', samplingProbability: 0.25, expectedBatchSize: 15 } as const;
const plans: readonly SamplerPlan[] = [
  { ...common, kind: 'poisson' },
  { ...common, kind: 'truncated-poisson', batchLimit: 12 },
  { ...common, kind: 'balls-in-bins', stepsPerEpoch: 4 },
  { ...common, kind: 'shuffled', stepsPerEpoch: 4 },
];
const open = (plan: SamplerPlan): PointSampler =>
  openPointSampler(plan, { population, bits: openPointBits(new Uint8Array(32).fill(5)) });

describe.each(plans)('openPointSampler() for $kind', plan => {
  it('draws the same at a point whatever was drawn before it', () => {
    const inOrder = open(plan);
    const drawn = Array.from({ length: 12 }, (_, step) => [...inOrder.draw({ step, attempt: 0 })]);
    const point = fc.record({ step: fc.nat({ max: 11 }), attempt: fc.nat({ max: 1 }) });
    fc.assert(
      fc.property(fc.array(point, { maxLength: 8 }), fc.nat({ max: 11 }), (before, step) => {
        const sampler = open(plan);
        for (const at of before) sampler.draw(at);
        expect([...sampler.draw({ step, attempt: 0 })]).toEqual(drawn[step]);
      }),
    );
  });

  it('draws something else at another step and at another attempt', () => {
    const sampler = open(plan);
    const draws = [0, 1, 2].flatMap(attempt =>
      [0, 1, 2, 3, 4, 5].map(step => [...sampler.draw({ step, attempt })].join()),
    );
    expect(new Set(draws).size).toBe(18);
  });
});

describe('stepsDecidedTogether()', () => {
  it('is an epoch, or one step, and draws of an epoch are of one choice', () => {
    expect(plans.map(stepsDecidedTogether)).toEqual([1, 1, 4, 4]);
    const sampler = open(plans[2]!);
    const epoch = [4, 5, 6, 7].flatMap(step => [...sampler.draw({ step, attempt: 1 })]);
    expect(epoch.toSorted((a, b) => a - b)).toEqual(Array.from({ length: population }, (_, unit) => unit));
  });
});
