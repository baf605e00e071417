import {
  Bool,
  Data,
  Dictionary,
  Float64,
  Int32,
  LargeUtf8,
  type Table,
  TimestampMillisecond,
  Uint64,
  Utf8,
  Utf8View,
  Vector,
  vectorFromArray,
} from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { readRecords, type ReadRecordsOptions, type Records } from '../../selection/records.ts';
import { failureOf, int32, int64, tableOfColumns, texts } from './fixtures.ts';

const columns = { user: 'user', id: 'id', text: 'text', file: 'mail.arrow' };

function read(table: Table, options: Partial<ReadRecordsOptions> = {}): Records {
  return readRecords(table, { ...columns, ...options });
}

function plain(records: Records): unknown {
  return Array.from(records.userOf, (user, row) => [
    records.users[user],
    records.ids[row],
    records.textAt(row),
  ]);
}

const rows = [
  ['ada', '1', 'first\nline'],
  ['grandpré 😀', '2', ''],
  ['ada', '3', 'x'.repeat(40)],
] as const;

const expected = rows.map(row => [...row]);

/** The three columns in one text type. */
function tableIn(make: (values: readonly string[]) => Vector): Table {
  const at = (i: number): Vector => make(rows.map(row => row[i]!));
  return tableOfColumns({ user: at(0), id: at(1), text: at(2) });
}

function views(values: readonly string[]): Vector {
  const encoded = values.map(value => Buffer.from(value));
  const long = Buffer.concat(encoded);
  const cells = Buffer.alloc(16 * values.length);
  let start = 0;
  for (const [i, bytes] of encoded.entries()) {
    cells.writeInt32LE(bytes.length, 16 * i);
    bytes.copy(cells, 16 * i + 4, 0, bytes.length <= 12 ? 12 : 4);
    if (bytes.length > 12) cells.writeInt32LE(start, 16 * i + 12);
    start += bytes.length;
  }
  return new Vector([new Data(new Utf8View(), 0, values.length, 0, { 1: cells }, [], undefined, [long])]);
}

const kinds: [string, (values: readonly string[]) => Vector][] = [
  ['Utf8', texts],
  ['LargeUtf8', values => vectorFromArray(values, new LargeUtf8())],
  ['Utf8View', views],
  ['Dictionary', values => vectorFromArray(values, new Dictionary(new Utf8(), new Int32()))],
];

/** Utf8 from raw bytes, so that faults can be put in. */
function rawText(cells: readonly (readonly number[])[]): Vector {
  const offsets = Int32Array.of(0, ...cells.map((_, i) => cells.slice(0, i + 1).flat().length));
  const values = Uint8Array.from(cells.flat());
  return new Vector([new Data(new Utf8(), 0, cells.length, 0, { 0: offsets, 1: values })]);
}

const ok = [[97], [98], [99]];

function withColumn(name: 'user' | 'id' | 'text', column: Vector): Table {
  const base = { user: texts(['a', 'b', 'c']), id: texts(['1', '2', '3']), text: texts(['x', 'y', 'z']) };
  return tableOfColumns({ ...base, [name]: column });
}

