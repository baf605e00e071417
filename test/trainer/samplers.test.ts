import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SamplerPlan } from '../../accounting/plan.ts';
import { openBits, type RandomBits } from '../../trainer/randomness.ts';
import {
  ballsInBinsSampler,
  openSampler,
  poissonSampler,
  shuffledSampler,
  truncatedPoissonSampler,
  type Sampler,
} from '../../trainer/sampler.ts';
import { isPlausibleCount } from './statistics.ts';

const bitsOf = (seed: number): RandomBits => openBits(new Uint8Array(32).fill(seed), 'sampling');

/** Which of the next `steps` draws each unit is in; a unit that is in several, or in none, fails. */
function stepOfEach(
  sampler: Sampler,
  { population, steps }: { population: number; steps: number },
): number[] {
  const found: number[] = Array.from({ length: population }, () => -1);
  for (let step = 0; step < steps; step += 1) {
    for (const unit of sampler.draw()) {
      expect(found[unit]).toBe(-1);
      found[unit] = step;
    }
  }
  expect(found).not.toContain(-1);
  return found;
}

const epochs = fc.record({
  population: fc.integer({ min: 0, max: 40 }),
  stepsPerEpoch: fc.integer({ min: 1, max: 50 }),
  seed: fc.integer({ min: 0, max: 255 }),
});

describe.each([
  ['ballsInBinsSampler()', ballsInBinsSampler],
  ['shuffledSampler()', shuffledSampler],
])('%s', (_, open) => {
  it('draws each unit exactly once an epoch, ascending, in every epoch', () => {
    fc.assert(
      fc.property(epochs, ({ population, stepsPerEpoch, seed }) => {
        const sampler = open(population, { stepsPerEpoch, bits: bitsOf(seed) });
        for (let epoch = 0; epoch < 3; epoch += 1) stepOfEach(sampler, { population, steps: stepsPerEpoch });
        expect(sampler.draws).toBe(3 * stepsPerEpoch);
        const again = open(population, { stepsPerEpoch, bits: bitsOf(seed) });
        const drawn = [...again.draw()];
        expect(drawn).toEqual(drawn.toSorted((a, b) => a - b));
      }),
      { numRuns: 100 },
    );
  });

  // 48 counts and one more, each outside of its range with a chance of 1e-6: fewer than 1e-4 of correct samplers fail.
  it('gives every unit every step equally often, and every epoch choices of its own', () => {
    const [population, stepsPerEpoch, rounds] = [12, 4, 2000];
    const options = { trials: rounds, probability: 1 / stepsPerEpoch };
    const sampler = open(population, { stepsPerEpoch, bits: bitsOf(7) });
    const counts = new Int32Array(population * stepsPerEpoch);
    let repeated = 0;
    let last = -1;
    for (let round = 0; round < rounds; round += 1) {
      const steps = stepOfEach(sampler, { population, steps: stepsPerEpoch });
      steps.forEach((step, unit) => (counts[unit * stepsPerEpoch + step]! += 1));
      if (steps[0] === last) repeated += 1;
      last = steps[0]!;
    }
    for (const count of counts) expect(isPlausibleCount(count, options)).toBe(true);
    expect(isPlausibleCount(repeated, { ...options, trials: rounds - 1 })).toBe(true);
  });

  it.each([0, 1.5, NaN, -1])('refuses %d steps an epoch', stepsPerEpoch => {
    expect(() => open(3, { stepsPerEpoch, bits: bitsOf(1) })).toThrow(/^Cannot sample: stepsPerEpoch is /);
  });
});

describe('ballsInBinsSampler()', () => {
  it('chooses for each unit by itself: two meet in a step as often as chance has it', () => {
    const [stepsPerEpoch, rounds] = [8, 4000];
    const sampler = ballsInBinsSampler(2, { stepsPerEpoch, bits: bitsOf(3) });
    let met = 0;
    for (let round = 0; round < rounds; round += 1) {
      const [first, second] = stepOfEach(sampler, { population: 2, steps: stepsPerEpoch });
      if (first === second) met += 1;
    }
    expect(isPlausibleCount(met, { trials: rounds, probability: 1 / stepsPerEpoch })).toBe(true);
  });

  it('draws numbers beyond the last whole multiple again, so that no step is favoured', () => {
    const values = [2 ** 53 - 1, 2 ** 53 - 2, 5];
    const bits = { next53: () => values.shift()! };
    const sampler = ballsInBinsSampler(1, { stepsPerEpoch: 3, bits });
    // 2^53 - 1 and 2^53 - 2 are the two numbers that thirds of 2^53 leave over.
    expect([0, 1, 2].map(() => sampler.draw().length)).toEqual([0, 0, 1]);
    expect(values).toEqual([]);
  });
});

