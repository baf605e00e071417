import { describe, expect, it } from 'vitest';
import { discreteLaplace, noiseRate } from '../../selection/private-noise.ts';
import { noiseWidths } from '../../selection/private-widths.ts';
import { isPlausibleCount } from '../trainer/statistics.ts';
import { repeatableRandom } from './private-random.ts';

/** Pr[|noise| > width] of one term, in closed form. */
function tail(width: number, epsilon: number): number {
  return (2 * Math.exp(-epsilon * (width + 1))) / (1 + Math.exp(-epsilon));
}

describe('noiseWidths()', () => {
  it.each([0.001, 0.1, 1, 8, 100])('is the least width for one term at epsilon %d', epsilon => {
    for (const probability of [0.5, 0.05, 1e-6]) {
      const [width] = noiseWidths([1], { rate: noiseRate(epsilon), probability });
      expect(tail(width!, noiseRate(epsilon).numerator / 2 ** 30)).toBeLessThanOrEqual(probability + 1e-12);
      if (width! > 0) expect(tail(width! - 1, epsilon)).toBeGreaterThan(probability * (1 - 1e-5));
    }
  });

  it('is the least width for sums, by direct convolution', () => {
    const epsilon = 0.5;
    const half = 200;
    const law = Array.from(
      { length: 2 * half + 1 },
      (_, i) => Math.tanh(epsilon / 2) * Math.exp(-epsilon * Math.abs(i - half)),
    );
    let sum = law;
    for (let terms = 2; terms <= 4; terms++) {
      sum = law.map((_, out) =>
        sum.reduce((total, share, i) => total + share * (law[out - i + half] ?? 0), 0),
      );
      const inside = (width: number): number =>
        sum.slice(half - width, half + width + 1).reduce((total, share) => total + share, 0);
      const [width] = noiseWidths([terms], { rate: noiseRate(epsilon), probability: 0.01 });
      expect(1 - inside(width!)).toBeLessThanOrEqual(0.01);
      expect(1 - inside(width! - 1)).toBeGreaterThan(0.01);
    }
  });

  it('covers drawn sums as often as it says', () => {
    const rate = noiseRate(0.3);
    const random = repeatableRandom(4);
    const [width] = noiseWidths([20], { rate, probability: 0.1 });
    const trials = 500;
    let outside = 0;
    for (let trial = 0; trial < trials; trial++) {
      let sum = 0;
      for (let i = 0; i < 20; i++) sum += discreteLaplace(rate, random);
      if (Math.abs(sum) > width!) outside += 1;
    }
    expect(isPlausibleCount(outside, { trials, probability: 0.1 })).toBe(true);
  });
});
