import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Float64, type Table, vectorFromArray } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClickhouse } from '../../selection/engines/clickhouse.ts';
import { openDuckdb } from '../../selection/engines/duckdb.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { readRecords, type Records } from '../../selection/records.ts';
import { contributionsSql, maximumPerUserSql, selectionSql } from '../../selection/sql/index.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { serverProgram, startCluster, type TestCluster } from './clickhouse-cluster.ts';
import { cap, expectedPairs, freeOutput, openOne, outputOf, pairsOf, requestOn } from './engine-checks.ts';
import { failureOf, int64, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';

const program = serverProgram();
if (program === undefined)
  console.log(
    'The cluster tests are skipped: there is no clickhouse-server. Install Debian’s package of that name.',
  );

const folder = temporaryFolder();
const names = { user: 'user', id: 'id' };
const roles = { ...names, text: 'text', score: 'score' };

/** A small generator (mulberry32), so that every run has the same rows. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Row {
  readonly user: string;
  readonly id: number;
  readonly text: string;
  readonly score: number;
  readonly shard: number;
}

/** One user has half of all rows, the others a heavy tail; any row may lie on either shard. */
function generatedRows(count: number): Row[] {
  const next = generator(7);
  return Array.from({ length: count }, (_, id) => {
    const other = Math.floor(3000 * next() ** 3);
    const user = next() < 0.5 ? 'höt\t"user"' : `u'${other}\\\u{1f600}`;
    const text = 'né\n\\'.repeat(Math.floor(12 * next()));
    return { user, id, text, score: Math.floor(50 * next()) / 8, shard: next() < 0.5 ? 0 : 1 };
  });
}

function tableOf(rows: readonly Row[]): Table {
  return tableOfColumns({
    user: texts(rows.map(({ user }) => user)),
    id: int64(rows.map(({ id }) => BigInt(id))),
    text: texts(rows.map(({ text }) => text)),
    score: vectorFromArray(
      rows.map(({ score }) => score),
      new Float64(),
    ),
  });
}

const cells: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n' };

function tabSeparated(rows: readonly Row[]): string {
  const quoted = (text: string): string => text.replace(/[\\\t\n]/g, found => cells[found]!);
  return rows
    .map(({ user, id, text, score }) => `${quoted(user)}\t${id}\t${quoted(text)}\t${score}\n`)
    .join('');
}

const rows = generatedRows(100_000);
const table = tableOf(rows);

const suite = program === undefined ? describe.skip : describe;

suite('clickhouse on two shards', () => {
  let cluster: TestCluster;
  let records: Records;

  beforeAll(async () => {
    cluster = await startCluster(program!, join(folder, '.'));
    const columns = 'user String, id UInt64, text String, score Float64';
    for (const [shard, server] of cluster.servers.entries()) {
      await server.run(`CREATE TABLE part (${columns}) ENGINE = MergeTree ORDER BY id`);
      await server.run(`CREATE TABLE records AS part ENGINE = Distributed(shards, default, part, rand())`);
      const own = rows.filter(row => row.shard === shard);
      await server.run('INSERT INTO part FORMAT TabSeparated', tabSeparated(own));
    }
    records = readRecords(table, { ...roles, file: 'generated' });
  });

  afterAll(async () => {
    await cluster.stop();
  });

  const request = (options: Partial<SelectionRequest> = {}): SelectionRequest =>
    requestOn({ url: cluster.urlOf('records') }, { folder, columns: roles, ...options });

  it.each(['random', 'longest', 'shortest', 'highest-perplexity', 'lowest-perplexity'] as const)(
    'keeps by %s what the typed arrays and DuckDB keep, in the same order',
    async strategy => {
      const rule = { ...cap, strategy, seed: "it's \\ \n \u{1f600}" };
      const own = request({ rule });
      const kept = pairsOf(await outputOf(await openClickhouse(), own), names);
      expect(kept).toEqual(await expectedPairs(records, own));
      const path = join(folder, `generated-${strategy}.parquet`);
      await writeTable(table, path);
      const onFile = requestOn(await openOne(path), { folder, columns: roles, rule });
      expect(pairsOf(await outputOf(await openDuckdb(), onFile), names)).toEqual(kept);
    },
  );

  it('measures by code points too, and writes Arrow with the columns as they are', async () => {
    const own = request({ rule: { ...cap, strategy: 'longest' }, lengthUnit: 'codepoints' });
    const kept = await outputOf(await openClickhouse(), own, 'arrow');
    expect(kept.schema.fields.map(({ name, type }) => `${name} ${String(type)}`)).toEqual([
      'user Utf8',
      'id Uint64',
      'text Utf8',
      'score Float64',
    ]);
    expect(pairsOf(kept, names)).toEqual(await expectedPairs(records, own));
    const texts = new Map(rows.map(({ id, text }) => [BigInt(id), text]));
    const ids: bigint[] = kept.getChild('id')!.toJSON();
    expect(kept.getChild('text')!.toJSON()).toEqual(ids.map(id => texts.get(id)));
  });

  it('surveys as the typed arrays count, and knows the server', async () => {
    const engine = await openClickhouse();
    const { contributions, recordsIn } = await engine.survey(request());
    const counts = new Map<string, number>();
    for (const { user } of rows) counts.set(user, (counts.get(user) ?? 0) + 1);
    const expected = new Map<number, number>();
    for (const count of counts.values()) expected.set(count, (expected.get(count) ?? 0) + 1);
    expect([...contributions].sort(([a], [b]) => a - b)).toEqual([...expected].sort(([a], [b]) => a - b));
    expect(recordsIn).toBe(rows.length);
    expect(await engine.version()).toMatch(/^\d+\.\d+/);
  });

  it('runs the statements of the contract as they are', async () => {
    const source = { dialect: 'clickhouse-limit-by', table: 'default.records', columns: roles } as const;
    const [server] = cluster.servers;
    const kept = selectionSql({ ...source, rule: { ...cap, strategy: 'longest' } });
    await server!.run(`CREATE TABLE kept ENGINE = Memory AS ${kept}`);
    expect(await server!.run(maximumPerUserSql({ ...source, table: 'default.kept' }))).toBe('5\n');
    const histogram = await server!.run(contributionsSql({ ...source, table: 'default.kept' }));
    expect(
      histogram
        .trimEnd()
        .split('\n')
        .map(line => line.split('\t')[0]),
    ).toEqual(['1', '2', '3', '4', '5']);
  });

  it('stops the statement of the contract at a record that the contract refuses', async () => {
    const [server] = cluster.servers;
    await server!.run('CREATE TABLE bad (user String, id String, score Float64) ENGINE = Memory');
    await server!.run("INSERT INTO bad VALUES ('a', '1', 1), ('a', '', 2)");
    const sql = selectionSql({ dialect: 'clickhouse-limit-by', table: 'bad', columns: names, rule: cap });
    await expect(server!.run(sql)).rejects.toThrow('throwIf');
  });

  describe('on small tables', () => {
    const make = async (name: string, columns: string, values: string): Promise<SelectionRequest> => {
      await cluster.servers[0]!.run(`CREATE TABLE ${name} (${columns}) ENGINE = Memory`);
      await cluster.servers[0]!.run(`INSERT INTO ${name} VALUES ${values}`);
      return request({ source: { url: cluster.urlOf(name) }, columns: names });
    };

    it('carries the common types, nulls and lists', async () => {
      const own = await make(
        'types',
        'user Int32, id UInt8, a Int64, b UInt64, c Float32, d Nullable(String), e Date, f DateTime, g Array(Nullable(Int16)), h Array(Array(String))',
        `(-5, 1, -9007199254740993, 18446744073709551615, 0.5, NULL, '2020-02-03', toDateTime(1580688000), [1, NULL], [['x'], []]),
         (10, 2, 0, 0, nan, 'né', '1970-01-01', toDateTime(0), [], [])`,
      );
      const kept = await outputOf(await openClickhouse(), own, 'arrow');
      expect(kept.schema.fields.map(({ type }) => String(type))).toEqual([
        'Int32',
        'Uint8',
        'Int64',
        'Uint64',
        'Float32',
        'Utf8',
        'Date32<DAY>',
        'Timestamp<SECOND, UTC>',
        'List<Int16>',
        'List<List<Utf8>>',
      ]);
      const shown = kept.toArray().map(row =>
        JSON.stringify(row.toJSON(), (_, value: unknown) => {
          return typeof value === 'bigint' ? String(value) : value;
        }),
      );
      expect(shown).toEqual([
        '{"user":-5,"id":1,"a":"-9007199254740993","b":"18446744073709551615","c":0.5,"d":null,"e":1580688000000,"f":1580688000000,"g":[1,null],"h":[["x"],[]]}',
        '{"user":10,"id":2,"a":"0","b":"0","c":null,"d":"né","e":0,"f":0,"g":[],"h":[]}',
      ]);
      expect(pairsOf(await outputOf(await openClickhouse(), own, 'parquet'), names)).toHaveLength(2);
    });

    it('drops null and empty users where asked to', async () => {
      const own = await make(
        'gaps',
        'user Nullable(String), id Nullable(String)',
        "(NULL, '1'), ('', '2'), ('b', '3')",
      );
      const output = freeOutput(folder, 'parquet');
      const counts = await (await openClickhouse()).select({ ...own, nullUsers: 'drop' }, output);
      expect([counts.recordsIn, counts.dropped]).toEqual([3, { nullUsers: 2, duplicates: 0 }]);
      const refused = await failureOf(async () => (await openClickhouse()).survey(own));
      expect([refused.code, refused.message]).toEqual([
        'NULL_USER',
        expect.stringContaining('the user of 2 rows is null or empty'),
      ]);
    });

    it.each([
      ['repeated ids', 'user String, id String', "('secret', '1'), ('secret', '1')", 'DUPLICATE_RECORD'],
      ['an empty id', 'user String, id String', "('secret', '1'), ('secret', '')", 'INVALID_DATA'],
      ['NUL in a user', 'user String, id String', "('secret', '1'), ('sec\\0ret', '2')", 'INVALID_DATA'],
      ['invalid UTF-8', 'user String, id String', "('secret', '1'), (unhex('73FF'), '2')", 'INVALID_DATA'],
      ['a user of bytes', 'user FixedString(6), id String', "('secret', '1')", 'INVALID_DATA'],
      ['a user of floats', 'user Float64, id String', "(1.5, '1')", 'INVALID_DATA'],
      ['a missing column', 'person String, id String', "('secret', '1')", 'MISSING_COLUMN'],
    ])('refuses %s without telling users', async (what, columns, values, code) => {
      const own = await make(`bad_${what.replaceAll(/\W/g, '_')}`, columns, values);
      const output = freeOutput(folder, 'parquet');
      const failure = await failureOf(async () => (await openClickhouse()).select(own, output));
      expect(failure.code).toBe(code);
      expect(failure.message).not.toContain('secret');
    });

    it('refuses scores that are NaN', async () => {
      const own = await make('scores', 'user String, id String, score Float64', "('a', '1', nan)");
      const failure = await failureOf(async () =>
        (await openClickhouse()).survey({ ...own, columns: { ...names, score: 'score' } }),
      );
      expect(failure.code).toBe('INVALID_DATA');
    });

    it('refuses an empty table, an absent one, and what a database cannot know', async () => {
      const own = await make('single', 'user String, id String', "('a', '1')");
      await cluster.servers[0]!.run('CREATE TABLE nothing (user String, id String) ENGINE = Memory');
      const engine = await openClickhouse();
      const code = async (options: Partial<SelectionRequest>): Promise<string> =>
        (await failureOf(() => engine.survey({ ...own, ...options }))).code;
      expect(await code({ source: { url: cluster.urlOf('nothing') } })).toBe('INVALID_DATA');
      expect(await code({ source: { url: cluster.urlOf('absent') } })).toBe('ENGINE_UNAVAILABLE');
      expect(await code({ rule: { ...cap, strategy: 'first' } })).toBe('INVALID_ARGUMENT');
      expect(await code({ duplicates: 'keep-first' })).toBe('INVALID_ARGUMENT');
      expect(await code({ columns: { user: 'user', id: null } })).toBe('INVALID_ARGUMENT');
      expect(await code({ rule: { ...cap, tokensPerUser: 2 } })).toBe('INVALID_ARGUMENT');
    });

    it('asks for a password and never shows one', async () => {
      const own = await make('locked', 'user String, id String', "('a', '1')");
      const url = cluster.urlOf('locked').replace('//', '//guarded@');
      const engine = await openClickhouse();
      const failure = await failureOf(() => engine.survey({ ...own, source: { url } }));
      expect([failure.code, failure.message]).toEqual([
        'ENGINE_UNAVAILABLE',
        expect.stringContaining('CLICKHOUSE_PASSWORD'),
      ]);
      const right = url.replace('guarded', `guarded:${encodeURIComponent('pass:w/rd')}`);
      expect((await engine.survey({ ...own, source: { url: right } })).recordsIn).toBe(1);
      const wrong = url.replace('guarded', 'guarded:letmein');
      expect(
        (await failureOf(() => engine.survey({ ...own, source: { url: wrong } }))).message,
      ).not.toContain('letmein');
    });

    it('takes names with quotes and backslashes', async () => {
      const name = 'odd `table` \\ "x"';
      const server = cluster.servers[0]!;
      const quoted = `\`${name.replaceAll(/[`\\]/g, found => `\\${found}`)}\``;
      await server.run(`CREATE TABLE ${quoted} (\`a\\\`b\` String, \`c\\\\d\` String) ENGINE = Memory`);
      await server.run(`INSERT INTO ${quoted} VALUES ('x', '1'), ('x', '2')`);
      const columns = { user: 'a`b', id: 'c\\d' };
      const own = request({
        source: { url: cluster.urlOf(name) },
        columns,
        rule: { ...cap, recordsPerUser: 1 },
      });
      expect(pairsOf(await outputOf(await openClickhouse(), own), columns)).toHaveLength(1);
    });
  });

  it('stops when interrupted', async () => {
    const controller = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage === 'select') setTimeout(() => controller.abort(), 5);
    };
    const own = request({ signal: controller.signal, onProgress });
    const engine = await openClickhouse();
    const failure = await failureOf(() => engine.select(own, freeOutput(folder, 'parquet')));
    expect(failure.code).toBe('INTERRUPTED');
  });

  it('says where nobody answers', async () => {
    const source = { url: 'clickhouse://127.0.0.1:9/default/records' };
    const failure = await failureOf(async () => (await openClickhouse()).survey(request({ source })));
    expect([failure.code, failure.message]).toEqual([
      'ENGINE_UNAVAILABLE',
      expect.stringContaining('ECONNREFUSED'),
    ]);
  });

  it('writes the same bytes again', async () => {
    const outputs = [1, 2].map(threads => ({ threads, output: freeOutput(folder, 'parquet') }));
    for (const { threads, output } of outputs)
      await (await openClickhouse()).select(request({ threads }), output);
    const [one, two] = outputs.map(({ output }) => readFileSync(output.path));
    expect(one!.equals(two!)).toBe(true);
    expect(readdirSync(join(outputs[0]!.output.path, '..'))).toHaveLength(1);
  });
});
