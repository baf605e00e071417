import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Plan } from '../../../accounting/plan.ts';
import { auditLedger, type LedgerAudit } from '../../../trainer/audit/audit-ledger.ts';
import type { ReplayInputs } from '../../../trainer/audit/replay/replay.ts';
import { canonicalJson, sha256 } from '../../../trainer/digest.ts';
import { readLedger, type LedgerEntry } from '../../../trainer/ledger.ts';
import { train } from '../../../trainer/train.ts';
import { textUsers, tinyEngine, tinyModel } from '../tiny.ts';
import { planFor } from '../toy.ts';
import { key, write } from './ledgers.ts';

const users = textUsers(12);
const plan = planFor(users, { probability: 0.5, steps: 4 });
const settings = { checkpointEvery: 2 };

/** Ledger of a run of the tiny model, cut off once where `cutAt` says so. */
async function ranBy(
  actual: Plan,
  { cutAt, laterKey = key }: { cutAt?: number; laterKey?: Uint8Array } = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'replayed-'));
  const options = { users, heldOut: [], model: tinyModel(), engine: await tinyEngine(), settings, folder };
  const run = { ...options, plan: actual, randomness: { key } };
  if (cutAt !== undefined) {
    const stop = new AbortController();
    const onProgress = ({ step }: { step: number }): void => (step === cutAt ? stop.abort() : undefined);
    await expect(train({ ...run, signal: stop.signal, onProgress })).rejects.toThrow('interrupted');
  }
  await train({ ...run, randomness: { key: laterKey } });
  return join(folder, 'ledger.jsonl');
}

/** What a forger writes who ran one plan and says that it was another. */
function saidToBe(entries: readonly LedgerEntry[], stated: Plan): LedgerEntry[] {
  const { noiseMultiplier, clipNorm } = stated;
  return entries.map(entry => {
    if (entry.kind === 'header') return { ...entry, plan: stated, planHash: sha256(canonicalJson(stated)) };
    return entry.kind === 'noised' ? { ...entry, noiseMultiplier, clipNorm, soFar: undefined } : entry;
  });
}

async function audited(
  path: string,
  changes: Partial<ReplayInputs> = {},
  revealed: Uint8Array = key,
): Promise<LedgerAudit> {
  const engine = await tinyEngine();
  const replay = (): Promise<ReplayInputs> =>
    Promise.resolve({ users, model: tinyModel(), engine, settings, isBitExact: true, ...changes });
  return auditLedger(path, { key: revealed, replay });
}

describe('auditLedger() that repeats the run', () => {
  let honest: string;
  beforeAll(async () => {
    honest = await ranBy(plan);
  });

  it('confirms sums, checkpoints and the model of an honest run', async () => {
    const audit = await audited(honest);
    expect(audit).toMatchObject({
      verdict: 'consistent',
      replay: { drawsConfirmed: 4, sumsConfirmed: 4, modelsConfirmed: 3 },
    });
    expect(audit.notChecked.join()).not.toContain('noise of the stated size');
    const some = await audited(honest, { steps: 2 });
    expect(some.replay).toMatchObject({
      drawsConfirmed: 4,
      noiseConfirmed: 4,
      sumsConfirmed: 2,
      modelsConfirmed: 1,
    });
  });

  it('confirms a run that was cut off and gone on with', async () => {
    const audit = await audited(await ranBy(plan, { cutAt: 3 }));
    expect(audit).toMatchObject({ verdict: 'consistent', replay: { sumsConfirmed: 4, modelsConfirmed: 3 } });
  });

  it('accuses nobody of a run that went on with a fresh key', async () => {
    const path = await ranBy(plan, { cutAt: 3, laterKey: new Uint8Array(32).fill(1) });
    expect(await audited(path)).toMatchObject({
      verdict: 'consistent',
      replay: { drawsConfirmed: 3, sumsConfirmed: 3 },
    });
    const later = await audited(path, {}, new Uint8Array(32).fill(1));
    expect(later).toMatchObject({ verdict: 'consistent', replay: { drawsConfirmed: 1, sumsConfirmed: 0 } });
    expect(later.reasons.map(({ code }) => code)).toEqual(['DPL-later-key']);
  });

  it.each<[string, number, string, Partial<Plan>]>([
    ['half the noise', 1, 'refuted', { noiseMultiplier: 0.75 }],
    ['a clip twice as large', 0, 'consistent', { clipNorm: 0.02, noiseMultiplier: 0.75 }],
  ])('refutes a run with %s, which its ledger alone does not show', async (_, confirmed, byKey, changes) => {
    const stated = { ...plan, clipNorm: 0.01 };
    const forged = write(saidToBe(readLedger(await ranBy({ ...stated, ...changes })), stated));
    expect((await auditLedger(forged)).verdict).toBe('consistent');
    expect((await auditLedger(forged, { key })).verdict).toBe(byKey);
    const audit = await audited(forged);
    expect(audit).toMatchObject({
      verdict: 'refuted',
      replay: { drawsConfirmed: 4, sumsConfirmed: confirmed },
    });
    expect(audit.reasons.map(({ code }) => code)).toContain('DPL-other-sum');
    // Where the arithmetic may have been another nobody is accused of a sum.
    const { reasons } = await audited(forged, { isBitExact: false });
    expect(reasons.find(({ code }) => code === 'DPL-other-sum')!.level).toBe('warning');
  });

  it('refutes less noise in the very last step, which shows in the model alone', async () => {
    const entries = readLedger(honest).map(entry =>
      entry.kind === 'finished' ? { ...entry, modelDigest: 'other' } : entry,
    );
    const audit = await audited(write(entries));
    expect(audit.verdict).toBe('refuted');
    expect(audit.reasons[0]).toMatchObject({
      code: 'DPL-other-model',
      text: expect.stringContaining('the final model'),
    });
  });

  it('says so where table or model are not those that the ledger is bound to', async () => {
    const audit = await audited(honest, { users: users.with(0, { ...users[0]!, user: 'somebody else' }) });
    expect(audit).toMatchObject({ verdict: 'unverifiable', replay: { sumsConfirmed: 0 } });
    expect(audit.reasons[0]!.text).toMatch(/^The table that was given has digest/);
  });

  it('accuses nobody where the settings are not those of the run, and needs no others than those', async () => {
    const audit = await audited(honest, { settings: { ...settings, learningRate: 1e-4 } });
    expect(audit).toMatchObject({ verdict: 'unverifiable', replay: { sumsConfirmed: 0 } });
    expect(audit.reasons[0]!.text).toMatch(/^The run was made with adamw at a learning rate of .* 0\.0001,/);
    const rarer = await audited(honest, { settings: { checkpointEvery: 4 } });
    expect(rarer).toMatchObject({ verdict: 'consistent', replay: { sumsConfirmed: 4, modelsConfirmed: 2 } });
  });

  it('stops where it is interrupted', async () => {
    await expect(audited(honest, { signal: AbortSignal.abort() })).rejects.toThrow(
      expect.objectContaining({ code: 'INTERRUPTED' }),
    );
  });
});
