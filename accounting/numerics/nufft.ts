import { chebyshevCoefficients, powersOf } from './chebyshev.ts';
import { fftError, inverseRealFft, realFft, type HalfSpectrum } from './fft.ts';

/*
 * Fourier sums at unevenly spaced points: masses are spread on a grid twice as fine as the modes need, by a
 * Kaiser-Bessel window that reaches `width / 2` cells to each side, and transformed; the window's own transform is divided out
 * (Fessler and Sutton, IEEE Trans. Signal Processing 51, 2003). What the window is wrong by was measured, not proven.
 */

const width = 16;
const half = width / 2;
const oversampling = 2;
const beta = Math.PI * width * (1 - 1 / (2 * oversampling));

/** What the window makes the sums for low modes wrong by, relative to the mass taken from 0; tests find at most this. */
const windowError = 2e-14;
/** The same for the difference of two masses less than a cell apart: per cell of distance, and what its jump at either end adds. */
const [slopeError, jumpError] = [30 * windowError, 1e-15];

/** Modified Bessel function I0, by its power series: all terms are positive. */
function besselI0(x: number): number {
  const square = (x * x) / 4;
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-18; k += 1) {
    term *= square / (k * k);
    sum += term;
  }
  return sum;
}

const degree = 17;
const peak = besselI0(beta);

/** The window in each of its `width` cells, as a polynomial in s in [-1, 1]. */
const pieces = Array.from({ length: width }, (_, cell) => {
  const values = Float64Array.from({ length: degree + 1 }, (_, j) => {
    const s = Math.cos((Math.PI * (j + 0.5)) / (degree + 1));
    const x = (cell + (s + 1) / 2 - half) / half;
    return besselI0(beta * Math.sqrt(Math.max(0, 1 - x * x))) / peak;
  });
  return powersOf(chebyshevCoefficients(values));
});

/** Values of the window at the `width` grid points around a place `s` within its cell. */
function windowAt(s: number, into: Float64Array): void {
  for (let cell = 0; cell < width; cell += 1) {
    const powers = pieces[cell]!;
    let value = powers[degree]!;
    for (let k = degree - 1; k >= 0; k -= 1) value = value * s + powers[k]!;
    into[cell] = value;
  }
}

/** The window's transform at `mode` of a grid of `size` points. */
function windowTransform(mode: number, size: number): number {
  const turn = (Math.PI * width * mode) / size;
  const root = Math.sqrt(beta * beta - turn * turn);
  return (width * Math.sinh(root)) / (root * peak);
}

/** Points of a grid on which modes 0 to `modes` can be told. */
function gridSize(modes: number): number {
  return Math.max(64, 2 ** Math.ceil(Math.log2(2 * oversampling * (modes + 1))));
}

/** Kahan's summation of a window's values, which sum to less than 4, and the product before it, each within two roundings. */
const additionError = 16 * 2 ** -53;

/** Within this many cells of 0 a mass is summed as a difference from a mass at 0. */
const nearest = 0.05;
const nearDegree = 9;

/**
 * window(k - x) - window(k) as a polynomial in x without constant, for k = 1 - half ... half: from the right of 0 and, mirrored, from
 * the left. So what lies near 0 keeps its digits however little it moves.
 */
const moves = Array.from({ length: width }, (_, cell) => {
  // pieces[cell] at s = 1 - 2x, expanded at x = 0.
  const powers = pieces[cell]!;
  return Float64Array.from({ length: nearDegree }, (_, order) => {
    let coefficient = 0;
    for (let k = order + 1; k <= degree; k += 1) coefficient += powers[k]! * choose(k, order + 1);
    return coefficient * (-2) ** (order + 1);
  });
});

function choose(n: number, k: number): number {
  let value = 1;
  for (let j = 1; j <= k; j += 1) value = (value * (n - k + j)) / j;
  return value;
}

function moveBy(x: number, coefficients: Float64Array): number {
  let value = coefficients[nearDegree - 1]!;
  for (let k = nearDegree - 2; k >= 0; k -= 1) value = value * x + coefficients[k]!;
  return value * x;
}

/** Adds masses to a grid, each spread over the points around its angle, and takes them away at the angle 0. */
export class MassSpreader {
  readonly modes: number;
  readonly #grid: Float64Array;
  readonly #scratch = new Float64Array(width);
  /** What rounding took from each grid point (Kahan's summation): hundreds of masses may add to one. */
  readonly #lost: Float64Array;
  #far = 0;
  #windowed = 0;
  #rounded = 0;

  /** @param modes - highest mode that will be asked for */
  constructor(modes: number) {
    this.modes = modes;
    this.#grid = new Float64Array(gridSize(modes));
    this.#lost = new Float64Array(this.#grid.length);
  }

