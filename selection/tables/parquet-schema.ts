import { DataType, DateUnit, type Field, Precision, TimeUnit } from 'apache-arrow';
import type { ConvertedType, LogicalType, ParquetType, SchemaElement } from 'hyparquet';
import { DpError } from '../../accounting/check.ts';

type Leaf = Omit<SchemaElement, 'name' | 'repetition_type'>;

function integerLeaf(type: DataType): Leaf | undefined {
  if (!DataType.isInt(type)) return undefined;
  const physical: ParquetType = type.bitWidth === 64 ? 'INT64' : 'INT32';
  if (type.isSigned && type.bitWidth >= 32) return { type: physical };
  const converted: ConvertedType = `${type.isSigned ? 'INT' : 'UINT'}_${type.bitWidth}`;
  return { type: physical, converted_type: converted };
}

function floatLeaf(type: DataType): Leaf | undefined {
  if (!DataType.isFloat(type)) return undefined;
  if (type.precision === Precision.HALF) {
    return { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 2, logical_type: { type: 'FLOAT16' } };
  }
  return { type: type.precision === Precision.SINGLE ? 'FLOAT' : 'DOUBLE' };
}

/** Parquet has no seconds; those become milliseconds. */
function parquetUnit(unit: TimeUnit): 'MILLIS' | 'MICROS' | 'NANOS' {
  if (unit === TimeUnit.NANOSECOND) return 'NANOS';
  return unit === TimeUnit.MICROSECOND ? 'MICROS' : 'MILLIS';
}

function timeLeaf(type: DataType): Leaf | undefined {
  if (DataType.isDate(type)) return { type: 'INT32', converted_type: 'DATE' };
  if (DataType.isTimestamp(type)) {
    const isAdjustedToUTC = typeof type.timezone === 'string' && type.timezone !== '';
    return {
      type: 'INT64',
      logical_type: { type: 'TIMESTAMP', isAdjustedToUTC, unit: parquetUnit(type.unit) },
    };
  }
  if (!DataType.isTime(type)) return undefined;
  const unit = parquetUnit(type.unit);
  const logical: LogicalType = { type: 'TIME', isAdjustedToUTC: false, unit };
  return { type: unit === 'MILLIS' ? 'INT32' : 'INT64', logical_type: logical };
}

function bytesLeaf(type: DataType): Leaf | undefined {
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)) {
    return { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } };
  }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isBinaryView(type))
    return { type: 'BYTE_ARRAY' };
  if (DataType.isFixedSizeBinary(type)) return { type: 'FIXED_LEN_BYTE_ARRAY', type_length: type.byteWidth };
  return undefined;
}

function otherLeaf(type: DataType): Leaf | undefined {
  if (DataType.isBool(type)) return { type: 'BOOLEAN' };
  if (DataType.isNull(type)) return { type: 'INT32', logical_type: { type: 'NULL' } };
  if (!DataType.isDecimal(type)) return undefined;
  const { scale, precision, bitWidth } = type;
  return {
    type: 'FIXED_LEN_BYTE_ARRAY',
    type_length: bitWidth / 8,
    converted_type: 'DECIMAL',
    scale,
    precision,
  };
}

function leafOf(type: DataType): Leaf | undefined {
  return integerLeaf(type) ?? floatLeaf(type) ?? timeLeaf(type) ?? bytesLeaf(type) ?? otherLeaf(type);
}

function unsupported(field: Field): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot write Parquet: column ${JSON.stringify(field.name)} is of type ${String(field.type)}, which Parquet lacks. Write Arrow, or convert or drop that column.`,
  );
}

function listElements(field: Field, child: Field): SchemaElement[] {
  return [
    { name: field.name, repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    ...elementsOf(child.clone({ name: 'element' })),
  ];
}

function mapElements(field: Field, entries: Field): SchemaElement[] {
  const key: Field = entries.type.children[0];
  const value: Field = entries.type.children[1];
  const keys = elementsOf(key.clone({ name: 'key' }));
  return [
    { name: field.name, repetition_type: 'OPTIONAL', converted_type: 'MAP', num_children: 1 },
    { name: 'key_value', repetition_type: 'REPEATED', num_children: 2 },
    { ...keys[0]!, repetition_type: 'REQUIRED' },
    ...keys.slice(1),
    ...elementsOf(value.clone({ name: 'value' })),
  ];
}

/** The Parquet elements of an Arrow field, parents before children; every column may hold nulls. */
export function elementsOf(field: Field): SchemaElement[] {
  const type: DataType = DataType.isDictionary(field.type) ? field.type.dictionary : field.type;
  if (DataType.isMap(type)) return mapElements(field, type.children[0]!);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) {
    return listElements(field, type.children[0]!);
  }
  if (DataType.isStruct(type)) {
    const children: Field[] = type.children;
    const own: SchemaElement = {
      name: field.name,
      repetition_type: 'OPTIONAL',
      num_children: children.length,
    };
    return [own, ...children.flatMap(elementsOf)];
  }
  const leaf = leafOf(type);
  if (leaf === undefined) throw unsupported(field);
  return [{ name: field.name, repetition_type: 'OPTIONAL', ...leaf }];
}

/** Converts a stored Arrow value of this type into what Parquet stores. */
export function storedValue(type: DataType): (value: number | bigint) => number | bigint {
  if (DataType.isDate(type) && type.unit === DateUnit.MILLISECOND)
    return value => Math.floor(Number(value) / 86_400_000);
  if (DataType.isTimestamp(type) && type.unit === TimeUnit.SECOND) return value => BigInt(value) * 1000n;
  if (DataType.isTime(type) && type.unit === TimeUnit.SECOND) return value => Number(value) * 1000;
  return value => value;
}
