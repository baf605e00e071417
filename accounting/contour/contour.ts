import type { Accountant } from '../accountant.ts';
import { flattenEvent, type DpEvent } from '../event.ts';
import { compositionsOf, directionsOf, partWithoutLaws } from '../laws/composition.ts';
import { repeatedLoss } from '../laws/cumulants.ts';
import { tabulate } from '../laws/table.ts';
import { pldDeltas, pldEpsilon } from '../pld/pld.ts';
import { latticeOf } from '../pld/window.ts';
import { certifiedDeltas, certifiedEpsilon, type CertifiedOptions } from '../profiles/certified.ts';
import type { Profile } from '../profiles/profile.ts';
import { peel, single, type PeeledProfile } from '../profiles/peel.ts';
import type { ComposedDelta } from '../profiles/search-delta.ts';
import type { CertifiedBound, Composer } from '../profiles/composer.ts';
import type { DirectedAnswer } from '../profiles/search.ts';
import { composeOnLine, type ContourProfile } from './compose.ts';
import { exactDelta, invertExact, type ExactDelta } from './value.ts';

/**
 * The exact accountant: δ(ε) by inversion of the privacy loss's transform along a vertical line through the saddle point
 * (Alghamdi et al., arXiv 2208.09595, Theorem 3.1).
 *
 * Answers a value that is right to about ten digits and, beside it, an interval that is certified whatever the mechanism is
 * (contour/compose.ts says how). Where the terms of the value don't end the value is the middle of what this interval and that of the
 * PLD accountant leave, if that is narrow, and the detail says so.
 *
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * const run = { kind: 'repeated', event: step, count: 10000 } as const;
 * const { value, lower, upper } = exactAccountant.epsilon(run, { delta: 1e-6, neighbours: 'add-or-remove' });
 * value; // ~6.907384495
 * upper - lower < 1e-4 * upper; // true
 * ```
 */
export const exactAccountant: Accountant = {
  name: 'exact',
  unsupported: partWithoutLaws,
  epsilon: exactEpsilon,
  delta: (event, options) => exactDeltas(event, { ...options, epsilons: [options.epsilon] })[0]!,
};

/** Laws as transforms along a line. */
export const lineComposer: Composer<ContourProfile> = {
  compose: composeOnLine,
  describe: ({ spectrum, deviation }) =>
    `contour of ${spectrum.logs.length} terms, a Gaussian of ratio ${deviation.toExponential(1)} composed in`,
  isFinest: ({ isFinest }) => isFinest,
  usualGap: () => 4e-5,
  acceptedGap: 1e-4,
};

const answering = { verb: 'account exactly', composer: lineComposer };

/** An interval and the value in it. */
export interface ExactBound extends CertifiedBound {
  /** The truth to about ten digits, within [lower, upper]; missing where only bounds on the truth are known. */
  readonly value?: number;
}

/**
 * ε at δ: the value and an interval around it.
 *
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * exactEpsilon({ kind: 'gaussian', noiseMultiplier: 1 }, { delta: 1e-6, neighbours: 'add-or-remove' }).value; // ~4.886554117462
 * ```
 */
export function exactEpsilon(
  event: DpEvent,
  options: CertifiedOptions & { readonly delta: number },
): ExactBound {
  if (isOnLattice(event, options)) return onLattice(pldEpsilon(event, options));
  const { bound, looks, isTight } = certifiedEpsilon(event, options, answering);
  if (!isTight) return bound;
  if (isNarrow(bound)) return middle(bound);
  const values = looks.map(look => valueOf(look, options.delta));
  if (values.length > 0 && values.every(value => value !== undefined))
    return withValue(bound, Math.max(...values));
  const isGood = bound.upper - bound.lower <= (options.relativeGap ?? lineComposer.acceptedGap) * bound.upper;
  return isGood ? middle(bound) : fallBack(bound, pldEpsilon(event, options));
}

/** Extrapolations that differ by no more than this share of δ are trusted: in a sum of terms, on the line at hand, on a finer one. */
const [termsAgreed, wellAgreed, looselyAgreed] = [1e-9, 1e-9, 1e-7];
const finerGap = 2e-6;

/** From the line at hand where its terms end, else from a sum by the largest losses, else extrapolated. */
function valueOf(answer: DirectedAnswer<ContourProfile>, delta: number): number | undefined {
  const { profile, lower, upper, parts } = answer;
  const request = { epsilon: upper, gap: finerGap * upper };
  const summed = (sum: PeeledProfile<ContourProfile> | undefined, agreed: number): ExactDelta | undefined =>
    sum && sumOfExact(sum, { around: upper, agreed });
  const apart = (): ExactDelta | undefined =>
    summed(peel(parts, { ...request, logDelta: Math.log(delta), doubt: 1 }, lineComposer), termsAgreed);
  const isSum = profile.terms.length !== 1 || profile.far !== undefined;
  const found = isSum
    ? summed(profile, termsAgreed)
    : (summed(profile, 0) ??
      apart() ??
      summed(profile, wellAgreed) ??
      summed(single(composeOnLine(parts, { ...request, tilt: profile.tilt })), looselyAgreed));
  return found && invertExact(found, { delta, lower, upper });
}

