import { randomBytes } from 'node:crypto';
import { checkCount, checkPositive, DpError } from '../accounting/check.ts';
import { discreteLaplace, type ExactRandom, exactRandom, noiseRate } from './private-noise.ts';
import type { PrivateOrigin } from './safety.ts';
import type { Contributions } from './statistics.ts';

/** Epsilons for which intervals are worth computing; below, noise drowns any table. */
const epsilonRange = { least: 1e-4, most: 100 };

const verb = 'release private statistics';

/**
 * How many users have how many records, with noise. Released once; every private statistic and the choice of a cap are
 * computed from it and cost nothing more.
 */
export interface PrivateHistogram extends PrivateOrigin {
  readonly mechanism: 'discrete Laplace histogram';
  /**
   * Public upper ends of the buckets, ascending from 1: bucket i holds users with edges[i - 1] + 1 to edges[i] records,
   * and one more bucket after the last edge all others.
   */
  readonly edges: readonly number[];
  /** Users in each bucket plus noise, edges.length + 1 whole numbers, some below 0. */
  readonly users: readonly number[];
}

/** A public constant: the largest number of records that buckets tell apart unless another is given. */
export const defaultLargest = 65_536;

/**
 * Upper ends of buckets: every whole number up to 8, then four steps for each power of two (10, 12, 14, 16, 20, …).
 *
 * @param largest - where to stop: the least edge of at least `largest`, which must be chosen without looking at the table
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * publicEdges(20); // [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20]
 * ```
 */
export function publicEdges(largest: number = defaultLargest): number[] {
  checkCount(largest, { verb, name: 'largest' });
  const edges = [1];
  for (let edge = 1; edge < largest;) {
    edge += Math.max(1, 2 ** (Math.floor(Math.log2(edge)) - 2));
    edges.push(edge);
  }
  return edges;
}

function checkEdges(edges: readonly number[]): void {
  for (const [index, edge] of edges.entries()) {
    checkCount(edge, { verb, name: 'an edge' });
    const before = edges[index - 1] ?? 0;
    if (edge > before) continue;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: edge ${edge} comes after ${before}. Give public edges in ascending order.`,
    );
  }
  if (edges[0] === 1) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: the first edge is ${edges[0]}. Begin with 1, so that users of one record have their bucket.`,
  );
}

function checkEpsilon(value: number): number {
  const epsilon = checkPositive(value, { verb, name: 'epsilon' });
  const { least, most } = epsilonRange;
  if (epsilon >= least && epsilon <= most) return epsilon;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: epsilon is ${epsilon}. Give a number from ${least} to ${most}.`,
  );
}

/** Users by bucket, without noise. */
function countByBucket(contributions: Contributions, edges: readonly number[]): number[] {
  const users = edges.map(() => 0).concat(0);
  for (const [count, some] of contributions) {
    checkCount(count, { verb, name: 'a count' });
    const bucket = edges.findIndex(edge => count <= edge);
    users[bucket < 0 ? edges.length : bucket]! += checkCount(some, { verb, name: 'a number of users' });
  }
  return users;
}

export interface ReleaseOptions {
  /** Privacy cost at user level, 1e-4 to 100; noise is drawn for the multiple of 2^-30 just below. */
  readonly epsilon: number;
  /** Default `publicEdges()`. They must not be chosen by looking at the table. */
  readonly edges?: readonly number[] | undefined;
  /** For tests alone: the guarantee holds for a cryptographic generator, which is the default. */
  readonly random?: ExactRandom | undefined;
}

/**
 * Releases how many users have how many records, once for all statistics that are wanted.
 *
 * A user is in exactly one bucket, so adding or removing one with all of their records changes one count by one, and
 * discrete Laplace noise on every bucket, also the empty ones, makes the whole release ε-DP at user level (Dwork,
 * McSherry, Nissim and Smith, TCC 2006, for the histogram). Its privacy loss takes the values ±ε alone, so the
 * accounting event `guarantee` with δ = 0 describes it without loss. Replacing one user by another touches two buckets
 * and costs twice as much (`eventsOfCosts`).
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const release = releaseContributions(new Map([[1, 90], [7, 10]]), { epsilon: 1, edges: [1, 5, 10] });
 * release.users.length; // 4
 * [release.epsilon, release.delta, release.unit]; // [1, 0, 'user']
 * ```
 */
export function releaseContributions(
  contributions: Contributions,
  options: ReleaseOptions,
): PrivateHistogram {
  const { edges = publicEdges(), random = exactRandom() } = options;
  const epsilon = checkEpsilon(options.epsilon);
  checkEdges(edges);
  const rate = noiseRate(epsilon);
  const users = countByBucket(contributions, edges).map(count => count + discreteLaplace(rate, random));
  return {
    kind: 'private',
    epsilon,
    delta: 0,
    neighbours: 'add-or-remove',
    unit: 'user',
    mechanism: 'discrete Laplace histogram',
    release: randomBytes(8).toString('hex'),
    edges: [...edges],
    users,
  };
}
