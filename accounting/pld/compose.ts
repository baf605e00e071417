import { fftError, inverseRealFft, realFft, type HalfSpectrum } from '../numerics/fft.ts';
import { stepCumulant, type RepeatedLoss } from '../laws/cumulants.ts';
import { gridLoss, type GridLoss } from './grid.ts';
import type { Profile } from '../profiles/profile.ts';
import { highestWeight, leftOut } from '../profiles/composer.ts';
import { chooseWindow, latticeOf, type LossWindow, type WindowRequest } from './window.ts';

/** δ of a composition of steps on a grid: between grid points it is linear in exp(ε). */
export interface DiscreteProfile extends Profile {
  readonly window: LossWindow;
}

const unit = 2 ** -53;

/**
 * The composition of all steps: tilted, so that the error is relative to δ wherever δ is small, and multiplied as spectra.
 */
export function composeOnGrid(parts: readonly RepeatedLoss[], request: WindowRequest): DiscreteProfile {
  const { tilt, window } = tiltedWindow(parts, {
    ...request,
    tilt: Math.min(request.tilt, steepestTilt(parts)),
  });
  const grids = parts.map(part => gridLoss(part, { window, tilt, logScale: stepCumulant(part, tilt).value }));
  const overSteps = (figure: (grid: GridLoss) => number): number =>
    parts.reduce((total, { count }, index) => total + count * figure(grids[index]!), 0);
  const { spectrum, error } = multiplySpectra(parts, grids, window);
  const outsideWindow = Math.exp(window.logOutside);
  const values = profileOf(inverseRealFft(spectrum), window, tilt);
  const absoluteError =
    weightedError(error, window, tilt) +
    highestWeight(tilt) * (Math.expm1(overSteps(({ placementError }) => placementError)) + outsideWindow);
  return {
    window,
    tilt,
    valueAt: epsilon => valueBetween(values, epsilon, { window, tilt }),
    last: (window.firstIndex + window.size - 2) * window.spacing,
    logScale: overSteps(({ logMass }) => logMass),
    relativeError: Math.expm1(overSteps(({ relativeError }) => relativeError)) + 8 * window.size * unit,
    errorAt: () => absoluteError,
    deviation: window.isLattice ? 0 : Math.sqrt((overSteps(() => 1) * Math.PI) / 8) * window.spacing,
    ...leftOut(parts),
  };
}

/**
 * The window of a tilt that floating-point numbers can hold. The saddle point of a narrow law beside a wide one may lie where they
 * cannot, and bounds hold at every tilt.
 */
function tiltedWindow(
  parts: readonly RepeatedLoss[],
  request: WindowRequest,
): { readonly tilt: number; readonly window: LossWindow } {
  const { tilt } = request;
  const window = chooseWindow(parts, request);
  const isHeld = Number.isFinite(window.spacing) && tilt * window.spacing <= steepestCell;
  if (isHeld || tilt < 1) return { tilt, window };
  return tiltedWindow(parts, { ...request, tilt: tilt / 64 });
}

/** A tilt that leaves exp(-30) of a mass to the cell beside it shows all that there is. */
const steepestCell = 30;

function steepestTilt(parts: readonly RepeatedLoss[]): number {
  const lattice = latticeOf(parts);
  return lattice === undefined ? Infinity : steepestCell / lattice;
}

/** A value at any ε; what lies above the window is within the absolute error. */
function valueBetween(
  values: Float64Array,
  epsilon: number,
  { window, tilt }: { readonly window: LossWindow; readonly tilt: number },
): number {
  const { spacing, firstIndex, size } = window;
  const index = Math.floor(epsilon / spacing);
  const at = index - firstIndex;
  if (at >= size - 1) return 0;
  if (at < 0) return Infinity;
  const walked = epsilon - index * spacing;
  const share = Math.expm1(walked) / Math.expm1(spacing);
  return (
    Math.exp(tilt * walked) * (1 - share) * values[at]! +
    Math.exp(tilt * (walked - spacing)) * share * values[at + 1]!
  );
}

/** Bounds on the errors of the masses that come out of the transforms: each of them, and the root of the sum of squares. */
interface MassError {
  readonly each: number;
  readonly root: number;
}

/**
 * What errors of the masses can make of a value: the masses are weighted with w(x) = exp(-tilt·x) (1 - exp(-x)), x >= 0.
 * Either every error counts with the sum of the weights, or all with the root of the sum of their squares.
 */
