import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundEvent } from '../../../accounting/audit/event-bounds.ts';
import { coverOf } from '../../../accounting/audit/event-cover.ts';
import { momentBounds } from '../../../accounting/audit/moment-bounds.ts';
import {
  epsilonOf,
  poissonGroupEvent,
  repeat,
  type DpEvent,
  type Interval,
  type Neighbours,
} from '../../../accounting/index.ts';

const log = (least: number, most: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(least), max: Math.log(most), noNaN: true }).map(Math.exp);

/** Compositions from next to nothing to thousands, which the exact accountant answers in a fraction of a second. */
const events: fc.Arbitrary<DpEvent> = fc
  .record({
    kind: fc.constantFrom('poisson', 'fixed', 'group', 'balls'),
    noiseMultiplier: log(0.15, 8),
    samplingProbability: log(1e-3, 0.5),
    steps: log(2, 1e4).map(Math.round),
  })
  .map(({ kind, noiseMultiplier, samplingProbability, steps }): DpEvent => {
    const batchSize = Math.ceil(1000 * samplingProbability);
    if (kind === 'fixed')
      return repeat(
        { kind: 'fixed-size-gaussian', noiseMultiplier, datasetSize: 1000, batchSize, groupSize: 1 },
        steps,
      );
    if (kind === 'balls')
      return repeat({ kind: 'balls-in-bins-gaussian', noiseMultiplier, stepsPerEpoch: 20 }, steps);
    const groupSize = kind === 'group' ? 3 : 1;
    return poissonGroupEvent({ noiseMultiplier, samplingProbability, steps, groupSize });
  });

const deltas = fc.constantFrom(1e-3, 1e-5, 1e-9);

function exactly(event: DpEvent, { delta, neighbours }: { delta: number; neighbours: Neighbours }): Interval {
  return epsilonOf(event, { delta, neighbours, accountant: 'pld', relativeGap: 1e-3 }).epsilon;
}

describe('momentBounds()', () => {
  it('lies around what accountants certify, whatever it is to be told from', () => {
    fc.assert(
      fc.property(events, deltas, fc.constantFrom(0.2, 0.8, 1.3, 5), (event, delta, share) => {
        const question = { delta, neighbours: 'add-or-remove' } as const;
        const { lower, upper } = exactly(event, question);
        const found = momentBounds(event, { ...question, limit: share * upper });
        expect(found.lower).toBeLessThanOrEqual(upper);
        expect(found.upper).toBeGreaterThanOrEqual(lower);
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  it('tells an epsilon of many steps from one that is much smaller or larger', () => {
    const event = poissonGroupEvent({
      noiseMultiplier: 0.5,
      samplingProbability: 0.1,
      steps: 5000,
      groupSize: 1,
    });
    const question = { delta: 1e-5, neighbours: 'add-or-remove' } as const;
    const { lower, upper } = exactly(event, question);
    expect(momentBounds(event, { ...question, limit: lower / 2 }).lower).toBeGreaterThan(0.7 * lower);
    expect(momentBounds(event, { ...question, limit: 2 * upper }).upper).toBeLessThan(1.2 * upper);
  });
});

describe('boundEvent()', () => {
  it('compares as a narrow interval does', () => {
    fc.assert(
      fc.property(
        events,
        deltas,
        fc.constantFrom('add-or-remove', 'replace'),
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        (event, delta, neighbours, share) => {
          const question = { delta, neighbours, relativeGap: 2e-3 } as const;
          const narrow = boundEvent(event, question);
          const limit = share * narrow.upper;
          fc.pre(limit > 0 && limit < Infinity && narrow.upper < 500);
          const wide = boundEvent(event, { ...question, compared: { side: 'lower', limit } });
          expect(wide.lower).toBeLessThanOrEqual(narrow.upper);
          expect(wide.upper).toBeGreaterThanOrEqual(narrow.lower);
          // Where the narrow interval settles it, so does the other one; within its own width anything may be.
          if (narrow.lower > 1.01 * limit) expect(wide.lower).toBeGreaterThan(limit);
          if (narrow.upper < 0.99 * limit) expect(wide.lower).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 40 },
    );
  }, 120_000);

  it('bounds hardly any noise from both sides, in every kind of batches', () => {
    const noiseMultiplier = 0.004;
    const sampled = { noiseMultiplier, samplingProbability: 0.3, groupSize: 2, steps: 50 };
    const found = boundEvent(poissonGroupEvent(sampled), { delta: 1e-6, neighbours: 'add-or-remove' });
    // Not below the same with the noise that it is compared with, not above all records in all steps.
    const all = { kind: 'gaussian', noiseMultiplier: noiseMultiplier / 2 } as const;
    const { upper } = epsilonOf(repeat(all, 50), { delta: 1e-6, neighbours: 'add-or-remove' }).epsilon;
    expect(found.upper).toBeLessThan(1.01 * upper);
    expect(found.lower).toBeGreaterThan(1000);
    expect(found.lower).toBeLessThan(found.upper);
  });
});

describe('coverOf()', () => {
  it('encloses the epsilon of a unit with hundreds of records', () => {
    const options = { noiseMultiplier: 60, samplingProbability: 0.4, steps: 3, groupSize: 600 };
    const event = poissonGroupEvent(options);
    const cover = coverOf(event)!;
    const question = { delta: 1e-5, neighbours: 'add-or-remove' } as const;
    const [least, truth, most] = [cover.lower, event, cover.upper].map(each => exactly(each, question));
    expect(least!.lower).toBeLessThanOrEqual(truth!.upper);
    expect(most!.upper).toBeGreaterThanOrEqual(truth!.lower);
    expect(most!.upper).toBeLessThan(1.05 * least!.lower);
  }, 60_000);

  it('leaves usual events alone', () => {
    const options = { noiseMultiplier: 1, samplingProbability: 0.01, steps: 1000, groupSize: 4 };
    expect(coverOf(poissonGroupEvent(options))).toBeUndefined();
  });
});
