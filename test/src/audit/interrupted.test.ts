import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../src/program.ts';
import { root } from '../../support/sources.ts';
import { temporaryFolder } from '../support.ts';

const folder = temporaryFolder();
const claim = join(folder, 'claim.yaml');
const scores = join(folder, 'scores.csv');
writeFileSync(claim, 'schema: dp-claim/1\nguarantee: {epsilon: 3.0, delta: 1.0e-5}\n');
writeFileSync(
  scores,
  `canary,included,score\n${Array.from({ length: 120_001 }, (_, row) => `a canary of number ${row},${row % 2},${row % 2}\n`).join('')}`,
);

/** The exit code and the errors of a command that is interrupted once `when` is over. */
async function interrupted(argv: readonly string[], when: () => Promise<void>): Promise<[number, string]> {
  const controller = new AbortController();
  let errors = '';
  const ending = runProgram(argv, {
    stdout: { write: () => undefined },
    stderr: { write: text => (errors += text) },
    signal: controller.signal,
  });
  await when();
  controller.abort();
  return [await ending, errors];
}

const reports = ['verdict', 'sarif', 'html'].flatMap(name => [`--${name}`, join(folder, 'out', name)]);

describe('an interrupt ends an audit with 130 and without a file', () => {
  it.each([
    ['claim', [claim], 0],
    ['scores', [scores, '--epsilon', '1', '--delta', '1e-5'], 0],
    ['scores while they are read', [scores, '--epsilon', '1', '--delta', '1e-5'], 3],
  ] as const)('of %s', async (name, inputs, turns) => {
    const [command] = name.split(' ');
    const when = async (): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) await new Promise(resolve => setImmediate(resolve));
    };
    const [code, errors] = await interrupted(['audit', command!, ...inputs, ...reports], when);
    expect(code).toBe(130);
    expect(errors).toContain('interrupted');
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });
});

it('a signal that came while nothing else could run is seen before anything is written', () => {
  const program = `
    import { readFile } from 'node:fs/promises';
    import { breathe } from './src/files.ts';
    const controller = new AbortController();
    process.on('SIGINT', () => controller.abort());
    await readFile('package.json');
    process.kill(process.pid, 'SIGINT');
    const start = Date.now();
    while (Date.now() - start < 100);
    await breathe(controller.signal).then(() => console.log('missed'), ({ code }) => console.log(code));`;
  const { stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { cwd: root, encoding: 'utf8' },
  );
  expect(stdout.trim()).toBe('INTERRUPTED');
});
