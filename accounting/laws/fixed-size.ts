import type { FixedSizeGaussianEvent, Neighbours } from '../event.ts';
import type { SensitivityMixture } from '../numerics/dominating.ts';
import { hypergeometricMixture } from '../numerics/hypergeometric.ts';
import { erfc, logNormalTail, logSumExp } from '../numerics/special.ts';
import { gaussianLaw } from './gaussian.ts';
import { tight, type DirectedLaws, type EventLaws, type LossLaw } from './law.ts';
import { lossCurve, shiftedNoise, type LossCurve, type ShiftedNoise } from './loss-curve.ts';

/** One record in a batch with `probability`, by which the batch's sum can then move `shift` standard deviations of the noise. */
export interface ReplacedRecord {
  readonly shift: number;
  readonly probability: number;
}

/**
 * Laws of one Gaussian step over a batch of fixed size, drawn without replacement.
 *
 * - Add-or-remove: each record of the unit that is drawn displaces another, so the sum moves by twice their number, which is
 *   hypergeometric (Ganesh, arXiv 2401.10294, Theorem 3.3); tight, but that the probabilities of a group are rounded either way.
 * - Replace, one record: (1 - q) N(0) + q N(2/σ) against N(0) and the reverse are both attained; what dominates is
 *   `withoutReplacementLaw`.
 *
 * @param event - the larger table has `datasetSize` records
 * @returns undefined for `zero-out` and for `replace` of several records: nothing is proven
 * @example
 * ```ts
 * const event = { kind: 'fixed-size-gaussian', noiseMultiplier: 2, datasetSize: 100, batchSize: 25, groupSize: 1 } as const;
 * fixedSizeLaws(event, 'add-or-remove').dominating.add.highest; // ~0.287682
 * fixedSizeLaws(event, 'zero-out'); // undefined
 * ```
 */
export function fixedSizeLaws(event: FixedSizeGaussianEvent, neighbours: Neighbours): EventLaws | undefined {
  const { noiseMultiplier, datasetSize, batchSize, groupSize } = event;
  if (neighbours === 'zero-out') return undefined;
  if (neighbours === 'add-or-remove' && groupSize > 1) return groupLaws(event);
  if (groupSize > 1) return undefined;
  const record = { shift: 2 / noiseMultiplier, probability: batchSize / datasetSize };
  const attained = bothWays(sampledNoise(record));
  if (neighbours === 'add-or-remove') return tight(attained.remove, attained.add);
  if (batchSize === datasetSize) return tight(attained.remove, attained.remove);
  const law = withoutReplacementLaw(record);
  return { dominating: { remove: law, add: law }, attained };
}

function groupLaws(event: FixedSizeGaussianEvent): EventLaws {
  const { datasetSize: population, groupSize: marked, batchSize: draws } = event;
  const mixture = hypergeometricMixture({ population, marked, draws });
  const lowered = loweredMixture(mixture, Math.max(0, marked + draws - population));
  return {
    dominating: bothWays(groupNoise(event, mixture)),
    attained: bothWays(groupNoise(event, lowered)),
  };
}

/** Gives back more than what the mixture moved up so as to dominate: 1e-11 of each probability, and 1e-40. */
function loweredMixture(mixture: SensitivityMixture, lowest: number): SensitivityMixture {
  const sensitivities = mixture.sensitivities.filter(count => count > lowest);
  const kept = mixture.probabilities.filter((_, index) => mixture.sensitivities[index]! > lowest);
  const probabilities = kept.map(probability => Math.max(0, probability * (1 - 3e-11) - 1e-40));
  const rest = probabilities.reduce((left, probability) => left - probability, 1);
  return { sensitivities: [lowest, ...sensitivities], probabilities: [rest, ...probabilities] };
}

function groupNoise({ noiseMultiplier }: FixedSizeGaussianEvent, mixture: SensitivityMixture): ShiftedNoise {
  const sensitivities = mixture.sensitivities.map(count => 2 * count);
  const { probabilities } = mixture;
  return shiftedNoise({ kind: 'mixture-of-gaussians', noiseMultiplier, sensitivities, probabilities });
}

