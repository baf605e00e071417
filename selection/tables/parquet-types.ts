import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  List,
  Map_,
  Null,
  Struct,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
} from 'apache-arrow';
import type { SchemaElement, SchemaTree } from 'hyparquet';
import { DpError } from '../../accounting/check.ts';

function unsupported(element: SchemaElement, what: string): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot read Parquet: column ${JSON.stringify(element.name)} is ${what}, which is not supported. Convert or drop that column.`,
  );
}

const integers: Readonly<Record<string, () => DataType>> = {
  INT_8: () => new Int8(),
  INT_16: () => new Int16(),
  INT_32: () => new Int32(),
  INT_64: () => new Int64(),
  UINT_8: () => new Uint8(),
  UINT_16: () => new Uint16(),
  UINT_32: () => new Uint32(),
  UINT_64: () => new Uint64(),
};

const converted: Readonly<Record<string, () => DataType>> = {
  ...integers,
  UTF8: () => new Utf8(),
  ENUM: () => new Utf8(),
  JSON: () => new Utf8(),
  DATE: () => new DateDay(),
  TIME_MILLIS: () => new TimeMillisecond(),
  TIME_MICROS: () => new TimeMicrosecond(),
  TIMESTAMP_MILLIS: () => new TimestampMillisecond('UTC'),
  TIMESTAMP_MICROS: () => new TimestampMicrosecond('UTC'),
};

const physical: Readonly<Record<string, (element: SchemaElement) => DataType>> = {
  BOOLEAN: () => new Bool(),
  INT32: () => new Int32(),
  INT64: () => new Int64(),
  INT96: () => new TimestampNanosecond(),
  FLOAT: () => new Float32(),
  DOUBLE: () => new Float64(),
  BYTE_ARRAY: () => new Binary(),
  FIXED_LEN_BYTE_ARRAY: element => new FixedSizeBinary(element.type_length ?? 0),
};

/** What the logical type says, which is finer than the older converted type; undefined where that decides. */
function logicalType({ logical_type: logical }: SchemaElement): DataType | undefined {
  switch (logical?.type) {
    case 'STRING':
    case 'ENUM':
    case 'JSON':
      return new Utf8();
    case 'NULL':
      return new Null();
    case 'FLOAT16':
      return new Float16();
    case 'INTEGER':
      return integers[`${logical.isSigned ? '' : 'U'}INT_${logical.bitWidth}`]?.();
    case 'TIME':
      return { MILLIS: new TimeMillisecond(), MICROS: new TimeMicrosecond(), NANOS: new TimeNanosecond() }[
        logical.unit
      ];
    case 'TIMESTAMP':
      return timestampType(logical.unit, logical.isAdjustedToUTC ? 'UTC' : null);
    default:
      return undefined;
  }
}

function timestampType(unit: 'MILLIS' | 'MICROS' | 'NANOS', timezone: string | null): DataType {
  if (unit === 'MILLIS') return new TimestampMillisecond(timezone);
  return unit === 'MICROS' ? new TimestampMicrosecond(timezone) : new TimestampNanosecond(timezone);
}

function leafType(element: SchemaElement): DataType {
  const { converted_type: ctype, logical_type: logical } = element;
  if (ctype === 'DECIMAL' || logical?.type === 'DECIMAL') return decimalType(element);
  if (ctype === 'INTERVAL' || ctype === 'BSON') throw unsupported(element, ctype);
  const type = logicalType(element) ?? (ctype === undefined ? undefined : converted[ctype]?.());
  if (type !== undefined) return type;
  return physical[element.type!]!(element);
}

function decimalType(element: SchemaElement): DataType {
  const logical = element.logical_type?.type === 'DECIMAL' ? element.logical_type : undefined;
  const precision = logical?.precision ?? element.precision ?? 38;
  return new Decimal(logical?.scale ?? element.scale ?? 0, precision, precision > 38 ? 256 : 128);
}

function isList(tree: SchemaTree): boolean {
  return tree.element.converted_type === 'LIST' && tree.children.length === 1;
}

function isMap(tree: SchemaTree): boolean {
  return (
    tree.element.converted_type === 'MAP' &&
    tree.children.length === 1 &&
    tree.children[0]!.children.length === 2
  );
}

function listType(tree: SchemaTree): DataType {
  const repeated = tree.children[0]!;
  if (repeated.children.length > 1) throw unsupported(tree.element, 'a list of the old two-level form');
  return new List(fieldOf(repeated.children[0] ?? repeated));
}

function mapType(tree: SchemaTree): DataType {
  const entries = tree.children[0]!;
  const [key, value] = entries.children.map(fieldOf);
  if (String(key!.type) !== 'Utf8') throw unsupported(tree.element, 'a map whose keys are not text');
  const fields: Field[] = [
    new Field('key', key!.type, false),
    new Field('value', value!.type, value!.nullable),
  ];
  const struct: Struct = new Struct(fields);
  return new Map_(new Field('entries', struct, false));
}

function typeOf(tree: SchemaTree): DataType {
  const { element } = tree;
  if (element.logical_type?.type === 'VARIANT') throw unsupported(element, 'VARIANT');
  if (tree.children.length === 0) return leafType(element);
  if (isList(tree)) return listType(tree);
  return isMap(tree) ? mapType(tree) : new Struct(tree.children.map(fieldOf));
}

/** The Arrow field that holds what a Parquet column holds, without loss. */
export function fieldOf(tree: SchemaTree): Field {
  if (tree.element.repetition_type === 'REPEATED' && tree.children.length > 0)
    throw unsupported(tree.element, 'a repeated group');
  return new Field(tree.element.name, typeOf(tree), tree.element.repetition_type !== 'REQUIRED');
}

/**
 * The same schema with the meaning of its leaves taken away, so that the reader hands out stored values (bytes, counts
 * of days or microseconds, unscaled decimals) and nothing is rounded or silently repaired on the way. Keys of maps
 * keep theirs, because the reader turns them into property names.
 */
export function physicalSchema(schema: readonly SchemaElement[]): SchemaElement[] {
  return schema.map((element, index) => {
    const isLeaf = element.type !== undefined;
    const isMapKey = element.name === 'key' && schema[index - 1]?.num_children === 2;
    if (!isLeaf || isMapKey) return element;
    const { converted_type: _converted, logical_type: _logical, ...rest } = element;
    return rest;
  });
}
