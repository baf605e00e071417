import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const tiny = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
const plans = join(folder, 'plans');
const model = join(folder, 'model');

async function prepare(): Promise<void> {
  if (existsSync(model)) return;
  const budget = ['--epsilon', '8', '--batch-size', '10', '--steps', '3', '--k', '2', '--held-out', '0.2'];
  await runJson('plan', table, ...budget, '--out', plans);
  await runJson('pretrain', table, '--steps', '3', '--batch-size', '4', ...tiny, '--out', model);
}

describe('pretrain', () => {
  it('makes a model that says it is public, and refuses to overwrite it', async () => {
    await prepare();
    const provenance: { trainedOn: string } = JSON.parse(
      readFileSync(join(model, 'provenance.json'), 'utf8'),
    );
    expect(provenance.trainedOn).toBe('public');
    expect((await runCli('pretrain', table, '--out', model)).code).toBe(5);
  });
});

describe.each(['group-privacy', 'user-wise'])('train with %s', mechanism => {
  const out = join(folder, mechanism);
  const argv = [
    'train',
    join(plans, `${mechanism}-k2.json`),
    table,
    '--model',
    model,
    '--lora-rank',
    '2',
    '--out',
    out,
  ];

  it('prints the agreed keys and writes model, ledger and statement', async () => {
    await prepare();
    const { code, stdout, stderr } = await runCli(...argv, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const answer: {
      epsilon: { lower: number; upper: number };
      perplexity: { before: { byRecord: number }; after: { byRecord: number; byUser: number } };
      steps: number;
      seconds: number;
    } = JSON.parse(stdout);
    expect(answer.steps).toBe(3);
    expect(answer.seconds).toBeGreaterThan(0);
    expect(answer.epsilon.upper).toBeLessThanOrEqual(8);
    expect(answer.perplexity.after.byUser).toBeGreaterThan(1);
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['ledger.jsonl', 'model', 'statement.json', 'statement.txt']),
    );
  });

  it('states everything that the guarantee depends on', async () => {
    const statement: Record<string, unknown> = JSON.parse(readFileSync(join(out, 'statement.json'), 'utf8'));
    expect(statement).toMatchObject({
      format: 'privacy-unit/statement',
      mechanism,
      neighbours: 'add-or-remove',
      unit: { protection: 'user', recordsPerUser: 2 },
      steps: { planned: 3, counted: 3 },
    });
    const expected = [
      'epsilon',
      'delta',
      'clipNorm',
      'noiseMultiplier',
      'sampling',
      'byAccountant',
      'selection',
    ];
    for (const key of [...expected, 'publicConstants', 'assumptions', 'warnings', 'code']) {
      expect(statement[key], key).not.toBeNull();
      expect(statement[key], key).toBeDefined();
    }
    const text = readFileSync(join(out, 'statement.txt'), 'utf8');
    for (const label of ['Guarantee', 'Unit of protection', 'Neighbours', 'Mechanism', 'Sampling', 'Steps']) {
      expect(text).toContain(`${label} `);
    }
    for (const label of ['Accountant', 'Selection', 'Treated as public', 'Assumptions', 'Warnings', 'Code']) {
      expect(text).toContain(`\n${label} `);
    }
  });

  it('refuses to train over a finished run', async () => {
    expect((await runCli(...argv)).code).toBe(5);
  });

  it('refuses a private model as the start of another run', async () => {
    const plan = join(plans, `${mechanism}-k2.json`);
    const chained = ['train', plan, table, '--model', join(out, 'model'), '--out', join(folder, 'chained')];
    const { code, stderr } = await runCli(...chained);
    expect({ code, told: stderr.includes('was trained on private text') }).toEqual({ code: 2, told: true });
  });

  it('refuses a private model as a scorer', async () => {
    const rule = ['--strategy', 'lowest-perplexity', '--k', '1', '--scorer', join(out, 'model')];
    const { code, stderr } = await runCli('select', table, ...rule, '--out', join(folder, 'scored.arrow'));
    expect({ code, told: stderr.includes('was trained on private text') }).toEqual({ code: 2, told: true });
  });
});

