import { cumulantAt, type RepeatedLoss } from '../laws/cumulants.ts';
import { carefulCumulant } from '../laws/nodes.ts';
import { minimise } from '../numerics/minimise.ts';
import { massOf, splitFar, subLaw, withoutLosses } from './far.ts';
import type { Profile } from './profile.ts';
import { highestWeight, leftOut, type Composer } from './composer.ts';

/*
 * Where taking part is rare and δ tiny, δ is made by one large loss among many steps (the principle of a single big jump). A moment
 * of the whole composition is then made by losses far above ε, however little they weigh in δ, and no single tilt shows δ above the
 * rounding of such a moment. So each step's law is cut in three, and the composition is written as a sum:
 *
 *     some loss far above ε: in closed form (far.ts);
 *     no far loss, and none or one above a threshold: each a composition with a tilt of its own;
 *     two or more above it: with m expected, at most m²/2 (union bound).
 *
 * All terms are positive measures, so their δ add up, and what is left out of a lower bound leaves it a lower bound.
 */

/** One of the compositions that a law is the sum of. */
export interface PeeledTerm<P extends Profile> {
  readonly profile: P;
  /** log of the number of steps that the large loss may be that of. */
  readonly logWeight: number;
}

/** δ of a composition as the sum over terms. */
export interface PeeledProfile<P extends Profile> extends Profile {
  readonly terms: readonly PeeledTerm<P>[];
  /** δ of all runs with a loss far above ε, where they were split off. */
  readonly far?: Profile | undefined;
}

/** A profile as a sum of one. */
export function single<P extends Profile>(profile: P): PeeledProfile<P> {
  return { ...profile, terms: [{ profile, logWeight: 0 }] };
}

/** Where a peeled profile is wanted. */
export interface PeelRequest {
  readonly epsilon: number;
  readonly gap: number;
  /** About what δ is there. */
  readonly logDelta: number;
}

/** Losses of one part above the threshold. */
interface Jump {
  readonly part: number;
  readonly law: RepeatedLoss;
}

/** A composition cut at a threshold. */
interface Split {
  readonly small: readonly RepeatedLoss[];
  readonly jumps: readonly Jump[];
  /** Expected number of losses above the threshold. */
  readonly expected: number;
}

/** A bound exp(log - tilt·ε) on a term's δ by its moment (Chernoff), at the tilt where it is least. */
interface MomentBound {
  readonly tilt: number;
  /** log of the bound at the ε asked for. */
  readonly log: number;
}

/** A way to cut a composition with what is known of its terms. */
interface Plan {
  readonly split: Split;
  readonly none: MomentBound;
  /** Jumps whose terms are composed, with what bounds them. */
  readonly jumps: readonly { readonly jump: Jump; readonly bound: MomentBound }[];
  /** Bound on δ of all terms with more jumps. */
  readonly more: number;
  /** Share of δ that will stay in doubt, by estimate. */
  readonly doubt: number;
}

/** More parts than this with large losses of their own would take too many compositions. */
const mostJumpingParts = 3;
/** Above this expected number of large losses the union bound on two of them says nothing. */
const mostExpected = 0.1;
/** Share of one term that rounding puts in doubt, per step. */
const roundingPerStep = 5e-14;
/** A plan that leaves more of δ in doubt says too little for its price. */
const mostDoubt = 0.1;
/** A term without large losses below this share of δ is bounded, not composed. */
const logBounded = -30;

/**
 * δ around one ε as a sum over terms that are each tilted to where they are visible.
 *
 * @param doubt - share of δ that is in doubt without; a plan that does not better it by far is not carried out
 * @returns undefined where peeling doesn't help
 */
export function peel<P extends Profile>(
  parts: readonly RepeatedLoss[],
  request: PeelRequest & { readonly doubt: number },
  composer: Composer<P>,
): PeeledProfile<P> | undefined {
  const far = splitFar(parts, request);
  const plan = bestPlan(far?.near ?? parts, request);
  if (!(plan.doubt < Math.min(mostDoubt, 0.3 * request.doubt))) return undefined;
  const { split, none, jumps } = plan;
  const isNoneComposed = none.log > request.logDelta + logBounded;
  const jumpBounds = jumps.map(({ bound }) => bound);
  const bounds = isNoneComposed ? [none, ...jumpBounds] : jumpBounds;
  if (bounds.length === 0 && far === undefined) return undefined;
  const tilt = bounds.length > 0 ? meanTilt(bounds) : 1 / request.epsilon;
  const termOf = (chain: readonly RepeatedLoss[], at: MomentBound, logWeight: number): PeeledTerm<P> => {
    const gap = (request.gap * (1 + at.tilt)) / (1 + tilt);
    const profile = composer.compose(chain, { tilt: at.tilt, epsilon: request.epsilon, gap });
    return { profile: { ...profile, outside: 0, infinite: 0 }, logWeight };
  };
  const jumped = jumps.map(({ jump, bound }) =>
    termOf(withJump(split, jump), bound, Math.log(parts[jump.part]!.count)),
  );
  const terms = isNoneComposed ? [termOf(split.small, none, 0), ...jumped] : jumped;
  const rest = isNoneComposed ? undefined : carefulBound(split.small, none.tilt);
  const { outside, infinite } = leftOut(parts);
  return {
    ...sumOf(terms, { tilt, epsilon: request.epsilon, rest, far: far?.profile }),
    outside: outside + plan.more * (1 + 1e-9),
    infinite,
  };
}

