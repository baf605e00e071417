import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditClaim,
  claimOf,
  type ClaimAudit,
  type StatedClaim,
  type StatedMechanism,
} from '../../../accounting/audit/index.ts';
import { directionEpsilons } from '../../../accounting/audit/one-direction.ts';
import { refinementsOf, readingsOf } from '../../../accounting/audit/readings.ts';
import { settle } from '../../../accounting/audit/claim-settings.ts';
import { epsilonOf, poissonEvent } from '../../../accounting/index.ts';

function audit(
  guarantee: NonNullable<StatedClaim['guarantee']>,
  run: Partial<StatedMechanism>,
  changes: StatedClaim = {},
): ClaimAudit {
  return auditClaim(
    claimOf({
      guarantee: { delta: 1e-5, relation: '=', ...guarantee },
      adjacency: 'add_remove',
      unit: { kind: 'example' },
      ...changes,
      mechanisms: [{ kind: 'dp_sgd', clip: { norm: 1, per: 'example' }, noise: { multiplier: 1 }, ...run }],
    }),
  );
}

/** The character LSTM of Opacus: its README states batches of 64, its command samples with probability 0.05. */
const lstm: Partial<StatedMechanism> = {
  n_units: 16059,
  steps: 12500,
  sampler: { kind: 'poisson', batch_size: 64 },
};

describe('two changes together', () => {
  it('explain the printed number of the character LSTM', () => {
    const { readings, explanation, detail } = audit({ epsilon: '11.83', delta: 8e-5 }, lstm);
    expect(readings[0]).toMatchObject({
      name: 'batch-800-epochs+rate-one-of-20',
      convention: 'rdp classic',
      matches: true,
    });
    expect(readings[0]!.epsilon).toBeCloseTo(11.8293, 4);
    expect(explanation).toContain('after two changes, with batch size 800 instead of 64, and with');
    expect(explanation).toContain('1/20, one over the number of batches, for 1000 steps');
    expect(detail).toBe('privacy_understated');
  });

  it.each([
    ['a number beside it', { epsilon: '11.81', delta: 8e-5 }],
    ['a limit', { epsilon: '11.83', delta: 8e-5, relation: '<=' }],
  ] as const)('explain nothing of %s', (_, guarantee) => {
    const { readings, explanation } = audit(guarantee, lstm);
    expect(explanation).toBeNull();
    expect(readings.some(({ matches }) => matches)).toBe(false);
  });

  it('are not looked for where one will do', () => {
    const { readings } = audit({ epsilon: '2.81', delta: 8e-5 }, lstm);
    expect(readings[0]!.name).toBe('stated');
    expect(readings.every(({ name }) => !name.includes('+'))).toBe(true);
  });

  it('sample each batch with one over a whole number, for as many steps or epochs', () => {
    const claim = claimOf({
      guarantee: { delta: 8e-5 },
      adjacency: 'add_remove',
      mechanisms: [{ kind: 'dp_sgd', noise: { multiplier: 1 }, ...lstm }],
    });
    const readings = readingsOf(settle(claim, { choices: {}, fill: {} })!, { records: null });
    const pairs = readings.flatMap(reading => refinementsOf(reading));
    expect(pairs.length).toBeGreaterThan(50);
    for (const { name, settings, cost } of pairs) {
      const { rate, steps } = settings.runs[0]!;
      expect(Math.abs(1 / rate - Math.round(1 / rate))).toBeLessThan(1e-9);
      // 12,500 steps of 64 out of 16,059 are 50 epochs.
      if (name.includes('-epochs')) expect(Math.round(steps * rate)).toBe(50);
      if (name.startsWith('batch') && !name.includes('-epochs')) expect(steps).toBe(12500);
      expect(cost).toBeGreaterThanOrEqual(4);
    }
  });
});

describe('a limit', () => {
  it('is explained by no batch size that happens to give it', () => {
    const run = {
      n_units: 50000,
      steps: 1960,
      sampler: { kind: 'poisson', batch_size: 512, rate: 1 / 98 },
    } as const;
    const noise = { multiplier: 0.39066894531249996 };
    const { explanation } = audit({ epsilon: '50.0', relation: '<=' }, { ...run, noise });
    expect(explanation).toBeNull();
  });
});

