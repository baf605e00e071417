import { spawnSync } from 'node:child_process';
import { build } from 'esbuild';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLedger, readLedger } from '../../trainer/ledger.ts';
import { root } from '../support/sources.ts';

const home = mkdtempSync(join(tmpdir(), 'full-disk-'));
const program = `
import { openLedger } from '${root}trainer/ledger.ts';
import { writeAtomically } from '${root}trainer/durable.ts';
const [path, bytes] = process.argv.slice(2);
const noised = { kind: 'noised', drawSize: 3, noiseMultiplier: 1, clipNorm: 1 };
try {
  const ledger = openLedger(path + '/ledger.jsonl');
  if (bytes === undefined) for (let step = 0; ; step += 1) ledger.append({ ...noised, step });
  writeAtomically(path + '/checkpoint.bin', new Uint8Array(Number(bytes)));
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
`;

/** Runs the program where no file may grow beyond 4 KiB: a write then fails as it does on a full disk. */
function runLimited(folder: string, ...more: string[]): { code: string; message: string } {
  const shell = `trap '' XFSZ; ulimit -f 4; exec "$@"`;
  const argv = ['-c', shell, 'bash', process.execPath, join(home, 'program.mjs'), folder, ...more];
  const { stdout, stderr } = spawnSync('bash', argv, { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

beforeAll(async () => {
  const stdin = { contents: program, loader: 'ts', resolveDir: root } as const;
  const options = { bundle: true, platform: 'node', format: 'esm', logLevel: 'error' } as const;
  await build({ stdin, outfile: join(home, 'program.mjs'), ...options });
});

// File size limits are set by a POSIX shell.
describe.skipIf(process.platform === 'win32')('on a disk that is full', () => {
  const folderWith = (): string => {
    const folder = mkdtempSync(join(home, 'run-'));
    const header = {
      planHash: 'p',
      tableDigest: 't',
      modelDigest: 'm',
      codeVersion: '0',
      noiseKeyCommitment: 'c',
    };
    const ledger = openLedger(join(folder, 'ledger.jsonl'));
    ledger.append({ kind: 'header', format: 'privacy-unit/ledger', version: 2, ...header });
    ledger.close();
    return folder;
  };

  it('a ledger says so, and the lines that it took can be read and gone on with', () => {
    const folder = folderWith();
    const { code, message } = runLimited(folder);
    expect(code).toBe('OUTPUT_FAILED');
    expect(message).toMatch(
      /^Cannot append to the ledger: the disk is full or a file may not grow \(E\w+\)\. Free some space/,
    );
    const path = join(folder, 'ledger.jsonl');
    expect(statSync(path).size).toBe(4096);
    const steps = readLedger(path).length;
    expect(steps).toBeGreaterThan(10);
    const ledger = openLedger(path);
    ledger.append({ kind: 'noised', step: steps, drawSize: 1, noiseMultiplier: 1, clipNorm: 1 });
    ledger.close();
    expect(readLedger(path)).toHaveLength(steps + 1);
  });

  it('a checkpoint says so and leaves the one before it as it was', () => {
    const folder = folderWith();
    writeFileSync(join(folder, 'checkpoint.bin'), 'old');
    const { code, message } = runLimited(folder, '8192');
    expect(code).toBe('OUTPUT_FAILED');
    expect(message).toContain(`Cannot write ${join(folder, 'checkpoint.bin')}: the disk is full`);
    expect(readFileSync(join(folder, 'checkpoint.bin'), 'utf8')).toBe('old');
    expect(readdirSync(folder).toSorted()).toEqual(['checkpoint.bin', 'ledger.jsonl']);
  });
});
