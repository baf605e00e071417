import { describe, expect, it } from 'vitest';
import { composeOnLine } from '../../../accounting/contour/compose.ts';
import { layLine } from '../../../accounting/contour/line.ts';
import { exactDelta, invertExact } from '../../../accounting/contour/value.ts';
import { repeatedLoss, saddleForEpsilon, type RepeatedLoss } from '../../../accounting/laws/cumulants.ts';
import { guaranteeLaws } from '../../../accounting/laws/discrete.ts';
import { gaussianLaw } from '../../../accounting/laws/gaussian.ts';
import { shiftedNoise } from '../../../accounting/laws/loss-curve.ts';
import { tabulate } from '../../../accounting/laws/table.ts';
import { deltaLower, deltaUpper, smoothingsOf } from '../../../accounting/profiles/profile.ts';
import { gaussianDelta } from '../../../accounting/profiles/single.ts';

function gaussians(noiseMultiplier: number, count: number): RepeatedLoss {
  const law = gaussianLaw(shiftedNoise({ kind: 'gaussian', noiseMultiplier }), 'remove');
  return repeatedLoss(tabulate(law, -100), count);
}

/** Compositions of plain Gaussians, the sensitivity ÷ noise that they have together, and an ε of interest. */
const cases: readonly (readonly [string, RepeatedLoss[], number, number])[] = [
  ['400 of noise 10', [gaussians(10, 400)], 2, 10],
  ['one of noise 1', [gaussians(1, 1)], 1, 4],
  ['a million of noise 10000', [gaussians(1e4, 1e6)], 0.1, 0.3],
  ['9 of noise 5 and 16 of noise 5', [gaussians(5, 9), gaussians(5, 16)], 1, 2],
  ['few of little noise', [gaussians(0.5, 4)], 4, 20],
];

describe('composeOnLine()', () => {
  it.each(cases)('%s: the bounds enclose the closed form', (_, parts, ratio, epsilon) => {
    for (const gap of [1e-2, 1e-4, 1e-6]) {
      const request = { ...saddleForEpsilon(parts, epsilon), epsilon, gap: gap * epsilon };
      const profile = composeOnLine(parts, request);
      for (const share of [0.8, 0.95, 1, 1.05, 1.2]) {
        const at = share * epsilon;
        const truth = gaussianDelta(ratio, at);
        const lower = deltaLower(profile, at, smoothingsOf(profile));
        expect(lower).toBeLessThanOrEqual(truth.upper);
        expect(deltaUpper(profile, at)).toBeGreaterThanOrEqual(truth.lower);
      }
      const centre = deltaUpper(profile, epsilon) / deltaLower(profile, epsilon, smoothingsOf(profile));
      // A gap in ε is one of δ times the tilt.
      expect(centre - 1).toBeLessThanOrEqual(3 * gap * epsilon * (1 + request.tilt) + 1e-7);
    }
  });

  it('claims nothing outside the stretch that it was laid for', () => {
    const parts = [gaussians(10, 100)];
    const profile = composeOnLine(parts, { ...saddleForEpsilon(parts, 5), epsilon: 5, gap: 1e-3 });
    expect(profile.valueAt(profile.last + 1)).toBe(Infinity);
    expect(deltaUpper(profile, profile.last + 1)).toBe(1);
    expect(deltaLower(profile, profile.last + 1, smoothingsOf(profile))).toBe(0);
  });
});

describe('layLine()', () => {
  const parts = [gaussians(10, 100)];
  const saddle = saddleForEpsilon(parts, 3);

  it('a smaller gap takes more terms and a smaller deviation, and what is missing stays negligible', () => {
    const [coarse, fine] = [1e-2, 1e-4].map(gap => layLine(parts, { ...saddle, epsilon: 3, gap }));
    expect(fine!.terms).toBeGreaterThan(coarse!.terms);
    expect(fine!.deviation).toBeLessThan(coarse!.deviation);
    for (const { missing, first, last, isFinest } of [coarse!, fine!]) {
      expect(missing).toBeLessThanOrEqual(1e-12);
      expect(first).toBeLessThan(3);
      expect(last).toBeGreaterThan(3);
      expect(isFinest).toBe(false);
    }
  });

  it('ends at the finest line that is allowed', () => {
    const line = layLine(parts, { ...saddle, epsilon: 3, gap: 1e-16 });
    expect(line.isFinest).toBe(true);
    expect(line.terms).toBeLessThanOrEqual(2 ** 21);
  });
});

describe('exactDelta()', () => {
  it.each(cases)('%s: has the digits of the closed form', (_, parts, ratio, epsilon) => {
    const profile = composeOnLine(parts, {
      ...saddleForEpsilon(parts, epsilon),
      epsilon,
      gap: 1e-4 * epsilon,
    });
    const of = exactDelta(profile, { around: epsilon, agreed: 1e-9 })!;
    for (const share of [0.95, 1, 1.05]) {
      const truth = gaussianDelta(ratio, share * epsilon).upper;
      expect(Math.abs(of(share * epsilon) / truth - 1)).toBeLessThanOrEqual(1e-9);
    }
    const delta = of(epsilon);
    const found = invertExact(of, { delta, lower: 0.999 * epsilon, upper: 1.001 * epsilon });
    expect(Math.abs(found / epsilon - 1)).toBeLessThanOrEqual(1e-12);
  });

  it('knows nothing of a law on a lattice, whose terms never end', () => {
    const law = guaranteeLaws({ kind: 'guarantee', epsilon: 0.5, delta: 0 }).dominating!.remove;
    const parts = [repeatedLoss(tabulate(law, -100), 20)];
    const profile = composeOnLine(parts, { ...saddleForEpsilon(parts, 4), epsilon: 4, gap: 1e-3 });
    expect(exactDelta(profile, { around: 4, agreed: 1e-7 })).toBeUndefined();
  });
});
