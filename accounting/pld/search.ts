import type { Bound } from '../accountant.ts';
import { lossCurve, tabulate, type Direction, type ShiftedNoise } from '../laws/loss-curve.ts';
import { composeOnGrid, highestWeight, type DiscreteProfile } from './compose.ts';
import type { Composition } from '../laws/composition.ts';
import {
  cumulantAt,
  repeatedLoss,
  saddleForDelta,
  saddleForEpsilon,
  type RepeatedLoss,
  type Saddle,
} from '../laws/cumulants.ts';
import { gaussianDelta } from './single.ts';
import { deltaLower, deltaUpper, epsilonLower, epsilonUpper, smoothingsOf } from './profile.ts';
import { chooseWindow } from './window.ts';

/** A bound from both sides. */
export interface CertifiedBound extends Bound {
  readonly lower: number;
}

/** One direction's interval with the profile that it came from. */
interface DirectedAnswer {
  readonly direction: Direction;
  readonly parts: readonly RepeatedLoss[];
  readonly lower: number;
  readonly upper: number;
  readonly profile: DiscreteProfile;
  /** The ε that the profile was tilted to. */
  readonly centre: number;
}

/** Relative gap of the first look, which tells where ε lies and which direction matters. */
const firstGap = 0.02;
/** A transform up to this length is cheap enough for the finer of the two default gaps. */
const cheapSize = 2 ** 18;
const largestSize = 2 ** 22;
const [fineGap, usualGap] = [1e-4, 8e-4];

/** ε at δ of a composition: a coarse look at both directions, then a fine one at those that can still be the larger. */
export function composedEpsilon(
  composition: Composition,
  { delta, relativeGap }: { readonly delta: number; readonly relativeGap?: number | undefined },
): CertifiedBound {
  if (totalVariation(composition) <= delta) return { lower: 0, upper: 0, detail: 'total variation' };
  const remove = firstLook(composition, 'remove', delta);
  if (remove.lower >= lossCeiling(composition, 'add')) return bound([refine(remove, delta, relativeGap)]);
  const first = [remove, firstLook(composition, 'add', delta)];
  const floor = Math.max(...first.map(({ lower }) => lower));
  const open = first.filter(({ upper }) => upper > floor);
  if (open.length === 0) return bound(first);
  return bound(open.map(answer => refine(answer, delta, relativeGap)));
}

/** Bound on δ at ε = 0, the same in both directions: the total variations of all steps, added up. */
function totalVariation({ steps, gaussianRatio }: Composition): number {
  // The total variation to a mixture is at most the mean of those to its components.
  const ofStep = ({ shifts, weights }: ShiftedNoise): number =>
    shifts.reduce((sum, shift, index) => sum + weights[index]! * gaussianDelta(shift, 0).upper, 0);
  const gaussian = gaussianDelta(gaussianRatio, 0).upper;
  return steps.reduce((sum, { noise, count }) => sum + count * ofStep(noise), gaussian) * (1 + 1e-12);
}

/** A loss that the composition can't exceed, so an ε at which δ is 0: bare noise is never less likely than in the mixture. */
function lossCeiling({ steps, gaussianRatio }: Composition, direction: Direction): number {
  if (direction === 'remove' || gaussianRatio > 0) return Infinity;
  const sum = steps.reduce((total, { noise, count }) => total - count * Math.log(noise.idle), 0);
  return sum * (1 + 1e-12);
}

function bound(answers: readonly DirectedAnswer[]): CertifiedBound {
  return larger(answers.map(answer => ({ ...answer, detail: detailOf(answer) })));
}

/** Of both directions the larger counts. */
function larger(bounds: readonly CertifiedBound[]): CertifiedBound {
  const top = bounds.reduce((most, bound) => (bound.upper > most.upper ? bound : most));
  return { lower: Math.max(...bounds.map(({ lower }) => lower)), upper: top.upper, detail: top.detail };
}

