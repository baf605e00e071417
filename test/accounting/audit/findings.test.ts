import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';

const run: StatedMechanism = {
  kind: 'dp_sgd',
  n_units: 10_000,
  steps: 50,
  sampler: { kind: 'poisson', batch_size: 100 },
  clip: { norm: 1, per: 'example' },
  noise: { multiplier: 2, relative_to: 'clip' },
};

const clean: StatedClaim = {
  guarantee: { epsilon: '0.36', delta: 1e-5, relation: '<=' },
  adjacency: 'add_remove',
  unit: { kind: 'example' },
  mechanisms: [run],
};

function audit(changes: StatedClaim = {}, mechanism: Partial<StatedMechanism> = {}): ClaimAudit {
  const { sampler, clip, noise, ...rest } = mechanism;
  const merged = {
    ...run,
    ...rest,
    sampler: { ...run.sampler, ...sampler },
    clip: { ...run.clip, ...clip },
    noise: { ...run.noise, ...noise },
  };
  return auditClaim(claimOf({ ...clean, mechanisms: [merged], ...changes }));
}

function codes({ reasons }: ClaimAudit): string[] {
  return reasons.map(({ code }) => code);
}

const users = { kind: 'user', max_records_per_unit: 2 } as const;

/** Each rule with the least that sets it off. */
const cases: readonly (readonly [
  code: string,
  changes: StatedClaim,
  mechanism?: Partial<StatedMechanism>,
])[] = [
  ['DPC-S1-shuffled-as-poisson', {}, { sampler: { kind: 'shuffle_each_epoch' } }],
  ['DPC-S2-fixed-order', {}, { sampler: { kind: 'fixed_order' } }],
  ['DPC-S3-fixed-size-batches', {}, { sampler: { kind: 'without_replacement' } }],
  ['DPC-S4-truncated-batches', {}, { sampler: { physical_cap: 140 } }],
  ['DPC-S5-partial-last-batch', {}, { sampler: { partial_last: 'dropped' } }],
  ['DPC-S6-sampler-not-stated', {}, { sampler: { kind: 'unknown' } }],
  ['DPC-S7-other-sampler-accounted', { accounting: { sampler: 'without_replacement' } }],
  ['DPC-C1-microbatch-clipping', {}, { clip: { per: 'microbatch', microbatch_size: 2 } }],
  ['DPC-C2-clipped-per-batch', {}, { clip: { per: 'batch' } }],
  ['DPC-C3-clipped-per-layer', {}, { clip: { per: 'layer' } }],
  ['DPC-C4-adaptive-clip-without-noise', {}, { clip: { adaptive: 'unnoised' } }],
  ['DPC-C5-clipping-not-stated', {}, { clip: { norm: null, per: null } }],
  [
    'DPC-N1-noise-per-worker',
    {},
    { noise: { per: 'worker', workers: 4, seeds: 'distinct', divided_by: 'workers' } },
  ],
  ['DPC-N2-noise-on-mean', {}, { noise: { applied_to: 'mean' } }],
  ['DPC-E1-divided-by-realised-batch', {}, { normalise_by: 'realised' }],
  ['DPC-E2-divided-by-private-size', {}, { normalise_by: 'expected_private' }],
  ['DPC-U1-records-not-users', { unit: { kind: 'example', max_records_per_unit: 2 } }],
  ['DPC-U2-cap-not-enforced', { unit: users }],
  ['DPC-U3-device-not-person', { unit: { kind: 'device', max_records_per_unit: 1 } }],
  ['DPC-U4-unit-mix-up', { guarantee: { epsilon: '8.0', delta: 1e-5 } }],
  ['DPC-U5-unit-not-stated', { unit: {} }],
  ['DPC-U6-sequence-not-document', { unit: { kind: 'sequence' } }],
  ['DPC-H1-selection-not-accounted', { selection: { runs: 3, rule: 'best_validation' } }],
  [
    'DPC-H2-chosen-on-private-data',
    { selection: { runs: 1, rule: 'best_validation', validation_private: true } },
  ],
  ['DPC-H3-runs-not-stated', { selection: { rule: 'best_validation' } }],
  ['DPC-O1-other-outputs', { release: { other_outputs: ['training loss'] } }],
  ['DPC-Q1-resumed-with-same-seed', { randomness: { resumed: true, resumed_seed: 'same' } }],
  ['DPC-Q2-generator', { randomness: { generator: 'numpy' } }],
  ['DPC-P1-pretraining-overlap', { data: { pretraining: 'public web' } }],
  ['DPC-P2-duplicates-kept', { data: { duplicates: 'kept' } }],
  ['DPC-D1-delta-above-one-over-n', { guarantee: { epsilon: '0.5', delta: 1e-3 } }],
  ['DPC-R1-central-limit', { accounting: { method: 'gdp' } }],
  ['DPC-M1-not-stated', {}, { noise: { multiplier: null } }],
  ['DPC-M3-no-epsilon', { guarantee: { delta: 1e-5 } }],
  ['DPC-B1-published-lower-bound', { evidence: { kind: 'lower_bound', epsilon: 0.1 } }],
  ['DPC-B2-published-estimate', { evidence: { kind: 'estimate', epsilon: 9 } }],
  ['DPC-G1-settings-drift', { guarantee: { epsilon: '1.37', delta: 1e-5 } }],
];