describe('shuffledSampler()', () => {
  it('cuts batches whose sizes differ by one at most', () => {
    fc.assert(
      fc.property(epochs, ({ population, stepsPerEpoch, seed }) => {
        const sampler = shuffledSampler(population, { stepsPerEpoch, bits: bitsOf(seed) });
        const sizes = Array.from({ length: stepsPerEpoch }, () => sampler.draw().length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
    const even = shuffledSampler(100, { stepsPerEpoch: 100, bits: bitsOf(1) });
    for (let step = 0; step < 100; step += 1) expect(even.draw()).toHaveLength(1);
  });
});

describe('truncatedPoissonSampler()', () => {
  const sampled = fc.record({
    population: fc.integer({ min: 0, max: 40 }),
    samplingProbability: fc.double({ min: 0.01, max: 1, noNaN: true }),
    batchLimit: fc.integer({ min: 1, max: 45 }),
    seed: fc.integer({ min: 0, max: 255 }),
  });

  it('uses a part of the Poisson draw: all of it up to the limit, as many as the limit beyond, ascending', () => {
    fc.assert(
      fc.property(sampled, ({ population, seed, ...options }) => {
        const first = poissonSampler(population, { ...options, bits: bitsOf(seed) }).draw();
        const used = truncatedPoissonSampler(population, { ...options, bits: bitsOf(seed) }).draw();
        expect(used).toHaveLength(Math.min(first.length, options.batchLimit));
        expect([...first]).toEqual(expect.arrayContaining([...used]));
        expect([...used]).toEqual([...new Set(used)].toSorted((a, b) => a - b));
      }),
      { numRuns: 200 },
    );
  });

  // 10 units: fewer than 1e-5 of correct samplers fail.
  it('keeps each unit of a larger draw equally often', () => {
    const [population, batchLimit, rounds] = [10, 3, 4000];
    const sampler = truncatedPoissonSampler(population, {
      samplingProbability: 1,
      batchLimit,
      bits: bitsOf(5),
    });
    const counts = new Int32Array(population);
    for (let round = 0; round < rounds; round += 1) for (const unit of sampler.draw()) counts[unit]! += 1;
    for (const count of counts)
      expect(isPlausibleCount(count, { trials: rounds, probability: batchLimit / population })).toBe(true);
    expect(sampler.draws).toBe(rounds);
  });

  it('keeps each pair of a larger draw equally often', () => {
    const rounds = 6000;
    const sampler = truncatedPoissonSampler(4, { samplingProbability: 1, batchLimit: 2, bits: bitsOf(6) });
    const pairs = new Map<string, number>();
    for (let round = 0; round < rounds; round += 1) {
      const pair = sampler.draw().join();
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    expect(pairs.size).toBe(6);
    for (const count of pairs.values())
      expect(isPlausibleCount(count, { trials: rounds, probability: 1 / 6 })).toBe(true);
  });

  it.each([0, 0.5, NaN])('refuses the limit %d', batchLimit => {
    expect(() =>
      truncatedPoissonSampler(3, { samplingProbability: 0.5, batchLimit, bits: bitsOf(1) }),
    ).toThrow(/^Cannot sample: batchLimit is /);
  });
});

describe('openSampler()', () => {
  const numbers = { over: 'users', samplingProbability: 0.25, expectedBatchSize: 10 } as const;
  const plans: [SamplerPlan, (bits: RandomBits) => Sampler][] = [
    [{ kind: 'poisson', ...numbers }, bits => poissonSampler(40, { ...numbers, bits })],
    [
      { kind: 'truncated-poisson', ...numbers, batchLimit: 11 },
      bits => truncatedPoissonSampler(40, { ...numbers, batchLimit: 11, bits }),
    ],
    [
      { kind: 'balls-in-bins', ...numbers, stepsPerEpoch: 4 },
      bits => ballsInBinsSampler(40, { stepsPerEpoch: 4, bits }),
    ],
    [
      { kind: 'shuffled', ...numbers, stepsPerEpoch: 4 },
      bits => shuffledSampler(40, { stepsPerEpoch: 4, bits }),
    ],
  ];

  it.each(plans)('opens what the plan says: $kind', (plan, expected) => {
    const [opened, direct] = [openSampler(plan, { population: 40, bits: bitsOf(9) }), expected(bitsOf(9))];
    for (let step = 0; step < 10; step += 1) expect(opened.draw()).toEqual(direct.draw());
  });
});
