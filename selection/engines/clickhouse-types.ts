import {
  Bool,
  DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  List,
  Map_,
  Struct,
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
import { type BinaryCursor, UnfitValue } from './clickhouse-binary.ts';
import { elementOf, memberOf, type TypeName, typeNameOf } from './clickhouse-type-names.ts';

/** A ClickHouse type as Arrow has it, and how its values are read. */
export interface ColumnType {
  readonly type: DataType;
  readonly isNullable: boolean;
  /** `String` itself, not another type whose values are shown as text. */
  readonly isString: boolean;
  readonly read: (cursor: BinaryCursor) => unknown;
}

function plain(type: DataType, read: (cursor: BinaryCursor) => unknown): ColumnType {
  return { type, read, isNullable: false, isString: false };
}

const simple: Readonly<Record<string, ColumnType>> = {
  String: { ...plain(new Utf8(), cursor => cursor.text()), isString: true },
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
  UUID: plain(new Utf8(), cursor => cursor.uuid()),
};

/** Seconds since 1970; the zone only says how ClickHouse shows them. */
const dateTime = plain(new TimestampSecond('UTC'), cursor => BigInt(cursor.uint32()));

/** Units that Arrow has, and what a count of ClickHouse's is multiplied by; 7 and 8 digits might overflow nanoseconds. */
const fractions: Readonly<Record<string, { type: DataType; scale: bigint }>> = {
  0: { type: new TimestampSecond('UTC'), scale: 1n },
  1: { type: new TimestampMillisecond('UTC'), scale: 100n },
  2: { type: new TimestampMillisecond('UTC'), scale: 10n },
  3: { type: new TimestampMillisecond('UTC'), scale: 1n },
  4: { type: new TimestampMicrosecond('UTC'), scale: 100n },
  5: { type: new TimestampMicrosecond('UTC'), scale: 10n },
  6: { type: new TimestampMicrosecond('UTC'), scale: 1n },
  9: { type: new TimestampNanosecond('UTC'), scale: 1n },
};

function dateTime64Of([digits = '']: readonly string[]): ColumnType | undefined {
  const found = Object.hasOwn(fractions, digits) ? fractions[digits] : undefined;
  return found && plain(found.type, cursor => cursor.int64() * found.scale);
}

function unscaledReader(precision: number): (cursor: BinaryCursor) => bigint {
  if (precision <= 9) return cursor => BigInt(cursor.int32());
  if (precision <= 18) return cursor => cursor.int64();
  return precision <= 38 ? cursor => cursor.signed(16) : cursor => cursor.signed(32);
}

function decimalOf(parts: readonly string[]): ColumnType | undefined {
  const [precision = 0, scale = -1] = parts.map(Number);
  const isRight = Number.isInteger(precision) && precision > 0 && precision <= 76 && scale >= 0;
  if (!isRight) return undefined;
  const type = new Decimal(scale, precision, precision <= 38 ? 128 : 256);
  return plain(type, unscaledReader(precision));
}

function fixedOf([width]: readonly string[]): ColumnType | undefined {
  const count = Number(width);
  if (!Number.isInteger(count) || count <= 0) return undefined;
  return plain(new FixedSizeBinary(count), cursor => cursor.bytes(count));
}

/** A name that the server could not send as it is cannot be told from others. */
const replacement = '\ufffd';

function enumOf(parts: readonly string[], number: (cursor: BinaryCursor) => number): ColumnType | undefined {
  const names = new Map<number, string>();
  for (const part of parts) {
    const member = memberOf(part);
    if (member === undefined || member.name.includes(replacement)) return undefined;
    names.set(member.value, member.name);
  }
  return plain(new Utf8(), cursor => {
    const name = names.get(number(cursor));
    if (name === undefined) throw new UnfitValue('a value outside its enumeration');
    return name;
  });
}

function nullable(inner: ColumnType): ColumnType {
  const read = (cursor: BinaryCursor): unknown => (cursor.uint8() === 1 ? null : inner.read(cursor));
  return { ...inner, read, isNullable: true };
}

/** Reads a count and as many values. */
function manyOf<T>(cursor: BinaryCursor, read: (cursor: BinaryCursor) => T): T[] {
  const count = cursor.length();
  const values: T[] = [];
  for (let i = 0; i < count; i++) values.push(read(cursor));
  return values;
}

function arrayOf(inner: ColumnType): ColumnType {
  const field: Field = new Field('item', inner.type, inner.isNullable);
  return plain(new List(field), cursor => manyOf(cursor, inner.read));
}

/** Keys must be text, because readers of Parquet know no others. */
function mapOf(key: ColumnType, value: ColumnType): ColumnType | undefined {
  if (!DataType.isUtf8(key.type) || key.isNullable) return undefined;
  const fields: Field[] = [
    new Field('key', key.type, false),
    new Field('value', value.type, value.isNullable),
  ];
  const struct: Struct = new Struct(fields);
  return plain(new Map_(new Field('entries', struct, false)), cursor =>
    manyOf(cursor, from => ({ key: key.read(from), value: value.read(from) })),
  );
}

/** Elements without a name are named by their place, from 1, as ClickHouse does. */
function tupleOf(parts: readonly string[]): ColumnType | undefined {
  const elements: { name: string; column: ColumnType }[] = [];
  for (const [index, part] of parts.entries()) {
    const { name = String(index + 1), type } = elementOf(part);
    const column = columnType(type);
    if (column === undefined || elements.some(found => found.name === name)) return undefined;
    elements.push({ name, column });
  }
  const fields = elements.map(({ name, column }) => new Field(name, column.type, column.isNullable));
  return plain(new Struct(fields), cursor =>
    Object.fromEntries(elements.map(({ name, column }) => [name, column.read(cursor)])),
  );
}

function wrapped(
  parts: readonly string[],
  wrap: (...inner: ColumnType[]) => ColumnType | undefined,
): ColumnType | undefined {
  const inner = parts.map(columnType);
  const known = inner.filter(found => found !== undefined);
  return known.length === inner.length ? wrap(...known) : undefined;
}

const families: Readonly<Record<string, (parts: readonly string[]) => ColumnType | undefined>> = {
  DateTime: () => dateTime,
  DateTime64: dateTime64Of,
  Decimal: decimalOf,
  FixedString: fixedOf,
  Enum8: parts => enumOf(parts, cursor => cursor.int8()),
  Enum16: parts => enumOf(parts, cursor => cursor.int16()),
  Tuple: parts => (parts.length === 0 ? undefined : tupleOf(parts)),
  Nested: parts => {
    const inner = tupleOf(parts);
    return inner && arrayOf(inner);
  },
  Array: parts => wrapped(parts, inner => inner && arrayOf(inner)),
  Nullable: parts => wrapped(parts, inner => inner && nullable(inner)),
  LowCardinality: parts => wrapped(parts, inner => inner),
  Map: parts => wrapped(parts, (key, value) => key && value && mapOf(key, value)),
};

/**
 * The Arrow form of a ClickHouse type: String, Bool, Int and UInt of 8 to 64 bits, Float, Decimal, Date, DateTime,
 * DateTime64 of up to 6 or of 9 digits, Enum and UUID (as text), FixedString (as bytes); Nullable, LowCardinality,
 * Array, Tuple and Nested of these, and Map with keys of text. Undefined for any other.
 */
export function columnType(name: string): ColumnType | undefined {
  if (Object.hasOwn(simple, name)) return simple[name];
  const { name: family, parts }: TypeName = typeNameOf(name);
  return Object.hasOwn(families, family) ? families[family]!(parts) : undefined;
}
