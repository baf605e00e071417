import type { Interval } from '../accounting/accountant.ts';
import { checkCount, checkDelta, DpError } from '../accounting/check.ts';
import type { PrivateHistogram } from './private-histogram.ts';
import {
  type Estimate,
  lastVisibleEnd,
  recordsBetween,
  shareKept,
  shareUpTo,
  type Tails,
  tailsOf,
  usersAbove,
} from './private-tails.ts';
import type { PrivateOrigin } from './safety.ts';
import { defaultCaps } from './statistics.ts';

export type { Estimate } from './private-tails.ts';

/** Numbers of records from `from` to `to`; null is no upper limit. */
export interface RecordsRange {
  readonly from: number;
  readonly to: number | null;
}

/** The least number of records that `share` of the users do not exceed: the bucket it seems to lie in, and where it can. */
export interface PrivateQuantile {
  readonly share: number;
  readonly estimate: RecordsRange;
  readonly interval: RecordsRange;
}

/** What a cap would leave, as far as a release tells. */
export interface PrivateCapEffect {
  readonly recordsPerUser: number;
  readonly records: Estimate;
  /** Of the records counted up to `largest` for each user. */
  readonly shareKept: Estimate;
  readonly usersCut: Estimate;
  /** Of all users, those who keep everything. */
  readonly shareUncut: Estimate;
}

/** Contribution statistics under user-level privacy; may be shown to anyone at the stated cost. */
export interface PrivateStatistics extends PrivateOrigin {
  /** All intervals hold at once with this probability over the noise. */
  readonly level: number;
  /** Records of one user beyond this number are not counted. */
  readonly largest: number;
  readonly users: Estimate;
  /**
   * Records, counted up to `largest` for each user. The estimate takes as absent what cannot be told from noise, so it
   * tends to be low; the upper end of the interval allows for all of it, so it may be far off.
   */
  readonly records: Estimate;
  readonly median: PrivateQuantile;
  readonly quantiles: readonly PrivateQuantile[];
  /** The release itself: noisy numbers of users. */
  readonly histogram: readonly (RecordsRange & { readonly users: number })[];
  readonly caps: readonly PrivateCapEffect[];
}

export interface PrivateStatisticsOptions {
  /** Probability with which all intervals hold at once; default 0.95. */
  readonly level?: number | undefined;
  /** Values of recordsPerUser whose effect is wanted; default those of the raw statistics, as far as the edges go. */
  readonly caps?: readonly number[] | undefined;
  /** Shares of users whose quantile is wanted; default 0.9, 0.95, 0.99. */
  readonly shares?: readonly number[] | undefined;
}

const verb = 'describe contributions privately';

/** Refuses a cap that the release cannot tell apart from larger ones. */
export function checkWithinEdges(recordsPerUser: number, { edges }: PrivateHistogram): number {
  checkCount(recordsPerUser, { verb, name: 'a cap' });
  const largest = edges.at(-1)!;
  if (recordsPerUser <= largest) return recordsPerUser;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: cap ${recordsPerUser} is above the largest edge ${largest}. Release with larger edges, or leave that cap out.`,
  );
}

function rangeOf({ ends }: Tails, from: number, to: number): RecordsRange {
  return { from: ends[from - 1]! + 1, to: ends[to] ?? null };
}

/** First index from 1 on whose share reaches the wanted one; the index past the last end stands for all users. */
function firstReaching(shares: readonly number[], wanted: number): number {
  const found = shares.findIndex((share, index) => index > 0 && share >= wanted);
  return found < 0 ? shares.length : found;
}

function quantileOf(tails: Tails, share: number): PrivateQuantile {
  checkDelta(share, { verb, name: 'a share' });
  const shares = tails.ends.map(end => shareUpTo(tails, end));
  const at = (read: (found: Estimate) => number): number => firstReaching(shares.map(read), share);
  const found = at(({ estimate }) => estimate);
  const least = at(({ interval }: { interval: Interval }) => interval.upper);
  const most = at(({ interval }: { interval: Interval }) => interval.lower);
  return { share, estimate: rangeOf(tails, found, found), interval: rangeOf(tails, least, most) };
}

function effectOf(tails: Tails, recordsPerUser: number): PrivateCapEffect {
  return {
    recordsPerUser,
    records: recordsBetween(tails, { from: 0, to: recordsPerUser }),
    shareKept: shareKept(tails, recordsPerUser),
    usersCut: usersAbove(tails, recordsPerUser),
    shareUncut: shareUpTo(tails, recordsPerUser),
  };
}

function totalRecords(tails: Tails): Estimate {
  const { interval } = recordsBetween(tails, { from: 0, to: tails.ends.at(-1)! });
  const { estimate } = recordsBetween(tails, { from: 0, to: lastVisibleEnd(tails) });
  return { estimate, interval };
}

/** What a release cost, without its counts. */
export function originOfRelease(release: PrivateHistogram): PrivateOrigin {
  const { kind, epsilon, delta, neighbours, unit, mechanism, release: name } = release;
  return { kind, epsilon, delta, neighbours, unit, mechanism, release: name };
}

/**
 * Describes contributions from one noisy histogram. Everything here is computed from the release alone, so it costs
 * nothing beyond the release, whatever is asked and however often.
 *
 * @param options - `level`: strictly between 0 and 1; `caps`: at most the release's largest edge; `shares`: of users
 * @returns intervals that hold all at once with probability `level` over the noise
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { releaseContributions } from 'privacy-unit/selection';
 * const release = releaseContributions(new Map([[1, 9000], [12, 1000]]), { epsilon: 2, edges: [1, 5, 10, 20] });
 * const { users, caps } = privateStatistics(release, { level: 0.999999, caps: [10] });
 * users.interval.lower <= 10000 && 10000 <= users.interval.upper; // true
 * Math.abs(caps[0].shareUncut.estimate - 0.9) < 0.01; // true
 * ```
 */
export function privateStatistics(
  release: PrivateHistogram,
  options: PrivateStatisticsOptions = {},
): PrivateStatistics {
  const level = checkDelta(options.level ?? 0.95, { verb, name: 'level' });
  const largest = release.edges.at(-1)!;
  const caps = options.caps ?? defaultCaps.filter(cap => cap <= largest);
  const tails = tailsOf(release, level);
  return {
    ...originOfRelease(release),
    level,
    largest,
    users: usersAbove(tails, 0),
    records: totalRecords(tails),
    median: quantileOf(tails, 0.5),
    quantiles: (options.shares ?? [0.9, 0.95, 0.99]).map(share => quantileOf(tails, share)),
    histogram: release.users.map((users, index) => ({ ...rangeOf(tails, index + 1, index + 1), users })),
    caps: caps.map(cap => effectOf(tails, checkWithinEdges(cap, release))),
  };
}
