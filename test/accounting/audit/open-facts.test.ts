import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';

/** A hundred steps of 1,000 units. */
const run: StatedMechanism = {
  kind: 'dp_sgd',
  n_units: 1000,
  steps: 100,
  sampler: { kind: 'poisson', batch_size: 20 },
  clip: { norm: 1, per: 'example' },
  noise: { multiplier: 1, relative_to: 'clip' },
};

function audit(changes: StatedClaim, mechanism: Partial<StatedMechanism> = {}): ClaimAudit {
  const { unit = { kind: 'example' }, adjacency = 'add_remove', ...rest } = changes;
  return auditClaim(claimOf({ unit, adjacency, mechanisms: [{ ...run, ...mechanism }], ...rest }));
}

function exactOf(changes: StatedClaim, mechanism: Partial<StatedMechanism> = {}): number {
  return audit({ guarantee: { delta: 1e-5 }, ...changes }, mechanism).recomputed['exact']!.upper;
}

/** What is claimed where this is the truth. */
function truth(epsilon: number): StatedClaim {
  return { guarantee: { epsilon: epsilon.toPrecision(6), delta: 1e-5 } };
}

const user = { kind: 'user', max_records_per_unit: 3, enforced_by: 'cap' } as const;
const relative = { relative_to: 'sensitivity' } as const;
const noise = { multiplier: 1, ...relative } as const;
const single = { kind: 'gaussian', steps: 1, n_units: null, sampler: {}, clip: {} } as const;

/** The truth in full, and what is stated of it. */
const honest: readonly (readonly [
  name: string,
  full: readonly [StatedClaim, Partial<StatedMechanism>],
  stated: readonly [StatedClaim, Partial<StatedMechanism>],
])[] = [
  [
    'neighbours and the scale of the noise are left out together',
    [{ adjacency: 'replace_one' }, { noise }],
    [{ adjacency: null }, { noise: { multiplier: 1 } }],
  ],
  ['noise alone is what was added in batches', [{}, {}], [{}, { kind: 'gaussian' }]],
  [
    'batches of correlated noise were drawn at random',
    [{}, { ...single, noise: { multiplier: 2 } }],
    [
      {},
      {
        kind: 'matrix_factorization',
        sensitivity: 2,
        sampler: { kind: 'cyclic_poisson', rate: 0.02, min_separation: 4 },
      },
    ],
  ],
  [
    'correlated noise is relative to its whole sensitivity',
    [{}, { ...single }],
    [{}, { kind: 'matrix_factorization', sensitivity: 5, sampler: { kind: 'min_separation' }, noise }],
  ],
  [
    'it is not said whether it is',
    [{}, { ...single }],
    [
      {},
      { kind: 'dp_ftrl_tree', sensitivity: 5, sampler: { kind: 'min_separation' }, noise: { multiplier: 1 } },
    ],
  ],
  [
    'the update of one user is clipped layer by layer',
    [{ unit: user }, { clip: { norm: 1, per: 'unit' } }],
    [{ unit: user }, { clip: { norm: 1, per: 'layer' } }],
  ],
  [
    'a microbatch holds the examples of one user',
    [{ unit: user }, { clip: { norm: 1, per: 'unit' } }],
    [{ unit: user }, { clip: { norm: 1, per: 'microbatch', microbatch_size: 3 } }],
  ],
  [
    'noise is relative to the sensitivity of all records of a user',
    [{ unit: user }, { noise: { multiplier: 3 } }],
    [{ unit: user }, { noise }],
  ],
  [
    'how the records of a user were clipped and how many there are is not said, while noise grew with them',
    [{ unit: user }, { noise: { multiplier: 3 } }],
    [{ unit: { kind: 'user' } }, { noise, clip: {} }],
  ],
  [
    'noise is relative to the sensitivity of a batch that is clipped as a whole',
    [{}, {}],
    [{}, { clip: { norm: 1, per: 'batch' }, noise: { multiplier: 1 } }],
  ],
  [
    'an unknown number of workers added their noise',
    [{}, { noise: { multiplier: 2 } }],
    [{}, { noise: { multiplier: 1, per: 'worker', seeds: 'distinct', divided_by: 'none' } }],
  ],
  [
    'each unit takes part once, in one of two steps',
    [{}, { ...single, n_units: 10 }],
    [{}, { n_units: 10, steps: 2, sampler: { kind: 'min_separation', batch_size: 5, min_separation: 2 } }],
  ],
];

