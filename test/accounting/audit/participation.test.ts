import { describe, expect, it } from 'vitest';
import { chiSquareTwoSided } from '../../../accounting/audit/chi-square.ts';
import { binomialLaw, independentDraws } from '../../../accounting/audit/draw-law.ts';
import { testParticipation, type DrawRun } from '../../../accounting/audit/participation.ts';
import type { SamplerPlan } from '../../../accounting/plan.ts';
import { openBits } from '../../../trainer/randomness.ts';
import { openSampler } from '../../../trainer/sampler.ts';

type Kind = SamplerPlan['kind'];

function samplerOf(kind: Kind, options: { units: number; probability: number; limit?: number }): SamplerPlan {
  const { units, probability, limit = Math.round(1.05 * units * probability) } = options;
  const shared = {
    over: 'users',
    samplingProbability: probability,
    expectedBatchSize: units * probability,
  } as const;
  if (kind === 'poisson') return { kind, ...shared };
  if (kind === 'truncated-poisson') return { kind, ...shared, batchLimit: limit };
  return { kind, ...shared, stepsPerEpoch: Math.round(1 / probability) };
}

/** Sizes as the trainer's own samplers draw them. */
function drawn(sampler: SamplerPlan, options: { units: number; draws: number; seed: number }): DrawRun[] {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, options.seed);
  const open = openSampler(sampler, { population: options.units, bits: openBits(key, 'sampling') });
  const sizes = Array.from({ length: options.draws }, () => open.draw().length);
  const perRun = 'stepsPerEpoch' in sampler ? sampler.stepsPerEpoch : sizes.length;
  const runs = Math.ceil(sizes.length / perRun);
  return Array.from({ length: runs }, (_, run) => ({
    first: 0,
    sizes: sizes.slice(run * perRun, (run + 1) * perRun),
  }));
}

const whole = (sizes: readonly number[]): DrawRun[] => [{ first: 0, sizes }];
const repeated = (size: number, draws: number): DrawRun[] => whole(Array.from({ length: draws }, () => size));

describe('chiSquareTwoSided()', () => {
  // Quantiles of printed tables: 5 % and 95 %, twice the tail.
  it.each([
    [1, 3.841459, 0.1],
    [10, 3.940299, 0.1],
    [10, 18.307038, 0.1],
    [100, 77.929465, 0.1],
    [100, 124.342113, 0.1],
    [1000, 1074.679449, 0.1],
    [2, 9.21034, 0.02],
  ])('agrees with printed quantiles: %d degrees, %d', (degrees, quantile, expected) => {
    expect(Math.abs(chiSquareTwoSided(quantile, degrees) - expected)).toBeLessThan(1e-6);
  });

  it('is exact for two degrees, where the upper tail is exp(-x/2)', () => {
    for (const x of [3, 10, 80]) expect(chiSquareTwoSided(x, 2) / (2 * Math.exp(-x / 2))).toBeCloseTo(1, 10);
  });
});

describe('binomialLaw()', () => {
  it('has the mean and the variance of its law, and closed forms where units are few', () => {
    const law = binomialLaw(100_000, 0.003);
    expect(law.mean).toBeCloseTo(300, 8);
    expect(law.variance).toBeCloseTo(299.1, 7);
    expect(Array.from(binomialLaw(3, 0.5).probabilities)).toEqual([0.125, 0.375, 0.375, 0.125]);
    expect(binomialLaw(7, 1)).toMatchObject({ lowest: 7, mean: 7, variance: 0 });
  });
});

describe('independentDraws()', () => {
  it('bounds how much likelier first bins are than independent ones, here over every outcome', () => {
    const [units, steps] = [6, 4];
    const sampler = samplerOf('balls-in-bins', { units, probability: 1 / steps });
    const { perEpoch, logExcess } = independentDraws(sampler, units);
    expect(perEpoch).toBe(2);
    const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
    const rate = units / steps;
    let most = 0;
    for (let a = 0; a <= units; a += 1) {
      for (let b = 0; a + b <= units; b += 1) {
        const ways = factorial(units) / (factorial(a) * factorial(b) * factorial(units - a - b));
        const exact = ways * 0.25 ** (a + b) * 0.5 ** (units - a - b);
        const apart = (Math.exp(-2 * rate) * rate ** (a + b)) / (factorial(a) * factorial(b));
        most = Math.max(most, exact / apart);
      }
    }
    expect(Math.exp(logExcess) / most).toBeCloseTo(1, 12);
  });
});

