import {
  flattenEvent,
  type BasicEvent,
  type CountedEvent,
  type MixtureOfGaussiansEvent,
  type Neighbours,
  type TruncatedPoissonGaussianEvent,
} from '../event.ts';
import { truncatedSampling } from '../numerics/binomial-tail.ts';
import type { RenyiCurve } from './conversion.ts';
import { discreteGaussianCurve, guaranteeCurve, randomisedResponseCurve } from './discrete.ts';
import { fixedSizeMixture, replacementMoments } from './fixed-size.ts';
import { laplaceCurve, subsampledLaplaceCurve } from './laplace.ts';
import { refusalOf } from './refusal.ts';
import { lossIntegral, type LossMoments } from './renyi-quadrature.ts';
import { repeatAndSelectCurve } from './repeat-select.ts';

export type { RenyiCurve } from './conversion.ts';

/**
 * RDP of one basic event, the larger of both directions of the neighbouring relation.
 *
 * - Gaussian: closed form (Mironov, arXiv 1702.07476, Proposition 7; sensitivity 2 under `replace`).
 * - Poisson-subsampled Gaussian: the removal direction, which is never the smaller (Mironov, Talwar, Zhang,
 *   arXiv 1908.10530, Theorem 5); under `replace` the dominating pair of Lebeda et al. (arXiv 2405.20769).
 * - Mixture of Gaussians: both directions (Ganesh, arXiv 2401.10294, Theorem 3.1).
 * - Fixed-size batches: Theorem 3.3 there; under `replace` the dominating profile of Lebeda et al.
 * - Truncated Poisson: Ganesh (arXiv 2508.15089), its truncated part in the form for `replace`.
 * - Laplace, discrete Gaussian, randomised response, guarantees, repetitions: see their own functions.
 *
 * Zero-out has the same dominating pairs as add-or-remove. Orders are real: there is no grid.
 * Integrals come with a proven error that is added, or are raised by 1e-11, against rounding too.
 *
 * @returns the curve; Infinity where the integral would need too many nodes, or nothing is known, or a guarantee has δ > 0
 * @example
 * ```ts
 * renyiCurve({ kind: 'gaussian', noiseMultiplier: 2 }, 'add-or-remove')(8); // 1
 * const sampled = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * renyiCurve(sampled, 'add-or-remove')(32.5); // ~11.49863394
 * ```
 */
export function renyiCurve(event: BasicEvent, neighbours: Neighbours): RenyiCurve {
  if (refusalOf(event, neighbours) !== undefined) return () => Infinity;
  switch (event.kind) {
    case 'gaussian':
      return gaussianCurve(event.noiseMultiplier, neighbours);
    case 'poisson-subsampled-gaussian':
      return curveOf([subsampledMoments(event, neighbours)]);
    case 'mixture-of-gaussians':
      return mixtureCurve(event);
    case 'laplace':
      return laplaceCurve(event, neighbours);
    case 'poisson-subsampled-laplace':
      return subsampledLaplaceCurve(event);
    case 'discrete-gaussian':
      return discreteGaussianCurve(event, neighbours);
    case 'randomised-response':
      return randomisedResponseCurve(event);
    case 'guarantee':
      return guaranteeCurve(event);
    case 'fixed-size-gaussian': {
      if (neighbours === 'add-or-remove') return mixtureCurve(fixedSizeMixture(event));
      const probability = event.batchSize / event.datasetSize;
      return curveOf([replacementMoments({ shift: 2 / event.noiseMultiplier, probability })]);
    }
    case 'truncated-poisson-gaussian':
      return truncatedCurve(event, neighbours);
    case 'repeat-and-select':
      return repeatAndSelectCurve(composedCurve(flattenEvent(event.event), neighbours), event);
    default:
      return () => Infinity;
  }
}

