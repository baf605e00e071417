import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataType, type Field, StructRow, type Table, Vector } from 'apache-arrow';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openClickhouse } from '../../selection/engines/clickhouse.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { recordKey } from '../../selection/key.ts';
import { serverProgram, startCluster, type TestCluster } from './clickhouse-cluster.ts';
import { cap, outputOf, pairsOf, requestOn } from './engine-checks.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const names = { user: 'user', id: 'id' };
const program = serverProgram();
const suite = program === undefined ? describe.skip : describe;

/** A value as ClickHouse reads it from text, and as `shown` below tells it. */
interface Cell {
  readonly written: string;
  readonly shown: unknown;
}

interface Kind {
  readonly type: string;
  readonly cells: fc.Arbitrary<Cell>;
  /** Inside brackets it stands in quotes. */
  readonly isQuoted?: boolean;
  readonly hasLowCardinality?: boolean;
}

function whole(type: string, min: bigint, max: bigint): Kind {
  const cells = fc.bigInt({ min, max }).map(value => ({ written: String(value), shown: String(value) }));
  return { type, cells };
}

function decimal(type: string, digits: number, scale: number): Kind {
  const most = 10n ** BigInt(digits) - 1n;
  const cells = fc.bigInt({ min: -most, max: most }).map(value => {
    const text = String(value < 0n ? -value : value).padStart(scale + 1, '0');
    const point = text.length - scale;
    const written = `${value < 0n ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`;
    return { written, shown: String(value) };
  });
  return { type, cells };
}

function textKind(type: string, values: fc.Arbitrary<string>, options: Partial<Kind> = {}): Kind {
  const cells = values.map(value => ({ written: value, shown: value }));
  return { type, cells, isQuoted: true, ...options };
}

const members = ['x', "y'\\ \n\tz", 'né,)`"', ''];
const quotedMembers = members.map(
  (name, i) => `'${name.replaceAll(/['\\]/g, '\\$&').replaceAll('\n', '\\n')}' = ${100 * i - 100}`,
);
const smallMembers = quotedMembers.map((text, i) => text.replace(/-?\d+$/, String(60 * i - 120)));

const days = fc.integer({ min: 1, max: 49_000 }).map(day => {
  const date = new Date(86_400_000 * day);
  return { written: date.toISOString().slice(0, 10), shown: String(date.getTime()) };
});

const bytes = fc
  .string({ unit: fc.integer({ min: 0, max: 127 }).map(code => String.fromCharCode(code)), maxLength: 4 })
  .map(text => ({ written: text, shown: Buffer.from(text.padEnd(4, '\0')).toString('hex') }));

const kinds: readonly Kind[] = [
  textKind('String', fc.string({ unit: 'grapheme', maxLength: 6 }), { hasLowCardinality: true }),
  textKind(`Enum8(${smallMembers.join(', ')})`, fc.constantFrom(...members)),
  textKind(`Enum16(${quotedMembers.join(', ')})`, fc.constantFrom(...members)),
  textKind('UUID', fc.uuid()),
  { type: 'FixedString(4)', cells: bytes, isQuoted: true },
  { type: 'Date', cells: days, isQuoted: true },
  whole('Int8', -128n, 127n),
  whole('UInt16', 0n, 65_535n),
  whole('Int64', -(2n ** 63n), 2n ** 63n - 1n),
  whole('UInt64', 0n, 2n ** 64n - 1n),
  decimal('Decimal(5, 2)', 5, 2),
  decimal('Decimal(18, 4)', 18, 4),
  decimal('Decimal(38, 20)', 38, 20),
];

/** Wrapped in every way that the server allows. */
const wrappings: readonly [string, (kind: Kind) => Kind | undefined][] = [
  ['plain', kind => kind],
  ['nullable', nullableOf],
  ['list', kind => listOf(kind)],
  ['gaps', kind => listOf(nullableOf(kind))],
  ['lists', kind => listOf(listOf(kind))],
  ['pair', pairOf],
  ['few', kind => (kind.hasLowCardinality ? { ...kind, type: `LowCardinality(${kind.type})` } : undefined)],
];

const nullCell: Cell = { written: '\\N', shown: null };

function nullableOf(kind: Kind): Kind {
  return { ...kind, type: `Nullable(${kind.type})`, cells: fc.option(kind.cells, { nil: nullCell }) };
}

function inBrackets({ isQuoted }: Kind, { written, shown }: Cell): string {
  if (shown === null) return 'NULL';
  return isQuoted ? `'${written.replaceAll(/['\\]/g, '\\$&').replaceAll('\0', '\\0')}'` : written;
}

function listOf(kind: Kind): Kind {
  const cells = fc.array(kind.cells, { maxLength: 3 }).map(found => ({
    written: `[${found.map(cell => inBrackets(kind, cell)).join(',')}]`,
    shown: found.map(({ shown }) => shown),
  }));
  return { type: `Array(${kind.type})`, cells };
}

function pairOf(kind: Kind): Kind {
  const maybe = nullableOf(kind);
  const cells = fc.tuple(kind.cells, maybe.cells).map(([one, two]) => ({
    written: `(${inBrackets(kind, one)},${inBrackets(maybe, two)})`,
    shown: { 1: one.shown, 2: two.shown },
  }));
  return { type: `Tuple(${kind.type}, ${maybe.type})`, cells };
}

const columns = kinds.flatMap((kind, place) =>
  wrappings.flatMap(([name, wrap]) => {
    const found = wrap(kind);
    return found === undefined ? [] : [{ ...found, name: `${name}${place}`, isNested: name !== 'plain' }];
  }),
);

