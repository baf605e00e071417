import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { epsilonOf, repeat, type DpEvent, type Neighbours } from '../../../accounting/index.ts';
import { pureEpsilon } from '../../../accounting/audit/pure.ts';
import { settle } from '../../../accounting/audit/claim-settings.ts';

function pureClaim(mechanism: StatedMechanism, changes: StatedClaim = {}): ClaimAudit {
  const { guarantee, ...rest } = changes;
  return auditClaim(
    claimOf({
      guarantee: { epsilon: '1.5', delta: 0, ...guarantee },
      adjacency: 'add_remove',
      unit: { kind: 'example' },
      mechanisms: [mechanism],
      ...rest,
    }),
  );
}

const laplace: StatedMechanism = { kind: 'laplace', steps: 3, noise: { multiplier: 2, relative_to: 'clip' } };
const relations = { add_remove: 'add-or-remove', replace_one: 'replace', zero_out: 'zero-out' } as const;

describe('auditClaim() on pure differential privacy', () => {
  it('adds up the losses of Laplace noise', () => {
    const { recomputed, detail, readings } = pureClaim(laplace);
    expect(recomputed['exact']!.upper).toBe(1.5);
    expect(recomputed['exact']!.lower).toBeCloseTo(1.5, 11);
    expect([detail, readings[0]!.convention]).toEqual(['consistent', 'exact']);
    expect(pureClaim(laplace, { guarantee: { epsilon: '1.4' } }).detail).toBe('privacy_overstated');
    expect(pureClaim(laplace, { guarantee: { epsilon: '1.5', relation: '<=' } }).detail).toBe('consistent');
  });

  it('doubles them where a record is replaced', () => {
    const { recomputed, detail } = pureClaim(laplace, { adjacency: 'replace_one' });
    expect(recomputed['exact']!.upper).toBe(3);
    expect(detail).toBe('privacy_overstated');
  });

  it('counts Poisson sampling, and every record of a user', () => {
    const sampler = { kind: 'poisson', rate: 0.1 } as const;
    const one = pureClaim({ ...laplace, sampler }).recomputed['exact']!;
    expect(one.upper).toBeCloseTo(3 * Math.log(1 + 0.1 * Math.expm1(0.5)), 12);
    const unit = { kind: 'user', max_records_per_unit: 4, enforced_by: 'cap' } as const;
    const clip = { norm: 1, per: 'example' } as const;
    const user = pureClaim({ ...laplace, sampler, clip }, { unit }).recomputed['exact']!;
    expect(user.upper).toBeCloseTo(4 * one.upper, 12);
  });

  it.each([
    ['fixed', 10 * 1.5],
    ['geometric', 3 * 1.5],
    ['logarithmic', 2 * 1.5],
    ['poisson', 1.5 + 10 * Math.tanh(0.75)],
  ] as const)('bounds the best of ten runs, %s', (law, upper) => {
    const selection = { runs: 10, rule: 'best_validation', count_distribution: law } as const;
    const { exact } = pureClaim(laplace, { selection }).recomputed;
    expect(exact!.upper).toBeCloseTo(upper, 12);
    expect(exact!.lower).toBeCloseTo(1.5, 11);
  });

  it.each([
    ['gaussian', { multiplier: 1000 }],
    ['dp_sgd', { multiplier: 1000 }],
    ['dp_sgd', {}],
    ['matrix_factorization', { multiplier: 1000 }],
  ] as const)('finds no epsilon for %s with noise %o', (kind, noise) => {
    const sampler = kind === 'dp_sgd' ? ({ kind: 'shuffle_each_epoch', rate: 1e-3 } as const) : {};
    const { verdict, reasons, statement } = pureClaim({ kind, noise, sampler, steps: 1, sensitivity: 1 });
    expect(verdict).toBe('privacy_overstated');
    expect(statement).toContain('Epsilon is infinite at delta 0');
    const found = reasons.find(({ code }) => code === 'DPC-D2-gaussian-is-never-pure')!;
    expect(found).toMatchObject({ level: 'error', epsilon: { lower: Infinity, upper: Infinity } });
  });

  it('says at which delta the printed number is right', () => {
    const { explanation } = pureClaim(
      { kind: 'gaussian', noise: { multiplier: 1 } },
      { guarantee: { epsilon: '4.73' } },
    );
    expect(explanation).toContain('at delta 1e-5');
  });

  it('knows nothing of batches of fixed size', () => {
    const sampler = { kind: 'without_replacement', batch_size: 10 } as const;
    const { verdict, range, recomputed } = pureClaim({ ...laplace, n_units: 100, sampler });
    expect(verdict).toBe('unverifiable');
    expect([range, recomputed['sampler lower bound'] ?? recomputed['exact']]).toEqual([
      null,
      { lower: 0, upper: Infinity },
    ]);
  });

  it('is the limit of epsilon as delta falls', () => {
    const settings = fc.record({
      adjacency: fc.constantFrom(...(['add_remove', 'replace_one', 'zero_out'] as const)),
      noise: fc.double({ min: 0.2, max: 20, noNaN: true }),
      rate: fc.constantFrom(1, 0.5, 0.1),
      steps: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(settings, ({ adjacency, noise, rate, steps }) => {
        fc.pre(rate === 1 || adjacency !== 'replace_one');
        const claim = claimOf({
          guarantee: { delta: 0 },
          adjacency,
          mechanisms: [
            {
              kind: 'laplace',
              steps,
              noise: { multiplier: noise, relative_to: 'clip' },
              sampler: { kind: 'poisson', rate },
            },
          ],
        });
        const pure = pureEpsilon(settle(claim, { choices: {}, fill: {} })!);
        const { lower, upper } = limitOf({ noise, rate, steps, neighbours: relations[adjacency] });
        expect(pure.upper).toBeGreaterThanOrEqual(lower * (1 - 1e-9));
        // The largest loss has a mass of at least rate^steps / 2^steps, so little delta cuts off little.
        expect(pure.lower).toBeLessThanOrEqual(upper * 1.01 + 1e-3);
      }),
      { numRuns: 20 },
    );
  });
});

function limitOf(options: {
  readonly noise: number;
  readonly rate: number;
  readonly steps: number;
  readonly neighbours: Neighbours;
}): { readonly lower: number; readonly upper: number } {
  const { noise: noiseMultiplier, rate: samplingProbability, steps, neighbours } = options;
  const step: DpEvent =
    samplingProbability === 1
      ? { kind: 'laplace', noiseMultiplier }
      : { kind: 'poisson-subsampled-laplace', noiseMultiplier, samplingProbability };
  return epsilonOf(repeat(step, steps), { neighbours, delta: 1e-9, accountant: 'pld' }).epsilon;
}
