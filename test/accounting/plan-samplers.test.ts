import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareMechanisms, type PlanningQuestion } from '../../accounting/compare.ts';
import { epsilonOf } from '../../accounting/epsilon.ts';
import { lemmaBound } from '../../accounting/group.ts';
import { parsePlan, type Plan, type SamplerPlan } from '../../accounting/plan.ts';
import { epsilonCurve, epsilonOfPlan, eventOfPlan } from '../../accounting/plan-epsilon.ts';
import { renderStatement, statementOf } from '../../accounting/statement.ts';
import { canonicalJson, sha256 } from '../../trainer/digest.ts';
import { sampleGroupPlan, samplePlan } from './sample-plan.ts';

const users = { over: 'users', samplingProbability: 0.01, expectedBatchSize: 10 } as const;
const truncated = { kind: 'truncated-poisson', ...users, batchLimit: 20 } as const;
const binned = { kind: 'balls-in-bins', ...users, stepsPerEpoch: 100 } as const;
const shuffled = { kind: 'shuffled', ...users, stepsPerEpoch: 100 } as const;
const others: readonly SamplerPlan[] = [truncated, binned, shuffled];
const overRecords = { over: 'records', expectedBatchSize: 40 } as const;

const planWith = (sampler: SamplerPlan, changes: Partial<Plan> = {}): Plan =>
  samplePlan({ sampler, ...changes });

function reparsed(plan: unknown): Plan {
  return parsePlan(JSON.parse(JSON.stringify(plan)));
}

describe('parsePlan() of samplers', () => {
  it.each(others)('gives back $kind as it was serialised', sampler => {
    expect(reparsed(planWith(sampler))).toEqual(planWith(sampler));
  });

  it('leaves the hash of Poisson plans what it was', () => {
    const hashOf = (plan: Plan): string => sha256(canonicalJson(reparsed(plan)));
    expect(hashOf(samplePlan())).toBe('3c0a761af2a43e5fc559bc2108b63e5833fd2c3956170989fdb64b95cbe2a965');
    expect(hashOf(sampleGroupPlan())).toBe(
      '22ccffcb4948f2e1b27dd39034bf1e59f0f5a0601232e9ae0e514d4645266aaa',
    );
  });

  const replaced = { ...users, samplingProbability: 0.02, expectedBatchSize: 20, stepsPerEpoch: 100 };
  const group = (sampler: object, changes: object = {}): object => ({
    ...sampleGroupPlan({ groupConversion: 'lemma' }),
    sampler: { ...sampler, ...overRecords },
    ...changes,
  });
  const wrong: [string, object, string][] = [
    [
      'an unknown kind',
      { ...samplePlan(), sampler: { ...users, kind: 'cyclic' } },
      'poisson, truncated-poisson, balls',
    ],
    [
      'a limit without truncation',
      { ...samplePlan(), sampler: { ...users, kind: 'poisson', batchLimit: 9 } },
      '"batchLimit"',
    ],
    [
      'truncation without a limit',
      { ...samplePlan(), sampler: { ...users, kind: 'truncated-poisson' } },
      'has no "batchLimit"',
    ],
    [
      'a limit of nobody',
      { ...samplePlan(), sampler: { ...truncated, batchLimit: 0 } },
      'sampler.batchLimit is 0',
    ],
    [
      'epochs without a length',
      { ...samplePlan(), sampler: { ...users, kind: 'shuffled' } },
      'has no "stepsPerEpoch"',
    ],
    [
      'half a step',
      { ...samplePlan(), sampler: { ...binned, stepsPerEpoch: 0.5 } },
      'sampler.stepsPerEpoch is 0.5',
    ],
    [
      'a probability other than 1/steps',
      { ...samplePlan(), sampler: { ...replaced, kind: 'balls-in-bins' } },
      'Give 1/stepsPerEpoch = 0.01',
    ],
    [
      'the same of shuffles',
      { ...samplePlan(), sampler: { ...replaced, kind: 'shuffled' } },
      'Give 1/stepsPerEpoch = 0.01',
    ],
    [
      'balls in bins under replace',
      planWith(binned, { neighbours: 'replace' }),
      'balls-in-bins under replace',
    ],
    ['truncation of groups', group(truncated), 'for groups of 5 records'],
    ['balls in bins of groups as a mixture', group(binned, { groupConversion: 'mixture' }), 'Give lemma'],
    ['balls in bins of groups by Rényi divergence', group(binned, { groupConversion: 'rdp' }), 'Give lemma'],
    ['shuffled groups without the lemma', group(shuffled, { groupConversion: 'mixture' }), 'Give lemma'],
    [
      'a denominator of the limit',
      { ...samplePlan(), sampler: { ...truncated, expectedBatchSize: 20 } },
      'expectedBatchSize is 20',
    ],
  ];
  it.each(wrong)('refuses %s', (_, plan, shown) => {
    expect(() => reparsed(plan)).toThrow(shown);
    expect(() => reparsed(plan)).toThrow(/^Cannot read the plan: .+\. .+\.$/);
  });

  it('accepts single records under Group Privacy with every sampler, and groups with the lemma', () => {
    const one = {
      unit: { protection: 'user', recordsPerUser: 1 },
      population: { users: 4000, records: 4000 },
    };
    for (const sampler of others)
      expect(reparsed(group(sampler, { ...one, groupConversion: 'none' })).sampler.kind).toBe(sampler.kind);
    for (const sampler of [binned, shuffled]) expect(reparsed(group(sampler)).groupConversion).toBe('lemma');
  });
});

