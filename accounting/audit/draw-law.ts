import type { SamplerPlan } from '../plan.ts';

/** Law of the number of units in one draw, as a table around its mean; what the table leaves out is below 1e-25. */
export interface DrawLaw {
  readonly lowest: number;
  /** Of `lowest`, `lowest + 1`, and so on; they sum to 1. */
  readonly probabilities: Float64Array;
  readonly mean: number;
  /** 0 where every draw has the same size. */
  readonly variance: number;
}

const reach = 12;

/** A law by the ratios of its neighbouring probabilities, outward from its mode. */
function lawByRatios(options: {
  mode: number;
  deviation: number;
  most: number;
  ratioAt: (size: number) => number;
}): DrawLaw {
  const { mode, deviation, most, ratioAt } = options;
  const width = Math.ceil(reach * deviation) + 40;
  const lowest = Math.max(0, mode - width);
  const highest = Math.min(most, mode + width);
  const probabilities = new Float64Array(highest - lowest + 1);
  probabilities[mode - lowest] = 1;
  for (let size = mode; size < highest; size += 1)
    probabilities[size + 1 - lowest] = probabilities[size - lowest]! * ratioAt(size);
  for (let size = mode; size > lowest; size -= 1)
    probabilities[size - 1 - lowest] = probabilities[size - lowest]! / ratioAt(size - 1);
  return normalised(lowest, probabilities);
}

function normalised(lowest: number, probabilities: Float64Array): DrawLaw {
  let [total, first] = [0, 0];
  for (let at = 0; at < probabilities.length; at += 1) {
    total += probabilities[at]!;
    first += probabilities[at]! * (lowest + at);
  }
  const mean = first / total;
  let second = 0;
  for (let at = 0; at < probabilities.length; at += 1) {
    probabilities[at]! /= total;
    second += probabilities[at]! * (lowest + at - mean) ** 2;
  }
  return { lowest, probabilities, mean, variance: second };
}

/** Sizes of Poisson draws: Binomial(units, probability). */
export function binomialLaw(units: number, probability: number): DrawLaw {
  if (probability >= 1 || units === 0) return normalised(units, Float64Array.of(1));
  const odds = probability / (1 - probability);
  return lawByRatios({
    mode: Math.min(units, Math.floor((units + 1) * probability)),
    deviation: Math.sqrt(units * probability * (1 - probability)),
    most: units,
    ratioAt: size => ((units - size) / (size + 1)) * odds,
  });
}

function poissonLaw(mean: number): DrawLaw {
  return lawByRatios({
    mode: Math.floor(mean),
    deviation: Math.sqrt(mean),
    most: Infinity,
    ratioAt: size => mean / (size + 1),
  });
}

/** The same law where more than `limit` units are cut to that many. */
function cutAt(law: DrawLaw, limit: number): DrawLaw {
  const { lowest, probabilities } = law;
  const kept = limit - lowest;
  if (kept >= probabilities.length) return law;
  if (kept <= 0) return normalised(limit, Float64Array.of(1));
  const cut = probabilities.slice(0, kept + 1);
  for (let at = kept + 1; at < probabilities.length; at += 1) cut[kept]! += probabilities[at]!;
  return normalised(lowest, cut);
}

/** Independent draws that stand for those of a sampler. */
export interface IndependentDraws {
  readonly law: DrawLaw;
  /** Draws of an epoch, from its first one, that the stand-in is close to; Infinity where draws are independent. */
  readonly perEpoch: number;
  /** Logarithm of how much likelier than under the stand-in anything can be, for each epoch. */
  readonly logExcess: number;
}

/**
 * The law of one draw of a sampler, and how far draws of an epoch are from independent ones.
 *
 * Balls in bins: of N units in m steps, the sizes of the first k steps have at most N! (1 - p)^(N - s) e^(Np) / ((N - s)! N^s)
 * times their probability under independent Poisson(N/m) ones, where p = k/m and s is their sum; that is greatest near s = Np.
 */
export function independentDraws(sampler: SamplerPlan, units: number): IndependentDraws {
  const { kind, samplingProbability } = sampler;
  if (kind === 'truncated-poisson') {
    const law = cutAt(binomialLaw(units, samplingProbability), sampler.batchLimit);
    return { law, perEpoch: Infinity, logExcess: 0 };
  }
  if (kind !== 'balls-in-bins' || sampler.stepsPerEpoch === 1 || units === 0)
    return { law: binomialLaw(units, samplingProbability), perEpoch: Infinity, logExcess: 0 };
  const { stepsPerEpoch } = sampler;
  const perEpoch = Math.floor(stepsPerEpoch / 2);
  const share = perEpoch / stepsPerEpoch;
  return { law: poissonLaw(units / stepsPerEpoch), perEpoch, logExcess: logExcess(units, share) };
}

function logExcess(units: number, share: number): number {
  const sum = Math.floor(units * share);
  let falling = 0;
  for (let at = 0; at < sum; at += 1) falling += Math.log1p(-at / units);
  let greatest = -Infinity;
  for (let taken = sum; taken <= Math.min(units, sum + 2); taken += 1) {
    greatest = Math.max(greatest, falling + (units - taken) * Math.log1p(-share) + units * share);
    falling += Math.log1p(-taken / units);
  }
  return greatest;
}
