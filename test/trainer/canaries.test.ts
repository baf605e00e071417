import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../accounting/plan-entry.ts';
import type { Plan } from '../../accounting/plan.ts';
import { auditLedger } from '../../trainer/audit/audit-ledger.ts';
import {
  absentCanaries,
  canaryUsers,
  makeCanaries,
  planWithCanaries,
  type CanaryRequest,
  type CanarySet,
} from '../../trainer/canaries/canaries.ts';
import { commitmentOfCanaries, readCanaries, writeCanaries } from '../../trainer/canaries/canary-file.ts';
import { openDeviceModel } from '../../trainer/device.ts';
import { lossesOf } from '../../trainer/evaluate.ts';
import { subjectNames } from '../../trainer/evidence/statement.ts';
import { readLedger } from '../../trainer/ledger.ts';
import { openMechanism } from '../../trainer/mechanism.ts';
import { openBits } from '../../trainer/randomness.ts';
import { train, type TrainingResult, type TrainOptions } from '../../trainer/train.ts';
import { clipping } from './adaptive-plan.ts';
import { isPlausibleCount } from './statistics.ts';
import { textUsers, tinyEngine, tinyModel } from './tiny.ts';
import { planFor, toySource, usersWith } from './toy.ts';

const folders = mkdtempSync(join(tmpdir(), 'canaries-'));
afterAll(() => rmSync(folders, { recursive: true, force: true }));

const key = new Uint8Array(32).fill(5);
const users = textUsers(24);
const model = tinyModel();
const bits = (seed = 1): ReturnType<typeof openBits> => openBits(new Uint8Array(32).fill(seed), 'sampling');

function made(request: Partial<CanaryRequest> = {}, plan: Plan = planFor(users)): CanarySet {
  return makeCanaries({ count: 20, ...request }, { plan, users: users.length, model, bits: bits() });
}

function withSelection(plan: Plan, changes: Partial<Plan['selection']>): Plan {
  return { ...plan, selection: { ...plan.selection, ...changes } };
}

