import { Data, DataType, Dictionary, type Field, Int32, Vector } from 'apache-arrow';
import { valueType } from './cells.ts';
import { emptyBatch, everyRow, gather } from './gather.ts';

/** Types that print the same are the same here; ids of dictionaries are not printed, and do not matter. */
function areEqual(a: { toString(): string }, b: { toString(): string }): boolean {
  return a.toString() === b.toString();
}

function commonDictionary(a: DataType, b: DataType): DataType | undefined {
  if (!DataType.isDictionary(a) || !DataType.isDictionary(b)) return undefined;
  if (!areEqual(a.dictionary, b.dictionary)) return undefined;
  const isSame = areEqual(a.indices, b.indices) && a.isOrdered === b.isOrdered;
  return isSame ? a : new Dictionary(a.dictionary, new Int32(), a.id);
}

/**
 * The type to which a column of two files is brought: dictionaries with other indices get Int32, a dictionary in one
 * file and plain values in the other become plain, a column of nothing but nulls becomes anything. Undefined where the
 * types differ otherwise.
 */
function commonType(a: DataType, b: DataType): DataType | undefined {
  const dictionary = commonDictionary(a, b);
  if (dictionary !== undefined) return dictionary;
  if (areEqual(a, b)) return a;
  if (DataType.isNull(a)) return b;
  if (DataType.isNull(b)) return a;
  return areEqual(valueType(a), valueType(b)) ? valueType(a) : undefined;
}

/** How the columns of one file differ from those of the files before. */
export interface Difference {
  readonly reason: string;
  /** Which of the two lacks or holds what the reason says. */
  readonly column: string;
}

function difference(reason: string, column: string): Difference {
  return { reason, column };
}

/** The columns that two files have in common, in the order of the first; or how they differ. */
export function commonFields(
  before: readonly Field[],
  after: readonly Field[],
): readonly Field[] | Difference {
  const added = after.find(({ name }) => before.every(field => field.name !== name));
  if (added !== undefined) return difference('has a column that the first file lacks', added.name);
  const merged: Field[] = [];
  for (const field of before) {
    const other = after.find(({ name }) => name === field.name);
    if (other === undefined) return difference('lacks a column that the first file has', field.name);
    const type = commonType(field.type, other.type);
    if (type === undefined)
      return difference(
        `holds ${String(other.type)} where the first file holds ${String(field.type)}`,
        field.name,
      );
    merged.push(field.clone({ type, nullable: field.nullable || other.nullable }));
  }
  return merged;
}

function noRow(count: number): { batch: Int32Array; row: Int32Array } {
  return { batch: new Int32Array(count).fill(-1), row: new Int32Array(count) };
}

function nulls(type: DataType, count: number): Data {
  const empty = emptyBatch(valueType(type));
  if (!DataType.isDictionary(type)) return gather([empty], noRow(count));
  const codes = new type.indices.ArrayType(count);
  const validity = new Uint8Array((count + 7) >> 3);
  return new Data(type, 0, count, count, { 1: codes, 2: validity }, [], new Vector([empty]));
}

function withIndices(data: Data, type: Dictionary): Data {
  const { values, length, nullCount, nullBitmap, dictionary } = data;
  const codes = new type.indices.ArrayType(length);
  for (let i = 0; i < length; i++) codes[i] = Number(values[i]);
  return new Data(type, 0, length, nullCount, { 1: codes, 2: nullBitmap }, [], dictionary);
}

/** The same type for all files also means the same type object, which Arrow's writer compares. */
function retyped(data: Data, type: DataType): Data {
  const { offset, length, nullCount, children, dictionary, variadicBuffers } = data;
  return new Data(type, offset, length, nullCount, data, children, dictionary, variadicBuffers);
}

/** Brings a batch of a column, as a reader hands it out, to the type that all files have in common. */
export function conform(data: Data, type: DataType): Data {
  if (data.type === type) return data;
  if (DataType.isNull(data.type) && !DataType.isNull(type)) return nulls(type, data.length);
  if (!DataType.isDictionary(data.type)) return retyped(data, type);
  if (!DataType.isDictionary(type)) return retyped(gather([data], everyRow(data.length)), type);
  return areEqual(data.type.indices, type.indices) ? retyped(data, type) : withIndices(data, type);
}
