import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  Bool,
  type DataType,
  DateDay,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  List,
  Struct,
  type Table,
  TimestampMicrosecond,
  TimestampMillisecond,
  Uint64,
  Uint8,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import * as fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { keptIdsDigest } from '../../selection/digest.ts';
import { openDuckdb } from '../../selection/engines/duckdb.ts';
import { readRecords } from '../../selection/records.ts';
import { collectTable, openTables } from '../../selection/tables/table-source.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { cap, expectedPairs, freeOutput, openOne, outputOf, pairsOf, requestOn } from './engine-checks.ts';
import {
  failureOf,
  int32,
  int64,
  recordsTable,
  someRecords,
  strategies,
  tableOfColumns,
  temporaryFolder,
  texts,
} from './fixtures.ts';

const folder = temporaryFolder();
const engine = await openDuckdb();
let files = 0;

async function written(table: Table, extension = 'parquet'): Promise<string> {
  const path = join(folder, `table-${files++}.${extension}`);
  await writeTable(table, path);
  return path;
}

function writtenText(extension: string, content: string | Buffer): string {
  const path = join(folder, `text-${files++}.${extension}`);
  writeFileSync(path, content);
  return path;
}

const names = { user: 'user', id: 'id' };

describe('duckdb against the typed arrays', () => {
  it('keeps the same records in the same order, whatever the rule', async () => {
    const rules = fc.record({
      strategy: fc.constantFrom(...strategies),
      seed: fc.constantFrom('42', "o'clock \\ \n \u{1f600}"),
      recordsPerUser: fc.integer({ min: 1, max: 4 }),
    });
    const units = fc.constantFrom('bytes' as const, 'codepoints' as const);
    await fc.assert(
      fc.asyncProperty(someRecords, rules, units, async (rows, rule, lengthUnit) => {
        const source = await openOne(await written(recordsTable(rows)));
        const columns = { user: 'user', id: 'id', text: 'text', score: 'score' };
        const request = requestOn(source, { folder, rule, lengthUnit, columns });
        expect(pairsOf(await outputOf(engine, request), names)).toEqual(await expectedPairs(source, request));
      }),
      { numRuns: 40 },
    );
  });

  it('keeps the same records where users and ids are whole numbers, some users are null and ids repeat', async () => {
    const row = fc.record({
      user: fc.option(fc.integer({ min: -3, max: 12 })),
      id: fc.bigInt({ min: -4n, max: 30n }),
      text: fc.constantFrom('a', 'né', ''),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 60 }), async rows => {
        const table = tableOfColumns({
          user: int32(rows.map(({ user }) => user)),
          id: int64(rows.map(({ id }) => id)),
          text: texts(rows.map(({ text }) => text)),
        });
        const source = await openOne(await written(table));
        const rule = { ...cap, recordsPerUser: 2 };
        const request = requestOn(source, { folder, rule, nullUsers: 'drop', duplicates: 'keep-first' });
        const output = freeOutput(folder, 'parquet');
        const counts = await engine.select(request, output);
        const records = readRecords(table, { ...request.columns, ...request, file: 'x' });
        expect(pairsOf(await collectTable(await openOne(output.path)), names)).toEqual(
          await expectedPairs(records, request),
        );
        expect(counts.dropped).toEqual(records.dropped);
        expect(counts.recordsIn).toBe(rows.length);
      }),
      { numRuns: 25 },
    );
  });
});

const corpora = hasShared ? describe : describe.skip;
const shakespeare = { random: '270f1f769b05a711', longest: 'd1b9efbfd4e73195', shortest: 'd7deec638dc11a2d' };
const clarissa = { random: '0222342b10f8002b', longest: '11b3673f83711d67', shortest: 'd4fed4b3b1aab476' };

