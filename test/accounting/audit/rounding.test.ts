import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type Claim,
  type ClaimAudit,
  type Reason,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { settingsEpsilon } from '../../../accounting/audit/claim-bounds.ts';
import { roundedClaim, standsFor } from '../../../accounting/audit/claim-rounding.ts';
import { settle } from '../../../accounting/audit/claim-settings.ts';

const code = 'DPC-R2-settings-rounded';

/** A hundred steps of 1,000 units. */
const run: StatedMechanism = {
  kind: 'dp_sgd',
  n_units: 1000,
  steps: 100,
  sampler: { kind: 'poisson', batch_size: 20 },
  clip: { norm: 1, per: 'example' },
  noise: { multiplier: 1 },
};

const correlated: StatedMechanism = {
  kind: 'matrix_factorization',
  steps: 100,
  sampler: { kind: 'min_separation', min_separation: 10 },
  noise: { multiplier: 4, relative_to: 'clip' },
};

function claimed(mechanism: Partial<StatedMechanism>, changes: StatedClaim = {}): Claim {
  return claimOf({
    unit: { kind: 'example' },
    adjacency: 'add_remove',
    ...changes,
    guarantee: { delta: 1e-5, relation: '<=', ...changes.guarantee },
    mechanisms: [{ ...run, ...mechanism }],
  });
}

function audit(mechanism: Partial<StatedMechanism>, changes: StatedClaim = {}): ClaimAudit {
  return auditClaim(claimed(mechanism, changes));
}

/** The least that may be claimed of the true settings, in four decimals. */
function least(mechanism: Partial<StatedMechanism>, changes: StatedClaim = {}): string {
  const settings = settle(claimed(mechanism, changes), { choices: {}, fill: {} })!;
  const { upper } = settingsEpsilon({ relativeGap: 2e-4 })(settings);
  return (Math.ceil(upper * 1e4) / 1e4).toFixed(4);
}

function found({ reasons }: ClaimAudit): Reason | undefined {
  return reasons.find(reason => reason.code === code);
}

/** What was true, and how it is printed: to the nearest. */
const rounded: readonly (readonly [
  name: string,
  truth: Partial<StatedMechanism>,
  printed: Partial<StatedMechanism>,
  words: string,
])[] = [
  [
    'noise',
    { noise: { multiplier: 0.7124 } },
    { noise: { multiplier: '0.71' } },
    'noise.multiplier 0.715 (printed 0.71)',
  ],
  [
    'noise of which only the number is known',
    { noise: { multiplier: 1.14 } },
    { noise: { multiplier: 1.1 } },
    'noise.multiplier 1.15 (printed 1.1)',
  ],
  [
    'a rate',
    { n_units: null, sampler: { kind: 'poisson', rate: 0.0197 } },
    { n_units: null, sampler: { kind: 'poisson', rate: '0.020' } },
    'sampler.rate 0.0195 (printed 0.020)',
  ],
  [
    'one over the batches of an epoch for the share of a batch',
    { n_units: 985, sampler: { kind: 'poisson', rate: 1 / 50 } },
    { n_units: 985 },
    'sampler.rate 0.02 (printed 20 ÷ 985)',
  ],
  [
    'epochs',
    { steps: 98 },
    { steps: null, epochs: '2.0', n_units: 1000, rounding: 'floor' },
    'epochs 1.95 (printed 2.0)',
  ],
  [
    'a sensitivity',
    { ...correlated, sensitivity: 2.96 },
    { ...correlated, sensitivity: '3.0' },
    'sensitivity 2.95 (printed 3.0)',
  ],
  [
    'noise on a mean',
    { noise: { multiplier: 0.0524, applied_to: 'mean', relative_to: 'clip' } },
    { noise: { multiplier: '0.05', applied_to: 'mean', relative_to: 'clip' } },
    'noise.multiplier 0.055 (printed 0.05)',
  ],
  [
    'shuffled batches',
    { noise: { multiplier: 0.7124 }, sampler: { kind: 'fixed_order', batch_size: 20 } },
    { noise: { multiplier: '0.71' }, sampler: { kind: 'fixed_order', batch_size: 20 } },
    'noise.multiplier 0.715 (printed 0.71)',
  ],
];

