import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parsePlan } from '../../../accounting/plan-entry.ts';
import { countsPerUser } from '../../../selection/index.ts';
import { readUserTable } from '../../../src/table.ts';
import { hasShared, sharedPath } from '../../support/shared.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl, type Outcome } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(60));
const budget = ['--epsilon', '8', '--batch-size', '20', '--steps', '10'];
const random = ['--strategy', 'random', '--k', '2', '--seed', '42'];

function reasonOf({ code, stdout, stderr }: Outcome): { code: number; reason: string } {
  expect(stdout).toBe('');
  const { error }: { error: { code: string } } = JSON.parse(stderr);
  return { code, reason: error.code };
}

interface Option {
  mechanism: string;
  k: number;
  samplingProbability: number;
  noiseMultiplier: number;
  epsilon: { lower: number; upper: number };
  notes: string[];
  plan: unknown;
  file?: string;
}

async function planned(...argv: string[]): Promise<Option[]> {
  const { stdout, stderr } = await runCli('plan', ...argv, '--json');
  expect(stderr).toBe('');
  const answer: { options: Option[] } = JSON.parse(stdout);
  return answer.options;
}

describe('plan', () => {
  it('prints the agreed keys for both mechanisms and every k', async () => {
    const options = await planned(table, ...budget, '--k', '1,2');
    expect(options.map(({ mechanism, k }) => `${mechanism} ${k}`).sort()).toEqual([
      'group-privacy 1',
      'group-privacy 2',
      'user-wise 1',
      'user-wise 2',
    ]);
    for (const { epsilon, samplingProbability, noiseMultiplier } of options) {
      expect(epsilon.upper).toBeLessThanOrEqual(8);
      expect(epsilon.lower).toBeLessThanOrEqual(epsilon.upper);
      expect(samplingProbability).toBeGreaterThan(0);
      expect(noiseMultiplier).toBeGreaterThan(0);
    }
  });

  it('gives both mechanisms the same noise at k = 1', async () => {
    const [one, other] = await planned(table, ...budget, '--k', '1');
    expect(one!.noiseMultiplier).toBe(other!.noiseMultiplier);
  });

  it('writes plan files that `train` can read, and refuses to overwrite them', async () => {
    const out = join(folder, 'plans');
    const options = await planned(table, ...budget, '--k', '2', '--out', out);
    for (const { file, plan } of options) {
      expect(parsePlan(JSON.parse(readFileSync(file!, 'utf8')))).toEqual(plan);
    }
    const again = ['plan', table, ...budget, '--k', '2', '--out', out, '--json'];
    expect(reasonOf(await runCli(...again))).toEqual({ code: 5, reason: 'OUTPUT_EXISTS' });
    expect((await runCli(...again, '--force')).code).toBe(0);
  });

  it('keeps held-out users out of the population', async () => {
    const whole = await runJson('plan', table, ...budget, '--held-out', '0');
    const part = await runJson('plan', table, ...budget, '--held-out', '0.3');
    expect([whole['users'], whole['heldOutUsers']]).toEqual([60, 0]);
    expect(Number(part['users']) + Number(part['heldOutUsers'])).toBe(60);
    expect(part['users']).toBeLessThan(60);
  });

  it('plans without a table and says what it assumes', async () => {
    const [option] = await planned('--users', '100', '--records', '250', ...budget, '--k', '5');
    expect(option!.notes.join()).toContain(
      '250 records are assumed to be spread evenly over 100 training users',
    );
    const { code, stderr } = await runCli('plan', '--users', '10', '--records', '5', ...budget);
    expect({ code, told: stderr.includes('5 records for 10 users') }).toEqual({ code: 2, told: true });
  });

  it('warns where delta is not below 1/users', async () => {
    const [option] = await planned(table, ...budget, '--delta', '0.05', '--k', '1');
    expect(option!.notes.join()).toContain('delta 0.05 is not below 1/users');
  });

  it('refuses a table of one user, for whom no delta can be chosen', async () => {
    const path = writeJsonl(join(folder, 'one.jsonl'), [{ user: 'a', record_id: '1', text: 'x' }]);
    const outcome = await runCli('plan', path, ...budget, '--held-out', '0', '--json');
    expect(reasonOf(outcome)).toEqual({ code: 2, reason: 'INVALID_DATA' });
  });

  it('says so where the target cannot be reached', async () => {
    const far = [
      '--epsilon',
      '1e-9',
      '--delta',
      '1e-12',
      '--batch-size',
      '1000',
      '--steps',
      '1000000',
      '--k',
      '1',
    ];
    expect(reasonOf(await runCli('plan', table, ...far, '--json'))).toEqual({
      code: 2,
      reason: 'BUDGET_UNREACHABLE',
    });
  });

  it('prints a table for people', async () => {
    const { stdout } = await runCli('plan', table, ...budget, '--k', '2');
    expect(stdout).toMatch(/^mechanism +k +records +sampling probability/);
    expect(stdout).toMatch(/\nuser-wise +2 +\d+/);
  });
});