describe('findings', () => {
  const found = codes(audit());

  it('of a clean claim are notes only', () => {
    expect(audit().reasons.every(({ level }) => level === 'note')).toBe(true);
    expect(found).toEqual(expect.arrayContaining(['DPC-V1-recomputed', 'DPC-A1-replace-one']));
  });

  const named = cases.map(([code, changes, mechanism = {}]) => ({ code, changes, mechanism }));
  it.each(named)('$code', ({ code, changes, mechanism }) => {
    const audited = audit(changes, mechanism);
    expect(codes(audited)).toContain(code);
    expect(found).not.toContain(code);
    const reason = audited.reasons.find(each => each.code === code)!;
    expect(reason.source).not.toBe('');
    expect(reason.field).toMatch(/^\/\w/);
    expect(reason.text).toMatch(/[.?]$/);
  });

  it('put errors first', () => {
    const { reasons } = audit({ data: { duplicates: 'kept' } }, { normalise_by: 'realised' });
    const levels = reasons.map(({ level }) => level);
    expect(levels).toEqual(
      levels.toSorted((a, b) => 'error warning note'.indexOf(a) - 'error warning note'.indexOf(b)),
    );
    expect(levels[0]).toBe('error');
  });
});

describe('auditClaim() where facts are missing', () => {
  it('gives the range and what the claim would need', () => {
    const noise = audit({}, { noise: { multiplier: null } });
    expect(noise.detail).toBe('unverifiable');
    expect(noise.range).toEqual({ lower: 0, upper: Infinity });
    const needed = Number(/([\d.]+)$/.exec(noise.needs[0]!)![1]);
    const enough = audit({}, { noise: { multiplier: needed } });
    expect(enough.verdict).not.toBe('privacy_overstated');
    expect(enough.recomputed['exact']!.upper).toBeLessThanOrEqual(0.36);
    expect(audit({}, { noise: { multiplier: needed * 0.97 } }).verdict).toBe('privacy_overstated');
  });

  it.each([
    ['n_units of at least', { n_units: null }],
    ['at most', { steps: null }],
    ['sampler.rate of at most', { n_units: null, sampler: { batch_size: null } }],
  ] as const)('says "%s"', (text, mechanism) => {
    const { needs, range, detail } = audit({}, mechanism);
    expect(needs[0]).toContain(text);
    expect(detail).toBe('unverifiable');
    expect(range!.lower).toBeLessThan(range!.upper);
  });

  it('asks for the cap of users whose records are sampled', () => {
    const { questions, range, needs, detail } = audit({
      unit: { kind: 'user' },
      guarantee: { epsilon: '2.0', delta: 1e-5 },
    });
    expect(questions.join(' ')).toContain('How many records could one unit have');
    expect(range!.lower).toBeGreaterThan(0.1);
    expect(range!.upper).toBe(Infinity);
    expect(needs[0]).toMatch(/max_records_per_unit of at most \d+/);
    expect(detail).toBe('unverifiable');
  });

  it('is conditional while it is open how batches were formed', () => {
    const { detail, verdict, questions, reasons } = audit({}, { sampler: { kind: null } });
    expect([verdict, detail]).toEqual(['unverifiable', 'conditional']);
    expect(questions.join(' ')).toContain('How were batches formed');
    expect(reasons.some(({ code }) => code === 'DPC-V3-holds-under-one-reading')).toBe(true);
  });

  it('accuses where no value of what is missing would do', () => {
    const { verdict } = audit({ unit: { kind: 'user' }, guarantee: { epsilon: '0.01', delta: 1e-5 } });
    expect(verdict).toBe('privacy_overstated');
  });

  it('knows nothing of a claim without a mechanism', () => {
    const { detail, statement } = auditClaim(claimOf({ guarantee: { epsilon: '3', delta: 1e-5 } }));
    expect(detail).toBe('unverifiable');
    expect(statement).toContain('Nothing follows');
  });
});