describe('auditClaim() takes a printed setting for everything that rounds to it', () => {
  it.each(rounded)('%s', (_, truth, printed, words) => {
    const isOrdered = truth.sampler?.kind === 'fixed_order';
    const adjacency = isOrdered ? ('zero_out' as const) : ('add_remove' as const);
    const epsilon = least(truth, { adjacency });
    const answer = audit(printed, { adjacency, guarantee: { epsilon } });
    expect(answer.detail).toBe('borderline');
    // As printed, the settings would contradict the claim.
    expect(answer.recomputed['exact']!.lower).toBeGreaterThan(Number(epsilon));
    const reason = found(answer)!;
    expect(reason.level).toBe('warning');
    expect(reason.text).toContain(words);
    expect(reason.text).toMatch(/, (and the claim holds|which does not contradict the claim)\. Ask/);
    expect(reason.epsilon!.lower).toBeLessThanOrEqual(Number(epsilon));
    // Taken for exact they do.
    const exact = audit({ ...printed, settings: 'exact' }, { adjacency, guarantee: { epsilon } });
    const accused = isOrdered ? 'refuted_for_sampler' : 'privacy_overstated';
    expect([exact.detail, found(exact)]).toEqual([accused, undefined]);
  });

  it('delta of several digits', () => {
    const epsilon = least({}, { guarantee: { delta: 1.04e-5 } });
    const answer = audit({}, { guarantee: { epsilon, delta: '1.0e-5' } });
    expect(answer.detail).toBe('borderline');
    expect(found(answer)!.text).toContain('delta 0.0000105 (printed 1.0e-5)');
    expect(answer.questions).toContain('What is delta in more digits than 1.0e-5?');
    expect(audit({}, { guarantee: { epsilon, delta: '1e-5' } }).detail).toBe('privacy_overstated');
  });

  it('points of a profile', () => {
    const epsilon = Number(least({ noise: { multiplier: 0.7124 } }));
    const profile = [{ epsilon: epsilon.toFixed(4), delta: 1e-5 }];
    const guarantee = { epsilon: '99', profile };
    const answer = audit({ noise: { multiplier: '0.71' } }, { guarantee });
    expect(answer.detail).toBe('borderline');
    expect(found(answer)!.field).toBe('/guarantee/profile/0');
    const finer = audit({ noise: { multiplier: '0.7100' } }, { guarantee });
    expect(finer.detail).toBe('privacy_overstated');
  });

  it('a bound that others measured', () => {
    const evidence = { kind: 'lower_bound', confidence: 0.95 } as const;
    const measured = (epsilon: string): string =>
      audit({}, { guarantee: { epsilon: '3.1' }, evidence: { ...evidence, epsilon } }).verdict;
    expect(measured('3.1')).not.toBe('refuted');
    expect(measured('3.12')).toBe('refuted');
    expect(measured('3')).not.toBe('refuted');
  });

  it('whole numbers and one digit of delta are exact', () => {
    const epsilon = least({ noise: { multiplier: 1.01 } });
    const guarantee = { epsilon };
    expect(audit({ noise: { multiplier: '1' } }, { guarantee }).detail).toBe('privacy_overstated');
    expect(audit({ noise: { multiplier: '1.00' } }, { guarantee }).detail).toBe('privacy_overstated');
    expect(audit({ noise: { multiplier: '1.0' } }, { guarantee }).detail).toBe('borderline');
  });

  it('a fact that is missing beside them', () => {
    const noise = { multiplier: '0.71' };
    const sampler = { kind: 'fixed_order', batch_size: 20 } as const;
    const stated = { noise, sampler, steps: null, epochs: null };
    const adjacency = 'zero_out';
    const epsilon = least({ noise: { multiplier: 0.7149 }, steps: 1, sampler }, { adjacency });
    expect(audit(stated, { adjacency, guarantee: { epsilon } }).detail).toBe('unverifiable');
    // One step is the least that there can have been.
    const half = (Number(epsilon) / 2).toFixed(4);
    expect(audit(stated, { adjacency, guarantee: { epsilon: half } }).detail).toBe('privacy_overstated');
  });
});

