import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../accounting/plan.ts';
import { addGaussianNoise } from '../../trainer/noise.ts';
import { graphClip, type GradientSource } from '../../trainer/clip.ts';
import {
  openMechanism,
  privateGradient,
  unitsOf,
  type Mechanism,
  type StepBook,
  type StepRecord,
} from '../../trainer/mechanism.ts';
import { openPointSampler } from '../../trainer/point-sampler.ts';
import { deriveKey, digestAt, openBits, openPointBits, type StepPoint } from '../../trainer/randomness.ts';
import { checks, correctStep, pointOf, variedUsers, type StepImplementation } from './checks.ts';
import { norm, planFor, toySource, usersWith, type ToyClip } from './toy.ts';

const clipping = (clip: ToyClip): StepImplementation => ({
  ...correctStep,
  source: options => toySource({ ...options, clip }),
});

const altering = (change: (mechanism: Mechanism, plan: Plan) => Partial<Mechanism>): StepImplementation => ({
  ...correctStep,
  open(options) {
    const mechanism = openMechanism(options);
    return { ...mechanism, ...change(mechanism, options.plan) };
  },
});

/** Each mistake with the checks that have to find it. */
const plantedBugs: readonly [string, StepImplementation, readonly string[]][] = [
  ['nothing is clipped', clipping('nothing'), ['clippedSum', 'sensitivity']],
  ['the batch is clipped, not each unit', clipping('batch'), ['clippedSum']],
  ['records are clipped, not their mean over the user', clipping('rows'), ['clippedSum', 'sensitivity']],
  [
    'the noise is halved',
    altering((_, plan) => ({
      addNoise: sum =>
        addGaussianNoise(sum, {
          standardDeviation: 0.5 * plan.noiseMultiplier * plan.clipNorm,
          bits: openBits(new Uint8Array(32), 'noise'),
        }),
    })),
    ['noise', 'emptyStep'],
  ],
  [
    'the noise multiplier is taken for the standard deviation',
    altering((_, plan) => ({
      addNoise: sum =>
        addGaussianNoise(sum, {
          standardDeviation: plan.noiseMultiplier,
          bits: openBits(new Uint8Array(32), 'noise'),
        }),
    })),
    ['noise', 'emptyStep'],
  ],
  [
    'the denominator is the realised batch size',
    {
      ...correctStep,
      async step(mechanism, options) {
        let drawn = 0;
        const realised = (sum: Float64Array): void =>
          sum.forEach((value, index) => (sum[index] = value / drawn));
        const given = options.book;
        const book: StepBook = {
          attemptAt: step => given.attemptAt(step),
          enter: record => given.enter({ ...record, drawSize: (drawn = record.drawSize) }),
        };
        return privateGradient({ ...mechanism, average: realised }, { ...options, book });
      },
    },
    ['denominator', 'noise', 'emptyStep'],
  ],
  [
    'the sampling probability is doubled',
    {
      ...correctStep,
      open(options) {
        const { plan } = options;
        const samplingProbability = Math.min(1, 2 * plan.sampler.samplingProbability);
        return openMechanism({
          ...options,
          plan: { ...plan, sampler: { ...plan.sampler, samplingProbability } },
        });
      },
    },
    ['sampler'],
  ],
  [
    'batches have a fixed size and go through the users in turn',
    altering((_, plan) => {
      let next = 0;
      const size = Math.round(plan.sampler.expectedBatchSize);
      const turn = (): number => next++ % plan.population.users;
      return { sample: () => Int32Array.from({ length: size }, turn) };
    }),
    ['sampler', 'denominator'],
  ],
  [
    'a step that draws nobody is skipped',
    {
      ...correctStep,
      async step(mechanism, options) {
        const drawn = mechanism.sample(pointOf(options.step));
        if (drawn.length > 0) return privateGradient({ ...mechanism, sample: () => drawn }, options);
        const summed = await mechanism.clippedSum(drawn, options.step);
        return { gradient: summed.sum, drawSize: 0, summed, noiseSample: '' };
      },
    },
    ['emptyStep'],
  ],
  [
    'the ledger is written after the noise',
    {
      ...correctStep,
      async step(mechanism, options) {
        let entered: StepRecord | undefined;
        const book: StepBook = {
          attemptAt: () => 0,
          enter: record => (entered = record).step === options.step,
        };
        const result = await privateGradient(mechanism, { ...options, book });
        options.book.enter(entered!);
        return result;
      },
    },
    ['writeAhead'],
  ],
];

