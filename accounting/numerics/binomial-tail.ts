/** How often a Poisson sample is cut to the largest batch, and how often a record is then still in it. */
export interface TruncatedSampling {
  /** Pr[Binomial(n - 1, q) >= B], from above: the others alone fill the batch. */
  readonly truncationProbability: number;
  /** The same from below. */
  readonly truncationProbabilityAtLeast: number;
  /** Probability of being in the batch given that the others fill it, from above and never above q. */
  readonly samplingProbabilityWhenTruncated: number;
}

// exp of less than this has lost digits.
const smallestLog = -700;

/**
 * A Poisson sample of which at most `maximumBatchSize` records, chosen at random, are used, as one record sees it.
 *
 * Ganesh (arXiv 2508.15089): the others fill the batch with τ = Pr[Binomial(n - 1, q) >= B]; the record is then in it with
 * q' = B Pr[Binomial(n, q) > B] / (n τ), which is at most q. Both are raised by 1e-10 + 1e-15 √n of themselves, more than
 * their rounding. To raise τ alone need not be safe, since q' < q: weigh the untruncated case with 1 minus the τ from below,
 * the truncated one with the τ from above. Only a difference of twice the rounding is at stake.
 *
 * @param options - datasetSize: whole, >= 1, at most about 1e12; samplingProbability: in (0, 1]; maximumBatchSize: whole, >= 1
 * @returns a truncationProbability of 0 only where no batch can overflow; one that underflows is 5e-324
 * @example
 * ```ts
 * const cut = truncatedSampling({ datasetSize: 3, samplingProbability: 0.5, maximumBatchSize: 1 });
 * cut.truncationProbability; // ~0.75000000
 * cut.samplingProbabilityWhenTruncated; // ~0.22222222
 * ```
 */
export function truncatedSampling(options: {
  readonly datasetSize: number;
  readonly samplingProbability: number;
  readonly maximumBatchSize: number;
}): TruncatedSampling {
  const { datasetSize: trials, samplingProbability: probability, maximumBatchSize: cap } = options;
  if (cap >= trials) return cutWith(0, 0, 0);
  if (probability === 1) return cutWith(1, 1, above(cap / trials, 1e-15));
  const error = relativeError(trials);
  const logFull = logBinomialTail({ trials: trials - 1, probability, least: cap });
  const full = Math.exp(logFull);
  if (logFull < smallestLog) return cutWith(above(full, error), 0, probability);
  const logOver = logBinomialTail({ trials, probability, least: cap + 1 });
  const kept = (cap / trials) * Math.exp(logOver - logFull) * (1 + 3 * error);
  return cutWith(Math.min(1, above(full, error)), full * (1 - error), Math.min(probability, kept));
}

function cutWith(most: number, least: number, sampled: number): TruncatedSampling {
  return {
    truncationProbability: most,
    truncationProbabilityAtLeast: Math.min(1, least),
    samplingProbabilityWhenTruncated: sampled,
  };
}

function above(value: number, error: number): number {
  return value * (1 + error) + Number.MIN_VALUE;
}

/** Rounding of the density, of as many ratios as there are standard deviations' worth of terms, and of their sum. */
function relativeError(trials: number): number {
  return 1e-10 + 1e-15 * Math.sqrt(trials);
}

/**
 * Logarithm of Pr[Binomial(trials, probability) >= least].
 *
 * Terms by ratios outward from the cut, away from the mode, so that all are positive; the rest of the series is bounded by a
 * geometric one. Below the mode it is 1 minus the lower tail.
 *
 * @param options - trials: whole, >= 0; probability: in (0, 1); least: whole
 * @returns right to 1e-10 + 1e-15 √trials, also far beyond where the tail itself underflows up to a rounding of the logarithm
 * @example
 * ```ts
 * logBinomialTail({ trials: 2, probability: 0.5, least: 1 }); // ~-0.28768207245
 * ```
 */
export function logBinomialTail(options: { trials: number; probability: number; least: number }): number {
  const { trials, probability, least } = options;
  if (least <= 0) return 0;
  if (least > trials) return -Infinity;
  const odds = probability / (1 - probability);
  if (least > (trials + 1) * probability) {
    const ratio = (j: number): number => ((trials - j) / (j + 1)) * odds;
    return logBinomialDensity(options, least) + Math.log(sumOfRatios(j => ratio(least + j)));
  }
  const last = least - 1;
  const ratio = (j: number): number => j / (trials - j + 1) / odds;
  const logLower = logBinomialDensity(options, last) + Math.log(sumOfRatios(j => ratio(last - j)));
  return Math.log1p(-Math.min(1, Math.exp(logLower)));
}

/** 1 + r(0) + r(0)·r(1) + .., for ratios that fall. */
function sumOfRatios(ratioAt: (index: number) => number): number {
  let [sum, term] = [1, 1];
  for (let index = 0; ; index += 1) {
    const ratio = ratioAt(index);
    term *= ratio;
    sum += term;
    if (term < sum * 1e-17) return sum + (term * ratio) / (1 - ratio);
  }
}

/** log of the binomial density by its deviance (Loader, "Fast and accurate computation of binomial probabilities", 2000). */
export function logBinomialDensity(
  { trials, probability }: { readonly trials: number; readonly probability: number },
  count: number,
): number {
  if (count === 0) return trials * Math.log1p(-probability);
  if (count === trials) return trials * Math.log(probability);
  const rest = trials - count;
  const mean = exactProduct(trials, probability);
  const high = trials - mean.high;
  const meanRest = { high, low: trials - high - mean.high - mean.low };
  const correction = stirlingError(trials) - stirlingError(count) - stirlingError(rest);
  const deviances = deviance(count, mean) + deviance(rest, meanRest);
  return correction - deviances - 0.5 * Math.log(2 * Math.PI * count * (rest / trials));
}

/** A number as the sum of two doubles: the mean of a billion trials needs more digits than one has. */
interface Double {
  readonly high: number;
  readonly low: number;
}

const splitter = 2 ** 27 + 1;

function exactProduct(a: number, b: number): Double {
  const [aHigh, aLow] = halves(a);
  const [bHigh, bLow] = halves(b);
  const high = a * b;
  return { high, low: aLow * bLow - (high - aHigh * bHigh - aLow * bHigh - aHigh * bLow) };
}

function halves(value: number): [high: number, low: number] {
  const scaled = splitter * value;
  const high = scaled - (scaled - value);
  return [high, value - high];
}

/** x log(x / mean) + mean - x, without cancellation near the mean. */
function deviance(x: number, mean: Double): number {
  const shift = mean.low * (1 - x / mean.high);
  const difference = x - mean.high;
  const ratio = difference / (x + mean.high);
  if (Math.abs(ratio) > 0.1) return x * Math.log(x / mean.high) - difference + shift;
  let sum = difference * ratio;
  let power = 2 * x * ratio;
  for (let j = 1; j < 20; j += 1) {
    power *= ratio * ratio;
    sum += power / (2 * j + 1);
  }
  return sum + shift;
}

/** log(n!) minus Stirling's formula. */
function stirlingError(n: number): number {
  if (n < 16) {
    let logFactorial = 0;
    for (let k = 2; k <= n; k += 1) logFactorial += Math.log(k);
    return logFactorial - (n + 0.5) * Math.log(n) + n - 0.5 * Math.log(2 * Math.PI);
  }
  const s = 1 / (n * n);
  return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / n;
}
