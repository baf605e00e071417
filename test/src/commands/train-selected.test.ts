import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePlan, type Plan, type Statement } from '../../../accounting/plan-entry.ts';
import { readLedger } from '../../../trainer/index.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(40));
const model = join(folder, 'model');
const budget = ['--epsilon', '8', '--delta', '0.001', '--batch-size', '6', '--steps', '1', '--k', '2'];
let made = 0;

/** Selects a table of its own by a rule. */
async function selected(...rule: string[]): Promise<string> {
  made += 1;
  const out = join(folder, `selected-${made}.arrow`);
  await runJson('select', table, ...rule, '--out', out);
  return out;
}

async function planned(...argv: string[]): Promise<string> {
  made += 1;
  const out = join(folder, `plans-${made}`);
  await runJson('plan', ...argv, ...budget, '--out', out);
  return join(out, 'user-wise-k2.json');
}

async function train(
  plan: string,
  ...argv: string[]
): Promise<{ code: number; stderr: string; out: string }> {
  if (!existsSync(model)) {
    const size = ['--layers', '1', '--width', '16', '--heads', '2', '--context', '32'];
    await runJson('pretrain', table, '--steps', '1', '--batch-size', '4', ...size, '--out', model);
  }
  made += 1;
  const out = join(folder, `run-${made}`);
  const { code, stderr } = await runCli('train', plan, ...argv, '--model', model, '--out', out);
  return { code, stderr, out };
}

function manifestOf(path: string): string {
  return `${path}.manifest.json`;
}

function planIn(path: string): Plan {
  return parsePlan(JSON.parse(readFileSync(path, 'utf8')));
}

/** Changes the manifest beside a table. */
function amend(path: string, changes: Record<string, unknown>): void {
  const manifest: Record<string, unknown> = JSON.parse(readFileSync(manifestOf(path), 'utf8'));
  writeFileSync(manifestOf(path), JSON.stringify({ ...manifest, ...changes }));
}

const cost = {
  choices: ['records-per-user'],
  mechanism: 'a noisy histogram',
  release: 'r1',
  epsilon: 0.5,
  delta: 0,
  neighbours: 'add-or-remove',
  unit: 'user',
};

describe('train on a table that select wrote', () => {
  it('holds it against its manifest and notes the digest of that in the first line of the ledger', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const { code, stderr, out } = await train(await planned(path), path);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [header] = readLedger(join(out, 'ledger.jsonl'));
    const digest = createHash('sha256')
      .update(readFileSync(manifestOf(path)))
      .digest('hex');
    expect(header).toMatchObject({ kind: 'header', manifestDigest: digest });
  });

  it('notes nothing for a table without a manifest, whose cap it enforces itself', async () => {
    const { code, out } = await train(await planned(table), table);
    expect(code).toBe(0);
    expect(Object.keys(readLedger(join(out, 'ledger.jsonl'))[0]!)).not.toContain('manifestDigest');
  });

  it('refuses one that is not what the manifest says, naming the checks that fail', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const plan = await planned(path);
    cpSync(await selected('--strategy', 'random', '--k', '3'), path, { force: true });
    const { code, stderr, out } = await train(plan, path);
    expect(code).toBe(3);
    expect(stderr).toContain(`${path} is not what its manifest says: output size (expected`);
    expect(stderr).toContain('output SHA-256');
    expect(stderr).toContain('digest of kept ids');
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    ['strategy', ['--strategy', 'longest'], '--strategy "random", where the plan has "longest"'],
    ['seed', ['--seed', '43'], '--seed "42", where the plan has "43"'],
  ])('refuses one of another %s than the plan, which says so beforehand', async (_, rule, told) => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const noted = await runCli('plan', path, ...budget, ...rule);
    expect(noted.stdout).toContain(
      `Note: the table was selected with ${told}: train will refuse such a plan.`,
    );
    const { code, stderr } = await train(await planned(path, ...rule), path);
    expect({ code, told: stderr.includes(told) }).toEqual({ code: 3, told: true });
  });

  it('goes on from a larger cap where fewer of the selected are those that fewer would have been', async () => {
    const path = await selected('--strategy', 'random', '--k', '3');
    expect((await train(await planned(path), path)).code).toBe(0);
  });

  it.each(['first', 'random-window'])('refuses a larger cap under %s', async strategy => {
    const path = await selected('--strategy', strategy, '--k', '3');
    const { code, stderr } = await train(await planned(path, '--strategy', strategy), path);
    expect(code).toBe(3);
    expect(stderr).toContain('up to 3 records');
    expect(stderr).toContain('the plan allows 2 records');
    expect(stderr).toContain('Select with the caps of the plan.');
  });

  it('refuses another column of users', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const plan = await planned(path);
    const { code, stderr } = await train(plan, path, '--user', 'record_id');
    expect({ code, told: stderr.includes('selected for the users of column "user"') }).toEqual({
      code: 3,
      told: true,
    });
  });

  it('refuses scores whose origin no manifest tells', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const plan = await planned(path, '--strategy', 'lowest-perplexity');
    rmSync(manifestOf(path));
    const { code, stderr } = await train(plan, path);
    expect({ code, told: stderr.includes('says where the scores came from') }).toEqual({
      code: 2,
      told: true,
    });
  });
});

describe('a selection that cost privacy', () => {
  it('enters the plan, its noise and the statement', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const free = planIn(await planned(path));
    amend(path, { privacyCost: [cost] });
    const file = await planned(path);
    const plan = planIn(file);
    const what = 'records-per-user, by a noisy histogram (release r1)';
    expect(plan.selection.privacyCost).toEqual([{ epsilon: 0.5, delta: 0, what }]);
    expect(plan.noiseMultiplier).toBeGreaterThan(free.noiseMultiplier);
    const { code, out } = await train(file, path);
    expect(code).toBe(0);
    const text = readFileSync(join(out, 'statement.txt'), 'utf8');
    expect(text).toContain(`epsilon 0.5000 at delta 0, counted in the guarantee: ${what}`);
    const statement: Statement = JSON.parse(readFileSync(join(out, 'statement.json'), 'utf8'));
    expect(statement.epsilon.upper).toBeLessThanOrEqual(8);
  });

  it('is doubled where neighbours replace a user', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    amend(path, { privacyCost: [cost] });
    const out = join(folder, 'replace');
    await runJson('plan', path, ...budget, '--k', '1', '--neighbours', 'replace', '--out', out);
    const plan = planIn(join(out, 'user-wise-k1.json'));
    expect(plan.selection.privacyCost).toMatchObject([{ epsilon: 1, delta: 0 }]);
  });

  it('is refused where the plan leaves it out, or counts it once for two releases', async () => {
    const path = await selected('--strategy', 'random', '--k', '2');
    const free = await planned(path);
    amend(path, { privacyCost: [cost] });
    const once = await planned(path);
    const left = await train(free, path);
    expect({ code: left.code, told: left.stderr.includes('spent epsilon 0.5 at delta 0') }).toEqual({
      code: 3,
      told: true,
    });
    amend(path, { privacyCost: [cost, { ...cost, release: 'r2' }] });
    const twice = await train(once, path);
    expect({
      code: twice.code,
      told: twice.stderr.includes('(release r2), which the plan does not count'),
    }).toEqual({
      code: 3,
      told: true,
    });
  });
});
