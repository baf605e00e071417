import type { GaussianEvent, MixtureOfGaussiansEvent, SubsampledGaussianEvent } from '../event.ts';
import { logNormalTail, logSumExp } from '../numerics/special.ts';

/**
 * Which of the two neighbouring tables is the larger one: P is the mixture for `remove`, the bare noise for `add`;
 * under `replace` both are mixtures.
 */
export type Direction = 'remove' | 'add' | 'replace';

/**
 * One step as a pair of laws on a line, in units of the noise: Σ weights N(shifts, 1) against N(0, 1).
 * Shifts are positive; `idle` is the probability that the shift is 0.
 */
export interface ShiftedNoise {
  readonly shifts: Float64Array;
  readonly weights: Float64Array;
  readonly idle: number;
}

/**
 * The shifts of a basic event, in units of its noise.
 *
 * Choquette-Choo et al. (arXiv 2310.15526), Corollary 4.7: a random sensitivity is dominated by its norm on a line.
 *
 * @returns no shifts at all where the event reveals nothing
 * @example
 * ```ts
 * shiftedNoise({ kind: 'gaussian', noiseMultiplier: 4 }).shifts[0]; // 0.25
 * ```
 */
export function shiftedNoise(
  event: GaussianEvent | SubsampledGaussianEvent | MixtureOfGaussiansEvent,
): ShiftedNoise {
  if (event.kind === 'gaussian') return mixture([1 / event.noiseMultiplier], [1]);
  if (event.kind === 'poisson-subsampled-gaussian') {
    const { samplingProbability: sampled, noiseMultiplier } = event;
    return mixture([0, 1 / noiseMultiplier], [1 - sampled, sampled]);
  }
  const shifts = event.sensitivities.map(sensitivity => sensitivity / event.noiseMultiplier);
  return mixture(shifts, event.probabilities);
}

function mixture(shifts: readonly number[], weights: readonly number[]): ShiftedNoise {
  const moved = shifts.map((_, index) => index).filter(index => shifts[index]! > 0 && weights[index]! > 0);
  const still = weights.filter((_, index) => shifts[index] === 0);
  return {
    shifts: Float64Array.from(moved, index => shifts[index]!),
    weights: Float64Array.from(moved, index => weights[index]!),
    idle: still.reduce((sum, weight) => sum + weight, 0),
  };
}

/**
 * The largest shift of a step, in units of its noise; 0 where it reveals nothing.
 *
 * @example
 * ```ts
 * largestShift(shiftedNoise({ kind: 'gaussian', noiseMultiplier: 4 })); // 0.25
 * ```
 */
export function largestShift({ shifts }: ShiftedNoise): number {
  return shifts.reduce((most, shift) => Math.max(most, shift), 0);
}

/**
 * The privacy loss log(dP/dQ) along the line, turned so that it increases, and the law P of the place on the line.
 * P may weigh less than 1: a law can have several curves and atoms besides.
 */
export interface LossCurve {
  /** Only places from here; -Infinity where left out. */
  readonly from?: number | undefined;
  /** Only places up to here; Infinity where left out. */
  readonly to?: number | undefined;
  /** Increasing in `place`. */
  loss(place: number): number;
  /** log of P's density without the constant -log(2π)/2, given the loss at `place`. */
  logDensity(place: number, loss: number): number;
  /** log P[place < x]. */
  logBelow(x: number): number;
  /** log P[place > x]. */
  logAbove(x: number): number;
  /** The largest rate at which the loss can grow. */
  readonly steepest: number;
}

/**
 * The loss curve of one step in one direction.
 *
 * Under `replace` the unit's contribution changes sign: Σ weights N(shifts, 1) against its mirror image, which is its own
 * other direction (Lebeda et al., arXiv 2405.20769, for one shift).
 *
 * @example
 * ```ts
 * const step = shiftedNoise({ kind: 'gaussian', noiseMultiplier: 0.5 });
 * lossCurve(step, 'remove').loss(1); // 0
 * lossCurve(step, 'replace').loss(1); // 4
 * ```
 */
export function lossCurve(step: ShiftedNoise, direction: Direction): LossCurve {
  if (direction === 'add') return addCurve(step);
  const tails = {
    logBelow: (x: number): number => logMixtureTail(step, shift => shift - x),
    logAbove: (x: number): number => logMixtureTail(step, shift => x - shift),
  };
  if (direction === 'remove')
    return {
      ...tails,
      steepest: largestShift(step),
      loss: place => logRatio(step, place),
      logDensity: (place, loss) => (-place * place) / 2 + loss,
    };
  return {
    ...tails,
    steepest: 2 * largestShift(step),
    loss: place => logRatio(step, place) - logRatio(step, -place),
    logDensity: place => (-place * place) / 2 + logRatio(step, place),
  };
}

function addCurve(step: ShiftedNoise): LossCurve {
  return {
    steepest: largestShift(step),
    loss: place => -logRatio(step, -place),
    logDensity: place => (-place * place) / 2,
    logBelow: x => logNormalTail(-x),
    logAbove: x => logNormalTail(x),
  };
}

function logMixtureTail(
  { shifts, weights, idle }: ShiftedNoise,
  distance: (shift: number) => number,
): number {
  const terms = Array.from(
    shifts,
    (shift, index) => Math.log(weights[index]!) + logNormalTail(distance(shift)),
  );
  return logSumExp([...terms, Math.log(idle) + logNormalTail(distance(0))]);
}

/** log of Σ weights exp(shift·y - shift²/2), without cancellation where it is near 0 and without overflow. */
function logRatio({ shifts, weights, idle }: ShiftedNoise, y: number): number {
  if (shifts.length === 1 && idle === 0) return shifts[0]! * y - (shifts[0]! * shifts[0]!) / 2;
  let excess = 0;
  for (let index = 0; index < shifts.length; index += 1) {
    const shift = shifts[index]!;
    excess += weights[index]! * Math.expm1(shift * (y - shift / 2));
  }
  return excess > -0.5 && excess < 1e300 ? Math.log1p(excess) : logRatioFar({ shifts, weights, idle }, y);
}

function logRatioFar({ shifts, weights, idle }: ShiftedNoise, y: number): number {
  const terms = Array.from(shifts, (shift, index) => Math.log(weights[index]!) + shift * (y - shift / 2));
  return logSumExp([...terms, Math.log(idle)]);
}