describe('one private step', () => {
  it.each(Object.entries(checks))('passes the check %s', async (_, check) => {
    await check(correctStep);
  });

  for (const [bug, implementation, found] of plantedBugs) {
    it.each(found)(`fails the check %s where ${bug}`, async name => {
      await expect(checks[name]!(implementation)).rejects.toThrow();
    });
  }
});

function open(
  plan: Plan,
  options: { users?: typeof variedUsers; gradients?: GradientSource } = {},
): Mechanism {
  const { users = variedUsers, gradients = toySource() } = options;
  const packing = { contextLength: 24, endOfText: 0, limits: { tokens: 128, units: 4 } };
  return openMechanism({ plan, users, gradients, packing, key: new Uint8Array(32) });
}

describe('openMechanism()', () => {
  it('gives both mechanisms the same sum where every user has one record', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0.1, max: 50, noNaN: true }),
        async (lengths, clipNorm) => {
          const users = usersWith(lengths.map(length => [length]));
          const sums = await Promise.all(
            (['user-wise', 'group-privacy'] as const).map(async mechanism => {
              const opened = open(planFor(users, { mechanism, clipNorm }), { users });
              return (await opened.clippedSum(opened.sample(pointOf(0)), 0)).sum.slice();
            }),
          );
          expect(sums[0]).toEqual(sums[1]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('keeps every contribution at or below the clip, the margin for rounding included', async () => {
    const users = usersWith([[20, 20]]);
    const opened = open(planFor(users, { clipNorm: 0.7 }), { users });
    const { sum, clipped } = await opened.clippedSum(opened.sample(pointOf(0)), 0);
    expect(norm(sum)).toBeLessThanOrEqual(0.7);
    expect(norm(sum)).toBeGreaterThan(0.7 * (1 - 2e-5));
    expect(clipped).toBe(1);
    expect(graphClip(0.7)).toBeLessThan(0.7);
  });

  it('leaves a unit out, and counts it, where its gradient is not finite', async () => {
    const users = usersWith([[5], [24, 24, 24, 24, 24, 24, 24], [6]]);
    const toy = toySource();
    const gradients: GradientSource = {
      size: toy.size,
      async run(batch, clipNorm) {
        const result = await toy.run(batch, clipNorm);
        const oversized = clipNorm > 1e30;
        return oversized ? { ...result, norms: Float32Array.of(NaN), losses: Float32Array.of(NaN) } : result;
      },
    };
    const whole = open(planFor(users), { users, gradients });
    const { sum, notFinite, meanLoss } = await whole.clippedSum(whole.sample(pointOf(0)), 0);
    const rest = [users[0]!, users[2]!];
    const without = open(planFor(rest), { users: rest });
    expect(sum).toEqual((await without.clippedSum(without.sample(pointOf(0)), 0)).sum);
    expect(notFinite).toBe(1);
    expect(Number.isFinite(meanLoss)).toBe(true);
  });

  it('refuses an engine whose clipped sum is longer than its clips allow, or is not a number', async () => {
    for (const value of [1e9, NaN]) {
      const gradients: GradientSource = {
        size: 1,
        run: () =>
          Promise.resolve({
            losses: new Float32Array(4),
            norms: new Float32Array(4),
            sums: [Float32Array.of(value)],
          }),
      };
      const opened = open(planFor(variedUsers), { gradients });
      await expect(opened.clippedSum(opened.sample(pointOf(0)), 0)).rejects.toThrow(
        'Cannot trust the engine',
      );
    }
  });

  it('has no loss to report for a step that drew nobody', async () => {
    const opened = open(planFor(variedUsers));
    const { sum, meanLoss } = await opened.clippedSum(new Int32Array(0), 0);
    expect(meanLoss).toBeNull();
    expect(norm(sum)).toBe(0);
  });
});

describe('the randomness of a step', () => {
  const plan = planFor(variedUsers, { probability: 0.5 });
  const digest = 'd'.repeat(64);
  const noiseOf = (point: StepPoint, clippedSumDigest: string): string => {
    const sum = new Float64Array(8);
    open(plan).addNoise(sum, { ...point, clippedSumDigest });
    return sum.join();
  };

  it('is a function of key, point and sum: no two sums ever meet one noise', () => {
    const noises = [pointOf(0), pointOf(1), { step: 0, attempt: 1 }].flatMap(point => [
      noiseOf(point, digest),
      noiseOf(point, 'e'.repeat(64)),
    ]);
    expect(new Set(noises).size).toBe(6);
    expect(noiseOf(pointOf(1), digest)).toBe(noises[2]);
  });

  it('is sealed by digests that change with a single bit, and tell an auditor who was drawn', () => {
    const mechanism = open(plan);
    const drawn = mechanism.sample(pointOf(3));
    const sum = Float64Array.of(1, 2, 3);
    const seal = mechanism.seal(pointOf(3), { drawn, sum, balance: 0 });
    expect(open(plan).seal(pointOf(3), { drawn, sum, balance: 0 })).toEqual(seal);
    const next = Float64Array.of(1, 2, 3 + 2 ** -51);
    const other = open(plan).seal(pointOf(3), { drawn, sum: next, balance: 0 });
    expect(other.clippedSumDigest).not.toBe(seal.clippedSumDigest);
    const key = deriveKey(new Uint8Array(32), 'sampling');
    const audited = openPointSampler(plan.sampler, {
      population: plan.population.users,
      bits: openPointBits(key),
    }).draw(pointOf(3));
    const { buffer, byteOffset, byteLength } = audited;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    expect(digestAt(pointOf(3), { key, bytes })).toBe(seal.participationDigest);
  });

  it('has a draw and noise of its own where the book refuses a step', async () => {
    const records: StepRecord[] = [];
    const book: StepBook = {
      attemptAt: () => records.length,
      enter: record => records.push(record) === 2,
    };
    const { drawSize } = await privateGradient(open(plan), { step: 5, book });
    expect(records.map(record => [record.step, record.attempt])).toEqual([
      [5, 0],
      [5, 1],
    ]);
    expect(records[1]!.drawSize).toBe(drawSize);
    expect(records[0]!.participationDigest).not.toBe(records[1]!.participationDigest);
  });
});

describe('unitsOf()', () => {
  const users = usersWith([[3, 4, 5, 6, 7, 8], [9]]);

  it('counts records for Group Privacy and users for User-wise DP-SGD', () => {
    expect(unitsOf(planFor(users, { mechanism: 'group-privacy' }), users).count).toBe(7);
    expect(unitsOf(planFor(users), users).count).toBe(2);
  });

  it('draws afresh at every step where the plan selects per draw, and the same again at the same step', () => {
    const selection = { ...planFor(users).selection, when: 'per-draw' } as const;
    const plan = planFor(users, { selection, unit: { protection: 'user', recordsPerUser: 2 } });
    const { rowsAt } = unitsOf(plan, users);
    const lengths = (step: number): number[] => rowsAt(0, step).map(row => row.length);
    expect(lengths(3)).toEqual(lengths(3));
    const seen = new Set(
      Array.from({ length: 40 }, (_, step) =>
        lengths(step)
          .toSorted((a, b) => a - b)
          .join(),
      ),
    );
    expect(seen.size).toBeGreaterThan(8);
    expect(Array.from({ length: 40 }, (_, step) => lengths(step).length).every(count => count === 2)).toBe(
      true,
    );
    expect(rowsAt(1, 0)).toHaveLength(1);
  });

  it('cuts random chunks of the planned length, none longer', () => {
    const selection = {
      ...planFor(users).selection,
      strategy: 'random-chunk',
      chunkTokens: 5,
      when: 'per-draw',
    } as const;
    const plan = planFor(users, { selection, unit: { protection: 'user', recordsPerUser: 3 } });
    const rows = unitsOf(plan, users).rowsAt(0, 1);
    expect(rows.length).toBeLessThanOrEqual(3);
    expect(rows.every(row => row.length >= 1 && row.length <= 5)).toBe(true);
  });
});
