import type { Interval } from '../accounting/accountant.ts';
import type { PrivateHistogram } from './private-histogram.ts';
import { noiseRate } from './private-noise.ts';
import { noiseWidths } from './private-widths.ts';

/** A number that is not known exactly, and where it lies with the stated level of confidence. */
export interface Estimate {
  readonly estimate: number;
  readonly interval: Interval;
}

/** Bounds at every edge: index i stands for `ends[i]` records. */
interface Bounds {
  readonly lower: readonly number[];
  readonly upper: readonly number[];
}

/**
 * Users above and up to every edge, as a release shows them. `ends` begins with 0; index i of every array stands for
 * ends[i] records, and one index more for no limit at all.
 *
 * All bounds hold at once with probability `level`: noise added up from either end is a random walk with symmetric
 * steps, so that by Lévy's inequality its first n partial sums stay within ±w but for twice the chance that the n-th
 * alone does not. This is used for n = 1, 2, 4, … from both ends, each with an equal part of 1 - level.
 */
export interface Tails {
  readonly level: number;
  readonly ends: readonly number[];
  /** Users with more than ends[i] records, fitted: never rising and never below 0. */
  readonly above: readonly number[];
  readonly aboveBounds: Bounds;
  /** Users with at most ends[i] records. */
  readonly upToBounds: Bounds;
}

/** Bound on the sums of the first 0, 1, … noises, all at once. */
function walkWidths(release: PrivateHistogram, level: number): number[] {
  const terms = release.users.length;
  const blocks = [...new Set(Array.from({ length: terms }, (_, i) => blockOf(i + 1, terms)))];
  const probability = (1 - level) / (4 * blocks.length);
  const widths = noiseWidths(blocks, { rate: noiseRate(release.epsilon), probability });
  const widthOfBlock = new Map(blocks.map((block, index) => [block, widths[index]!]));
  return Array.from({ length: terms + 1 }, (_, count) =>
    count === 0 ? 0 : widthOfBlock.get(blockOf(count, terms))!,
  );
}

/** Least power of two of at least `count`, or `most`. */
function blockOf(count: number, most: number): number {
  return Math.min(most, 2 ** Math.ceil(Math.log2(count)));
}

/** Sums of the first 0, 1, … values. */
function partialSums(values: readonly number[]): number[] {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1)! + value);
  return sums;
}

/** Bounds on true partial sums, which never fall, from noisy ones. */
function risingBounds(noisy: readonly number[], widths: readonly number[]): Bounds {
  let most = Infinity;
  const upper = noisy
    .map((sum, index) => sum + widths[index]!)
    .toReversed()
    .map(bound => (most = Math.min(most, bound)))
    .toReversed();
  let least = 0;
  const lower = noisy.map((sum, index) => (least = Math.max(least, sum - widths[index]!)));
  return { lower, upper: upper.map((bound, index) => Math.max(bound, lower[index]!)) };
}

