import { readdirSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  DurationSecond,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  LargeUtf8,
  List,
  MapRow,
  Map_,
  Null,
  Struct,
  StructRow,
  type Table,
  TimeMicrosecond,
  TimeSecond,
  TimestampMicrosecond,
  TimestampSecond,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  Vector,
  vectorFromArray,
} from 'apache-arrow';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatOf, readTable, takeRows, withTextColumn, writeTable } from '../../selection/tables/index.ts';
import { writeSafely } from '../../selection/tables/output.ts';
import { failureOf, tableOfColumns, temporaryFolder, texts } from './fixtures.ts';

const folder = temporaryFolder();

const struct: DataType = new Struct([new Field('a', new Int32(), true), new Field('b', new Utf8(), true)]);
const list: DataType = new List(new Field('item', new Utf8(), true));

/** Five cells of each type, one of them null. */
const samples: Readonly<Record<string, [DataType, readonly unknown[]]>> = {
  text: [new Utf8(), ['a', 'é\n😀', null, '', 'x'.repeat(20)]],
  largeText: [new LargeUtf8(), ['a', null, 'ü', '', 'long enough to lie outside']],
  dictionary: [new Dictionary(new Utf8(), new Int32()), ['p', 'q', 'p', null, 'r']],
  bool: [new Bool(), [true, false, null, true, true]],
  int8: [new Int8(), [-128, 127, null, 0, 1]],
  int16: [new Int16(), [-32768, 32767, 0, null, 1]],
  int32: [new Int32(), [-(2 ** 31), null, 2 ** 31 - 1, 0, 1]],
  int64: [new Int64(), [-(2n ** 63n), 2n ** 63n - 1n, null, 0n, 1n]],
  uint8: [new Uint8(), [255, null, 0, 1, 2]],
  uint32: [new Uint32(), [2 ** 32 - 1, null, 0, 1, 2]],
  uint64: [new Uint64(), [2n ** 64n - 1n, null, 0n, 1n, 2n]],
  float16: [new Float16(), [1.5, -0.25, null, 65504, 0]],
  float32: [new Float32(), [1.5, -0.25, null, Infinity, 0]],
  float64: [new Float64(), [0.1, -0, null, 1e300, 5e-324]],
  day: [
    new DateDay(),
    [new Date(0), new Date(86_400_000 * 20_000), null, new Date(-86_400_000), new Date(0)],
  ],
  timestamp: [new TimestampMicrosecond('UTC'), [0, 1_700_000_000_000, null, -1, 5]],
  time: [new TimeMicrosecond(), [0n, 86_399_999_999n, null, 1n, 2n]],
  bytes: [
    new Binary(),
    [Uint8Array.of(0, 255), Uint8Array.of(), null, Uint8Array.of(7), Uint8Array.of(1, 2, 3)],
  ],
  fixed: [
    new FixedSizeBinary(3),
    [Uint8Array.of(0, 1, 255), Uint8Array.of(1, 2, 3), null, Uint8Array.of(9, 9, 9), Uint8Array.of(0, 0, 0)],
  ],
  list: [list, [['a', null, 'ccc'], [], null, ['d'], ['e', 'f']]],
  struct: [struct, [{ a: 1, b: 'x' }, { a: null, b: 'y' }, null, { a: 3, b: null }, { a: 4, b: 'é' }]],
  nested: [
    new List(new Field('item', struct, true)),
    [[{ a: 1, b: 'x' }], [], null, [null, { a: null, b: 'z' }], []],
  ],
  decimal: [
    new Decimal(2, 20, 128),
    [
      Uint32Array.of(12345, 0, 0, 0),
      Uint32Array.of(2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1),
      null,
      Uint32Array.of(0, 1, 0, 0),
      Uint32Array.of(0, 0, 0, 0),
    ],
  ],
};