describe('readRecords()', () => {
  it.each(kinds)('reads %s, also from slices and several batches', (_, make) => {
    const table = tableIn(make);
    expect(plain(read(table))).toEqual(expected);
    expect(plain(read(table.slice(1, 3)))).toEqual(expected.slice(1));
    const joined = table.slice(0, 1).concat(table.slice(1, 2), table.slice(2, 3));
    expect(plain(read(joined))).toEqual(expected);
    expect(Array.from({ length: 3 }, (__, row) => read(joined).bytesAt(2 - row).length)).toEqual([40, 0, 10]);
  });

  it('keeps dictionaries of different batches apart', () => {
    const batch = (user: string, id: string): Table => {
      const type = new Dictionary(new Utf8(), new Int32());
      return tableOfColumns({ user: vectorFromArray([user], type), id: texts([id]), text: texts([id]) });
    };
    const users = [batch('x', '1'), batch('y', '2')].map(table => table.getChild('user')!.data[0]!);
    const table = tableOfColumns({ user: new Vector(users), id: texts(['1', '2']), text: texts(['1', '2']) });
    expect(read(table).users).toEqual(['x', 'y']);
  });

  it('turns whole numbers into decimal text', () => {
    const table = withColumn('id', int64([9_007_199_254_740_993n, -1n, 0n]));
    expect(read(table).ids).toEqual(['9007199254740993', '-1', '0']);
    const unsigned = vectorFromArray([2n ** 64n - 1n, 1n, 2n], new Uint64());
    expect(read(withColumn('user', unsigned)).users).toEqual(['18446744073709551615', '1', '2']);
  });

  it('numbers rows by file and row where there is no id column', () => {
    expect(read(tableIn(texts), { id: null, file: '/some/where/mail.arrow' }).ids).toEqual([
      'mail.arrow:1',
      'mail.arrow:2',
      'mail.arrow:3',
    ]);
  });

  it('drops rows without a user by policy, and only then', async () => {
    const table = withColumn('user', texts([null, 'b', '']));
    const records = read(table, { nullUsers: 'drop' });
    expect([...records.userOf]).toEqual([-1, 0, -1]);
    expect(records.dropped).toEqual({ nullUsers: 2, duplicates: 0 });
    const failure = await failureOf(() => read(table));
    expect(failure).toMatchObject({ code: 'NULL_USER' });
    expect(failure.message).toContain('row 1');
  });

  it('keeps the first of duplicates by policy, and only then; other users may use the same id', async () => {
    const table = tableOfColumns({
      user: texts(['a', 'b', 'a', 'a']),
      id: int32([1, 1, 1, 2]),
      text: texts(['p', 'q', 'r', 's']),
    });
    const records = read(table, { duplicates: 'keep-first' });
    expect([...records.userOf]).toEqual([0, 1, -1, 0]);
    expect(records.dropped).toEqual({ nullUsers: 0, duplicates: 1 });
    const failure = await failureOf(() => read(table));
    expect(failure).toMatchObject({ code: 'DUPLICATE_RECORD' });
    expect(failure.message).toContain('row 3');
  });

  it('reads scores from numbers and from decimal text, and refuses null, NaN and words', async () => {
    const score = (column: Vector): Records =>
      read(tableOfColumns({ user: texts(['a', 'a', 'b']), id: texts(['1', '2', '3']), s: column }), {
        text: undefined,
        score: 's',
      });
    expect([...score(vectorFromArray([1.5, -2, Infinity], new Float64())).scores!]).toEqual([
      1.5,
      -2,
      Infinity,
    ]);
    expect([...score(int32([3, 2, 1])).scores!]).toEqual([3, 2, 1]);
    expect([...score(texts(['1e3', '-.5', '7'])).scores!]).toEqual([1000, -0.5, 7]);
    for (const bad of [
      vectorFromArray([1, null, 2], new Float64()),
      vectorFromArray([1, NaN, 2], new Float64()),
      texts(['1', '', '2']),
      texts(['1', 'two', '2']),
    ]) {
      const failure = await failureOf(() => score(bad));
      expect(failure).toMatchObject({ code: 'INVALID_DATA' });
      expect(failure.message).toContain('row 2');
    }
    expect((await failureOf(() => score(vectorFromArray([true, true, false], new Bool())))).code).toBe(
      'INVALID_DATA',
    );
  });

  it('names the columns there are where one is missing', async () => {
    const failure = await failureOf(() => read(tableIn(texts), { user: 'author' }));
    expect(failure).toMatchObject({ code: 'MISSING_COLUMN' });
    expect(failure.message).toContain('"author"');
    expect(failure.message).toContain('"user", "id", "text"');
  });

  it.each([
    ['floats', vectorFromArray([1, 2, 3], new Float64())],
    ['timestamps', vectorFromArray([1, 2, 3], new TimestampMillisecond())],
    ['booleans', vectorFromArray([true, false, true], new Bool())],
  ])('refuses %s as users or ids', async (_, column) => {
    for (const name of ['user', 'id'] as const) {
      const failure = await failureOf(() => read(withColumn(name, column)));
      expect(failure).toMatchObject({ code: 'INVALID_DATA' });
      expect(failure.message).toContain('type');
    }
  });

  it.each([
    ['invalid UTF-8', [[97], [0xff], [99]]],
    ['invalid UTF-8', [[97], [0xed, 0xa0, 0x80], [99]]],
    ['invalid UTF-8', [[97, 98], [0xc3], [0xa9]]],
    ['a NUL character', [[97], [98, 0], [99]]],
  ])('finds %s in row 2, in every column that it reads', async (defect, cells) => {
    for (const name of ['user', 'id', 'text'] as const) {
      const failure = await failureOf(() => read(withColumn(name, rawText(cells))));
      expect(failure).toMatchObject({ code: 'INVALID_DATA' });
      expect(failure.message).toContain(defect);
      expect(failure.message).toContain('row 2');
    }
    expect(plain(read(withColumn('text', rawText(ok))))).toHaveLength(3);
  });

  it('refuses null and empty ids, null text and tables without rows', async () => {
    const failures = [
      await failureOf(() => read(withColumn('id', texts(['1', null, '3'])))),
      await failureOf(() => read(withColumn('id', texts(['1', '', '3'])))),
      await failureOf(() => read(withColumn('text', texts(['1', null, '3'])))),
      await failureOf(() => read(withColumn('text', int32([1, 2, 3])))),
      await failureOf(() => read(tableIn(texts).slice(0, 0))),
    ];
    expect(failures.map(({ code }) => code)).toEqual(failures.map(() => 'INVALID_DATA'));
    for (const { message } of failures) expect(message).toMatch(/^Cannot read mail\.arrow: .+\. .+\.$/);
  });

  it('names neither text nor ids in messages', async () => {
    const secret = 'secret-7';
    const table = tableOfColumns({
      user: texts([secret, secret]),
      id: texts([secret, secret]),
      text: texts([secret, secret]),
    });
    expect((await failureOf(() => read(table))).message).not.toContain(secret);
  });
});
