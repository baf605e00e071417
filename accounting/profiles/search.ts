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
import type { LossLaw } from '../laws/law.ts';
import { tabulate } from '../laws/table.ts';
import { bisect } from '../numerics/bisect.ts';
import { leftOut, type CertifiedBound, type Composer } from './composer.ts';
import { peel, single, type PeeledProfile } from './peel.ts';
import { epsilonLower, epsilonUpper, type Profile } from './profile.ts';
import { singleStepDelta } from './single.ts';

/** One direction's interval with the profile that it came from. */
export interface DirectedAnswer<P extends Profile> {
  readonly parts: readonly RepeatedLoss[];
  readonly lower: number;
  readonly upper: number;
  /** A sum of one term, or of several where no one tilt shows δ. */
  readonly profile: PeeledProfile<P>;
  /** The ε that the profile was tilted to. */
  readonly centre: number;
  readonly composition: DirectedComposition;
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

/** At which δ, and how narrow relative to ε. */
export interface EpsilonQuestion {
  readonly delta: number;
  readonly relativeGap?: number | undefined;
}

/** ε at δ of a composition: a coarse look at all directions, then a fine one at those that can still be the larger. */
export function composedEpsilon<P extends Profile>(
  directions: readonly DirectedComposition[],
  question: EpsilonQuestion,
  composer: Composer<P>,
): ComposedEpsilon<P> {
  const { delta } = question;
  const opening = partsOf(directions[0]!, Math.log(delta));
  const settled = settledEpsilon(opening, delta);
  if (settled !== undefined) return { bound: settled, looks: [], isTight: true };
  const first: DirectedAnswer<P>[] = [];
  for (const composition of directions) {
    const floor = Math.max(0, ...first.map(({ lower }) => lower));
    if (first.length > 0 && floor >= lossCeiling(composition)) continue;
    const parts = first.length === 0 ? opening : partsOf(composition, Math.log(delta));
    first.push(firstLook(composition, { parts, delta }, composer));
  }
  const floor = Math.max(...first.map(({ lower }) => lower));
  const open = first.filter(({ upper }) => upper > floor);
  const looks = open.length === 0 ? first : open.map(answer => settle(answer, question, composer));
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
function settledEpsilon(parts: readonly RepeatedLoss[], delta: number): CertifiedBound | undefined {
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
  { direction, profile }: Pick<DirectedComposition, 'direction'> & { readonly profile: PeeledProfile<P> },
  composer: Composer<P>,
): string {
  const { terms, far, tilt } = profile;
  const last = terms.at(-1);
  const parts = [
    ...(far === undefined ? [] : ['runs with a loss far above epsilon in closed form']),
    ...(terms.length > 1 ? [`${terms.length} sums by the number of large losses`] : []),
    ...(last === undefined ? [] : [composer.describe(last.profile)]),
    `tilt ${tilt.toPrecision(3)}, ${direction}`,
  ];
  return parts.join(', ');
}

function firstLook<P extends Profile>(
  composition: DirectedComposition,
  { parts, delta }: { readonly parts: readonly RepeatedLoss[]; readonly delta: number },
  composer: Composer<P>,
): DirectedAnswer<P> {
  const ceiling = lossCeiling(composition);
  const steepest = steepestTilt(parts, ceiling);
  const within = (at: Saddle): Saddle => ({ ...at, tilt: Math.min(at.tilt, steepest) });
  let saddle = within(saddleForDelta(parts, Math.log(delta - leftOut(parts).infinite)));
  const lookAt = (at: Saddle): DirectedAnswer<P> =>
    look({ parts, saddle: at, delta, gap: gapAt(parts, at, firstGap), composition, ceiling }, composer);
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

/** The interval that one profile gives, or a sum of several: at once where rounding drowns δ, else where one is not enough. */
function settle<P extends Profile>(
  answer: DirectedAnswer<P>,
  question: EpsilonQuestion,
  composer: Composer<P>,
): DirectedAnswer<P> {
  const wanted = question.relativeGap ?? composer.acceptedGap;
  const isNarrow = ({ lower, upper }: DirectedAnswer<P>): boolean => upper - lower <= wanted * upper;
  const bySum = (from: DirectedAnswer<P>): DirectedAnswer<P> =>
    refineBySum(from, { delta: question.delta, wanted }, composer);
  const isDrowned = doubtOf(answer) > bearable * wanted * Math.max(1, answer.profile.tilt * answer.upper);
  const first = isDrowned ? bySum(answer) : answer;
  if (isDrowned && isNarrow(first)) return first;
  const refined = refine(answer, question, composer);
  return isDrowned || isNarrow(refined) ? narrower(refined, first) : bySum(refined);
}

/** Share of δ in doubt, relative to the gap that is wanted, with which one profile will do. */
const bearable = 0.1;

/** The one with the narrower interval, cut to what the other leaves. */
function narrower<P extends Profile>(one: DirectedAnswer<P>, other: DirectedAnswer<P>): DirectedAnswer<P> {
  const [best, rest] = one.upper - one.lower <= other.upper - other.lower ? [one, other] : [other, one];
  return { ...best, lower: Math.max(best.lower, rest.lower), upper: Math.min(best.upper, rest.upper) };
}

/** Share of δ that rounding and what else does not shrink with the gap put in doubt. */
function doubtOf<P extends Profile>({ profile, upper }: DirectedAnswer<P>): number {
  if (upper === Infinity) return Infinity;
  return profile.errorAt(upper) / profile.valueAt(upper);
}

/** Looks again with a sum of profiles: at an ε that each round comes nearer to, then ever more finely. */
function refineBySum<P extends Profile>(
  first: DirectedAnswer<P>,
  { delta, wanted }: { readonly delta: number; readonly wanted: number },
  composer: Composer<P>,
): DirectedAnswer<P> {
  let best = first;
  let centre = within(first, largestJump(first.parts, delta));
  let relative = 1e-3;
  for (let round = 0; round < mostRounds; round += 1) {
    const request = { epsilon: centre, gap: relative * centre, logDelta: Math.log(delta) };
    const doubt = best === first ? doubtOf(first) : Infinity;
    const profile = peel(best.parts, { ...request, doubt }, composer);
    if (profile === undefined) {
      // Too far below ε there is nothing to see.
      if (!(centre < 0.9 * best.upper && best.upper < Infinity)) return best;
      centre = (centre + best.upper) / 2;
      continue;
    }
    const upper = Math.min(best.upper, epsilonUpper(profile, delta));
    best = {
      ...best,
      profile,
      centre,
      upper,
      lower: Math.max(best.lower, epsilonLower(profile, delta, upper)),
    };
    if (best.upper - best.lower <= wanted * best.upper) return best;
    const next = within(best, crossingFrom(profile, centre, delta));
    if (Math.abs(next - centre) < 1e-2 * centre) relative = Math.min(relative, wanted) / (1 + round / 2);
    centre = next;
  }
  return best;
}

const mostRounds = 10;

function within(
  { lower, upper }: { readonly lower: number; readonly upper: number },
  epsilon: number,
): number {
  return Math.min(upper, Math.max(lower, epsilon));
}

/** Where a profile that was seen at one ε is `delta`: Newton's step for log δ against log ε, which is nearly straight. */
function crossingFrom(profile: Profile, from: number, delta: number): number {
  const logAt = (epsilon: number): number =>
    profile.logScale - profile.tilt * epsilon + Math.log(profile.valueAt(epsilon));
  const below = from * (1 - 1e-4);
  const slope = (logAt(below) - logAt(from)) / 1e-4;
  const step = (logAt(from) - Math.log(delta)) / slope;
  return Number.isFinite(step) ? from * Math.exp(Math.min(1, Math.max(-1, step))) : from * 1.5;
}

/** The ε at which δ would be made by one large loss alone. */
function largestJump(parts: readonly RepeatedLoss[], delta: number): number {
  const share = (epsilon: number): number =>
    parts.reduce((sum, { losses, weights, count }) => {
      let mass = 0;
      for (let k = 0; k < losses.length; k += 1)
        if (losses[k]! > epsilon) mass -= weights[k]! * Math.expm1(epsilon - losses[k]!);
      return sum + count * mass;
    }, 0);
  const highest = parts.reduce((most, { losses }) => losses.reduce((a, b) => Math.max(a, b), most), 0);
  return bisect(0, highest, epsilon => share(epsilon) <= delta).outer;
}

/** Laws of all steps in one direction, cut where the tails of all steps weigh 1e-10 of δ, which hardly any answer shows. */
export function partsOf({ steps, gaussianRatio }: DirectedComposition, logDelta: number): RepeatedLoss[] {
  const total = steps.reduce((sum, { count }) => sum + count, 1);
  const noise = { shifts: Float64Array.of(gaussianRatio), weights: Float64Array.of(1), idle: 0 };
  const gaussian = { law: gaussianLaw(noise, 'add'), count: 1 };
  const all = gaussianRatio > 0 ? [...steps, gaussian] : steps;
  const logTail = logDelta - Math.log(total) - 23;
  return all.map(({ law, count }) => ({ ...tabulated(law, logTail), count }));
}

/** The latest tables: bounds of several kinds are asked of the same law one after the other. */
const latest: { readonly law: LossLaw; readonly logTail: number; readonly step: RepeatedLoss }[] = [];
const mostTables = 4;

function tabulated(law: LossLaw, logTail: number): RepeatedLoss {
  const known = latest.find(table => table.law === law && table.logTail === logTail);
  if (known !== undefined) return known.step;
  const step = repeatedLoss(tabulate(law, logTail), 1);
  if (latest.push({ law, logTail, step }) > mostTables) latest.shift();
  return step;
}

interface Look {
  readonly composition: DirectedComposition;
  readonly parts: readonly RepeatedLoss[];
  readonly saddle: Saddle;
  readonly delta: number;
  readonly gap: number;
  /** An ε that is certainly enough. */
  readonly ceiling: number;
}

function look<P extends Profile>(
  { parts, saddle, delta, gap, ceiling, composition }: Look,
  composer: Composer<P>,
): DirectedAnswer<P> {
  const { tilt, epsilon } = saddle;
  const profile = single(composer.compose(parts, { tilt, epsilon, gap }));
  const upper = Math.min(ceiling, epsilonUpper(profile, delta));
  const lower = epsilonLower(profile, delta, upper);
  return { parts, upper, lower, profile, centre: epsilon, composition };
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
    if (
      composer.isFinest(best.profile.terms[0]!.profile) &&
      Math.abs(best.centre - best.upper) < 0.2 * best.upper
    )
      return best;
    const found = saddleForEpsilon(best.parts, best.upper);
    const saddle = { ...found, tilt: Math.min(found.tilt, steepestTilt(best.parts, ceiling)) };
    const gap = gapAt(best.parts, saddle, relativeGap ?? composer.usualGap(best.parts, saddle)) / sharper;
    const next = look({ ...best, saddle, delta, gap, ceiling: best.upper }, composer);
    sharper *= Math.max(1, (1.2 * (next.upper - next.lower)) / gap);
    best = {
      ...next,
      lower: Math.max(best.lower, next.lower),
      upper: Math.min(best.upper, next.upper),
    };
  }
  return best;
}
