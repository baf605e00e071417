import { checkCount, DpError } from '../../check.ts';
import { normalQuantile } from '../../numerics/normal.ts';
import type { Interval } from '../../accountant.ts';
import { checkAuditDelta, checkSignificance, verb } from './arguments.ts';
import type { EpsilonEstimate } from './bound.ts';

/** Outcomes of exchangeable canaries: how many of the `width` canaries of each run were hit. */
export interface Outcomes {
  readonly hits: readonly number[];
  readonly width: number;
}

/** How many moments of the runs a limit uses. */
export type LiftedOrder = 1 | 2 | 4;

/** Means over the runs of the chances that one, two, three, four canaries of a run are all hit. */
type Moments = readonly [one: number, two: number, three: number, four: number];

function momentsOf({ hits, width: k }: Outcomes): Moments {
  const sums: [number, number, number, number] = [0, 0, 0, 0];
  for (const hit of hits) {
    let moment = 1;
    for (let order = 0; order < 4; order += 1) {
      moment = k > order ? (moment * (hit - order)) / (k - order) : 0;
      sums[order]! += moment;
    }
  }
  const [one, two, three, four] = sums;
  const n = hits.length;
  return [one / n, two / n, three / n, four / n];
}

/** Roots of A x² - B x + C = 0 within [0, 1], never looser than the distance that Hoeffding's variance allows. */
function limits(of: { a: number; b: number; c: number; mean: number; slack: number }): Interval {
  const { a, b, c, mean, slack } = of;
  const root = Math.sqrt(Math.max(0, b * b - 4 * a * c));
  return {
    lower: Math.max(0, mean - slack, (b - root) / (2 * a)),
    upper: Math.min(1, mean + slack, (b + root) / (2 * a)),
  };
}

interface Level {
  readonly n: number;
  readonly z: number;
  readonly slack: number;
}

function levelOf(n: number, level: number): Level {
  const z = -normalQuantile(level);
  return { n, z, slack: z * Math.sqrt(1 / (4 * n)) };
}

/** Wilson's limits of a mean. */
function first(mean: number, { n, z, slack }: Level): Interval {
  return limits({ a: n + z * z, b: 2 * n * mean + z * z, c: n * mean * mean, mean, slack });
}

/** Limits of the mean that know the second moment. */
function second(mean: number, pairs: number, { n, z, slack, k }: Level & { readonly k: number }): Interval {
  const c = n * mean * mean - z * z * ((k - 1) / k) * pairs;
  return limits({ a: n + z * z, b: 2 * n * mean + (z * z) / k, c, mean, slack });
}

/** Limits of the second moment that know the third and fourth. */
function fourth(
  pairs: number,
  [triples, quads]: readonly [number, number],
  { n, z, slack, k }: Level & { readonly k: number },
): Interval {
  const ordered = k * k - k;
  const spread = ((k - 2) * (k - 3)) / ordered;
  const c =
    n * pairs * pairs - z * z * (spread * (quads - triples * triples) + (4 * (k - 2) * triples) / ordered);
  return limits({
    a: n + (2 * z * z * (1 + 2 * (k - 2))) / ordered,
    b: 2 * n * pairs + (2 * z * z) / ordered,
    c,
    mean: pairs,
    slack,
  });
}

/**
 * Limits of the probability that a canary is hit, from runs with several exchangeable canaries each.
 *
 * Pillutla et al. (arXiv 2305.18447): the correlation of the canaries of a run is estimated too, by higher moments. Asymptotic: right
 * for many runs, no promise for few. Each limit is one-sided at `level`.
 *
 * @param outcomes - hits: whole, between 0 and width, one a run; width: >= 4
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const hits = Array.from({ length: 100 }, (_, run) => (7 * run) % 9);
 * liftedLimits({ hits, width: 8 }, { level: 0.05, order: 2 }).lower; // ~0.397002
 * ```
 */
export function liftedLimits(
  outcomes: Outcomes,
  { level, order }: { readonly level: number; readonly order: LiftedOrder },
): Interval {
  checkOutcomes(outcomes);
  checkSignificance(level);
  const [one, two, three, four] = momentsOf(outcomes);
  const { hits, width: k } = outcomes;
  const at = (share: number): Level & { readonly k: number } => ({ ...levelOf(hits.length, share), k });
  if (order === 1) return first(one, at(level));
  if (order === 2) return second(one, first(two, at(level / 2)).upper, at(level / 2));
  const quarter = at(level / 4);
  const above: [number, number] = [first(three, quarter).upper, first(four, quarter).upper];
  return second(one, fourth(two, above, quarter).upper, quarter);
}

function checkOutcomes({ hits, width }: Outcomes): void {
  checkCount(width, { verb, name: 'width', least: 4 });
  checkCount(hits.length, { verb, name: 'the number of runs' });
  for (const hit of hits) {
    checkCount(hit, { verb, name: 'hits', least: 0 });
    if (hit <= width) continue;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: a run has ${hit} hits among ${width} canaries. Give at most ${width}.`,
    );
  }
}

/**
 * Estimate of ε at δ from runs with several canaries each: log((p - δ) / q) with p the lower limit of hits among canaries that took
 * part and q the upper limit among canaries that never did, half of the significance each.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const included = { hits: [8, 7, 8, 8, 6, 8, 8, 8], width: 8 };
 * const left = { hits: [0, 1, 0, 0, 0, 2, 0, 0], width: 8 };
 * liftedEstimate({ included, left, delta: 1e-5, significance: 0.05, order: 2 }).epsilon; // ~0.28625
 * ```
 */
export function liftedEstimate(question: {
  readonly included: Outcomes;
  readonly left: Outcomes;
  readonly delta: number;
  readonly significance: number;
  readonly order: LiftedOrder;
}): EpsilonEstimate {
  const { included, left, order } = question;
  const delta = checkAuditDelta(question.delta);
  const level = checkSignificance(question.significance) / 2;
  const { lower } = liftedLimits(included, { level, order });
  const { upper } = liftedLimits(left, { level, order });
  return {
    side: 'estimate',
    epsilon: Math.max(0, Math.log((lower - delta) / upper) || 0),
    because: 'its limits are asymptotic',
  };
}
