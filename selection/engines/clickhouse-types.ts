import {
  Bool,
  type DataType,
  DateDay,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  List,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
} from 'apache-arrow';
import type { BinaryCursor } from './clickhouse-binary.ts';

/** A ClickHouse type as Arrow has it, and how its values are read. */
export interface ColumnType {
  readonly type: DataType;
  readonly isNullable: boolean;
  read(cursor: BinaryCursor): unknown;
}

function plain(type: DataType, read: (cursor: BinaryCursor) => unknown): ColumnType {
  return { type, read, isNullable: false };
}

const simple: Readonly<Record<string, ColumnType>> = {
  String: plain(new Utf8(), cursor => cursor.text()),
  Bool: plain(new Bool(), cursor => cursor.uint8() !== 0),
  Int8: plain(new Int8(), cursor => cursor.int8()),
  Int16: plain(new Int16(), cursor => cursor.int16()),
  Int32: plain(new Int32(), cursor => cursor.int32()),
  Int64: plain(new Int64(), cursor => cursor.int64()),
  UInt8: plain(new Uint8(), cursor => cursor.uint8()),
  UInt16: plain(new Uint16(), cursor => cursor.uint16()),
  UInt32: plain(new Uint32(), cursor => cursor.uint32()),
  UInt64: plain(new Uint64(), cursor => cursor.uint64()),
  Float32: plain(new Float32(), cursor => cursor.float32()),
  Float64: plain(new Float64(), cursor => cursor.float64()),
  Date: plain(new DateDay(), cursor => cursor.uint16()),
  Date32: plain(new DateDay(), cursor => cursor.int32()),
};

/** Seconds since 1970; the zone only says how ClickHouse shows them. */
const dateTime = plain(new TimestampSecond('UTC'), cursor => BigInt(cursor.uint32()));

const fractions: Readonly<Record<string, DataType>> = {
  0: new TimestampSecond('UTC'),
  3: new TimestampMillisecond('UTC'),
  6: new TimestampMicrosecond('UTC'),
  9: new TimestampNanosecond('UTC'),
};

function nullable(inner: ColumnType): ColumnType {
  const read = (cursor: BinaryCursor): unknown => (cursor.uint8() === 1 ? null : inner.read(cursor));
  return { type: inner.type, read, isNullable: true };
}

function arrayOf(inner: ColumnType): ColumnType {
  const field: Field = new Field('item', inner.type, inner.isNullable);
  return plain(new List(field), cursor => {
    const count = cursor.length();
    const values: unknown[] = [];
    for (let i = 0; i < count; i++) values.push(inner.read(cursor));
    return values;
  });
}

const wrappers: Readonly<Record<string, (inner: ColumnType) => ColumnType>> = {
  Nullable: nullable,
  Array: arrayOf,
  LowCardinality: inner => inner,
};

function dateTimeOf(name: string): ColumnType | undefined {
  if (/^DateTime(\('[^']*'\))?$/.test(name)) return dateTime;
  const digits = /^DateTime64\((\d)(?:, '[^']*')?\)$/.exec(name)?.[1];
  const type = digits === undefined ? undefined : fractions[digits];
  return type && plain(type, cursor => cursor.int64());
}

/**
 * The Arrow form of a ClickHouse type: String, Bool, Int and UInt of 8 to 64 bits, Float, Date, DateTime, DateTime64 of
 * whole, milli-, micro- or nanoseconds, and Nullable, LowCardinality and Array of these. Undefined for any other.
 */
export function columnType(name: string): ColumnType | undefined {
  const own = Object.hasOwn(simple, name) ? simple[name] : dateTimeOf(name);
  if (own !== undefined) return own;
  const [, outer = '', inside = ''] = /^(Nullable|Array|LowCardinality)\((.*)\)$/s.exec(name) ?? [];
  const inner = inside === '' ? undefined : columnType(inside);
  return inner && wrappers[outer]?.(inner);
}