function detailOf({
  direction,
  profile: { window, tilt },
}: Pick<DirectedAnswer, 'direction' | 'profile'>): string {
  return `loss grid ${window.spacing.toExponential(2)} x ${window.size}, tilt ${tilt.toPrecision(3)}, ${direction}`;
}

function firstLook(composition: Composition, direction: Direction, delta: number): DirectedAnswer {
  const ceiling = lossCeiling(composition, direction);
  const parts = partsOf(composition, direction, Math.log(delta));
  let saddle = saddleForDelta(parts, Math.log(delta));
  const lookAt = (saddle: Saddle): DirectedAnswer =>
    look(parts, { saddle, delta, gap: gapAt(parts, saddle, firstGap), direction, ceiling });
  let answer = lookAt(saddle);
  for (let round = 0; round < 8 && answer.upper === Infinity; round += 1) {
    saddle = saddleForEpsilon(parts, 2 * saddle.epsilon + cumulantSpread(parts, saddle.tilt));
    answer = lookAt(saddle);
  }
  return answer;
}

function cumulantSpread(parts: readonly RepeatedLoss[], tilt: number): number {
  return Math.sqrt(cumulantAt(parts, tilt).curvature);
}

/** An absolute gap from a relative one; an ε near 0 is judged by the spread of the loss instead. */
function gapAt(parts: readonly RepeatedLoss[], { tilt, epsilon }: Saddle, relative: number): number {
  return relative * Math.max(epsilon, 0.05 * cumulantSpread(parts, tilt));
}

/** Loss curves of all steps in one direction, cut where the tails of all steps weigh 1e-10 of δ. */
function partsOf(
  { steps, gaussianRatio }: Composition,
  direction: Direction,
  logDelta: number,
): RepeatedLoss[] {
  const total = steps.reduce((sum, { count }) => sum + count, 1);
  const gaussian = { shifts: Float64Array.of(gaussianRatio), weights: Float64Array.of(1), idle: 0 };
  const all = gaussianRatio > 0 ? [...steps, { noise: gaussian, count: 1 }] : steps;
  const logTail = logDelta - Math.log(total) - 23;
  return all.map(({ noise, count }) => repeatedLoss(tabulate(lossCurve(noise, direction), logTail), count));
}

interface Look {
  readonly saddle: Saddle;
  readonly delta: number;
  readonly gap: number;
  readonly direction: Direction;
  /** An ε that is certainly enough. */
  readonly ceiling: number;
}

function look(
  parts: readonly RepeatedLoss[],
  { saddle, delta, gap, direction, ceiling }: Look,
): DirectedAnswer {
  const { tilt, epsilon } = saddle;
  const profile = composeOnGrid(parts, { tilt, epsilon, gap, largestSize });
  const upper = Math.min(ceiling, epsilonUpper(profile, delta));
  return { direction, parts, upper, lower: epsilonLower(profile, delta, upper), profile, centre: epsilon };
}

/** Looks again around the known ε until the gap is as wanted; bounds of all looks hold, so the best of them are kept. */
function refine(first: DirectedAnswer, delta: number, relativeGap: number | undefined): DirectedAnswer {
  let best = first;
  let sharper = 1;
  for (let round = 0; round < 3; round += 1) {
    const wanted = relativeGap ?? usualGap;
    if (best.upper === 0 || best.upper - best.lower <= wanted * best.upper) {
      if (round > 0 || relativeGap !== undefined || best.upper === 0) return best;
    }
    if (best.upper === Infinity || isExhausted(best)) return best;
    const saddle = saddleForEpsilon(best.parts, best.upper);
    const gap = wantedGap(best.parts, saddle, relativeGap) / sharper;
    const next = look(best.parts, { saddle, delta, gap, direction: best.direction, ceiling: best.upper });
    const gained = (next.upper - next.lower) / gap;
    sharper *= Math.max(1, gained * 1.2);
    best = { ...next, lower: Math.max(best.lower, next.lower), upper: Math.min(best.upper, next.upper) };
  }
  return best;
}