/** Pool adjacent violators: the never-falling values nearest to the given ones by weighted squares. */
function risingFit(values: readonly number[], weights: readonly number[]): number[] {
  const pools: { mean: number; weight: number; size: number }[] = [];
  for (const [index, mean] of values.entries()) {
    let pool = { mean, weight: weights[index]!, size: 1 };
    for (let last = pools.at(-1); last !== undefined && last.mean > pool.mean; last = pools.at(-1)) {
      const weight = last.weight + pool.weight;
      const pooled = (last.mean * last.weight + pool.mean * pool.weight) / weight;
      pool = { mean: pooled, weight, size: last.size + pool.size };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools.flatMap(({ mean, size }) => Array.from({ length: size }, () => mean));
}

function clamp(value: number, { lower, upper }: Interval): number {
  return Math.min(Math.max(value, lower), upper);
}

/** Least-squares fit of sums of 1, 2, … noisy counts, whose variance grows with their number, within its bounds. */
function fittedSums(noisy: readonly number[], bounds: Bounds): number[] {
  const sums = noisy.slice(1);
  const fit = risingFit(
    sums,
    sums.map((_, index) => 1 / (index + 1)),
  );
  return [0, ...fit].map((value, index) =>
    clamp(value, { lower: bounds.lower[index]!, upper: bounds.upper[index]! }),
  );
}

function reversed({ lower, upper }: Bounds): Bounds {
  return { lower: lower.toReversed(), upper: upper.toReversed() };
}

/** What a release tells about users above and up to each edge; computed from it alone, so it spends nothing. */
export function tailsOf(release: PrivateHistogram, level: number): Tails {
  const widths = walkWidths(release, level);
  const fromTop = partialSums(release.users.toReversed());
  const topBounds = risingBounds(fromTop, widths);
  return {
    level,
    ends: [0, ...release.edges],
    above: fittedSums(fromTop, topBounds).toReversed(),
    aboveBounds: reversed(topBounds),
    upToBounds: risingBounds(partialSums(release.users), widths),
  };
}

/** Users with more than `records`, which is at most the last end. */
export function usersAbove(tails: Tails, records: number): Estimate {
  const { ends, above, aboveBounds } = tails;
  const next = ends.findIndex(end => end >= records);
  const before = ends[next] === records ? next : next - 1;
  const part = next === before ? 0 : (records - ends[before]!) / (ends[next]! - ends[before]!);
  return {
    estimate: above[before]! + part * (above[next]! - above[before]!),
    interval: { lower: aboveBounds.lower[next]!, upper: aboveBounds.upper[before]! },
  };
}

function ratio(part: number, rest: number): number {
  return part + rest > 0 ? part / (part + rest) : 1;
}

/** Share of the users who have at most `records`. */
export function shareUpTo(tails: Tails, records: number): Estimate {
  const { ends, above, upToBounds } = tails;
  const next = ends.findIndex(end => end >= records);
  const before = ends[next] === records ? next : next - 1;
  const more = usersAbove(tails, records);
  const interval = {
    lower: ratio(upToBounds.lower[before]!, more.interval.upper),
    upper: ratio(upToBounds.upper[next]!, more.interval.lower),
  };
  return { estimate: clamp(ratio(above[0]! - more.estimate, more.estimate), interval), interval };
}

/** The records with places `from` + 1 to `to` among those of their user, under each of the three profiles. */
interface Sums {
  lower: number;
  estimate: number;
  upper: number;
}

/**
 * Adds the places of one bucket: the number of users who have a v-th record falls from those above its lower end, which
 * it is at the first place, to no fewer than those above its upper end; the estimate takes the fall as even.
 */
function addBucket(sums: Sums, tails: Tails, bucket: { index: number; from: number; to: number }): void {
  const { index, from, to } = bucket;
  const { ends, above, aboveBounds } = tails;
  const start = ends[index]!;
  const width = ends[index + 1]! - start;
  const places = to - from;
  const isFirst = from === start;
  const fall = (above[index]! - above[index + 1]!) / width;
  sums.upper += places * aboveBounds.upper[index]!;
  sums.lower += places * aboveBounds.lower[index + 1]!;
  if (isFirst) sums.lower += aboveBounds.lower[index]! - aboveBounds.lower[index + 1]!;
  sums.estimate += places * above[index]! - fall * ((places * (from - start + to - start - 1)) / 2);
}

/**
 * Records that a cap at `to` keeps and a cap at `from` does not.
 *
 * @param span - 0 <= from <= to, at most the last end
 */
export function recordsBetween(tails: Tails, span: { from: number; to: number }): Estimate {
  const sums = { lower: 0, estimate: 0, upper: 0 };
  for (let index = 0; index + 1 < tails.ends.length; index++) {
    const from = Math.max(span.from, tails.ends[index]!);
    const to = Math.min(span.to, tails.ends[index + 1]!);
    if (from < to) addBucket(sums, tails, { index, from, to });
  }
  const { lower, estimate, upper } = sums;
  return { estimate: clamp(estimate, { lower, upper }), interval: { lower, upper } };
}

/** The least edge above which the release shows no user for certain; what lies beyond cannot be told from noise. */
export function lastVisibleEnd({ ends, aboveBounds }: Tails): number {
  const visible = aboveBounds.lower.findLastIndex(users => users > 0);
  return ends[Math.min(visible + 1, ends.length - 1)]!;
}

/** Share of the records, counted up to the last end for each user, that a cap keeps. */
export function shareKept(tails: Tails, recordsPerUser: number): Estimate {
  const largest = tails.ends.at(-1)!;
  const visible = Math.max(recordsPerUser, lastVisibleEnd(tails));
  const kept = recordsBetween(tails, { from: 0, to: recordsPerUser });
  const cut = recordsBetween(tails, { from: recordsPerUser, to: largest });
  const seen = recordsBetween(tails, { from: recordsPerUser, to: visible });
  const interval = {
    lower: ratio(kept.interval.lower, cut.interval.upper),
    upper: ratio(kept.interval.upper, cut.interval.lower),
  };
  return { estimate: clamp(ratio(kept.estimate, seen.estimate), interval), interval };
}
