import type { BasicEvent } from '../event.ts';
import { logNormalTail, logSumExp } from '../numerics/special.ts';

/** Which of the two neighbouring tables is the larger one: P is the mixture for `remove`, the bare noise for `add`. */
export type Direction = 'remove' | 'add';

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
export function shiftedNoise(event: BasicEvent): ShiftedNoise {
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

/** The privacy loss log(dP/dQ) along the line, turned so that it increases, and the law P of the place on the line. */
export interface LossCurve {
  readonly direction: Direction;
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
 * @example
 * ```ts
 * const step = shiftedNoise({ kind: 'gaussian', noiseMultiplier: 0.5 });
 * lossCurve(step, 'remove').loss(1); // 0
 * ```
 */
export function lossCurve(step: ShiftedNoise, direction: Direction): LossCurve {
  const steepest = largestShift(step);
  if (direction === 'add') {
    return {
      direction,
      steepest,
      loss: place => -logRatio(step, -place),
      logDensity: place => (-place * place) / 2,
      logBelow: x => logNormalTail(-x),
      logAbove: x => logNormalTail(x),
    };
  }
  return {
    direction,
    steepest,
    loss: place => logRatio(step, place),
    logDensity: (place, loss) => (-place * place) / 2 + loss,
    logBelow: x => logMixtureTail(step, shift => shift - x),
    logAbove: x => logMixtureTail(step, shift => x - shift),
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

/** A stretch of the line on which the loss is a polynomial, in powers of (place - centre) / radius. */
export interface Panel {
  readonly centre: number;
  readonly radius: number;
  readonly coefficients: Float64Array;
}

/** A loss curve between two places, in stretches short enough for polynomials and for quadrature. */
export interface TabulatedLoss {
  readonly curve: LossCurve;
  readonly panels: readonly Panel[];
  /** At most this much of P lies below the first or above the last panel, together. */
  readonly outside: number;
}

const degree = 13;
const nodes = Float64Array.from({ length: degree + 1 }, (_, j) =>
  Math.cos((Math.PI * (j + 0.5)) / (degree + 1)),
);

/**
 * A curve cut where P's tails weigh at most exp(logTail) each, as polynomials of degree 13 that are right to rounding.
 *
 * @param logTail - natural logarithm of the mass that may be left out on each side
 * @example
 * ```ts
 * const curve = lossCurve(shiftedNoise({ kind: 'gaussian', noiseMultiplier: 1 }), 'add');
 * tabulate(curve, Math.log(1e-20)).outside < 2.1e-20; // true
 * ```
 */
export function tabulate(curve: LossCurve, logTail: number): TabulatedLoss {
  const { first, last } = ends(curve, logTail);
  const panels: Panel[] = [];
  const count = Math.ceil(last + first);
  const width = (last + first) / count;
  for (let index = 0; index < count; index += 1)
    addPanels(curve, -first + width * (index + 0.5), width / 2, panels);
  const outside = (Math.exp(curve.logBelow(-first)) + Math.exp(curve.logAbove(last))) * (1 + 1e-9);
  return { curve, panels, outside };
}

/** How far to each side of 0 a table reaches. */
function ends(curve: LossCurve, logTail: number): { first: number; last: number } {
  return {
    first: tailPlace(x => curve.logBelow(-x), logTail, curve.steepest),
    last: tailPlace(x => curve.logAbove(x), logTail, curve.steepest),
  };
}

/**
 * Nats between the ends of the table that `tabulate` would make; it has about one panel a nat.
 *
 * @example
 * ```ts
 * const curve = lossCurve(shiftedNoise({ kind: 'gaussian', noiseMultiplier: 0.001 }), 'remove');
 * lossRange(curve, Math.log(1e-20)) > 10_000; // true
 * ```
 */
export function lossRange(curve: LossCurve, logTail: number): number {
  const { first, last } = ends(curve, logTail);
  return curve.loss(last) - curve.loss(-first);
}

/** The least x, nearly, with logTailAt(x) <= logTail. */
function tailPlace(logTailAt: (x: number) => number, logTail: number, steepest: number): number {
  const reach = Math.sqrt(-2 * logTail) + steepest + 1;
  let low = -reach;
  let high = reach;
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (logTailAt(middle) > logTail) low = middle;
    else high = middle;
  }
  return high;
}

function addPanels(curve: LossCurve, centre: number, radius: number, panels: Panel[]): void {
  const values = nodes.map(node => curve.loss(centre + radius * node));
  // Differences are transformed, so that rounding is relative to them where the loss is nearly flat.
  const middle = curve.loss(centre);
  const chebyshev = chebyshevCoefficients(values.map(value => value - middle));
  chebyshev[0] = chebyshev[0]! + middle;
  if (radius < 2e-4 || (isSmooth(chebyshev, values) && isShort(centre, radius, chebyshev))) {
    panels.push({ centre, radius, coefficients: powersOf(chebyshev) });
    return;
  }
  addPanels(curve, centre - radius / 2, radius / 2, panels);
  addPanels(curve, centre + radius / 2, radius / 2, panels);
}

function chebyshevCoefficients(values: Float64Array): Float64Array {
  const size = values.length;
  return Float64Array.from({ length: size }, (_, k) => {
    const sum = values.reduce(
      (total, value, j) => total + value * Math.cos((Math.PI * k * (j + 0.5)) / size),
      0,
    );
    return (sum * (k === 0 ? 1 : 2)) / size;
  });
}

function isSmooth(chebyshev: Float64Array, values: Float64Array): boolean {
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const [a, b] = [Math.abs(chebyshev[degree]!), Math.abs(chebyshev[degree - 1]!)];
  return Math.max(a, b / 16) <= 4e-16 * scale;
}

/** Whether the density changes by less than a factor of about e to each side, so that quadrature is right to rounding. */
function isShort(centre: number, radius: number, chebyshev: Float64Array): boolean {
  return Math.abs(centre) * radius + Math.abs(chebyshev[1]!) <= 1 && radius <= 0.5;
}

/** From Chebyshev polynomials to powers; the coefficients decay fast enough to keep their digits. */
function powersOf(chebyshev: Float64Array): Float64Array {
  const size = chebyshev.length;
  const powers = new Float64Array(size);
  let previous = new Float64Array(size);
  let current = new Float64Array(size);
  previous[0] = 1;
  current[1] = 1;
  powers[0] = chebyshev[0]!;
  for (let k = 1; k < size; k += 1) {
    const next = new Float64Array(size);
    for (let j = 0; j < size; j += 1) {
      powers[j] = powers[j]! + chebyshev[k]! * current[j]!;
      next[j] = (j > 0 ? 2 * current[j - 1]! : 0) - previous[j]!;
    }
    [previous, current] = [current, next];
  }
  return powers;
}
