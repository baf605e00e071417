import { describe, expect, it } from 'vitest';
import { privateCap } from '../../selection/private-cap.ts';
import { publicEdges, releaseContributions } from '../../selection/private-histogram.ts';
import { privateStatistics } from '../../selection/private-statistics.ts';
import { eventsOfCosts, privacyCostOf, type SourcedCap } from '../../selection/safety.ts';
import { type Contributions, capEffects, contributionsOf } from '../../selection/statistics.ts';
import { epsilonOf } from '../../accounting/index.ts';
import { isPlausibleCount } from '../trainer/statistics.ts';
import { failureOf } from './fixtures.ts';
import { repeatableRandom } from './private-random.ts';

/** 20,000 users, shares above k records about 1 / (k + 1)². */
const table: Contributions = contributionsOf(
  Array.from({ length: 20_000 }, (_, rank) => Math.max(1, Math.floor(Math.sqrt(20_000 / (rank + 1))))),
);

function capAt(epsilon: number, seed: number, options: object = {}): ReturnType<typeof privateCap> {
  const release = releaseContributions(table, {
    epsilon,
    edges: publicEdges(256),
    random: repeatableRandom(seed),
  });
  return privateCap(release, options);
}

function shareUncut(k: number): number {
  return 1 - capEffects(table, [k])[0]!.usersCut / 20_000;
}

describe('privateCap()', () => {
  it('finds the smallest edge that covers the share where there is hardly any noise', () => {
    for (const share of [0.5, 0.8, 0.95, 0.99, 0.999]) {
      const { recordsPerUser, coverage } = capAt(50, 1, { share });
      const edges = publicEdges(256);
      expect(recordsPerUser).toBe(edges.find(edge => shareUncut(edge) >= share));
      expect(coverage.estimate).toBe(shareUncut(recordsPerUser));
    }
  });

  it('covers a share of the records where asked to', () => {
    const { recordsPerUser, coverage, of } = capAt(50, 1, { share: 0.9, of: 'records' });
    const [effect] = capEffects(table, [recordsPerUser]);
    expect(of).toBe('records');
    expect(coverage.interval.lower).toBeLessThanOrEqual(effect!.share);
    expect(coverage.interval.upper).toBeGreaterThanOrEqual(effect!.share);
    expect(Math.abs(coverage.estimate - effect!.share)).toBeLessThan(0.01);
    expect(effect!.share).toBeGreaterThan(0.88);
  });

  it('is right about its coverage as often as it says, and near the share it was asked for', () => {
    const runs = 300;
    let wrong = 0;
    for (let seed = 0; seed < runs; seed++) {
      const { recordsPerUser, coverage } = capAt(0.5, seed, { level: 0.9 });
      const truth = shareUncut(recordsPerUser);
      if (truth < coverage.interval.lower || truth > coverage.interval.upper) wrong += 1;
      // The noise of all 28 buckets together has deviation 15 of 20,000 users: 0.005 is more than six of it.
      expect(truth).toBeGreaterThan(0.945);
      expect(shareUncut(recordsPerUser - 1)).toBeLessThan(0.955);
    }
    expect(wrong <= 0.1 * runs || isPlausibleCount(wrong, { trials: runs, probability: 0.1 })).toBe(true);
  });

  it('costs what the release costs, once for all that is computed from it', () => {
    const release = releaseContributions(table, { epsilon: 0.5 });
    const cap: SourcedCap = privateCap(release);
    const costs = privacyCostOf([
      { name: 'strategy' },
      { name: 'records-per-user', origin: privateCap(release) },
      { name: 'least-records-per-user', origin: privateStatistics(release) },
    ]);
    expect(cap).toMatchObject({ kind: 'private', epsilon: 0.5, delta: 0 });
    expect(costs).toEqual([
      {
        choices: ['records-per-user', 'least-records-per-user'],
        mechanism: 'discrete Laplace histogram',
        release: release.release,
        epsilon: 0.5,
        delta: 0,
        neighbours: 'add-or-remove',
        unit: 'user',
      },
    ]);
    const [event] = eventsOfCosts(costs, 'add-or-remove');
    const { epsilon } = epsilonOf(event!, { delta: 1e-9, neighbours: 'add-or-remove' });
    expect(epsilon.upper).toBeLessThanOrEqual(0.5 + 1e-9);
    expect(epsilon.upper).toBeGreaterThan(0.49);
  });

  it('says so where noise hides every edge that would do', async () => {
    const release = releaseContributions(new Map([[1000, 50]]), { epsilon: 1, edges: publicEdges(64) });
    const { code, message } = await failureOf(() => privateCap(release));
    expect(code).toBe('BUDGET_UNREACHABLE');
    expect(message).toMatch(/64 records per user/);
  });

  it('does not guess: a cap that may cover less than half of the share is refused', async () => {
    const release = releaseContributions(table, {
      epsilon: 0.001,
      edges: publicEdges(256),
      random: repeatableRandom(5),
    });
    const { code, message } = await failureOf(() => privateCap(release, { of: 'records' }));
    expect(code).toBe('BUDGET_UNREACHABLE');
    expect(message).toMatch(/may cover only/);
  });

  it('refuses shares, levels and criteria that are none', async () => {
    for (const options of [{ share: 1 }, { share: 0 }, { level: 1 }, { of: 'tokens' }]) {
      expect((await failureOf(() => capAt(1, 1, options))).code).toBe('INVALID_ARGUMENT');
    }
  });
});