describe('eventOfPlan() of samplers', () => {
  it('says what each of them did, epochs cut short as whole ones', () => {
    const run = { noiseMultiplier: 1, stepsPerEpoch: 100 };
    expect(eventOfPlan(planWith(truncated))).toEqual({
      kind: 'repeated',
      count: 100,
      event: {
        kind: 'truncated-poisson-gaussian',
        noiseMultiplier: 1,
        samplingProbability: 0.01,
        datasetSize: 1000,
        maximumBatchSize: 20,
      },
    });
    expect(eventOfPlan(planWith(binned))).toEqual({ kind: 'balls-in-bins-gaussian', ...run });
    expect(eventOfPlan(planWith(binned), 201)).toMatchObject({ kind: 'repeated', count: 3 });
    expect(eventOfPlan(planWith(shuffled), 101)).toEqual({
      kind: 'shuffled-gaussian',
      ...run,
      epochs: 2,
      order: 'reshuffled',
    });
  });

  it('counts the records of the table where records are sampled', () => {
    const unit = { protection: 'user', recordsPerUser: 1 } as const;
    const plan = sampleGroupPlan({ unit, sampler: { ...truncated, ...overRecords } });
    expect(eventOfPlan(plan, 1)).toMatchObject({ datasetSize: 4000 });
  });
});

