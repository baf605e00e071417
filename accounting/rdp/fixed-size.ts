import type { FixedSizeGaussianEvent, MixtureOfGaussiansEvent } from '../event.ts';
import { hypergeometricMixture } from '../numerics/hypergeometric.ts';
import { ConvexPart, LogSum, logOnePlusExp } from './convex-part.ts';
import { addIntegral, type PanelRule } from './panels.ts';
import type { LossMoments } from './renyi-quadrature.ts';

/**
 * A step over a batch of fixed size, as a unit sees it that leaves the table while the batch size stays.
 *
 * Ganesh (arXiv 2401.10294), Theorem 3.3: another record takes the place of each of the unit's, so that j of them in the batch
 * move the sum by 2j, j hypergeometric. The probabilities dominate the exact ones.
 *
 * @example
 * ```ts
 * const step = { kind: 'fixed-size-gaussian', noiseMultiplier: 1, datasetSize: 4, batchSize: 2, groupSize: 1 } as const;
 * fixedSizeMixture(step).sensitivities; // [0, 2]
 * ```
 */
export function fixedSizeMixture(event: FixedSizeGaussianEvent): MixtureOfGaussiansEvent {
  const { datasetSize, batchSize, groupSize, noiseMultiplier } = event;
  const drawn = hypergeometricMixture({ population: datasetSize, marked: groupSize, draws: batchSize });
  const sensitivities = drawn.sensitivities.map(count => 2 * count);
  return { kind: 'mixture-of-gaussians', noiseMultiplier, ...drawn, sensitivities };
}

// Beyond this many standard deviations past the last peak an integrand is below 1e-37 of it.
const reach = 13;
const furthest = 1e5;
const rounding = 1e-11;

/**
 * log of the Rényi moment of a step in which a record that was drawn with `probability` is replaced by another.
 *
 * With r = (1-q) + q N(shift)/N(0), the dominating profile takes the removal direction at α >= 1 and the addition direction
 * below (Zhu, Dong, Wang, arXiv 2106.08567, Theorem 11; Lebeda et al., arXiv 2405.20769), so the moment is
 * 1 + ∫ over r > 1 of N(0) (φ_a(r) + r φ_a(1/r)), where r φ_a(1/r) = φ_{1-a}(r). Gauss-Legendre panels of positive terms; what
 * lies beyond them is bounded and added, and all is raised by 1e-11.
 *
 * @param options - shift: in units of the noise, > 0; probability: in (0, 1]
 * @returns an upper bound; Infinity where order·shift is above 1e5
 * @example
 * ```ts
 * replacementMoments({ shift: 1, probability: 1 })(3); // 3
 * replacementMoments({ shift: 1, probability: 0.1 })(2); // ~0.02313
 * ```
 */
export function replacementMoments(options: {
  readonly shift: number;
  readonly probability: number;
}): LossMoments {
  const { shift, probability } = options;
  if (probability === 1) return order => ((order * shift) / 2) * (shift * (order - 1));
  const pair = new Replacement(shift, probability);
  return order => (order * shift < furthest ? pair.logMoment(order) : Infinity);
}

class Replacement {
  readonly shift: number;
  readonly probability: number;

  constructor(shift: number, probability: number) {
    this.shift = shift;
    this.probability = probability;
  }

  logMoment(order: number): number {
    const from = this.shift / 2;
    const to = order * this.shift + reach;
    const rule = this.#ruleOf(order);
    const sum = new LogSum();
    addIntegral(sum, rule, { from, to, logFloor: highest(rule, from, to) - 45 });
    sum.add(this.#logTail(order, to));
    return logOnePlusExp(sum.value + rounding);
  }

  #ruleOf(order: number): PanelRule {
    const [above, below] = [new ConvexPart(order), new ConvexPart(1 - order)];
    const logConvex = (x: number): number => {
      const { loss, excess } = this.#ratioAt(x);
      if (order * loss < 600) return Math.log(above.at(loss, excess) + below.at(loss, excess));
      const [most, least] = [above.logAt(loss, excess), below.logAt(loss, excess)];
      return most + logOnePlusExp(least - most);
    };
    return {
      logIntegrand: x => logDensity(x) + logConvex(x),
      // The density falls and both convex parts rise.
      logBound: (from, to) => logDensity(from) + logConvex(to) + Math.log(to - from),
      longest: (_, to) => Math.min(1, 1.6 / this.shift, 10 / (1 + Math.max(to, order * this.shift))),
    };
  }

  #ratioAt(x: number): { loss: number; excess: number } {
    const exponent = this.shift * (x - this.shift / 2);
    const excess = this.probability * Math.expm1(exponent);
    const loss = exponent < 600 ? Math.log1p(excess) : Math.log(this.probability) + exponent;
    return { loss, excess };
  }

  /** The integrand is at most N(0) (r^a + (a-1) r), and log r rises by at most `shift` from the last place. */
  #logTail(order: number, last: number): number {
    const { loss } = this.#ratioAt(last);
    const power = order * loss - Math.log(last - order * this.shift);
    const linear = Math.log(order - 1) + loss - Math.log(last - this.shift);
    return logDensity(last) + power + logOnePlusExp(linear - power);
  }
}

function logDensity(x: number): number {
  return -(x * x) / 2 - 0.5 * Math.log(2 * Math.PI);
}

/** Nearly the highest value of the log integrand, to tell what is negligible. */
function highest(rule: PanelRule, from: number, to: number): number {
  const count = Math.min(4000, Math.ceil((to - from) * 2));
  let most = -Infinity;
  for (let index = 1; index <= count; index += 1)
    most = Math.max(most, rule.logIntegrand(from + ((to - from) * index) / count));
  return most;
}
