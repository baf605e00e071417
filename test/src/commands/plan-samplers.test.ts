import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const population = [
  '--users',
  '300',
  '--records',
  '600',
  '--batch-size',
  '30',
  '--steps',
  '20',
  '--k',
  '1,2',
];

interface Planned {
  readonly options: readonly {
    readonly mechanism: string;
    readonly k: number;
    readonly sampler: string;
    readonly epsilon: { readonly lower: number; readonly upper: number | string };
    readonly plan: { readonly sampler: Record<string, unknown>; readonly targetEpsilon: number | null };
  }[];
}

async function planned(...argv: string[]): Promise<Planned> {
  const answer: unknown = await runJson('plan', ...population, ...argv);
  // oxlint-disable-next-line no-unsafe-type-assertion -- the tests look at the fields
  return answer as Planned;
}

describe('plan --sampler', () => {
  it('calibrates balls in bins, in epochs of whole steps', async () => {
    const { options } = await planned('--epsilon', '6', '--sampler', 'balls-in-bins');
    expect(options).toHaveLength(4);
    for (const { epsilon, plan, sampler } of options) {
      expect(sampler).toBe('balls-in-bins');
      expect(Number(epsilon.upper)).toBeLessThanOrEqual(6);
      expect(Number.isInteger(plan.sampler['stepsPerEpoch'])).toBe(true);
    }
  });

  it('limits batches, given as record gradients, and leaves out groups', async () => {
    const { options } = await planned(
      '--epsilon',
      '6',
      '--sampler',
      'truncated-poisson',
      '--batch-limit',
      '45',
    );
    expect(options.map(({ mechanism, k, plan }) => [mechanism, k, plan.sampler['batchLimit']])).toEqual([
      ['group-privacy', 1, 45],
      ['user-wise', 1, 45],
      ['user-wise', 2, 22],
    ]);
  });

  it('says of shuffled sampling how bad it is at least, and that no upper bound is proved', async () => {
    const argv = ['--noise-multiplier', '1', '--sampler', 'shuffled'];
    const { options } = await planned(...argv);
    for (const { epsilon, plan } of options) {
      expect(epsilon.upper).toBe('Infinity');
      expect(epsilon.lower).toBeGreaterThan(1);
      expect(plan.targetEpsilon).toBeNull();
    }
    const { stdout } = await runCli('plan', ...population, ...argv);
    expect(stdout.match(/at least \d[\d.]*, no proved upper bound/g)).toHaveLength(4);
    expect(stdout).not.toMatch(/∞|Infinity/);
  });

  it.each([
    ['--epsilon 6 --sampler shuffled', '--noise-multiplier'],
    ['--epsilon 6 --batch-limit 40', '--sampler truncated-poisson'],
    ['--epsilon 6 --sampler truncated-poisson', '--batch-limit is missing'],
    ['--epsilon 6 --noise-multiplier 1', 'Give one of the two'],
    ['--sampler balls-in-bins', '--epsilon is missing'],
    ['--epsilon 6 --sampler cyclic', 'poisson, truncated-poisson, balls-in-bins, shuffled'],
  ])('refuses %s and says what to give', async (line, shown) => {
    const { code, stderr } = await runCli('plan', ...population, ...line.split(' '));
    expect(code).toBe(2);
    expect(stderr).toContain(shown);
  });
});

describe('train under a plan with another sampler', () => {
  const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(24));
  const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32', '--lora-rank', '2'];

  it.each([
    ['balls-in-bins', ['--epsilon', '8'], /^Guarantee +epsilon at most /],
    ['truncated-poisson', ['--epsilon', '8', '--batch-limit', '8'], /^Guarantee +epsilon at most /],
    [
      'shuffled',
      ['--noise-multiplier', '1'],
      /^Guarantee +epsilon at least [\d.]+ .*; no proved upper bound/,
    ],
  ])('%s', async (sampler, target, guarantee) => {
    const plans = join(folder, sampler);
    const budget = ['--batch-size', '6', '--steps', '4', '--k', '1', '--held-out', '0.2', '--out', plans];
    await runJson('plan', table, ...target, ...budget, '--sampler', sampler);
    const out = join(folder, `${sampler}-run`);
    const plan = join(plans, 'user-wise-k1.json');
    const answer = await runJson('train', plan, table, ...tiny, '--out', out);
    expect(answer).toMatchObject({ steps: 4, stepsCounted: 4 });
    expect(readFileSync(join(out, 'statement.txt'), 'utf8')).toMatch(guarantee);
  });
});
