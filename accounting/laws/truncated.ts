import type { Neighbours, TruncatedPoissonGaussianEvent } from '../event.ts';
import { truncatedSampling } from '../numerics/binomial-tail.ts';
import { withoutReplacementLaw } from './fixed-size.ts';
import { gaussianLaws } from './gaussian.ts';
import type { EventLaws, LossLaw } from './law.ts';

/** Less than this can't be told from never. */
const negligible = 1e-300;

/**
 * Laws of a Gaussian step over a Poisson sample that is cut at random to `maximumBatchSize`.
 *
 * Ganesh (arXiv 2508.15089): with probability 1 - τ the step is an ordinary Poisson step, and with τ it is dominated by a batch
 * of fixed size in which the record replaces another, so that it moves the sum by 2. The second part is taken in its form for
 * replace under every relation, a little above the truth. Both weights are rounded up, so masses can sum to 1 + 1e-9.
 *
 * @returns no attained laws, unless batches are practically never cut: then the step is the Poisson one, and tight
 * @example
 * ```ts
 * const step = { kind: 'truncated-poisson-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * const laws = truncatedPoissonLaws({ ...step, datasetSize: 1000, maximumBatchSize: 12 }, 'add-or-remove');
 * laws.dominating.remove.curves.length; // 3
 * laws.attained; // undefined
 * ```
 */
export function truncatedPoissonLaws(
  event: TruncatedPoissonGaussianEvent,
  neighbours: Neighbours,
): EventLaws | undefined {
  const { noiseMultiplier, samplingProbability } = event;
  const poisson = gaussianLaws(
    { kind: 'poisson-subsampled-gaussian', noiseMultiplier, samplingProbability },
    neighbours,
  );
  const sampling = truncatedSampling(event);
  const { truncationProbability: cut, samplingProbabilityWhenTruncated: probability } = sampling;
  if (cut < negligible || poisson?.dominating === undefined) return poisson;
  const fixed = weighted(withoutReplacementLaw({ shift: 2 / noiseMultiplier, probability }), Math.log(cut));
  const { remove, add } = poisson.dominating;
  const logUncut = Math.log1p(-sampling.truncationProbabilityAtLeast);
  const blend = (law: LossLaw): LossLaw => joined(weighted(law, logUncut), fixed);
  const blended = blend(remove);
  return { dominating: { remove: blended, add: add === remove ? blended : blend(add) } };
}

/** A law that happens with a probability. */
export function weighted({ curves, atoms, infinite, highest }: LossLaw, logWeight: number): LossLaw {
  if (logWeight === -Infinity) return { curves: [], atoms: [], infinite: 0, highest: -Infinity };
  return {
    curves: curves.map(curve => ({
      ...curve,
      logDensity: (place, loss) => curve.logDensity(place, loss) + logWeight,
      logBelow: x => curve.logBelow(x) + logWeight,
      logAbove: x => curve.logAbove(x) + logWeight,
    })),
    atoms: atoms.map(({ loss, logMass }) => ({ loss, logMass: logMass + logWeight })),
    infinite: infinite * Math.exp(logWeight),
    highest,
  };
}

/** Two cases that whoever sees the outcome can tell apart. */
export function joined(a: LossLaw, b: LossLaw): LossLaw {
  return {
    curves: [...a.curves, ...b.curves],
    atoms: [...a.atoms, ...b.atoms],
    infinite: a.infinite + b.infinite,
    highest: Math.max(a.highest, b.highest),
  };
}
