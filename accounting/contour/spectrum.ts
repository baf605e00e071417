import { stepCumulant, type RepeatedLoss } from '../laws/cumulants.ts';
import type { HalfSpectrum } from '../numerics/fft.ts';
import { MassSpreader } from '../numerics/nufft.ts';
import { visitTilted } from '../laws/nodes.ts';

/** E exp(z·loss) ÷ E exp(tilt·loss) of a composition at z = tilt + i·j·spacing, in polar form, with bounds on its error. */
export interface LogSpectrum {
  readonly logs: Float64Array;
  readonly angles: Float64Array;
  /** By how much more the logarithm of the modulus may be, from errors of the sums. */
  readonly excess: Float64Array;
  /** Relative error from the evaluation of the power. */
  readonly rounding: Float64Array;
  /** log E exp(tilt·loss). */
  readonly logMoment: number;
  /** Relative error that all values have in common: of the moment. */
  readonly relativeError: number;
  /** Bound on the sum of what all losses may be wrong by, in nats, averaged over the tilted law. */
  readonly misplaced: number;
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
  let [lost, logMoment, relativeError, misplaced] = [0, 0, 0, 0];
  for (const step of parts) {
    const transform = stepTransform(step, options);
    const { centre, count } = { ...transform, ...step };
    addPower(transform, count, spectrum);
    for (let j = 0; j <= options.terms; j += 1)
      spectrum.angles[j] = spectrum.angles[j]! + count * centre * (j * options.spacing);
    lost += count * transform.leftOut;
    logMoment += count * transform.logMoment;
    relativeError += count * transform.momentError;
    misplaced += count * transform.misplaced;
  }
  return { ...spectrum, logMoment, relativeError: Math.expm1(relativeError), misplaced, lost };
}

interface StepTransform {
  /** Of the loss minus `centre`. */
  readonly sums: HalfSpectrum;
  readonly centre: number;
  readonly errorAt: (mode: number) => number;
  readonly leftOut: number;
  readonly logMoment: number;
  readonly momentError: number;
  readonly misplaced: number;
}

/** Bound on the rounding of one loss, relative to the size of the loss and of its change within a panel. */
const lossError = 4e-15;

function stepTransform(step: RepeatedLoss, { tilt, spacing, terms }: LineOptions): StepTransform {
  const logScale = stepCumulant(step, tilt).value;
  const spreader = new MassSpreader(terms);
  const perTurn = spacing / (2 * Math.PI);
  const centre = likeliestLoss(step, tilt);
  const moment = new MomentSum(tilt, logScale);
  let misplaced = 0;
  const { leftOut, quadrature } = visitTilted(
    step,
    { tilt, logScale, highest: spacing * terms },
    (loss, mass, size) => {
      spreader.add((loss - centre) * perTurn, mass);
      moment.add(loss, mass);
      misplaced += mass * size;
    },
  );
  const sums = spreader.sums();
  return {
    sums,
    centre,
    errorAt: mode => spreader.errorAt(mode) + quadrature,
    leftOut,
    logMoment: moment.log(step.table),
    momentError: 2e-15 + 4 * unit * Math.abs(logScale),
    misplaced: misplaced * lossError,
  };
}

/** log E exp(tilt·loss) from tilted masses. */
class MomentSum {
  readonly #tilt: number;
  readonly #logScale: number;
  #mass = 0;
  #lost = 0;
  #excess = 0;
  #untilted = 0;

  constructor(tilt: number, logScale: number) {
    this.#tilt = tilt;
    this.#logScale = logScale;
  }

  add(loss: number, mass: number): void {
    const [tilt, logScale] = [this.#tilt, this.#logScale];
    // Neumaier's summation: what each addition loses is added up apart.
    const next = this.#mass + mass;
    this.#lost += this.#mass >= mass ? this.#mass - next + mass : mass - next + this.#mass;
    this.#mass = next;
    this.#untilted += mass * Math.exp(logScale - tilt * loss);
    this.#excess -= mass * Math.expm1(-tilt * loss);
  }

  /**
   * For a law whose masses are 1 by construction the moment is 1 plus the mean of exp(tilt·loss) - 1, which keeps its digits where
   * the step reveals little; else it is the sum of the masses.
   */
  log({ infinite }: { readonly infinite: number }): number {
    const isWhole = Math.abs(this.#untilted + infinite - 1) <= 4e-14 && this.#logScale < 50;
    if (isWhole) return Math.log1p(Math.exp(this.#logScale) * this.#excess - infinite);
    return this.#logScale + Math.log(this.#mass + this.#lost);
  }
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
  { sums: { real, imaginary }, errorAt }: StepTransform,
  count: number,
  { logs, angles, excess, rounding }: Pick<LogSpectrum, 'logs' | 'angles' | 'excess' | 'rounding'>,
): void {
  // Of tilted masses that sum to about 1, which the sums are taken to be relative to.
  for (let j = 0; j < logs.length; j += 1) {
    // Of 1 + a + bi: the sums are small where the step reveals little, and keep their digits.
    const [a, b] = [real[j]!, imaginary[j]!];
    const grown = 2 * a + a * a + b * b;
    const modulus = Math.sqrt((1 + a) * (1 + a) + b * b) + 1e-300;
    const log = count * (grown > -0.5 ? Math.log1p(grown) / 2 : Math.log(modulus));
    const angle = count * Math.atan2(b, 1 + a);
    logs[j] = logs[j]! + log;
    angles[j] = angles[j]! + angle;
    excess[j] = excess[j]! + count * Math.log1p(errorAt(j) / modulus);
    // A small sum rounds relative to itself.
    const size = Math.min(1, Math.abs(a) + Math.abs(b));
    rounding[j] = rounding[j]! + (Math.abs(angle) + Math.abs(log) + count * size) * 4 * unit;
  }
}
