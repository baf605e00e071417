import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifestPathOf, readManifest } from '../../../selection/index.ts';
import { runCli, runJson, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const people = ['ada', 'bo', 'cy', 'dan'];

const rows = Array.from({ length: 24 }, (_, i) => ({
  to: people.filter((_, at) => at === i % 4 || (i % 3 === 0 && at === (i + 1) % 4)),
  record_id: `m${i}`,
  text: `mail number ${i} says ${'word '.repeat(i % 4)}`,
}));
const ownerships = rows.reduce((sum, { to }) => sum + to.length, 0);

const table = writeJsonl(join(folder, 'mail.jsonl'), rows);
const separated = join(folder, 'mail.csv');
writeFileSync(
  separated,
  `to,record_id,text\n${rows.map(({ to, record_id, text }) => `${to.join(';')},${record_id},${text}`).join('\n')}\n`,
);
const random = ['--strategy', 'random', '--k', '2'];
const owners = ['--owners', 'to', '--owner-graph', 'public'];

describe('select --owners', () => {
  it('caps every owner, says what it takes as public, and verifies', async () => {
    const out = join(folder, 'list.parquet');
    const { stdout } = await runCli('select', table, ...owners, ...random, '--out', out);
    expect(stdout).toContain('of 24 records of 4 users kept, at most 2 a user (counted in the output)');
    expect(stdout).toMatch(/records +24 +\d+\n/);
    expect(stdout).toMatch(new RegExp(`records, for each owner +${ownerships} +\\d+\\n`));
    expect(stdout).toContain(
      'Every owner of a record counts. The guarantee takes as public: who owns which record.',
    );
    const { owners: described, result } = await readManifest(manifestPathOf(out));
    expect(described).toEqual({ separator: null, public: ['owner-graph'] });
    expect(result).toMatchObject({ users: 4, recordsIn: 24, maximumPerUser: 2 });
    const { code, stdout: checks } = await runCli('verify', manifestPathOf(out));
    expect(code).toBe(0);
    expect(checks).toContain('by owners and record id, none twice');
  });

  it('keeps the same of text with a separator', async () => {
    const list = await runJson('select', table, ...owners, ...random, '--out', join(folder, 'one.arrow'));
    const argv = [...owners, '--owner-separator', ';', ...random];
    const text = await runJson('select', separated, ...argv, '--out', join(folder, 'two.arrow'));
    expect(text['digest']).toBe(list['digest']);
    expect(text['owners']).toEqual({ separator: ';', public: ['owner-graph'] });
  });

  it('wants more declared where the rule looks into records', async () => {
    const longest = ['--strategy', 'longest', '--k', '2', '--out', join(folder, 'longest.arrow')];
    const { code, stderr } = await runCli('select', table, ...owners, ...longest);
    expect(code).toBe(2);
    expect(stderr).toContain('--owner-order public');
    const answer = await runJson('select', table, ...owners, '--owner-order', 'public', ...longest);
    expect(answer['owners']).toEqual({ separator: null, public: ['owner-graph', 'owner-order'] });
  });

  it('refuses what does not go together, and leaves nothing behind', async () => {
    const cap = join(folder, 'cap.json');
    const cost = {
      mechanism: 'm',
      release: 'r',
      epsilon: 1,
      delta: 0,
      neighbours: 'add-or-remove',
      unit: 'user',
    };
    const privacyCost = [{ choices: ['records-per-user'], ...cost }];
    writeFileSync(cap, JSON.stringify({ suggestedCap: { recordsPerUser: 2 }, privacyCost }));
    const before = readdirSync(folder).sort();
    const cases: [string[], RegExp][] = [
      [['--owners', 'to', ...random], /--owner-graph public/],
      [['--owner-separator', ';', ...random], /--owner-separator stands without --owners/],
      [['--owner-graph', 'public', ...random], /--owner-graph stands without --owners/],
      [[...owners, '--user', 'to', ...random], /--user and --owners/],
      [[...owners, ...random, '--engine', 'duckdb'], /duckdb keeps records by one owner/],
      [[...owners, '--strategy', 'random-window', '--k', '2'], /random-window/],
      [[...owners, '--strategy', 'random-chunk', '--chunk-tokens', '4', '--k', '2'], /random-chunk/],
      [[...owners, '--strategy', 'random', '--k-from', cap], /--k-from costs what it says/],
      [[...owners, '--dp-stats', '1'], /--dp-stats costs what it says/],
      [[...owners, ...random, '--emit-sql', 'spark', '--table-name', 't'], /--owners/],
      [[...owners, ...random, '--memory', '1kB'], /Raise the memory limit/],
      [[...owners, '--owner-separator', ';', ...random], /owners column "to" is of type List/],
    ];
    for (const [argv, message] of cases) {
      const { code, stderr } = await runCli('select', table, ...argv, '--out', join(folder, 'refused.arrow'));
      expect([code, message.test(stderr)], `${argv.join(' ')}: ${stderr}`).toEqual([2, true]);
    }
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  it('shows in a dry run what caps keep of records and tokens', async () => {
    const argv = ['select', table, '--owners', 'to', '--k', '1,50', '--dry-run'];
    const answer = await runJson(...argv, '--tokenizer', 'bytes');
    const bytes = rows.reduce((sum, { text }) => sum + text.length, 0);
    expect(answer['statistics']).toMatchObject({ users: 4, records: ownerships, caps: [] });
    expect(answer['effects']).toMatchObject({
      tokensBefore: bytes,
      caps: [
        { recordsPerUser: 1, usersCut: 4 },
        { records: 24, usersCut: 0, tokens: bytes },
      ],
    });
    const { stdout } = await runCli(...argv);
    expect(stdout).toContain(`24 records of 4 owners, ${ownerships} counting each for every owner`);
    expect(stdout).toMatch(/\n50 +24 +100 % +0\n/);
    expect(stdout).not.toContain('--dp-stats');
  });

  it('makes a table that plan warns of and train refuses', async () => {
    const out = join(folder, 'owned.arrow');
    await runJson('select', separated, ...owners, '--owner-separator', ';', ...random, '--out', out);
    const plans = join(folder, 'plans');
    const budget = ['--epsilon', '8', '--delta', '0.001', '--batch-size', '2', '--steps', '1', '--k', '2'];
    const planned = await runCli('plan', out, '--user', 'to', ...budget, '--out', plans);
    expect(planned.stdout).toContain('several users a record');
    const plan = join(plans, 'user-wise-k2.json');
    const { code, stderr } = await runCli('train', plan, out, '--user', 'to', '--out', join(folder, 'run'));
    expect(code).toBe(3);
    expect(stderr).toContain('was selected with --owners "to"');
  });
});

describe('select --tokenizer', () => {
  it('counts tokens before and after where it is given, and not where it is not', async () => {
    const user = ['--user', 'record_id', ...random];
    const out = (name: string): string[] => ['--out', join(folder, name)];
    const { stdout } = await runCli('select', table, ...user, '--tokenizer', 'gpt2', ...out('gpt2.arrow'));
    const [, before, after] = /tokens \(gpt2\) +(\d+) +(\d+)\n/.exec(stdout)!;
    expect(Number(before)).toBeGreaterThan(24);
    expect(after).toBe(before);
    const plain = await runCli('select', table, ...user, ...out('plain.arrow'));
    expect(plain.stdout).not.toContain('tokens');
  });

  it('adds tokens kept to the table of caps in a dry run', async () => {
    const argv = ['select', table, '--user', 'record_id', '--k', '1', '--dry-run'];
    const { stdout } = await runCli(...argv, '--tokenizer', 'bytes', '--strategy', 'longest');
    const bytes = rows.reduce((sum, { text }) => sum + text.length, 0);
    expect(stdout).toMatch(new RegExp(`\\n1 +24 +100 % +0 +${bytes} +100 %\\n`));
    expect(stdout).toContain(`${bytes} tokens (bytes). Tokens kept are those under longest.`);
    const blocks = await runCli(...argv, '--tokenizer', 'bytes', '--strategy', 'random-chunk');
    expect(blocks.stdout).toContain('Tokens that random-chunk keeps are not counted in a dry run.');
  });
});
