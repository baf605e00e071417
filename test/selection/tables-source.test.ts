import { appendFile, rename, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Dictionary, Int32, Int8, Utf8, vectorFromArray } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { textTable, writeTable } from '../../selection/tables/index.ts';
import { collectTable, openTables, type OpenTablesOptions } from '../../selection/tables/table-source.ts';
import { failureOf, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';
import { fixture, fixtureColumns, readAll } from './tables-support.ts';

const folder = temporaryFolder();
let files = 0;

async function file(content: string | Uint8Array, extension: string): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeFile(path, content);
  return path;
}

async function arrow(columns: Parameters<typeof tableOfColumns>[0], extension = 'arrow'): Promise<string> {
  const path = join(folder, `${files++}.${extension}`);
  await writeTable(tableOfColumns(columns), path);
  return path;
}

async function columnsOf(
  paths: readonly string[],
  options?: OpenTablesOptions,
): Promise<Record<string, unknown[]>> {
  return (await readAll(await openTables(paths, options))).columns;
}

describe('openTables() on several files', () => {
  it('counts rows over all files and within each', async () => {
    const paths = [
      await file('a\n1\n2\n', 'csv'),
      await file('a\n3\n', 'csv'),
      await file('a\n4\n5\n', 'csv'),
    ];
    const source = await openTables(paths);
    const { columns, places } = await readAll(source);
    expect(columns).toEqual({ a: ['1', '2', '3', '4', '5'] });
    expect(places).toEqual([
      [0, 0, 0],
      [1, 2, 0],
      [2, 3, 0],
    ]);
    expect(source.files.map(({ path, format, bytes }) => [path, format, bytes])).toEqual([
      [paths[0], 'csv', 6],
      [paths[1], 'csv', 4],
      [paths[2], 'csv', 6],
    ]);
  });

  it('gives the same rows in every pass', async () => {
    const source = await openTables([fixture(folder, 'plain.arrow'), fixture(folder, 'groups.parquet')]);
    const first = await readAll(source);
    expect(await readAll(source)).toEqual(first);
    expect(first.columns['user']).toEqual([...fixtureColumns['user']!, ...fixtureColumns['user']!]);
    expect(first.places.map(([index, row]) => [index, row])).toEqual([
      [0, 0],
      [0, 3],
      [0, 6],
      [1, 8],
      [1, 11],
      [1, 14],
    ]);
  });

  it('takes columns by name, whatever their order in each file', async () => {
    expect(await columnsOf([await file('a,b\n1,2\n', 'csv'), await file('b,a\n4,3\n', 'csv')])).toEqual({
      a: ['1', '3'],
      b: ['2', '4'],
    });
  });

  it('finds the type of a key over all files of JSON lines, null where a file lacks it', async () => {
    const paths = [await file('{"a":1,"b":"x"}\n', 'jsonl'), await file('{"a":0.5,"c":[true]}\n', 'jsonl')];
    const source = await openTables(paths);
    expect(source.schema.fields.map(field => String(field.type))).toEqual(['Float64', 'Utf8', 'List<Bool>']);
    expect((await readAll(source)).columns).toEqual({ a: [1, 0.5], b: ['x', null], c: [null, [true]] });
  });

  it('undoes dictionaries where a file has plain text, and widens indices where they differ', async () => {
    const coded = vectorFromArray(['x', null, 'x'], new Dictionary(new Utf8(), new Int8()));
    const wide = vectorFromArray(['y', 'x'], new Dictionary(new Utf8(), new Int32()));
    const narrowFile = await arrow({ a: coded });
    const plain = await openTables([narrowFile, await arrow({ a: texts(['z']) })]);
    expect(String(plain.schema.fields[0]!.type)).toBe('Utf8');
    expect((await readAll(plain)).columns).toEqual({ a: ['x', null, 'x', 'z'] });
    const both = await openTables([narrowFile, await arrow({ a: wide })]);
    expect(String(both.schema.fields[0]!.type)).toBe('Dictionary<Int32, Utf8>');
    expect((await readAll(both)).columns).toEqual({ a: ['x', null, 'x', 'y', 'x'] });
  });

  it('takes a column of nothing but nulls as any type', async () => {
    const list = await file('{"a":["x"],"b":1}\n', 'jsonl');
    const none = await file('{"a":null,"b":null}\n', 'jsonl');
    const converted = join(folder, `${files++}.arrow`);
    const source = await openTables([none]);
    await writeTable(await collectTable(source), converted);
    expect(await columnsOf([list, converted])).toEqual({ a: [['x'], null], b: [1n, null] });
  });

  it.each([
    ['a column that the first lacks', 'a\n1\n', 'a,extra\n1,2\n', '"extra"'],
    ['a column less', 'a,gone\n1,2\n', 'a\n1\n', '"gone"'],
  ])('refuses %s, and says in which file', async (_, one, other, column) => {
    const paths = [await file(one, 'csv'), await file(other, 'csv')];
    const { code, message } = await failureOf(() => openTables(paths));
    expect(code).toBe('INVALID_DATA');
    expect(message).toContain(column);
    expect(message).toMatch(/Cannot read \d+\.csv: .*\(\d+\.csv\)\. Give files of one schema\.$/);
  });

  it('refuses another type, and names both', async () => {
    const paths = [await arrow({ a: texts(['x']) }), await file('{"a":1}\n', 'jsonl')];
    const { message } = await failureOf(() => openTables(paths));
    expect(message).toContain('"a" holds Int64 where the first file holds Utf8');
  });

  it('refuses no file at all, an empty one, and two columns of one name', async () => {
    expect((await failureOf(() => openTables([]))).code).toBe('INVALID_ARGUMENT');
    const empty = [await file('{"a":1}\n', 'jsonl'), await file('', 'jsonl')];
    expect((await failureOf(() => openTables(empty))).message).toMatch(/\d+\.jsonl: it is empty/);
    const twice = await file('a,a\n1,2\n', 'csv');
    expect((await failureOf(() => openTables([twice]))).message).toContain('"a"');
  });

  it('says which columns there are where one is missing', async () => {
    const source = await openTables([await file('a,b\n1,2\n', 'csv')]);
    const failure = await failureOf(() => readAll(source, { columns: ['user'] }));
    expect(failure.code).toBe('MISSING_COLUMN');
    expect(failure.message).toContain('"a", "b"');
  });
});

