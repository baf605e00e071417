import { bisect } from '../numerics/bisect.ts';
import { gaussLegendre } from '../numerics/gauss-legendre.ts';

/*
 * Bounds on the true δ from the discrete composition.
 *
 * Above: connecting the dots dominates. Below: let r be the ratio dQ/dP of one outcome. Splitting its loss between two grid
 * points multiplies r by a factor with mean 1 on two points; every such factor, wherever the loss lies in its cell, is
 * dominated in convex order by one independent factor whose logarithm has density ∝ exp(x/2) on [-spacing, spacing], and that one
 * by the factor of a Gaussian mechanism with ratio sqrt(π/8)·spacing of sensitivity to noise. (Dominance is an order of the
 * profiles E(1 - xR)+. The profile of the density is the least one above all two-point factors, which is how it was found:
 * (1 - sqrt(k exp(-spacing)))² / (1 - exp(-spacing)) at k = 1/x in [1, exp(spacing)]. At x = 1 it is tanh(spacing/4), the Gaussian's
 * is erf(ratio/sqrt(8)) >= tanh(spacing/4), and away from there the Gaussian's exceeds it the more.)
 * Dominance survives composition. So, with R log-normal of mean 1 and deviation S = sqrt(steps·π/8)·spacing in the logarithm,
 *
 *     discrete δ(x) <= E[ true δ(x·R) ]   where δ is taken as a function of x = exp(ε).
 *
 * The true δ is convex in x and lies below the upper bound; so between two points left and right of x it lies below the chords from
 * its value d at x to the upper bound at these points. What is left is a linear inequality in d, solved for the least d. With chords
 * of ± 1.63 S, d is 2.66 times further down than the upper bound rises when it is smoothed once more: second order in the spacing.
 */

/** Both ends of what is known of a δ, or of an ε. */
export interface DeltaBounds {
  readonly lower: number;
  readonly upper: number;
}

/**
 * δ as a function of ε in scaled form, with everything that may be wrong about it. It belongs to a law that dominates the true
 * one: the true one, after the ratio of its outcomes was multiplied by factors of mean 1.
 */
export interface Profile {
  readonly tilt: number;
  readonly logScale: number;
  /** δ of the finite losses times exp(tilt·ε - logScale); Infinity where the profile does not reach. */
  valueAt(epsilon: number): number;
  /** Where the profile ends. */
  readonly last: number;
  /** Relative error of the values. */
  readonly relativeError: number;
  /** Absolute error of the value there. */
  errorAt(epsilon: number): number;
  /** What the mass outside the tables may add to δ, absolute. */
  readonly outside: number;
  /** What infinite losses add to δ, absolute. */
  readonly infinite: number;
  /** Deviation of the logarithm of a log-normal factor that dominates all the factors together; 0 where there are none. */
  readonly deviation: number;
}

const rule = gaussLegendre(10);

/**
 * Knots to each side, in deviations: one chord, then narrow steps, then growing ones.
 *
 * The best half-width of the chords for a profile that is a parabola at this scale is 1.63 deviations; the left one suffers
 * from being straight in exp(ε) when it is longer than a nat or two.
 */
function makeKnots(left: number, right: number): Float64Array {
  return Float64Array.from([
    ...sideKnots(left)
      .map(knot => -knot)
      .reverse(),
    0,
    ...sideKnots(right),
  ]);
}

function sideKnots(chord: number): number[] {
  const side = [chord];
  for (let step = 0.05 * chord; side.at(-1)! < 38; step *= 1.1) side.push(Math.min(38, side.at(-1)! + step));
  return side;
}

/** Upper bound on δ at ε. */
export function deltaUpper(profile: Profile, epsilon: number): number {
  const { tilt, logScale, outside, infinite } = profile;
  const scaled = scaledUpper(profile, epsilon);
  if (scaled === Infinity) return 1;
  return Math.min(1, Math.exp(logScale - tilt * epsilon) * scaled * (1 + 1e-15) + outside + infinite);
}

/** The profile's δ times exp(tilt·ε - logScale), upper end of its error. */
function scaledUpper(profile: Profile, epsilon: number): number {
  return profile.valueAt(epsilon) * (1 + profile.relativeError) + profile.errorAt(epsilon);
}

/** E[hat_k(R)] for the hats on the knots, linear in R. */
export interface Smoothing {
  readonly offsets: Float64Array;
  readonly weights: Float64Array;
}

