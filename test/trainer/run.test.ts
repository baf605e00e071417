import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../trainer/checkpoint.ts';
import { openLedger, readLedger } from '../../trainer/ledger.ts';
import { lockHolder } from '../../trainer/lock.ts';
import { commitmentOf } from '../../trainer/randomness.ts';
import { openRun, type Run, type RunIdentity } from '../../trainer/run.ts';

const identity: RunIdentity = {
  planHash: 'p'.repeat(64),
  tableDigest: 't'.repeat(64),
  modelDigest: 'm'.repeat(64),
};
const key = new Uint8Array(32).fill(3);
const fresh = (): string => mkdtempSync(join(tmpdir(), 'run-'));
type Changes = Partial<RunIdentity> & {
  force?: boolean;
  key?: Uint8Array | null;
  keepKey?: boolean;
  keepCheckpoints?: boolean;
  breakLock?: boolean;
};
const open = (folder: string | null, changes: Changes = {}): Run => {
  const { force = false, key: given = key, keepKey, keepCheckpoints, breakLock, ...other } = changes;
  return openRun({
    folder,
    force,
    identity: { ...identity, ...other },
    key: given ?? undefined,
    keepKey,
    keepCheckpoints,
    breakLock,
  });
};
const checkpoint = (step: number): Checkpoint => ({
  step,
  parameters: Float32Array.of(step),
  optimizer: { updates: step, moments: [Float32Array.of(step)] },
});
const noise = (run: Run, step: number): void =>
  run.ledger.append({
    kind: 'noised',
    step,
    attempt: run.history.attempt,
    drawSize: 1,
    noiseMultiplier: 1,
    clipNorm: 1,
    participationDigest: 'p',
    clippedSumDigest: `s${step}`,
  });