// Skipped only where there is no ../shared/data beside the checkout.
corpora('duckdb on the reference corpora', () => {
  it.each([
    ['shakespeare-speeches.parquet', shakespeare],
    ['shakespeare-speeches.arrow', shakespeare],
    ['shakespeare-speeches.jsonl', shakespeare],
    ['letters-clarissa.parquet', clarissa],
  ] as const)('gives the golden digests on %s', async (file, digests) => {
    const source = await openOne(sharedPath(`data/${file}`));
    const columns = { user: 'user', id: 'record_id', text: 'text' };
    for (const strategy of ['random', 'longest', 'shortest'] as const) {
      const kept = await outputOf(engine, requestOn(source, { folder, columns, rule: { ...cap, strategy } }));
      const ids: string[] = kept.getChild('record_id')!.toJSON();
      expect(keptIdsDigest(ids)).toBe(digests[strategy]);
    }
  });

  it('surveys without writing', async () => {
    const source = await openOne(sharedPath('data/shakespeare-speeches.parquet'));
    const columns = { user: 'user', id: 'record_id' };
    const counts = await engine.survey(requestOn(source, { folder, columns }));
    const users = [...counts.contributions.values()].reduce((sum, count) => sum + count, 0);
    expect([counts.recordsIn, users, Math.max(...counts.contributions.keys())]).toEqual([14274, 595, 359]);
  });
});

const three = recordsTable([
  { user: 'bo', id: '2', text: 'né', score: 2 },
  { user: 'ada', id: '1', text: 'x', score: 1 },
  { user: 'bo', id: '1', text: '', score: 3 },
]);

describe('duckdb input', () => {
  it('reads CSV as our reader does: empty cells, quotes, line ends, a byte order mark, ids with zeros', async () => {
    const path = writtenText(
      'csv',
      '\ufeffuser,id,text\r\nbo,02,\r\n"b ""o""",2,"x\r\ny"\r\n\r\nbo,2,NULL\r\n',
    );
    const source = await openOne(path);
    const kept = await outputOf(engine, requestOn(source, { folder }));
    expect(kept.getChild('text')!.toJSON()).toEqual(['x\r\ny', '', 'NULL']);
    expect(pairsOf(kept, names)).toEqual(['["b \\"o\\"","2"]', '["bo","02"]', '["bo","2"]']);
  });

  it('reads packed JSON lines of many files with nested values', async () => {
    const lines = '{"user":"bo","id":7,"text":"2020-01-01","tags":["x"]}\n';
    const other = '{"user":"ada","id":8,"text":"b","tags":[]}\n{"user":"bo","id":9,"text":"c","tags":null}\n';
    const paths = [writtenText('jsonl.gz', gzipSync(lines)), writtenText('jsonl', other)];
    const source = await openTables(paths);
    const kept = await outputOf(engine, requestOn(source, { folder }));
    expect(kept.toArray().map(row => JSON.stringify(row.toJSON()['tags']))).toEqual(['[]', '["x"]', 'null']);
    expect(kept.getChild('text')!.toJSON()).toEqual(['b', '2020-01-01', 'c']);
  });

  it('takes file names with the characters of patterns', async () => {
    const paths = ['a[1]*?.parquet', 'a1zz.parquet', "it's.parquet"].map(name => join(folder, name));
    const tables = [['1'], ['2'], ['3']].map(ids => tableOfColumns({ user: texts(['bo']), id: texts(ids) }));
    for (const [index, path] of paths.entries()) await writeTable(tables[index]!, path);
    const columns = { user: 'user', id: 'id' };
    const request = requestOn(await openTables([paths[0]!, paths[2]!]), { folder, columns });
    expect(pairsOf(await outputOf(engine, request), names)).toEqual(['["bo","1"]', '["bo","3"]']);
  });

  it('numbers rows by file where there is no id column, and adds the numbers', async () => {
    const path = await written(three.select(['user', 'text']));
    const request = requestOn(await openOne(path), { folder, columns: { user: 'user', id: null } });
    const kept = await outputOf(engine, request);
    expect(kept.getChild('record_id')!.toJSON()).toEqual([2, 1, 3].map(row => `${basename(path)}:${row}`));
  });
});

function listOf(type: DataType): List {
  return new List(new Field('item', type, true));
}