describe('select', () => {
  it('prints the agreed keys, and no user exceeds k in the file it wrote', async () => {
    const out = join(folder, 'selected.parquet');
    const answer = await runJson('select', table, ...random, '--out', out);
    expect(answer).toMatchObject({ users: 60, recordsIn: 150, recordsKept: 105, maxPerUser: 2 });
    expect(answer['digest']).toMatch(/^[0-9a-f]{16,64}$/);
    expect(JSON.parse(readFileSync(String(answer['manifest']), 'utf8'))).toMatchObject({
      format: 'privacy-unit/selection',
    });
    const { records } = await readUserTable(out, { needsText: true });
    expect(Math.max(...countsPerUser(records))).toBe(2);
  });

  it('refuses to overwrite unless forced', async () => {
    const argv = ['select', table, ...random, '--out', join(folder, 'twice.arrow'), '--json'];
    expect((await runCli(...argv)).code).toBe(0);
    expect(reasonOf(await runCli(...argv))).toEqual({ code: 5, reason: 'OUTPUT_EXISTS' });
    expect((await runCli(...argv, '--force')).code).toBe(0);
  });

  it('shows the effect of several caps without writing', async () => {
    const { stdout } = await runCli('select', table, '--k', '1,3', '--dry-run', '--json');
    const { statistics }: { statistics: { caps: object[] } } = JSON.parse(stdout);
    expect(statistics.caps).toEqual([
      { recordsPerUser: 1, records: 60, share: 60 / 150, usersCut: 45 },
      { recordsPerUser: 3, records: 135, share: 135 / 150, usersCut: 15 },
    ]);
    expect(
      reasonOf(
        await runCli('select', table, '--strategy', 'random', '--k', '1,3', '--out', 'x.arrow', '--json'),
      ),
    ).toEqual({ code: 2, reason: 'INVALID_ARGUMENT' });
  });

  it('refuses scores whose origin nobody vouches for', async () => {
    const rows = sampleRows(5).map((row, at) => ({ ...row, score: at }));
    const path = writeJsonl(join(folder, 'scored.jsonl'), rows);
    const argv = ['select', path, '--strategy', 'lowest-perplexity', '--k', '1', '--score', 'score'];
    const out = ['--out', join(folder, 'scored.arrow'), '--json'];
    expect(reasonOf(await runCli(...argv, ...out))).toEqual({ code: 2, reason: 'INVALID_ARGUMENT' });
    expect(reasonOf(await runCli(...argv, '--score-provenance', 'private', ...out)).code).toBe(2);
    expect((await runCli(...argv, '--score-provenance', 'public', ...out)).code).toBe(0);
  });

  it.skipIf(!hasShared).each([
    ['random', '270f1f769b05a711'],
    ['longest', 'd1b9efbfd4e73195'],
    ['shortest', 'd7deec638dc11a2d'],
  ])('%s has the golden digest on the shared speeches', async (strategy, digest) => {
    const speeches = sharedPath('data/shakespeare-speeches.parquet');
    const out = join(folder, `${strategy}.arrow`);
    const argv = [
      speeches,
      '--user',
      'user',
      '--id',
      'record_id',
      '--text',
      'text',
      '--k',
      '5',
      '--seed',
      '42',
    ];
    const answer = await runJson('select', ...argv, '--strategy', strategy, '--out', out);
    expect(String(answer['digest']).slice(0, 16)).toBe(digest);
  });
});

describe('faulty tables', () => {
  const rows = sampleRows(6);
  const faults: [string, object[], string][] = [
    ['a user that is null', [...rows, { user: null, record_id: 'x', text: 't' }], 'NULL_USER'],
    ['an empty user', [...rows, { user: '', record_id: 'x', text: 't' }], 'NULL_USER'],
    ['a repeated record id', [...rows, rows[0]!], 'DUPLICATE_RECORD'],
    ['no user column', rows.map(({ record_id, text }) => ({ record_id, text })), 'MISSING_COLUMN'],
  ];

  it.each(faults)('%s is an error with its own code', async (name, content, reason) => {
    const path = writeJsonl(join(folder, `${name}.jsonl`), content);
    const outcome = await runCli('select', path, ...random, '--out', join(folder, `${name}.arrow`), '--json');
    expect(reasonOf(outcome)).toEqual({ code: 2, reason });
  });

  it('an empty file is bad data', async () => {
    const path = writeJsonl(join(folder, 'empty.jsonl'), []);
    const outcome = await runCli('select', path, ...random, '--out', join(folder, 'empty.arrow'), '--json');
    expect(reasonOf(outcome)).toEqual({ code: 2, reason: 'INVALID_DATA' });
  });

  it('invalid UTF-8 is bad data, and the error shows no text', async () => {
    const path = join(folder, 'broken.csv');
    writeFileSync(
      path,
      Buffer.concat([Buffer.from('user,record_id,text\nada,1,secret'), Buffer.from([0xff, 10])]),
    );
    const outcome = await runCli('select', path, ...random, '--out', join(folder, 'broken.arrow'), '--json');
    expect(reasonOf(outcome)).toEqual({ code: 2, reason: 'INVALID_DATA' });
    expect(outcome.stderr).not.toContain('secret');
  });

  it('policies drop what they name', async () => {
    const path = writeJsonl(join(folder, 'policies.jsonl'), [
      ...rows,
      rows[0]!,
      { user: null, record_id: 'x', text: 't' },
    ]);
    const policies = ['--null-users', 'drop', '--duplicates', 'keep-first'];
    const answer = await runJson(
      'select',
      path,
      ...random,
      ...policies,
      '--out',
      join(folder, 'policies.arrow'),
    );
    expect(answer).toMatchObject({ users: 6, dropped: { nullUsers: 1, duplicates: 1 } });
  });
});
