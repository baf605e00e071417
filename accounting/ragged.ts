import type { Interval } from './accountant.ts';
import { checkCount } from './check.ts';
import { convertGroup, type Conversion, type GroupOptions } from './group.ts';

/** ε of users with equally many records. */
export interface ContributionEpsilon {
  readonly records: number;
  /** How many users have that many. */
  readonly users: number;
  readonly epsilon: Interval;
}

/**
 * ε of every user by how many records they really have: whoever has fewer than the cap has a smaller ε, for free.
 *
 * Poisson sampling of records. The guarantee for all stays that of the cap; how many records a user has is private, so this table
 * is for whoever may see the data.
 *
 * @param contributions - records of each user, whole and >= 0; counted up to `groupSize`, which selection enforces
 * @returns one row for each number of records from 1 up that some user has, ascending
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * const rows = epsilonByContribution([1, 1, 7], {
 *   noiseMultiplier: 2, samplingProbability: 0.01, steps: 100, groupSize: 4, delta: 1e-6, neighbours: 'add-or-remove',
 * });
 * rows.map(({ records, users }) => [records, users]); // [[1, 2], [4, 1]]
 * rows[0].epsilon.upper < rows[1].epsilon.lower; // true
 * ```
 */
export function epsilonByContribution(
  contributions: readonly number[],
  options: GroupOptions & { readonly conversion?: Conversion | undefined },
): ContributionEpsilon[] {
  const verb = 'compute epsilon by contribution';
  const users = new Map<number, number>();
  for (const count of contributions) {
    const records = Math.min(
      checkCount(count, { verb, name: 'a number of records', least: 0 }),
      options.groupSize,
    );
    if (records > 0) users.set(records, (users.get(records) ?? 0) + 1);
  }
  return [...users]
    .sort(([a], [b]) => a - b)
    .map(([records, count]) => {
      const { bound } = convertGroup({ ...options, groupSize: records }, options.conversion ?? 'mixture');
      return { records, users: count, epsilon: { lower: bound.lower ?? 0, upper: bound.upper } };
    });
}