/** Types that an Arrow file keeps and Parquet keeps under another name. */
const arrowOnly: Readonly<Record<string, [DataType, readonly unknown[]]>> = {
  none: [new Null(), [null, null, null, null, null]],
  second: [new TimestampSecond(), [0, 1000, null, -1000, 5000]],
  timeSecond: [new TimeSecond(), [0, 5, null, 86_399, 1]],
  dateMillisecond: [
    new DateMillisecond(),
    [new Date(0), new Date(86_400_000), null, new Date(-86_400_000), new Date(0)],
  ],
  duration: [new DurationSecond(), [1n, 2n, null, 3n, 4n]],
  pairs: [
    new FixedSizeList(2, new Field('item', new Int32(), true)),
    [[1, 2], [3, null], null, [5, 6], [7, 8]],
  ],
};

function columnOf([type, values]: [DataType, readonly unknown[]]): Vector {
  return vectorFromArray(values, type);
}

function tableWith(kinds: Readonly<Record<string, [DataType, readonly unknown[]]>>): Table {
  return tableOfColumns(
    Object.fromEntries(Object.entries(kinds).map(([name, sample]) => [name, columnOf(sample)])),
  );
}

/** A cell as plain comparable values. */
function plain(cell: unknown): unknown {
  if (cell === null || cell === undefined) return null;
  if (cell instanceof Vector) return Array.from(cell, plain);
  if (ArrayBuffer.isView(cell)) return [...new Uint8Array(cell.buffer, cell.byteOffset, cell.byteLength)];
  if (cell instanceof StructRow || cell instanceof MapRow) {
    return Object.fromEntries(Object.entries(cell.toJSON()).map(([key, value]) => [key, plain(value)]));
  }
  return Object.is(cell, -0) ? '-0' : cell;
}

function column(table: Table, name: string): unknown[] {
  const found = table.getChild(name)!;
  return Array.from({ length: table.numRows }, (_, row) => plain(found.get(row)));
}

/** Rows 0 to 4 in three batches, of which the second and third are slices. */
function inBatches(table: Table): Table {
  return table.slice(0, 1).concat(table.slice(1, 3), table.slice(3, 5));
}

describe('takeRows()', () => {
  const table = inBatches(tableWith({ ...samples, ...arrowOnly }));
  const someRows = fc.array(fc.nat(4), { minLength: 1, maxLength: 12 });

  it.each(Object.keys({ ...samples, ...arrowOnly }))('copies %s, from slices and several batches', name => {
    const all = column(table, name);
    fc.assert(
      fc.property(someRows, rows => {
        expect(column(takeRows(table, Int32Array.from(rows)), name)).toEqual(rows.map(row => all[row]));
      }),
      { numRuns: 30 },
    );
  });

  it('keeps types, field names, and metadata', () => {
    const kept = takeRows(table, Int32Array.of(4, 0));
    expect(kept.schema.fields.map(String)).toEqual(table.schema.fields.map(String));
  });

  it('leaves entries of dropped rows out of dictionaries, and merges those of several batches', () => {
    const type = new Dictionary(new Utf8(), new Int32());
    const batch = (values: string[]): Vector => vectorFromArray(values, type);
    const users = new Vector([...batch(['a', 'secret', 'b']).data, ...batch(['b', 'c']).data]);
    const kept = takeRows(tableOfColumns({ users }), Int32Array.of(3, 0, 2, 4));
    expect(column(kept, 'users')).toEqual(['b', 'a', 'b', 'c']);
    const entries = kept.getChild('users')!.data[0]!.dictionary!;
    expect(new Set(entries)).toEqual(new Set(['a', 'b', 'c']));
  });

  it('starts a new batch every 65536 rows', () => {
    const one = tableOfColumns({ a: texts(['x', 'y']) });
    const kept = takeRows(one, new Int32Array(70_000).fill(1));
    expect(kept.batches.map(({ numRows }) => numRows)).toEqual([65_536, 4464]);
    expect(kept.getChild('a')!.get(69_999)).toBe('y');
  });
});

