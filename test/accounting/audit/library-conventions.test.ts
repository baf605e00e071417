import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  classicConversion,
  earlyOrders,
  leastConverted,
  leastOver,
  modernConversion,
} from '../../../accounting/audit/conventions.ts';
import { fixedSizeSeries } from '../../../accounting/audit/fixed-size-series.ts';
import { libraryEpsilons } from '../../../accounting/audit/library-conventions.ts';
import { claimOf, type StatedClaim } from '../../../accounting/audit/index.ts';
import { settle } from '../../../accounting/audit/claim-settings.ts';
import { deltaOf } from '../../../accounting/index.ts';
import { renyiCurve } from '../../../accounting/rdp/renyi.ts';

describe('fixedSizeSeries()', () => {
  it('is the bound of Theorem 27 at order 2', () => {
    const few = Math.log1p(0.01 ** 2 * 2 * Math.E);
    expect(fixedSizeSeries({ rate: 0.01, noise: 1 })(2)).toBeCloseTo(few, 15);
    const much = Math.log1p(0.01 ** 2 * 4 * Math.expm1(1 / 4));
    expect(fixedSizeSeries({ rate: 0.01, noise: 2 })(2)).toBeCloseTo(much, 15);
    // A line through the logarithms at orders 1, where it is 0, and 2.
    expect(fixedSizeSeries({ rate: 0.01, noise: 2 })(1.5)).toBeCloseTo(much, 15);
  });

  it('takes even moments of the ratio less 1 from the third order on', () => {
    const [rate, noise] = [0.2, 2];
    const raw = (j: number): number => Math.exp((j * (j - 1)) / (2 * noise ** 2));
    const [second, fourth] = [raw(2) - 1, raw(4) - 4 * raw(3) + 6 * raw(2) - 3];
    const terms = 3 * rate ** 2 * 4 * second + rate ** 3 * 4 * Math.sqrt(second * fourth);
    expect(fixedSizeSeries({ rate, noise })(3)).toBeCloseTo(Math.log1p(terms) / 2, 12);
  });

  it('is not below the RDP of the step', () => {
    const step = fc.record({
      batchSize: fc.integer({ min: 1, max: 999 }),
      noise: fc.double({ min: 0.4, max: 20, noNaN: true }),
      order: fc.oneof(fc.integer({ min: 2, max: 64 }), fc.double({ min: 1.1, max: 12, noNaN: true })),
    });
    fc.assert(
      fc.property(step, ({ batchSize, noise, order }) => {
        const event = {
          kind: 'fixed-size-gaussian',
          noiseMultiplier: 2 * noise,
          datasetSize: 1000,
          batchSize,
          groupSize: 1,
        } as const;
        const series = fixedSizeSeries({ rate: batchSize / 1000, noise })(order);
        expect(series).toBeGreaterThanOrEqual(renyiCurve(event, 'replace')(order) * (1 - 1e-9));
      }),
      { numRuns: 60 },
    );
  });

  it('is finite far beyond the orders with differences', () => {
    const series = fixedSizeSeries({ rate: 0.001, noise: 2 });
    const values = [63, 128, 256, 512, 1024].map(order => series(order));
    expect(values.every(value => Number.isFinite(value) && value > 0)).toBe(true);
    expect(values.toSorted((a, b) => a - b)).toEqual(values);
    expect(fixedSizeSeries({ rate: 1, noise: 2 })(3)).toBe(0.375);
  });
});

function epsilons(claim: StatedClaim): ReturnType<typeof libraryEpsilons> {
  return libraryEpsilons(settle(claimOf(claim), { choices: {}, fill: {} })!, { most: 10 });
}