describe('batches() on a file that changes', () => {
  const content = '{"a":"x"}\n'.repeat(3);

  it.each<[string, (path: string) => Promise<void>]>([
    ['grew', path => appendFile(path, '{"a":"y"}\n')],
    ['was written again with the same size', path => writeFile(path, content.replaceAll('x', 'y'))],
    ['was touched', path => utimes(path, new Date(), new Date(2020, 1))],
    [
      'was replaced by another',
      async path => {
        await writeFile(`${path}.new`, content);
        await rename(`${path}.new`, path);
      },
    ],
  ])('refuses one that %s before the pass or within it', async (_, change) => {
    const before = await file(content, 'jsonl');
    const source = await openTables([before]);
    await readAll(source);
    await change(before);
    expect((await failureOf(() => readAll(source))).message).toContain('it changed while it was read');

    const within = await file(content, 'jsonl');
    const passes = (await openTables([within])).batches();
    await passes.next();
    await change(within);
    expect((await failureOf(() => passes.next())).message).toContain('it changed while it was read');
  });

  it('refuses one that is gone', async () => {
    const path = await arrow({ a: texts(['x']) });
    const source = await openTables([path]);
    await rename(path, `${path}.gone`);
    expect((await failureOf(() => readAll(source))).code).toBe('MISSING_FILE');
  });
});

