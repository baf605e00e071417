import { fftError, inverseRealFft, realFft, type HalfSpectrum } from './fft.ts';
import { cumulantAt, stepCumulant, type RepeatedLoss } from './pld-cumulants.ts';
import { gridLoss, type GridLoss } from './pld-grid.ts';
import { chooseWindow, type LossWindow, type WindowRequest } from './pld-window.ts';

/**
 * δ of a composition of steps on a grid, as a function of ε, with everything that may be wrong about it.
 *
 * The discrete composition's δ at grid point i is exp(logScale - tilt·ε) × values[i - firstIndex], within the errors.
 */
export interface DiscreteProfile {
  readonly window: LossWindow;
  readonly tilt: number;
  readonly steps: number;
  readonly values: Float64Array;
  readonly logScale: number;
  /** Relative error of the values. */
  readonly relativeError: number;
  /** Absolute error of the values: transforms, losses outside the window, places in cells. */
  readonly absoluteError: number;
  /** What the mass outside the tables may add to δ, absolute. */
  readonly outside: number;
}

const unit = 2 ** -53;

/**
 * The composition of all steps: tilted, so that the error is relative to δ wherever δ is small, and multiplied as spectra.
 */
export function composeOnGrid(parts: readonly RepeatedLoss[], request: WindowRequest): DiscreteProfile {
  const window = chooseWindow(parts, request);
  const { tilt } = request;
  const grids = parts.map(part => gridLoss(part, { window, tilt, logScale: stepCumulant(part, tilt).value }));
  const { spectrum, error } = multiplySpectra(parts, grids, window);
  const masses = inverseRealFft(spectrum);
  const steps = sum(parts.map(({ count }) => count));
  const highest = highestWeight(tilt);
  const placement = Math.expm1(sum(parts.map(({ count }, index) => count * grids[index]!.placementError)));
  const spread = Math.min(highest * window.size, weightIntegral(tilt) / window.spacing + highest);
  return {
    window,
    tilt,
    steps,
    values: profileOf(masses, window, tilt),
    logScale: sum(parts.map(({ count }, index) => count * grids[index]!.logMass)),
    relativeError:
      Math.expm1(sum(parts.map(({ count }, index) => count * grids[index]!.relativeError))) +
      8 * window.size * unit,
    absoluteError: error * spread + highest * (placement + Math.exp(window.logOutside)),
    outside: sum(parts.map(({ count, table }) => count * table.outside)),
  };
}

/** Most of exp(-tilt·x) (1 - exp(-x)) over x >= 0. */
function highestWeight(tilt: number): number {
  return Math.exp(-tilt * Math.log1p(1 / tilt)) / (1 + tilt);
}

function weightIntegral(tilt: number): number {
  return 1 / (tilt * (1 + tilt));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The spectrum of the composition, and a bound on the error of every mass that its inverse transform gives. */
function multiplySpectra(
  parts: readonly RepeatedLoss[],
  grids: readonly GridLoss[],
  { size }: LossWindow,
): { spectrum: HalfSpectrum; error: number } {
  const logs = new Float64Array(size / 2 + 1);
  const angles = new Float64Array(size / 2 + 1);
  const relative = new Float64Array(size / 2 + 1);
  grids.forEach(({ masses }, index) => {
    addPower(realFft(masses), parts[index]!.count, { logs, angles, relative });
  });
  let error = 0;
  for (let k = 0; k < logs.length; k += 1) {
    const modulus = logs[k]! < negligible ? 0 : Math.exp(logs[k]!);
    const angle = angles[k]!;
    error += modulus * (relative[k]! + fftError(size));
    logs[k] = modulus * Math.cos(angle);
    angles[k] = modulus * Math.sin(angle);
  }
  const dropped = Math.exp(negligible);
  return { spectrum: { real: logs, imaginary: angles }, error: (2 * error) / size + dropped };
}

const negligible = -90;

interface PolarSpectrum {
  readonly logs: Float64Array;
  readonly angles: Float64Array;
  readonly relative: Float64Array;
}

/**
 * Multiplies in the `count`-th power of a spectrum, in polar form, so that nothing is lost however large the count.
 *
 * Moduli are taken too large by the error of the transform, which bounds what the error becomes in the power.
 */
function addPower({ real, imaginary }: HalfSpectrum, count: number, { logs, angles, relative }: PolarSpectrum): void {
  const size = 2 * (real.length - 1);
  const rounding = fftError(size);
  for (let k = 0; k < real.length; k += 1) {
    if (logs[k]! < negligible) continue;
    const modulus = Math.hypot(real[k]!, imaginary[k]!) + rounding;
    const log = count * Math.log(modulus);
    logs[k] = logs[k]! + log;
    if (logs[k]! < negligible) continue;
    const angle = count * Math.atan2(imaginary[k]!, real[k]!);
    angles[k] = angles[k]! + angle;
    relative[k] = relative[k]! + 4 * count * (rounding / modulus) + (Math.abs(angle) + Math.abs(log)) * 4 * unit;
  }
}

/** From masses to the profile at the grid points, from the highest loss down: sums of positive terms only. */
function profileOf(masses: Float64Array, { size, firstIndex, spacing }: LossWindow, tilt: number): Float64Array {
  const mask = size - 1;
  const values = new Float64Array(size);
  const keepP = Math.exp(-tilt * spacing);
  const keepQ = Math.exp(-(tilt + 1) * spacing);
  const rise = Math.expm1(spacing);
  let value = 0;
  let massUnderQ = 0;
  for (let at = size - 2; at >= 0; at -= 1) {
    massUnderQ = keepQ * (masses[(firstIndex + at + 1) & mask]! + massUnderQ);
    value = keepP * value + rise * massUnderQ;
    values[at] = value;
  }
  return values;
}

/** The saddle's own measure of the width of the tilted law, for choosing gaps. */
export function tiltedSpread(parts: readonly RepeatedLoss[], tilt: number): number {
  return Math.sqrt(cumulantAt(parts, tilt).curvature);
}
