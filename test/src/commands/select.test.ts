import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifestPathOf, readManifest } from '../../../selection/index.ts';
import { byteSize, renderBytes } from '../../../src/sizes.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const folder = temporaryFolder();
const table = writeJsonl(join(folder, 'table.jsonl'), sampleRows(60));
const random = ['--strategy', 'random', '--k', '2'];

describe('select', () => {
  it('keeps the same records whatever engine and however the rows are spread over files', async () => {
    const rows = sampleRows(60);
    const parts = join(folder, 'part');
    writeJsonl(`${parts}-1.jsonl`, rows.slice(0, 70));
    writeJsonl(`${parts}-2.jsonl`, rows.slice(70));
    const digests = new Set<unknown>();
    for (const [name, argv] of [
      ['one', [table]],
      ['many', [`${parts}-*.jsonl`]],
      ['duckdb', [table, '--engine', 'duckdb', '--threads', '1']],
      ['small', [table, '--memory', '1kB']],
    ] as const) {
      const out = join(folder, `${name}.parquet`);
      const answer = await runJson('select', ...argv, ...random, '--out', out);
      digests.add(answer['digest']);
    }
    expect(digests.size).toBe(1);
  });

  it('prints statistics that are marked as not private, in text and JSON', async () => {
    const { stdout } = await runCli('select', table, ...random, '--out', join(folder, 'shown.arrow'));
    expect(stdout).toMatch(
      /^105 of 150 records of 60 users kept, at most 2 a user \(counted in the output\)/,
    );
    expect(stdout).toMatch(/records +150 +105\n/);
    expect(stdout).toMatch(/most of one user +4 +2\n/);
    expect(stdout).toContain('not private');
    const answer = await runJson('select', table, ...random, '--out', join(folder, 'shown-2.arrow'));
    expect(answer['statistics']).toMatchObject({
      notPrivate: true,
      before: { records: 150 },
      after: { records: 105 },
    });
  });

  it('warns where texts of several users are kept', async () => {
    const rows = ['a', 'b', 'c'].map(user => ({ user, record_id: user, text: 'the very same text' }));
    const path = writeJsonl(join(folder, 'copies.jsonl'), rows);
    const { stdout } = await runCli('select', path, ...random, '--out', join(folder, 'copies.arrow'));
    expect(stdout).toContain('Texts of several users: 100 % identical');
    expect(stdout).toContain('Warning: 100 % of the kept records are identical to one of another user');
    const argv = ['select', path, ...random, '--no-compare-texts', '--out', join(folder, 'copies-2.arrow')];
    expect(await runJson(...argv)).toMatchObject({ warnings: [], crossUserDuplicates: null });
  });

  it('counts tokens where they are capped', async () => {
    const out = join(folder, 'tokens.arrow');
    const argv = ['--strategy', 'longest', '--tokens', '60', '--truncate', '--tokenizer', 'bytes'];
    const answer = await runJson('select', table, ...argv, '--out', out);
    expect(answer['maxTokensPerUser']).toBe(60);
    const { statistics } = await readManifest(manifestPathOf(out));
    expect(statistics!.tokensAfter).toBeGreaterThan(60 * 50);
  });

  it('writes the command line into the manifest, without a password', async () => {
    const out = join(folder, 'line.arrow');
    await runJson('select', table, ...random, '--out', out);
    const { commandLine } = await readManifest(manifestPathOf(out));
    expect(commandLine!.slice(0, 4)).toEqual(['select', table, '--strategy', 'random']);
  });

  it('refuses what has no table, no strategy or two caps', async () => {
    for (const argv of [
      ['select', ...random, '--out', 'x.arrow'],
      ['select', table, '--k', '2', '--out', 'x.arrow'],
      ['select', table, '--strategy', 'random', '--out', 'x.arrow'],
      ['select', table, ...random, '--k-from', 'cap.json', '--out', 'x.arrow'],
      ['select', table, ...random, '--memory', 'much', '--out', 'x.arrow'],
      ['select', table, ...random, '--user-normalize', 'upper', '--out', 'x.arrow'],
    ]) {
      expect((await runCli(...argv)).code, argv.join(' ')).toBe(2);
    }
  });

  it('cannot reach a server that is not there, and shows no password', async () => {
    const url = 'clickhouse://ada:hunter2@127.0.0.1:1';
    const argv = [
      'mail.records',
      '--cluster',
      url,
      ...random,
      '--out',
      join(folder, 'cluster.arrow'),
      '--json',
    ];
    const { code, stderr } = await runCli('select', ...argv);
    expect(code).toBe(7);
    expect(stderr).toContain('127.0.0.1:1/mail/records');
    expect(stderr).not.toContain('hunter2');
  });
});

