import type { Plan } from '../../accounting/plan.ts';

/** A valid plan with some fields replaced. */
export function samplePlan(changes: Partial<Plan> = {}): Plan {
  return {
    format: 'privacy-unit/plan',
    version: 1,
    mechanism: 'user-wise',
    neighbours: 'add-or-remove',
    unit: { protection: 'user', recordsPerUser: 5 },
    population: { users: 1000, records: 4000 },
    sampler: { kind: 'poisson', over: 'users', samplingProbability: 0.01, expectedBatchSize: 10 },
    clipNorm: 1,
    noiseMultiplier: 1,
    steps: 100,
    delta: 1e-4,
    targetEpsilon: null,
    groupConversion: 'none',
    selection: {
      strategy: 'random',
      seed: '42',
      tokensPerUser: null,
      chunkTokens: null,
      when: 'once',
      privacyCost: [],
    },
    heldOut: { fraction: 0.1, seed: '42' },
    ...changes,
  };
}

/** The same users under Group Privacy. */
export function sampleGroupPlan(changes: Partial<Plan> = {}): Plan {
  return samplePlan({
    mechanism: 'group-privacy',
    sampler: { kind: 'poisson', over: 'records', samplingProbability: 0.01, expectedBatchSize: 40 },
    noiseMultiplier: 2,
    groupConversion: 'mixture',
    ...changes,
  });
}
