import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adaptiveClipping, sumNoiseMultiplier, type AdaptiveClipping } from '../../accounting/clipping.ts';
import { compareMechanisms, type PlanningQuestion } from '../../accounting/compare.ts';
import { parsePlan, type Plan, type SamplerPlan } from '../../accounting/plan.ts';
import { epsilonOfPlan, eventOfPlan } from '../../accounting/plan-epsilon.ts';
import { statementOf, statementRows } from '../../accounting/statement.ts';
import { sampleGroupPlan, samplePlan } from './sample-plan.ts';

const clipping: AdaptiveClipping = {
  kind: 'adaptive',
  targetQuantile: 0.5,
  learningRate: 0.2,
  countNoise: 5,
  minimum: 0.001,
  maximum: 1000,
};

const noises = fc.record({
  noiseMultiplier: fc.double({ min: 0.05, max: 50, noNaN: true }),
  // From just above the least noise on the count to so much that the sum notices nothing.
  ratio: fc.double({ min: 1.001, max: 1000, noNaN: true }),
});

describe('sumNoiseMultiplier()', () => {
  it('has the closed form of the paper', () => {
    expect(sumNoiseMultiplier({ noiseMultiplier: 1, clipping })).toBe(1 / Math.sqrt(0.99));
    // z = 2σ × 3/5, so that the root is 4/5.
    expect(sumNoiseMultiplier({ noiseMultiplier: 6, clipping })).toBe(7.5);
    expect(sumNoiseMultiplier({ noiseMultiplier: 1.5 })).toBe(1.5);
  });

  it('leaves to sum and count together the noise multiplier of the plan, and never lowers it', () => {
    fc.assert(
      fc.property(noises, ({ noiseMultiplier, ratio }) => {
        const countNoise = (ratio * noiseMultiplier) / 2;
        const sumNoise = sumNoiseMultiplier({ noiseMultiplier, clipping: { ...clipping, countNoise } });
        const joint = (1 / sumNoise ** 2 + 1 / (2 * countNoise) ** 2) * noiseMultiplier ** 2;
        expect(Math.abs(joint - 1)).toBeLessThan(1e-12);
        expect(sumNoise).toBeGreaterThanOrEqual(noiseMultiplier);
      }),
    );
  });

  it('bounds what a unit adds to both by 1/z, and what two units differ in by 2/z, whatever they are', () => {
    const unit = fc.record({
      gradient: fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 4, maxLength: 4 }),
      half: fc.constantFrom(-0.5, 0, 0.5),
    });
    fc.assert(
      fc.property(noises, unit, unit, ({ noiseMultiplier, ratio }, ...units) => {
        const countNoise = (ratio * noiseMultiplier) / 2;
        const sumNoise = sumNoiseMultiplier({ noiseMultiplier, clipping: { ...clipping, countNoise } });
        const [first, second] = units.map(({ gradient, half }) => {
          const scale = Math.min(1, 1 / Math.hypot(...gradient)) || 0;
          return [...gradient.map(value => (value * scale) / sumNoise), half / countNoise];
        });
        const most = (1 + 1e-12) / noiseMultiplier;
        expect(Math.hypot(...first!)).toBeLessThanOrEqual(most);
        expect(Math.hypot(...first!.map((value, at) => value - second![at]!))).toBeLessThanOrEqual(2 * most);
      }),
    );
  });

  it('refuses noise on the count that no noise on the sum makes up for', () => {
    for (const countNoise of [0, 0.3, 0.5, 0.5 * (1 + 1e-8)])
      expect(() => sumNoiseMultiplier({ noiseMultiplier: 1, clipping: { ...clipping, countNoise } })).toThrow(
        /^Cannot noise the sum: clipping.countNoise is .+ Give more than noiseMultiplier \/ 2 = 0.5/,
      );
  });
});

