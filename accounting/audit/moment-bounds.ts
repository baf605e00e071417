import type { Interval } from '../accountant.ts';
import type { DpEvent, Neighbours } from '../event.ts';
import { compositionsOf, directionsOf, type DirectedComposition } from '../laws/composition.ts';
import { cumulantAt, saddleForDelta, type RepeatedLoss } from '../laws/cumulants.ts';
import { carefulCumulant } from '../laws/nodes.ts';
import { isTooWide } from '../profiles/certified.ts';
import { highestWeight, leftOut } from '../profiles/composer.ts';
import { lossCeiling, partsOf } from '../profiles/search.ts';

/** What bounds are wanted for. */
export interface MomentQuestion {
  readonly neighbours: Neighbours;
  readonly delta: number;
  /** Bounds are tried only where they are likely to tell epsilon from this. */
  readonly limit: number;
}

/**
 * Wide bounds on epsilon in a few hundredths of a second, however many the steps are and however little the noise: from moments of
 * the loss alone, so that nothing is discretised.
 *
 * Above: E(1 - exp(ε - L))+ is at most highestWeight(t) E exp(t (L - ε)). Below: under the law tilted by exp(tL) at least half of the
 * mass lies between two losses, by Chernoff's bound on either side, so that δ(ε) is at least
 * exp(K(t) - t·high) (1 - exp(ε - low)) ÷ 2 with K(t) = log E exp(tL). The distance is a few deviations of the loss.
 *
 * @returns 0 and Infinity for plain Gaussians, which have a closed form, for laws that are too wide for tables, and near the limit
 * @throws DpError `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * const step = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 0.1, samplingProbability: 0.1 } as const;
 * const question = { delta: 1e-5, neighbours: 'add-or-remove', limit: 1000 } as const;
 * const found = momentBounds({ kind: 'repeated', event: step, count: 10000 }, question);
 * found.lower > 40000; // true
 * found.upper < 1.3 * found.lower; // true
 * ```
 */
export function momentBounds(event: DpEvent, { neighbours, delta, limit }: MomentQuestion): Interval {
  const { dominating, attained } = compositionsOf(event, {
    neighbours,
    verb: 'audit the claim',
    relativeGap: nearest - 1,
  });
  const above = dominating === undefined ? [] : directionsOf(dominating);
  const below = attained === undefined ? [] : directionsOf(attained);
  const all = dominating === attained ? above : [...above, ...below];
  const isPlain = all.every(({ steps }) => steps.length === 0);
  if (isPlain || all.some(each => isTooWide(each, Math.log(delta)))) return { lower: 0, upper: Infinity };
  const lower = endsOf(below, { delta, limit }).lower;
  const upper = dominating === undefined ? Infinity : endsOf(above, { delta, limit }).upper;
  return { lower: Math.min(lower, upper), upper };
}

/** Of a direction whose losses add up to less than is certain of another one nothing is asked. */
function endsOf(
  directions: readonly DirectedComposition[],
  at: Pick<MomentQuestion, 'delta' | 'limit'>,
): Interval {
  let ends: Interval = { lower: 0, upper: 0 };
  for (const direction of directions) {
    const ceiling = lossCeiling(direction);
    if (ceiling <= ends.lower) continue;
    const { lower, upper } = endsIn(partsOf(direction, Math.log(at.delta)), at);
    ends = { lower: Math.max(ends.lower, lower), upper: Math.max(ends.upper, Math.min(upper, ceiling)) };
  }
  return ends;
}

/** Where the saddle point, which guesses epsilon to a few per cent, lies nearer to the limit, bounds as wide as these tell nothing. */
const nearest = 1.1;

function endsIn(
  parts: readonly RepeatedLoss[],
  { delta, limit }: Pick<MomentQuestion, 'delta' | 'limit'>,
): Interval {
  const { outside, infinite } = leftOut(parts);
  if (infinite * (1 - 1e-15) >= delta) return { lower: Infinity, upper: Infinity };
  const rest = (delta - outside - infinite) * (1 - 1e-12);
  if (!(rest > 0)) return { lower: 0, upper: Infinity };
  const { tilt, epsilon } = saddleForDelta(parts, Math.log(rest));
  if (epsilon < nearest * limit && limit < nearest * epsilon) return { lower: 0, upper: Infinity };
  return {
    lower: epsilon > limit ? lowerEnd(parts, tilt, Math.log(delta)) : 0,
    upper: upperAt(parts, tilt, Math.log(rest)),
  };
}

/** What is certain below is best for a tilt somewhat less steep than that of the saddle point. */
const shares = [1, 0.85, 0.7, 0.55, 0.4, 0.25];

/** The tilt is chosen by a guess; what is certain is computed at it. */
function lowerEnd(parts: readonly RepeatedLoss[], steepest: number, logDelta: number): number {
  const guesses = shares.map(share => {
    const { value, slope, curvature } = cumulantAt(parts, share * steepest);
    const reach = Math.sqrt(2 * logOutside * curvature);
    const isSeen = value - share * steepest * (slope + reach) - Math.LN2 > logDelta + 1e-3;
    return isSeen ? slope - reach : 0;
  });
  const best = guesses.indexOf(Math.max(...guesses));
  return guesses[best]! > 0 ? Math.max(0, lowerAt(parts, shares[best]! * steepest, logDelta)) : 0;
}

/** A cumulant with more than what rounding makes of it, step by step, added or taken away. */
function cumulantOn(side: 'above' | 'below', parts: readonly RepeatedLoss[], tilt: number): number {
  const value = carefulCumulant(parts, tilt, side);
  const steps = parts.reduce((sum, { count }) => sum + count, 0);
  const slack = 1e-6 + 1e-10 * Math.abs(value) + 1e-14 * steps;
  return side === 'above' ? value + slack : value - slack;
}

function upperAt(parts: readonly RepeatedLoss[], tilt: number, logDelta: number): number {
  const upper = (cumulantOn('above', parts, tilt) + Math.log(highestWeight(tilt)) - logDelta) / tilt;
  return Number.isNaN(upper) ? Infinity : Math.max(0, upper);
}

/** log of the inverse of the share of the tilted law that may lie beyond either end. */
const logOutside = Math.log(4);

function lowerAt(parts: readonly RepeatedLoss[], tilt: number, logDelta: number): number {
  const { curvature } = cumulantAt(parts, tilt);
  if (!(curvature > 0)) return 0;
  const rate = Math.sqrt((2 * logOutside) / curvature);
  const least = cumulantOn('below', parts, tilt);
  const reach = (z: number): number => (cumulantOn('above', parts, z) - least + logOutside) / rate;
  const [high, low] = [reach(tilt + rate), -reach(tilt - rate)];
  const logMass = least - tilt * high - Math.LN2;
  const lower = logMass > logDelta ? low + Math.log1p(-Math.exp(logDelta - logMass)) : 0;
  return Number.isFinite(lower) ? lower : 0;
}