function bothWays(noise: ShiftedNoise): DirectedLaws {
  return { remove: gaussianLaw(noise, 'remove'), add: gaussianLaw(noise, 'add') };
}

function sampledNoise({ shift, probability }: ReplacedRecord): ShiftedNoise {
  return {
    shifts: Float64Array.of(shift),
    weights: Float64Array.of(probability),
    idle: 1 - probability,
  };
}

/**
 * The law that dominates one step without replacement when one record is replaced: the same for both directions.
 *
 * Zhu, Dong and Wang (arXiv 2106.08567), Theorem 11; Lebeda et al. (arXiv 2405.20769). With M = (1 - q) N(0) + q N(shift), the
 * profile is that of M against N(0) for α >= 1 and of N(0) against M for α < 1. So losses above 0 are those of the former, losses
 * below 0 those of the latter, and what P has left has no loss.
 *
 * @param record - shift: > 0, in units of the noise; probability: in (0, 1]
 * @example
 * ```ts
 * const law = withoutReplacementLaw({ shift: 2, probability: 0.25 });
 * Math.exp(law.atoms[0].logMass); // ~0.512017
 * law.curves.map(({ from, to }) => [from, to]); // [[1, undefined], [undefined, -1]]
 * ```
 */
export function withoutReplacementLaw(record: ReplacedRecord): LossLaw {
  const { shift, probability } = record;
  // M[below shift/2] - N(0)[above shift/2], where the densities are equal; the difference of the two tails is an erf.
  const logMass = Math.log1p(-probability) + Math.log(erf(shift / Math.sqrt(8)));
  const atoms = probability < 1 ? [{ loss: 0, logMass }] : [];
  return { curves: [gains(record), losses(record)], atoms, infinite: 0, highest: Infinity };
}

/** Where M against N(0) has a loss above 0: places above shift/2, in M. */
function gains(record: ReplacedRecord): LossCurve {
  const { shift, probability } = record;
  const curve = lossCurve(sampledNoise(record), 'remove');
  const from = shift / 2;
  return {
    ...curve,
    from,
    logAbove: x => curve.logAbove(Math.max(x, from)),
    logBelow: x =>
      logSumExp([
        Math.log1p(-probability) + logNormalBetween(from, x),
        Math.log(probability) + logNormalBetween(from - shift, x - shift),
      ]),
  };
}

/** Where N(0) against M has a loss below 0: places above shift/2, turned round, in N(0). */
function losses(record: ReplacedRecord): LossCurve {
  const curve = lossCurve(sampledNoise(record), 'add');
  const to = -record.shift / 2;
  return {
    ...curve,
    to,
    logBelow: x => curve.logBelow(Math.min(x, to)),
    logAbove: x => logNormalBetween(x, to),
  };
}

/**
 * log Pr[a < N(0, 1) < b] to about 8 digits, rather above than below, without cancellation; -Infinity where b <= a.
 */
function logNormalBetween(a: number, b: number): number {
  if (b <= a) return -Infinity;
  if (a + b < 0) return logNormalBetween(-b, -a);
  if (b - a < 1e-3) return logNarrow((a + b) / 2, b - a);
  if (a < 0) return Math.log1p(-Math.exp(logNormalTail(b)) - Math.exp(logNormalTail(-a)));
  const above = logNormalTail(a);
  return above + Math.log(-Math.expm1(logNormalTail(b) - above));
}

/** Under exp(-x²/2) <= exp(-middle²/2 - middle (x - middle)). */
function logNarrow(middle: number, width: number): number {
  const bend = (middle * width) / 2;
  const lift = bend < 1e-4 ? (bend * bend) / 6 : bend + Math.log(-Math.expm1(-2 * bend) / (2 * bend));
  return Math.log(width) - (middle * middle + Math.log(2 * Math.PI)) / 2 + lift;
}

/** erf(x) for x >= 0; below 1 by a series of positive terms (Abramowitz and Stegun, 7.1.6), so that small values keep their digits. */
function erf(x: number): number {
  if (x >= 1) return 1 - erfc(x);
  let term = x;
  let sum = x;
  for (let n = 1; n < 40; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