/** Rows as JSON, with timestamps and whole numbers as they read. */
function plainRows(table: Table): string[] {
  return table
    .toArray()
    .map(row =>
      JSON.stringify(row.toJSON(), (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      ),
    );
}

describe('duckdb output', () => {
  it('is the same as Parquet and as Arrow, every column with its type', async () => {
    const table = tableOfColumns({
      user: texts(['bo', 'ada']),
      id: int64([2n, 1n]),
      list: vectorFromArray([['x', null], null], new List(new Field('item', new Utf8(), true))),
      number: vectorFromArray([1.5, null], new Float64()),
      count: vectorFromArray([7, 8], new Int32()),
    });
    const request = requestOn(await openOne(await written(table)), { folder, columns: names });
    const kept = await Promise.all([
      outputOf(engine, request, 'arrow'),
      outputOf(engine, request, 'parquet'),
    ]);
    for (const out of kept) {
      expect(out.schema.fields.map(({ type }) => String(type))).toEqual([
        'Utf8',
        'Int64',
        'List<Utf8>',
        'Float64',
        'Int32',
      ]);
      expect(out.toArray().map(row => JSON.stringify({ ...row.toJSON(), id: 0 }))).toEqual([
        '{"user":"ada","id":0,"list":null,"number":null,"count":8}',
        '{"user":"bo","id":0,"list":["x",null],"number":1.5,"count":7}',
      ]);
    }
  });

  it.each(['arrow', 'parquet'])('keeps what columns of many types hold, from %s', async extension => {
    const struct = new Struct([new Field('a', new Int32(), true), new Field('b', new Utf8(), true)]);
    const table = tableOfColumns({
      user: vectorFromArray(['a', 'b', 'c'], new Dictionary(new Utf8(), new Int32())),
      id: texts(['1', '2', '3']),
      bool: vectorFromArray([true, null, false], new Bool()),
      int16: vectorFromArray([-7, null, 9], new Int16()),
      uint8: vectorFromArray([7, null, 255], new Uint8()),
      uint64: vectorFromArray([2n ** 64n - 1n, null, 1n], new Uint64()),
      float32: vectorFromArray([0.5, null, -2], new Float32()),
      day: vectorFromArray([new Date('2020-02-03'), null, new Date(0)], new DateDay()),
      micro: vectorFromArray([1580688000000, null, 0], new TimestampMicrosecond()),
      milli: vectorFromArray([1580688000123, null, 5], new TimestampMillisecond('UTC')),
      struct: vectorFromArray([{ a: 1, b: 'x' }, null, { a: null, b: 'né' }], struct),
      deep: vectorFromArray([[[1], []], null, [null, [2]]], listOf(listOf(new Int32()))),
      empty: texts([null, null, null]),
    });
    const request = requestOn(await openOne(await written(table, extension)), { folder, columns: names });
    const kept = await outputOf(engine, request);
    expect(plainRows(kept)).toEqual(plainRows(table));
    const types = kept.schema.fields.map(({ type }) => String(type));
    expect(types.slice(2, 9)).toEqual(table.schema.fields.map(({ type }) => String(type)).slice(2, 9));
  });

  it('writes no text but where the rows are', async () => {
    const rows = ['m', 'a', 'z'].map(id => {
      return { user: `somebody called ${id}`, id, text: `private words of ${id}`, score: 0 };
    });
    const output = freeOutput(folder, 'parquet');
    await engine.select(requestOn(await openOne(await written(recordsTable(rows))), { folder }), output);
    const content = readFileSync(output.path).toString('latin1');
    for (const { user, text } of rows) {
      for (const cell of [user, text]) expect(content.split(cell).length - 1).toBeLessThanOrEqual(1);
    }
  });

  it('ranks a cap beyond what heaps hold', async () => {
    const rows = Array.from({ length: 10_050 }, (_, i) => {
      return { user: 'u', id: `i${i}`, text: 'x'.repeat(i % 3), score: 0 };
    });
    const source = await openOne(await written(recordsTable(rows)));
    const rule = { ...cap, strategy: 'longest', recordsPerUser: 10_001 } as const;
    const request = requestOn(source, { folder, rule });
    expect(pairsOf(await outputOf(engine, request), names)).toEqual(await expectedPairs(source, request));
  });

  it('has the same bytes whatever the number of threads, and no user or text in its footer', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => {
      return { user: `secret-${i % 700}`, id: `i${i}`, text: `private words ${i}`, score: 0 };
    });
    const source = await openOne(await written(recordsTable(rows)));
    const outputs = [1, 2].map(threads => ({ threads, output: freeOutput(folder, 'parquet') }));
    for (const { threads, output } of outputs)
      await engine.select(requestOn(source, { folder, threads }), output);
    const [one, two] = outputs.map(({ output }) => readFileSync(output.path));
    expect(one!.equals(two!)).toBe(true);
    const footer = one!.subarray(one!.length - 8 - one!.readUInt32LE(one!.length - 8)).toString('latin1');
    expect(footer).not.toMatch(/secret|private/);
    const { buffer, byteOffset, byteLength } = Uint8Array.from(one!);
    const metadata = parquetMetadata(buffer.slice(byteOffset, byteOffset + byteLength));
    const columns = metadata.row_groups.flatMap(group => group.columns);
    expect(columns.map(column => column.meta_data?.statistics)).toEqual(columns.map(() => undefined));
  });
});

