/** Chance that a test of a correct implementation fails, were its key drawn afresh; all bounds here are exact inequalities. */
export const falseAlarmRate = 1e-6;

const exponent = Math.log(2 / falseAlarmRate);

/** Laurent and Massart (2000), Lemma 1: two-sided interval for a chi-square variable. */
export function chiSquareBounds(degrees: number): { lower: number; upper: number } {
  const spread = 2 * Math.sqrt(degrees * exponent);
  return { lower: degrees - spread, upper: degrees + spread + 2 * exponent };
}

function divergence(first: number, second: number): number {
  const term = (a: number, b: number): number => (a === 0 ? 0 : a * Math.log(a / b));
  return term(first, second) + term(1 - first, 1 - second);
}

/** Chernoff: whether `count` of `trials` lies where a Binomial(trials, probability) does with the stated rate. */
export function isPlausibleCount(count: number, options: { trials: number; probability: number }): boolean {
  const { trials, probability } = options;
  return trials * divergence(count / trials, probability) <= exponent;
}

/** Dvoretzky, Kiefer and Wolfowitz with Massart's constant: largest plausible distance between two distributions. */
export function kolmogorovBound(count: number): number {
  return Math.sqrt(exponent / (2 * count));
}

function errorFunction(x: number): number {
  // Abramowitz and Stegun 7.1.26, absolute error below 1.5e-7: far below every bound used with it.
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - tail * Math.exp(-x * x));
}

/** Largest distance between the empirical distribution of `values` and the standard normal one. */
export function distanceFromNormal(values: Float64Array): number {
  const sorted = values.slice().sort();
  let distance = 0;
  for (const [index, value] of sorted.entries()) {
    const cumulative = 0.5 * (1 + errorFunction(value / Math.SQRT2));
    distance = Math.max(
      distance,
      Math.abs(cumulative - index / sorted.length),
      Math.abs(cumulative - (index + 1) / sorted.length),
    );
  }
  return distance;
}
