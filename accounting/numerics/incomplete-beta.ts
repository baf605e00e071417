import { bisect } from './bisect.ts';

/** What a beta law is made of, both > 0. */
export interface BetaShape {
  readonly a: number;
  readonly b: number;
}

/**
 * Cumulative distribution function of a beta law, the regularised incomplete beta function I_x(a, b).
 *
 * Continued fraction (NIST DLMF 8.17.22) by Lentz's recurrence on the side where it converges fast; the factor before it by
 * deviances, so that large shapes cost no digits.
 *
 * @param x - in [0, 1]
 * @returns within about 1e-13 + 1e-16 (a + b), relative to itself on the lower side of the mean, absolute on the upper
 * @example
 * ```ts
 * betaCdf(0.5, { a: 2, b: 3 }); // ~0.6875
 * betaCdf(0.1, { a: 0.5, b: 0.5 }); // ~0.20483276
 * ```
 */
export function betaCdf(x: number, { a, b }: BetaShape): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  return x < (a + 1) / (a + b + 2) ? lowerPart(x, { a, b }) : 1 - lowerPart(1 - x, { a: b, b: a });
}

/**
 * Where the cumulative distribution function of a beta law takes a value.
 *
 * @param probability - in [0, 1]
 * @example
 * ```ts
 * betaQuantile(0.975, { a: 5.5, b: 95.5 }); // ~0.10610007
 * ```
 */
export function betaQuantile(probability: number, shape: BetaShape): number {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  return bisect(0, 1, x => betaCdf(x, shape) >= probability).outer;
}

function lowerPart(x: number, { a, b }: BetaShape): number {
  return (Math.exp(logFactor(x, { a, b })) / a) * continuedFraction(x, { a, b });
}

/** log of x^a (1 - x)^b / B(a, b). */
function logFactor(x: number, { a, b }: BetaShape): number {
  const n = a + b;
  const difference = x * n - a;
  const logs = a * Math.log1p(difference / a) + b * Math.log1p(-difference / b);
  const corrections = stirlingError(n) - stirlingError(a) - stirlingError(b);
  return logs + corrections + 0.5 * Math.log((a / n) * (b / (2 * Math.PI)));
}

/** log Γ(z) minus (z - 1/2) log z - z + log(2π)/2. */
function stirlingError(z: number): number {
  let [shift, at] = [0, z];
  for (; at < 16; at += 1) shift += (at + 0.5) * Math.log1p(1 / at) - 1;
  const s = 1 / (at * at);
  return shift + (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / at;
}

const tiny = 1e-300;

function continuedFraction(x: number, { a, b }: BetaShape): number {
  let numerator = 1;
  let denominator = away(1 - ((a + b) * x) / (a + 1));
  denominator = 1 / denominator;
  let value = denominator;
  for (let m = 1; m < 1e6; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    denominator = 1 / away(1 + even * denominator);
    numerator = away(1 + even / numerator);
    value *= denominator * numerator;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    denominator = 1 / away(1 + odd * denominator);
    numerator = away(1 + odd / numerator);
    const factor = denominator * numerator;
    value *= factor;
    if (Math.abs(factor - 1) < 1e-15) break;
  }
  return value;
}

function away(value: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}
