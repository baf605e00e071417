import { describe, expect, it } from 'vitest';
import { epsilonOf } from '../../accounting/epsilon.ts';
import { poissonEvent, poissonGroupEvent, sequence } from '../../accounting/event.ts';
import { groupEpsilon } from '../../accounting/group.ts';
import { parsePlan, type Plan } from '../../accounting/plan.ts';
import { epsilonCurve, epsilonOfPlan, eventOfPlan } from '../../accounting/plan-epsilon.ts';
import { sampleGroupPlan, samplePlan } from './sample-plan.ts';

type Path = readonly [outer: string, inner?: string];

/** The plan as JSON with one field replaced or, for undefined, removed. */
function broken(plan: Plan, [outer, inner]: Path, value: unknown): unknown {
  const json: Record<string, unknown> & Record<string, Record<string, unknown>> = JSON.parse(
    JSON.stringify(plan),
  );
  const target = inner === undefined ? json : json[outer]!;
  const key = inner ?? outer;
  if (value === undefined) delete target[key];
  else target[key] = value;
  return json;
}

const capCost = { epsilon: 0.5, delta: 1e-6, what: 'a private cap' };

/** The plan with two releases behind its selection. */
function spending(plan: Plan, delta = 1e-6): Plan {
  const privacyCost = [
    { ...capCost, delta },
    { epsilon: 0.25, delta: 0, what: 'a private filter' },
  ];
  return { ...plan, selection: { ...plan.selection, privacyCost } };
}