describe('testParticipation()', () => {
  const kinds: [Kind, number, number, number][] = [
    ['poisson', 50, 0.02, 30],
    ['poisson', 2000, 0.01, 100],
    ['poisson', 40, 0.5, 60],
    ['truncated-poisson', 400, 0.1, 60],
    ['balls-in-bins', 300, 0.05, 60],
    ['balls-in-bins', 20, 0.1, 45],
  ];

  it.each(kinds)(
    'refutes honest draws no more often than stated: %s of %d at %d',
    (kind, units, probability, draws) => {
      const significance = 0.05;
      const sampler = samplerOf(kind, { units, probability });
      let refuted = 0;
      const trials = 400;
      for (let seed = 0; seed < trials; seed += 1) {
        const runs = drawn(sampler, { units, draws, seed });
        if (!testParticipation(runs, { sampler, units, significance }).holds) refuted += 1;
      }
      // Bounds, not approximations: far fewer than 20 are to be expected.
      expect(refuted).toBeLessThanOrEqual(trials * significance);
    },
  );

  it('takes shuffled batches as they are, and nothing else for them', () => {
    const sampler = samplerOf('shuffled', { units: 103, probability: 0.1 });
    const runs = drawn(sampler, { units: 103, draws: 25, seed: 1 });
    expect(testParticipation(runs, { sampler, units: 103 })).toMatchObject({ holds: true, pValue: 1 });
    const poisson = drawn(samplerOf('poisson', { units: 103, probability: 0.1 }), {
      units: 103,
      draws: 25,
      seed: 1,
    });
    expect(testParticipation(poisson, { sampler, units: 103 })).toMatchObject({
      holds: false,
      pValue: 0,
      test: 'certain',
    });
  });

  const [units, probability] = [2000, 0.05];
  const poisson = samplerOf('poisson', { units, probability });

  it('refutes Poisson sampling at once where every batch has the same size', () => {
    expect(testParticipation(repeated(100, 12), { sampler: poisson, units })).toMatchObject({
      holds: false,
      test: 'constant',
      indexOfDispersion: 0,
      chiSquare: 0,
    });
    expect(testParticipation(repeated(100, 2), { sampler: poisson, units }).holds).toBe(true);
    const everybody = samplerOf('poisson', { units, probability: 1 });
    expect(testParticipation(repeated(units, 50), { sampler: everybody, units })).toMatchObject({
      holds: true,
      pValue: 1,
    });
    expect(testParticipation(repeated(units - 1, 1), { sampler: everybody, units })).toMatchObject({
      holds: false,
      pValue: 0,
    });
  });

  it.each<[string, Kind, number]>([
    ['shuffled batches', 'shuffled', 60],
    ['batches cut at 5 % above the mean', 'truncated-poisson', 200],
  ])('refutes Poisson sampling by %s', (_, kind, draws) => {
    const runs = drawn(samplerOf(kind, { units, probability }), { units, draws, seed: 5 });
    expect(testParticipation(whole(runs.flatMap(run => run.sizes)), { sampler: poisson, units }).holds).toBe(
      false,
    );
  });

  it.each([0.9, 1.1])('refutes another probability, %d times the stated one', factor => {
    const sampler = samplerOf('poisson', { units, probability: factor * probability });
    const answer = testParticipation(drawn(sampler, { units, draws: 100, seed: 3 }), {
      sampler: poisson,
      units,
    });
    expect(answer).toMatchObject({ holds: false, test: 'mean' });
  });

  it('refutes a spread that is too wide, and a single draw far out', () => {
    const sizes = Array.from({ length: 60 }, (_, at) => (at % 2 === 0 ? 80 : 120));
    expect(testParticipation(whole(sizes), { sampler: poisson, units })).toMatchObject({
      holds: false,
      test: 'wide',
    });
    const honest = drawn(poisson, { units, draws: 30, seed: 2 }).flatMap(run => run.sizes);
    const most = { sampler: poisson, units };
    expect(testParticipation(whole([...honest, 170]), most)).toMatchObject({ holds: false, test: 'largest' });
    expect(testParticipation(whole([...honest, 30]), most)).toMatchObject({ holds: false, test: 'smallest' });
    expect(testParticipation(whole(honest), most).holds).toBe(true);
  });

  it('refutes what a sampler cannot draw with certainty', () => {
    const cut = samplerOf('truncated-poisson', { units, probability, limit: 110 });
    expect(testParticipation(whole([100, 111]), { sampler: cut, units })).toMatchObject({
      pValue: 0,
      test: 'certain',
    });
    const bins = samplerOf('balls-in-bins', { units: 10, probability: 0.5 });
    expect(testParticipation([{ first: 0, sizes: [6, 5] }], { sampler: bins, units: 10 })).toMatchObject({
      pValue: 0,
    });
    expect(testParticipation([{ first: 0, sizes: [6, 4] }], { sampler: bins, units: 10 }).holds).toBe(true);
    expect(testParticipation(whole([units + 1]), { sampler: poisson, units })).toMatchObject({ pValue: 0 });
  });

  it('refutes equal bins under balls in bins', () => {
    const bins = samplerOf('balls-in-bins', { units, probability: 0.05 });
    const runs = Array.from({ length: 3 }, () => ({
      first: 0,
      sizes: Array.from({ length: 20 }, () => 100),
    }));
    expect(testParticipation(runs, { sampler: bins, units })).toMatchObject({
      holds: false,
      test: 'constant',
    });
  });

  it('says nothing where nothing was drawn, and refuses a significance that is none', () => {
    expect(testParticipation([], { sampler: poisson, units })).toMatchObject({
      holds: true,
      pValue: 1,
      draws: 0,
      mean: 0,
    });
    for (const significance of [0, 1, NaN, -1])
      expect(() => testParticipation([], { sampler: poisson, units, significance })).toThrow(
        'significance is',
      );
  });
});