describe('epsilonOfPlan() of samplers', () => {
  it.each(others)('asks the accountants about the event of $kind', sampler => {
    const plan = planWith(sampler);
    const answer = epsilonOf(eventOfPlan(plan), plan);
    expect(epsilonOfPlan(plan)).toEqual(answer);
    if (sampler !== truncated)
      expect(epsilonCurve(plan, [0, 100])).toEqual([{ lower: 0, upper: 0 }, answer.epsilon]);
    expect(epsilonOfPlan(plan, { steps: 0 }).epsilon).toEqual({ lower: 0, upper: 0 });
  });

  it('truncation costs more than Poisson sampling, and nothing where it never happens', () => {
    const poisson = epsilonOfPlan(samplePlan()).epsilon.upper;
    const uppers = [15, 20, 1000].map(
      batchLimit => epsilonOfPlan(planWith({ ...truncated, batchLimit })).epsilon.upper,
    );
    expect(uppers[0]).toBeGreaterThan(uppers[1]!);
    expect(uppers[1]).toBeGreaterThan(poisson);
    expect(uppers[2]).toBe(poisson);
  });

  it('an epoch that is cut short costs a whole one above and nothing below', () => {
    fc.assert(
      fc.property(fc.constantFrom(binned, shuffled), fc.integer({ min: 1, max: 399 }), (sampler, steps) => {
        const plan = planWith(sampler, { steps: 400 });
        const whole = (epochs: number): ReturnType<typeof epsilonOfPlan>['epsilon'] =>
          epsilonOfPlan(plan, { steps: 100 * epochs }).epsilon;
        const { epsilon, byAccountant } = epsilonOfPlan(plan, { steps });
        expect(epsilon.upper).toBe(whole(Math.ceil(steps / 100)).upper);
        expect(epsilon.lower).toBe(whole(Math.floor(steps / 100)).lower);
        for (const bound of Object.values(byAccountant))
          expect(bound.lower).toBeLessThanOrEqual(epsilon.lower);
      }),
      { numRuns: 8 },
    );
  });

  it('takes more steps than planned for epochs that were begun anew, of which each cut another off', () => {
    const plan = planWith(binned, { steps: 300 });
    const at = (steps: number): ReturnType<typeof epsilonOfPlan>['epsilon'] =>
      epsilonOfPlan(plan, { steps }).epsilon;
    expect(at(401).lower).toBe(at(100).lower);
    expect(at(401).upper).toBeGreaterThan(at(300).upper);
    expect(at(900)).toMatchObject({ lower: 0 });
  });

  it('has no upper bound for shuffled sampling, under either mechanism', () => {
    const single = epsilonOfPlan(planWith(shuffled)).epsilon;
    expect(single.upper).toBe(Infinity);
    expect(single.lower).toBeGreaterThan(1);
    const group = sampleGroupPlan({
      sampler: { ...shuffled, ...overRecords },
      noiseMultiplier: 1,
      groupConversion: 'lemma',
    });
    expect(epsilonOfPlan(group).epsilon).toEqual(single);
  });

  it('converts the record that balls in bins put into one step by the lemma, for groups of any size', () => {
    const plan = sampleGroupPlan({
      unit: { protection: 'user', recordsPerUser: 3 },
      sampler: { ...binned, ...overRecords },
      groupConversion: 'lemma',
    });
    const { epsilon } = epsilonOfPlan(plan);
    const record = { ...plan, ...plan.sampler, groupSize: 3 } as const;
    const sampling = { kind: 'balls-in-bins', stepsPerEpoch: 100 } as const;
    expect(epsilon.upper).toBe(lemmaBound({ ...record, sampling }).upper);
    expect(epsilon.upper).toBeGreaterThan(epsilonOf(eventOfPlan(plan), plan).epsilon.upper);
  });

  it('counts what selection spent beside epochs', () => {
    const spent = { ...samplePlan().selection, privacyCost: [{ epsilon: 0.5, delta: 0, what: 'the cap' }] };
    for (const sampler of [binned, shuffled]) {
      const plan = planWith(sampler, { selection: spent });
      expect(epsilonOfPlan(plan, { steps: 0 }).epsilon.upper).toBe(0.5);
      const [more, less] = [epsilonOfPlan(plan), epsilonOfPlan(planWith(sampler))];
      expect(more.epsilon.upper).toBeGreaterThanOrEqual(less.epsilon.upper);
      expect(more.epsilon.lower).toBeGreaterThanOrEqual(less.epsilon.lower);
    }
  });
});

const question: PlanningQuestion = {
  contributions: Array.from({ length: 400 }, () => 2),
  delta: 1e-4,
  recordsPerUser: [1, 2],
  batchSize: 40,
  steps: 30,
  clipNorm: 1,
  neighbours: 'add-or-remove',
  selection: { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null },
  heldOut: { fraction: 0, seed: '1' },
};