describe('parsePlan()', () => {
  it.each([samplePlan(), sampleGroupPlan(), samplePlan({ targetEpsilon: 3.5 }), spending(samplePlan())])(
    'gives back what was serialised',
    plan => {
      expect(parsePlan(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    },
  );

  const values: [Path, unknown, string][] = [
    [['format'], 'privacy-unit/other', '"privacy-unit/other"'],
    [['version'], 2, 'version is 2'],
    [['mechanism'], 'local', '"local"'],
    [['neighbours'], 'swap', '"swap"'],
    [['unit'], 7, 'unit is 7'],
    [['unit', 'protection'], 'record', '"record"'],
    [['unit', 'recordsPerUser'], 0, 'unit.recordsPerUser is 0'],
    [['population', 'users'], 1.5, 'population.users is 1.5'],
    [['population', 'records'], -4, 'population.records is -4'],
    [['sampler', 'kind'], 'shuffle', '"shuffle"'],
    [['sampler', 'over'], 'tokens', '"tokens"'],
    [['sampler', 'samplingProbability'], 0, 'sampler.samplingProbability is 0'],
    [['sampler', 'samplingProbability'], 1.2, 'sampler.samplingProbability is 1.2'],
    [['sampler', 'expectedBatchSize'], -1, 'sampler.expectedBatchSize is -1'],
    [['clipNorm'], 0, 'clipNorm is 0'],
    [['clipNorm'], '1', 'clipNorm is "1"'],
    [['noiseMultiplier'], -2, 'noiseMultiplier is -2'],
    [['steps'], 0.5, 'steps is 0.5'],
    [['delta'], 1, 'delta is 1'],
    [['delta'], 0, 'delta is 0'],
    [['targetEpsilon'], -3, 'targetEpsilon is -3'],
    [['groupConversion'], 'magic', '"magic"'],
    [['selection', 'strategy'], 'best', '"best"'],
    [['selection', 'seed'], 42, 'selection.seed is 42'],
    [['selection', 'tokensPerUser'], 0, 'selection.tokensPerUser is 0'],
    [['selection', 'chunkTokens'], 0, 'selection.chunkTokens is 0'],
    [['selection', 'when'], 'later', '"later"'],
    [['selection', 'privacyCost'], null, 'selection.privacyCost is null'],
    [['selection', 'privacyCost'], {}, 'selection.privacyCost is {}'],
    [['selection', 'privacyCost'], [7], 'selection.privacyCost[0] is 7'],
    [['selection', 'privacyCost'], [{ ...capCost, epsilon: -1 }], 'privacyCost[0].epsilon is -1'],
    [['selection', 'privacyCost'], [capCost, { ...capCost, delta: 1 }], 'privacyCost[1].delta is 1'],
    [['selection', 'privacyCost'], [{ ...capCost, what: null }], 'privacyCost[0].what is null'],
    [['selection', 'privacyCost'], [{ epsilon: 1, delta: 0 }], 'privacyCost[0] has no "what"'],
    [['heldOut', 'fraction'], 1, 'heldOut.fraction is 1'],
    [['heldOut', 'fraction'], -0.1, 'heldOut.fraction is -0.1'],
    [['heldOut', 'seed'], null, 'heldOut.seed is null'],
  ];
  it.each(values)('refuses %j = %j and shows it', (path, value, shown) => {
    const parse = (): unknown => parsePlan(broken(samplePlan(), path, value));
    expect(parse).toThrow(shown);
    expect(parse).toThrow(/^Cannot read the plan: .+\. .+\.$/);
    expect(parse).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  const mayBeMissing = 'privacyCost';
  const paths = Object.entries(samplePlan()).flatMap(([outer, value]): Path[] =>
    typeof value === 'object' && value !== null
      ? [
          [outer],
          ...Object.keys(value)
            .filter(inner => inner !== mayBeMissing)
            .map((inner): Path => [outer, inner]),
        ]
      : [[outer]],
  );
  it.each(paths.map(path => ({ path, name: path.at(-1)! })))(
    'refuses a plan without $path',
    ({ path, name }) => {
      expect(() => parsePlan(broken(samplePlan(), path, undefined))).toThrow(`has no "${name}"`);
    },
  );

  it('reads a plan that was written before selection could cost anything, and writes that it cost nothing', () => {
    const path: Path = ['selection', mayBeMissing];
    expect(parsePlan(broken(samplePlan(), path, undefined))).toEqual(samplePlan());
  });

  it('refuses unknown keys at every level', () => {
    expect(() => parsePlan({ ...samplePlan(), note: 'x' })).toThrow('the plan has an unknown key "note"');
    for (const part of ['unit', 'population', 'sampler', 'selection', 'heldOut'] as const) {
      const json = { ...samplePlan(), [part]: { ...samplePlan()[part], extra: 1 } };
      expect(() => parsePlan(json)).toThrow(`${part} has an unknown key "extra"`);
    }
  });

  it.each([[null], [[]], ['text'], [undefined], [3]])('refuses %j as a plan', value => {
    expect(() => parsePlan(value)).toThrow('Cannot read the plan: the plan is');
  });

  const users = samplePlan().sampler;
  const records = sampleGroupPlan().sampler;
  const chunks = { ...samplePlan().selection, strategy: 'random-chunk', chunkTokens: 64 } as const;
  const contradictions: [string, Plan, string][] = [
    [
      'a denominator that is not the expected one',
      samplePlan({ sampler: { ...users, expectedBatchSize: 10.0001 } }),
      'expectedBatchSize is 10.0001',
    ],
    [
      'the denominator of the other unit',
      samplePlan({ sampler: { ...users, expectedBatchSize: 40 } }),
      'expectedBatchSize is 40',
    ],
    ['group privacy over users', sampleGroupPlan({ sampler: users }), 'sampler.over is users'],
    ['user-wise over records', samplePlan({ sampler: records }), 'sampler.over is records'],
    [
      'group privacy without a conversion',
      sampleGroupPlan({ groupConversion: 'none' }),
      'groupConversion is none',
    ],
    ['user-wise with a conversion', samplePlan({ groupConversion: 'lemma' }), 'groupConversion is lemma'],
    [
      'group privacy that selects per draw',
      sampleGroupPlan({ selection: { ...samplePlan().selection, when: 'per-draw' } }),
      'selection.when is per-draw',
    ],
    [
      'chunks without a length',
      samplePlan({ selection: { ...chunks, chunkTokens: null } }),
      'chunkTokens is null',
    ],
    [
      'a length without chunks',
      samplePlan({ selection: { ...chunks, strategy: 'longest' } }),
      'chunkTokens is 64',
    ],
    [
      'more records than the cap lets through',
      samplePlan({ population: { users: 1000, records: 5001 } }),
      'records is 5001',
    ],
    [
      'a selection that spends the whole delta',
      spending(samplePlan(), 1e-4),
      'spends 0.0001 of delta 0.0001',
    ],
  ];
  it.each(contradictions)('refuses %s', (_, plan, shown) => {
    expect(() => parsePlan(JSON.parse(JSON.stringify(plan)))).toThrow(shown);
  });

  it('accepts rounding in the denominator, chunks with a length, and any conversion of single records', () => {
    expect(parsePlan(samplePlan({ sampler: { ...users, expectedBatchSize: 10 * (1 + 5e-10) } })).steps).toBe(
      100,
    );
    expect(parsePlan(samplePlan({ selection: { ...chunks, when: 'per-draw' } })).selection.chunkTokens).toBe(
      64,
    );
    const single = {
      unit: { protection: 'user', recordsPerUser: 1 },
      population: { users: 1000, records: 1000 },
    } as const;
    const sampler = { ...records, expectedBatchSize: 10 };
    expect(parsePlan(sampleGroupPlan({ ...single, sampler, groupConversion: 'none' })).groupConversion).toBe(
      'none',
    );
  });
});

describe('accounting for a plan', () => {
  it('user-wise is the subsampled Gaussian over users, whatever the cap', () => {
    const plan = samplePlan();
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 100 });
    expect(eventOfPlan(plan)).toEqual(event);
    expect(epsilonOfPlan(plan)).toEqual(epsilonOf(event, plan));
    const larger = samplePlan({ unit: { protection: 'user', recordsPerUser: 50 } });
    expect(epsilonOfPlan(larger).epsilon).toEqual(epsilonOfPlan(plan).epsilon);
  });

  it('group privacy is the mixture over records, with all conversions beside it', () => {
    const plan = sampleGroupPlan();
    const options = { noiseMultiplier: 2, samplingProbability: 0.01, steps: 100, groupSize: 5 };
    expect(eventOfPlan(plan)).toEqual(poissonGroupEvent(options));
    const answer = groupEpsilon({ ...options, delta: 1e-4, neighbours: 'add-or-remove' });
    for (const groupConversion of ['lemma', 'rdp', 'mixture'] as const) {
      const { epsilon, byConversion } = epsilonOfPlan(sampleGroupPlan({ groupConversion }));
      expect(epsilon.upper).toBe(answer.byConversion[groupConversion].upper);
      expect(epsilon.lower).toBe(answer.byConversion.mixture.lower);
      expect(byConversion).toEqual(answer.byConversion);
    }
  });

  it('with one record per user both mechanisms cost the same', () => {
    const unit = { protection: 'user', recordsPerUser: 1 } as const;
    const population = { users: 1000, records: 1000 };
    const sampler = { kind: 'poisson', samplingProbability: 0.01, expectedBatchSize: 10 } as const;
    const byUser = samplePlan({ unit, population, sampler: { ...sampler, over: 'users' } });
    const byRecord = sampleGroupPlan({
      unit,
      population,
      noiseMultiplier: 1,
      sampler: { ...sampler, over: 'records' },
    });
    expect(eventOfPlan(byRecord)).toEqual(eventOfPlan(byUser));
    expect(epsilonOfPlan(byRecord).epsilon).toEqual(epsilonOfPlan(byUser).epsilon);
  });

  it('counts the steps it is told, and nothing for none', () => {
    const plan = samplePlan();
    expect(epsilonOfPlan(plan, { steps: 0 }).epsilon).toEqual({ lower: 0, upper: 0 });
    expect(epsilonOfPlan(plan, { steps: 101 }).epsilon.upper).toBeGreaterThan(
      epsilonOfPlan(plan).epsilon.upper,
    );
    expect(() => epsilonOfPlan(plan, { steps: -1 })).toThrow('steps is -1');
  });

  it('epsilonCurve() rises and ends where epsilonOfPlan() is', () => {
    for (const plan of [samplePlan(), sampleGroupPlan()]) {
      const uppers = epsilonCurve(plan, [0, 1, 30, 100]).map(({ upper }) => upper);
      uppers.slice(1).forEach((upper, index) => expect(upper).toBeGreaterThan(uppers[index]!));
      expect(uppers.at(-1)).toBe(epsilonOfPlan(plan).epsilon.upper);
    }
  });
});

describe('accounting for a plan whose selection spent something', () => {
  const guarantees = [
    { kind: 'guarantee', epsilon: 0.5, delta: 1e-6 },
    { kind: 'guarantee', epsilon: 0.25, delta: 0 },
  ] as const;

  it.each([samplePlan(), sampleGroupPlan(), samplePlan({ neighbours: 'replace' })])(
    'composes the run and every release as events',
    plan => {
      const event = sequence([eventOfPlan(plan), ...guarantees]);
      expect(eventOfPlan(spending(plan))).toEqual(event);
      const { epsilon } = epsilonOfPlan(spending(plan));
      expect(epsilon).toEqual(epsilonOf(event, plan).epsilon);
      // More than the run alone at delta, less than plain addition at the delta that is left.
      const added = epsilonOfPlan({ ...plan, delta: plan.delta - 1e-6 }).epsilon.upper + 0.75;
      expect(epsilon.upper).toBeLessThan(added);
      expect(epsilon.upper).toBeGreaterThan(epsilonOfPlan(plan).epsilon.upper);
    },
  );

  it.each(['lemma', 'rdp'] as const)('adds it plainly to what the %s conversion answers', groupConversion => {
    const plan = sampleGroupPlan({ groupConversion });
    const left = epsilonOfPlan({ ...plan, delta: plan.delta - 1e-6 });
    const { epsilon, byConversion } = epsilonOfPlan(spending(plan));
    expect(epsilon.upper).toBe(byConversion![groupConversion].upper);
    expect(epsilon.upper).toBeGreaterThanOrEqual(left.epsilon.upper + 0.75);
    expect(epsilon.upper).toBeLessThan((left.epsilon.upper + 0.75) * (1 + 1e-9));
    expect(byConversion![groupConversion].detail).toContain('plus 0.75');
  });

  it('counts it before the first step, and on the whole curve', () => {
    for (const plan of [spending(samplePlan()), spending(sampleGroupPlan({ groupConversion: 'lemma' }))]) {
      expect(epsilonOfPlan(plan, { steps: 0 }).epsilon).toEqual({ lower: 0, upper: 0.75 });
      const [none, all] = epsilonCurve(plan, [0, 100]);
      expect(none).toEqual({ lower: 0, upper: 0.75 });
      expect(all!.upper).toBe(epsilonOfPlan(plan).epsilon.upper);
    }
  });
});