function weightedError({ each, root }: MassError, { spacing, size }: LossWindow, tilt: number): number {
  const highest = highestWeight(tilt);
  const sum = Math.min(highest * size, 1 / (tilt * (1 + tilt) * spacing) + highest);
  const squares = Math.min(
    highest * highest * size,
    1 / (4 * tilt * (1 + tilt) * (1 + 2 * tilt) * spacing) + highest ** 2,
  );
  return Math.min(each * sum, root * Math.sqrt(2 * squares));
}

interface PolarSpectrum {
  readonly logs: Float64Array;
  readonly angles: Float64Array;
  /** count × error ÷ modulus, summed over the parts: the relative error that the forward transforms leave in the power. */
  readonly slack: Float64Array;
  /** Relative error of evaluating the power. */
  readonly rounding: Float64Array;
}

/** Below this logarithm of its modulus an entry counts as 0. */
const negligible = -90;

/** The spectrum of the composition, and what its inverse transform may be wrong by. */
function multiplySpectra(
  parts: readonly RepeatedLoss[],
  grids: readonly GridLoss[],
  { size }: LossWindow,
): { spectrum: HalfSpectrum; error: MassError } {
  const made = (): Float64Array => new Float64Array(size / 2 + 1);
  const product = { logs: made(), angles: made(), slack: made(), rounding: made() };
  let forward = 0;
  grids.forEach(({ masses }, index) => {
    const { count } = parts[index]!;
    forward += count * fftError(size) * Math.sqrt(masses.reduce((sum, mass) => sum + mass * mass, 0));
    addPower(realFft(masses), count, product);
  });
  const steps = parts.reduce((sum, { count }) => sum + count, 0);
  const growth = Math.exp(Math.max(0, product.logs[0]!) + 2 * steps * fftError(size));
  const { each, root } = toCartesian(product, size);
  return {
    spectrum: { real: product.logs, imaginary: product.angles },
    error: { each, root: root + forward * growth },
  };
}

/**
 * Multiplies in the `count`-th power of a spectrum, in polar form, so that nothing is lost however large the count.
 */
function addPower({ real, imaginary }: HalfSpectrum, count: number, product: PolarSpectrum): void {
  const { logs, angles, slack, rounding } = product;
  const error = fftError(2 * (real.length - 1));
  for (let k = 0; k < real.length; k += 1) {
    const modulus = Math.sqrt(real[k]! * real[k]! + imaginary[k]! * imaginary[k]!) + 1e-300;
    const log = count * Math.log(modulus);
    logs[k] = logs[k]! + log;
    slack[k] = slack[k]! + (count * error) / modulus;
    if (logs[k]! + slack[k]! < negligible) continue;
    const angle = count * Math.atan2(imaginary[k]!, real[k]!);
    angles[k] = angles[k]! + angle;
    rounding[k] = rounding[k]! + (Math.abs(angle) + Math.abs(log) + count) * 4 * unit;
  }
}

/**
 * From polar form, in place: real parts where the logarithms were, imaginary parts where the angles were.
 *
 * An entry whose modulus m is off by e has a `count`-th power off by at most m^count · 4s·exp(s), s = count·e/m: modulus and angle
 * together. Entries so small that this says nothing are covered by `root` alone.
 */
function toCartesian({ logs, angles, slack, rounding }: PolarSpectrum, size: number): MassError {
  const inverse = fftError(size);
  let sum = 0;
  let squares = 0;
  for (let k = 0; k < logs.length; k += 1) {
    const modulus = logs[k]! < negligible ? 0 : Math.exp(logs[k]!);
    const bound = Math.exp(logs[k]! + slack[k]!);
    sum += bound * (4 * slack[k]! + rounding[k]! + inverse) + dropped;
    squares += (modulus * (rounding[k]! + inverse) + dropped) ** 2;
    const angle = angles[k]!;
    logs[k] = modulus * Math.cos(angle);
    angles[k] = modulus * Math.sin(angle);
  }
  return { each: (2 * sum) / size, root: Math.sqrt((2 * squares) / size) };
}

const dropped = Math.exp(negligible);

/** From masses to the profile at the grid points, from the highest loss down: sums of positive terms only. */
function profileOf(
  masses: Float64Array,
  { size, firstIndex, spacing }: LossWindow,
  tilt: number,
): Float64Array {
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
