import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../trainer/checkpoint.ts';
import { readLedger } from '../../trainer/ledger.ts';
import { openRun, type Run, type RunIdentity } from '../../trainer/run.ts';

const identity: RunIdentity = {
  planHash: 'p'.repeat(64),
  tableDigest: 't'.repeat(64),
  modelDigest: 'm'.repeat(64),
};
const key = new Uint8Array(32).fill(3);
const fresh = (): string => mkdtempSync(join(tmpdir(), 'run-'));
const open = (folder: string | null, changes: Partial<RunIdentity> & { force?: boolean } = {}): Run => {
  const { force = false, ...other } = changes;
  return openRun({ folder, force, identity: { ...identity, ...other }, key });
};
const checkpoint = (step: number): Checkpoint => ({
  step,
  draws: step,
  parameters: Float32Array.of(step),
  optimizer: { updates: step, moments: [Float32Array.of(step)] },
});
const noise = (run: Run, step: number): void =>
  run.ledger.append({ kind: 'noised', step, drawSize: 1, noiseMultiplier: 1, clipNorm: 1 });

describe('openRun()', () => {
  it('starts a ledger with a header that commits to the key without telling it', () => {
    const folder = fresh();
    const run = open(folder);
    run.ledger.close();
    const [header] = readLedger(join(folder, 'ledger.jsonl'));
    expect(header).toMatchObject({
      kind: 'header',
      ...identity,
      codeVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const text = readFileSync(join(folder, 'ledger.jsonl'), 'utf8');
    expect(text).not.toContain(Buffer.from(key).toString('hex'));
    expect(text).not.toContain(Buffer.from(run.key).toString('hex'));
  });

  it('goes on from the newest checkpoint and counts the steps noised after it', () => {
    const folder = fresh();
    const first = open(folder);
    noise(first, 0);
    first.save(checkpoint(1));
    noise(first, 1);
    noise(first, 2);
    first.ledger.close();
    const second = open(folder);
    expect(second.resumedFrom).toEqual(checkpoint(1));
    expect(second.ledger.stepsCounted).toBe(3);
    expect(second.ledger.entries.at(-1)).toMatchObject({ kind: 'resumed', step: 1, stepsCounted: 3 });
    second.ledger.close();
  });

  it('never uses a key twice, even where a test injects one', () => {
    const folder = fresh();
    const first = open(folder);
    noise(first, 0);
    first.ledger.close();
    const second = open(folder);
    second.ledger.close();
    expect(second.key).not.toEqual(first.key);
  });

  it('starts from the beginning where the run was cut off before its first checkpoint', () => {
    const folder = fresh();
    const first = open(folder);
    noise(first, 0);
    first.ledger.close();
    const second = open(folder);
    expect(second.resumedFrom).toBeUndefined();
    expect(second.ledger.stepsCounted).toBe(1);
    second.ledger.close();
  });

  it('takes the older checkpoint where the newer one was announced but never written', () => {
    const folder = fresh();
    const run = open(folder);
    run.save(checkpoint(1));
    const old = readFileSync(join(folder, 'checkpoint.bin'));
    run.save(checkpoint(2));
    run.ledger.close();
    writeFileSync(join(folder, 'checkpoint.bin'), old);
    const again = open(folder);
    expect(again.resumedFrom?.step).toBe(1);
    again.ledger.close();
  });

  it.each([
    ['planHash', 'plan'],
    ['tableDigest', 'table'],
    ['modelDigest', 'starting model'],
  ] as const)('refuses to go on with another %s', (field, name) => {
    const folder = fresh();
    open(folder).ledger.close();
    expect(() => open(folder, { [field]: 'x'.repeat(64) })).toThrow(
      expect.objectContaining({
        code: 'CHECK_FAILED',
        message: expect.stringContaining(`its ${name} has digest`),
      }),
    );
  });

  it('refuses a ledger cut off before its newest checkpoint', () => {
    const folder = fresh();
    const run = open(folder);
    noise(run, 0);
    run.save(checkpoint(1));
    run.ledger.close();
    const path = join(folder, 'ledger.jsonl');
    const lines = readFileSync(path, 'utf8').split('\n');
    writeFileSync(path, `${lines.slice(0, 1).join('\n')}\n`);
    expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'CHECK_FAILED' }));
  });

  it('refuses a changed checkpoint and a broken chain', () => {
    for (const file of ['checkpoint.bin', 'ledger.jsonl']) {
      const folder = fresh();
      const run = open(folder);
      run.save(checkpoint(1));
      run.ledger.close();
      const path = join(folder, file);
      const bytes = readFileSync(path);
      bytes[bytes.length - 3]! ^= 1;
      writeFileSync(path, bytes);
      expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'CHECK_FAILED' }));
    }
  });

  it('refuses a finished run unless forced, and then keeps its ledger under another name', () => {
    const folder = fresh();
    const run = open(folder);
    noise(run, 0);
    run.save(checkpoint(1));
    run.ledger.append({ kind: 'finished', stepsCounted: 1, modelDigest: 'd' });
    run.ledger.close();
    expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'OUTPUT_EXISTS' }));
    const again = open(folder, { force: true });
    expect(again.resumedFrom).toBeUndefined();
    expect(again.ledger.stepsCounted).toBe(0);
    again.ledger.close();
    expect(readdirSync(folder).sort((a, b) => (a < b ? -1 : 1))).toEqual(['ledger-1.jsonl', 'ledger.jsonl']);
    expect(readLedger(join(folder, 'ledger-1.jsonl'))).toHaveLength(4);
  });

  it('keeps everything in memory without a folder', () => {
    const run = open(null);
    noise(run, 0);
    run.save(checkpoint(1));
    expect(run.ledger.stepsCounted).toBe(1);
  });

  it('makes the folder where there is none', () => {
    const folder = join(fresh(), 'a', 'b');
    open(folder).ledger.close();
    expect(existsSync(join(folder, 'ledger.jsonl'))).toBe(true);
    rmSync(folder, { recursive: true });
  });
});
