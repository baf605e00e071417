import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { commitmentOfCanaries, readCanaries } from '../../../trainer/canaries/canary-file.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const model = join(folder, 'model');
const plans = join(folder, 'plans');

interface Answer {
  readonly epsilon: { lower: number; upper: number };
  readonly statement: { publicConstants: { users: number; records: number }; assumptions: string[] };
  readonly canaries: {
    readonly count: number;
    readonly recordsPerCanary: number;
    readonly scores: string;
    readonly verdict: string;
    readonly claimed: { epsilon: { upper: number }; delta: number };
    readonly epsilonLowerBound: number;
    readonly detectionLimit: number;
    readonly reasons: { code: string }[];
    readonly m: number;
    readonly r: number;
    readonly v: number;
  } | null;
}

function trainArgv(mechanism: string, name: string): string[] {
  const plan = join(plans, `${mechanism}-k2.json`);
  return ['train', plan, table, '--model', model, '--lora-rank', '2', '--out', join(folder, name)];
}

beforeAll(async () => {
  const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
  const budget = [
    '--epsilon',
    '8',
    '--delta',
    '1e-4',
    '--batch-size',
    '10',
    '--steps',
    '3',
    '--k',
    '2',
    '--held-out',
    '0.2',
  ];
  await runJson('plan', table, ...budget, '--out', plans);
  await runJson('pretrain', table, '--steps', '3', '--batch-size', '4', ...tiny, '--out', model);
});

describe.each([
  ['user-wise', ['--canary-records', '2'], 2],
  ['group-privacy', [], 2],
])('train --canaries under %s', (mechanism, more, records) => {
  const out = join(folder, mechanism);
  let answer: Answer;
  beforeAll(async () => {
    const { code, stdout, stderr } = await runCli(
      ...trainArgv(mechanism, mechanism),
      '--canaries',
      '20',
      ...more,
      '--keep-key',
      '--json',
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    answer = JSON.parse(stdout);
  });

  it('states them, and a guarantee for the users with them', () => {
    const plan: { population: { users: number; records: number } } = JSON.parse(
      readFileSync(join(plans, `${mechanism}-k2.json`), 'utf8'),
    );
    const { users, records: planned } = plan.population;
    expect(answer.statement.publicConstants).toMatchObject({
      users: users + 20,
      records: planned + 20 * records,
    });
    expect(answer.statement.assumptions.join()).toContain('20 of the users are canaries');
    expect(answer.epsilon.upper).toBeLessThanOrEqual(8);
    expect(readFileSync(join(out, 'statement.txt'), 'utf8')).toContain('20 of the users are canaries');
  });

  it('holds their scores against epsilon, and says what they could have shown', () => {
    const { canaries, epsilon } = answer;
    expect(canaries).toMatchObject({
      count: 20,
      recordsPerCanary: records,
      scores: join(out, 'scores.csv'),
      verdict: 'unverifiable',
      m: 20,
      r: 10,
    });
    expect(canaries!.claimed.epsilon.upper).toBe(epsilon.upper);
    expect(canaries!.detectionLimit).toBeGreaterThan(0.9);
    expect(canaries!.detectionLimit).toBeLessThan(1.1);
    // Coins are real: where just half of them fell on one side, a note says so.
    expect(canaries!.reasons[0]!.code).toBe('DPC-T4-above-detection-limit');
  });

  it('leaves scores that audit scores gives the same answer to, and coins for their owner alone', async () => {
    const { canaries, epsilon } = answer;
    const claim = ['--epsilon', String(epsilon.upper)];
    const { code, stdout } = await runCli('audit', 'scores', canaries!.scores, ...claim, '--json');
    const again: Answer['canaries'] = JSON.parse(stdout);
    expect(code).toBe(4);
    expect(again!.epsilonLowerBound).toBe(canaries!.epsilonLowerBound);
    expect(again!.detectionLimit).toBe(canaries!.detectionLimit);
    expect(statSync(join(out, 'canaries.jsonl')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(out, 'ledger.jsonl'), 'utf8')).not.toContain('included');
  });

  it('can be repeated by an auditor who is shown key and canaries', async () => {
    const ledger = join(out, 'ledger.jsonl');
    const shown = ['--key', join(out, 'secret.key'), '--canaries', join(out, 'canaries.jsonl')];
    const inputs = ['--table', table, '--model', model, '--lora-rank', '2'];
    const outcome = await runCli(
      'audit',
      'ledger',
      ledger,
      ...shown,
      ...inputs,
      '--same-arithmetic',
      '--json',
    );
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(outcome.stdout)).toMatchObject({
      verdict: 'consistent',
      replay: { drawsConfirmed: 3, sumsConfirmed: 3 },
    });
  });
});

