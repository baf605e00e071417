import type { BasicEvent, Neighbours } from '../event.ts';
import { lossIntegral, type LossMoments, type Mixture } from './renyi-quadrature.ts';

/** Rényi differential privacy as a function: order > 1 in, ε in nats out, an upper bound, never NaN. */
export type RenyiCurve = (order: number) => number;

/**
 * RDP of one basic event, the larger of both directions of the neighbouring relation.
 *
 * - Gaussian: closed form (Mironov, arXiv 1702.07476, Proposition 7; sensitivity 2 under `replace`).
 * - Poisson-subsampled Gaussian: the removal direction, which is never the smaller (Mironov, Talwar, Zhang,
 *   arXiv 1908.10530, Theorem 5); under `replace` the dominating pair of Lebeda et al. (arXiv 2405.20769).
 * - Mixture of Gaussians: both directions (Ganesh, arXiv 2401.10294, Theorem 3.1).
 *
 * Zero-out has the same dominating pairs as add-or-remove. Orders are real: there is no grid.
 * Integrals come with a proven error that is added, and are raised by 1e-11 against rounding.
 *
 * @returns the curve; Infinity where the integral would need too many nodes
 * @example
 * ```ts
 * renyiCurve({ kind: 'gaussian', noiseMultiplier: 2 }, 'add-or-remove')(8); // 1
 * const sampled = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * renyiCurve(sampled, 'add-or-remove')(32.5); // ~11.49863394
 * ```
 */
export function renyiCurve(event: BasicEvent, neighbours: Neighbours): RenyiCurve {
  const replace = neighbours === 'replace';
  if (event.kind === 'gaussian') {
    const sensitivity = replace ? 2 : 1;
    return order => (order * (sensitivity / event.noiseMultiplier) ** 2) / 2;
  }
  const mixture = mixtureOf(event);
  if (replace) return curveOf([lossIntegral(mixture, 'replace')]);
  const remove = lossIntegral(mixture, 'remove');
  if (event.kind === 'poisson-subsampled-gaussian') return curveOf([remove]);
  return curveOf([remove, lossIntegral(mixture, 'add')]);
}

function mixtureOf(event: Exclude<BasicEvent, { kind: 'gaussian' }>): Mixture {
  const { noiseMultiplier } = event;
  if (event.kind === 'mixture-of-gaussians')
    return {
      shifts: event.sensitivities.map(sensitivity => sensitivity / noiseMultiplier),
      weights: event.probabilities,
    };
  return {
    shifts: [0, 1 / noiseMultiplier],
    weights: [1 - event.samplingProbability, event.samplingProbability],
  };
}

function curveOf(integrals: readonly LossMoments[]): RenyiCurve {
  return order => Math.max(...integrals.map(logMoment => logMoment(order))) / (order - 1);
}
