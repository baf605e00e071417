import { checkCount, DpError } from '../accounting/check.ts';

/**
 * Records of a user to the number of users with so many, before or after selection: the one summary from which all
 * contribution statistics follow. It has at most √(2 · records) entries, so it stays small on any table, and the
 * summaries of tables without a common user add up.
 */
export type Contributions = ReadonlyMap<number, number>;

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
  /** records ÷ all records. */
  readonly share: number;
  /** Users who would lose at least one record. */
  readonly usersCut: number;
}

/** What a rule would keep, found by running it; raw values, not private. */
export interface RuleEffect extends CapEffect {
  /** Tokens of the kept records; null without a tokenizer. */
  readonly tokens: number | null;
}

/**
 * How unevenly users contribute. Raw values: not private, so they stay inside the trust boundary.
 */
export interface ContributionStatistics {
  readonly users: number;
  /** The sum over users: a record of several owners counts for each of them. */
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

const verb = 'describe contributions';

/** Users who have `count` records each. */
interface Class {
  readonly count: number;
  readonly users: number;
}

/**
 * Counts how many users have how many records.
 *
 * @param counts - records of each user, whole numbers, any order; users without records (0) are left out
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * [...contributionsOf([1, 6, 1])]; // [[1, 2], [6, 1]]
 * ```
 */
export function contributionsOf(counts: Iterable<number>): Map<number, number> {
  const contributions = new Map<number, number>();
  for (const count of counts) {
    if (count !== 0) contributions.set(count, (contributions.get(count) ?? 0) + 1);
  }
  for (const count of contributions.keys()) checkCount(count, { verb, name: 'a count' });
  return contributions;
}

/**
 * Adds the summary of one part of a table to that of another, where no user has records in both.
 *
 * @example
 * ```ts
 * const total = new Map([[1, 2]]);
 * addContributions(total, new Map([[1, 1], [5, 1]]));
 * [...total]; // [[1, 3], [5, 1]]
 * ```
 */
export function addContributions(total: Map<number, number>, part: Contributions): void {
  for (const [count, users] of part) total.set(count, (total.get(count) ?? 0) + users);
}

function isContributions(value: Contributions | Iterable<number>): value is Contributions {
  return value instanceof Map;
}

/** Classes by ascending count; the Map's entries were checked or are checked here. */
function classesOf(input: Contributions | Iterable<number>): Class[] {
  const contributions = isContributions(input) ? input : contributionsOf(input);
  const classes = Array.from(contributions, ([count, users]) => ({ count, users }));
  for (const { count, users } of classes) {
    checkCount(count, { verb, name: 'a count' });
    checkCount(users, { verb, name: 'a number of users' });
  }
  return classes.sort((a, b) => a.count - b.count);
}

function usersIn(classes: readonly Class[]): number {
  return classes.reduce((total, { users }) => total + users, 0);
}

function recordsIn(classes: readonly Class[]): number {
  return classes.reduce((total, { count, users }) => total + count * users, 0);
}

/** The count at a place (from 0) of all counts in ascending order. */
function countAt(classes: readonly Class[], place: number): number {
  let passed = 0;
  for (const { count, users } of classes) {
    passed += users;
    if (place < passed) return count;
  }
  return classes.at(-1)!.count;
}

function medianOf(classes: readonly Class[], users: number): number {
  const above = countAt(classes, users >> 1);
  return users % 2 === 1 ? above : (countAt(classes, (users >> 1) - 1) + above) / 2;
}

/**
 * Σ(2i − U − 1)·xᵢ over a class of n users after `before` others is n·(2·before + n − U)·x: both factors are whole, so
 * sums stay exact below 2^53.
 */
function giniOf(classes: readonly Class[], { users, records }: { users: number; records: number }): number {
  let before = 0;
  let weighted = 0;
  for (const { count, users: n } of classes) {
    weighted += n * count * (2 * before + n - users);
    before += n;
  }
  return weighted / (users * records);
}

/** Records of the `wanted` users with the most. */
function topRecords(classes: readonly Class[], wanted: number): number {
  let left = wanted;
  let records = 0;
  for (const { count, users } of classes.toReversed()) {
    const taken = Math.min(left, users);
    records += taken * count;
    left -= taken;
  }
  return records;
}

function histogramOf(classes: readonly Class[]): ContributionBucket[] {
  const buckets: { from: number; to: number; users: number; records: number }[] = [];
  for (const { count, users } of classes) {
    while (buckets.length === 0 || count > buckets.at(-1)!.to) {
      const from = 2 ** buckets.length;
      buckets.push({ from, to: 2 * from - 1, users: 0, records: 0 });
    }
    buckets.at(-1)!.users += users;
    buckets.at(-1)!.records += users * count;
  }
  return buckets;
}

function effectOf(classes: readonly Class[], recordsPerUser: number): CapEffect {
  let records = 0;
  let usersCut = 0;
  for (const { count, users } of classes) {
    records += users * Math.min(count, recordsPerUser);
    if (count > recordsPerUser) usersCut += users;
  }
  return { recordsPerUser, records, share: records / recordsIn(classes), usersCut };
}

/**
 * What each of several caps would leave of a table.
 *
 * @param caps - values of recordsPerUser, at least 1
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * capEffects(new Map([[1, 2], [6, 1]]), [2]); // [{ recordsPerUser: 2, records: 4, share: 0.5, usersCut: 1 }]
 * ```
 */
export function capEffects(contributions: Contributions, caps: readonly number[] = defaultCaps): CapEffect[] {
  const classes = classesOf(contributions);
  return caps.map(cap => effectOf(classes, checkCount(cap, { verb, name: 'a cap' })));
}

/**
 * Describes the numbers of records per user.
 *
 * Gini = Σ(2i − U − 1)·xᵢ / (U·Σxᵢ) over ascending counts, i from 1. Every figure is exact while records × users stays
 * below 2^53, and to a few units in the last place beyond.
 *
 * @param input - contributions, or the records of each user in any order
 * @param options - `caps`: values of recordsPerUser whose effect is wanted; default 1, 2, 5, 10, 20, 50
 * @throws DpError `INVALID_DATA` where there are no users, `INVALID_ARGUMENT` for counts that are not whole and above 0
 * @example
 * ```ts
 * contributionStatistics([1, 1, 6]).caps[1]; // { recordsPerUser: 2, records: 4, share: 0.5, usersCut: 1 }
 * contributionStatistics(new Map([[1, 2], [6, 1]])).gini; // ~0.4167
 * ```
 */
export function contributionStatistics(
  input: Contributions | Iterable<number>,
  options: { caps?: readonly number[] } = {},
): ContributionStatistics {
  const classes = classesOf(input);
  const users = usersIn(classes);
  if (users === 0) {
    throw new DpError(
      'INVALID_DATA',
      'Cannot describe contributions: there are 0 users. Give a table with at least one record.',
    );
  }
  const records = recordsIn(classes);
  return {
    users,
    records,
    maximum: classes.at(-1)!.count,
    median: medianOf(classes, users),
    mean: records / users,
    gini: giniOf(classes, { users, records }),
    topPercentShare: topRecords(classes, Math.max(1, Math.floor(users / 100))) / records,
    histogram: histogramOf(classes),
    caps: (options.caps ?? defaultCaps).map(cap =>
      effectOf(classes, checkCount(cap, { verb, name: 'a cap' })),
    ),
  };
}
