import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countsPerUser } from '../../selection/cap.ts';
import { readRecords } from '../../selection/records.ts';
import {
  addContributions,
  capEffects,
  contributionsOf,
  contributionStatistics,
} from '../../selection/statistics.ts';
import { readTable } from '../../selection/tables/index.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { failureOf } from './fixtures.ts';

const someCounts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 260 });

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Straight from the definitions, over one number a user. */
function naive(counts: readonly number[], k: number): object {
  const sorted = [...counts].sort((a, b) => a - b);
  const users = sorted.length;
  const records = sum(sorted);
  const middle = (sorted[Math.floor((users - 1) / 2)]! + sorted[Math.ceil((users - 1) / 2)]!) / 2;
  const weighted = sum(sorted.map((count, i) => (2 * (i + 1) - users - 1) * count));
  const kept = sum(sorted.map(count => Math.min(count, k)));
  return {
    users,
    records,
    maximum: Math.max(...sorted),
    median: middle,
    mean: records / users,
    gini: weighted / (users * records),
    topPercentShare: sum(sorted.slice(users - Math.max(1, Math.floor(users / 100)))) / records,
    caps: [
      {
        recordsPerUser: k,
        records: kept,
        share: kept / records,
        usersCut: sorted.filter(count => count > k).length,
      },
    ],
  };
}

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
        { recordsPerUser: 1, records: 4, share: 0.5, usersCut: 2 },
        { recordsPerUser: 2, records: 6, share: 0.75, usersCut: 1 },
      ],
    });
  });

  it('equals the definitions over one number a user, exactly, from either form of input', () => {
    fc.assert(
      fc.property(someCounts, fc.integer({ min: 1, max: 320 }), (counts, k) => {
        const expected = naive(counts, k);
        expect(contributionStatistics(counts, { caps: [k] })).toMatchObject(expected);
        expect(contributionStatistics(contributionsOf(counts), { caps: [k] })).toMatchObject(expected);
      }),
    );
  });

  it('gives Gini 0 where all users contribute alike, and its mean-difference form elsewhere', () => {
    expect(contributionStatistics([3, 3, 3]).gini).toBe(0);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 60 }), counts => {
        let difference = 0;
        for (const x of counts) for (const y of counts) difference += Math.abs(x - y);
        const expected = difference / (2 * counts.length * sum(counts));
        expect(Math.abs(contributionStatistics(counts).gini - expected)).toBeLessThan(1e-12);
      }),
    );
  });

  it('puts every user and record into exactly one bucket', () => {
    fc.assert(
      fc.property(someCounts, counts => {
        const { histogram, users, records, maximum } = contributionStatistics(counts);
        expect(sum(histogram.map(bucket => bucket.users))).toBe(users);
        expect(sum(histogram.map(bucket => bucket.records))).toBe(records);
        expect(histogram.at(-1)!.to).toBeGreaterThanOrEqual(maximum);
        expect(histogram.at(-1)!.users).toBeGreaterThan(0);
      }),
    );
  });

  it('takes a billion users in a few entries', () => {
    const contributions = new Map([
      [1, 999_999_000],
      [1_000_000, 1000],
    ]);
    const { users, records, median, topPercentShare } = contributionStatistics(contributions);
    expect({ users, records, median }).toEqual({ users: 1e9, records: 1_999_999_000, median: 1 });
    expect(topPercentShare).toBe((1e9 + 9_999_000) / 1_999_999_000);
  });

  it('refuses no users, counts of 0 and caps of 0', async () => {
    const codeOf = async (action: () => unknown): Promise<string> => (await failureOf(action)).code;
    expect(await codeOf(() => contributionStatistics([]))).toBe('INVALID_DATA');
    expect(await codeOf(() => contributionStatistics(new Map()))).toBe('INVALID_DATA');
    expect(await codeOf(() => contributionStatistics(new Map([[0, 1]])))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => contributionStatistics(new Map([[1, 0.5]])))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => contributionStatistics([1.5]))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => contributionStatistics([1], { caps: [0] }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => capEffects(new Map([[1, 1]]), [0.5]))).toBe('INVALID_ARGUMENT');
  });
});

describe('addContributions()', () => {
  it('adds up parts of a table that have no user in common', () => {
    fc.assert(
      fc.property(someCounts, someCounts, (first, second) => {
        const total = contributionsOf(first);
        addContributions(total, contributionsOf(second));
        expect(contributionStatistics(total)).toEqual(contributionStatistics([...first, ...second]));
      }),
    );
  });
});

/** Gini and top share as published, to the digits there are. */
const published = [
  {
    file: 'shakespeare-speeches.arrow',
    users: 595,
    records: 14_274,
    maximum: 359,
    median: 7,
    mean: 24,
    gini: 0.69,
    top: 9,
  },
  {
    file: 'letters-clarissa.parquet',
    users: 45,
    records: 537,
    maximum: 160,
    median: 1,
    mean: 12,
    gini: 0.83,
    top: 30,
  },
  {
    file: 'letters-clarissa-paragraphs.arrow',
    users: 45,
    records: 17_451,
    maximum: 5951,
    median: 35,
    mean: 388,
    gini: 0.87,
    top: 34,
  },
  {
    file: 'commit-subjects.jsonl',
    users: 1422,
    records: 10_872,
    maximum: 1637,
    median: 1,
    mean: 7.6,
    gini: 0.84,
    top: 62,
  },
  {
    file: 'books-paragraphs.parquet',
    users: 21,
    records: 60_396,
    maximum: 11_227,
    median: 2173,
    mean: 2876,
    gini: 0.42,
    top: 19,
  },
];

const keptAtCap = [
  { file: 'shakespeare-speeches.arrow', kept: [595, 1096, 2285, 3756, 5913, 9618] },
  { file: 'letters-clarissa.parquet', kept: [45, 61, 90, 121, 162, 282] },
  { file: 'letters-clarissa-paragraphs.arrow', kept: [45, 90, 225, 444, 799, 1501] },
];

async function contributionsIn(file: string): Promise<Map<number, number>> {
  const table = await readTable(sharedPath(`data/${file}`));
  const records = readRecords(table, { user: 'user', id: 'record_id', file });
  return contributionsOf(countsPerUser(records));
}

// Skipped only where there is no ../shared/data beside the checkout.
describe.skipIf(!hasShared)('on the reference corpora', () => {
  it.each(published)('contributionStatistics() matches the published figures of $file', async expected => {
    const { file, mean, gini, top, ...whole } = expected;
    const statistics = contributionStatistics(await contributionsIn(file));
    expect(statistics).toMatchObject(whole);
    expect(Math.abs(statistics.mean - mean)).toBeLessThanOrEqual(mean % 1 === 0 ? 0.5 : 0.05);
    expect(statistics.gini.toFixed(2)).toBe(gini.toFixed(2));
    expect(Math.round(100 * statistics.topPercentShare)).toBe(top);
  });

  it.each(keptAtCap)('capEffects() matches the published records kept of $file', async ({ file, kept }) => {
    const effects = capEffects(await contributionsIn(file));
    expect(effects.map(({ recordsPerUser }) => recordsPerUser)).toEqual([1, 2, 5, 10, 20, 50]);
    expect(effects.map(({ records }) => records)).toEqual(kept);
  });
});