describe('auditClaim() accuses nobody whose claim is true in some reading', () => {
  it.each(honest)('%s', (_, [full, mechanism], [stated, run]) => {
    const epsilon = exactOf(full, mechanism);
    const { verdict } = audit({ ...stated, ...truth(epsilon) }, run);
    expect(['refuted', 'privacy_overstated']).not.toContain(verdict);
  });

  it('a delta that is not stated, however large', () => {
    const guarantee = { epsilon: '0.05' };
    const cap = { kind: 'user' } as const;
    expect(audit({ guarantee, unit: cap }).detail).toBe('unverifiable');
  });

  it('a cap that is not stated, where noise may have grown with it', () => {
    const guarantee = {
      epsilon: exactOf({ unit: user }, { noise: { multiplier: 3 } }).toPrecision(6),
      delta: 1e-5,
    };
    expect(audit({ guarantee, unit: { kind: 'user' } }, { noise }).detail).toBe('unverifiable');
  });

  it('an epsilon below what a claimed rho implies, which may have a proof of its own', () => {
    const guarantee = { epsilon: '4', rho: 2, delta: 1e-10 };
    const { detail, reasons } = auditClaim(claimOf({ guarantee }));
    expect(detail).toBe('unverifiable');
    expect(reasons[0]!.text).toContain('needs a proof of its own');
  });

  it('a point of a profile that was rounded', () => {
    const exact = exactOf({});
    const rounded = Math.floor(exact * 10) / 10;
    const profile = [{ epsilon: exact - rounded < 0.05 ? rounded : rounded + 0.1, delta: 1e-5 }];
    const { verdict } = audit({ guarantee: { epsilon: '9', delta: 1e-5, profile } });
    expect(verdict).toBe('privacy_understated');
  });

  it('a bound of others that is as likely chance', () => {
    const evidence = { kind: 'lower_bound', epsilon: 9, confidence: 0.5 } as const;
    expect(audit({ ...truth(3), evidence }).verdict).not.toBe('refuted');
    expect(audit({ ...truth(3), evidence: { ...evidence, confidence: 0.95 } }).verdict).toBe('refuted');
  });
});

describe('auditClaim() lets nobody through', () => {
  const half = truth(exactOf({}) / 2).guarantee!;

  it.each([
    ['settings that say all', {}, {}],
    ['noise alone that was added in batches', {}, { kind: 'gaussian' }],
    [
      'tiny epsilon with all words left out',
      { adjacency: null, guarantee: { epsilon: '0.01', delta: 1e-5 } },
      { sampler: { batch_size: 20 }, noise: { multiplier: 1 } },
    ],
    ['a document of three records', { unit: { ...user, kind: 'document' } }, {}],
    [
      'correlated noise with a stated sensitivity',
      {},
      { kind: 'dp_ftrl_tree', sensitivity: 2, sampler: { kind: 'min_separation' } },
    ],
  ] as const)('%s', (_, changes, mechanism) => {
    expect(audit({ guarantee: half, ...changes }, mechanism).verdict).toBe('privacy_overstated');
  });

  it('a unit that can take part in every tenth step draws from a tenth of the table', () => {
    const sampler = { kind: 'cyclic_poisson', batch_size: 20, min_separation: 10 } as const;
    const eligible = exactOf({}, { steps: 10, n_units: 100 });
    expect(exactOf({}, { sampler })).toBeCloseTo(eligible, 6);
    const open = audit({ guarantee: half }, { sampler: { ...sampler, min_separation: null } });
    expect(open.questions.join(' ')).toContain('Into how many classes');
    expect(open.detail).toBe('unverifiable');
  });
});

describe('auditClaim() far out under replacement', () => {
  const audited = (multiplier: number, units: number): ClaimAudit =>
    audit(
      { adjacency: 'replace_one', guarantee: { epsilon: '3.0', delta: 1e-6 } },
      { n_units: units, noise: { multiplier, relative_to: 'clip' } },
    );

  it('takes wide bounds that hold', () => {
    const noisy = audited(0.5, 1e8);
    const [small, large] = [noisy.recomputed['exact']!, audited(0.03, 1000).recomputed['exact']!];
    expect(noisy.detail).toBe('privacy_understated');
    // Never below what zeroing a gradient out does, and at most twice as much for a tiny epsilon.
    const zeroed = audit(
      { adjacency: 'zero_out', guarantee: { epsilon: '3.0', delta: 1e-6 } },
      { n_units: 1e8, noise: { multiplier: 0.5, relative_to: 'clip' } },
    ).recomputed['exact']!;
    expect(small.lower).toBeLessThanOrEqual(zeroed.upper);
    expect(small.upper).toBeGreaterThan(zeroed.upper);
    expect(large.lower).toBeGreaterThan(500);
    expect(large.upper).toBeLessThan(2 * large.lower);
  });
});