describe('train', () => {
  it('refuses a table for which the plan was not made', async () => {
    await prepare();
    const other = writeJsonl(join(folder, 'other.jsonl'), sampleRows(30));
    const plan = join(plans, 'user-wise-k2.json');
    const { code, stderr } = await runCli(
      'train',
      plan,
      other,
      '--model',
      model,
      '--out',
      join(folder, 'other'),
    );
    expect({ code, told: stderr.includes('Plan again for this table.') }).toEqual({ code: 2, told: true });
  });

  it('refuses a plan that is not one', async () => {
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{"format": "privacy-unit/plan"');
    expect((await runCli('train', broken, table, '--out', join(folder, 'x'))).code).toBe(2);
    writeFileSync(broken, '{}');
    expect((await runCli('train', broken, table, '--out', join(folder, 'x'))).code).toBe(2);
  });
});

describe('plan, then train', () => {
  const rules: [string, string[]][] = [
    ['a token cap', ['--tokens', '60']],
    ['random chunks', ['--strategy', 'random-chunk', '--chunk-tokens', '16']],
    ['longest first', ['--strategy', 'longest']],
    ['records drawn anew', ['--draw', 'per-draw']],
    ['chunks drawn anew', ['--strategy', 'random-chunk', '--chunk-tokens', '16', '--draw', 'per-draw']],
  ];

  it.each(rules)('agree on the population under %s', async (name, rule) => {
    await prepare();
    const out = join(folder, name);
    const budget = ['--epsilon', '8', '--batch-size', '6', '--steps', '1', '--k', '2', '--held-out', '0.2'];
    await runJson('plan', table, ...budget, ...rule, '--out', out);
    for (const mechanism of ['group-privacy', 'user-wise']) {
      const plan = join(out, `${mechanism}-k2.json`);
      const { code, stderr } = await runCli(
        'train',
        plan,
        table,
        '--model',
        model,
        '--out',
        join(out, mechanism),
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    }
  });

  it('refuse to draw anew by a rule without chance in it', async () => {
    const budget = ['--epsilon', '8', '--batch-size', '6', '--steps', '1', '--k', '2'];
    const { code, stderr } = await runCli(
      'plan',
      table,
      ...budget,
      '--strategy',
      'longest',
      '--draw',
      'per-draw',
    );
    expect(code).toBe(2);
    expect(stderr).toContain('--strategy longest');
  });

  it('by perplexity works on a table that was selected before, and only there', async () => {
    await prepare();
    const rule = ['--strategy', 'lowest-perplexity'];
    const selected = join(folder, 'lowest.arrow');
    await runJson('select', table, ...rule, '--k', '2', '--scorer', model, '--out', selected);
    const out = join(folder, 'by-perplexity');
    const budget = ['--epsilon', '8', '--batch-size', '6', '--steps', '1', '--k', '2', '--held-out', '0.2'];
    await runJson('plan', selected, ...budget, ...rule, '--out', out);
    const argv = ['train', join(out, 'group-privacy-k2.json')];
    const rest = ['--model', model, '--out', join(out, 'run')];
    const refused = await runCli(...argv, table, ...rest);
    expect({ code: refused.code, told: refused.stderr.includes('privacy-unit select --scorer') }).toEqual({
      code: 2,
      told: true,
    });
    expect((await runCli(...argv, selected, ...rest)).code).toBe(0);
  });
});

describe('demo --quick', () => {
  it('runs on a real table, then again over its own output', async () => {
    const rows = sampleRows(50).map(({ user, text }) => ({ author: user, body: text }));
    const data = writeJsonl(join(folder, 'letters.jsonl'), rows);
    const out = join(folder, 'demo');
    const argv = [
      'demo',
      '--quick',
      '--data',
      data,
      '--user',
      'author',
      '--text',
      'body',
      '--k',
      '2',
      '--out',
      out,
    ];
    const { stdout } = await runCli(...argv, '--json');
    const answer: {
      runs: { mechanism: string; k: number | null; epsilon: { upper: number } | null; seconds: number }[];
      report: string;
    } = JSON.parse(stdout);
    expect(answer.runs.map(run => run.mechanism)).toEqual([
      'no-fine-tuning',
      'group-privacy',
      'user-wise',
      'no-privacy',
    ]);
    for (const { epsilon } of answer.runs.slice(1, 3)) expect(epsilon!.upper).toBeLessThanOrEqual(8);
    const page = readFileSync(answer.report, 'utf8');
    expect(page).toContain('User-wise DP-SGD');
    expect(page).not.toContain('<script');
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['report.html', 'report.json', 'selected.arrow']),
    );

    const first = statSync(answer.report).ino;
    const { code, stdout: text, stderr } = await runCli(...argv);
    expect({ code, told: stderr.includes('this one will replace it') }).toEqual({ code: 0, told: true });
    expect(text).toMatch(/\nrun +k +noise multiplier +epsilon/);
    expect(statSync(answer.report).ino).not.toBe(first);
    expect(readdirSync(folder).filter(name => name.startsWith('.demo'))).toEqual([]);
  });

  it('refuses a folder that holds anything else, and leaves it as it was', async () => {
    const data = join(folder, 'plans');
    await prepare();
    const before = readdirSync(data);
    expect((await runCli('demo', '--quick', '--out', data)).code).toBe(5);
    expect(readdirSync(data)).toEqual(before);
  });

  it('refuses a table without enough users', async () => {
    const data = writeJsonl(join(folder, 'single.jsonl'), [{ user: 'a', record_id: '1', text: 'hello' }]);
    const out = join(folder, 'single');
    expect((await runCli('demo', '--quick', '--data', data, '--out', out)).code).toBe(2);
    expect(existsSync(out)).toBe(false);
  });
});
