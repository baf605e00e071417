import type { Bound } from '../accountant.ts';
import type { DirectedComposition } from '../laws/composition.ts';
import {
  cumulantAt,
  repeatedLoss,
  saddleForDelta,
  saddleForEpsilon,
  type RepeatedLoss,
  type Saddle,
} from '../laws/cumulants.ts';
import { gaussianLaw } from '../laws/gaussian.ts';
import { tabulate } from '../laws/table.ts';
import { epsilonLower, epsilonUpper, type Profile } from './profile.ts';
import { singleStepDelta } from './single.ts';

/** A bound from both sides. */
export interface CertifiedBound extends Bound {
  readonly lower: number;
}

/** What a profile is to show. */
export interface ProfileRequest {
  /** Exponent of the tilt exp(tilt·loss). */
  readonly tilt: number;
  /** ε that must lie well inside. */
  readonly epsilon: number;
  /** Wanted distance of upper and lower bound in ε. */
  readonly gap: number;
}

/** A way to compose laws numerically; the search knows nothing else of it. */
export interface Composer<P extends Profile> {
  compose(parts: readonly RepeatedLoss[], request: ProfileRequest): P;
  /** How the profile was got, for the statement. */
  describe(profile: P): string;
  /** Whether a finer request would give the same profile. */
  isFinest(profile: P): boolean;
  /** Gap relative to ε that is aimed at where none is asked for. */
  usualGap(parts: readonly RepeatedLoss[], saddle: Saddle): number;
  /** Gap that is good enough where none is asked for. */
  readonly acceptedGap: number;
}

/** One direction's interval with the profile that it came from. */
export interface DirectedAnswer<P extends Profile> {
  readonly parts: readonly RepeatedLoss[];
  readonly lower: number;
  readonly upper: number;
  readonly profile: P;
  /** The ε that the profile was tilted to. */
  readonly centre: number;
  readonly composition: DirectedComposition;
  /** log of the share of δ that the tails cut from all steps may weigh. */
  readonly logTails: number;
  /** The laws with hardly any tail cut and their tilt, where those of the profile lack more. */
  readonly whole?: { readonly parts: readonly RepeatedLoss[]; readonly tilt: number };
}

/** Relative gap of the first look, which tells where ε lies and which direction matters. */
const firstGap = 0.02;

/** ε, and the looks that it came from where it took any. */
export interface ComposedEpsilon<P extends Profile> {
  readonly bound: CertifiedBound;
  readonly looks: readonly DirectedAnswer<P>[];
  /** Whether both bounds come from the same laws, so that there is one truth between them. */
  readonly isTight: boolean;
}

/** ε at δ of a composition: a coarse look at all directions, then a fine one at those that can still be the larger. */
export function composedEpsilon<P extends Profile>(
  directions: readonly DirectedComposition[],
  question: { readonly delta: number; readonly relativeGap?: number | undefined },
  composer: Composer<P>,
): ComposedEpsilon<P> {
  const { delta } = question;
  const settled = settledEpsilon(directions, delta);
  if (settled !== undefined) return { bound: settled, looks: [], isTight: true };
  const first: DirectedAnswer<P>[] = [];
  for (const composition of directions) {
    const floor = Math.max(0, ...first.map(({ lower }) => lower));
    if (first.length === 0 || floor < lossCeiling(composition))
      first.push(firstLook(composition, { delta }, composer));
  }
  const floor = Math.max(...first.map(({ lower }) => lower));
  const open = first.filter(({ upper }) => upper > floor);
  const wanted = question.relativeGap ?? composer.acceptedGap;
  const looks =
    open.length === 0
      ? first
      : open.map(answer => refine(withFittingTails(answer, { delta, wanted }, composer), question, composer));
  return {
    bound: larger(
      looks.map(({ composition, ...rest }) => ({
        ...rest,
        detail: detailOf({ ...composition, ...rest }, composer),
      })),
    ),
    looks,
    isTight: true,
  };
}

/** ε where δ alone decides it: infinite losses exceed δ, or all that is revealed is less than δ. */
function settledEpsilon(
  directions: readonly DirectedComposition[],
  delta: number,
): CertifiedBound | undefined {
  const parts = partsOf(directions[0]!, Math.log(delta));
  const { infinite } = leftOut(parts);
  if (infinite * (1 - 1e-15) >= delta) {
    const detail = `an outcome that reveals everything has probability ${infinite.toPrecision(3)}`;
    return { lower: Infinity, upper: Infinity, detail };
  }
  if (totalVariation(parts) <= delta) return { lower: 0, upper: 0, detail: 'total variation' };
  return undefined;
}