describe('openRun()', () => {
  it('starts a ledger with a header that commits to the key without telling it', () => {
    const folder = fresh();
    const run = open(folder);
    run.close();
    const [header] = readLedger(join(folder, 'ledger.jsonl'));
    expect(header).toMatchObject({
      kind: 'header',
      ...identity,
      codeVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    const text = readFileSync(join(folder, 'ledger.jsonl'), 'utf8');
    expect(text).not.toContain(Buffer.from(key).toString('hex'));
  });

  it('goes on from the newest checkpoint and counts the steps noised after it', () => {
    const folder = fresh();
    const first = open(folder);
    noise(first, 0);
    first.save(checkpoint(1));
    noise(first, 1);
    noise(first, 2);
    first.close();
    const second = open(folder);
    expect(second.resumedFrom).toEqual(checkpoint(1));
    expect(second.ledger.stepsCounted).toBe(3);
    expect(second.ledger.entries.at(-1)).toMatchObject({ kind: 'resumed', step: 1, stepsCounted: 3 });
    second.close();
  });

  it('keeps its key in a private file until it is over, and goes on with it', () => {
    const folder = fresh();
    const path = join(folder, 'secret.key');
    const first = open(folder, { key: null });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(new Uint8Array(readFileSync(path))).toEqual(first.key);
    noise(first, 0);
    first.close();
    const second = open(folder, { key: null });
    expect(second.key).toEqual(first.key);
    expect(second.history).toMatchObject({ recorded: [{ step: 0, attempt: 0 }], step: 0, attempt: 0 });
    second.finish({ modelDigest: 'd' });
    second.close();
    expect(existsSync(path)).toBe(false);
    expect(readLedger(join(folder, 'ledger.jsonl')).at(-1)).toMatchObject({
      kind: 'finished',
      stepsCounted: 1,
    });
  });

  it('leaves the key where it is to stay', () => {
    const folder = fresh();
    const run = open(folder, { key: null, keepKey: true });
    run.finish({ modelDigest: 'd' });
    run.close();
    expect(commitmentOf(new Uint8Array(readFileSync(join(folder, 'secret.key'))))).toBe(
      commitmentOf(run.key),
    );
  });

  it.each<[string, (path: string) => void]>([
    ['gone', path => rmSync(path)],
    ['cut short', path => writeFileSync(path, key.subarray(0, 31))],
    ['that of another run', path => writeFileSync(path, new Uint8Array(32))],
  ])('draws a fresh key and counts steps anew where the key file is %s', (_, spoil) => {
    const folder = fresh();
    const first = open(folder, { key: null });
    noise(first, 0);
    first.close();
    spoil(join(folder, 'secret.key'));
    const second = open(folder, { key: null });
    expect(second.key).not.toEqual(first.key);
    expect(commitmentOf(second.key)).not.toBe(commitmentOf(new Uint8Array(32)));
    expect(second.history).toEqual({ recorded: [], step: 0, attempt: 1 });
    second.close();
    const third = open(folder, { key: null });
    expect(third.key).toEqual(second.key);
    third.close();
  });

  it('lets one run at a time into a folder, and goes on after one that died', () => {
    const folder = fresh();
    const first = open(folder);
    expect(() => open(folder)).toThrow(
      expect.objectContaining({
        code: 'OUTPUT_EXISTS',
        message: expect.stringContaining(
          `a run of process ${process.pid} on ${hostname()} is writing to it.`,
        ),
      }),
    );
    noise(first, 0);
    first.close();
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const holder of [
      { host: hostname(), process: dead, started: null },
      { host: hostname(), process: process.pid, started: 'another process of that number' },
    ]) {
      writeFileSync(join(folder, 'run.lock'), JSON.stringify(holder));
      open(folder).close();
    }
    writeFileSync(join(folder, 'run.lock'), '{"host":');
    // What runs leave that are killed while they take the lock.
    writeFileSync(join(folder, 'run.lock.4194305-1'), JSON.stringify({ host: hostname(), process: 4194305 }));
    writeFileSync(join(folder, 'run.lock.4194306-1'), '');
    open(folder).close();
    expect(readdirSync(folder).filter(name => name.startsWith('run.lock'))).toEqual([]);
  });

  const unknown: [string, { host: string; process: number; started: string | null }, string][] = [
    [
      'another machine',
      { host: 'elsewhere', process: 7, started: '1' },
      'a run of process 7 on elsewhere is writing to it, and only elsewhere can tell whether process 7 still runs.',
    ],
    [
      'a process that may be another by now',
      { host: hostname(), process: process.pid, started: null },
      'is writing to it, and there is a process of that number, which may be another one by now.',
    ],
  ];

  it.each(unknown)('leaves the lock of %s until it is told to break it', (_, holder, told) => {
    const folder = fresh();
    open(folder).close();
    const path = join(folder, 'run.lock');
    writeFileSync(path, JSON.stringify(holder));
    const refused = expect.objectContaining({
      code: 'OUTPUT_EXISTS',
      message: expect.stringMatching(
        /where you are sure that it is over, break its lock \(--break-lock\)\.$/,
      ),
    });
    expect(() => open(folder)).toThrow(refused);
    expect(() => open(folder, { force: true })).toThrow(told);
    expect(readFileSync(path, 'utf8')).toBe(JSON.stringify(holder));
    expect(lockHolder(folder)).toBe(`process ${holder.process} on ${holder.host}`);
    open(folder, { breakLock: true }).close();
    expect(existsSync(path)).toBe(false);
    expect(lockHolder(folder)).toBeUndefined();
  });

  it('never breaks the lock of a run that is known to run', () => {
    const folder = fresh();
    const run = open(folder);
    expect(() => open(folder, { breakLock: true })).toThrow('Wait for it, end it, or give another folder.');
    run.close();
    open(folder, { breakLock: true }).close();
  });

  it('whose lock was broken writes nothing more, and leaves the lock of the other', () => {
    const folder = fresh();
    const path = join(folder, 'run.lock');
    const first = open(folder);
    rmSync(path);
    const second = open(folder);
    const mine = { host: 'elsewhere', process: 7, started: null };
    writeFileSync(path, JSON.stringify(mine));
    expect(() => noise(first, 0)).toThrow('Let only one run at a time write to a folder.');
    first.close();
    expect(existsSync(path)).toBe(true);
    noise(second, 0);
    second.close();
    expect(readFileSync(path, 'utf8')).toBe(JSON.stringify(mine));
    expect(readLedger(join(folder, 'ledger.jsonl')).map(entry => entry.kind)).toEqual([
      'header',
      'resumed',
      'noised',
    ]);
  });

  it('says so where its folder, or one above it, is a file', () => {
    const file = join(fresh(), 'file');
    writeFileSync(file, '');
    for (const folder of [file, join(file, 'run')])
      expect(() => open(folder)).toThrow(
        expect.objectContaining({
          code: 'OUTPUT_FAILED',
          message: expect.stringMatching(/is a file\. Give a folder\.$/),
        }),
      );
  });

  it('lets go of the folder where it refuses what it finds', () => {
    const folder = fresh();
    open(folder).close();
    expect(() => open(folder, { planHash: 'x'.repeat(64) })).toThrow('its plan has digest');
    open(folder).close();
  });

  it('goes on with a ledger of an earlier release, whose steps are counted and made anew', () => {
    const folder = fresh();
    const run = openLedger(join(folder, 'ledger.jsonl'));
    const codeAndKey = { codeVersion: '0.0.1', noiseKeyCommitment: 'c'.repeat(64) };
    run.append({ kind: 'header', format: 'privacy-unit/ledger', version: 1, ...identity, ...codeAndKey });
    run.append({ kind: 'noised', step: 0, drawSize: 1, noiseMultiplier: 1, clipNorm: 1 });
    run.append({ kind: 'noised', step: 1, drawSize: 1, noiseMultiplier: 1, clipNorm: 1 });
    run.close();
    const next = open(folder);
    expect(next.ledger.stepsCounted).toBe(2);
    expect(next.history).toEqual({ recorded: [], step: 0, attempt: 1 });
    next.close();
    expect(readLedger(join(folder, 'ledger.jsonl'))).toHaveLength(4);
  });

  it('starts from the beginning where the run was cut off before its first checkpoint', () => {
    const folder = fresh();
    const first = open(folder);
    noise(first, 0);
    first.close();
    const second = open(folder);
    expect(second.resumedFrom).toBeUndefined();
    expect(second.ledger.stepsCounted).toBe(1);
    second.close();
  });

  it('takes the older checkpoint where the newer one was announced but never written', () => {
    const folder = fresh();
    const run = open(folder);
    run.save(checkpoint(1));
    const old = readFileSync(join(folder, 'checkpoint.bin'));
    run.save(checkpoint(2));
    run.close();
    writeFileSync(join(folder, 'checkpoint.bin'), old);
    const again = open(folder);
    expect(again.resumedFrom?.step).toBe(1);
    again.close();
  });

  it.each([
    ['planHash', 'plan'],
    ['tableDigest', 'table'],
    ['modelDigest', 'starting model'],
  ] as const)('refuses to go on with another %s', (field, name) => {
    const folder = fresh();
    open(folder).close();
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
    run.close();
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
      run.close();
      const path = join(folder, file);
      const bytes = readFileSync(path);
      bytes[bytes.length - 3]! ^= 1;
      writeFileSync(path, bytes);
      expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'CHECK_FAILED' }));
    }
  });

  it('refuses a finished run unless forced, and then keeps its ledger under another name', () => {
    const folder = fresh();
    const run = open(folder, { key: null });
    noise(run, 0);
    run.save(checkpoint(1));
    run.finish({ modelDigest: 'd' });
    run.close();
    expect(() => open(folder)).toThrow(expect.objectContaining({ code: 'OUTPUT_EXISTS' }));
    const again = open(folder, { force: true, key: null });
    expect(again.resumedFrom).toBeUndefined();
    expect(again.ledger.stepsCounted).toBe(0);
    again.close();
    expect(again.key).not.toEqual(run.key);
    expect(readdirSync(folder).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'ledger-1.jsonl',
      'ledger.jsonl',
      'secret.key',
    ]);
    expect(readLedger(join(folder, 'ledger-1.jsonl'))).toHaveLength(4);
  });

  it('puts a run aside under a number that nothing in the folder has', () => {
    const folder = fresh();
    for (const force of [false, true, true]) {
      const run = open(folder, { force, keepCheckpoints: true });
      run.save(checkpoint(1));
      run.close();
      rmSync(join(folder, 'ledger-1.jsonl'), { force: true });
    }
    const names = readdirSync(folder).filter(name => /-\d/.test(name));
    expect(names.toSorted()).toEqual(['checkpoints-1', 'checkpoints-2', 'ledger-2.jsonl']);
  });

  it('keeps everything in memory without a folder', () => {
    const run = open(null);
    noise(run, 0);
    run.save(checkpoint(1));
    expect(run.ledger.stepsCounted).toBe(1);
  });

  it('makes the folder where there is none', () => {
    const folder = join(fresh(), 'a', 'b');
    open(folder).close();
    expect(existsSync(join(folder, 'ledger.jsonl'))).toBe(true);
    rmSync(folder, { recursive: true });
  });
});
