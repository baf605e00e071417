import type { Accountant } from '../accountant.ts';
import { flattenEvent, type DpEvent } from '../event.ts';
import { compositionsOf, directionsOf, partWithoutLaws } from '../laws/composition.ts';
import { repeatedLoss } from '../laws/cumulants.ts';
import { tabulate } from '../laws/table.ts';
import { pldDeltas, pldEpsilon } from '../pld/pld.ts';
import { latticeOf } from '../pld/window.ts';
import { certifiedDeltas, certifiedEpsilon, type CertifiedOptions } from '../profiles/certified.ts';
import type { ComposedDelta } from '../profiles/search-delta.ts';
import type { CertifiedBound, Composer, DirectedAnswer } from '../profiles/search.ts';
import { composeOnLine, type ContourProfile } from './compose.ts';
import { exactDelta, invertExact } from './value.ts';

/**
 * The exact accountant: δ(ε) by inversion of the privacy loss's transform along a vertical line through the saddle point
 * (Alghamdi et al., arXiv 2208.09595, Theorem 3.1).
 *
 * Answers a value that is right to about ten digits (nine where taking part is rare) and, beside it, an interval that is certified whatever the mechanism is
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

const composer: Composer<ContourProfile> = {
  compose: composeOnLine,
  describe: ({ spectrum, deviation }) =>
    `contour of ${spectrum.logs.length} terms, a Gaussian of ratio ${deviation.toExponential(1)} composed in`,
  isFinest: ({ isFinest }) => isFinest,
  usualGap: () => 4e-5,
  acceptedGap: 1e-4,
};

const answering = { verb: 'account exactly', composer };

/** An interval and the value in it. */
export interface ExactBound extends CertifiedBound {
  /** The truth to nine or ten digits, within [lower, upper]; missing where only bounds on the truth are known. */
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
  return fallBack(bound, pldEpsilon(event, options));
}

/** Extrapolations that differ by no more give ten digits of ε; a finer line is laid where they differ by more. */
const wellAgreed = 1e-9;
const [finerGap, looselyAgreed] = [2e-6, 1e-7];

function valueOf(answer: DirectedAnswer<ContourProfile>, delta: number): number | undefined {
  const { profile, lower, upper, whole } = answer;
  const { parts, tilt } = whole ?? { parts: answer.parts, tilt: profile.tilt };
  // With more of the tails cut the profile is that of another law.
  const first = whole === undefined ? exactDelta(profile, { around: upper, agreed: wellAgreed }) : undefined;
  const finer = (): ContourProfile => composeOnLine(parts, { tilt, epsilon: upper, gap: finerGap * upper });
  const isFinest = whole === undefined && profile.isFinest;
  const of = first ?? (isFinest ? undefined : exactDelta(finer(), { around: upper, agreed: looselyAgreed }));
  return of && invertExact(of, { delta, lower, upper });
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
  return profiles.map(profile => exactDelta(profile, { around: epsilon, agreed: looselyAgreed })?.(epsilon));
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