describe('train --canaries', () => {
  it('says it in words', async () => {
    const { code, stdout } = await runCli(...trainArgv('user-wise', 'words'), '--canaries', '20');
    expect(code).toBe(0);
    expect(stdout).toContain('Canaries: 20 made-up users with 1 record each, in or out by fair coins;');
    expect(stdout).toMatch(/By one-run \(20 canary users of one training, \d+ of 10 guesses right\)/);
    expect(stdout).toContain('could have been refuted');
  });

  it.each([
    ['ranks', ['--canary-k-plus', '7', '--canary-k-minus', '2'], '{k_plus: 7, k_minus: 2}', 9],
    ['ranks on one side', ['--canary-k-plus', '6'], '{k_plus: 6, k_minus: 0}', 6],
    ['a threshold', ['--canary-threshold', '-0.25'], '{threshold: -0.25}', 20],
  ] as const)('registers %s before training, and audits by them', async (name, cut, header, guesses) => {
    const argv = [...trainArgv('user-wise', name), '--canaries', '20', ...cut, '--json'];
    const { code, stdout, stderr } = await runCli(...argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { canaries, epsilon }: Answer = JSON.parse(stdout);
    expect(canaries).toMatchObject({ r: guesses, cuts: { rule: 'preregistered' } });
    expect(readFileSync(canaries!.scores, 'utf8')).toMatch(`# preregistered: ${header}\n`);
    const first: { canaries: object } = JSON.parse(
      readFileSync(join(folder, name, 'ledger.jsonl'), 'utf8').split('\n')[0]!,
    );
    const kept = readCanaries(join(folder, name, 'canaries.jsonl'));
    expect(first.canaries).toEqual(commitmentOfCanaries(kept));
    const claim = ['--epsilon', String(epsilon.upper)];
    const again = await runCli('audit', 'scores', canaries!.scores, ...claim, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ r: guesses, v: canaries!.v });
  });

  it.each<[string, string[], string]>([
    ['two cuts', ['--canaries', '20', '--canary-k-plus', '5', '--canary-threshold', '1'], '2 cuts'],
    ['a cut without canaries', ['--canary-threshold', '1'], '--canary-threshold is 1 without --canaries'],
    ['no number', ['--canaries', '20', '--canary-threshold', '1.5x'], '--canary-threshold'],
    ['no guesses', ['--canaries', '20', '--canary-k-plus', '0'], '0 guesses'],
    ['more guesses than canaries', ['--canaries', '20', '--canary-k-plus', '21'], '21 guesses'],
    ['no canaries', ['--canaries', '0'], '--canaries'],
    ['too few', ['--canaries', '10'], 'canaries'],
    ['more than users', ['--canaries', '500'], '500 are asked for beside'],
    ['records without canaries', ['--canary-records', '2'], 'without --canaries'],
    ['more records than the cap', ['--canaries', '20', '--canary-records', '3'], 'caps users at 2'],
  ])('refuses %s before anything is trained', async (_, argv, told) => {
    const { code, stderr } = await runCli(...trainArgv('user-wise', 'refused'), ...argv);
    expect({ code, told: stderr.includes(told) }).toEqual({ code: 2, told: true });
    expect(existsSync(join(folder, 'refused'))).toBe(false);
  });

  it('leaves canaries out of the answer where none were planted', async () => {
    const answer: unknown = await runJson(...trainArgv('user-wise', 'none'));
    expect(answer).toMatchObject({ canaries: null });
    expect(existsSync(join(folder, 'none', 'canaries.jsonl'))).toBe(false);
    expect(existsSync(join(folder, 'none', 'scores.csv'))).toBe(false);
  });
});
