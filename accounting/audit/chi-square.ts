const most = 10_000;

/** log Γ(x) for x > 0 by Stirling's series, shifted up to where it is right to 1e-14. */
function logGamma(x: number): number {
  let shifted = x;
  let product = 0;
  for (; shifted < 12; shifted += 1) product += Math.log(shifted);
  const s = 1 / (shifted * shifted);
  const series = (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s / 1680))) / shifted;
  return (shifted - 0.5) * Math.log(shifted) - shifted + 0.5 * Math.log(2 * Math.PI) + series - product;
}

/** Lower regularised gamma function by its series, for x < a + 1. */
function lowerBySeries(a: number, x: number): number {
  let [term, sum] = [1 / a, 1 / a];
  for (let n = 1; n < most && term > sum * 1e-16; n += 1) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * Math.exp(a * Math.log(x) - x - logGamma(a));
}

/** Upper regularised gamma function by its continued fraction (Lentz), for x >= a + 1. */
function upperByFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < most; n += 1) {
    const numerator = -n * (n - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return fraction * Math.exp(a * Math.log(x) - x - logGamma(a));
}

/**
 * Two-sided p-value of a chi-square statistic: twice the smaller tail.
 *
 * @param statistic - >= 0
 * @param degrees - of freedom, >= 1
 * @returns in [0, 1], right to about 1e-10
 * @example
 * ```ts
 * chiSquareTwoSided(18.307038, 10); // ~0.1000000
 * chiSquareTwoSided(0, 10); // 0
 * ```
 */
export function chiSquareTwoSided(statistic: number, degrees: number): number {
  const [a, x] = [degrees / 2, statistic / 2];
  if (x <= 0) return 0;
  const lower = x < a + 1 ? lowerBySeries(a, x) : 1 - upperByFraction(a, x);
  return Math.min(1, 2 * Math.min(lower, x < a + 1 ? 1 - lower : upperByFraction(a, x)));
}