describe('makeCanaries()', () => {
  it('gives each user a text of the whole context that ends once, in all of its records', () => {
    const request = fc.record({
      count: fc.integer({ min: 20, max: 24 }),
      recordsPerCanary: fc.integer({ min: 1, max: 5 }),
      cut: fc.oneof(
        fc.record({ highest: fc.integer({ min: 1, max: 10 }), lowest: fc.integer({ min: 0, max: 10 }) }),
        fc.record({ threshold: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
      ),
    });
    fc.assert(
      fc.property(request, asked => {
        const set = made(asked);
        expect(set.canaries).toHaveLength(asked.count);
        expect(set).toMatchObject({ recordsPerCanary: asked.recordsPerCanary, cut: asked.cut });
        for (const { tokens } of set.canaries) {
          expect(tokens).toHaveLength(32);
          expect(tokens.indexOf(256)).toBe(31);
          expect(tokens.every(token => token >= 0 && token <= 256)).toBe(true);
        }
        const planted = canaryUsers(set);
        expect(new Set(planted.map(({ user }) => user)).size).toBe(asked.count);
        expect(planted.every(({ records }) => records.length === asked.recordsPerCanary)).toBe(true);
        expect(new Set(set.canaries.map(({ tokens }) => tokens.join())).size).toBe(asked.count);
      }),
      { numRuns: 20 },
    );
  });

  it('tosses a fair coin for each, and draws every token', () => {
    const many = makeCanaries({ count: 4000 }, { plan: planFor(users), users: 4000, model, bits: bits() });
    const included = many.canaries.filter(({ isIncluded }) => isIncluded).length;
    expect(isPlausibleCount(included, { trials: 4000, probability: 0.5 })).toBe(true);
    expect(absentCanaries(many).size).toBe(4000 - included);
    const alike = many.canaries.filter(
      ({ isIncluded }, index) => isIncluded === many.canaries[index === 0 ? 3999 : index - 1]!.isIncluded,
    ).length;
    expect(isPlausibleCount(alike, { trials: 4000, probability: 0.5 })).toBe(true);
    expect(new Set(many.canaries.flatMap(({ tokens }) => [...tokens])).size).toBe(257);
  });

  it('takes coins and texts from a fresh key unless told otherwise', () => {
    const options = { plan: planFor(users), users: users.length, model };
    const [first, second] = [makeCanaries({ count: 20 }, options), makeCanaries({ count: 20 }, options)];
    expect(commitmentOfCanaries(first).commitment).not.toBe(commitmentOfCanaries(second).commitment);
    expect(first.canaries[0]!.tokens).not.toEqual(second.canaries[0]!.tokens);
    expect(first.salt).toMatch(/^[0-9a-f]{64}$/);
  });

  it('fills the cap with records where records are sampled, and guesses about half', () => {
    expect(made()).toMatchObject({ recordsPerCanary: 1, cut: { highest: 5, lowest: 5 } });
    const plan = planFor(users, { mechanism: 'group-privacy' });
    expect(made({}, plan)).toMatchObject({ recordsPerCanary: 5, cut: { highest: 5, lowest: 5 } });
  });

  it('stays within blocks and caps of tokens', () => {
    const lengthUnder = (changes: Partial<Plan['selection']>, recordsPerCanary = 1): number =>
      made({ recordsPerCanary }, withSelection(planFor(users), changes)).canaries[0]!.tokens.length;
    expect(lengthUnder({ tokensPerUser: 25 })).toBe(25);
    expect(lengthUnder({ tokensPerUser: 45 }, 3)).toBe(15);
    expect(lengthUnder({ strategy: 'random-chunk', chunkTokens: 16 }, 3)).toBe(16);
    expect(() => lengthUnder({ tokensPerUser: 20 }, 3)).toThrow('leave 6 tokens to each of 3 records');
  });

  it.each<[string, Partial<CanaryRequest>, string]>([
    ['none', { count: 0 }, '0'],
    ['too few to tell anything', { count: 19 }, '19'],
    ['half a canary', { count: 20.5 }, '20.5'],
    ['more than there are users', { count: 25 }, '25 are asked for beside 24 users'],
    ['canaries without records', { recordsPerCanary: 0 }, '0'],
    ['more records than the cap', { recordsPerCanary: 6 }, 'have 6 records, the plan caps users at 5'],
    ['no guesses', { cut: { highest: 0, lowest: 0 } }, '0 guesses'],
    ['half a guess', { cut: { highest: 0.5, lowest: 0 } }, '0.5'],
    ['fewer guesses than none', { cut: { highest: 3, lowest: -1 } }, '-1'],
    [
      'more guesses than canaries',
      { cut: { highest: 11, lowest: 10 } },
      '21 guesses are to be made about 20',
    ],
    ['an endless threshold', { cut: { threshold: Infinity } }, 'threshold is Infinity'],
  ])('refuses %s', (_, request, told) => {
    expect(() => made(request)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => made(request)).toThrow(told);
  });

  it('refuses sampling of which no upper bound could be refuted', () => {
    const { sampler, ...plan } = planFor(users, { probability: 0.5 });
    const shuffled = { ...sampler, kind: 'shuffled', stepsPerEpoch: 2 } as const;
    expect(() => made({}, { ...plan, sampler: shuffled })).toThrow('no upper bound is proved');
  });
});

describe('planWithCanaries()', () => {
  it.each(['user-wise', 'group-privacy'] as const)('keeps what epsilon of %s depends on', mechanism => {
    const plan = planFor(users, { mechanism, probability: 0.25 });
    const planted = planWithCanaries(plan, { count: 20, recordsPerCanary: 2 });
    expect(planted.population).toEqual({ users: 44, records: plan.population.records + 40 });
    expect(planted.sampler.expectedBatchSize).toBe(0.25 * planted.population[planted.sampler.over]);
    expect(epsilonOfPlan(planted).epsilon).toEqual(epsilonOfPlan(plan).epsilon);
  });

  it('refuses canaries that take a physical limit above the target', () => {
    const plain = planFor(users, { probability: 0.25, delta: 1e-3 });
    const limited = { ...plain.sampler, kind: 'truncated-poisson', batchLimit: 9 } as const;
    const plan = { ...plain, sampler: limited, targetEpsilon: null };
    const { upper } = epsilonOfPlan(plan).epsilon;
    expect(epsilonOfPlan(planWithCanaries(plan, { count: 20 })).epsilon.upper).toBeGreaterThan(upper);
    expect(() => planWithCanaries({ ...plan, targetEpsilon: upper }, { count: 20 })).toThrow(
      `above the target of ${upper}`,
    );
  });
});

describe('the file of canaries', () => {
  it('gives back what was written, for its owner alone', () => {
    const set = made({ recordsPerCanary: 3, cut: { highest: 7, lowest: 2 } });
    writeCanaries(folders, set);
    const path = join(folders, 'canaries.jsonl');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readCanaries(path, commitmentOfCanaries(set).commitment)).toEqual(set);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"included":true', '"included":false'));
    expect(() => readCanaries(path, commitmentOfCanaries(set).commitment)).toThrow('the ledger is bound to');
    writeFileSync(path, 'nothing\n');
    expect(() => readCanaries(path)).toThrow(expect.objectContaining({ code: 'CHECK_FAILED' }));
    expect(() => readCanaries(join(folders, 'none'))).toThrow(
      expect.objectContaining({ code: 'MISSING_FILE' }),
    );
  });

  it('has a digest that every coin changes', () => {
    const set = made();
    const commitments = set.canaries.map((canary, index) => {
      const turned = { ...canary, isIncluded: !canary.isIncluded };
      return commitmentOfCanaries({ ...set, canaries: set.canaries.with(index, turned) }).commitment;
    });
    expect(new Set([...commitments, commitmentOfCanaries(set).commitment]).size).toBe(21);
  });
});

describe('openMechanism() with users who are absent', () => {
  const present = usersWith([[5, 3], [9], [20, 1, 2]]);
  const gone = usersWith([[7, 8], [4]]).map(user => ({ ...user, user: `gone ${user.user}` }));
  const absent = new Set(gone.map(({ user }) => user));

  it.each(['user-wise', 'group-privacy', 'per-draw'] as const)(
    'draws them and sums nothing of them: %s',
    async kind => {
      const mechanism = kind === 'per-draw' ? 'user-wise' : kind;
      const packing = { contextLength: 24, endOfText: 0, limits: { tokens: 128, units: 4 } };
      const sumOf = async (all: typeof present, out?: Set<string>): Promise<[number, Float64Array]> => {
        const plain = planFor(all, { mechanism });
        const plan = kind === 'per-draw' ? withSelection(plain, { when: 'per-draw' }) : plain;
        const run = openMechanism({ plan, users: all, gradients: toySource(), packing, key, absent: out });
        const drawn = run.sample({ step: 0, attempt: 0 });
        const { sum } = await run.clippedSum(drawn, 0);
        return [drawn.length, sum.slice()];
      };
      const [drawn, sum] = await sumOf([...present, ...gone], absent);
      const [fewer, without] = await sumOf(present);
      expect(sum).toEqual(without);
      expect(drawn - fewer).toBe(mechanism === 'user-wise' ? 2 : 3);
      expect((await sumOf([...present, ...gone]))[1]).not.toEqual(without);
    },
  );
});

const settings = { checkpointEvery: 2 };

async function trained(changes: Partial<TrainOptions>, plan: Plan): Promise<TrainingResult> {
  const engine = await tinyEngine();
  return train({ plan, users, heldOut: [], model, engine, settings, randomness: { key }, ...changes });
}

describe.each(['user-wise', 'group-privacy'] as const)('train() with canaries: %s', mechanism => {
  const request = { count: 20, recordsPerCanary: 2 };
  const plan = planWithCanaries(planFor(users, { mechanism, probability: 0.5, delta: 1e-3 }), request);
  const folder = join(folders, mechanism);
  let result: TrainingResult;
  beforeAll(async () => {
    result = await trained({ folder, keepKey: true, canaries: request }, plan);
  });

  it('binds the run to them before the first step, and says nothing of the coins', () => {
    const set = readCanaries(join(folder, 'canaries.jsonl'));
    const [header, ...steps] = readLedger(join(folder, 'ledger.jsonl'));
    expect(header).toMatchObject({ kind: 'header', canaries: commitmentOfCanaries(set) });
    expect(header).toMatchObject({ canaries: { count: 20, recordsPerCanary: 2, kPlus: 5, kMinus: 5 } });
    expect(steps.map(({ kind }) => kind)).not.toContain('header');
    expect(result.canaries!.scores.map(({ included }) => included)).toEqual(
      set.canaries.map(({ isIncluded }) => isIncluded),
    );
  });

  it('scores them by their log-likelihood before and after, and writes that down', async () => {
    const set = readCanaries(join(folder, 'canaries.jsonl'));
    const texts = set.canaries.map(({ tokens }) => tokens);
    const lossUnder = async (of: typeof model): Promise<number[]> => {
      const device = openDeviceModel(of, await tinyEngine());
      const losses = await lossesOf(texts, { model: of, device });
      device.dispose();
      return losses.map(({ loss }) => loss);
    };
    const [before, after] = [await lossUnder(model), await lossUnder(result.model)];
    const { scores } = result.canaries!;
    for (const [index, { score }] of scores.entries())
      expect(score).toBeCloseTo(before[index]! - after[index]!, 4);
    const lines = readFileSync(join(folder, 'scores.csv'), 'utf8').trimEnd().split('\n');
    expect(lines.slice(0, 5)).toEqual([
      '# preregistered: {k_plus: 5, k_minus: 5}',
      '# delta: 0.001',
      '# inclusion: bernoulli(1/2)',
      '# unit: user',
      'canary,included,score',
    ]);
    expect(lines.slice(5)).toEqual(
      scores.map(({ canary, included, score }) => `${canary},${Number(included)},${score}`),
    );
  });

  it('is signed with its scores, and without its coins', () => {
    expect(subjectNames(folder)).toContain('scores.csv');
    expect(subjectNames(folder)).not.toContain('canaries.jsonl');
  });

  it('is not trained over, and keeps its coins', async () => {
    const path = join(folder, 'canaries.jsonl');
    const before = readFileSync(path, 'utf8');
    await expect(trained({ folder, canaries: request }, plan)).rejects.toThrow('holds a finished run');
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  it('stays the run of its plan, for whoever draws and trains again', async () => {
    const path = join(folder, 'ledger.jsonl');
    const canaries = readCanaries(join(folder, 'canaries.jsonl'));
    const engine = await tinyEngine();
    const inputs = { users, model, engine, settings, isBitExact: true };
    const audit = await auditLedger(path, { key, replay: () => Promise.resolve({ ...inputs, canaries }) });
    expect(audit).toMatchObject({ verdict: 'consistent', reasons: [] });
    expect(audit.replay).toMatchObject({ drawsConfirmed: 4, sumsConfirmed: 4, modelsConfirmed: 3 });
    const without = await auditLedger(path, { key, replay: () => Promise.resolve(inputs) });
    expect(without).toMatchObject({ verdict: 'unverifiable', replay: { sumsConfirmed: 0 } });
    expect(without.reasons[0]!.text).toMatch(/^The canaries that were given have digest none, the ledger/);
  });
});

describe('train() with canaries under other samplers and rules', () => {
  const plain = planFor(users, { probability: 0.5, delta: 1e-3 });
  it.each<[string, Plan]>([
    ['balls in bins', { ...plain, sampler: { ...plain.sampler, kind: 'balls-in-bins', stepsPerEpoch: 2 } }],
    [
      'truncated Poisson',
      { ...plain, sampler: { ...plain.sampler, kind: 'truncated-poisson', batchLimit: 24 } },
    ],
    ['selection per draw', withSelection(plain, { when: 'per-draw', tokensPerUser: 40 })],
    ['an adaptive clip', { ...plain, clipping }],
  ])('draws as planned: %s', async (name, base) => {
    const request = { count: 20, recordsPerCanary: 2 };
    const plan = planWithCanaries(base, request);
    const folder = join(folders, name);
    const { canaries } = await trained({ folder, canaries: request }, plan);
    expect(canaries!.scores.every(({ score }) => Number.isFinite(score))).toBe(true);
    const audit = await auditLedger(join(folder, 'ledger.jsonl'), { key });
    expect(audit).toMatchObject({ verdict: 'consistent', reasons: [], replay: { drawsConfirmed: 4 } });
  });
});

describe('train() that goes on with canaries', () => {
  const request = { count: 20 };
  const plan = planWithCanaries(planFor(users, { probability: 0.5, delta: 1e-3 }), request);
  const folder = join(folders, 'cut');

  async function cutOff(): Promise<void> {
    rmSync(folder, { recursive: true, force: true });
    const stop = new AbortController();
    const onProgress = ({ step }: { step: number }): void => (step === 2 ? stop.abort() : undefined);
    const options = { folder, canaries: request, signal: stop.signal, onProgress };
    await expect(trained(options, plan)).rejects.toThrow('interrupted');
  }

  it('has the same coins and texts, and ends as if it had not been cut off', async () => {
    await cutOff();
    expect(readdirSync(folder)).not.toContain('scores.csv');
    const set = readCanaries(join(folder, 'canaries.jsonl'));
    const result = await trained({ folder, canaries: request }, plan);
    expect(readCanaries(join(folder, 'canaries.jsonl'))).toEqual(set);
    const whole = await trained({ canaries: set }, plan);
    expect(result.canaries).toEqual(whole.canaries);
    expect(result.stepsCounted).toBe(4);
  });

  it('refuses others than it was begun with', async () => {
    await cutOff();
    const more = planWithCanaries(planFor(users, { probability: 0.5, delta: 1e-3 }), { count: 22 });
    const told = (asked: CanaryRequest | undefined, by = plan): Promise<unknown> =>
      trained({ folder, canaries: asked }, by).then(
        () => 'trained',
        (error: unknown) => String(error),
      );
    const begun = 'begun with 20 canaries with 1 record each and guesses at the 5 highest and 5 lowest, now';
    expect(await told({ count: 22 }, more)).toContain(`${begun} 22 canaries`);
    expect(await told({ ...request, cut: { highest: 5, lowest: 4 } })).toContain(
      `${begun} 20 canaries with 1 record each and guesses at the 5 highest and 4 lowest`,
    );
    expect(await told(undefined)).toContain(`${begun} no canaries`);
    expect(await trained({ folder, canaries: made({}, plan) }, plan).catch(String)).toContain(
      'it is bound to 20 canaries, this one to 20 others',
    );
    const path = join(folder, 'canaries.jsonl');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"included":true', '"included":false'));
    expect(await told(request)).toContain('the ledger is bound to');
    rmSync(path);
    expect(await told(request)).toContain('there is no file');
  });

  it('refuses to plant canaries into a run that was begun without', async () => {
    rmSync(folder, { recursive: true, force: true });
    const plain = planFor(users, { probability: 0.5, delta: 1e-3 });
    const signal = AbortSignal.abort();
    await expect(trained({ folder, signal }, plain)).rejects.toThrow('interrupted');
    await expect(trained({ folder, canaries: request }, plan)).rejects.toThrow('begun with no canaries');
  });

  it('keeps the canaries of a run that is set aside', async () => {
    await cutOff();
    const set = readCanaries(join(folder, 'canaries.jsonl'));
    await trained({ folder, canaries: request, force: true }, plan);
    expect(readCanaries(join(folder, 'canaries-1.jsonl'))).toEqual(set);
    expect(readCanaries(join(folder, 'canaries.jsonl'))).not.toEqual(set);
  });

  it('refuses a plan that does not count them', async () => {
    await expect(trained({ canaries: request }, planFor(users))).rejects.toThrow('the plan is for 24 users');
  });
});