describe('auditClaim() on a claim that holds for the settings as printed', () => {
  it('praises nobody for rounding, and says what the other end of it gives', () => {
    const answer = audit(
      { noise: { multiplier: '0.71' } },
      { guarantee: { epsilon: least({ noise: { multiplier: 0.71 } }) } },
    );
    expect(answer.verdict).toBe('consistent');
    expect(found(answer)).toMatchObject({ level: 'note', field: '/mechanisms/0/noise/multiplier' });
    expect(found(answer)!.text).toContain('noise.multiplier 0.705 (printed 0.71)');
    expect(answer.questions.join(' ')).not.toContain('more digits');
  });

  it('says nothing where the digits of epsilon explain it', () => {
    const noise = { multiplier: '0.7100' };
    expect(found(audit({ noise }, { guarantee: { epsilon: '7', relation: '=' } }))).toBeUndefined();
  });
});

describe('roundedClaim()', () => {
  const claim = (mechanism: Partial<StatedMechanism>): Claim =>
    claimOf({ mechanisms: [{ ...run, ...mechanism }] });

  it('takes each end of what the digits stand for', () => {
    const noise = claim({ noise: { multiplier: '1.10' } });
    expect(noise.digits).toEqual({ '/mechanisms/0/noise/multiplier': '1.10' });
    expect(roundedClaim(noise, 'best').claim.mechanisms[0]!.noise.multiplier).toBe(1.105);
    expect(roundedClaim(noise, 'worst').claim.mechanisms[0]!.noise.multiplier).toBe(1.095);
    expect(roundedClaim(claim({}), 'best').moved).toEqual([]);
    expect(roundedClaim(claim({ noise: { multiplier: 1.1 }, settings: 'exact' }), 'best').moved).toEqual([]);
  });

  it('takes a rate for one of those that batch and table allow, or for what was printed', () => {
    const rate = (printed: string, units: number): number[] => {
      const told = claim({ n_units: units, sampler: { kind: 'poisson', batch_size: 20, rate: printed } });
      return (['best', 'worst'] as const).map(
        end => roundedClaim(told, end).claim.mechanisms[0]!.sampler.rate!,
      );
    };
    expect(rate('0.02', 1000)).toEqual([0.02, 0.02]);
    expect(rate('0.020', 990)).toEqual([0.02, 1 / 49]);
    // Neither agrees with the other.
    expect(rate('0.03', 1000)).toEqual([0.025, 0.035]);
  });

  it('counts as few steps as the epochs allow', () => {
    const told = claim({
      steps: null,
      epochs: '2.5',
      n_units: null,
      sampler: { kind: 'poisson', rate: '0.05' },
    });
    const steps = (end: 'best' | 'worst'): number => roundedClaim(told, end).claim.mechanisms[0]!.steps!;
    // 2.45 epochs of 18 steps, 2.55 of 23.
    expect([steps('best'), steps('worst')]).toEqual([44, 59]);
  });

  it('lets noise on a mean grow with the batch, whose size follows from a rate', () => {
    const noise = { multiplier: 0.05, applied_to: 'mean', relative_to: 'clip' } as const;
    const told = claim({ noise, sampler: { kind: 'poisson', rate: '0.020' } });
    const { sampler, noise: found } = roundedClaim(told, 'best').claim.mechanisms[0]!;
    // The last of 49 batches may have had few: what 1,000 ÷ 48 is to 1,000 ÷ 49.
    expect(found.multiplier! * sampler.rate! * 1000).toBeCloseTo((0.055 * 20.5) / (1 - 0.0205), 12);
    const sized = claim({ noise, sampler: { kind: 'poisson', rate: '0.020', batch_size: 20 } });
    expect(roundedClaim(sized, 'best').claim.mechanisms[0]!.noise.multiplier).toBe(0.055);
  });

  it('forgets digits of another number', () => {
    const told = claim({ noise: { multiplier: '1.10' } });
    const [mechanism] = told.mechanisms;
    const changed = {
      ...told,
      mechanisms: [{ ...mechanism!, noise: { ...mechanism!.noise, multiplier: 1.2 } }],
    };
    const field = '/mechanisms/0/noise/multiplier';
    expect(standsFor(changed, { field, value: 1.2 })).toEqual({ lower: 1.15, upper: 1.25 });
  });
});
