import { describe, expect, it } from 'vitest';
import { openBits } from '../../trainer/randomness.ts';
import { poissonSampler } from '../../trainer/sampler.ts';
import { isPlausibleCount } from './statistics.ts';

function sampler(population: number, samplingProbability: number): ReturnType<typeof poissonSampler> {
  return poissonSampler(population, {
    samplingProbability,
    bits: openBits(new Uint8Array(32).fill(11), 'sampling'),
  });
}

describe('poissonSampler()', () => {
  it.each([0.001, 0.05, 0.5, 0.97])(
    'draws each unit with probability %d, on the whole and unit by unit',
    q => {
      const draw = sampler(500, q);
      const counts = new Int32Array(500);
      for (let step = 0; step < 400; step += 1) for (const unit of draw.draw()) counts[unit]! += 1;
      const total = counts.reduce((sum, count) => sum + count, 0);
      expect(isPlausibleCount(total, { trials: 500 * 400, probability: q })).toBe(true);
      expect(counts.every(count => isPlausibleCount(count, { trials: 400, probability: q }))).toBe(true);
    },
  );

  it('draws a unit at one step whatever it did at the step before', () => {
    const draw = sampler(400, 0.3);
    let both = 0;
    for (let pair = 0; pair < 200; pair += 1) {
      const first = new Set(draw.draw());
      both += draw.draw().filter(unit => first.has(unit)).length;
    }
    expect(isPlausibleCount(both, { trials: 400 * 200, probability: 0.09 })).toBe(true);
  });

  it('draws two units of one step independently of each other', () => {
    const draw = sampler(400, 0.3);
    let both = 0;
    for (let step = 0; step < 400; step += 1) {
      const drawn = new Set(draw.draw());
      for (let unit = 0; unit < 400; unit += 2) both += drawn.has(unit) && drawn.has(unit + 1) ? 1 : 0;
    }
    expect(isPlausibleCount(both, { trials: 200 * 400, probability: 0.09 })).toBe(true);
  });

  it('has draw sizes with the variance of a binomial, not of a fixed batch', () => {
    const draw = sampler(1000, 0.1);
    const sizes = Array.from({ length: 2000 }, () => draw.draw().length);
    const variance = sizes.reduce((sum, size) => sum + (size - 100) ** 2, 0) / sizes.length;
    // The standard error of this mean of squares is 90 × sqrt(2 / 2000); 6 of them leave less than 1e-6.
    expect(Math.abs(variance - 90)).toBeLessThan(6 * 90 * Math.sqrt(2 / 2000));
  });

  it('never draws with more than the stated probability: the threshold is rounded down', () => {
    const q = 0.1;
    const threshold = Math.floor(q * 2 ** 53);
    const at = (value: number): number =>
      poissonSampler(1, { samplingProbability: q, bits: { next53: () => value } }).draw().length;
    expect([at(threshold - 1), at(threshold), at(threshold + 1)]).toEqual([1, 0, 0]);
    expect(threshold / 2 ** 53).toBeLessThanOrEqual(q);
  });

  it('draws everyone at probability 1, nobody from an empty population, and counts its draws', () => {
    const draw = sampler(5, 1);
    expect([...draw.draw()]).toEqual([0, 1, 2, 3, 4]);
    draw.draw();
    expect(draw.draws).toBe(2);
    expect(sampler(0, 0.5).draw().length).toBe(0);
  });

  it('hands out memory of its own at every draw', () => {
    const draw = sampler(3, 1);
    const first = draw.draw();
    draw.draw().fill(0);
    expect([...first]).toEqual([0, 1, 2]);
  });

  it.each([0, 1.01, NaN, -0.1])('refuses probability %d', samplingProbability => {
    expect(() => sampler(5, samplingProbability)).toThrow(/^Cannot sample: samplingProbability is /);
  });
});
