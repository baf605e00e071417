import { type Data, DataType, Precision, type Vector } from 'apache-arrow';
import { isNullAt, isTextType, textCells } from './cells.ts';
import { storedValue } from './parquet-schema.ts';

/** One cell as the Parquet writer wants it. */
type CellReader = (row: number) => unknown;

function decimalAt(words: Uint32Array, start: number, count: number): bigint {
  let value = 0n;
  for (let w = count - 1; w >= 0; w--) value = (value << 32n) | BigInt(words[start + w]!);
  return BigInt.asIntN(32 * count, value);
}

function bytesReader(data: Data): CellReader {
  const { type, values } = data;
  if (DataType.isFixedSizeBinary(type))
    return row => values.subarray(type.byteWidth * row, type.byteWidth * (row + 1));
  const cells = textCells(data);
  return row => cells.bytes(row);
}

function halfReader(data: Data): CellReader {
  const view = new DataView(data.values.buffer, data.values.byteOffset, data.values.byteLength);
  return row => halfToNumber(view.getUint16(2 * row, true));
}

/** IEEE 754 binary16. */
function halfToNumber(half: number): number {
  const sign = half >> 15 === 0 ? 1 : -1;
  const exponent = (half >> 10) & 31;
  const fraction = (half & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * 2 ** -14 * fraction : sign * 2 ** (exponent - 15) * (1 + fraction);
}

function listReader(data: Data, element: CellReader): CellReader {
  const { type } = data;
  const size = DataType.isFixedSizeList(type) ? type.listSize : undefined;
  const offsets: ArrayLike<number | bigint> = data.valueOffsets;
  return row => {
    const start = size === undefined ? Number(offsets[row]!) : size * row;
    const end = size === undefined ? Number(offsets[row + 1]!) : start + size;
    return Array.from({ length: end - start }, (_, i) => element(start + i));
  };
}

function structReader(data: Data, names: readonly string[]): CellReader {
  const readers = data.children.map(cellReader);
  return row => Object.fromEntries(readers.map((read, index) => [names[index]!, read(row)]));
}

function dictionaryReader(data: Data): CellReader {
  const values = decoded(data.dictionary!);
  return row => values[Number(data.values[row])];
}

/** Dictionaries are shared by many batches: each is decoded once. */
const decodedDictionaries = new WeakMap<Vector, unknown[]>();

function decoded(dictionary: Vector): unknown[] {
  const found = decodedDictionaries.get(dictionary) ?? dictionary.data.flatMap(batchValues);
  decodedDictionaries.set(dictionary, found);
  return found;
}

function plainReader(data: Data): CellReader {
  const { type, values } = data;
  const convert = storedValue(type);
  return row => convert(values[row]);
}

function bitReader(data: Data): CellReader {
  const { values, offset } = data;
  return row => ((values[(offset + row) >> 3]! >> ((offset + row) & 7)) & 1) === 1;
}

function textReader(data: Data): CellReader {
  const cells = textCells(data);
  return row => cells.text(row);
}

function nestedReader(data: Data): CellReader | undefined {
  const { type, children } = data;
  if (DataType.isMap(type)) return listReader(data, structReader(children[0]!, ['key', 'value']));
  if (DataType.isStruct(type))
    return structReader(
      data,
      type.children.map(({ name }) => name),
    );
  return type.children?.length === 1 && children.length === 1
    ? listReader(data, cellReader(children[0]!))
    : undefined;
}

function isBytes(type: DataType): boolean {
  return (
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type) ||
    DataType.isBinaryView(type) ||
    DataType.isFixedSizeBinary(type)
  );
}

function valueReader(data: Data): CellReader {
  const { type } = data;
  if (DataType.isDictionary(type)) return dictionaryReader(data);
  if (DataType.isNull(type)) return () => null;
  if (DataType.isBool(type)) return bitReader(data);
  if (DataType.isDecimal(type)) return row => decimalAt(data.values, data.stride * row, data.stride);
  if (DataType.isFloat(type) && type.precision === Precision.HALF) return halfReader(data);
  if (isTextType(type)) return textReader(data);
  return nestedReader(data) ?? (isBytes(type) ? bytesReader(data) : plainReader(data));
}

function cellReader(data: Data): CellReader {
  const read = valueReader(data);
  return row => (isNullAt(data, row) ? null : read(row));
}

/** The cells of one batch of a column as the Parquet writer wants them; null where they are null. */
export function batchValues(data: Data): unknown[] {
  const read = cellReader(data);
  return Array.from({ length: data.length }, (_, row) => read(row));
}
