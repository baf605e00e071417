import type { LaplaceEvent, Neighbours, SubsampledLaplaceEvent } from '../event.ts';
import { ConvexPart, LogSum, logOnePlusExp } from './convex-part.ts';
import type { RenyiCurve } from './conversion.ts';
import { addIntegral } from './panels.ts';

/**
 * RDP of Laplace noise, L1 sensitivity 1 and under `replace` 2.
 *
 * Mironov (arXiv 1702.07476), Proposition 6, written so that all terms are positive: moments near 1 keep their digits.
 * Raised by 1e-13 of itself against rounding.
 *
 * @example
 * ```ts
 * laplaceCurve({ kind: 'laplace', noiseMultiplier: 1 }, 'add-or-remove')(2); // ~0.6191
 * ```
 */
export function laplaceCurve({ noiseMultiplier }: LaplaceEvent, neighbours: Neighbours): RenyiCurve {
  const epsilon = (neighbours === 'replace' ? 2 : 1) / noiseMultiplier;
  return order => Math.min(logMoment(order, epsilon) / (order - 1), epsilon) * (1 + 1e-13);
}

function logMoment(order: number, epsilon: number): number {
  const excess = order - 1;
  const share = 1 / (2 * order - 1);
  const rise = excess * epsilon;
  if (rise > 1) return rise + Math.log(share * (order + excess * Math.exp(-(2 * order - 1) * epsilon)));
  return Math.log1p(share * (order * beyondLinear(rise) + excess * beyondLinear(-order * epsilon)));
}

/** e^x - 1 - x, without cancellation. */
function beyondLinear(x: number): number {
  if (Math.abs(x) > 0.5) return Math.expm1(x) - x;
  let term = (x * x) / 2;
  let total = 0;
  for (let k = 3; Math.abs(term) > total * 1e-18; k += 1) {
    total += term;
    term *= x / k;
  }
  return total;
}

/**
 * RDP of Laplace noise on a sum that every unit entered with `samplingProbability`, the larger of both directions.
 *
 * The ratio of (1-q) Lap(0) + q Lap(1) and Lap(0) is constant outside (0, 1): those masses are exact, the stretch between is
 * integrated by Gauss-Legendre panels (Zhu, Dong, Wang, arXiv 2106.08567, Theorem 11, for the pairs). Every term is
 * positive. Raised by 1e-11 of the moment minus 1 against rounding and quadrature. Add-or-remove and zero-out only.
 *
 * @example
 * ```ts
 * const event = { kind: 'poisson-subsampled-laplace', noiseMultiplier: 1, samplingProbability: 0.1 } as const;
 * subsampledLaplaceCurve(event)(2); // ~0.008536
 * ```
 */
export function subsampledLaplaceCurve(event: SubsampledLaplaceEvent): RenyiCurve {
  const { noiseMultiplier, samplingProbability } = event;
  if (samplingProbability === 1) return laplaceCurve({ kind: 'laplace', noiseMultiplier }, 'add-or-remove');
  const pair = new SampledLaplace(1 / noiseMultiplier, samplingProbability);
  return order => {
    const larger = Math.max(pair.logMoment(new ConvexPart(order)), pair.logMoment(new ConvexPart(1 - order)));
    return Math.min(larger / (order - 1), pair.largestLoss * (1 + 1e-11));
  };
}

/** Noise of scale 1, moved by `shift` with probability `sampled`. */
class SampledLaplace {
  readonly shift: number;
  readonly sampled: number;

  constructor(shift: number, sampled: number) {
    this.shift = shift;
    this.sampled = sampled;
  }

  /** Of either direction, which no divergence exceeds. */
  get largestLoss(): number {
    const { shift, sampled } = this;
    return shift < 600 ? Math.log1p(sampled * Math.expm1(shift)) : Math.log(sampled) + shift;
  }

  /** log(1 + ∫ Lap(0) φ(r)). */
  logMoment(part: ConvexPart): number {
    const { shift } = this;
    const sum = new LogSum();
    sum.add(-Math.LN2 + this.#logConvex(part, 0));
    sum.add(-Math.LN2 - shift + this.#logConvex(part, shift));
    const rule = {
      logIntegrand: (x: number) => -Math.LN2 - x + this.#logConvex(part, x),
      logBound: (from: number, to: number) =>
        Math.log(-Math.expm1(from - to) / 2) - from + this.#largestConvex(part, from, to),
      longest: () => Math.min(0.5, 4 / (1 + 2 * Math.abs(part.power))),
    };
    addIntegral(sum, rule, { from: 0, to: shift, logFloor: sum.value - 39 });
    return logOnePlusExp(sum.value + 1e-11);
  }

  /** φ falls to r = 1 and rises from there. */
  #largestConvex(part: ConvexPart, from: number, to: number): number {
    return Math.max(this.#logConvex(part, from), this.#logConvex(part, to));
  }

  #logConvex(part: ConvexPart, x: number): number {
    const exponent = 2 * x - this.shift;
    const excess = this.sampled * Math.expm1(exponent);
    if (exponent < 600) return part.logAt(Math.log1p(excess), excess);
    return part.logAt(Math.log(this.sampled) + exponent, excess);
  }
}
