import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/sources.ts';
import { sampleRows, temporaryFolder, writeJsonl } from './support.ts';

const folder = temporaryFolder();
const cli = join(folder, 'package', 'dist', 'src', 'cli.js');
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const plan = join(folder, 'user-wise-k2.json');
const steps = 400;

/** Builds the package as it would be installed: its own folder with package.json and dependencies. */
function build(): void {
  const home = join(folder, 'package');
  mkdirSync(home);
  copyFileSync(`${root}package.json`, join(home, 'package.json'));
  symlinkSync(`${root}node_modules`, join(home, 'node_modules'));
  const compiler = `${root}node_modules/typescript/bin/tsc`;
  execFileSync(process.execPath, [
    compiler,
    '-p',
    `${root}src/tsconfig.json`,
    '--outDir',
    join(home, 'dist'),
  ]);
}

interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command line; sends SIGINT as soon as `ready` says so. */
function run(argv: readonly string[], ready: () => boolean = () => false): Promise<Ending> {
  const child = spawn(process.execPath, [cli, ...argv], { cwd: folder });
  const written = { stdout: '', stderr: '' };
  child.stdout.on('data', chunk => (written.stdout += String(chunk)));
  child.stderr.on('data', chunk => (written.stderr += String(chunk)));
  const watch = setInterval(() => {
    if (!ready()) return;
    clearInterval(watch);
    child.kill('SIGINT');
  }, 5);
  return new Promise(resolve => {
    child.on('close', code => {
      clearInterval(watch);
      resolve({ code, ...written });
    });
  });
}

function noisedSteps(out: string): number {
  const ledger = join(out, 'ledger.jsonl');
  return existsSync(ledger) ? readFileSync(ledger, 'utf8').split('"noised"').length - 1 : 0;
}

beforeAll(async () => {
  build();
  const budget = ['--epsilon', '8', '--batch-size', '8', '--steps', String(steps), '--k', '2'];
  const { code, stderr } = await run(['plan', table, ...budget, '--out', folder]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}, 120_000);

describe('the built command', () => {
  it('is an executable script that prints help', async () => {
    expect(readFileSync(cli, 'utf8').startsWith('#!/usr/bin/env node\n')).toBe(true);
    expect(await run(['--help'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('ends with the exit code of a failure', async () => {
    expect((await run(['epsilon', '--steps', '1e'])).code).toBe(2);
  });
});

describe('Ctrl-C', () => {
  const out = join(folder, 'run');
  const tiny = [
    '--layers',
    '1',
    '--width',
    '8',
    '--heads',
    '1',
    '--context',
    '16',
    '--checkpoint-every',
    '5',
  ];
  const argv = ['train', plan, table, ...tiny, '--out', out, '--json'];

  it('ends training with 130 and a checkpoint, and the run goes on from there', async () => {
    const interrupted = await run(argv, () => noisedSteps(out) >= 7);
    expect(interrupted).toMatchObject({ code: 130, stdout: '' });
    const { error }: { error: { code: string; message: string } } = JSON.parse(interrupted.stderr);
    expect(error.code).toBe('INTERRUPTED');
    expect(error.message).toContain('Start it again with the same folder');
    const done = noisedSteps(out);
    expect(done).toBeLessThan(steps);
    expect(readdirSync(out).filter(name => name.endsWith('.part') || name.endsWith('.partial'))).toEqual([]);

    const finished = await run(argv);
    expect(finished.code).toBe(0);
    const answer: { steps: number; stepsCounted: number; epsilon: { upper: number } } = JSON.parse(
      finished.stdout,
    );
    expect(answer.steps).toBe(steps);
    expect(answer.stepsCounted).toBe(noisedSteps(out));
    expect(answer.stepsCounted).toBeGreaterThanOrEqual(steps);
    expect(answer.stepsCounted).toBeLessThan(steps + done);
  });

  it('leaves nothing of an interrupted demo behind', async () => {
    const demo = join(folder, 'demo');
    const started = (): boolean => readdirSync(folder).some(name => name.startsWith('.demo-'));
    const { code, stderr } = await run(['demo', '--out', demo], started);
    expect({ code, told: stderr.includes('Run it again.') }).toEqual({ code: 130, told: true });
    expect(started()).toBe(false);
    expect(existsSync(demo)).toBe(false);
  });
});