describe('compareMechanisms() of samplers', () => {
  it('calibrates balls in bins to the target, for users, records and, by the lemma, groups', () => {
    const options = compareMechanisms({ ...question, epsilon: 4, sampler: 'balls-in-bins' });
    expect(options.map(({ plan }) => plan.groupConversion)).toEqual(['mixture', 'none', 'lemma', 'none']);
    for (const { plan, epsilon, mechanism } of options) {
      const stepsPerEpoch =
        mechanism === 'user-wise' && plan.unit.recordsPerUser === 2 ? 20 : plan.population.records / 40;
      expect(plan.sampler).toEqual({
        kind: 'balls-in-bins',
        over: mechanism === 'user-wise' ? 'users' : 'records',
        samplingProbability: 1 / stepsPerEpoch,
        expectedBatchSize:
          plan.sampler.over === 'users' ? 400 / stepsPerEpoch : plan.population.records / stepsPerEpoch,
        stepsPerEpoch,
      });
      expect(reparsed(plan)).toEqual(plan);
      expect(epsilonOfPlan(plan).epsilon.upper).toBeLessThanOrEqual(4);
      expect(epsilon.upper).toBeGreaterThan(0.99 * 4);
    }
    expect(options[2]!.notes.join()).toContain('the last of the epochs of 20 steps is cut short');
  });

  it('calibrates truncated sampling, and leaves groups out and says so', () => {
    const options = compareMechanisms({
      ...question,
      epsilon: 4,
      sampler: 'truncated-poisson',
      batchLimit: 60,
    });
    expect(options.map(option => [option.mechanism, option.recordsPerUser])).toEqual([
      ['group-privacy', 1],
      ['user-wise', 1],
      ['user-wise', 2],
    ]);
    expect(options.map(({ plan }) => 'batchLimit' in plan.sampler && plan.sampler.batchLimit)).toEqual([
      60, 60, 30,
    ]);
    for (const { plan } of options) expect(epsilonOfPlan(plan).epsilon.upper).toBeLessThanOrEqual(4);
    expect(options[2]!.notes.join()).toContain('nothing is proved of groups');
    expect(options[2]!.breakEvenClipRatio).toBeNull();
  });

  it('takes the noise as given where there is no target', () => {
    for (const sampler of ['poisson', 'shuffled'] as const) {
      const [, byUser] = compareMechanisms({ ...question, noiseMultiplier: 1.5, sampler });
      expect(byUser!.plan).toMatchObject({ noiseMultiplier: 1.5, targetEpsilon: null });
      expect(byUser!.epsilon).toEqual(epsilonOfPlan(byUser!.plan).epsilon);
    }
  });

  const refused: [Partial<PlanningQuestion>, string][] = [
    [{ epsilon: 4, sampler: 'shuffled' }, 'no upper bound of it is proved'],
    [{ epsilon: 4, batchLimit: 60 }, 'batchLimit is 60'],
    [{ epsilon: 4, sampler: 'truncated-poisson' }, 'batchLimit is undefined'],
    [{ epsilon: 4, sampler: 'truncated-poisson', batchLimit: 1 }, 'batchLimit is 1'],
    [{ epsilon: 4, noiseMultiplier: 1 }, 'epsilon is 4'],
    [{}, 'epsilon is undefined'],
    [{ epsilon: 4, sampler: 'balls-in-bins', neighbours: 'replace' }, 'balls-in-bins-gaussian under replace'],
    [{ epsilon: 4, sampler: 'balls-in-bins', conversion: 'mixture' }, 'balls-in-bins for groups of 2'],
  ];
  it.each(refused)('refuses %j', (change, shown) => {
    expect(() => compareMechanisms({ ...question, recordsPerUser: [2], ...change })).toThrow(shown);
  });
});

describe('statementOf() of samplers', () => {
  const statedOf = (sampler: SamplerPlan): string => {
    const plan = planWith(sampler);
    const { epsilon, ...answers } =
      sampler === shuffled ? epsilonOfPlan(plan) : { epsilon: { lower: 0, upper: 2 }, byAccountant: {} };
    return renderStatement(statementOf(plan, { epsilon, answers, steps: 100 }));
  };

  it('says how the units were sampled', () => {
    expect(statedOf(truncated)).toContain(
      'of more than 20, that many at random are used (in tables of at most 1000 users)',
    );
    expect(statedOf(binned)).toContain('Balls in bins: each of the users takes part once in every 100 steps');
    expect(statedOf(shuffled)).toContain(
      'Shuffled: all users are put into a new random order every 100 steps',
    );
  });

  it('says of shuffled sampling that no upper bound is proved, and never that epsilon is at most anything', () => {
    const text = statedOf(shuffled);
    expect(text).toMatch(/^Guarantee +epsilon at least \d[\d.]* at delta 0.0001; no proved upper bound\n/);
    expect(text).toContain('epsilon has no proved upper bound');
    expect(text).not.toMatch(/at most (Infinity|∞)|epsilon at most|is above 10/);
    expect(statedOf(binned)).toContain('epsilon at most');
  });
});