/** Tilts weighted with what their terms weigh in δ. */
function meanTilt(bounds: readonly MomentBound[]): number {
  const most = Math.max(...bounds.map(({ log }) => log));
  const weights = bounds.map(({ log }) => Math.exp(log - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return bounds.reduce((sum, { tilt }, index) => sum + tilt * (weights[index]! / total), 0);
}

/** Profiles with weights, added up; `rest` is a bound exp(log - tilt·ε) on what was not composed. */
function sumOf<P extends Profile>(
  terms: readonly PeeledTerm<P>[],
  at: {
    readonly tilt: number;
    readonly epsilon: number;
    readonly rest?: { readonly tilt: number; readonly log: number } | undefined;
    readonly far?: Profile | undefined;
  },
): Omit<PeeledProfile<P>, 'outside' | 'infinite'> {
  const { tilt, rest, far } = at;
  const summands: readonly PeeledTerm<Profile>[] =
    far === undefined ? terms : [...terms, { profile: far, logWeight: 0 }];
  const logs = summands.map(({ profile, logWeight }) => ({
    log: logWeight + profile.logScale,
    slope: tilt - profile.tilt,
  }));
  const logScale = Math.max(...logs.map(({ log, slope }) => log + slope * at.epsilon));
  const sum = (epsilon: number, figure: (profile: Profile) => number): number =>
    summands.reduce((total, { profile }, index) => {
      const { log, slope } = logs[index]!;
      return total + figure(profile) * Math.exp(log + slope * epsilon - logScale);
    }, 0);
  const restAt = (epsilon: number): number =>
    rest === undefined ? 0 : Math.exp(rest.log - rest.tilt * epsilon + tilt * epsilon - logScale);
  const most = (figure: (profile: Profile) => number): number =>
    Math.max(...summands.map(({ profile }) => figure(profile)));
  return {
    terms,
    far,
    tilt,
    logScale,
    valueAt: epsilon => sum(epsilon, profile => profile.valueAt(epsilon)),
    errorAt: epsilon => sum(epsilon, profile => profile.errorAt(epsilon)) + restAt(epsilon),
    last: -most(({ last }) => -last),
    relativeError: most(({ relativeError }) => relativeError) + 1e-12,
    deviation: most(({ deviation }) => deviation),
  };
}

function bestPlan(parts: readonly RepeatedLoss[], request: Pick<PeelRequest, 'epsilon' | 'logDelta'>): Plan {
  let best = planFor(parts, { small: parts, jumps: [], expected: 0 }, request);
  for (let halves = -1; halves <= 12; halves += 1) {
    const split = splitAt(parts, request.epsilon * 2 ** (-halves / 2));
    if (split === undefined) continue;
    if (split.expected > mostExpected) break;
    const plan = planFor(parts, split, request);
    if (plan.doubt < best.doubt) best = plan;
  }
  return best;
}

function planFor(
  parts: readonly RepeatedLoss[],
  split: Split,
  { epsilon, logDelta }: Pick<PeelRequest, 'epsilon' | 'logDelta'>,
): Plan {
  const none = momentBound(split.small, epsilon);
  const jumps = split.jumps.map(jump => {
    const { tilt, log } = momentBound(withJump(split, jump), epsilon);
    return { jump, bound: { tilt, log: log + Math.log(parts[jump.part]!.count) } };
  });
  const more = split.expected ** 2 / 2;
  const rounding = parts.reduce((sum, { count }) => sum + count, 0) * roundingPerStep;
  const share = (log: number): number => Math.exp(Math.min(300, log - logDelta));
  const bounded = none.log <= logDelta + logBounded ? 1 : rounding;
  const composed = jumps.reduce((sum, { bound }) => sum + share(bound.log), 0);
  return {
    split,
    none,
    jumps,
    more,
    doubt: share(none.log) * bounded + rounding * composed + share(Math.log(more)),
  };
}

/** All steps below the threshold but the one that makes the jump. */
function withJump({ small }: Split, { part, law }: Jump): RepeatedLoss[] {
  const others = small.map((each, index) => (index === part ? { ...each, count: each.count - 1 } : each));
  return [...others.filter(({ count }) => count > 0), law];
}

/** Cuts the laws of all parts in which losses above the threshold are rare; undefined where none has any, or too many have. */
function splitAt(parts: readonly RepeatedLoss[], threshold: number): Split | undefined {
  const jumps: Jump[] = [];
  let expected = 0;
  const small = parts.map((whole, part) => {
    const law = subLaw(whole, loss => loss > threshold);
    const often = massOf(law) * whole.count;
    if (often === 0 || often > mostExpected) return whole;
    jumps.push({ part, law });
    expected += often;
    return withoutLosses(whole, law, loss => loss <= threshold);
  });
  return jumps.length === 0 || jumps.length > mostJumpingParts ? undefined : { small, jumps, expected };
}

/** Beyond this tilt × ε a bound is as good as it need be; where the losses can't reach ε there is no end to it. */
const steepest = 1e3;

/** The tilt is a guess; what is certified is computed again at it. */
function momentBound(chain: readonly RepeatedLoss[], epsilon: number): MomentBound {
  const logAt = (tilt: number): number =>
    cumulantAt(chain, tilt).value - tilt * epsilon + Math.log(highestWeight(tilt));
  const tilt = Math.min(steepest / epsilon, Math.exp(minimise(log => logAt(Math.exp(log))).at));
  return { tilt, log: logAt(tilt) };
}

/** (1 - exp(ε - loss))+ is at most highestWeight(tilt) × exp(tilt (loss - ε)): a bound on δ for every ε. */
function carefulBound(chain: readonly RepeatedLoss[], tilt: number): { tilt: number; log: number } {
  return { tilt, log: carefulCumulant(chain, tilt, 'above') + Math.log(highestWeight(tilt)) + 1e-6 };
}