describe('auditClaim() on what others measured', () => {
  const evidence = { kind: 'lower_bound', epsilon: 0.7, confidence: 0.95 } as const;

  it('is refuted by a lower bound alone', () => {
    expect(audit({ evidence }).detail).toBe('refuted');
    expect(audit({ evidence: { ...evidence, kind: 'estimate' } }).verdict).not.toBe('refuted');
    expect(audit({ evidence: { ...evidence, epsilon: 0.3 } }).verdict).not.toBe('refuted');
  });

  it('is not refuted by a bound at a smaller delta', () => {
    expect(audit({ evidence: { ...evidence, delta: 1e-9 } }).verdict).not.toBe('refuted');
  });
});

describe('the points of a profile', () => {
  it('are judged one by one', () => {
    const points = (epsilon: number): StatedClaim => ({
      guarantee: { epsilon: '0.36', delta: 1e-5, relation: '<=', profile: [{ epsilon, delta: 1e-7 }] },
    });
    expect(audit(points(2)).verdict).toBe('consistent');
    expect(audit(points(0.01)).verdict).toBe('privacy_overstated');
    expect(codes(audit(points(2)))).toContain('DPC-V5-profile-point');
  });

  it('are counted where many hold, and named where they do not', () => {
    const many = (first: number): ClaimAudit =>
      audit({
        guarantee: {
          epsilon: '0.36',
          delta: 1e-5,
          relation: '<=',
          profile: Array.from({ length: 12 }, (_, index) => ({
            epsilon: index === 0 ? first : 2 + index,
            delta: 1e-7,
          })),
        },
      });
    const told = (found: ClaimAudit): string[] =>
      found.reasons.filter(({ code }) => code === 'DPC-V5-profile-point').map(({ text }) => text);
    expect(told(many(2))).toEqual(['All 12 points of the profile are not below what was recomputed.']);
    const [named, counted, ...rest] = told(many(0.01));
    expect(named).toMatch(/^At delta 1e-7 epsilon is .*; 0\.01 is claimed\.$/);
    expect(counted).toBe('11 of 12 points of the profile are not below what was recomputed.');
    expect(rest).toEqual([]);
  });
});

describe('the digits of a print', () => {
  it.each([
    ['0.213', 'privacy_overstated'],
    ['0.2', 'privacy_overstated'],
  ])('%s as a limit', (epsilon, verdict) => {
    const exact = audit().recomputed['exact']!.lower;
    const below = Number(epsilon) < exact;
    const found = audit({ guarantee: { epsilon, delta: 1e-5, relation: '<=' } }).verdict;
    expect(found === verdict).toBe(below);
  });

  it('may be rounded down where they are no limit', () => {
    const exact = audit().recomputed['exact']!.upper;
    const digits = [1, 2, 3].map(places => (Math.floor(exact * 10 ** places) / 10 ** places).toFixed(places));
    for (const epsilon of digits) {
      const isNearest = Math.abs(Number(epsilon) - exact) < 0.5 * 10 ** -(epsilon.length - 2);
      const { verdict } = audit({ guarantee: { epsilon, delta: 1e-5, relation: '=' } });
      expect(verdict === 'privacy_overstated').toBe(!isNearest);
    }
  });
});