/** One line of tab-separated values; what stands in brackets has escapes of its own. */
function lineOf(user: string, cells: readonly Cell[]): string {
  const escaped: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\0': '\\0', '\\': '\\\\' };
  const written = cells.map(({ written: text, shown }) => {
    const isPlain = shown !== null && typeof shown !== 'object';
    return isPlain ? text.replaceAll(/[\n\t\0\\]/g, found => escaped[found]!) : text;
  });
  return `${[user, '1', ...written].join('\t')}\n`;
}

function unscaled(words: Uint32Array): string {
  let value = 0n;
  for (const word of words.toReversed()) value = (value << 32n) | BigInt(word);
  return String(BigInt.asIntN(32 * words.length, value));
}

/** What Arrow holds, in plain values: numbers as text, bytes in hexadecimal, times in milliseconds. */
function shown(type: DataType, value: unknown): unknown {
  if (value === null || typeof value === 'string') return value;
  if (value instanceof Uint32Array) return unscaled(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Vector) return Array.from(value, found => shown(type.children[0]!.type, found));
  if (!DataType.isStruct(type) || !(value instanceof StructRow))
    return typeof value === 'bigint' || typeof value === 'number' ? String(value) : value;
  const cells = new Map<string, unknown>(Object.entries(value.toJSON()));
  const fields: readonly Field[] = type.children;
  return Object.fromEntries(fields.map(({ name, type: own }) => [name, shown(own, cells.get(name))]));
}

function rowsOf(table: Table): unknown[][] {
  const fields = table.schema.fields.slice(2);
  return Array.from({ length: table.numRows }, (_, row) =>
    fields.map(({ name, type }) => shown(type, table.getChild(name)!.get(row))),
  );
}

suite('clickhouse columns', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    const place = join(folder, 'types');
    mkdirSync(place);
    cluster = await startCluster(program!, place);
    const written = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
    await cluster.servers[0]!.run(
      `CREATE TABLE types (user String, id UInt8, ${written}) ENGINE = MergeTree ORDER BY user`,
    );
  });
  afterAll(async () => {
    await cluster.stop();
  });

  const requestFor = (table: string): SelectionRequest =>
    requestOn({ url: cluster.urlOf(table) }, { folder, columns: names });

  it.each(['arrow', 'parquet'] as const)('pass through to %s, cell by cell', async format => {
    const engine = await openClickhouse();
    const row = fc.tuple(...columns.map(({ cells }) => cells));
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), async rows => {
        const [server] = cluster.servers;
        const lines = rows.map((cells, i) => lineOf(`u${i}`, cells));
        await server!.run('TRUNCATE TABLE types');
        await server!.run('INSERT INTO types FORMAT TabSeparated', lines.join(''));
        const kept = rowsOf(await outputOf(engine, requestFor('types'), format));
        expect(kept).toEqual(rows.map(cells => cells.map(cell => cell.shown)));
      }),
      { numRuns: 8 },
    );
  });

  it('may be nested, and hold bytes that are no text', async () => {
    const [server] = cluster.servers;
    await server!.run(
      'CREATE TABLE nested (user String, id UInt8, n Nested(k String, v Nullable(UInt8)), f FixedString(2), a UInt8 ALIAS id + 1, m UInt8 MATERIALIZED id + 2) ENGINE = MergeTree ORDER BY user',
    );
    await server!.run("INSERT INTO nested VALUES ('a', 1, ['x', 'y'], [1, NULL], unhex('FF00'))");
    const kept = await outputOf(await openClickhouse(), requestFor('nested'));
    expect(kept.schema.names).toEqual(['user', 'id', 'n.k', 'n.v', 'f']);
    expect(rowsOf(kept)).toEqual([[['x', 'y'], ['1', null], 'ff00']]);
  });

  it('of the kinds Enum, UUID and LowCardinality name users and ids by their text', async () => {
    const [server] = cluster.servers;
    const ids = ['61f0c404-5cb3-11e7-907b-a6006ad3dba0', '00000000-0000-0000-0000-0000000000ff'] as const;
    const [one, two] = ids;
    await server!.run(
      "CREATE TABLE keys (user Enum8('zoë' = 1, 'ada' = 2), id UUID, text LowCardinality(String)) ENGINE = Memory",
    );
    await server!.run(
      `INSERT INTO keys VALUES ('zoë', '${one}', 'x'), ('zoë', '${two}', 'x'), ('ada', '${one}', 'y')`,
    );
    const columnsOf = { ...names, text: 'text' };
    for (const strategy of ['random', 'longest'] as const) {
      const rule = { ...cap, strategy, recordsPerUser: 1 };
      const own = { ...requestFor('keys'), columns: columnsOf, rule };
      const keyOf = (id: string): string => recordKey({ seed: cap.seed, user: 'zoë' }, id);
      const first = keyOf(one) < keyOf(two) ? one : two;
      expect(pairsOf(await outputOf(await openClickhouse(), own), names)).toEqual([
        JSON.stringify(['ada', one]),
        JSON.stringify(['zoë', first]),
      ]);
    }
    const failure = await failureOf(async () =>
      (await openClickhouse()).survey({ ...requestFor('keys'), columns: { ...names, text: 'user' } }),
    );
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining('text column "user" is of type Enum8'),
    ]);
  });

  it('of other types are refused by name and type', async () => {
    await cluster.servers[0]!.run(
      'CREATE TABLE odd (user String, id String, state AggregateFunction(sum, UInt64)) ENGINE = Memory',
    );
    const failure = await failureOf(async () => (await openClickhouse()).survey(requestFor('odd')));
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining(
        'column "state" is of type AggregateFunction(sum, UInt64), which is not supported',
      ),
    ]);
  });
});
