import { cumulantAt, type RepeatedLoss } from '../laws/cumulants.ts';

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
  const wanted = Math.sqrt(gap / (gapFactor * steps * (1 + tilt)));
  const above = tailEdge(parts, tilt, 1);
  const below = tailEdge(parts, tilt, -1);
  const margin = 12 * wanted * Math.sqrt(steps);
  const first = Math.min(-below.edge, epsilon - margin);
  const last = Math.max(above.edge, epsilon + margin);
  const cells = 2 ** Math.ceil(Math.log2((last - first) / wanted));
  const size = Math.min(largestSize, Math.max(smallestSize, cells));
  // Two cells to spare: rounding to whole indices must not cut the window short.
  const spacing = (last - first) / (size - 2);
  const firstIndex = Math.floor(first / spacing);
  const rates = [above.rate, -below.rate];
  const growth = Math.max(...rates.map(rate => steps * logKernelMoment(tilt + rate, spacing)));
  return { spacing, size, firstIndex, logOutside: logWanted + Math.max(0, growth) + Math.LN2 };
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
  return best;
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