/** Bound on δ at ε = 0, the same in all directions: the total variations of all steps, added up. */
function totalVariation(parts: readonly RepeatedLoss[]): number {
  return (
    parts.reduce((sum, { table, count }) => sum + count * singleStepDelta(table, 0).upper, 0) * (1 + 1e-12)
  );
}

/** A loss that the composition can't exceed, so an ε at which δ is nothing but infinite losses. */
export function lossCeiling({ steps, gaussianRatio }: DirectedComposition): number {
  if (gaussianRatio > 0) return Infinity;
  return steps.reduce((total, { law, count }) => total + count * Math.max(0, law.highest), 0) * (1 + 1e-12);
}

/** Of all directions the larger counts. */
export function larger(bounds: readonly CertifiedBound[]): CertifiedBound {
  const top = bounds.reduce((most, each) => (each.upper > most.upper ? each : most));
  return { lower: Math.max(...bounds.map(({ lower }) => lower)), upper: top.upper, detail: top.detail };
}

export function detailOf<P extends Profile>(
  { direction, profile }: Pick<DirectedComposition, 'direction'> & { readonly profile: P },
  composer: Composer<P>,
): string {
  return `${composer.describe(profile)}, tilt ${profile.tilt.toPrecision(3)}, ${direction}`;
}

function firstLook<P extends Profile>(
  composition: DirectedComposition,
  { delta, logTails = lightTails }: { readonly delta: number; readonly logTails?: number },
  composer: Composer<P>,
): DirectedAnswer<P> {
  const ceiling = lossCeiling(composition);
  const parts = partsOf(composition, Math.log(delta), logTails);
  const steepest = steepestTilt(parts, ceiling);
  const within = (at: Saddle): Saddle => ({ ...at, tilt: Math.min(at.tilt, steepest) });
  let saddle = within(saddleForDelta(parts, Math.log(delta - leftOut(parts).infinite)));
  const lookAt = (at: Saddle): DirectedAnswer<P> =>
    look(
      { parts, saddle: at, delta, gap: gapAt(parts, at, firstGap), composition, logTails, ceiling },
      composer,
    );
  let answer = lookAt(saddle);
  for (let round = 0; round < 8 && answer.upper === Infinity; round += 1) {
    saddle = within(saddleForEpsilon(parts, 2 * saddle.epsilon + cumulantSpread(parts, saddle.tilt)));
    answer = lookAt(saddle);
  }
  return answer;
}

/** Near the highest possible loss the saddle point runs away; a tilt that shows the top of the law well is enough there. */
export function steepestTilt(parts: readonly RepeatedLoss[], ceiling: number): number {
  if (ceiling === Infinity) return Infinity;
  const spread = cumulantSpread(parts, 0);
  return spread > 0 ? Math.max(1e3 / ceiling, 30 / spread) : 1e3 / ceiling;
}

function cumulantSpread(parts: readonly RepeatedLoss[], tilt: number): number {
  return Math.sqrt(cumulantAt(parts, tilt).curvature);
}

/** An absolute gap from a relative one; an ε near 0 is judged by the spread of the loss instead. */
function gapAt(parts: readonly RepeatedLoss[], { tilt, epsilon }: Saddle, relative: number): number {
  return relative * Math.max(epsilon, 0.05 * cumulantSpread(parts, tilt));
}

/**
 * Where the tails of all steps may weigh so much that the answer can't show it, they are cut there.
 *
 * Where taking part is rare a moment of the loss is made by its outermost tail, however little that weighs in δ: no tilt shows δ above
 * the rounding of such a moment. Without that tail one does.
 */
function withFittingTails<P extends Profile>(
  answer: DirectedAnswer<P>,
  { delta, wanted }: { readonly delta: number; readonly wanted: number },
  composer: Composer<P>,
): DirectedAnswer<P> {
  let best = answer;
  const whole = { parts: answer.parts, tilt: answer.profile.tilt };
  for (let slack = 0; slack < 4; slack += 1) {
    const { profile, upper, lower } = best;
    const share = 0.05 * wanted * Math.max(1, profile.tilt * (upper === Infinity ? 0 : upper));
    if (floorOf(best) <= share) return best;
    const cut = Math.min(heaviestTails, Math.max(lightTails, Math.log(share)) + 2.3 * slack);
    const next = firstLook(answer.composition, { delta, logTails: cut }, composer);
    const better = doubtOf(next) < doubtOf(best) ? { ...next, whole } : best;
    best = { ...better, lower: Math.max(lower, next.lower), upper: Math.min(upper, next.upper) };
  }
  return best;
}

