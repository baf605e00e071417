import type { ContourProfile } from './compose.ts';

/** δ(ε) of a profile without the Gaussian that was composed in. */
export type ExactDelta = (epsilon: number) => number;

/** Terms below this share of the largest are not worth adding. */
const negligible = 1e-17;
/** What follows the last term may be this share of the sum. */
const converged = 1e-12;

/**
 * δ as the sum over the terms themselves (Alghamdi et al., arXiv 2208.09595, Theorem 3.1) where they fall off before the line
 * ends; else extrapolated from sums with Gaussians of variances v, v/2, v/4 composed in. Right to about 1e-15 per step.
 * No bound: nothing proves that terms don't rise again.
 *
 * @param options - around: an ε near which δ is wanted; agreed: share of δ by which two extrapolations may differ there
 * @returns undefined where neither way converges
 */
export function exactDelta(
  profile: ContourProfile,
  { around, agreed }: { readonly around: number; readonly agreed: number },
): ExactDelta | undefined {
  const { logs } = profile.spectrum;
  const weights = logs.map((log, j) => log - logDivisor(profile, j));
  const most = weights.reduce((a, b) => Math.max(a, b), -Infinity);
  const end = lastAbove(weights, most + Math.log(negligible));
  if (weights[end]! + Math.log(logs.length) < most + Math.log(converged))
    return seriesOf(profile, weights, { end, blend: [[0, 1]] });
  const [first, second] = [extrapolations[0]!, extrapolations[1]!].map(blend =>
    seriesOf(profile, weights, { end, blend }),
  );
  const [rough, fine] = [first!(around), second!(around)];
  return Math.abs(rough - fine) <= agreed * fine ? second : undefined;
}

/** Shares of the variance and weights of the sums with it: linear and quadratic extrapolation to 0. */
type Blend = readonly (readonly [share: number, weight: number])[];
const extrapolations: readonly Blend[] = [
  [
    [0.5, -1],
    [0.25, 2],
  ],
  [
    [1, 1 / 3],
    [0.5, -2],
    [0.25, 8 / 3],
  ],
];

function logDivisor({ tilt, spacing }: ContourProfile, j: number): number {
  return Math.log(Math.hypot(tilt, j * spacing) * Math.hypot(1 + tilt, j * spacing));
}

function lastAbove(values: Float64Array, threshold: number): number {
  let at = values.length - 1;
  while (at > 0 && values[at]! < threshold) at -= 1;
  return at;
}

function seriesOf(
  profile: ContourProfile,
  weights: Float64Array,
  { end, blend }: { readonly end: number; readonly blend: Blend },
): ExactDelta {
  const { spectrum, spacing, tilt, deviation, infinite } = profile;
  const logScale = profile.logScale - (deviation ** 2 * tilt * (tilt + 1)) / 2;
  const [real, imaginary] = [new Float64Array(end + 1), new Float64Array(end + 1)];
  for (let j = 0; j <= end; j += 1) {
    const y = j * spacing;
    const turn = spectrum.angles[j]! - Math.atan2(y, tilt) - Math.atan2(y, 1 + tilt);
    for (const [share, weight] of blend) {
      const variance = share * deviation ** 2;
      const grown = Math.exp(weights[j]! + (variance * (tilt * (tilt + 1) - y * y)) / 2);
      const turned = turn + (variance * y * (2 * tilt + 1)) / 2;
      real[j] = real[j]! + weight * grown * Math.cos(turned);
      imaginary[j] = imaginary[j]! + weight * grown * Math.sin(turned);
    }
  }
  return epsilon => {
    let sum = real[0]! / 2;
    for (let j = 1; j <= end; j += 1) {
      const phase = j * spacing * epsilon;
      sum += real[j]! * Math.cos(phase) + imaginary[j]! * Math.sin(phase);
    }
    return Math.exp(logScale - tilt * epsilon) * sum * (spacing / Math.PI) + infinite;
  };
}

/** The ε in [lower, upper] at which δ(ε) is `delta`: secants on log δ, which is nearly straight over so short a stretch. */
export function invertExact(
  of: ExactDelta,
  { delta, lower, upper }: { readonly delta: number; readonly lower: number; readonly upper: number },
): number {
  const excess = (epsilon: number): number => Math.log(of(epsilon) / delta);
  let [before, now] = [lower, upper];
  let [valueBefore, value] = [excess(before), excess(now)];
  for (let round = 0; round < 20 && Math.abs(value) > 1e-14 && value !== valueBefore; round += 1) {
    const next = now - (value * (now - before)) / (value - valueBefore);
    if (!Number.isFinite(next)) break;
    [before, valueBefore] = [now, value];
    now = Math.min(upper, Math.max(lower, next));
    value = excess(now);
    if (Math.abs(now - before) <= 1e-15 * now) break;
  }
  return now;
}