describe('libraryEpsilons()', () => {
  const run = {
    kind: 'dp_sgd',
    n_units: 1000,
    steps: 100,
    sampler: { kind: 'poisson', batch_size: 10 },
    noise: { multiplier: 1, relative_to: 'clip' },
  } as const;

  it('has nothing to say of a single run with Poisson sampling, nor at delta 0', () => {
    const claim = { guarantee: { delta: 1e-5 }, adjacency: 'add_remove', mechanisms: [run] } as const;
    expect(epsilons(claim)).toEqual({});
    const selection = { runs: 4, rule: 'best_validation' } as const;
    expect(epsilons({ ...claim, selection, guarantee: { delta: 0 } })).toEqual({});
  });

  it('composes runs of both kinds of noise', () => {
    const gaussian = { kind: 'gaussian', noise: { multiplier: 8 } } as const;
    const claim = { guarantee: { delta: 1e-5 }, adjacency: 'add_remove' } as const;
    const selection = { runs: 4, rule: 'best_validation', count_distribution: 'geometric' } as const;
    const alone = epsilons({ ...claim, selection, mechanisms: [run] });
    const both = epsilons({ ...claim, selection, mechanisms: [run, gaussian] });
    expect(both['rdp modern, with selection']!).toBeGreaterThan(alone['rdp modern, with selection']!);
    expect(Object.keys(both)).toEqual([
      'rdp modern, with selection',
      'rdp modern, absolute series, with selection',
    ]);
  });

  it('takes noise relative to the clip norm for half of that relative to the sensitivity', () => {
    const sampler = { kind: 'without_replacement', batch_size: 10 } as const;
    const claim = { guarantee: { delta: 1e-5 }, adjacency: 'replace_one' } as const;
    const [ofClip, ofBoth] = [1, 0.5].map(multiplier => {
      const relative_to = multiplier === 1 ? 'clip' : 'sensitivity';
      return epsilons({ ...claim, mechanisms: [{ ...run, sampler, noise: { multiplier, relative_to } }] });
    });
    expect(ofClip!['rdp modern, fixed-size batches']).toBeGreaterThan(1);
    expect(ofClip).toEqual(ofBoth);
  });
});

describe('truncated batches', () => {
  const run = {
    kind: 'dp_sgd',
    n_units: 60000,
    steps: 1000,
    sampler: { kind: 'poisson', batch_size: 600, physical_cap: 600 },
    noise: { multiplier: 1, relative_to: 'clip' },
  } as const;
  const claim = { guarantee: { delta: 1e-5 }, adjacency: 'add_remove', mechanisms: [run] } as const;
  const name = 'pld, truncated batches';

  it('are accounted as dp_accounting does', () => {
    // By an own program: 2e6 places, losses on a grid of 2e-4, transforms of 2^21.
    expect(Math.abs(epsilons(claim)[name]! / 11.110267 - 1)).toBeLessThan(1e-4);
    const gaussian = { kind: 'gaussian', noise: { multiplier: 4 } } as const;
    expect(epsilons({ ...claim, mechanisms: [run, gaussian] })[name]!).toBeGreaterThan(11.15);
  });

  it('are left alone far out, and where none is truncated', () => {
    const settings = settle(claimOf(claim), { choices: {}, fill: {} })!;
    expect(libraryEpsilons(settings, { most: 21 })).toEqual({});
    const uncut = { ...run, sampler: { ...run.sampler, physical_cap: null } };
    expect(epsilons({ ...claim, mechanisms: [uncut] })).toEqual({});
    const selection = { runs: 4, rule: 'best_validation' } as const;
    expect(Object.keys(epsilons({ ...claim, selection }))).not.toContain(name);
  });
});

describe('delta of one shuffled epoch', () => {
  it.each([
    [1, 0.7531, 1e-4],
    [8, 0.05007, 1e-5],
  ])('at epsilon %i, noise 0.35 and 1000 steps', (epsilon, printed, unit) => {
    const event = {
      kind: 'shuffled-gaussian',
      noiseMultiplier: 0.35,
      stepsPerEpoch: 1000,
      epochs: 1,
      order: 'reshuffled',
    } as const;
    const { delta } = deltaOf(event, { epsilon, neighbours: 'zero-out', accountant: 'pld' });
    expect(Math.abs(delta.lower - printed)).toBeLessThan(unit);
    // max over C of P(C) - e^epsilon Q(C), by a fine grid of C, is 0.7531695 and 0.0500656.
    expect(delta.lower).toBeLessThanOrEqual(epsilon === 1 ? 0.7531695 : 0.0500656);
  });
});

describe('leastConverted()', () => {
  it('finds the best order of a list as trying all of them does', () => {
    const run = fc.record({
      noise: fc.double({ min: 0.3, max: 30, noNaN: true }),
      rate: fc.double({ min: 1e-5, max: 1, noNaN: true }),
      steps: fc.integer({ min: 1, max: 1e5 }),
      delta: fc.constantFrom(1e-2, 1e-5, 1e-10, 1e-30),
      neighbours: fc.constantFrom(...(['add-or-remove', 'replace'] as const)),
    });
    fc.assert(
      fc.property(run, ({ noise, rate, steps, delta, neighbours }) => {
        const step = {
          kind: 'poisson-subsampled-gaussian',
          noiseMultiplier: noise,
          samplingProbability: rate,
        } as const;
        const curve = renyiCurve(step, neighbours);
        for (const convert of [classicConversion, modernConversion]) {
          const at = (order: number): number => convert(steps * curve(order), order, delta);
          const tried = leastOver(earlyOrders, at);
          expect(Math.abs(leastConverted(earlyOrders, at) - tried)).toBeLessThanOrEqual(1e-9 * (1 + tried));
        }
      }),
      { numRuns: 60 },
    );
  });
});