describe('what a finding says', () => {
  function textOf(found: ClaimAudit, code: string): string | undefined {
    return found.reasons.find(reason => reason.code.startsWith(code))?.text;
  }

  it('names the nearest number by its convention where no reading was needed', () => {
    const found = audit({
      guarantee: { epsilon: '8', delta: 1e-6 },
      unit: { kind: 'user', max_records_per_unit: 10, enforced_by: 'cap' },
      mechanisms: [
        {
          ...run,
          n_units: 200_000,
          steps: 2000,
          sampler: { kind: 'poisson', batch_size: 1024 },
          noise: { multiplier: 2.1 },
        },
      ],
    });
    expect(textOf(found, 'DPC-G1')).toMatch(
      /the nearest number is [\d.]+, by the (?:RDP conversion from|group-privacy lemma)/,
    );
  });

  it('names no reading that is far off', () => {
    const found = audit({ guarantee: { epsilon: '900', delta: 1e-5 } });
    expect(textOf(found, 'DPC-G1')).toBe(
      'No accountant gives 900 from the stated settings, nor from any of the readings that were tried.',
    );
  });

  it('says one record, two records', () => {
    const of = (cap: number): string =>
      audit({ unit: { kind: 'user', max_records_per_unit: cap } }, { clip: { per: 'unit' } }).statement;
    expect(of(1)).toContain('one user with at most 1 record,');
    expect(of(2)).toContain('one user with at most 2 records,');
  });

  it('takes a document of three records for their group, and speaks of no owner of documents', () => {
    const found = audit({ unit: { kind: 'document', max_records_per_unit: 3 } });
    expect(found.statement).toContain('one document with at most 3 records,');
    expect(codes(found)).not.toContain('DPC-U1-records-not-users');
    expect(codes(audit({ unit: { kind: 'record', max_records_per_unit: 3 } }))).toContain(
      'DPC-U1-records-not-users',
    );
  });

  it('takes noise on a mean for what it is, not for a mix-up of units', () => {
    const found = audit({ guarantee: { epsilon: '5.0', delta: 1e-5 } }, { noise: { applied_to: 'mean' } });
    expect(codes(found)).toContain('DPC-N2-noise-on-mean');
    expect(codes(found)).not.toContain('DPC-U4-unit-mix-up');
  });

  it.each([
    [null, 'neither is stated'],
    [4, 'how far apart is not stated'],
    [1, undefined],
  ])('asks of correlated noise only what is open: %s participations', (most, words) => {
    const found = audit({
      mechanisms: [
        { kind: 'dp_ftrl_tree', steps: 100, sampler: { max_participations: most }, noise: { multiplier: 5 } },
      ],
    });
    const text = textOf(found, 'DPC-M2');
    if (words === undefined) expect(text).toBeUndefined();
    else expect(text).toContain(words);
  });

  it('asks whether a count was clipped per user where a user may have several records', () => {
    const laplace = (per: 'unit' | 'example' | null): ClaimAudit =>
      audit({
        guarantee: { epsilon: '1.0', delta: 0 },
        unit: { kind: 'user', max_records_per_unit: 5 },
        mechanisms: [{ kind: 'laplace', clip: { per }, noise: { multiplier: 1, relative_to: 'clip' } }],
      });
    expect(laplace(null).detail).toBe('conditional');
    expect(laplace(null).questions.join(' ')).toContain('clipped once per user, or per record?');
    expect(laplace('unit').detail).toBe('consistent');
    expect(laplace('example').detail).toBe('privacy_overstated');
  });
});
