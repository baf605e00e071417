import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contributionStatistics } from '../../selection/statistics.ts';
import { failureOf } from './fixtures.ts';

const someCounts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 });

describe('contributionStatistics()', () => {
  it('describes a small table', () => {
    expect(contributionStatistics([4, 1, 1, 2], { caps: [1, 2] })).toEqual({
      users: 4,
      records: 8,
      maximum: 4,
      median: 1.5,
      mean: 2,
      gini: 0.3125,
      topPercentShare: 0.5,
      histogram: [
        { from: 1, to: 1, users: 2, records: 2 },
        { from: 2, to: 3, users: 1, records: 2 },
        { from: 4, to: 7, users: 1, records: 4 },
      ],
      caps: [
        { recordsPerUser: 1, records: 4, usersCut: 2 },
        { recordsPerUser: 2, records: 6, usersCut: 1 },
      ],
    });
  });

  it('gives Gini 0 where all users contribute alike, and its mean-difference form elsewhere', () => {
    expect(contributionStatistics([3, 3, 3]).gini).toBe(0);
    fc.assert(
      fc.property(someCounts, counts => {
        let difference = 0;
        for (const x of counts) for (const y of counts) difference += Math.abs(x - y);
        const total = counts.reduce((sum, count) => sum + count, 0);
        const expected = difference / (2 * counts.length * total);
        expect(Math.abs(contributionStatistics(counts).gini - expected)).toBeLessThan(1e-12);
      }),
    );
  });

  it('puts every user and record into exactly one bucket', () => {
    fc.assert(
      fc.property(someCounts, counts => {
        const { histogram, users, records, maximum } = contributionStatistics(counts);
        expect(histogram.reduce((sum, bucket) => sum + bucket.users, 0)).toBe(users);
        expect(histogram.reduce((sum, bucket) => sum + bucket.records, 0)).toBe(records);
        expect(histogram.at(-1)!.to).toBeGreaterThanOrEqual(maximum);
        expect(histogram.at(-1)!.users).toBeGreaterThan(0);
      }),
    );
  });

  it('refuses no users, counts of 0 and caps of 0', async () => {
    expect((await failureOf(() => contributionStatistics([]))).code).toBe('INVALID_DATA');
    expect((await failureOf(() => contributionStatistics([0]))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(() => contributionStatistics([1], { caps: [0] }))).code).toBe('INVALID_ARGUMENT');
  });
});
