import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTable, textTable, writeTable } from '../../../selection/index.ts';
import { root } from '../../support/sources.ts';
import { sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const rule = ['--strategy', 'random', '--k', '2'];

interface Ending {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The command line as a process of its own; `before` is shell that runs in the same process first. */
function start(argv: readonly string[], before = ':'): { child: ChildProcess; ending: Promise<Ending> } {
  const command = [process.execPath, '--import', 'tsx', `${root}src/cli.ts`, ...argv];
  const child = spawn('sh', ['-c', `${before}; exec "$@"`, 'sh', ...command], { cwd: root });
  const pieces: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => pieces.push(chunk));
  child.stderr.on('data', chunk => (stderr += String(chunk)));
  const ending = new Promise<Ending>(resolve => {
    child.on('close', code => resolve({ code, stdout: Buffer.concat(pieces), stderr }));
  });
  return { child, ending };
}

describe('pipes', () => {
  it('take JSON lines on standard input and give a checked Arrow stream, and nothing else, on standard output', async () => {
    const table = writeJsonl(join(folder, 'in.jsonl'), sampleRows(60));
    const manifest = join(folder, 'm.json');
    const { child, ending } = start(['select', '-', ...rule, '--out', '-', '--manifest', manifest]);
    child.stdin!.end(readFileSync(table));
    const { code, stdout, stderr } = await ending;
    expect(code).toBe(0);
    expect(stderr).toContain('105 of 150 records of 60 users kept');
    const saved = join(folder, 'saved.arrows');
    writeFileSync(saved, stdout);
    expect((await readTable(saved)).numRows).toBe(105);
    const check = start(['verify', manifest, '--output', saved, '--json']);
    expect((await check.ending).code).toBe(0);
  });

  it('say on standard error that there is no manifest', async () => {
    const { child, ending } = start(['select', '-', ...rule, '--out', '-']);
    child.stdin!.end('{"user":"ada","record_id":"1","text":"x"}\n');
    const { code, stderr } = await ending;
    expect([code, stderr.includes('There is no manifest')]).toEqual([0, true]);
  });

  it('give nothing where the input is at fault', async () => {
    const { child, ending } = start(['select', '-', ...rule, '--out', '-', '--json']);
    child.stdin!.end('{"user":"ada","record_id":"1"}\n{"user":null,"record_id":"2"}\n');
    const { code, stdout, stderr } = await ending;
    expect([code, stdout.length]).toEqual([2, 0]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'NULL_USER' } });
  });
});

/** A table that takes a moment. */
async function largeTable(path: string): Promise<string> {
  const count = 300_000;
  const label = (name: string): string[] =>
    Array.from({ length: count }, (_, i) => `${name}${i % 50_000} ${i}`);
  const user = Array.from({ length: count }, (_, i) => `u${i % 50_000}`);
  await writeTable(textTable({ user, record_id: label('r'), text: label('some text ') }), path);
  return path;
}

describe('a full disk', () => {
  // A limit on the size of files fails a write as a full disk does.
  it.each(['builtin', 'duckdb'])('ends %s with a message and leaves nothing', async engine => {
    const at = join(folder, `full-${engine}`);
    mkdirSync(at);
    const table = await largeTable(join(at, 'in.arrow'));
    const argv = ['select', table, ...rule, '--engine', engine, '--out', join(at, 'out.arrow'), '--json'];
    const { code, stdout, stderr } = await start(argv, 'ulimit -f 1000').ending;
    expect([code, stdout.length]).toEqual([2, 0]);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'OUTPUT_FAILED' } });
    expect(readdirSync(at)).toEqual(['in.arrow']);
  });
});

describe('Ctrl-C', () => {
  it.each([1, 2])('pressed %d times leaves neither output nor temporary files', async times => {
    const at = join(folder, `place-${times}`);
    const temporary = join(at, 'tmp');
    mkdirSync(temporary, { recursive: true });
    await largeTable(join(at, 'in.arrow'));
    const argv = ['select', join(at, 'in.arrow'), ...rule, '--out', join(at, 'out.parquet')];
    const { child, ending } = start([...argv, '--tmp-dir', temporary, '--memory', '1MB', '--json']);
    const watch = setInterval(() => {
      if (readdirSync(temporary).length === 0) return;
      clearInterval(watch);
      for (let press = 0; press < times; press++) child.kill('SIGINT');
    }, 2);
    const { code, stdout, stderr } = await ending;
    clearInterval(watch);
    expect({ code, printed: stdout.length }).toEqual({ code: 130, printed: 0 });
    if (times === 1) expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'INTERRUPTED' } });
    expect([readdirSync(at).sort(), readdirSync(temporary)]).toEqual([['in.arrow', 'tmp'], []]);
  });
});
