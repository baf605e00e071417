import { randomFillSync } from 'node:crypto';

/** Uniform whole numbers and coins with rational chances: all that exact sampling needs. */
export interface ExactRandom {
  /** Uniform over 0 to n - 1; n whole, 1 to 2^53. */
  below(n: number): number;
  /** True with probability exactly numerator / denominator. */
  chance(numerator: number, denominator: number): boolean;
}

/** Fills an array with uniform random words. */
export type FillWords = (words: Uint32Array) => void;

const bufferedWords = 256;

/**
 * Exact draws out of uniform words: numbers are cut to the bits that n - 1 needs, and those of n and above thrown away.
 *
 * @param fill - default the operating system's cryptographic generator; tests give a stream of their own
 */
export function exactRandom(fill: FillWords = words => void randomFillSync(words)): ExactRandom {
  const words = new Uint32Array(bufferedWords);
  let used = bufferedWords;
  const word = (): number => {
    if (used === bufferedWords) {
      fill(words);
      used = 0;
    }
    const value = words[used]!;
    words[used++] = 0;
    return value;
  };
  const bits = (count: number): number =>
    count <= 32 ? shiftedRight(word(), 32 - count) : shiftedRight(word(), 64 - count) * 2 ** 32 + word();
  const below = (n: number): number => {
    const count = bitsOf(n - 1);
    let drawn = bits(count);
    while (drawn >= n) drawn = bits(count);
    return drawn;
  };
  return { below, chance: (numerator, denominator) => below(denominator) < numerator };
}

/** As `>>>`, which takes 32 for 0. */
function shiftedRight(word: number, by: number): number {
  return by === 32 ? 0 : word >>> by;
}

function bitsOf(largest: number): number {
  const high = Math.floor(largest / 2 ** 32);
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(largest);
}

/** A rational rate: noise falls off as exp(-|z| · numerator / denominator). */
export interface NoiseRate {
  readonly numerator: number;
  readonly denominator: number;
}

const rateDenominator = 2 ** 30;

/**
 * The largest multiple of 2^-30 that is at most epsilon, so that noise of this rate spends no more than epsilon.
 *
 * @param epsilon - at least 2^-30
 */
export function noiseRate(epsilon: number): NoiseRate {
  return { numerator: Math.floor(epsilon * rateDenominator), denominator: rateDenominator };
}

/**
 * Coin with probability exp(-numerator / denominator), for 0 <= numerator <= denominator.
 *
 * Canonne, Kamath and Steinke (arXiv 2004.00010), Algorithm 1: the length of a run of coins with chances γ, γ/2, γ/3, …
 * has even parity with probability exp(-γ).
 */
function exponentialCoin(numerator: number, denominator: number, random: ExactRandom): boolean {
  let run = 0;
  while (random.chance(numerator, denominator * (run + 1))) run += 1;
  return run % 2 === 0;
}

/**
 * One attempt of Algorithm 2 there: a draw of the discrete Laplace law, or undefined where it is to be tried again.
 * No number passes 2^53 before its chance is below 2^-1000, and none is rounded.
 */
export function attemptDiscreteLaplace(rate: NoiseRate, random: ExactRandom): number | undefined {
  const { numerator, denominator } = rate;
  const remainder = random.below(denominator);
  if (!exponentialCoin(remainder, denominator, random)) return undefined;
  let quotient = 0;
  while (exponentialCoin(1, 1, random)) quotient += 1;
  const scaled = remainder + denominator * quotient;
  const magnitude = (scaled - (scaled % numerator)) / numerator;
  const isNegative = random.chance(1, 2);
  if (isNegative && magnitude === 0) return undefined;
  return isNegative ? -magnitude : magnitude;
}

/**
 * A whole number z with probability proportional to exp(-|z| · numerator / denominator), by integer arithmetic alone:
 * no floating-point noise whose low bits could tell the true count (Mironov, CCS 2012). The two-sided geometric
 * mechanism (Ghosh, Roughgarden and Sundararajan, arXiv 0811.2841): added to a whole number of sensitivity 1 it is
 * ε-DP with ε = numerator / denominator, and no ε-DP count serves any user of it better.
 *
 * Known limit: how long it takes depends on the draw.
 */
export function discreteLaplace(rate: NoiseRate, random: ExactRandom): number {
  for (;;) {
    const drawn = attemptDiscreteLaplace(rate, random);
    if (drawn !== undefined) return drawn;
  }
}
