import type {
  GaussianEvent,
  MixtureOfGaussiansEvent,
  Neighbours,
  SubsampledGaussianEvent,
} from '../event.ts';
import { tight, type EventLaws, type LossLaw } from './law.ts';
import { lossCurve, shiftedNoise, type Direction, type ShiftedNoise } from './loss-curve.ts';

/**
 * Laws of the Gaussian mechanism, bare, Poisson-subsampled, or with a random sensitivity.
 *
 * Add-or-remove and zero-out: Zhu, Dong and Wang (arXiv 2106.08567), Theorem 11, and Choquette-Choo et al. (arXiv 2310.15526),
 * Corollary 4.7. Replace: Lebeda et al. (arXiv 2405.20769), for one record; nothing is proven for groups.
 *
 * @example
 * ```ts
 * const laws = gaussianLaws({ kind: 'gaussian', noiseMultiplier: 0.5 }, 'replace');
 * laws.dominating.remove.curves[0].loss(0); // 0
 * ```
 */
export function gaussianLaws(
  event: GaussianEvent | SubsampledGaussianEvent | MixtureOfGaussiansEvent,
  neighbours: Neighbours,
): EventLaws | undefined {
  const noise = shiftedNoise(event);
  if (neighbours !== 'replace') return tight(gaussianLaw(noise, 'remove'), gaussianLaw(noise, 'add'));
  if (event.kind === 'mixture-of-gaussians') return undefined;
  const law = gaussianLaw(noise, 'replace');
  return tight(law, law);
}

/** One direction as a law. */
export function gaussianLaw(noise: ShiftedNoise, direction: Direction): LossLaw {
  // Bare noise is never less likely than in the mixture by more than the mixture is idle.
  const highest = direction === 'add' && noise.idle > 0 ? -Math.log(noise.idle) : Infinity;
  return { curves: [lossCurve(noise, direction)], atoms: [], infinite: 0, highest };
}
