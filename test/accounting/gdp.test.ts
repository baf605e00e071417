import { describe, expect, it } from 'vitest';
import { sideOf } from '../../accounting/accountant.ts';
import { deltaOf, epsilonOf } from '../../accounting/epsilon.ts';
import { gaussianEvent, poissonEvent, repeat, sequence, type DpEvent } from '../../accounting/event.ts';
import { gdpAccountant } from '../../accounting/gdp.ts';
import { gaussianDelta } from '../../accounting/profiles/single.ts';

const neighbours = 'add-or-remove';

function centralDelta(event: DpEvent, epsilon: number): number {
  return gdpAccountant.delta(event, { epsilon, neighbours }).value!;
}

describe('gdpAccountant', () => {
  it.each([
    [1, 0.01, 10_000],
    [0.7, 0.001, 1],
    [5, 0.3, 50],
    [50, 1e-4, 1_000_000],
  ])('sigma %d, q %d, %d steps: squared ratio is steps q² (exp(1/sigma²) - 1)', (noise, q, steps) => {
    const ratio = q * Math.sqrt(steps * Math.expm1(1 / noise ** 2));
    const event = poissonEvent({ noiseMultiplier: noise, samplingProbability: q, steps });
    for (const epsilon of [0, ratio / 2, ratio]) {
      const limit = gaussianDelta(ratio, epsilon).upper;
      expect(Math.abs(centralDelta(event, epsilon) / limit - 1)).toBeLessThanOrEqual(1e-6);
    }
  });

  it('is exact for plain Gaussians, and parts add up', () => {
    const event = sequence([repeat(gaussianEvent(4), 8), gaussianEvent(Math.SQRT2)]);
    expect(Math.abs(centralDelta(event, 1) / gaussianDelta(1, 1).upper - 1)).toBeLessThanOrEqual(1e-12);
  });

  it('is an estimate: it bounds nothing, and says so', () => {
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 1 });
    const bound = gdpAccountant.epsilon(event, { delta: 1e-6, neighbours });
    expect(sideOf(bound)).toBe('estimate');
    expect(bound.detail).toContain('not a bound');
    // The truth is 0.36395: what the central limit says here is far below it.
    expect(bound.value!).toBeLessThan(0.05);
    const asked = epsilonOf(event, { delta: 1e-6, neighbours, accountant: 'gdp' });
    expect(asked.epsilon).toEqual({ lower: 0, upper: Infinity });
    expect(deltaOf(event, { epsilon: 1, neighbours, accountant: 'gdp' }).delta).toEqual({
      lower: 0,
      upper: 1,
    });
    expect(Object.keys(epsilonOf(event, { delta: 1e-6, neighbours }).byAccountant)).not.toContain('gdp');
  });

  it('an outcome that reveals everything has no central limit', () => {
    const event = { kind: 'guarantee', epsilon: 1, delta: 1e-9 } as const;
    const { value } = gdpAccountant.epsilon(event, { delta: 1e-6, neighbours });
    expect(value).toBe(Infinity);
  });
});
