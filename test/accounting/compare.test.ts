import { describe, expect, it } from 'vitest';
import { calibrateNoise } from '../../accounting/calibrate.ts';
import { compareMechanisms, type PlanningQuestion } from '../../accounting/compare.ts';
import { parsePlan } from '../../accounting/plan.ts';
import { epsilonOfPlan } from '../../accounting/plan-epsilon.ts';

const question: PlanningQuestion = {
  contributions: Array.from({ length: 1000 }, (_, user) => 1 + (user % 10)),
  epsilon: 8,
  delta: 1e-5,
  recordsPerUser: [3],
  batchSize: 60,
  steps: 20,
  clipNorm: 0.5,
  neighbours: 'add-or-remove',
  selection: { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null },
  heldOut: { fraction: 0.1, seed: '1' },
};

describe('compareMechanisms()', () => {
  const [byRecord, byUser] = compareMechanisms(question);

  it('samples both units for the same record gradients a step', () => {
    // 100 users with one record, 100 with two, 800 capped at three.
    expect(byRecord!.plan.population).toEqual({ users: 1000, records: 2700 });
    expect(byRecord!.plan.sampler).toEqual({
      kind: 'poisson',
      over: 'records',
      samplingProbability: 60 / 2700,
      expectedBatchSize: (60 / 2700) * 2700,
    });
    expect(byUser!.plan.sampler).toEqual({
      kind: 'poisson',
      over: 'users',
      samplingProbability: 0.02,
      expectedBatchSize: 20,
    });
  });

  it('gives plans that parse, keep the target and say what they were calibrated to', () => {
    for (const { plan, epsilon } of [byRecord!, byUser!]) {
      expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
      expect(plan.targetEpsilon).toBe(8);
      expect(epsilon.upper).toBeLessThanOrEqual(8);
      expect(epsilonOfPlan(plan).epsilon.upper).toBeLessThanOrEqual(8);
    }
  });

  it('breaks even where both noises on the averaged gradient are equal', () => {
    const { plan } = byRecord!;
    const expected = plan.noiseMultiplier / (3 * byUser!.plan.noiseMultiplier);
    expect(Math.abs(byRecord!.breakEvenClipRatio! / expected - 1)).toBeLessThan(1e-12);
    expect(byUser!.breakEvenClipRatio).toBe(byRecord!.breakEvenClipRatio);
    expect(byUser!.noiseOnAverage).toBe((byUser!.plan.noiseMultiplier * 0.5) / 20);
  });

  it('turns a probability above 1 into 1 and says so', () => {
    const [records, users] = compareMechanisms({
      ...question,
      contributions: [1, 1, 2],
      batchSize: 1000,
      recordsPerUser: [2],
      delta: 0.4,
    });
    expect(records!.plan.sampler).toMatchObject({ samplingProbability: 1, expectedBatchSize: 4 });
    expect(users!.plan.sampler).toMatchObject({ samplingProbability: 1, expectedBatchSize: 3 });
    expect(records!.notes.join()).toContain('all 4 records take part in every step');
    expect(users!.notes.join()).toContain('all 3 users take part in every step');
    expect(users!.notes.join()).toContain('delta 0.4 is not below 1/users');
  });

  it('selects once under Group Privacy and as asked under the other', () => {
    const perDraw = compareMechanisms({
      ...question,
      selection: { ...question.selection, when: 'per-draw' },
    });
    expect(perDraw.map(option => option.plan.selection.when)).toEqual(['once', 'per-draw']);
    expect(perDraw.map(option => option.plan.population.records)).toEqual([2700, 5500]);
  });

  it('with one record per user makes both mechanisms equal', () => {
    const contributions = Array.from({ length: 500 }, () => 4);
    const [records, users] = compareMechanisms({ ...question, contributions, recordsPerUser: [1] });
    expect(records!.plan.noiseMultiplier).toBe(users!.plan.noiseMultiplier);
    expect(records!.epsilon).toEqual(users!.epsilon);
    expect(records!.breakEvenClipRatio).toBe(1);
  });

  it('notes caps that nobody reaches and batches below one', () => {
    const [, users] = compareMechanisms({
      ...question,
      contributions: [1, 2, 2],
      recordsPerUser: [4],
      batchSize: 2,
      delta: 1e-3,
    });
    expect(users!.notes.join()).toContain('no user has more than 2 records');
    expect(users!.notes.join()).toContain('0.50 users expected in a step');
  });

  it.each(['mixture', 'lemma'] as const)('calibrates to what selection leaves, by the %s', conversion => {
    const privacyCost = [{ epsilon: 1.5, delta: 1e-6, what: 'a private cap' }];
    const asked = { ...question, conversion, recordsPerUser: [2], epsilon: 4 };
    const spent = compareMechanisms({ ...asked, selection: { ...question.selection, privacyCost } });
    const free = compareMechanisms(asked);
    const added = compareMechanisms({ ...asked, epsilon: 2.5, delta: 9e-6 });
    for (const [at, { plan, epsilon }] of spent.entries()) {
      expect(plan.selection.privacyCost).toEqual(privacyCost);
      expect(plan.targetEpsilon).toBe(4);
      expect(epsilon.upper).toBeLessThanOrEqual(4);
      expect(epsilon.upper).toBeGreaterThan(3.99);
      expect(epsilonOfPlan(plan).epsilon.upper).toBeLessThanOrEqual(4);
      expect(plan.noiseMultiplier).toBeGreaterThan(free[at]!.plan.noiseMultiplier);
      // Never more noise than plain addition asks for, but for the tolerance of calibration.
      expect(plan.noiseMultiplier).toBeLessThan(added[at]!.plan.noiseMultiplier * 1.002);
    }
  });

  it('refuses a target that selection alone spends', () => {
    for (const [epsilon, delta] of [
      [8, 0],
      [1, 1e-5],
    ] as const) {
      const selection = { ...question.selection, privacyCost: [{ epsilon, delta, what: 'a private cap' }] };
      const compare = (): unknown => compareMechanisms({ ...question, selection });
      expect(compare).toThrow(`epsilon ${epsilon} at delta ${delta} is spent already`);
      expect(compare).toThrow(expect.objectContaining({ code: 'BUDGET_UNREACHABLE' }));
    }
  });

  it.each([
    [{ contributions: [] }, '0 users have records'],
    [{ contributions: [1, -1] }, 'a number of records is -1'],
    [{ recordsPerUser: [0] }, 'recordsPerUser is 0'],
    [{ batchSize: 0 }, 'batchSize is 0'],
    [{ clipNorm: 0 }, 'clipNorm is 0'],
  ])('refuses %j with the value', (change, shown) => {
    expect(() => compareMechanisms({ ...question, ...change })).toThrow(shown);
  });
});

