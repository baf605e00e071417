/** A step over a batch of fixed size drawn without replacement. */
export interface FixedSizeStep {
  /** Batch ÷ table. */
  readonly rate: number;
  /** Standard deviation of the noise ÷ what replacing one record can change. */
  readonly noise: number;
}

/** RDP at an order above 1. */
export type FixedSizeSeries = (order: number) => number;

/** Beyond this order each term has its simpler bound, as the library has it. */
const mostDifferences = 256;

/**
 * RDP of a Gaussian step over a batch of fixed size under replacement of a record, as dp_accounting computes it: Wang, Balle and
 * Kasiviswanathan (arXiv 1808.00087), Theorem 27, at whole orders; between them a line through the logarithms of the moments. Far above
 * the truth.
 *
 * @example
 * ```ts
 * fixedSizeSeries({ rate: 0.01, noise: 1 })(2); // ~0.0005435
 * ```
 */
export function fixedSizeSeries(step: FixedSizeStep): FixedSizeSeries {
  if (step.rate >= 1) return order => order / (2 * step.noise ** 2);
  const differences = logDifferences(step.noise, mostDifferences);
  const known = new Map<number, number>([[1, 0]]);
  const at = (order: number): number => {
    const found = known.get(order) ?? logMoment(step, order, differences);
    known.set(order, found);
    return found;
  };
  return order => {
    const [low, high] = [Math.floor(order), Math.ceil(order)];
    const share = order - low;
    return ((1 - share) * at(low) + share * at(high)) / (order - 1);
  };
}

function logMoment({ rate, noise }: FixedSizeStep, order: number, differences: Float64Array): number {
  let [logBinomial, total] = [Math.log(order), 0];
  for (let j = 2; j <= order; j += 1) {
    logBinomial += Math.log((order - j + 1) / j);
    const simple = Math.LN2 + logRaw(j, noise);
    const fine = order <= mostDifferences ? 2 * Math.LN2 + evenMoment(j, differences) : Infinity;
    total = logAdd(
      total,
      j * Math.log(rate) + logBinomial + Math.min(simple, j === 2 ? second(noise) : fine),
    );
  }
  return total;
}

/** log of the j-th moment of the ratio of the two Gaussians. */
function logRaw(j: number, noise: number): number {
  return (j * (j - 1)) / (2 * noise ** 2);
}

/** log of 4 times the second moment of the ratio less 1. */
function second(noise: number): number {
  return 2 * Math.LN2 + Math.log(Math.expm1(noise ** -2));
}

/** Between two even moments of the ratio less 1, in the mean of their logarithms. */
function evenMoment(j: number, differences: Float64Array): number {
  return (differences[2 * Math.floor(j / 2)]! + differences[2 * Math.ceil(j / 2)]!) / 2;
}

/** log |E (ratio - 1)^j| for j up to `most` + 1, by differences of the raw moments in logarithms. */
function logDifferences(noise: number, most: number): Float64Array {
  const size = most + 2;
  const [logs, isPositive] = [new Float64Array(size), new Uint8Array(size).fill(1)];
  for (let j = 0; j < size; j += 1) logs[j] = logRaw(j, noise);
  const found = new Float64Array(size);
  for (let level = 1; level < size; level += 1) {
    for (let j = 0; j < size - level; j += 1) subtract(logs, isPositive, j);
    found[level] = logs[0]!;
  }
  return found;
}

/** Puts the next value less this one into the place of this one. */
function subtract(logs: Float64Array, isPositive: Uint8Array, at: number): void {
  const [here, next] = [logs[at]!, logs[at + 1]!];
  const [most, least] = here > next ? [here, next] : [next, here];
  if (isPositive[at] !== isPositive[at + 1]) {
    logs[at] = logAdd(here, next);
    isPositive[at] = isPositive[at + 1]!;
    return;
  }
  logs[at] = least === most ? -Infinity : most + Math.log(-Math.expm1(least - most));
  isPositive[at] = next > here ? isPositive[at + 1]! : 1 - isPositive[at + 1]!;
}

function logAdd(a: number, b: number): number {
  if (a === -Infinity) return b;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}