/** Whether the longest transform was used already, tilted to about the right ε. */
function isExhausted({ profile, centre, upper }: DirectedAnswer): boolean {
  return profile.window.size === largestSize && Math.abs(centre - upper) < 0.2 * upper;
}

/** The finer default gap where a cheap transform gives it, else the usual one. */
function wantedGap(parts: readonly RepeatedLoss[], saddle: Saddle, relativeGap: number | undefined): number {
  if (relativeGap !== undefined) return gapAt(parts, saddle, relativeGap);
  const gap = gapAt(parts, saddle, fineGap);
  const { size } = chooseWindow(parts, { ...saddle, gap, largestSize });
  return size <= cheapSize ? gap : gapAt(parts, saddle, usualGap);
}

/** δ at each ε of a composition; the gap wanted is relative to δ. One grid serves as many neighbouring ε as it can. */
export function composedDeltas(
  composition: Composition,
  {
    epsilons,
    relativeGap = 2e-3,
  }: { readonly epsilons: readonly number[]; readonly relativeGap?: number | undefined },
): CertifiedBound[] {
  const order = epsilons.map((_, index) => index).sort((a, b) => epsilons[a]! - epsilons[b]!);
  const byDirection = (['remove', 'add'] as const).map(direction => {
    const answers: CertifiedBound[] = [];
    let last: DiscreteProfile | undefined;
    for (const index of order) {
      const epsilon = epsilons[index]!;
      const again = last === undefined ? undefined : deltaBound(last, epsilon, direction);
      const serves = again !== undefined && again.upper - again.lower <= 1.5 * relativeGap * again.upper;
      const looked = serves
        ? { answer: again, profile: last }
        : deltaLook(composition, { direction, epsilon, relativeGap });
      answers[index] = looked.answer;
      last = looked.profile;
    }
    return answers;
  });
  return epsilons.map((_, index) => larger(byDirection.map(answers => answers[index]!)));
}

function deltaBound(profile: DiscreteProfile, epsilon: number, direction: Direction): CertifiedBound {
  return {
    lower: deltaLower(profile, epsilon, smoothingsOf(profile)),
    upper: deltaUpper(profile, epsilon),
    detail: detailOf({ direction, profile }),
  };
}

interface DeltaQuestion {
  readonly direction: Direction;
  readonly epsilon: number;
  readonly relativeGap: number;
}

/** Below this logarithm δ is bounded by its moments alone: doubles end at 1e-308. */
const leastLogDelta = -660;

function deltaLook(
  composition: Composition,
  { direction, epsilon, relativeGap }: DeltaQuestion,
): { answer: CertifiedBound; profile?: DiscreteProfile | undefined } {
  if (epsilon >= lossCeiling(composition, direction))
    return { answer: { lower: 0, upper: 0, detail: 'bounded loss' } };
  const guess = saddleForEpsilon(partsOf(composition, direction, -60), epsilon);
  const parts = partsOf(composition, direction, Math.max(leastLogDelta, Math.min(0, guess.logDelta)) - 5);
  const saddle = saddleForEpsilon(parts, epsilon);
  if (saddle.logDelta < leastLogDelta) return { answer: momentBound(parts, saddle.tilt, epsilon) };
  const gap = relativeGap / (saddle.tilt + 1e-3);
  const profile = composeOnGrid(parts, { ...saddle, epsilon, gap, largestSize });
  return { answer: deltaBound(profile, epsilon, direction), profile };
}

/** Chernoff's bound: (1 - exp(ε - loss))+ is at most highestWeight(tilt) × exp(tilt (loss - ε)). */
function momentBound(parts: readonly RepeatedLoss[], tilt: number, epsilon: number): CertifiedBound {
  const outside = parts.reduce((sum, { count, table }) => sum + count * table.outside, 0);
  const moment = Math.exp(cumulantAt(parts, tilt).value - tilt * epsilon) * highestWeight(tilt);
  return {
    lower: 0,
    upper: Math.min(1, moment * (1 + 1e-6) + outside + 1e-305),
    detail: `moment bound, tilt ${tilt.toPrecision(3)}`,
  };
}