  /** @param turns - angle ÷ 2π, any number */
  add(turns: number, mass: number): void {
    // Around 0, so that a small negative angle keeps its digits.
    const place = (turns - Math.round(turns)) * this.#grid.length;
    if (Math.abs(place) < nearest) return this.#move(place, mass);
    this.#far += mass;
    this.#windowed += windowError * mass;
    this.#spread(place, mass);
  }

  /** A mass from 0 to nearby. The window is even: to the left is the mirror image of to the right. */
  #move(place: number, mass: number): void {
    const side = place < 0 ? -1 : 1;
    this.#windowed += (slopeError * Math.abs(place) + jumpError) * mass;
    for (let cell = 0; cell < width; cell += 1)
      this.#addTo(side * (cell + 1 - half), mass * moveBy(Math.abs(place), moves[cell]!));
  }

  #spread(place: number, mass: number): void {
    const scratch = this.#scratch;
    const cell = Math.floor(place);
    // The nearest grid points lie at cell + 1 - half ... cell + half.
    windowAt(1 - 2 * (place - cell), scratch);
    for (let k = 0; k < width; k += 1) this.#addTo(cell + 1 - half + k, mass * scratch[k]!);
  }

  #addTo(point: number, value: number): void {
    const [grid, lost] = [this.#grid, this.#lost];
    const at = point & (grid.length - 1);
    const added = value - lost[at]!;
    const sum = grid[at]! + added;
    lost[at] = sum - grid[at]! - added;
    grid[at] = sum;
  }

  /**
   * Σ mass·(exp(i·mode·angle) - 1) for modes 0 to `modes`, within `errorAt(mode)`; to be called once.
   *
   * The sum for mode 0, which is nothing but rounding that all modes share, is taken from all of them.
   */
  sums(): HalfSpectrum {
    this.#spread(0, -this.#far);
    const size = this.#grid.length;
    const moduli = this.#grid.reduce((sum, value) => sum + Math.abs(value), 0);
    // The transform of what is there, and the additions, of which most may have cancelled.
    this.#rounded = moduli * fftError(size) + 2 * this.#far * additionError;
    const { real, imaginary } = realFft(this.#grid);
    const shared = real[0]! / windowTransform(0, size);
    const sums = { real: new Float64Array(this.modes + 1), imaginary: new Float64Array(this.modes + 1) };
    for (let mode = 0; mode <= this.modes; mode += 1) {
      const scale = 1 / windowTransform(mode, size);
      sums.real[mode] = real[mode]! * scale - shared;
      sums.imaginary[mode] = -imaginary[mode]! * scale;
    }
    return sums;
  }

  /** Bound on the error of the sum for a mode; known once the sums are. */
  errorAt(mode: number): number {
    const [here, shared] = [mode, 0].map(each => windowTransform(each, this.#grid.length));
    return (this.#windowed * shared!) / here! + this.#rounded * (1 / here! + 1 / shared!);
  }
}

/** A real function of an angle. */
export interface FourierSeries {
  /** @param turns - angle ÷ 2π, any number */
  valueAt(turns: number): number;
  /** Bound on the error of every value. */
  readonly error: number;
}

/**
 * A real function given by its Fourier coefficients, f(turns) = c_0 + 2 Re Σ c_j exp(-2πi j·turns), cheap at any place.
 *
 * @param spectrum - coefficients of modes 0 up; that of mode 0 is taken to be real
 * @example
 * ```ts
 * const series = fourierSeries({ real: Float64Array.of(1, 0.5), imaginary: Float64Array.of(0, 0) });
 * series.valueAt(0); // ~2.0000000000000
 * series.valueAt(0.5); // ~0.0000000000000
 * ```
 */
export function fourierSeries({ real, imaginary }: HalfSpectrum): FourierSeries {
  const size = gridSize(real.length - 1);
  const padded = { real: new Float64Array(size / 2 + 1), imaginary: new Float64Array(size / 2 + 1) };
  let error = 0;
  for (let mode = 0; mode < real.length; mode += 1) {
    const scale = size / windowTransform(mode, size);
    padded.real[mode] = real[mode]! * scale;
    padded.imaginary[mode] = -imaginary[mode]! * scale;
    error += 2 * Math.hypot(real[mode]!, imaginary[mode]!) * seriesError(mode, size);
  }
  const grid = inverseRealFft(padded);
  const scratch = new Float64Array(width);
  const valueAt = (turns: number): number => {
    // Around 0, so that a small negative angle keeps its digits.
    const place = (turns - Math.round(turns)) * size;
    const cell = Math.floor(place);
    windowAt(1 - 2 * (place - cell), scratch);
    let value = 0;
    for (let k = 0; k < width; k += 1) value += grid[(cell + 1 - half + k) & (size - 1)]! * scratch[k]!;
    return value;
  };
  return { valueAt, error };
}

/** Bound on the error that a coefficient brings, relative to it: window and transform, multiplied by what was divided out. */
function seriesError(mode: number, size: number): number {
  return ((windowError + 2 * fftError(size)) * windowTransform(0, size)) / windowTransform(mode, size);
}
