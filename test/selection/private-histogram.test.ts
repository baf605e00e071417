import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { publicEdges, releaseContributions } from '../../selection/private-histogram.ts';
import { discreteLaplace, noiseRate } from '../../selection/private-noise.ts';
import { contributionsOf } from '../../selection/statistics.ts';
import { failureOf } from './fixtures.ts';
import { repeatableRandom } from './private-random.ts';

const edges = publicEdges(64);
const someUsers = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 30 });

function noisy(counts: readonly number[], epsilon: number, seed: number): readonly number[] {
  return releaseContributions(contributionsOf(counts), { epsilon, edges, random: repeatableRandom(seed) })
    .users;
}

function bucketOf(count: number): number {
  const found = edges.findIndex(edge => count <= edge);
  return found < 0 ? edges.length : found;
}

describe('publicEdges()', () => {
  it('has every whole number up to 8 and then four steps for each power of two', () => {
    expect(publicEdges(1)).toEqual([1]);
    expect(publicEdges(50)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56]);
    expect(publicEdges()).toHaveLength(60);
    expect(publicEdges().at(-1)).toBe(65_536);
  });
});

describe('releaseContributions()', () => {
  it('adds to every bucket, also the empty ones, noise that does not depend on the table', () => {
    fc.assert(
      fc.property(someUsers, fc.nat(1000), (counts, seed) => {
        const random = repeatableRandom(seed);
        const noise = [...edges, 0].map(() => discreteLaplace(noiseRate(0.5), random));
        for (const count of counts) noise[bucketOf(count)]! += 1;
        expect(noisy(counts, 0.5, seed)).toEqual(noise);
      }),
    );
  });

  it('differs by one in one bucket where one user with all of their records comes in: sensitivity 1', () => {
    fc.assert(
      fc.property(someUsers, fc.integer({ min: 1, max: 100 }), (counts, joining) => {
        const before = noisy(counts, 0.5, 7);
        const after = noisy([...counts, joining], 0.5, 7);
        const changes = after.map((users, bucket) => users - before[bucket]!);
        expect(changes.map(Math.abs).reduce((total, change) => total + change, 0)).toBe(1);
        expect(changes[bucketOf(joining)]).toBe(1);
      }),
    );
  });

  it('never makes one table more than exp(epsilon) times as likely as its neighbour, by the law of the noise', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: -50, max: 250 }), (users, seen) => {
        const rate = noiseRate(0.7);
        const logMass = (count: number): number =>
          (-Math.abs(seen - count) * rate.numerator) / rate.denominator;
        expect(Math.abs(logMass(users) - logMass(users + 1))).toBeLessThanOrEqual(0.7);
      }),
    );
  });

  it('carries its cost and a name of its own', () => {
    const release = (): object => releaseContributions(new Map([[1, 1]]), { epsilon: 0.5, edges: [1] });
    const first = release();
    expect(first).toMatchObject({
      kind: 'private',
      epsilon: 0.5,
      delta: 0,
      neighbours: 'add-or-remove',
      unit: 'user',
    });
    expect(release()).not.toMatchObject({ release: Reflect.get(first, 'release') });
  });

  it('releases the same of a table without users as of any other: noise alone', () => {
    expect(releaseContributions(new Map(), { epsilon: 1, edges: [1, 2] }).users).toHaveLength(3);
  });

  it('refuses epsilons and edges that will not do', async () => {
    const codeOf = async (options: { epsilon: number; edges?: number[] }): Promise<string> =>
      (await failureOf(() => releaseContributions(new Map([[1, 1]]), options))).code;
    for (const epsilon of [0, -1, NaN, 1e-5, 101]) expect(await codeOf({ epsilon })).toBe('INVALID_ARGUMENT');
    for (const bad of [[], [2, 3], [1, 1], [1, 3, 2], [1, 2.5]]) {
      expect(await codeOf({ epsilon: 1, edges: bad })).toBe('INVALID_ARGUMENT');
    }
  });
});