describe('withTextColumn()', () => {
  it('replaces a column in place or adds one at the end', async () => {
    const table = inBatches(tableWith(samples));
    const cells = ['v', 'w', 'x', 'y', 'z'];
    const replaced = withTextColumn(table, { name: 'int32', texts: cells });
    expect(column(replaced, 'int32')).toEqual(cells);
    expect(replaced.schema.names).toEqual(table.schema.names);
    expect(column(replaced, 'list')).toEqual(column(table, 'list'));
    expect(withTextColumn(table, { name: 'new', texts: cells }).schema.names.at(-1)).toBe('new');
    expect((await failureOf(() => withTextColumn(table, { name: 'a', texts: ['x'] }))).code).toBe(
      'INVALID_ARGUMENT',
    );
  });
});

describe.each(['arrow', 'arrows', 'parquet'])('writeTable() and readTable() as .%s', extension => {
  const path = join(folder, `round.${extension}`);

  it.each(Object.keys(samples))('keep %s', async name => {
    const table = takeRows(
      inBatches(tableWith({ text: samples['text']!, [name]: samples[name]! })),
      Int32Array.of(4, 2, 0, 1, 3),
    );
    await writeTable(table, path, { force: true });
    const read = await readTable(path);
    expect(column(read, name)).toEqual(column(table, name));
    const type = String(table.getChild(name)!.type);
    const kept =
      extension === 'parquet'
        ? type.replace('LargeUtf8', 'Utf8').replace(/Dictionary<.*, (.*)>/, '$1')
        : type;
    expect(String(read.getChild(name)!.type).replace(/element:/g, 'item:')).toBe(kept);
  });

  it('write the same bytes for the same table', async () => {
    const table = takeRows(inBatches(tableWith(samples)), Int32Array.of(1, 2, 3));
    await writeTable(table, path, { force: true });
    const first = await readFile(path);
    await writeTable(table, path, { force: true });
    expect(first.equals(await readFile(path))).toBe(true);
  });

  it('refuse to overwrite without force, and leave nothing behind', async () => {
    const table = takeRows(tableWith({ text: samples['text']! }), Int32Array.of(0));
    await writeTable(table, path, { force: true });
    const { size } = await stat(path);
    expect((await failureOf(() => writeTable(tableWith(samples), path))).code).toBe('OUTPUT_EXISTS');
    expect((await stat(path)).size).toBe(size);
    expect(readdirSync(folder).filter(name => name.endsWith('.partial'))).toEqual([]);
  });
});

describe('writeTable()', () => {
  it('keeps in Parquet what has another unit there', async () => {
    const { none, second, timeSecond, dateMillisecond, pairs } = arrowOnly as Record<
      string,
      [DataType, readonly unknown[]]
    >;
    const table = takeRows(
      tableWith({
        none: none!,
        second: second!,
        timeSecond: timeSecond!,
        dateMillisecond: dateMillisecond!,
        pairs: pairs!,
      }),
      Int32Array.of(0, 1, 2, 3, 4),
    );
    const path = join(folder, 'units.parquet');
    await writeTable(table, path);
    const read = await readTable(path);
    expect(column(read, 'none')).toEqual(column(table, 'none'));
    expect(column(read, 'second')).toEqual(column(table, 'second'));
    expect(column(read, 'timeSecond')).toEqual([0, 5000, null, 86_399_000, 1000]);
    expect(column(read, 'dateMillisecond')).toEqual(column(table, 'dateMillisecond'));
    expect(column(read, 'pairs')).toEqual(column(table, 'pairs'));
  });

  it('keeps maps with text keys in Parquet', async () => {
    const entries: Struct = new Struct([
      new Field('key', new Utf8(), false),
      new Field('value', new Int32(), true),
    ]);
    const type: DataType = new Map_(new Field('entries', entries, false));
    const path = join(folder, 'maps.parquet');
    const table = takeRows(
      tableOfColumns({
        m: vectorFromArray(
          [
            new Map([
              ['a', 1],
              ['é', null],
            ]),
            null,
            new Map(),
          ],
          type,
        ),
      }),
      Int32Array.of(2, 1, 0),
    );
    await writeTable(table, path);
    expect(column(await readTable(path), 'm')).toEqual([{}, null, { a: 1, é: null }]);
  });

  it('names the column that Parquet lacks a type for, and leaves no file', async () => {
    const table = takeRows(tableWith({ duration: arrowOnly['duration']! }), Int32Array.of(0));
    const failure = await failureOf(() => writeTable(table, join(folder, 'none.parquet')));
    expect(failure).toMatchObject({ code: 'INVALID_DATA' });
    expect(failure.message).toContain('"duration"');
    expect(readdirSync(folder).filter(name => name.includes('none.parquet'))).toEqual([]);
  });

  it('refuses formats that lose types, and folders that do not exist', async () => {
    const table = tableWith({ text: samples['text']! });
    expect((await failureOf(() => writeTable(table, join(folder, 'a.csv')))).code).toBe('INVALID_ARGUMENT');
    expect((await failureOf(() => writeTable(table, join(folder, 'no', 'a.arrow')))).code).toBe(
      'OUTPUT_FAILED',
    );
  });
});

