import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();

/** Epsilon of one Gaussian release of multiplier 1 is 4.3772 at delta 1e-5. */
function claimText(epsilon: string, more = ''): string {
  return `schema: dp-claim/1
subject: {name: One release}
guarantee: {epsilon: ${epsilon}, delta: 1e-5, relation: "="}
unit: {kind: user, max_records_per_unit: 1}
adjacency: add_remove
mechanisms:
  - kind: gaussian
    noise: {multiplier: 1, relative_to: sensitivity}
${more}`;
}

function claimFile(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const honest = claimFile('honest.yaml', claimText('4.38'));
const overstated = claimFile('overstated.yaml', claimText('2.0'));
const silent = claimFile('silent.yaml', claimText('4.38').replace('multiplier: 1, ', ''));

interface Verdict {
  verdict: string;
  detail: string;
  reasons: { code: string; level: string; text: string; epsilon: { lower: number; upper: number } | null }[];
  recomputed: Record<string, { lower: number; upper: number }>;
  explanation: string | null;
  questions: string[];
  statement: string;
  claimed: { epsilon: { lower: number; upper: number }; delta: number };
}

async function verdictOf(...argv: string[]): Promise<{ code: number; answer: Verdict; stderr: string }> {
  const { code, stdout, stderr } = await runCli('audit', 'claim', ...argv, '--json');
  const answer: Verdict = JSON.parse(stdout);
  return { code, answer, stderr };
}

describe('audit claim', () => {
  it('ends with 0 where the claim is consistent, and explains the printed number', async () => {
    const { code, answer, stderr } = await verdictOf(honest);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(answer).toMatchObject({ verdict: 'consistent', detail: 'consistent' });
    expect(answer.claimed.epsilon.lower).toBeCloseTo(4.375, 12);
    expect(answer.recomputed['exact']!.lower).toBeLessThan(4.37718);
    expect(answer.recomputed['exact']!.upper).toBeGreaterThan(4.37717);
    expect(answer.explanation).toContain('4.38');
    expect(answer.statement).toContain('user');
  });

  it('ends with 3 where the privacy is overstated, with the proved interval as a reason', async () => {
    const { code, answer, stderr } = await verdictOf(overstated);
    expect({ code, verdict: answer.verdict }).toEqual({ code: 3, verdict: 'privacy_overstated' });
    const { error }: { error: { code: string; message: string } } = JSON.parse(stderr);
    expect(error.code).toBe('CHECK_FAILED');
    const worst = answer.reasons.find(({ level }) => level === 'error')!;
    expect(worst.epsilon!.lower).toBeGreaterThan(4.377);
    expect(worst.code).toMatch(/^DPC-/);
  });

  it('ends with 4 where a fact is missing, and lists what to ask', async () => {
    const { code, answer, stderr } = await verdictOf(silent);
    expect({ code, verdict: answer.verdict }).toEqual({ code: 4, verdict: 'unverifiable' });
    const { error }: { error: { code: string } } = JSON.parse(stderr);
    expect(error.code).toBe('INCONCLUSIVE');
    expect(answer.questions.join(' ')).toContain('noise multiplier');
  });

  it('ends as --fail-on says', async () => {
    expect((await runCli('audit', 'claim', overstated, '--fail-on', 'refuted')).code).toBe(0);
    expect((await runCli('audit', 'claim', honest, '--fail-on', 'consistent')).code).toBe(3);
    const { code, stderr } = await runCli('audit', 'claim', honest, '--fail-on', 'refused');
    expect({ code, stderr }).toMatchObject({ code: 2 });
    expect(stderr).toContain('--fail-on is "refused". Give one of refuted, refuted_for_sampler');
  });

  it.each([
    ['a broken claim', claimText('-3'), 'line 3: guarantee.epsilon is -3.'],
    ['an unknown field', claimText('3', 'sampling: {}\n'), 'line 9: the claim has no field "sampling".'],
  ])('ends with 2 for %s, with its line', async (name, text, message) => {
    const path = claimFile(`${name}.yaml`, text);
    const { code, stdout, stderr } = await runCli('audit', 'claim', path, '--json');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    const { error }: { error: { code: string; message: string } } = JSON.parse(stderr);
    expect(error).toMatchObject({ code: 'INVALID_DATA' });
    expect(error.message).toContain(message);
  });

  it('ends with 2 where there is no file, before anything is written', async () => {
    const html = join(folder, 'never.html');
    const { code, stderr } = await runCli('audit', 'claim', join(folder, 'absent'), '--html', html);
    expect(code).toBe(2);
    expect(stderr).toContain('there is no file');
    expect(existsSync(html)).toBe(false);
  });

  it('writes verdict, SARIF and page, also where the claim fails, and never over a file', async () => {
    const paths = ['verdict.json', 'audit.sarif', 'audit.html'].map(name => join(folder, name));
    const argv = [
      ['--verdict', paths[0]!],
      ['--sarif', paths[1]!],
      ['--html', paths[2]!],
    ].flat();
    expect((await runCli('audit', 'claim', overstated, ...argv)).code).toBe(3);
    const [verdict, sarif, html] = paths.map(path => readFileSync(path, 'utf8'));
    const sha256 = createHash('sha256').update(claimText('2.0')).digest('hex');
    expect(JSON.parse(verdict!)).toMatchObject({
      verdict: 'privacy_overstated',
      files: [{ path: overstated, sha256 }],
    });
    expect(JSON.parse(sarif!)).toMatchObject({
      version: '2.1.0',
      runs: [{ properties: { verdict: 'privacy_overstated' } }],
    });
    expect(html).toContain('overstates the privacy');
    expect((await runCli('audit', 'claim', overstated, ...argv)).code).toBe(5);
    expect((await runCli('audit', 'claim', overstated, ...argv, '--force')).code).toBe(3);
  });

  it('explains itself, with a default for every option', async () => {
    const { code, stdout } = await runCli('audit', 'claim', '--help');
    expect(code).toBe(0);
    expect(stdout.split('  $ privacy-unit audit claim')).toHaveLength(3);
    const lines = stdout.replace(/\n {10,}/g, ' ').split('\n');
    const options = lines.filter(line => /^ {2}(-\w, )?--/.test(line));
    expect(options.filter(line => !/default: |--help/.test(line))).toEqual([]);
    expect(options.length).toBeGreaterThan(6);
  });

  it('says the same twice, byte for byte', async () => {
    const one = await runCli('audit', 'claim', honest, '--json');
    expect(await runCli('audit', 'claim', honest, '--json')).toEqual(one);
  });
});
