import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type PrivateHistogram,
  publicEdges,
  releaseContributions,
} from '../../selection/private-histogram.ts';
import { type PrivateStatistics, privateStatistics } from '../../selection/private-statistics.ts';
import {
  capEffects,
  type Contributions,
  contributionsOf,
  contributionStatistics,
} from '../../selection/statistics.ts';
import { isPlausibleCount } from '../trainer/statistics.ts';
import { failureOf } from './fixtures.ts';
import { repeatableRandom } from './private-random.ts';

/** Heavy tail: 2,000 users with ⌊1500 / rank⌋ records, at least one. */
const heavy = contributionsOf(
  Array.from({ length: 2000 }, (_, rank) => Math.max(1, Math.floor(1500 / (rank + 1)))),
);
const largest = 2048;
const caps = [1, 2, 3, 7, 9, 50, 1000];

function release(table: Contributions, epsilon: number, seed: number): PrivateHistogram {
  return releaseContributions(table, {
    epsilon,
    edges: publicEdges(largest),
    random: repeatableRandom(seed),
  });
}

interface Claim {
  readonly truth: number;
  readonly interval: { readonly lower: number; readonly upper: number };
  readonly estimate: number;
}

function quantileTruth(table: Contributions, share: number): number {
  const counts = [...table].flatMap(([count, users]) => Array.from({ length: users }, () => count));
  return counts.sort((a, b) => a - b)[Math.ceil(share * counts.length) - 1]!;
}

/** Every interval of a result beside what it should hold. */
function claimsOf(table: Contributions, found: PrivateStatistics): Claim[] {
  const { users, records } = contributionStatistics(table);
  const effects = capEffects(
    table,
    found.caps.map(({ recordsPerUser }) => recordsPerUser),
  );
  const ofCaps = found.caps.flatMap((cap, index) => {
    const { records: kept, share, usersCut } = effects[index]!;
    return [
      { truth: kept, ...cap.records },
      { truth: share, ...cap.shareKept },
      { truth: usersCut, ...cap.usersCut },
      { truth: 1 - usersCut / users, ...cap.shareUncut },
    ];
  });
  const ofQuantiles = [found.median, ...found.quantiles].map(({ share, interval, estimate }) => ({
    truth: quantileTruth(table, share),
    interval: { lower: interval.from, upper: interval.to ?? Infinity },
    estimate: estimate.from,
  }));
  return [{ truth: users, ...found.users }, { truth: records, ...found.records }, ...ofCaps, ...ofQuantiles];
}

function holds({ truth, interval }: Claim): boolean {
  const slack = 1e-12 * Math.abs(truth);
  return interval.lower - slack <= truth && truth <= interval.upper + slack;
}

describe('privateStatistics()', () => {
  it('is the raw statistics where epsilon is so large that there is no noise, up to what buckets hide', () => {
    const found = privateStatistics(release(heavy, 100, 1), { caps, level: 0.999 });
    const exact = contributionStatistics(heavy);
    expect(found.users).toEqual({
      estimate: exact.users,
      interval: { lower: exact.users, upper: exact.users },
    });
    expect(found.median.estimate).toEqual({ from: 1, to: 1 });
    for (const claim of claimsOf(heavy, found)) expect(holds(claim)).toBe(true);
    for (const cap of found.caps.slice(0, 4)) {
      const [effect] = capEffects(heavy, [cap.recordsPerUser]);
      expect(cap.records.interval).toEqual({ lower: effect!.records, upper: effect!.records });
      expect(cap.usersCut.estimate).toBe(effect!.usersCut);
    }
    expect(Math.abs(found.records.estimate / exact.records - 1)).toBeLessThan(0.02);
  });

  it('holds all of its intervals at once at least as often as it says', () => {
    const runs = 300;
    const level = 0.8;
    let failures = 0;
    for (let seed = 0; seed < runs; seed++) {
      const found = privateStatistics(release(heavy, 0.5, seed), { caps, level });
      if (!claimsOf(heavy, found).every(holds)) failures += 1;
    }
    // Failing more often than 1 - level is what must not be; Chernoff at rate 1e-6.
    expect(
      failures <= (1 - level) * runs || isPlausibleCount(failures, { trials: runs, probability: 1 - level }),
    ).toBe(true);
  });

  it('estimates users without bias', () => {
    const runs = 400;
    const epsilon = 0.5;
    let sum = 0;
    for (let seed = 0; seed < runs; seed++)
      sum += privateStatistics(release(heavy, epsilon, seed)).users.estimate;
    const decay = Math.exp(-epsilon);
    const deviation = Math.sqrt(((publicEdges(largest).length + 1) * 2 * decay) / (1 - decay) ** 2 / runs);
    // Five standard errors: a false alarm once in about 1.7 million.
    expect(Math.abs(sum / runs - 2000)).toBeLessThan(5 * deviation);
  });

  it('never says what cannot be, whatever the table and the noise', () => {
    const someTables = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 40 });
    fc.assert(
      fc.property(someTables, fc.nat(1e6), fc.constantFrom(0.01, 0.3, 5), (counts, seed, epsilon) => {
        const found = privateStatistics(release(contributionsOf(counts), epsilon, seed), { caps });
        for (const { estimate, interval } of claimsOf(new Map([[1, 1]]), found).slice(0, -4)) {
          expect(interval.lower).toBeGreaterThanOrEqual(0);
          expect(interval.lower).toBeLessThanOrEqual(estimate);
          expect(estimate).toBeLessThanOrEqual(interval.upper);
        }
        const rising = found.caps.map(cap => cap.records.estimate);
        expect(rising).toEqual(rising.toSorted((a, b) => a - b));
        for (const { shareKept, shareUncut } of found.caps) {
          expect(Math.max(shareKept.interval.upper, shareUncut.interval.upper)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('states cost, level and what it counts, and shows the noisy counts as they are', () => {
    const made = release(heavy, 0.5, 3);
    const found = privateStatistics(made);
    expect(found).toMatchObject({ epsilon: 0.5, delta: 0, level: 0.95, largest, release: made.release });
    expect(found.histogram.map(({ users }) => users)).toEqual(made.users);
    expect(found.histogram[0]).toMatchObject({ from: 1, to: 1 });
    expect(found.histogram.at(-1)).toMatchObject({ from: largest + 1, to: null });
    expect(found).not.toHaveProperty('edges');
  });

  it('refuses caps beyond its edges, levels and shares that are none', async () => {
    const made = release(heavy, 1, 1);
    const bad = [{ caps: [largest + 1] }, { caps: [0] }, { level: 1 }, { level: 0 }, { shares: [1] }];
    for (const options of bad) {
      expect((await failureOf(() => privateStatistics(made, options))).code).toBe('INVALID_ARGUMENT');
    }
  });
});
