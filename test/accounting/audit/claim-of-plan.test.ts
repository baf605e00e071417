import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditClaim, claimOf, claimOfPlan, type ClaimAudit } from '../../../accounting/audit/index.ts';
import { epsilonOfPlan } from '../../../accounting/plan-entry.ts';
import type { Plan, SamplerPlan } from '../../../accounting/plan.ts';
import { sampleGroupPlan, samplePlan } from '../sample-plan.ts';

const population = { users: 1000, records: 4000 };

function sampler(kind: SamplerPlan['kind'], over: 'users' | 'records', stepsPerEpoch: number): SamplerPlan {
  const samplingProbability = 1 / stepsPerEpoch;
  const expectedBatchSize = population[over] / stepsPerEpoch;
  const common = { over, samplingProbability, expectedBatchSize };
  if (kind === 'poisson') return { kind, ...common };
  if (kind === 'truncated-poisson') return { kind, batchLimit: Math.ceil(2 * expectedBatchSize), ...common };
  return { kind, stepsPerEpoch, ...common };
}

const numbers = {
  stepsPerEpoch: fc.integer({ min: 5, max: 200 }),
  steps: fc.integer({ min: 1, max: 300 }),
  noiseMultiplier: fc.double({ min: 0.6, max: 5, noNaN: true }),
  delta: fc.constantFrom(1e-4, 1e-6, 3.3e-8),
};

const userWise: fc.Arbitrary<Plan> = fc
  .record({
    kind: fc.constantFrom<SamplerPlan['kind']>('poisson', 'truncated-poisson', 'balls-in-bins'),
    neighbours: fc.constantFrom<Plan['neighbours']>('add-or-remove', 'zero-out', 'replace'),
    ...numbers,
  })
  .map(({ kind: asked, neighbours, stepsPerEpoch, ...rest }) => {
    const kind = neighbours === 'replace' ? 'poisson' : asked;
    return samplePlan({ ...rest, neighbours, population, sampler: sampler(kind, 'users', stepsPerEpoch) });
  });

const group: fc.Arbitrary<Plan> = fc
  .record({
    groupConversion: fc.constantFrom<Plan['groupConversion']>('mixture', 'rdp', 'lemma'),
    recordsPerUser: fc.integer({ min: 2, max: 8 }),
    ...numbers,
  })
  .map(({ recordsPerUser, stepsPerEpoch, ...rest }) =>
    sampleGroupPlan({
      ...rest,
      population,
      unit: { protection: 'user', recordsPerUser },
      sampler: sampler('poisson', 'records', stepsPerEpoch),
    }),
  );

function auditOf(plan: Plan, factor = 1): ClaimAudit {
  const { lower, upper } = epsilonOfPlan(plan).epsilon;
  return auditClaim(
    claimOf(claimOfPlan(plan, { epsilon: { lower: lower * factor, upper: upper * factor } })),
  );
}

describe('claimOfPlan()', () => {
  it('claims what the audit confirms, whatever the plan', () => {
    fc.assert(
      fc.property(fc.oneof(userWise, group), plan => {
        // A conversion may have no answer; then nothing is claimed.
        fc.pre(epsilonOfPlan(plan).epsilon.upper < Infinity);
        const { verdict, questions, recomputed } = auditOf(plan);
        expect(['consistent', 'privacy_understated']).toContain(verdict);
        // The plan knows everything that moves epsilon.
        expect(questions.filter(question => !question.includes('How many runs'))).toEqual([]);
        expect(recomputed['exact']!.upper).toBeGreaterThan(0);
      }),
      { numRuns: 8 },
    );
  });

  it('leaves nothing to explain where the plan was accounted for exactly', () => {
    const { verdict, explanation } = auditOf(samplePlan());
    expect(verdict).toBe('consistent');
    expect(explanation).toContain('from the stated settings');
  });

  it('lets an audit see a number that is too small', () => {
    for (const plan of [samplePlan(), sampleGroupPlan(), samplePlan({ neighbours: 'replace' })])
      expect(auditOf(plan, 0.9).verdict).toBe('privacy_overstated');
  });

  it('claims no number for shuffled batches', () => {
    const plan = samplePlan({ population, sampler: sampler('shuffled', 'users', 100) });
    const claim = claimOf(claimOfPlan(plan, epsilonOfPlan(plan)));
    expect(claim.guarantee.epsilon).toBeNull();
    expect(auditClaim(claim).reasons.map(({ code }) => code)).toContain('DPC-S1-shuffled-as-poisson');
  });

  it('rounds up', () => {
    const { guarantee } = claimOfPlan(samplePlan(), { epsilon: { lower: 1, upper: 1.00001 } });
    expect(guarantee).toMatchObject({ epsilon: '1.001', relation: '<=' });
    expect(claimOfPlan(samplePlan(), { epsilon: { lower: 0, upper: 0 } }).guarantee!.epsilon).toBe('0');
  });

  it('names what else was paid for, and an adaptive clip', () => {
    const selection = {
      ...samplePlan().selection,
      privacyCost: [{ epsilon: 0.3, delta: 0, what: 'the cap' }],
    };
    const plan = samplePlan({ selection });
    const { release } = claimOfPlan(plan, epsilonOfPlan(plan));
    expect(release!.other_outputs).toEqual(['the cap']);
    expect(auditOf(plan).verdict).toBe('privacy_understated');
  });
});