describe('directionEpsilons()', () => {
  it.each([
    [0.39066894531249996, 0.01020408163265306, 1960, 42.279055, 11.227926],
    [1.1, 0.004266666666666667, 234, 0.306475, 0.207292],
    [1.3, 0.004266666666666667, 3515, 0.86441, 0.801317],
    [3, 0.08192, 2500, 6.578896, 6.351934],
  ])('gives both directions of published runs: noise %d', (noise, rate, steps, remove, add) => {
    const event = poissonEvent({ noiseMultiplier: noise, samplingProbability: rate, steps });
    const found = directionEpsilons(event, { delta: 1e-5, neighbours: 'add-or-remove' });
    for (const [direction, value] of [
      ['remove', remove],
      ['add', add],
    ] as const) {
      // Printed to six or seven digits.
      expect(found[direction]!.lower).toBeLessThanOrEqual(value * (1 + 1e-6));
      expect(found[direction]!.upper).toBeGreaterThanOrEqual(value * (1 - 1e-6));
      expect(found[direction]!.upper / found[direction]!.lower).toBeLessThan(1.0011);
    }
  });

  it('has nothing to add where both directions are alike, or nothing is proved', () => {
    const question = { delta: 1e-5, neighbours: 'add-or-remove' } as const;
    expect(directionEpsilons({ kind: 'gaussian', noiseMultiplier: 1 }, question)).toEqual({});
    expect(
      directionEpsilons({ kind: 'randomised-response', randomProbability: 0.5, buckets: 2 }, question),
    ).toEqual({});
    const many = poissonEvent({ noiseMultiplier: 100, samplingProbability: 1e-6, steps: 1e9 });
    expect(directionEpsilons(many, question)).toEqual({});
  });

  it('has the guarantee for its larger one', () => {
    const run = fc.record({
      noiseMultiplier: fc.double({ min: 0.6, max: 4, noNaN: true }),
      samplingProbability: fc.double({ min: 0.001, max: 0.5, noNaN: true }),
      steps: fc.integer({ min: 2, max: 500 }),
    });
    fc.assert(
      fc.property(run, options => {
        const event = poissonEvent(options);
        const question = { delta: 1e-6, neighbours: 'add-or-remove' } as const;
        const { remove, add } = directionEpsilons(event, question);
        const { epsilon } = epsilonOf(event, { ...question, accountant: 'pld' });
        const [lower, upper] = [Math.max(remove!.lower, add!.lower), Math.max(remove!.upper, add!.upper)];
        expect(lower).toBeLessThanOrEqual(epsilon.upper);
        expect(upper).toBeGreaterThanOrEqual(epsilon.lower);
      }),
      { numRuns: 15 },
    );
  });

  it('explains a claim of one direction only, which stays overstated', () => {
    const { detail, readings, explanation } = audit(
      { epsilon: '11.23' },
      {
        n_units: 50000,
        steps: 1960,
        sampler: { kind: 'poisson', rate: 0.01020408163265306 },
        noise: { multiplier: 0.39066894531249996 },
      },
    );
    expect(detail).toBe('privacy_overstated');
    expect(readings.map(({ name }) => name)).not.toContain('direction-add');
    expect(explanation).toBeNull();
    const near = audit(
      { epsilon: '0.207' },
      {
        n_units: 60000,
        steps: 234,
        sampler: { kind: 'poisson', batch_size: 256 },
        noise: { multiplier: 1.1 },
      },
    );
    expect(near.detail).toBe('privacy_overstated');
    expect(near.readings[0]).toMatchObject({ name: 'direction-add', convention: 'exact', matches: true });
    expect(near.explanation).toContain('in one direction only, for a table with one unit more');
    expect(readings[0]!.matches).toBe(false);
  });
});

describe('what a printed number is', () => {
  const sampled: Partial<StatedMechanism> = {
    n_units: 60000,
    sampler: { kind: 'poisson', batch_size: 600 },
    steps: 1000,
    noise: { multiplier: 1, relative_to: 'clip' },
  };
  const ten = { kind: 'user', max_records_per_unit: 10, enforced_by: 'cap_then_sample' } as const;

  it('is ten times the exact epsilon of one record, which is no bound for ten', () => {
    const found = audit({ epsilon: '18.28' }, sampled, { unit: ten });
    expect(found.detail).toBe('privacy_overstated');
    expect(found.readings[0]).toMatchObject({ name: 'times-10', convention: 'exact', matches: true });
    expect(found.explanation).toContain('as 10 times the epsilon of one record, which bounds nothing');
    expect(audit({ epsilon: '18.40' }, sampled, { unit: ten }).explanation).toBeNull();
  });

  it.each([
    ['0.31', 'exact'],
    ['0.74', 'rdp modern'],
  ])('is the epsilon of one epoch of fifteen: %s by %s', (epsilon, convention) => {
    const found = audit(
      { epsilon },
      {
        n_units: 60000,
        sampler: { kind: 'poisson', batch_size: 256 },
        epochs: 15,
        noise: { multiplier: 1.1 },
      },
    );
    expect(found.detail).toBe('privacy_overstated');
    expect(found.readings[0]).toMatchObject({ name: 'one-epoch', convention, matches: true });
  });

  it('is no epoch less that comes near by chance', () => {
    const found = audit(
      { epsilon: '5.36', delta: 2.89e-9 },
      {
        n_units: 346_000_000,
        sampler: { kind: 'poisson', batch_size: 65536 },
        steps: 20000,
        noise: { multiplier: 0.52 },
      },
    );
    expect(found.detail).toBe('privacy_understated');
    expect(found.explanation).toBeNull();
  });

  it('may be chance where many readings were tried and the print is coarse', () => {
    const run: Partial<StatedMechanism> = {
      n_units: 60000,
      sampler: { kind: 'poisson', batch_size: 600 },
      epochs: 120,
      noise: { multiplier: 4 },
    };
    expect(audit({ epsilon: '2' }, run).explanation).toMatch(/batch size 1000 .* so that may be chance\.$/);
    expect(audit({ epsilon: '1.14' }, run).explanation).toMatch(/stated settings.*\)\.$/);
  });

  it('comes from the textbook formula of one Gaussian release', () => {
    const gaussian = (steps: number | null): ClaimAudit =>
      auditClaim(
        claimOf({
          guarantee: { epsilon: '4.0', delta: 1e-6 },
          adjacency: 'add_remove',
          unit: { kind: 'user' },
          mechanisms: [
            { kind: 'gaussian', steps, noise: { multiplier: 1.3247, relative_to: 'sensitivity' } },
          ],
        }),
      );
    expect(gaussian(null).readings[0]).toMatchObject({ convention: 'gaussian textbook', matches: true });
    expect(gaussian(null).detail).toBe('consistent');
    expect(gaussian(2).recomputed).not.toHaveProperty('gaussian textbook');
  });
});
