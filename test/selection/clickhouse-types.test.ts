import { describe, expect, it } from 'vitest';
import { BinaryCursor } from '../../selection/engines/clickhouse-binary.ts';
import { columnsFrom, schemaOf } from '../../selection/engines/clickhouse-rows.ts';
import { shardingOf } from '../../selection/engines/clickhouse-shards.ts';
import { columnType } from '../../selection/engines/clickhouse-types.ts';
import { failureOf } from './fixtures.ts';

/** A value as JSON would show it, bytes as text. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, found: unknown) => {
      if (typeof found === 'bigint') return String(found);
      const isBuffer = typeof found === 'object' && found !== null && 'data' in found;
      return isBuffer && Array.isArray(found.data) ? Buffer.from(found.data).toString() : found;
    }),
  );
}

describe('ClickHouse types that the server of the cluster tests does not know', () => {
  // What DESCRIBE says and RowBinary holds in ClickHouse 26.7.2.
  it.each([
    [
      'Map(String, Nullable(UInt8))',
      '0201610001016201',
      'Map<{key:Utf8, value:Uint8}>',
      [
        { key: 'a', value: 1 },
        { key: 'b', value: null },
      ],
    ],
    [
      'Map(LowCardinality(String), Array(UInt8))',
      '01016b0101',
      'Map<{key:Utf8, value:List<Uint8>}>',
      [{ key: 'k', value: [1] }],
    ],
    ["DateTime64(5, 'UTC')", '59c5c9af4de3ffff', 'Timestamp<MICROSECOND, UTC>', '-315521754876550'],
    ["DateTime64(1, 'Europe/Berlin')", 'd31b85ac03000000', 'Timestamp<MILLISECOND, UTC>', '1577930645100'],
    [
      'Decimal(76, 3)',
      'bcb9bd59ea4af832a4ffc8e9de2953263cab63be00dfffffffffffffffffffff',
      'Decimal[76e+3]',
      '-12345678901234567890123456789012345678901234567890500',
    ],
    [
      'Decimal(38, 30)',
      '000000a0209b5096c7143d11edffffff',
      'Decimal[38e+30]',
      '-1500000000000000000000000000000',
    ],
    [
      'Tuple(\n    a UInt8,\n    `b c` Nullable(String))',
      '01000171',
      'Struct<{a:Uint8, b c:Utf8}>',
      { a: 1, 'b c': 'q' },
    ],
    [
      'Tuple(UInt8, Tuple(\n    z Int8,\n    y String))',
      '01020171',
      'Struct<{1:Uint8, 2:Struct<{z:Int8, y:Utf8}>}>',
      { 1: 1, 2: { z: 2, y: 'q' } },
    ],
    ['Nested(a UInt8, b String)', '01010171', 'List<Struct<{a:Uint8, b:Utf8}>>', [{ a: 1, b: 'q' }]],
    ["Enum8('x\\'y' = -1, 'z\\n' = 2)", 'ff', 'Utf8', "x'y"],
    ['Bool', '01', 'Bool', true],
    ['Date32', '77e3ffff', 'Date32<DAY>', -7305],
    ['UUID', 'e711b35c04c4f061a0dbd36a00a67b90', 'Utf8', '61f0c404-5cb3-11e7-907b-a6006ad3dba0'],
    ['FixedString(3)', '616200', 'FixedSizeBinary[3]', 'ab\0'],
    ['LowCardinality(Nullable(String))', '00016c', 'Utf8', 'l'],
  ])('reads %s', (name, hex, type, value) => {
    const columns = columnsFrom([{ name: 'c', type: name }], 'host/db/table');
    const [field] = schemaOf(columns).fields;
    const cursor = new BinaryCursor();
    cursor.append(Buffer.from(hex, 'hex'));
    expect([String(field!.type), plain(columns[0]!.read(cursor)), cursor.isAtEnd]).toEqual([
      type,
      value,
      true,
    ]);
  });

  it.each([
    'Int128',
    'UInt256',
    'IPv4',
    'JSON',
    'Variant(String, UInt8)',
    'Dynamic',
    'DateTime64(7)',
    'Map(UInt8, String)',
    'SimpleAggregateFunction(sum, UInt64)',
    'AggregateFunction(sum, UInt64)',
    'Array(Int128)',
    'Tuple()',
    'Nothing',
    'constructor',
    "Enum8('caf\ufffd' = 1)",
  ])('refuses %s by column and type', async type => {
    const failure = await failureOf(() => columnsFrom([{ name: 'odd', type }], 'host/db/table'));
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining(`column "odd" is of type ${type}, which is not supported`),
    ]);
  });

  it('refuses a number that no member of an enumeration has', () => {
    const cursor = new BinaryCursor();
    cursor.append(Buffer.from([3]));
    expect(() => columnType("Enum8('x' = 1)")!.read(cursor)).toThrow('a value outside its enumeration');
  });
});

describe('the sharding key of a table', () => {
  it.each([
    ['Distributed(c, d, t, cityHash64(user))', 'c', 'cityHash64(`user`)'],
    [
      "Distributed('c\\'x', 'd', 't', sipHash64(lower(`user`), 7), 'policy')",
      "c'x",
      'sipHash64(lower(`user`), 7)',
    ],
    ['Distributed(c, d, t, user) SETTINGS fsync_after_insert = 1', 'c', '`user`'],
  ])('is of the user alone in %s', (definition, cluster, key) => {
    expect(shardingOf(definition, 'user')).toEqual({ cluster, key });
  });

  it.each([
    'Distributed(c, d, t)',
    'Distributed(c, d, t, rand())',
    'Distributed(c, d, t, rand(user))',
    'Distributed(c, d, t, id)',
    'Distributed(c, d, t, cityHash64(user, id))',
    'Distributed(c, d, t, cityHash64(user) + cityHash64(id))',
    'Distributed(c, d, t, cityHash64(user, 1) + cityHash64(1, user))',
    "Distributed(c, d, t, dictGetUInt64('places', 'shard', user))",
    "Distributed(c, d, t, 'user')",
    'Distributed(c, d, t, cityHash64(`user)`)',
    'MergeTree ORDER BY cityHash64(user)',
    '',
  ])('is not in %s', definition => {
    expect(shardingOf(definition, 'user')).toBeUndefined();
  });
});