/**
 * RDP of a composition: the sum of its parts' curves, each times its count.
 *
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * composedCurve([{ event, count: 3 }], 'add-or-remove')(2); // 3
 * ```
 */
export function composedCurve(parts: readonly CountedEvent[], neighbours: Neighbours): RenyiCurve {
  const curves = parts.map(({ event, count }) => ({ count, curve: renyiCurve(event, neighbours) }));
  return order => curves.reduce((sum, { count, curve }) => sum + count * curve(order), 0);
}

function gaussianCurve(noiseMultiplier: number, neighbours: Neighbours): RenyiCurve {
  const sensitivity = neighbours === 'replace' ? 2 : 1;
  return order => (order * (sensitivity / noiseMultiplier) ** 2) / 2;
}

function subsampledMoments(
  event: { readonly noiseMultiplier: number; readonly samplingProbability: number },
  neighbours: Neighbours,
): LossMoments {
  const { noiseMultiplier, samplingProbability: sampled } = event;
  const mixture = { shifts: [0, 1 / noiseMultiplier], weights: [1 - sampled, sampled] };
  return lossIntegral(mixture, neighbours === 'replace' ? 'replace' : 'remove');
}

/** A mixture with one sensitivity is a plain Gaussian, in closed form. */
function mixtureCurve({
  noiseMultiplier,
  sensitivities,
  probabilities,
}: MixtureOfGaussiansEvent): RenyiCurve {
  if (sensitivities.length === 1) return gaussianCurve(noiseMultiplier / sensitivities[0]!, 'add-or-remove');
  const shifts = sensitivities.map(sensitivity => sensitivity / noiseMultiplier);
  const mixture = { shifts, weights: probabilities };
  return curveOf([lossIntegral(mixture, 'remove'), lossIntegral(mixture, 'add')]);
}

/** The weights of the two cases are both taken from above, so that they may add up to a little more than 1. */
function truncatedCurve(event: TruncatedPoissonGaussianEvent, neighbours: Neighbours): RenyiCurve {
  const { noiseMultiplier, samplingProbability } = event;
  const cut = truncatedSampling(event);
  const whole =
    samplingProbability === 1
      ? gaussianMoments(noiseMultiplier, neighbours)
      : subsampledMoments(event, neighbours);
  if (cut.truncationProbability === 0) return curveOf([whole]);
  const probability = cut.samplingProbabilityWhenTruncated;
  const truncated = replacementMoments({ shift: 2 / noiseMultiplier, probability });
  const logWeights = [
    Math.log1p(-cut.truncationProbabilityAtLeast),
    Math.log(cut.truncationProbability),
  ] as const;
  return order => logBlend([whole(order), truncated(order)], logWeights) / (order - 1);
}

function gaussianMoments(noiseMultiplier: number, neighbours: Neighbours): LossMoments {
  const curve = gaussianCurve(noiseMultiplier, neighbours);
  return order => (order - 1) * curve(order);
}

/** log(1 + Σ weight (moment - 1)), the moments and weights given by their logs. */
function logBlend(logMoments: readonly [number, number], logWeights: readonly [number, number]): number {
  const most = Math.max(...logMoments);
  if (most < 30) {
    const excesses = logMoments.map((log, index) => Math.exp(logWeights[index]!) * Math.expm1(log));
    return Math.log1p(excesses.reduce((a, b) => a + b) * (1 + 1e-15));
  }
  const [first, second] = logMoments.map((log, index) => log + logWeights[index]!);
  const larger = Math.max(first!, second!, 0);
  if (larger === Infinity) return Infinity;
  // The moments themselves and not their excesses are added, and 1 for the rest of the mass.
  const rest = [first!, second!, 0].reduce((sum, log) => sum + Math.exp(log - larger), 0);
  return larger + Math.log(rest);
}

function curveOf(integrals: readonly LossMoments[]): RenyiCurve {
  return order => Math.max(...integrals.map(logMoment => logMoment(order))) / (order - 1);
}