// Published comparison at equal compute (Charles et al., arXiv 2407.07737), recomputed to 0.1 % of the noise:
// 1000 record gradients a step; (a) 10,000 users, 1000 steps, delta 1e-6; (b) 100,000 users, 2000 steps, delta 1e-7.
describe('the planner figures', () => {
  const rows = [
    {
      users: 1e4,
      steps: 1000,
      delta: 1e-6,
      epsilon: 1,
      k: 5,
      mixture: 13.44,
      userWise: 2.82,
      breakEven: 0.953,
    },
    {
      users: 1e4,
      steps: 1000,
      delta: 1e-6,
      epsilon: 3,
      k: 5,
      mixture: 5.0,
      userWise: 1.24,
      breakEven: 0.805,
    },
    {
      users: 1e4,
      steps: 1000,
      delta: 1e-6,
      epsilon: 8,
      k: 5,
      mixture: 2.24,
      userWise: 0.773,
      breakEven: 0.58,
    },
    {
      users: 1e4,
      steps: 1000,
      delta: 1e-6,
      epsilon: 8,
      k: 20,
      mixture: 2.25,
      userWise: 0.526,
      breakEven: 0.213,
    },
    {
      users: 1e5,
      steps: 2000,
      delta: 1e-7,
      epsilon: 1,
      k: 2,
      mixture: 2.255,
      userWise: 1.296,
      breakEven: 0.87,
    },
    {
      users: 1e5,
      steps: 2000,
      delta: 1e-7,
      epsilon: 8,
      k: 2,
      mixture: 0.724,
      userWise: 0.585,
      breakEven: 0.619,
    },
  ];
  // Half a unit in the last printed place on top of 0.3 % of the value.
  const expectNear = (value: number, printed: number, unit: number): void => {
    expect(Math.abs(value - printed)).toBeLessThanOrEqual(0.003 * printed + unit / 2);
  };

  it.each(rows)('$users users, epsilon $epsilon, $k records per user', row => {
    const { epsilon, delta, steps, k, users } = row;
    const common = { epsilon, delta, steps, neighbours: 'add-or-remove' } as const;
    const samplingProbability = 1000 / users / k;
    const group = calibrateNoise({ ...common, samplingProbability, groupSize: k }).noiseMultiplier;
    const user = calibrateNoise({ ...common, samplingProbability }).noiseMultiplier;
    expectNear(group, row.mixture, row.mixture < 1 || row.users === 1e5 ? 1e-3 : 1e-2);
    expectNear(user, row.userWise, row.userWise > 1 && row.users === 1e4 ? 1e-2 : 1e-3);
    expectNear(group / (k * user), row.breakEven, 1e-3);
  });

  it('the lemma and RDP need the noise of the table, or less for RDP by a better inequality', () => {
    const options = {
      epsilon: 8,
      delta: 1e-6,
      samplingProbability: 0.02,
      steps: 1000,
      neighbours: 'add-or-remove',
      groupSize: 5,
    } as const;
    expectNear(calibrateNoise({ ...options, conversion: 'lemma' }).noiseMultiplier, 2.39, 1e-2);
    const byRenyi = calibrateNoise({ ...options, epsilon: 1, conversion: 'rdp' }).noiseMultiplier;
    expect(byRenyi).toBeLessThan(42.2);
    expect(byRenyi).toBeGreaterThan(13.44);
  });
});
