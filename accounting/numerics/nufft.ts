import { chebyshevCoefficients, powersOf } from './chebyshev.ts';
import { fftError, inverseRealFft, realFft, type HalfSpectrum } from './fft.ts';

/*
 * Fourier sums at unevenly spaced points: masses are spread on a grid twice as fine as the modes need, by a
 * Kaiser-Bessel window that reaches `width / 2` cells to each side, and transformed; the window's own transform is divided out
 * (Fessler and Sutton, IEEE Trans. Signal Processing 51, 2003; error of the window: Potts, 2003, Theorem 1.15).
 */

const width = 16;
const half = width / 2;
const oversampling = 2;
const beta = Math.PI * width * (1 - 1 / (2 * oversampling));

/** What the window makes the sums for low modes wrong by, relative to the mass; tests find at most this. */
const windowError = 2e-14;

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

/** Bound on the error for one mode, relative to the sum of the moduli of what is summed: window and transform, divided out. */
function errorAt(mode: number, size: number): number {
  return ((windowError + 2 * fftError(size)) * windowTransform(0, size)) / windowTransform(mode, size);
}

/** Adds masses to a grid, each spread over the points around its angle. */
export class MassSpreader {
  readonly modes: number;
  private readonly grid: Float64Array;
  private readonly scratch = new Float64Array(width);
  private total = 0;

  /** @param modes - highest mode that will be asked for */
  constructor(modes: number) {
    this.modes = modes;
    this.grid = new Float64Array(gridSize(modes));
  }

  /** @param turns - angle ÷ 2π, any number */
  add(turns: number, mass: number): void {
    this.total += mass;
    this.spread(turns, mass);
  }

  /** Bound on the error of the sum for a mode, relative to Σ mass. */
  errorAt(mode: number): number {
    return errorAt(mode, this.grid.length);
  }

  private spread(turns: number, mass: number): void {
    const { grid, scratch } = this;
    const mask = grid.length - 1;
    // Around 0, so that a small negative angle keeps its digits.
    const place = (turns - Math.round(turns)) * grid.length;
    const cell = Math.floor(place);
    // The nearest grid points lie at cell + 1 - half ... cell + half.
    windowAt(1 - 2 * (place - cell), scratch);
    for (let k = 0; k < width; k += 1) {
      const at = (cell + 1 - half + k) & mask;
      grid[at] = grid[at]! + mass * scratch[k]!;
    }
  }

  /**
   * Σ mass·(exp(i·mode·angle) - 1) for modes 0 to `modes`, within `errorAt(mode)` × Σ mass; to be called once.
   *
   * All mass is taken away again at the angle 0, so that what lies near it makes hardly any error, and the sum for mode 0,
   * which is nothing but rounding that all modes share, is taken from all of them.
   */
  sums(): HalfSpectrum {
    this.spread(0, -this.total);
    const { real, imaginary } = realFft(this.grid);
    const size = this.grid.length;
    const shared = real[0]! / windowTransform(0, size);
    const sums = { real: new Float64Array(this.modes + 1), imaginary: new Float64Array(this.modes + 1) };
    for (let mode = 0; mode <= this.modes; mode += 1) {
      const scale = 1 / windowTransform(mode, size);
      sums.real[mode] = real[mode]! * scale - shared;
      sums.imaginary[mode] = -imaginary[mode]! * scale;
    }
    return sums;
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
    error += 2 * Math.hypot(real[mode]!, imaginary[mode]!) * errorAt(mode, size);
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
