import type { RepeatedLoss } from '../laws/cumulants.ts';
import type { HalfSpectrum } from '../numerics/fft.ts';
import { fourierSeries } from '../numerics/nufft.ts';
import type { Profile } from '../profiles/profile.ts';
import { highestWeight, leftOut, type ProfileRequest } from '../profiles/composer.ts';
import { layLine } from './line.ts';
import { logSpectrum, type LogSpectrum } from './spectrum.ts';

/*
 * δ(ε) exp(tilt·ε) is the inverse transform of F(y) = M(z) / (z (1 + z)), z = tilt + iy, M(z) = E exp(z·loss) (Alghamdi et al.,
 * arXiv 2208.09595, Theorem 3.1). Summed at multiples of a step h instead of integrated, it gives by Poisson's formula
 *
 *     Σ_m exp(2πm·tilt/h) δ(ε + 2πm/h),
 *
 * all of whose terms are positive: m = 0 is wanted, the others are bounded by δ <= 1 below and by Chernoff above.
 * The sum must end somewhere. A Gaussian mechanism of small sensitivity `deviation` is composed in: δ can only grow, exactly as
 * in profile.ts, and F gains exp(-deviation²y²/2), which bounds what was not summed, whatever the mechanism is, by |M(z)| <= M(tilt).
 */

/** δ by a sum along a vertical line. */
export interface ContourProfile extends Profile {
  /** The tilted law's transform without the Gaussian that was composed in; what the exact value is summed from. */
  readonly spectrum: LogSpectrum;
  /** Distance of the terms along the line. */
  readonly spacing: number;
  /** Whether a finer request would give the same. */
  readonly isFinest: boolean;
}

/** The profile of a composition around ε. */
export function composeOnLine(parts: readonly RepeatedLoss[], request: ProfileRequest): ContourProfile {
  const { tilt } = request;
  const line = layLine(parts, request);
  const { deviation, spacing, first, last } = line;
  const spectrum = logSpectrum(parts, { tilt, spacing, terms: line.terms });
  const { terms, error } = damp(spectrum, line, tilt);
  const series = fourierSeries(terms);
  const scale = spacing / (2 * Math.PI);
  const absoluteError =
    scale * (error + series.error) +
    line.missing +
    highestWeight(tilt) * spectrum.lost +
    misplacedError(spectrum.misplaced, tilt);
  return {
    tilt,
    logScale: spectrum.logMoment + (deviation ** 2 * tilt * (tilt + 1)) / 2,
    valueAt: at => (at < first || at > last ? Infinity : Math.max(0, scale * series.valueAt(at * scale))),
    last,
    relativeError: spectrum.relativeError + 1e-14,
    errorAt: () => absoluteError,
    deviation,
    spectrum,
    spacing,
    isFinest: line.isFinest,
    ...leftOut(parts),
  };
}

/**
 * Losses that are wrong by a little move (1 - exp(ε - loss))+ by no more than that, and only where the loss exceeds ε, nearly:
 * in scaled form by at most exp(-tilt·x) at a loss of ε + x.
 */
function misplacedError(misplaced: number, tilt: number): number {
  return misplaced * (1 + tilt * misplaced) * 2;
}

/** F at the multiples of the spacing, with the Gaussian composed in, and the sum of all that they may be wrong by. */
function damp(
  { logs, angles, excess, rounding }: LogSpectrum,
  { spacing, deviation }: { readonly spacing: number; readonly deviation: number },
  tilt: number,
): { terms: HalfSpectrum; error: number } {
  const terms = { real: new Float64Array(logs.length), imaginary: new Float64Array(logs.length) };
  const variance = deviation ** 2;
  let error = 0;
  for (let j = 0; j < logs.length; j += 1) {
    const y = j * spacing;
    const [re, im] = [tilt * (1 + tilt) - y * y, y * (1 + 2 * tilt)];
    const square = re * re + im * im;
    const log = logs[j]! - (variance * y * y) / 2 - Math.log(square) / 2;
    const modulus = Math.exp(log);
    const angle = angles[j]! + (variance * im) / 2 - Math.atan2(im, re);
    terms.real[j] = modulus * Math.cos(angle);
    terms.imaginary[j] = modulus * Math.sin(angle);
    const off = Math.exp(log + excess[j]!) * -Math.expm1(-excess[j]!);
    error += (j === 0 ? 1 : 2) * (off + modulus * (rounding[j]! + (Math.abs(angle) + 8) * 4 * unit));
  }
  return { terms, error };
}

const unit = 2 ** -53;
