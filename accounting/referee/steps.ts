import type { BasicEvent } from '../event.ts';
import { big, one, sum, zero, type Big } from './big.ts';

/** N(0, deviation²), moved by `shift` with `weight`, left alone with probability `idle`. */
export interface NormalStep {
  readonly kind: 'normal';
  readonly deviation: Big;
  readonly idle: Big;
  /** Shifts above 0, ascending. */
  readonly moved: readonly { readonly shift: Big; readonly weight: Big }[];
}

/** Laplace noise, moved by 1 with probability `moved`. */
export interface LaplaceStep {
  readonly kind: 'laplace';
  readonly scale: Big;
  readonly moved: Big;
}

/**
 * A basic event as one step of noise around a random shift, under add-or-remove; undefined for the others.
 *
 * What the probabilities of a mixture lack of 1 through rounding is added to its lowest sensitivity.
 *
 * @example
 * ```ts
 * const step = stepOf({ kind: 'poisson-subsampled-gaussian', noiseMultiplier: 2, samplingProbability: 0.25 });
 * step.idle.toNumber(); // 0.75
 * stepOf({ kind: 'guarantee', epsilon: 1, delta: 0 }); // undefined
 * ```
 */
export function stepOf(event: BasicEvent): NormalStep | LaplaceStep | undefined {
  switch (event.kind) {
    case 'gaussian':
      return normalStep(event.noiseMultiplier, [{ shift: one, weight: one }]);
    case 'poisson-subsampled-gaussian':
      return normalStep(event.noiseMultiplier, sampled(event.samplingProbability));
    case 'mixture-of-gaussians':
      return normalStep(
        event.noiseMultiplier,
        event.sensitivities.map((value, j) => ({ shift: big(value), weight: big(event.probabilities[j]!) })),
      );
    case 'fixed-size-gaussian':
      return normalStep(event.noiseMultiplier, hypergeometricShifts(event));
    case 'laplace':
      return { kind: 'laplace', scale: big(event.noiseMultiplier), moved: one };
    case 'poisson-subsampled-laplace':
      return {
        kind: 'laplace',
        scale: big(event.noiseMultiplier),
        moved: big(event.samplingProbability),
      };
    default:
      return undefined;
  }
}

type Shifts = NormalStep['moved'];

function sampled(probability: number): Shifts {
  const weight = big(probability);
  return [
    { shift: zero, weight: one.minus(weight) },
    { shift: one, weight },
  ];
}

function normalStep(noiseMultiplier: number, shifts: Shifts): NormalStep {
  const [first, ...others] = shifts;
  const lowest = { shift: first!.shift, weight: one.minus(sum(others.map(({ weight }) => weight))) };
  const all = [lowest, ...others].filter(({ weight }) => weight.gt(0));
  return {
    kind: 'normal',
    deviation: big(noiseMultiplier),
    idle: sum(all.filter(({ shift }) => shift.isZero()).map(({ weight }) => weight)),
    moved: all.filter(({ shift }) => shift.gt(0)),
  };
}

/** Each of the unit's records in the batch displaces another, so j of them move the sum by 2j (arXiv 2401.10294, Theorem 3.3). */
function hypergeometricShifts(event: { datasetSize: number; batchSize: number; groupSize: number }): Shifts {
  const { datasetSize, batchSize, groupSize } = event;
  const others = datasetSize - groupSize - batchSize;
  const least = Math.max(0, -others);
  const most = Math.min(groupSize, batchSize);
  const terms = [one];
  for (let j = least; j < most; j += 1) {
    const ratio = big((groupSize - j) * (batchSize - j)).div((j + 1) * (others + j + 1));
    terms.push(terms.at(-1)!.times(ratio));
  }
  const total = sum(terms);
  return terms.map((term, index) => ({ shift: big(2 * (least + index)), weight: term.div(total) }));
}
