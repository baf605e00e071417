import { erfc, logNormalTail } from './special.ts';

/**
 * Standard normal cumulative distribution function.
 *
 * @param x - any number
 * @returns within 2e-15 relative wherever the result is a normal number
 * @example
 * ```ts
 * normalCdf(-1.96); // ~0.024997895148
 * ```
 */
export function normalCdf(x: number): number {
  return erfc(-x * Math.SQRT1_2) / 2;
}

/**
 * Where the standard normal cumulative distribution function takes a value.
 *
 * A rational first guess (Abramowitz and Stegun 26.2.23), then Newton on the logarithm of the tail, which is nearly quadratic
 * in x, so that few steps do everywhere.
 *
 * @param probability - in [0, 1]
 * @returns within about 1e-14 (1 + |x|), as far as the probability itself says; ±Infinity at the ends
 * @example
 * ```ts
 * normalQuantile(0.975); // ~1.95996398454
 * normalQuantile(1e-300); // ~-37.0471
 * ```
 */
export function normalQuantile(probability: number): number {
  if (probability > 0.5) return upperQuantile(1 - probability);
  return -upperQuantile(probability);
}

function upperQuantile(tail: number): number {
  if (tail <= 0) return Infinity;
  const logTail = Math.log(tail);
  const t = Math.sqrt(-2 * logTail);
  const above = 2.515517 + t * (0.802853 + t * 0.010328);
  let x = t - above / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let step = 0; step < 3; step += 1) {
    const log = logNormalTail(x);
    const slope = Math.exp(-(x * x) / 2 - log) / rootTwoPi;
    const move = (log - logTail) / slope;
    x += move;
    if (Math.abs(move) < 1e-9) break;
  }
  return x;
}

const rootTwoPi = Math.sqrt(2 * Math.PI);