/** What the profile may be wrong by, relative to δ. */
function floorOf<P extends Profile>({ profile, upper }: DirectedAnswer<P>): number {
  return upper === Infinity ? Infinity : profile.absoluteError / profile.valueAt(upper);
}

/** Share of δ that is in doubt: the lower end suffers about five times from the profile's error, the upper from cut tails. */
function doubtOf<P extends Profile>(answer: DirectedAnswer<P>): number {
  const tails = answer.logTails > lightTails ? 2 * Math.exp(answer.logTails) : 0;
  return 5 * floorOf(answer) + tails;
}

/** log of 1e-10 of δ, which hardly any answer shows. */
export const lightTails = -23;
/** log of 2 % of δ, which widens ε by far less. */
export const heaviestTails = -4;

/** Laws of all steps in one direction, cut where the tails of all steps weigh exp(logTails) of δ. */
export function partsOf(
  { steps, gaussianRatio }: DirectedComposition,
  logDelta: number,
  logTails: number = lightTails,
): RepeatedLoss[] {
  const total = steps.reduce((sum, { count }) => sum + count, 1);
  const noise = { shifts: Float64Array.of(gaussianRatio), weights: Float64Array.of(1), idle: 0 };
  const gaussian = { law: gaussianLaw(noise, 'add'), count: 1 };
  const all = gaussianRatio > 0 ? [...steps, gaussian] : steps;
  const logTail = logDelta - Math.log(total) + logTails;
  return all.map(({ law, count }) => repeatedLoss(tabulate(law, logTail), count));
}

interface Look {
  readonly composition: DirectedComposition;
  readonly logTails: number;
  readonly parts: readonly RepeatedLoss[];
  readonly saddle: Saddle;
  readonly delta: number;
  readonly gap: number;
  /** An ε that is certainly enough. */
  readonly ceiling: number;
}

function look<P extends Profile>(
  { parts, saddle, delta, gap, ceiling, composition, logTails }: Look,
  composer: Composer<P>,
): DirectedAnswer<P> {
  const { tilt, epsilon } = saddle;
  const profile = composer.compose(parts, { tilt, epsilon, gap });
  const upper = Math.min(ceiling, epsilonUpper(profile, delta));
  const lower = epsilonLower(profile, delta, upper);
  return { parts, upper, lower, profile, centre: epsilon, composition, logTails };
}

/** Looks again around the known ε until the gap is as wanted; bounds of all looks hold, so the best of them are kept. */
function refine<P extends Profile>(
  first: DirectedAnswer<P>,
  { delta, relativeGap }: { readonly delta: number; readonly relativeGap?: number | undefined },
  composer: Composer<P>,
): DirectedAnswer<P> {
  const wanted = relativeGap ?? composer.acceptedGap;
  const ceiling = lossCeiling(first.composition);
  let best = first;
  let sharper = 1;
  for (let round = 0; round < 3; round += 1) {
    if (best.upper === 0 || best.upper === Infinity) return best;
    if (best.upper - best.lower <= wanted * best.upper && (round > 0 || relativeGap !== undefined))
      return best;
    if (composer.isFinest(best.profile) && Math.abs(best.centre - best.upper) < 0.2 * best.upper) return best;
    const found = saddleForEpsilon(best.parts, best.upper);
    const saddle = { ...found, tilt: Math.min(found.tilt, steepestTilt(best.parts, ceiling)) };
    const gap = gapAt(best.parts, saddle, relativeGap ?? composer.usualGap(best.parts, saddle)) / sharper;
    const next = look({ ...best, saddle, delta, gap, ceiling: best.upper }, composer);
    sharper *= Math.max(1, (1.2 * (next.upper - next.lower)) / gap);
    const kept = best.whole === undefined ? {} : { whole: best.whole };
    best = {
      ...next,
      ...kept,
      lower: Math.max(best.lower, next.lower),
      upper: Math.min(best.upper, next.upper),
    };
  }
  return best;
}

/** What δ has beside that of the finite losses in the tables: at most `outside`, and `infinite`. */
export function leftOut(parts: readonly RepeatedLoss[]): { outside: number; infinite: number } {
  const outside = parts.reduce((total, { count, table }) => total + count * table.outside, 0);
  const log = parts.reduce((total, { count, table }) => total + count * Math.log1p(-table.infinite), 0);
  return { outside, infinite: -Math.expm1(log) };
}

/** Most of exp(-tilt·x) (1 - exp(-x)) over x >= 0. */
export function highestWeight(tilt: number): number {
  return Math.exp(-tilt * Math.log1p(1 / tilt)) / (1 + tilt);
}
