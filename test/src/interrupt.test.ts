import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/sources.ts';
import { sampleRows, temporaryFolder, writeJsonl } from './support.ts';

const folder = temporaryFolder();
const cli = join(folder, 'package', 'dist', 'bin', 'cli.js');
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const plan = join(folder, 'user-wise-k2.json');
const steps = 400;

/** Builds the package as it would be installed: its own folder with package.json and dependencies. */
function build(): void {
  const home = join(folder, 'package');
  mkdirSync(home);
  copyFileSync(`${root}package.json`, join(home, 'package.json'));
  symlinkSync(`${root}node_modules`, join(home, 'node_modules'));
  execFileSync(process.execPath, ['.build.mjs', join(home, 'dist', 'bin')], { cwd: root });
}

interface Ending {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process writes and how it ends; `watch` is called with it until it does. */
function ending(child: ChildProcess, watch: (child: ChildProcess) => void = () => {}): Promise<Ending> {
  const written = { stdout: '', stderr: '' };
  child.stdout!.on('data', chunk => (written.stdout += String(chunk)));
  child.stderr!.on('data', chunk => (written.stderr += String(chunk)));
  const watching = setInterval(() => watch(child), 5);
  return new Promise(resolve => {
    child.on('close', code => {
      clearInterval(watching);
      resolve({ code, ...written });
    });
  });
}

/** Runs the built command line; sends SIGINT as soon as `ready` says so. */
function run(argv: readonly string[], ready: () => boolean = () => false): Promise<Ending> {
  let sent = false;
  return ending(spawn(process.execPath, [cli, ...argv], { cwd: folder }), child => {
    if (sent || !ready()) return;
    sent = child.kill('SIGINT');
  });
}

/** Runs it where no file may grow beyond so many KiB: a write then fails as it does on a full disk. */
function runLimited(argv: readonly string[], kibibytes: number): Promise<Ending> {
  const shell = `trap '' XFSZ; ulimit -f ${kibibytes}; exec "$@"`;
  return ending(spawn('bash', ['-c', shell, 'bash', process.execPath, cli, ...argv], { cwd: folder }));
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

// File size limits are set by a POSIX shell.
describe.skipIf(process.platform === 'win32')('a full disk', () => {
  it('that has no room for all reports of an audit ends it with 2 and leaves none of them', async () => {
    const claim = join(folder, 'claim.yaml');
    writeFileSync(claim, 'schema: dp-claim/1\nguarantee: {epsilon: 3.0, delta: 1.0e-5}\n');
    const out = join(folder, 'reports');
    const reports = [
      '--verdict',
      join(out, 'v.json'),
      '--sarif',
      join(out, 's.sarif'),
      '--html',
      join(out, 'h.html'),
    ];
    const { code, stdout, stderr } = await runLimited(['audit', 'claim', claim, ...reports], 7);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Cannot write \S+reports\S+: .*(disk is full|may not grow)/);
    expect(readdirSync(out)).toEqual([]);
    expect((await run(['audit', 'claim', claim, ...reports])).code).toBe(4);
    expect(readdirSync(out).sort()).toEqual(['h.html', 's.sarif', 'v.json']);
  });

  const size = ['--layers', '1', '--width', '8', '--heads', '1', '--context', '16'];
  const short = join(folder, 'short');

  it.each<[string, string[], string]>([
    ['the checkpoint', [], 'checkpoint.bin'],
    ['the model', ['--lora-rank', '1'], 'model'],
  ])(
    'that has no room for %s ends training with 2, and the run goes on when there is room',
    async (...of) => {
      const [, adapters, name] = of;
      const out = join(folder, `full-${name}`);
      const budget = ['--epsilon', '8', '--batch-size', '8', '--steps', '4', '--k', '2'];
      if (!existsSync(short)) await run(['plan', table, ...budget, '--out', short]);
      const every = ['--checkpoint-every', '2'];
      const argv = [
        'train',
        join(short, 'user-wise-k2.json'),
        table,
        ...size,
        ...adapters,
        ...every,
        '--out',
        out,
      ];
      const { code, stderr, stdout } = await runLimited([...argv, '--quiet'], 8);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^Cannot write \S+: .*(disk is full|may not grow|EFBIG)/);
      expect(stderr).toContain(join(out, name));
      expect(readdirSync(out).filter(file => file.endsWith('.partial') || file === 'run.lock')).toEqual([]);
      const finished = await run([...argv, '--json']);
      expect(finished.code).toBe(0);
      expect(JSON.parse(finished.stdout)).toMatchObject({ steps: 4, stepsCounted: 4 });
    },
  );
});