const nul = 'a\0b';

describe('duckdb refuses what readRecords refuses, in the same words', () => {
  it.each([
    ['a null user', { user: texts(['a', null]), id: texts(['1', '2']) }],
    ['an empty user', { user: texts(['a', '']), id: texts(['1', '2']) }],
    ['a null id', { user: texts(['a', 'b']), id: texts(['1', null]) }],
    ['an empty id', { user: texts(['a', 'b']), id: texts(['1', '']) }],
    ['a repeated id', { user: texts(['a', 'b', 'a']), id: texts(['1', '1', '1']) }],
    ['NUL in a user', { user: texts(['a', nul]), id: texts(['1', '2']) }],
    ['NUL in an id', { user: texts(['a', 'b']), id: texts(['1', nul]) }],
    ['NUL in a text', { user: texts(['a', 'b']), id: texts(['1', '2']), text: texts(['x', nul]) }],
    ['a null text', { user: texts(['a', 'b']), id: texts(['1', '2']), text: texts(['x', null]) }],
    ['a user of floats', { user: vectorFromArray([1.5]), id: texts(['1']) }],
    ['a missing column', { person: texts(['a']), id: texts(['1']) }],
  ])('%s', async (_, columns) => {
    const table = tableOfColumns(columns);
    const source = await openOne(await written(table));
    const roles = { user: 'user', id: 'id', ...('text' in columns && { text: 'text' }) };
    const output = freeOutput(folder, 'parquet');
    const failure = await failureOf(() =>
      engine.select(requestOn(source, { folder, columns: roles }), output),
    );
    const ours = await failureOf(() => readRecords(table, { ...roles, file: source.files[0]!.name }));
    expect([failure.code, failure.message]).toEqual([ours.code, ours.message]);
    expect(readdirSync(join(output.path, '..'))).toEqual([]);
  });

  it.each([
    ['null', [1, null]],
    ['NaN', [1, NaN]],
  ])('a score that is %s', async (_, values) => {
    const table = tableOfColumns({
      user: texts(['a', 'a']),
      id: texts(['1', '2']),
      score: vectorFromArray(values, new Float64()),
    });
    const columns = { ...names, score: 'score' };
    const request = requestOn(await openOne(await written(table)), { folder, columns });
    const failure = await failureOf(() => engine.survey(request));
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining('the score of row 2 is null or no number'),
    ]);
  });

  it('text that is no UTF-8, with its row and without its content', async () => {
    const path = await written(
      recordsTable([{ user: 'hidden-user', id: '1', text: 'hidden-text', score: 0 }]),
    );
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('hidden-text')] = 0xff;
    writeFileSync(path, bytes);
    const failure = await failureOf(async () => engine.survey(requestOn(await openOne(path), { folder })));
    expect(failure.code).toBe('INVALID_DATA');
    expect(failure.message).toContain('column "text" holds invalid UTF-8 in row 1');
    expect(`${failure.message}${String(failure.cause)}`).not.toContain('hidden');
  });
});