/** What the factors may have added, as weights on the knots, in several ways; none where it is too much to say anything. */
export function smoothingsOf({ deviation }: Profile): Smoothing[] {
  if (deviation === 0) return [exact];
  if (!(deviation < 10)) return [];
  const lefts = deviation < 0.3 ? [1.63] : [1.63, 1 / deviation, 2 / deviation];
  return lefts.map(left => smoothing(makeKnots(Math.min(left, 1.63), 1.63), deviation));
}

const exact: Smoothing = { offsets: Float64Array.of(0), weights: Float64Array.of(1) };

function smoothing(knots: Float64Array, deviation: number): Smoothing {
  const offsets = knots.map(knot => knot * deviation);
  const weights = new Float64Array(knots.length);
  for (let k = 0; k + 1 < knots.length; k += 1) {
    const half = (knots[k + 1]! - knots[k]!) / 2;
    for (let node = 0; node < rule.nodes.length; node += 1) {
      const knot = knots[k]! + half * (1 + rule.nodes[node]!);
      const normal = knot + deviation / 2;
      const mass = (Math.exp((-normal * normal) / 2) * half * rule.weights[node]!) / Math.sqrt(2 * Math.PI);
      const share = Math.expm1(knot * deviation - offsets[k]!) / Math.expm1(offsets[k + 1]! - offsets[k]!);
      weights[k] = weights[k]! + mass * (1 - share);
      weights[k + 1] = weights[k + 1]! + mass * share;
    }
  }
  return { offsets, weights };
}

/** Lower bound on δ at ε. */
export function deltaLower(profile: Profile, epsilon: number, smoothings: readonly Smoothing[]): number {
  const finite = smoothings.reduce(
    (most, smoothing) => Math.max(most, lowerWith(profile, epsilon, smoothing)),
    0,
  );
  return finite + profile.infinite * (1 - 1e-15);
}

function lowerWith(profile: Profile, epsilon: number, { offsets, weights }: Smoothing): number {
  const { tilt, logScale, relativeError } = profile;
  const value = profile.valueAt(epsilon);
  if (value === Infinity) return 0;
  const logUnit = logScale - tilt * epsilon;
  const one = Math.exp(-logUnit);
  const apex = offsets.indexOf(0);
  let excess = value * (1 - relativeError) - profile.errorAt(epsilon);
  for (let k = 0; k < offsets.length; k += 1) {
    const weight = weights[k]!;
    if (k === apex || weight === 0) continue;
    // All is about the law without its cut tails, whose δ is no more than the truth.
    const above = Math.exp(-tilt * offsets[k]!) * scaledUpper(profile, epsilon + offsets[k]!);
    excess -= weight * (1 + roundingSlack) * Math.min(one, above);
  }
  if (!(excess > 0)) return 0;
  const bound = (excess * Math.exp(logUnit)) / (weights[apex]! * (1 + roundingSlack)) - 1e-305;
  return Math.max(0, bound * (1 - roundingSlack));
}

/** Relative error of the weights and of the few exponentials around them. */
const roundingSlack = 1e-12;

/** The least ε, nearly, whose upper bound on δ is at most `delta`; Infinity where the profile shows none. */
export function epsilonUpper(profile: Profile, delta: number): number {
  const { last } = profile;
  if (deltaUpper(profile, 0) <= delta) return 0;
  if (!(last > 0) || deltaUpper(profile, last) > delta) return Infinity;
  return bisect(0, last, epsilon => deltaUpper(profile, epsilon) <= delta).outer;
}

/**
 * An ε below `above` whose lower bound on δ exceeds `delta`, as large as a search from above finds it; 0 where it finds none.
 *
 * The lower bound on δ fades far from where the profile is tilted to, so the search walks down in growing strides.
 */
export function epsilonLower(profile: Profile, delta: number, above: number): number {
  const smoothings = smoothingsOf(profile);
  const exceeds = (epsilon: number): boolean => deltaLower(profile, epsilon, smoothings) > delta;
  if (!Number.isFinite(above)) return 0;
  let last = above;
  for (let stride = 1e-6 * above; stride < above; stride *= 2) {
    if (exceeds(above - stride)) return bisect(above - stride, last, epsilon => !exceeds(epsilon)).inner;
    last = above - stride;
  }
  return 0;
}
