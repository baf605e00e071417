import type { NoiseRate } from './private-noise.ts';

/** Mass beyond the window is below this; it is counted as if it lay outside every interval. */
const outsideMass = 1e-12;

/**
 * Half-width of a window that holds the sum of `terms` discrete Laplace variables with decay `a` but for `outsideMass`.
 *
 * Chernoff at the point where (1 - a·e^t)(1 - a·e^-t) is half of its value at 0: log M(t) = terms · ln 2.
 */
function windowOf(terms: number, rate: number): number {
  const decay = Math.exp(-rate);
  const half = (1 - decay) ** 2 / (4 * decay);
  const tilt = Math.log1p(half + Math.sqrt(half * (half + 2)));
  return Math.ceil((terms * Math.LN2 - Math.log(outsideMass / 2)) / tilt) + 1;
}

/** Convolves with the discrete Laplace law in place: a geometric law to the right, then one to the left. */
function addOne(masses: Float64Array, decay: number): void {
  let carried = 0;
  for (let i = 0; i < masses.length; i++) masses[i] = carried = masses[i]! * (1 - decay) + carried * decay;
  carried = 0;
  for (let i = masses.length - 1; i >= 0; i--) {
    masses[i] = carried = masses[i]! * (1 - decay) + carried * decay;
  }
}

/** Least w with Pr[|sum| > w] <= probability. */
function widthOf(masses: Float64Array, probability: number): number {
  const middle = masses.length >> 1;
  let inside = masses[middle]!;
  for (let width = 0; width < middle; width++) {
    if (1 - inside <= probability) return width;
    inside += masses[middle - width - 1]! + masses[middle + width + 1]!;
  }
  return middle;
}

/**
 * Bounds on sums of independent discrete Laplace noise: for each number of terms the least w such that the sum of so
 * many lies outside ±w with at most the given probability.
 *
 * From the law of the sum itself, whose masses only lose weight at the ends of the window, so that a width is never
 * too small by more than rounding.
 *
 * @param terms - ascending, each at least 1
 * @param options - `rate` of the noise; `probability`: of lying outside, for each of the widths
 */
export function noiseWidths(
  terms: readonly number[],
  options: { rate: NoiseRate; probability: number },
): number[] {
  const rate = options.rate.numerator / options.rate.denominator;
  const half = windowOf(terms.at(-1)!, rate);
  const masses = new Float64Array(2 * half + 1);
  masses[half] = 1;
  let added = 0;
  return terms.map(wanted => {
    for (; added < wanted; added++) addOne(masses, Math.exp(-rate));
    return widthOf(masses, options.probability);
  });
}