describe('writeSafely()', () => {
  it('removes the temporary file when writing fails half-way, and keeps the old file', async () => {
    const path = join(folder, 'kept.txt');
    await writeFile(path, 'old');
    const failing = async (temporary: string): Promise<void> => {
      await writeFile(temporary, 'half');
      throw new Error('disk on fire');
    };
    await expect(writeSafely(path, { force: true }, failing)).rejects.toThrow('disk on fire');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(readdirSync(folder).filter(name => name.endsWith('.partial'))).toEqual([]);
  });

  it('refuses when another process took the name meanwhile', async () => {
    const path = join(folder, 'raced.txt');
    const racing = async (temporary: string): Promise<void> => {
      await writeFile(temporary, 'ours');
      await writeFile(path, 'theirs');
    };
    expect((await failureOf(() => writeSafely(path, { force: false }, racing))).code).toBe('OUTPUT_EXISTS');
    expect(await readFile(path, 'utf8')).toBe('theirs');
  });
});

describe('readTable()', () => {
  it('says what is wrong with files that are missing, empty, of another format, or cut short', async () => {
    const written = join(folder, 'whole.arrow');
    await writeTable(tableWith({ text: samples['text']! }), written, { force: true });
    const whole = await readFile(written);
    const streamed = join(folder, 'whole.arrows');
    await writeTable(takeRows(tableWith(samples), Int32Array.of(0, 1, 2)), streamed);
    const stream = await readFile(streamed);
    const cases: [string, Buffer | undefined, string][] = [
      ['missing.arrow', undefined, 'MISSING_FILE'],
      ['empty.arrow', Buffer.alloc(0), 'INVALID_DATA'],
      ['empty.parquet', Buffer.alloc(0), 'INVALID_DATA'],
      ['empty.csv', Buffer.alloc(0), 'INVALID_DATA'],
      ['empty.jsonl', Buffer.alloc(0), 'INVALID_DATA'],
      ['words.arrow', Buffer.from('no arrow at all, only words'), 'INVALID_DATA'],
      ['words.parquet', Buffer.from('no parquet at all, only words'), 'INVALID_DATA'],
      ['cut.arrow', whole.subarray(0, whole.length / 2), 'INVALID_DATA'],
      ['cut.arrows', stream.subarray(0, stream.length - 60), 'INVALID_DATA'],
      ['other.txt', Buffer.from('x'), 'INVALID_ARGUMENT'],
    ];
    for (const [name, content, code] of cases) {
      const path = join(folder, name);
      if (content !== undefined) await writeFile(path, content);
      expect([name, (await failureOf(() => readTable(path))).code]).toEqual([name, code]);
    }
  });

  it('takes the format from the option where the name says nothing', async () => {
    const path = join(folder, 'nameless');
    await writeFile(path, '{"a":"x"}\n');
    expect(column(await readTable(path, { format: 'jsonl' }), 'a')).toEqual(['x']);
  });
});

describe('formatOf()', () => {
  it('knows the usual extensions, packed or not, in any case', () => {
    const names = ['a.arrow', 'a.ARROW', 'b.feather', 'c.pq', 'd.ndjson.gz', 'e.tsv', 'f.x.csv'];
    expect(names.map(formatOf)).toEqual(['arrow', 'arrow', 'arrow', 'parquet', 'jsonl', 'csv', 'csv']);
  });
});
