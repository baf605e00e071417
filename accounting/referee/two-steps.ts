import { DpError } from '../check.ts';
import { normalDensity, normalTail, one, sum, two, zero, type Big } from './big.ts';
import { placeOf, replaceCut, singleProfile, type Direction, type Profile } from './single.ts';
import type { NormalStep } from './steps.ts';
import { gridPoints, integrate, type Range } from './trapezoid.ts';

// Masses beyond are below 1e-44.
const deviations = 14;

/** The line of the first step's noise, or all of it on one side of the place where the second step's δ bends sharply. */
interface Stretch {
  readonly range: Range;
  readonly place: (v: Big) => Big;
  /** Derivative of `place`, never negative. */
  readonly pace: (v: Big) => Big;
}

/**
 * Privacy profile of two steps: the second one's δ at what the first has left of ε, integrated over the first one's noise by the
 * trapezoidal rule until two spacings agree to 1e-16 of the answer. Masses below 1e-44 are left out.
 *
 * The second step's δ is 1 - e^ε below its lowest loss, and 0 above its highest, and joins that without being analytic there; under
 * replace it nearly has a corner at 0. So the line is parted at that place, and either side is stretched doubly exponentially.
 *
 * @throws DpError `UNSUPPORTED_EVENT` from the profile where spacings don't come to agree within 6000 points
 * @example
 * ```ts
 * import { big } from 'accounting/referee/big.ts';
 * import { stepOf } from 'accounting/referee/steps.ts';
 * const step = stepOf({ kind: 'gaussian', noiseMultiplier: 2 });
 * const delta = twoStepProfile({ first: step, second: step }, 'remove')(big(1));
 * delta.toNumber(); // ~0.27632639
 * ```
 */
export function twoStepProfile(steps: TwoSteps, direction: Direction): Profile {
  const { first, second } = steps;
  const inner = singleProfile(second, direction);
  return ratio => {
    const { join, beyond } = joinOf(steps, { direction, ratio });
    const value = (stretch: Stretch, v: Big): Big => {
      const { density, loss } = pointAt(first, { direction, place: stretch.place(v) });
      return density.times(inner(ratio.div(loss))).times(stretch.pace(v));
    };
    const parts = stretchesOf(first, { direction, join }).map(stretch => {
      const { range } = stretch;
      return integrate(
        gridPoints(range, v => value(stretch, v)),
        { spacing: range.spacing, value: part => part },
      );
    });
    return beyond.plus(sum(parts.map(finished)));
  };
}

/** One after the other; their order makes no difference to the answer. */
export interface TwoSteps {
  readonly first: NormalStep;
  readonly second: NormalStep;
}

function finished(answer: Big | undefined): Big {
  if (answer !== undefined) return answer;
  const reason = 'the integral over the first step takes too many points';
  throw new DpError('UNSUPPORTED_EVENT', `Cannot referee two steps: ${reason}. Give more noise.`);
}

/** Where the second step's δ joins its limit, or has its corner; and the integral of what lies to the right and is in closed form. */
interface Join {
  readonly join?: Big;
  readonly beyond: Big;
}

function joinOf({ first, second }: TwoSteps, at: { direction: Direction; ratio: Big }): Join {
  const { direction, ratio } = at;
  if (second.idle.isZero()) return { beyond: zero };
  if (direction === 'replace') return { join: replaceCut(first, ratio), beyond: zero };
  const limit = direction === 'remove' ? ratio.div(second.idle) : one.div(ratio.times(second.idle));
  const excess = limit.minus(first.idle);
  // Further left than any mass.
  const join = excess.gt(0) ? placeOf(first, excess) : first.deviation.times(-1e3);
  if (direction === 'add') return { join, beyond: zero };
  const moved = first.moved.map(({ shift, weight }) =>
    weight.times(normalTail(join.minus(shift).div(first.deviation))),
  );
  const still = first.idle.minus(ratio).times(normalTail(join.div(first.deviation)));
  return { join, beyond: sum(moved).plus(still) };
}

function stretchesOf(
  { deviation, moved }: NormalStep,
  { direction, join }: { direction: Direction; join: Big | undefined },
): Stretch[] {
  const width = deviation.toNumber();
  const most = moved.at(-1)!.shift.toNumber();
  const from = -deviations * width - (direction === 'replace' ? most : 0);
  const to = deviations * width + (direction === 'add' ? 0 : most);
  if (join === undefined) {
    const range = { from, to, spacing: Math.min(width / 2, (width * width) / most) };
    return [{ range, place: v => v, pace: () => one }];
  }
  const left = away(join, { side: -1, reach: join.toNumber() - from, width });
  return direction === 'replace'
    ? [left, away(join, { side: 1, reach: to - join.toNumber(), width })]
    : [left];
}

/** join ± width·exp(v - exp(-v)), which reaches 1e-30 of the width near the join. */
function away(join: Big, to: { side: -1 | 1; reach: number; width: number }): Stretch {
  const { side, reach, width } = to;
  const distance = (v: Big): Big => v.minus(v.neg().exp()).exp().times(width);
  return {
    range: { from: -4.2, to: Math.max(-4, Math.log(Math.max(reach, 0) / width) + 0.3), spacing: 0.25 },
    place: v => join.plus(distance(v).times(side)),
    pace: v => distance(v).times(v.neg().exp().plus(one)),
  };
}

/** A place of the first step. */
export interface Point {
  readonly density: Big;
  /** exp of the first step's loss. */
  readonly loss: Big;
}

/**
 * Density of P and likelihood ratio of a step at a place; for `add` the place is measured against the loss.
 *
 * @example
 * ```ts
 * import { big } from 'accounting/referee/big.ts';
 * import { stepOf } from 'accounting/referee/steps.ts';
 * const step = stepOf({ kind: 'gaussian', noiseMultiplier: 1 });
 * pointAt(step, { direction: 'remove', place: big(0.5) }).loss.toNumber(); // 1
 * ```
 */
export function pointAt(step: NormalStep, { direction, place }: { direction: Direction; place: Big }): Point {
  const bare = normalDensity(place.div(step.deviation)).div(step.deviation);
  const ahead = likelihoodRatio(step, place);
  if (direction === 'add') return { density: bare, loss: one.div(ahead) };
  const density = bare.times(ahead);
  if (direction === 'remove') return { density, loss: ahead };
  return { density, loss: ahead.div(likelihoodRatio(step, place.neg())) };
}

/**
 * Density of the moved noise at `place`, relative to noise around 0.
 *
 * @example
 * ```ts
 * import { big } from 'accounting/referee/big.ts';
 * import { stepOf } from 'accounting/referee/steps.ts';
 * likelihoodRatio(stepOf({ kind: 'gaussian', noiseMultiplier: 1 }), big(0.5)).toNumber(); // 1
 * ```
 */
export function likelihoodRatio({ deviation, idle, moved }: NormalStep, place: Big): Big {
  const variance = deviation.times(deviation);
  const terms = moved.map(({ shift, weight }) =>
    weight.times(shift.times(place.times(two).minus(shift)).div(two).div(variance).exp()),
  );
  return idle.plus(sum(terms));
}
