import type { Bound, Interval } from './accountant.ts';
import { checkCount } from './check.ts';
import { epsilonOf, tightest, type BoundsByAccountant, type EpsilonOptions } from './epsilon.ts';
import { flattenEvent, poissonGroupEvent, type DpEvent, type PoissonGroupOptions } from './event.ts';
import { composedCurve, epsilonOfCurve } from './rdp/rdp.ts';
import type { RenyiCurve } from './rdp/renyi.ts';
import { findThreshold } from './numerics/threshold.ts';
import { totalSpent } from './spent.ts';

/** Poisson sampling of records, and how many of them one user may have. */
export interface GroupOptions extends PoissonGroupOptions, EpsilonOptions {}

/** The three ways from one record to a group, each an upper bound; the mixture has a lower one too. */
export type BoundsByConversion = Readonly<Record<'lemma' | 'rdp' | 'mixture', Bound>>;

/** ε of a group with the answers that it was made of. */
export interface GroupAnswer {
  /** The least upper bound of the three conversions; the mixture's lower bound. */
  readonly epsilon: Interval;
  readonly byConversion: BoundsByConversion;
  /** The accountants' answers on the mixture. */
  readonly byAccountant: BoundsByAccountant;
}

/**
 * ε for a user with up to `groupSize` records, each sampled on its own with `samplingProbability`, three ways.
 *
 * The mixture is tight; the lemma and RDP conversions are there for comparison. With one record all three
 * answer what the accountants answer. Where a conversion has no answer its upper bound is Infinity and its detail says why.
 *
 * @param options - groupSize: whole, 1 to 10,000; samplingProbability: of one record in one step
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const { byConversion } = groupEpsilon({
 *   noiseMultiplier: 2, samplingProbability: 0.01, steps: 1000, groupSize: 4, delta: 1e-6, neighbours: 'add-or-remove',
 * });
 * byConversion.mixture.upper; // ~3.270
 * byConversion.lemma.upper > byConversion.mixture.upper; // true
 * ```
 */
export function groupEpsilon(options: GroupOptions): GroupAnswer {
  const { bound: mixture, byAccountant } = mixtureBound(options);
  const [lemma, rdp] = [besideSpent(lemmaBound, options), besideSpent(renyiGroupBound, options)];
  const byConversion = { lemma, rdp, mixture };
  return { epsilon: tightest(Object.values(byConversion)), byConversion, byAccountant };
}

/** How the guarantee of a record becomes one of a group. */
export type Conversion = keyof BoundsByConversion;

/** One conversion's bound, and the accountants' answers where it asked them about the group itself. */
export interface ConvertedBound {
  readonly bound: Bound;
  readonly byAccountant: BoundsByAccountant;
}

/**
 * ε of a group by one of the three conversions, `spent` included: composed with the mixture, added to the others.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const options = {
 *   noiseMultiplier: 1, samplingProbability: 1, steps: 1, groupSize: 1, delta: 1e-6, neighbours: 'add-or-remove',
 * } as const;
 * convertGroup(options, 'rdp').bound.upper; // ~5.2215
 * ```
 */
export function convertGroup(options: GroupOptions, conversion: Conversion): ConvertedBound {
  if (conversion === 'mixture') return mixtureBound(options);
  const bound = besideSpent(conversion === 'lemma' ? lemmaBound : renyiGroupBound, options);
  return { bound, byAccountant: {} };
}

/**
 * What was spent on the group is not about records, so it takes no part in a conversion from them: ε and δ are added.
 */
function besideSpent(convert: (options: GroupOptions) => Bound, options: GroupOptions): Bound {
  const { epsilon, delta } = totalSpent(options.spent);
  if (epsilon === 0 && delta === 0) return convert(options);
  // Both by more than their rounding.
  const { upper, detail } = convert({ ...options, delta: (options.delta - delta) * (1 - 1e-12) });
  return { upper: (upper + epsilon) * (1 + 1e-15), detail: `${detail}, plus ${epsilon}` };
}

/**
 * The tight conversion: one step seen by the group is a mixture of Gaussians with Binomial sensitivity.
 *
 * Ganesh (arXiv 2401.10294), Theorem 3.1.
 *
 * @example
 * ```ts
 * const { bound } = mixtureBound({
 *   noiseMultiplier: 4, samplingProbability: 1, steps: 1, groupSize: 4, delta: 1e-6, neighbours: 'add-or-remove',
 * });
 * bound.upper; // ~4.8866
 * ```
 */
export function mixtureBound(options: GroupOptions): ConvertedBound {
  const event = poissonGroupEvent(options);
  const isMixture = flattenEvent(event).some(part => part.event.kind === 'mixture-of-gaussians');
  if (isMixture && options.neighbours === 'replace') {
    const detail = 'no dominating pair is proven for groups under replace';
    return { bound: { lower: 0, upper: Infinity, detail }, byAccountant: {} };
  }
  const { epsilon, byAccountant } = epsilonOf(event, options);
  const best = Object.entries(byAccountant).find(([, bound]) => bound.upper === epsilon.upper);
  return {
    bound: { ...epsilon, detail: best === undefined ? '' : `${best[0]}, ${best[1].detail}` },
    byAccountant,
  };
}

