import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditLedger, type LedgerAudit } from '../../../trainer/audit/audit-ledger.ts';
import type { ReplayInputs } from '../../../trainer/audit/replay/replay.ts';
import { readLedger, type LedgerEntry } from '../../../trainer/ledger.ts';
import { train, type TrainOptions } from '../../../trainer/train.ts';
import { textUsers, tinyEngine, tinyModel } from '../tiny.ts';
import { planFor } from '../toy.ts';
import { key, write } from './ledgers.ts';

const home = mkdtempSync(join(tmpdir(), 'random-steps-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const users = textUsers(12);
const plan = planFor(users, { probability: 0.5, steps: 10 });
const settings = { checkpointEvery: 3 };
const laterKey = new Uint8Array(32).fill(1);

async function options(changes: Partial<TrainOptions> = {}): Promise<TrainOptions> {
  const engine = await tinyEngine();
  const run = { plan, users, heldOut: [], model: tinyModel(), engine, settings };
  return { ...run, randomness: { key }, keepCheckpoints: true, ...changes };
}

/** A run that is killed once, in the middle of a step. */
async function killed(folder: string): Promise<void> {
  const onPhase = (phase: string, step: number): void => {
    if (phase === 'noised' && step === 7) throw new Error('killed');
  };
  await expect(train(await options({ folder, onPhase }))).rejects.toThrow('killed');
}

interface Asked {
  readonly count?: number;
  readonly seed?: string;
  readonly checkpoints?: string | undefined;
  readonly revealed?: Uint8Array;
}

async function audited(path: string, asked: Asked = {}): Promise<LedgerAudit> {
  const { count = 99, seed = 'a', checkpoints, revealed = key } = asked;
  const engine = await tinyEngine();
  const random = { count, seed };
  const inputs = { users, model: tinyModel(), engine, settings, isBitExact: true, random, checkpoints };
  return auditLedger(path, { key: revealed, replay: (): Promise<ReplayInputs> => Promise.resolve(inputs) });
}

function outcomes({
  replay,
}: LedgerAudit): [step: number, attempt: number, from: number, sum: unknown, noise: unknown][] {
  return replay!.random!.steps.map(({ step, attempt, from, sum, noise }) => [
    step,
    attempt,
    from,
    sum,
    noise,
  ]);
}

function changed(path: string, change: (entry: LedgerEntry) => LedgerEntry): string {
  return write(readLedger(path).map(change));
}

const honest = join(home, 'honest');
const ledger = join(honest, 'ledger.jsonl');
const kept = join(honest, 'checkpoints');

beforeAll(async () => {
  await train(await options({ folder: honest }));
});

describe('train({ keepCheckpoints })', () => {
  it('keeps every checkpoint, of which the newest is the one to go on from', () => {
    const names = readdirSync(kept).toSorted();
    expect(names).toEqual(['step-10.bin', 'step-3.bin', 'step-6.bin', 'step-9.bin']);
    const newest = readFileSync(join(honest, 'checkpoint.bin'));
    expect(readFileSync(join(kept, 'step-10.bin')).equals(newest)).toBe(true);
  });

  it('puts them aside with their ledger where a run is begun anew', async () => {
    const folder = join(home, 'anew');
    cpSync(honest, folder, { recursive: true });
    await train(await options({ folder, force: true, keepCheckpoints: false }));
    expect(existsSync(join(folder, 'checkpoints'))).toBe(false);
    expect(readdirSync(join(folder, 'checkpoints-1'))).toHaveLength(4);
  });
});

describe('auditLedger() that repeats random steps', () => {
  it('begins at the nearest checkpoint, and says step by step what is that of the ledger', async () => {
    const audit = await audited(ledger, { checkpoints: kept });
    expect(outcomes(audit)).toEqual(
      Array.from({ length: 10 }, (_, step) => [step, 0, Math.floor(step / 3) * 3, true, true]),
    );
    expect(audit).toMatchObject({
      verdict: 'consistent',
      replay: {
        sumsConfirmed: 10,
        modelsConfirmed: 4,
        random: { seed: 'a', repeatable: 10, of: 10, trained: 10 },
      },
    });
    const note = audit.reasons.find(({ code }) => code === 'DPL-random-steps')!;
    expect(note.level).toBe('note');
    expect(note.text).toContain('draw, clipped sum and noise are those of the ledger');
    expect(note.text).toContain('(1 - f)^10: 35 % at f = 10 %');
  });

  it('picks by the seed, and trains no more than it has to', async () => {
    const asked = { count: 2, seed: 'b', checkpoints: kept };
    const [first, again, other] = [
      await audited(ledger, asked),
      await audited(ledger, asked),
      await audited(ledger, { ...asked, seed: 'c' }),
    ];
    expect(outcomes(again)).toEqual(outcomes(first));
    expect(outcomes(other)).not.toEqual(outcomes(first));
    expect(outcomes(first).every(([, , , sum, noise]) => sum === true && noise === true)).toBe(true);
    expect(first.replay!.random!.steps).toHaveLength(2);
    expect(first.replay!.random!.trained).toBeLessThanOrEqual(8);
  });

  it('begins at the start without checkpoints, and at an earlier one where one is missing', async () => {
    const bare = await audited(ledger, { count: 1 });
    expect(outcomes(bare)).toMatchObject([[expect.any(Number), 0, 0, true, true]]);
    const fewer = join(home, 'fewer');
    cpSync(kept, fewer, { recursive: true });
    rmSync(join(fewer, 'step-6.bin'));
    const steps = outcomes(await audited(ledger, { checkpoints: fewer }));
    expect(steps.map(([, , from]) => from)).toEqual([0, 0, 0, 3, 3, 3, 3, 3, 3, 9]);
  });

  it('trusts no checkpoint that is not the one of the ledger', async () => {
    const other = join(home, 'other');
    cpSync(kept, other, { recursive: true });
    const path = join(other, 'step-3.bin');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    const audit = await audited(ledger, { checkpoints: other });
    expect(audit.verdict).toBe('unverifiable');
    expect(audit.reasons[0]).toMatchObject({ code: 'DPL-other-checkpoint' });
    expect(outcomes(audit).map(([step]) => step)).toEqual([0, 1, 2, 6, 7, 8, 9]);
    const { text } = audit.reasons.find(({ code }) => code === 'DPL-random-steps')!;
    expect(text).toMatch(/^10 of 10 steps were picked .* and 7 of them repeated/);
    // Steps that could not be repeated are not random ones: nothing is said of what the others would have missed.
    expect(text).not.toContain('Had a share');
  });

  it('refutes a run of which one sum is another, and says what cannot be said of the steps after it', async () => {
    const path = changed(ledger, entry =>
      entry.kind === 'noised' && entry.step === 4 ? { ...entry, clippedSumDigest: 'other' } : entry,
    );
    const audit = await audited(path, { checkpoints: kept });
    expect(audit.verdict).toBe('refuted');
    expect(outcomes(audit).slice(3, 7)).toEqual([
      [3, 0, 3, true, false],
      [4, 0, 3, false, null],
      [5, 0, 3, null, null],
      [6, 0, 6, true, true],
    ]);
    const sum = audit.reasons.find(({ code }) => code === 'DPL-other-sum')!;
    expect(sum.text).toMatch(/^Repeated from the checkpoint of step 3, the clipped sum of step 4 /);
  });

  it('refutes a run whose noise in one step was another, by the checkpoint that follows', async () => {
    const path = changed(ledger, entry =>
      entry.kind === 'checkpoint' && entry.step === 6 ? { ...entry, digest: 'other' } : entry,
    );
    const audit = await audited(path, { checkpoints: kept });
    expect(audit.verdict).toBe('refuted');
    expect(outcomes(audit)[5]).toEqual([5, 0, 3, true, false]);
    expect(audit.reasons.map(({ code }) => code)).toContain('DPL-other-model');
  });

  it('repeats a run that was killed and gone on with', async () => {
    const folder = join(home, 'killed');
    await killed(folder);
    await train(await options({ folder }));
    const audit = await audited(join(folder, 'ledger.jsonl'), { checkpoints: join(folder, 'checkpoints') });
    expect(audit.verdict).toBe('consistent');
    expect(audit.replay).toMatchObject({ noiseConfirmed: 10, sumsConfirmed: 10, random: { repeatable: 10 } });
  });

  it('repeats what a run departed to, from the first checkpoint of it', async () => {
    const folder = join(home, 'departed');
    await killed(folder);
    const path = join(folder, 'ledger.jsonl');
    const other = changed(path, entry =>
      entry.kind === 'noised' && entry.step === 7 ? { ...entry, clippedSumDigest: 'other' } : entry,
    );
    cpSync(other, path);
    await train(await options({ folder }));
    const audit = await audited(path, { checkpoints: join(folder, 'checkpoints') });
    // Step 7 was made again in the middle of a stretch, and so was step 8: no checkpoint lies between.
    expect(outcomes(audit).slice(6)).toEqual([
      [6, 0, 6, true, false],
      [7, 0, 6, false, null],
      [9, 1, 9, true, true],
    ]);
    expect(audit.replay!.random).toMatchObject({ repeatable: 9, of: 11 });
    expect(audit.reasons.find(({ code }) => code === 'DPL-random-steps')!.text).toContain(
      '2 others under the key',
    );
  });

  it('repeats what a run made under a later key, from the checkpoint that it went on from', async () => {
    const folder = join(home, 'later');
    const stop = new AbortController();
    const onProgress = ({ step }: { step: number }): void => (step === 4 ? stop.abort() : undefined);
    const first = train(await options({ folder, signal: stop.signal, onProgress }));
    await expect(first).rejects.toThrow('interrupted');
    await train(await options({ folder, randomness: { key: laterKey } }));
    const path = join(folder, 'ledger.jsonl');
    const asked = { checkpoints: join(folder, 'checkpoints'), revealed: laterKey };
    const audit = await audited(path, asked);
    expect(audit.verdict).toBe('consistent');
    expect(outcomes(audit)[0]).toEqual([4, 1, 4, true, true]);
    expect(outcomes(audit).at(-1)).toEqual([9, 1, 9, true, true]);
    expect(audit.replay).toMatchObject({ noiseConfirmed: 6, random: { repeatable: 6, of: 6 } });
    const none = await audited(path, { revealed: laterKey });
    expect(none.reasons.map(({ code }) => code)).toEqual(['DPL-nothing-to-repeat']);
  });
});
