import { stepCumulant, type RepeatedLoss } from '../laws/cumulants.ts';
import type { HalfSpectrum } from '../numerics/fft.ts';
import { MassSpreader, nufftError } from '../numerics/nufft.ts';
import { quadratureError, visitTilted } from './nodes.ts';

/** E exp(z·loss) ÷ E exp(tilt·loss) of a composition at z = tilt + i·j·spacing, in polar form, with bounds on its error. */
export interface LogSpectrum {
  readonly logs: Float64Array;
  readonly angles: Float64Array;
  /** By how much more the logarithm of the modulus may be, from errors of the sums. */
  readonly excess: Float64Array;
  /** Relative error from the evaluation of the power. */
  readonly rounding: Float64Array;
  /** Relative error that all values have in common: of the masses. */
  readonly relativeError: number;
  /** Share of the tilted law that was left out. */
  readonly lost: number;
}

/** Where the transform is wanted. */
interface LineOptions {
  readonly tilt: number;
  readonly spacing: number;
  /** Highest j. */
  readonly terms: number;
}

const unit = 2 ** -53;

/**
 * The transform of the tilted law of all steps: each step's by a Fourier sum over its masses, then powers in polar form, so that
 * nothing is lost however large the count.
 */
export function logSpectrum(parts: readonly RepeatedLoss[], options: LineOptions): LogSpectrum {
  const made = (): Float64Array => new Float64Array(options.terms + 1);
  const spectrum = { logs: made(), angles: made(), excess: made(), rounding: made() };
  let [lost, relativeError] = [0, 0];
  for (const step of parts) {
    const { sums, centre, leftOut, exponent } = stepTransform(step, options);
    addPower(sums, step.count, spectrum);
    for (let j = 0; j <= options.terms; j += 1)
      spectrum.angles[j] = spectrum.angles[j]! + step.count * centre * (j * options.spacing);
    lost += step.count * leftOut;
    relativeError += step.count * (4e-15 + exponent * 2 * unit);
  }
  return { ...spectrum, relativeError: Math.expm1(relativeError), lost };
}

interface StepTransform {
  /** Of the loss minus `centre`. */
  readonly sums: HalfSpectrum;
  readonly centre: number;
  readonly leftOut: number;
  /** Largest exponent of a mass that matters: its rounding is that mass's relative error. */
  readonly exponent: number;
}

function stepTransform(step: RepeatedLoss, { tilt, spacing, terms }: LineOptions): StepTransform {
  const logScale = stepCumulant(step, tilt).value;
  const spreader = new MassSpreader(terms);
  const perTurn = spacing / (2 * Math.PI);
  const centre = likeliestLoss(step, tilt);
  let exponent = Math.abs(logScale);
  const leftOut = visitTilted(step, { tilt, logScale, highest: spacing * terms }, (loss, mass) => {
    spreader.add((loss - centre) * perTurn, mass);
    if (mass > 1e-25) exponent = Math.max(exponent, Math.abs(tilt * loss));
  });
  return { sums: spreader.sums(), centre, leftOut, exponent: exponent + 60 };
}

/** Where the tilted law is heaviest: sums are taken around it, since what lies near 0 is summed best. */
function likeliestLoss({ losses, logWeights }: RepeatedLoss, tilt: number): number {
  let best = 0;
  for (let k = 1; k < losses.length; k += 1) {
    if (logWeights[k]! + tilt * losses[k]! > logWeights[best]! + tilt * losses[best]!) best = k;
  }
  return losses[best] ?? 0;
}

/** Multiplies in the `count`-th power of a step's transform. */
function addPower(
  { real, imaginary }: HalfSpectrum,
  count: number,
  { logs, angles, excess, rounding }: Pick<LogSpectrum, 'logs' | 'angles' | 'excess' | 'rounding'>,
): void {
  const error = nufftError + quadratureError;
  for (let j = 0; j < logs.length; j += 1) {
    // Of 1 + a + bi: the sums are small where the step reveals little, and keep their digits.
    const [a, b] = [real[j]!, imaginary[j]!];
    const grown = 2 * a + a * a + b * b;
    const modulus = Math.sqrt((1 + a) * (1 + a) + b * b) + 1e-300;
    const log = count * (grown > -0.5 ? Math.log1p(grown) / 2 : Math.log(modulus));
    const angle = count * Math.atan2(b, 1 + a);
    logs[j] = logs[j]! + log;
    angles[j] = angles[j]! + angle;
    excess[j] = excess[j]! + count * Math.log1p(error / modulus);
    rounding[j] = rounding[j]! + (Math.abs(angle) + Math.abs(log) + count) * 4 * unit;
  }
}
