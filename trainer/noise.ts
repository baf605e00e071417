import type { RandomBits } from './randomness.ts';

const unit53 = 2 ** -53;

/**
 * Adds independent Gaussian noise N(0, standardDeviation²) to every coordinate, in place.
 *
 * Box and Muller (1958) on pairs of 53-bit uniforms in float64. The radius is taken from a
 * uniform in (0, 1], so there is no logarithm of zero; the tails end at 8.57 standard deviations,
 * beyond which a Gaussian has mass 1.1e-17.
 *
 * The clipped sum has sensitivity clipNorm (arXiv 2406.14322, both mechanisms), so the standard
 * deviation to give here is noiseMultiplier × clipNorm, on the sum, before any division.
 *
 * Known limit: the values are those of floating-point Gaussians, whose gaps can in principle be
 * told apart (Mironov 2012). The guarantee is that of the real-valued mechanism.
 *
 * @param sum - shape [parameters], changed in place
 * @param options - standardDeviation: in the unit of the sum, >= 0; bits: a stream used by nothing else
 * @example
 * ```ts
 * const sum = new Float64Array(2);
 * addGaussianNoise(sum, { standardDeviation: 1, bits: { next53: () => 2 ** 53 - 1 } });
 * Math.abs(sum[0]!) < 1e-9; // true
 * ```
 */
export function addGaussianNoise(
  sum: Float64Array,
  options: { standardDeviation: number; bits: RandomBits },
): void {
  const { standardDeviation, bits } = options;
  const pairs = sum.length - (sum.length % 2);
  for (let index = 0; index < pairs; index += 2) {
    const radius = standardDeviation * Math.sqrt(-2 * Math.log((bits.next53() + 1) * unit53));
    const angle = 2 * Math.PI * (bits.next53() * unit53);
    sum[index]! += radius * Math.cos(angle);
    sum[index + 1]! += radius * Math.sin(angle);
  }
  if (pairs < sum.length) {
    const radius = standardDeviation * Math.sqrt(-2 * Math.log((bits.next53() + 1) * unit53));
    sum[pairs]! += radius * Math.cos(2 * Math.PI * (bits.next53() * unit53));
  }
}
