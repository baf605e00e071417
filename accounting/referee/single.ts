import { normalTail, one, sum, two, zero, type Big } from './big.ts';
import type { LaplaceStep, NormalStep } from './steps.ts';

/** P of the larger table against Q of the smaller, the reverse, or one record moved to the other side of 0. */
export type Direction = 'remove' | 'add' | 'replace';

/** δ as a function of e^ε, which is above 0 and need not be at least 1. */
export type Profile = (ratio: Big) => Big;

/**
 * Privacy profile of one step around a random shift.
 *
 * The likelihood ratio increases with the place x, so δ is P - e^ε Q of the places beyond the one where the ratio is e^ε.
 *
 * @example
 * ```ts
 * import { stepOf } from 'accounting/referee/steps.ts';
 * import { big } from 'accounting/referee/big.ts';
 * const step = stepOf({ kind: 'gaussian', noiseMultiplier: 1 });
 * singleProfile(step, 'remove')(big(Math.E)).toNumber(); // ~0.126936737
 * ```
 */
export function singleProfile(step: NormalStep | LaplaceStep, direction: Direction): Profile {
  if (step.kind === 'laplace') return ratio => laplaceDelta(step, { direction, ratio });
  if (direction === 'remove') return ratio => removeDelta(step, ratio);
  if (direction === 'add') return ratio => addDelta(step, ratio);
  return ratio => replaceDelta(step, ratio);
}

function removeDelta(step: NormalStep, ratio: Big): Big {
  const { deviation, idle, moved } = step;
  const excess = ratio.minus(idle);
  if (excess.lte(0)) return one.minus(ratio);
  const cut = placeOf(step, excess);
  const above = moved.map(({ shift, weight }) => weight.times(normalTail(cut.minus(shift).div(deviation))));
  return sum(above).minus(excess.times(normalTail(cut.div(deviation))));
}

function addDelta(step: NormalStep, ratio: Big): Big {
  const { deviation, idle, moved } = step;
  const excess = one.div(ratio).minus(idle);
  if (excess.lte(0)) return zero;
  const cut = placeOf(step, excess);
  const below = moved.map(({ shift, weight }) => weight.times(normalTail(shift.minus(cut).div(deviation))));
  return ratio.times(excess.times(normalTail(cut.neg().div(deviation))).minus(sum(below)));
}

/**
 * Where Σ weight·exp((2·shift·x - shift²) / (2·deviation²)) is `target`. Its logarithm is convex and increases, so Newton's
 * steps converge from every start, and one is enough for a single shift.
 *
 * @example
 * ```ts
 * import { one } from 'accounting/referee/big.ts';
 * import { stepOf } from 'accounting/referee/steps.ts';
 * placeOf(stepOf({ kind: 'gaussian', noiseMultiplier: 1 }), one).toNumber(); // 0.5
 * ```
 */
export function placeOf({ deviation, moved }: NormalStep, target: Big): Big {
  const logTarget = target.ln();
  const variance = deviation.times(deviation);
  let place = moved.at(-1)!.shift.div(two);
  for (let tries = 0; tries < 300; tries += 1) {
    const terms = moved.map(({ shift, weight }) =>
      weight.times(shift.times(place.times(two).minus(shift)).div(two).div(variance).exp()),
    );
    const total = sum(terms);
    const slope = sum(terms.map((term, j) => term.times(moved[j]!.shift)))
      .div(total)
      .div(variance);
    const move = logTarget.minus(total.ln()).div(slope);
    place = place.plus(move);
    if (moved.length === 1 || move.abs().lte(deviation.times('1e-40'))) break;
  }
  return place;
}

/** (1 - w) N(0) + w N(shift) against (1 - w) N(0) + w N(-shift). */
function replaceDelta(step: NormalStep, ratio: Big): Big {
  const { deviation, idle, moved } = step;
  const { shift, weight } = moved[0]!;
  const cut = replaceCut(step, ratio);
  const above = (place: Big): Big => normalTail(cut.minus(place).div(deviation));
  const still = idle.times(one.minus(ratio)).times(above(zero));
  return still.plus(weight.times(above(shift).minus(ratio.times(above(shift.neg())))));
}

/**
 * Where the likelihood ratio of a record against its opposite is `ratio`: a root of a quadratic in exp(shift·x/variance).
 *
 * @example
 * ```ts
 * import { one } from 'accounting/referee/big.ts';
 * import { stepOf } from 'accounting/referee/steps.ts';
 * const step = stepOf({ kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.5 });
 * replaceCut(step, one).toNumber(); // 0
 * ```
 */
export function replaceCut({ deviation, idle, moved }: NormalStep, ratio: Big): Big {
  const { shift, weight } = moved[0]!;
  const variance = deviation.times(deviation);
  const leading = weight.times(shift.times(shift).div(variance).div(-2).exp());
  const middle = idle.times(one.minus(ratio));
  const root = middle.times(middle).plus(leading.times(leading).times(ratio).times(4)).sqrt();
  const solution = middle.isNegative()
    ? root.minus(middle).div(leading.times(two))
    : ratio.times(leading).times(two).div(root.plus(middle));
  return solution.ln().times(variance).div(shift);
}

function laplaceDelta(step: LaplaceStep, { direction, ratio }: { direction: Direction; ratio: Big }): Big {
  if (direction === 'replace')
    return laplaceDelta({ ...step, scale: step.scale.div(two) }, { direction: 'remove', ratio });
  const { moved, scale } = step;
  const still = one.minus(moved);
  const wanted = direction === 'remove' ? ratio : one.div(ratio);
  const blend = (loss: Big): Big => still.plus(moved.times(loss.exp()));
  const width = one.div(scale);
  const everywhere = one.minus(ratio);
  if (wanted.lte(blend(width.neg()))) return direction === 'remove' ? everywhere : zero;
  if (wanted.gte(blend(width))) return direction === 'remove' ? zero : everywhere;
  const cut = wanted.minus(still).div(moved).ln().times(scale).plus(one).div(two);
  const above = {
    still: cut.div(scale).neg().exp().div(two),
    moved: one.minus(cut.minus(one).div(scale).exp().div(two)),
  };
  if (direction === 'remove') return moved.times(above.moved).minus(ratio.minus(still).times(above.still));
  const below = still.times(one.minus(above.still)).plus(moved.times(one.minus(above.moved)));
  return one.minus(above.still).minus(ratio.times(below));
}
