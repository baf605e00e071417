import { cumulantAt, type RepeatedLoss } from '../laws/cumulants.ts';
import { carefulCumulant } from '../laws/nodes.ts';

/** A stretch of the loss axis as long as one transform, cut into `size` cells. */
export interface LossWindow {
  /** Width of a cell in nats. */
  readonly spacing: number;
  /** Cells, a power of two. */
  readonly size: number;
  /** Index of the first grid point: its loss is firstIndex × spacing. */
  readonly firstIndex: number;
  /** log of the share of the tilted law of the summed discrete loss that may lie outside. */
  readonly logOutside: number;
  /** Whether every possible loss lies on a grid point, so that the grid adds nothing. */
  readonly isLattice: boolean;
}

/** What a window must show. */
export interface WindowRequest {
  /** Exponent of the tilt exp(tilt·loss). */
  readonly tilt: number;
  /** ε that must lie well inside. */
  readonly epsilon: number;
  /** Wanted distance of upper and lower bound in ε. */
  readonly gap: number;
  /** Longest transform allowed. */
  readonly largestSize: number;
}

/** The gap between upper and lower bound is about this × steps × spacing² × (1 + tilt); see profile.ts. */
const gapFactor = 0.53;
const logWanted = -32;
const smallestSize = 2 ** 10;

/**
 * The window and spacing that promise the wanted gap with the shortest transform.
 *
 * @returns a spacing that uses the whole power of two; coarser than wanted where `largestSize` allows no better
 */
export function chooseWindow(parts: readonly RepeatedLoss[], request: WindowRequest): LossWindow {
  const { tilt, epsilon, gap, largestSize } = request;
  const steps = parts.reduce((sum, { count }) => sum + count, 0);
  const lattice = latticeOf(parts);
  const wanted = lattice ?? Math.sqrt(gap / (gapFactor * steps * (1 + tilt)));
  const above = tailEdge(parts, tilt, 1);
  const below = tailEdge(parts, tilt, -1);
  const margin = 12 * wanted * Math.sqrt(steps);
  const first = Math.min(-below.edge, epsilon - margin);
  const last = Math.max(above.edge, epsilon + margin);
  const cells = 2 ** Math.ceil(Math.log2((last - first) / wanted + 2));
  const size = Math.min(largestSize, Math.max(smallestSize, cells));
  const isLattice = lattice !== undefined && cells <= size;
  // Two cells to spare: rounding to whole indices must not cut the window short.
  const spacing = isLattice ? lattice : (last - first) / (size - 2);
  const firstIndex = Math.floor(first / spacing);
  const rates = [above.rate, -below.rate];
  const growth = Math.max(...rates.map(rate => steps * logKernelMoment(tilt + rate, spacing)));
  const logOutside = logWanted + (isLattice ? 0 : Math.max(0, growth)) + Math.LN2;
  return { spacing, size, firstIndex, logOutside, isLattice };
}

/** More cells than that between 0 and the largest loss of a step are no lattice. */
const finestLattice = 2 ** 20;

/** A spacing of which every loss of every step is a multiple, up to the rounding of the losses; undefined where there is none. */
export function latticeOf(parts: readonly RepeatedLoss[]): number | undefined {
  if (parts.some(({ table }) => table.panels.length > 0)) return undefined;
  const losses = parts.map(({ table }) => table.atoms.map(({ loss }) => Math.abs(loss)));
  const highest = losses.flat().reduce((most, loss) => Math.max(most, loss), 0);
  const divisor = losses
    .flatMap(smallestDistances)
    .reduce((found, distance) => commonDivisor(found, distance, highest), 0);
  if (!(divisor > highest / finestLattice)) return undefined;
  // Euclid's divisor has lost digits; what the largest loss is a multiple of has not.
  const spacing = highest / Math.round(highest / divisor);
  const isMultiple = (loss: number): boolean =>
    Math.abs(loss - Math.round(loss / spacing) * spacing) <= 4e-15 * loss;
  return losses.flat().every(isMultiple) ? spacing : undefined;
}

/** Of losses >= 0: the smallest above 0, and the smallest step from one to the next. */
function smallestDistances(losses: readonly number[]): number[] {
  const sorted = [0, ...losses].sort((a, b) => a - b);
  const steps = sorted.slice(1).map((loss, index) => loss - sorted[index]!);
  const least = (values: readonly number[]): number =>
    values.reduce((a, b) => (b > 1e-9 * a && b < a ? b : a), sorted.at(-1)!);
  return [least(losses.filter(loss => loss > 0)), least(steps.filter(step => step > 1e-12 * sorted.at(-1)!))];
}

/** Euclid's algorithm on numbers that carry rounding errors; 0 where it ends below what a lattice may have. */
function commonDivisor(a: number, b: number, highest: number): number {
  let [high, low] = a > b ? [a, b] : [b, a];
  while (low > highest / finestLattice) {
    const rest = Math.abs(high - Math.round(high / low) * low);
    [high, low] = [low, rest];
  }
  return low <= highest * 1e-11 ? high : 0;
}

/**
 * Chernoff's bound: beyond `edge` (towards `side`) the tilted law of the summed loss has at most exp(logWanted).
 *
 * Any rate proves an edge; the best of a scan around that of a normal law is taken.
 */
function tailEdge(
  parts: readonly RepeatedLoss[],
  tilt: number,
  side: 1 | -1,
): { edge: number; rate: number } {
  const { value, curvature } = cumulantAt(parts, tilt);
  // A law narrower than what ε can feel, 1 / tilt, needs no narrower window.
  const usual = Math.sqrt((-2 * logWanted) / Math.max(curvature, (0.01 / (1 + tilt)) ** 2));
  let best = { edge: Infinity, rate: usual };
  for (let power = -16; power <= 8; power += 1) {
    const rate = usual * 2 ** (power / 4);
    const edge = (cumulantAt(parts, tilt + side * rate).value - value - logWanted) / rate;
    if (edge < best.edge) best = { edge, rate };
  }
  const growth =
    carefulCumulant(parts, tilt + side * best.rate, 'above') - carefulCumulant(parts, tilt, 'below');
  return { edge: (growth - logWanted) / best.rate, rate: best.rate };
}

/**
 * log E[exp(z·X)] of the kernel of density ∝ exp(x/2) on [-spacing, spacing], which dominates what connecting the dots adds
 * to the loss of one step (see profile.ts); 0 or less for z in [-1, 0].
 */
export function logKernelMoment(z: number, spacing: number): number {
  const rate = Math.abs(z + 0.5) * spacing;
  return logSinhRatio(rate) - logSinhRatio(spacing / 2);
}

/** log(sinh(x) / x). */
function logSinhRatio(x: number): number {
  if (x < 0.01) return (x * x) / 6 - x ** 4 / 180;
  return x - Math.LN2 + Math.log(-Math.expm1(-2 * x) / x);
}