/**
 * The lemma: if one record has (e, d), a group of k has (k e, d (exp(k e) - 1) / (exp(e) - 1)).
 *
 * Vadhan, "The Complexity of Differential Privacy" (2017), Lemma 2.2. The record's δ is solved anew for the
 * answer: the least e is sought at which the record's ε at D (exp(e) - 1) / (exp(k e) - 1) is at most e; within 1e-4 of the least.
 *
 * @returns an upper bound; Infinity where the record's δ would fall below 1e-290
 * @example
 * ```ts
 * const { upper } = lemmaBound({
 *   noiseMultiplier: 8, samplingProbability: 0.5, steps: 100, groupSize: 1, delta: 1e-6, neighbours: 'add-or-remove',
 * });
 * upper; // ~2.930
 * ```
 */
export function lemmaBound(options: GroupOptions): Bound {
  const groupSize = checkCount(options.groupSize, { verb: 'account for a group', name: 'groupSize' });
  const event = recordEvent(options);
  const recordEpsilon = (delta: number): number => epsilonOf(event, { ...options, delta }).epsilon.upper;
  const least = recordEpsilon(options.delta / groupSize);
  if (least === 0 || groupSize === 1)
    return { upper: least, detail: `record's delta ${options.delta / groupSize}` };
  const found = findThreshold(
    logEpsilon => {
      const delta = recordDelta(Math.exp(logEpsilon), options.delta, groupSize);
      return delta < 1e-290 ? Infinity : Math.log(recordEpsilon(delta)) - logEpsilon;
    },
    { start: Math.log(least) + 0.1, slope: -0.7, tolerance: 1e-4, limits: [Math.log(least), Math.log(1e4)] },
  );
  if (found.value > 0) return { upper: Infinity, detail: "the record's delta would fall below 1e-290" };
  const epsilon = Math.exp(found.at);
  const delta = recordDelta(epsilon, options.delta, groupSize);
  return {
    upper: groupSize * epsilon,
    detail: `record's epsilon ${epsilon.toPrecision(4)} at delta ${delta.toExponential(3)}`,
  };
}

/** The run as one record sees it. A truncated one depends on the table's size, which changes along a chain of records. */
function recordEvent(options: GroupOptions): DpEvent {
  const isTruncated = options.sampling?.kind === 'truncated-poisson';
  return poissonGroupEvent({ ...options, groupSize: isTruncated ? options.groupSize : 1, spent: [] });
}

/**
 * The δ that one record may have so that `groupSize` of them together have (groupSize·epsilon, delta).
 *
 * @param epsilon - of one record, > 0
 * @param delta - of the group
 * @example
 * ```ts
 * recordDelta(0.5, 1e-6, 1); // 0.000001
 * recordDelta(0.5, 1e-6, 2); // ~3.775e-7
 * ```
 */
export function recordDelta(epsilon: number, delta: number, groupSize: number): number {
  if (groupSize === 1) return delta;
  // (e^x - 1) / (e^{kx} - 1) without overflow, lowered by more than its rounding.
  const ratio =
    Math.exp(-(groupSize - 1) * epsilon) * (Math.expm1(-epsilon) / Math.expm1(-groupSize * epsilon));
  return delta * ratio * (1 - 1e-12);
}

/**
 * Group privacy in Rényi's currency.
 *
 * A chain of records is halved by the weak triangle inequality (Mironov, arXiv 1702.07476, Proposition 11), its two
 * orders made equal. At every order and group size this is at most Proposition 2's 3^c ε(2^c α) with k rounded up to 2^c.
 *
 * @returns an upper bound, clearly looser than the other conversions
 * @example
 * ```ts
 * const { upper } = renyiGroupBound({
 *   noiseMultiplier: 2, samplingProbability: 1, steps: 1, groupSize: 1, delta: 1e-6, neighbours: 'add-or-remove',
 * });
 * upper; // ~2.4191
 * ```
 */
export function renyiGroupBound(options: GroupOptions): Bound {
  const groupSize = checkCount(options.groupSize, { verb: 'account for a group', name: 'groupSize' });
  const record = composedCurve(flattenEvent(recordEvent(options)), options.neighbours);
  return epsilonOfCurve(groupCurve(record, groupSize), options.delta);
}

/**
 * RDP of a group of `groupSize` from the RDP of one record.
 *
 * @example
 * ```ts
 * groupCurve(order => order, 2)(2) <= 3 * 4; // true
 * ```
 */
export function groupCurve(curve: RenyiCurve, groupSize: number): RenyiCurve {
  return order => {
    let sizes = new Map([[groupSize, 1]]);
    let total = 0;
    for (let inner = order; sizes.size > 0;) {
      const single = sizes.get(1);
      if (single !== undefined) total += single * curve(inner);
      // Both halves at order p·α = q(α - 1/p), 1/p + 1/q = 1.
      const split = 1 + Math.sqrt(1 - 1 / inner);
      sizes = halved(sizes, (inner - 1 / split) / (inner - 1));
      inner *= split;
    }
    return total;
  };
}

/** Chains of two or more cut in half; the smaller half takes the larger weight. */
function halved(sizes: ReadonlyMap<number, number>, weight: number): Map<number, number> {
  const next = new Map<number, number>();
  const add = (size: number, amount: number): void => void next.set(size, (next.get(size) ?? 0) + amount);
  for (const [size, amount] of sizes) {
    if (size === 1) continue;
    add(Math.floor(size / 2), amount * weight);
    add(Math.ceil(size / 2), amount);
  }
  return next;
}
