import { checkCount, DpError } from '../accounting/check.ts';

/** Users with `from` to `to` records, both ends included; `from` is a power of two. */
export interface ContributionBucket {
  readonly from: number;
  readonly to: number;
  readonly users: number;
  readonly records: number;
}

/** What a cap of `recordsPerUser` would leave. */
export interface CapEffect {
  readonly recordsPerUser: number;
  readonly records: number;
  /** Users who would lose at least one record. */
  readonly usersCut: number;
}

/**
 * How unevenly users contribute. Raw values: not private, so they stay inside the trust boundary.
 */
export interface ContributionStatistics {
  readonly users: number;
  readonly records: number;
  readonly maximum: number;
  /** Mean of the two middle values where the number of users is even. */
  readonly median: number;
  readonly mean: number;
  /** Over record counts: 0 where all are equal, towards 1 where one user holds all. */
  readonly gini: number;
  /** Share of all records that the largest max(1, ⌊users / 100⌋) users hold. */
  readonly topPercentShare: number;
  readonly histogram: readonly ContributionBucket[];
  readonly caps: readonly CapEffect[];
}

/** Caps whose effect is shown unless others are asked for. */
export const defaultCaps: readonly number[] = [1, 2, 5, 10, 20, 50];

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function ascending(counts: ArrayLike<number>): Float64Array {
  const sorted = Float64Array.from(counts).sort();
  for (const count of sorted) checkCount(count, { verb: 'describe contributions', name: 'a count' });
  return sorted;
}

function medianOf(sorted: Float64Array): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function giniOf(sorted: Float64Array, total: number): number {
  let weighted = 0;
  for (let i = 0; i < sorted.length; i++) weighted += (2 * (i + 1) - sorted.length - 1) * sorted[i]!;
  return weighted / (sorted.length * total);
}

function histogramOf(sorted: Float64Array): ContributionBucket[] {
  const buckets: { from: number; to: number; users: number; records: number }[] = [];
  for (const count of sorted) {
    while (buckets.length === 0 || count > buckets.at(-1)!.to) {
      const from = 2 ** buckets.length;
      buckets.push({ from, to: 2 * from - 1, users: 0, records: 0 });
    }
    buckets.at(-1)!.users += 1;
    buckets.at(-1)!.records += count;
  }
  return buckets;
}

function effectOf(sorted: Float64Array, recordsPerUser: number): CapEffect {
  let records = 0;
  let usersCut = 0;
  for (const count of sorted) {
    records += Math.min(count, recordsPerUser);
    if (count > recordsPerUser) usersCut += 1;
  }
  return { recordsPerUser, records, usersCut };
}

/**
 * Describes the numbers of records per user.
 *
 * Gini = Σ(2i − U − 1)·xᵢ / (U·Σxᵢ) over ascending counts, i from 1.
 *
 * @param counts - records of each user, whole numbers of at least 1, any order
 * @param options - `caps`: values of recordsPerUser whose effect is wanted; default 1, 2, 5, 10, 20, 50
 * @example
 * ```ts
 * contributionStatistics([1, 1, 6]).caps[1]; // { recordsPerUser: 2, records: 4, usersCut: 1 }
 * contributionStatistics([1, 1, 6]).gini; // ~0.4167
 * ```
 */
export function contributionStatistics(
  counts: ArrayLike<number>,
  options: { caps?: readonly number[] } = {},
): ContributionStatistics {
  const sorted = ascending(counts);
  const users = sorted.length;
  if (users === 0) {
    throw new DpError(
      'INVALID_DATA',
      'Cannot describe contributions: there are 0 users. Give a table with at least one record.',
    );
  }
  const records = sum(sorted);
  const top = sorted.subarray(users - Math.max(1, Math.floor(users / 100)));
  return {
    users,
    records,
    maximum: sorted[users - 1]!,
    median: medianOf(sorted),
    mean: records / users,
    gini: giniOf(sorted, records),
    topPercentShare: sum(top) / records,
    histogram: histogramOf(sorted),
    caps: (options.caps ?? defaultCaps).map(cap =>
      effectOf(sorted, checkCount(cap, { verb: 'describe contributions', name: 'a cap' })),
    ),
  };
}