/** log of the δ that a profile shows, without its error. */
function logDeltaOf({ logScale, tilt, ...profile }: Profile, epsilon: number): number {
  return logScale - tilt * epsilon + Math.log(profile.valueAt(epsilon));
}

/** The exact δ of a sum of profiles; undefined where one of them has none that is right to `agreed` of the whole. */
function sumOfExact(
  profile: PeeledProfile<ContourProfile>,
  { around, agreed }: { readonly around: number; readonly agreed: number },
): ExactDelta | undefined {
  const { terms, far, infinite } = profile;
  const whole = logDeltaOf(profile, around);
  const found = terms.map(term => {
    const share = Math.exp(term.logWeight + logDeltaOf(term.profile, around) - whole);
    return exactDelta({ ...term.profile, infinite: 0 }, { around, agreed: agreed / share });
  });
  if (found.some(each => each === undefined)) return undefined;
  const farAt = (epsilon: number): number =>
    far === undefined ? 0 : Math.exp(far.logScale) * far.valueAt(epsilon);
  return epsilon =>
    found.reduce(
      (sum, of, index) => sum + of!(epsilon) * Math.exp(terms[index]!.logWeight),
      infinite + farAt(epsilon),
    );
}

/**
 * δ at each of several ε: values and intervals around them.
 *
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * const [{ value }] = exactDeltas({ kind: 'gaussian', noiseMultiplier: 1 }, { epsilons: [1], neighbours: 'add-or-remove' });
 * value; // ~0.1269367375
 * ```
 */
export function exactDeltas(
  event: DpEvent,
  options: CertifiedOptions & { readonly epsilons: readonly number[] },
): ExactBound[] {
  if (isOnLattice(event, options)) return pldDeltas(event, options).map(onLattice);
  const answers = certifiedDeltas(event, options, answering);
  return answers.map((answer, index) => {
    const epsilon = options.epsilons[index]!;
    if (!answer.isTight) return answer.bound;
    if (isNarrow(answer.bound)) return middle(answer.bound);
    const values = deltaValues(answer, epsilon);
    if (values.length > 0 && values.every(value => value !== undefined))
      return withValue(answer.bound, Math.max(...values));
    return fallBack(answer.bound, pldDeltas(event, { ...options, epsilons: [epsilon] })[0]!);
  });
}

function deltaValues({ profiles }: ComposedDelta<ContourProfile>, epsilon: number): (number | undefined)[] {
  return profiles.map(profile => sumOfExact(profile, { around: epsilon, agreed: looselyAgreed })?.(epsilon));
}

/**
 * Whether every loss of every step is a multiple of one number. Then the transform is periodic and its terms never end, while the
 * PLD accountant composes such losses without any error of discretisation.
 */
function isOnLattice(event: DpEvent, { neighbours }: CertifiedOptions): boolean {
  if (!flattenEvent(event).every(part => discreteKinds.has(part.event.kind))) return false;
  const { dominating, attained } = compositionsOf(event, { neighbours, verb: answering.verb });
  if (dominating === undefined || dominating !== attained || dominating.gaussianRatio > 0) return false;
  const laws = directionsOf(dominating).flatMap(({ steps }) => steps.map(({ law }) => law));
  if (laws.some(({ curves }) => curves.length > 0)) return false;
  return latticeOf(laws.map(law => repeatedLoss(tabulate(law, -700), 1))) !== undefined;
}

const discreteKinds: ReadonlySet<string> = new Set(['discrete-gaussian', 'randomised-response', 'guarantee']);

function onLattice(bound: CertifiedBound): ExactBound {
  return middle({ ...bound, detail: `all losses lie on a lattice: pld, ${bound.detail}` });
}

function isNarrow({ lower, upper }: CertifiedBound): boolean {
  return lower === upper || upper - lower <= 1e-10 * upper;
}

function withValue(bound: CertifiedBound, value: number): ExactBound {
  return { ...bound, value: Math.min(bound.upper, Math.max(bound.lower, value)) };
}

/** The middle of an interval says something of the truth only where the interval does. */
const widestMiddle = 1e-3;

function middle(bound: CertifiedBound): ExactBound {
  const { lower, upper } = bound;
  if (lower === upper) return { ...bound, value: upper };
  // Below 1e-300 doubles end, and with them what an interval can say.
  const isTelling = upper - lower <= widestMiddle * upper || upper <= 1e-300;
  return isTelling ? { ...bound, value: lower + (upper - lower) / 2 } : bound;
}

function fallBack(ours: CertifiedBound, pld: CertifiedBound): ExactBound {
  const width = ({ lower, upper }: CertifiedBound): number => upper - lower;
  const [name, narrower] = width(pld) < width(ours) ? ['pld', pld] : ['contour', ours];
  return middle({
    lower: Math.max(ours.lower, pld.lower),
    upper: Math.min(ours.upper, pld.upper),
    detail: `the terms of the exact sum don't end; interval by ${name}: ${narrower.detail}`,
  });
}