describe('openTables() with onError: skip', () => {
  const skip: OpenTablesOptions = { onError: 'skip', longestRow: 60 };
  const invalid = Buffer.from([0x22, 0xff, 0x22]);

  const lines: [string, string | Buffer][] = [
    ['ok', '{"a":"x","n":1}'],
    ['invalid JSON', '{"a":'],
    ['no object', '["a"]'],
    ['mixed types', '{"a":1}'],
    ['mixed types', '{"late":true,"n":"text"}'],
    ['lone surrogate', '{"a":"\\ud800"}'],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"a":'), invalid, Buffer.from('}')])],
    ['NUL', '{"a":"\\u0000"}'],
    ['too long', `{"a":"${'x'.repeat(80)}"}`],
    ['ok', '{"a":"y","late":2}'],
  ];

  const counts = (kept: readonly [string, unknown][]): Map<string, number> => {
    const found = new Map<string, number>();
    for (const [reason] of kept) if (reason !== 'ok') found.set(reason, (found.get(reason) ?? 0) + 1);
    return found;
  };

  function joined(rows: readonly (string | Buffer)[], end: string): Buffer {
    return Buffer.concat(rows.flatMap(row => [Buffer.from(row), Buffer.from(end)]));
  }

  it.each(['\n', '\r\n'])('leaves out and counts faulty JSON lines, in every pass (ends %j)', async end => {
    const content = joined(
      lines.map(([, line]) => line),
      end,
    );
    for (const path of [await file(content, 'jsonl'), await file(gzipSync(content), 'jsonl.gz')]) {
      const source = await openTables([path], skip);
      for (let pass = 0; pass < 2; pass++) {
        const { columns } = await readAll(source);
        expect(columns).toEqual({ a: ['x', 'y'], n: [1n, null], late: [null, 2n] });
        expect(source.skipped).toEqual(counts(lines));
      }
    }
  });

  it.each(lines.filter(([reason]) => reason !== 'ok' && reason !== 'NUL'))(
    'refuses by default a line with fault %s, and says which',
    async (reason, line) => {
      const path = await file(joined(['{"a":"x","n":1}', '', line], '\n'), 'jsonl');
      const { code, message } = await failureOf(() => openTables([path], { longestRow: 60 }));
      expect(code).toBe('INVALID_DATA');
      expect(`${reason}: ${message}`).toContain('line 3');
    },
  );

  it('drops a line that is longer than memory should hold, wherever pieces end', async () => {
    const long = `{"a":"${'x'.repeat(3_000_000)}"}`;
    const path = await file(`{"a":"x"}\n${long}\n{"a":"y"}\n${long}`, 'jsonl');
    const source = await openTables([path], { onError: 'skip', longestRow: 1000 });
    expect((await readAll(source)).columns).toEqual({ a: ['x', 'y'] });
    expect(source.skipped).toEqual(new Map([['too long', 2]]));
  });

  const rows: [string, string | Buffer][] = [
    ['ok', 'x,y'],
    ['number of cells', 'x'],
    ['number of cells', 'x,y,z'],
    ['quotes', 'x"y,z'],
    ['invalid UTF-8', Buffer.concat([invalid, Buffer.from(',y')])],
    ['NUL', 'x\0,y'],
    ['too long', `x,${'y'.repeat(80)}`],
    ['ok', '"v\nw",'],
  ];

  it('leaves out and counts faulty CSV rows, in every pass', async () => {
    const content = joined(['a,b', ...rows.map(([, row]) => row)], '\n');
    const source = await openTables([await file(content, 'csv')], skip);
    for (let pass = 0; pass < 2; pass++) {
      expect((await readAll(source)).columns).toEqual({ a: ['x', 'v\nw'], b: ['y', ''] });
      expect(source.skipped).toEqual(counts(rows));
    }
  });

  it.each(rows.filter(([reason]) => reason !== 'ok' && reason !== 'NUL'))(
    'refuses by default a CSV row with fault %s, and says which',
    async (reason, row) => {
      const path = await file(joined(['a,b', 'x,y', row, 'x,y'], '\n'), 'csv');
      const { code, message } = await failureOf(() => openTables([path], { longestRow: 60 }));
      expect(code).toBe('INVALID_DATA');
      expect(`${reason}: ${message}`).toContain('row 2');
    },
  );

  it.each(['"x,y', '"x"y,z'])('does not skip what the quote of %s swallows', async row => {
    const path = await file(`a,b\nx,y\n${row}\n${'v,w\n'.repeat(20)}`, 'csv');
    expect((await failureOf(() => openTables([path], { onError: 'skip' }))).message).toContain('row 2');
  });

  it('does not skip whole numbers that were rounded when they were read', async () => {
    const path = await file('{"id":1}\n{"id":9007199254740993}\n', 'jsonl');
    expect((await failureOf(() => openTables([path], skip))).message).toContain('line 2');
  });

  it('gives 0 rows where all are faulty, and counts them', async () => {
    const source = await openTables([await file('nothing\n', 'jsonl')], skip);
    expect((await readAll(source)).places).toEqual([]);
    expect(source.skipped).toEqual(new Map([['invalid JSON', 1]]));
  });
});

describe('batches()', () => {
  it('cuts long texts into batches that stay small', async () => {
    const text = 'x'.repeat(2 ** 20);
    const path = join(folder, 'long.parquet');
    await writeTable(textTable({ text: Array.from({ length: 80 }, () => text) }), path);
    const lines = await file(`{"text":"${text}"}\n`.repeat(80), 'jsonl');
    for (const long of [path, lines]) {
      let rows = 0;
      for await (const { batch } of (await openTables([long])).batches()) {
        expect(batch.data.byteLength).toBeLessThan(2 ** 27);
        rows += batch.numRows;
      }
      expect(rows).toBe(80);
    }
  });
});

describe('batches() with wants and reuse', () => {
  it.each(['plain.arrow', 'plain.arrows', 'groups.parquet'])(
    'leaves batches of %s on the disk that nobody wants, and counts their rows',
    async name => {
      const path = fixture(folder, name);
      const source = await openTables([path]);
      const asked: [number, number][] = [];
      const wants = (firstRow: number, rows: number): boolean => {
        asked.push([firstRow, rows]);
        return firstRow <= 4 && 4 < firstRow + rows;
      };
      const { columns, places } = await readAll(source, { columns: ['user'], wants });
      expect(asked).toEqual([
        [0, 3],
        [3, 3],
        [6, 2],
      ]);
      expect(places).toEqual([[0, 3, 3]]);
      expect(columns).toEqual({ user: fixtureColumns['user']!.slice(3, 6) });
    },
  );

  it.each(['plain.arrow', 'lz4.arrow', 'dictionary.arrow', 'delta.arrows', 'groups.parquet'])(
    'reads the same from memory that is used again, batch by batch, of %s',
    async name => {
      const source = await openTables([fixture(folder, name)]);
      const fresh = await readAll(source);
      expect(await readAll(source, { reuse: true })).toEqual(fresh);
    },
  );
});