describe('select --dry-run', () => {
  it('shows counts, caps, lengths, copies and a memory estimate, and writes nothing', async () => {
    const before = readdirSync(folder).sort();
    const answer = await runJson('select', table, '--k', '1,2', '--dry-run');
    expect(answer).toMatchObject({
      dryRun: true,
      notPrivate: true,
      users: 60,
      recordsIn: 150,
      lengths: { count: 150 },
      userIds: { ids: 0 },
    });
    expect(answer['memoryEstimate']).toBeGreaterThan(32 * 150);
    const { stdout } = await runCli('select', table, '--k', '1,2', '--dry-run');
    expect(stdout).toMatch(/\n *1 +60 +40 % +45\n/);
    expect(stdout).toContain('not private');
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  it('is the same with duckdb', async () => {
    const [one, other] = await Promise.all(
      ['builtin', 'duckdb'].map(engine => runJson('select', table, '--dry-run', '--engine', engine)),
    );
    expect(one).toEqual(other);
  });
});

interface PrivateAnswer {
  readonly suggestedCap: { readonly recordsPerUser: number; readonly epsilon: number };
  readonly privacyCost: readonly { readonly epsilon: number; readonly release: string }[];
}

describe('select --dp-stats', () => {
  const many = writeJsonl(
    join(folder, 'many.jsonl'),
    sampleRows(2000).map(({ user, record_id }) => ({ user, record_id })),
  );

  it('prints nothing raw: noise of another draw changes every count', async () => {
    const [one, other] = [
      await runJson('select', many, '--dp-stats', '1'),
      await runJson('select', many, '--dp-stats', '1'),
    ];
    expect(one['private']).toBe(true);
    expect(Object.keys(one).sort()).toEqual([
      'dryRun',
      'privacyCost',
      'private',
      'statistics',
      'suggestedCap',
    ]);
    const histogram = (answer: Record<string, unknown>): unknown => Object(answer['statistics']).histogram;
    expect(histogram(one)).not.toEqual(histogram(other));
    const { stdout } = await runCli('select', many, '--dp-stats', '1', '--k', '1,2');
    expect(stdout).toContain('Cost: epsilon 1, delta 0');
    expect(stdout).not.toContain('not private');
  });

  it('suggests a cap that select takes with its cost', async () => {
    const cap = join(folder, 'cap.json');
    const { stdout } = await runCli('select', many, '--dp-stats', '2', '--cap-share', '0.9', '--json');
    writeFileSync(cap, stdout);
    const answer: PrivateAnswer = JSON.parse(stdout);
    expect(answer.suggestedCap).toMatchObject({ recordsPerUser: 4, epsilon: 2 });
    const out = join(folder, 'capped.arrow');
    const selected = await runJson('select', many, '--strategy', 'random', '--k-from', cap, '--out', out);
    expect(selected).toMatchObject({ maxPerUser: 4 });
    const { privacyCost, rule } = await readManifest(manifestPathOf(out));
    expect(rule.recordsPerUser).toBe(4);
    expect(privacyCost).toEqual(answer.privacyCost);
    expect(privacyCost[0]).toMatchObject({
      choices: ['records-per-user'],
      epsilon: 2,
      delta: 0,
      unit: 'user',
    });
  });

  it('answers with the cost also where no cap can be told from the noise', async () => {
    const few = writeJsonl(join(folder, 'few.jsonl'), sampleRows(3));
    const { privacyCost } = await runJson('select', few, '--dp-stats', '0.01');
    expect(privacyCost).toMatchObject([{ epsilon: 0.01, delta: 0 }]);
  });

  it('refuses a file that suggests no cap', async () => {
    const path = join(folder, 'none.json');
    writeFileSync(path, '{"suggestedCap":null,"privacyCost":[]}');
    const argv = ['select', table, '--strategy', 'random', '--k-from', path, '--out', 'x.arrow'];
    expect((await runCli(...argv)).code).toBe(2);
  });
});

describe('select --emit-sql', () => {
  it.each(['spark', 'trino', 'bigquery', 'snowflake', 'postgres', 'clickhouse', 'duckdb'])(
    'prints the statement for %s and reads nothing',
    async dialect => {
      const argv = [
        '--emit-sql',
        dialect,
        '--table-name',
        'mail.records',
        '--user',
        'sender',
        '--id',
        'message',
      ];
      const { code, stdout } = await runCli(
        'select',
        ...argv,
        '--strategy',
        'longest',
        '--k',
        '10',
        '--text',
        'body',
      );
      expect(code).toBe(0);
      for (const word of ['sender', 'message', 'body', 'mail', '<= 10']) expect(stdout).toContain(word);
      expect(stdout.trimEnd().endsWith(';')).toBe(true);
    },
  );

  it('gives the checks that go with it as JSON', async () => {
    const argv = ['--emit-sql', 'spark', '--table-name', 'records', ...random];
    const answer = await runJson('select', ...argv);
    expect(Object.keys(Object(answer['checks']))).toEqual(['defects', 'duplicates', 'maximumPerUser']);
  });

  it('refuses what SQL cannot do, and a table without a name', async () => {
    const named = ['--table-name', 'records'];
    for (const argv of [
      ['--emit-sql', 'spark', ...random],
      ['--emit-sql', 'spark', ...named, ...random, '--id', 'auto'],
      ['--emit-sql', 'spark', ...named, '--strategy', 'random-chunk', '--k', '1', '--chunk-tokens', '8'],
      ['--emit-sql', 'spark', ...named, '--strategy', 'first', '--k', '1'],
      ['--emit-sql', 'oracle', ...named, ...random],
    ]) {
      expect((await runCli('select', ...argv)).code, argv.join(' ')).toBe(2);
    }
  });
});

describe('byteSize()', () => {
  it('reads decimal and binary units', () => {
    const read = byteSize('--memory');
    expect(['1', '256MB', '1.5 GiB', '2kb', '1TiB'].map(read)).toEqual([
      1,
      256e6,
      1.5 * 2 ** 30,
      2000,
      2 ** 40,
    ]);
    for (const text of ['', '0', '-1', '1XB', 'MB', '1e3', '9999999TB'])
      expect(() => read(text)).toThrow('--memory');
    expect([1, 1023, 1536, 2 ** 31].map(renderBytes)).toEqual(['1 B', '1023 B', '1.50 KiB', '2.00 GiB']);
  });
});

describe('the manifest of select', () => {
  it('goes where it is told', async () => {
    const out = join(folder, 'elsewhere.arrow');
    const manifest = join(folder, 'elsewhere.json');
    await runJson('select', table, ...random, '--out', out, '--manifest', manifest);
    expect(JSON.parse(readFileSync(manifest, 'utf8'))).toMatchObject({ output: { path: 'elsewhere.arrow' } });
    expect((await runCli('verify', manifest)).code).toBe(0);
  });
});