describe('adaptiveClipping()', () => {
  const plan = { clipNorm: 0.5, noiseMultiplier: 2, expectedBatchSize: 200 };

  it('fills in defaults, and keeps what is given', () => {
    expect(adaptiveClipping({ targetQuantile: 0.3 }, plan)).toEqual({
      kind: 'adaptive',
      targetQuantile: 0.3,
      learningRate: 0.2,
      countNoise: 10,
      minimum: 0.0005,
      maximum: 500,
    });
    const { kind: _, ...given } = clipping;
    expect(adaptiveClipping(given, plan)).toEqual(clipping);
  });

  it('raises the noise on the sum by at most 3.3 %, however small the batch is', () => {
    for (const expectedBatchSize of [0.1, 10, 79, 81, 1e6]) {
      const small = adaptiveClipping({ targetQuantile: 0.5 }, { ...plan, expectedBatchSize });
      const raised = sumNoiseMultiplier({ noiseMultiplier: 2, clipping: small }) / 2;
      expect(raised).toBeGreaterThan(1);
      expect(raised).toBeLessThan(1.033);
    }
  });
});

describe('a plan with an adaptive clip', () => {
  const adaptive = (changes: Partial<AdaptiveClipping> = {}, plan: Plan = samplePlan()): Plan => ({
    ...plan,
    clipping: { ...clipping, ...changes },
  });

  it('is read as it was written', () => {
    expect(parsePlan(JSON.parse(JSON.stringify(adaptive())))).toEqual(adaptive());
  });

  it('is the plan that it was, key by key, where the clip is fixed, said or not', () => {
    const fixed = JSON.stringify(parsePlan(samplePlan()));
    expect(JSON.stringify(parsePlan({ ...samplePlan(), clipping: { kind: 'fixed' } }))).toBe(fixed);
    expect(fixed).not.toContain('clipping');
  });

  const wrong: [object | number | null, string][] = [
    [{ targetQuantile: 0 }, 'clipping.targetQuantile is 0'],
    [{ targetQuantile: 1 }, 'clipping.targetQuantile is 1'],
    [{ learningRate: -0.2 }, 'clipping.learningRate is -0.2'],
    [{ learningRate: Infinity }, 'clipping.learningRate is Infinity'],
    [{ countNoise: 0 }, 'clipping.countNoise is 0 with noiseMultiplier 1'],
    [{ countNoise: 0.5 }, 'clipping.countNoise is 0.5 with noiseMultiplier 1'],
    [{ countNoise: -5 }, 'clipping.countNoise is -5'],
    [{ countNoise: Number.NaN }, 'clipping.countNoise is NaN'],
    [{ minimum: 0 }, 'clipping.minimum is 0'],
    [{ minimum: 1e-20 }, 'clipping.minimum is 1e-20'],
    [{ maximum: Number.NaN }, 'clipping.maximum is NaN'],
    [{ maximum: 1e20 }, 'clipping.maximum is 100000000000000000000'],
    [{ minimum: 1.5 }, 'clipNorm is 1 outside of clipping.minimum 1.5 to clipping.maximum 1000'],
    [{ maximum: 0.5 }, 'clipNorm is 1 outside of clipping.minimum 0.001 to clipping.maximum 0.5'],
    [{ kind: 'private' }, 'one of fixed, adaptive'],
    [{ kind: 'fixed' }, 'clipping has an unknown key "targetQuantile"'],
    [{ extra: 1 }, 'clipping has an unknown key "extra"'],
    [{ countNoise: undefined }, 'clipping.countNoise is undefined'],
    [7, 'clipping is 7'],
    [null, 'clipping is null'],
  ];
  it.each(wrong)('refuses %j', (change, shown) => {
    const given = typeof change === 'object' && change !== null ? { ...clipping, ...change } : change;
    const parse = (): Plan => parsePlan({ ...samplePlan(), clipping: given });
    expect(parse).toThrow(shown);
    expect(parse).toThrow(/^Cannot read the plan: .+\. .+\.$/);
    expect(parse).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  const users = { over: 'users', samplingProbability: 0.01, expectedBatchSize: 10 } as const;
  const samplers: SamplerPlan[] = [
    { kind: 'poisson', ...users },
    { kind: 'truncated-poisson', ...users, batchLimit: 14 },
    { kind: 'balls-in-bins', ...users, stepsPerEpoch: 100 },
    { kind: 'shuffled', ...users, stepsPerEpoch: 100 },
  ];
  it.each([
    sampleGroupPlan(),
    samplePlan({ neighbours: 'replace' }),
    ...samplers.map(sampler => samplePlan({ sampler })),
  ])('costs what the same plan with a fixed clip does: %#', plan => {
    expect(eventOfPlan(adaptive({}, plan))).toEqual(eventOfPlan(plan));
    expect(epsilonOfPlan(adaptive({}, plan))).toEqual(epsilonOfPlan(plan));
  });

  it('is stated in words, with the noise that each part really has', () => {
    const facts = { epsilon: { lower: 1, upper: 2 }, steps: 100, answers: { byAccountant: {} } };
    const rowOf = (plan: Plan): readonly string[] | undefined =>
      statementRows(statementOf(plan, facts)).find(([label]) => label === 'Mechanism');
    const [, ...lines] = rowOf(adaptive())!;
    expect(lines).toEqual([
      'User-wise DP-SGD: user averages clipped to an adaptive clip, at first 1, Gaussian noise of 1.00503 × that',
      'the clip follows quantile 0.5 of the gradient norms at rate 0.2, from 0.001 to 1000: each step also releases the number of users within it, with Gaussian noise of 5',
      'sum and number together have noise multiplier 1, which is what the accountant counts',
    ]);
    expect(rowOf(adaptive({}, sampleGroupPlan()))!.join()).toContain('the number of records within it');
    expect(rowOf(samplePlan())).toHaveLength(2);
    const statement = statementOf(adaptive(), facts);
    expect(JSON.parse(JSON.stringify(statement))).toMatchObject({ clipping });
  });
});

describe('compareMechanisms() with an adaptive clip', () => {
  const question: PlanningQuestion = {
    contributions: Array.from({ length: 400 }, () => 2),
    epsilon: 8,
    delta: 1e-4,
    recordsPerUser: [2],
    batchSize: 80,
    steps: 10,
    clipNorm: 0.5,
    neighbours: 'add-or-remove',
    selection: { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null },
    heldOut: { fraction: 0.1, seed: '1' },
  };

  it('calibrates to the same noise multiplier and says what noise the average has', () => {
    const fixed = compareMechanisms(question);
    const adaptive = compareMechanisms({ ...question, adaptiveClip: { targetQuantile: 0.4 } });
    for (const [at, { plan, epsilon, noiseOnAverage, notes }] of adaptive.entries()) {
      const shown = sumNoiseMultiplier(plan).toPrecision(4);
      expect(notes.join()).toContain(`noise on the sum is ${shown} × the clip of a step`);
      expect(fixed[at]!.notes.join()).not.toContain('noise on the sum');
      expect({ ...plan, clipping: undefined }).toEqual(fixed[at]!.plan);
      expect(epsilon).toEqual(fixed[at]!.epsilon);
      expect(plan.clipping).toEqual(adaptiveClipping({ targetQuantile: 0.4 }, { ...plan, ...plan.sampler }));
      const raised = sumNoiseMultiplier(plan) / plan.noiseMultiplier;
      expect(Math.abs(noiseOnAverage / fixed[at]!.noiseOnAverage / raised - 1)).toBeLessThan(1e-12);
      expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    }
  });

  it('refuses a count without noise', () => {
    const lying = { ...question, adaptiveClip: { targetQuantile: 0.4, countNoise: 0 } };
    expect(() => compareMechanisms(lying)).toThrow('clipping.countNoise is 0');
  });
});
