import {
  Data,
  DataType,
  Field,
  FixedSizeList,
  LargeList,
  List,
  Map_,
  Struct,
  Type,
  Vector,
} from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { shortCell } from './build.ts';
import { isNullAt } from './cells.ts';

/** Where cells lie: a batch and a row within it; batch -1 stands for null. */
export interface Places {
  readonly batch: Int32Array;
  readonly row: Int32Array;
}

/** Arrow keeps at most this many bytes of text or binary in one batch. */
export const mostBytes: number = 2 ** 31 - 1;

/** Every row of one batch, in its order. */
export function everyRow(count: number): Places {
  return { batch: new Int32Array(count), row: Int32Array.from({ length: count }, (_, row) => row) };
}

/** A batch without rows, children and dictionary included, as a stand-in where there is none to copy from. */
export function emptyBatch(type: DataType): Data {
  if (DataType.isDictionary(type)) {
    const entries = new Vector([emptyBatch(type.dictionary)]);
    return new Data(type, 0, 0, 0, { 1: new type.indices.ArrayType(0) }, [], entries);
  }
  const children = (type.children ?? []).map(child => emptyBatch(child.type));
  return new Data(type, 0, 0, 0, {}, children);
}

interface Validity {
  readonly bitmap: Uint8Array;
  readonly nullCount: number;
}

function isNullPlace(batches: readonly Data[], at: Places, i: number): boolean {
  const batch = at.batch[i]!;
  return batch < 0 || isNullAt(batches[batch]!, at.row[i]!);
}

/** True where some of the cells may be null; tells cheaply that none is. */
function mayHoldNulls(batches: readonly Data[], at: Places): boolean {
  if (batches.some(({ nullCount }) => nullCount > 0)) return true;
  for (let i = 0; i < at.batch.length; i++) if (at.batch[i]! < 0) return true;
  return false;
}

function validityOf(batches: readonly Data[], at: Places): Validity {
  if (!mayHoldNulls(batches, at)) return { bitmap: new Uint8Array(0), nullCount: 0 };
  const count = at.row.length;
  const bitmap = new Uint8Array((count + 7) >> 3);
  let valid = 0;
  for (let i = 0; i < count; i++) {
    if (isNullPlace(batches, at, i)) continue;
    bitmap[i >> 3]! |= 1 << (i & 7);
    valid += 1;
  }
  return { bitmap: valid === count ? new Uint8Array(0) : bitmap, nullCount: count - valid };
}

interface Parts {
  readonly offsets?: Int32Array | BigInt64Array;
  readonly values?: ArrayBufferView;
  readonly children?: Data[];
  readonly variadic?: Uint8Array[];
}

/** A column of `type` with the validity of the places and the parts given. */
function assemble(type: DataType, validity: Validity & { count: number }, parts: Parts): Data {
  const { offsets, values, children, variadic } = parts;
  return new Data(
    type,
    0,
    validity.count,
    validity.nullCount,
    { 0: offsets, 1: values, 2: validity.bitmap },
    children,
    undefined,
    variadic,
  );
}

type Words = Uint32Array | Uint8Array;

/** The same memory in words of 4 bytes where it allows, so that no value is ever interpreted while it is copied. */
function wordsOf(values: ArrayBufferView | undefined, bytesPerValue: number): Words {
  if (values === undefined) return new Uint8Array(0);
  const { buffer, byteOffset, byteLength } = values;
  if (bytesPerValue % 4 === 0 && byteOffset % 4 === 0)
    return new Uint32Array(buffer, byteOffset, byteLength >> 2);
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function gatherFixed(batches: readonly Data[], at: Places): ArrayBufferView {
  const { type, stride } = batches[0]!;
  const values = new type.ArrayType(at.row.length * stride);
  const bytesPerValue = stride * values.BYTES_PER_ELEMENT;
  const sources = batches.map(batch => wordsOf(batch.values, bytesPerValue));
  const perWord = sources.every(words => words instanceof Uint32Array) ? 4 : 1;
  const from = perWord === 4 ? sources : batches.map(batch => bytesOf(batch.values));
  copyWords(from, at, { target: wordsOf(values, perWord), width: bytesPerValue / perWord });
  return values;
}

function bytesOf(values: ArrayBufferView | undefined): Uint8Array {
  if (values === undefined) return new Uint8Array(0);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function copyWords(sources: readonly Words[], at: Places, to: { target: Words; width: number }): void {
  const { target, width } = to;
  for (let i = 0, out = 0; i < at.row.length; i++) {
    if (at.batch[i]! < 0) {
      out += width;
      continue;
    }
    const source = sources[at.batch[i]!]!;
    const start = at.row[i]! * width;
    for (let w = start; w < start + width; w++) target[out++] = source[w]!;
  }
}

function gatherBits(batches: readonly Data[], at: Places): Uint8Array {
  const out = new Uint8Array((at.row.length + 7) >> 3);
  for (let i = 0; i < at.row.length; i++) {
    if (isNullPlace(batches, at, i)) continue;
    const { values, offset } = batches[at.batch[i]!]!;
    const bit = offset + at.row[i]!;
    out[i >> 3]! |= ((values[bit >> 3]! >> (bit & 7)) & 1) << (i & 7);
  }
  return out;
}

/** Where variable-length cells start and end in their batches; both 0 where null. */
interface Spans {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
}

function spansOf(batches: readonly Data[], at: Places): Spans {
  const starts = new Float64Array(at.row.length);
  const ends = new Float64Array(at.row.length);
  const offsets: (Int32Array | BigInt64Array)[] = batches.map(batch => batch.valueOffsets);
  const isSparse = mayHoldNulls(batches, at);
  for (let i = 0; i < at.row.length; i++) {
    if (isSparse && isNullPlace(batches, at, i)) continue;
    const own = offsets[at.batch[i]!]!;
    starts[i] = Number(own[at.row[i]!]!);
    ends[i] = Number(own[at.row[i]! + 1]!);
  }
  return { starts, ends };
}

function fixedSpans(at: Places, size: number): Spans {
  return {
    starts: Float64Array.from(at.row, row => row * size),
    ends: Float64Array.from(at.row, row => (row + 1) * size),
  };
}

/** New offsets for the cells, and their total; `large` as the type has them. */
function offsetsOf(spans: Spans, large: boolean): { offsets: Int32Array | BigInt64Array; total: number } {
  const count = spans.starts.length;
  const offsets = large ? new BigInt64Array(count + 1) : new Int32Array(count + 1);
  let total = 0;
  for (let i = 0; i < count; i++) {
    total += spans.ends[i]! - spans.starts[i]!;
    if (total > mostBytes) throw tooLarge(total);
    offsets[i + 1] = large ? BigInt(total) : total;
  }
  return { offsets, total };
}

/** The refusal of a column beyond `mostBytes`. */
export function tooLarge(bytes: number): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot copy rows: one batch would hold ${bytes} bytes of one column, above 2^31 - 1. Split long records.`,
  );
}

/** Index after the last of the cells from `i` on that lie one after the other in the same batch. */
function runEnd(spans: Spans, at: Places, i: number): number {
  let last = i;
  while (
    last + 1 < at.row.length &&
    at.batch[last + 1] === at.batch[i] &&
    spans.starts[last + 1] === spans.ends[last]
  )
    last += 1;
  return last + 1;
}

function gatherBytes(batches: readonly Data[], at: Places, large: boolean): Parts {
  const spans = spansOf(batches, at);
  const { offsets, total } = offsetsOf(spans, large);
  const values = new Uint8Array(total);
  const sources: Uint8Array[] = batches.map(batch => batch.values ?? new Uint8Array(0));
  for (let i = 0, out = 0; i < at.row.length;) {
    const next = runEnd(spans, at, i);
    const start = spans.starts[i]!;
    const end = spans.ends[next - 1]!;
    const batch = at.batch[i]!;
    i = next;
    if (start === end) continue;
    const source = sources[batch]!;
    if (end - start > shortCell) values.set(source.subarray(start, end), out);
    else for (let from = start, to = out; from < end; from++, to++) values[to] = source[from]!;
    out += end - start;
  }
  return { offsets, values };
}

/** Cells of Utf8View and BinaryView, whose long texts move to one new buffer. */
function gatherViews(batches: readonly Data[], at: Places): Parts {
  const values = new Uint8Array(16 * at.row.length);
  const view = new DataView(values.buffer);
  const long: Uint8Array[] = [];
  let total = 0;
  for (let i = 0; i < at.row.length; i++) {
    if (isNullPlace(batches, at, i)) continue;
    const data = batches[at.batch[i]!]!;
    const cell: Uint8Array = data.values.subarray(16 * at.row[i]!, 16 * at.row[i]! + 16);
    values.set(cell, 16 * i);
    const length = view.getInt32(16 * i, true);
    if (length <= 12) continue;
    const start = view.getInt32(16 * i + 12, true);
    long.push(data.variadicBuffers[view.getInt32(16 * i + 8, true)]!.subarray(start, start + length));
    view.setInt32(16 * i + 8, 0, true);
    view.setInt32(16 * i + 12, total, true);
    total += length;
    if (total > mostBytes) throw tooLarge(total);
  }
  return { values, variadic: total === 0 ? [] : [Buffer.concat(long, total)] };
}

/** Places of the elements of list cells within the child column. */
function childPlaces(at: Places, spans: Spans, total: number): Places {
  const batch = new Int32Array(total);
  const row = new Int32Array(total);
  for (let i = 0, out = 0; i < at.row.length; i++) {
    const end = spans.ends[i]!;
    for (let element = spans.starts[i]!; element < end; element++, out++) {
      batch[out] = at.batch[i]!;
      row[out] = element;
    }
  }
  return { batch, row };
}

function gatherChild(batches: readonly Data[], at: Places, index: number): Data {
  return gather(
    batches.map(batch => batch.children[index]!),
    at,
  );
}

/** The same field with the type that its gathered data has: dictionaries below the top level come out as plain values. */
function fieldOf(field: Field, data: Data): Field {
  return field.clone({ type: data.type });
}

function gatherList(batches: readonly Data[], at: Places): { type: DataType; parts: Parts } {
  const { type } = batches[0]!;
  const size = DataType.isFixedSizeList(type) ? type.listSize : undefined;
  const spans = size === undefined ? spansOf(batches, at) : fixedSpans(at, size);
  const { offsets, total } = offsetsOf(spans, DataType.isLargeList(type));
  const child = gatherChild(batches, childPlaces(at, spans, total), 0);
  const field = fieldOf(type.children[0]!, child);
  if (size !== undefined) return { type: new FixedSizeList(size, field), parts: { children: [child] } };
  return { type: listType(type, field), parts: { offsets, children: [child] } };
}

function listType(type: DataType, field: Field): DataType {
  if (DataType.isMap(type)) return new Map_(field, type.keysSorted);
  return DataType.isLargeList(type) ? new LargeList(field) : new List(field);
}

function gatherStruct(batches: readonly Data[], at: Places): { type: DataType; parts: Parts } {
  const fields = batches[0]!.type.children;
  const children = fields.map((_, index) => gatherChild(batches, at, index));
  return { type: new Struct(fields.map((field, i) => fieldOf(field, children[i]!))), parts: { children } };
}

function decodePlaces(batches: readonly Data[], at: Places): { pool: Data[]; places: Places } {
  const pool: Data[] = [];
  const starts = new Map<Vector, number>();
  for (const { dictionary } of batches) {
    if (dictionary === undefined || starts.has(dictionary)) continue;
    starts.set(dictionary, pool.length);
    pool.push(...dictionary.data);
  }
  const batch = new Int32Array(at.row.length).fill(-1);
  const row = new Int32Array(at.row.length);
  for (let i = 0; i < at.row.length; i++) {
    if (isNullPlace(batches, at, i)) continue;
    const source = batches[at.batch[i]!]!;
    let part = starts.get(source.dictionary!)!;
    let index = Number(source.values[at.row[i]!]);
    while (index >= pool[part]!.length) index -= pool[part++]!.length;
    batch[i] = part;
    row[i] = index;
  }
  return { pool, places: { batch, row } };
}

/** The refusal of a type whose rows cannot be copied. */
export function unsupported(type: DataType): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot copy rows: columns of type ${Type[type.typeId]} are not supported. Convert or drop that column.`,
  );
}

function partsOf(batches: readonly Data[], at: Places): { type: DataType; parts: Parts } {
  const { type } = batches[0]!;
  if (DataType.isNull(type)) return { type, parts: {} };
  if (DataType.isBool(type)) return { type, parts: { values: gatherBits(batches, at) } };
  if (DataType.isUtf8(type) || DataType.isBinary(type))
    return { type, parts: gatherBytes(batches, at, false) };
  if (DataType.isLargeUtf8(type) || DataType.isLargeBinary(type)) {
    return { type, parts: gatherBytes(batches, at, true) };
  }
  if (DataType.isUtf8View(type) || DataType.isBinaryView(type))
    return { type, parts: gatherViews(batches, at) };
  if (DataType.isStruct(type)) return gatherStruct(batches, at);
  if (DataType.isUnion(type)) throw unsupported(type);
  if (type.children?.length === 1) return gatherList(batches, at);
  return { type, parts: { values: gatherFixed(batches, at) } };
}

/**
 * Copies cells of one column into a new batch, in the order of `at`.
 *
 * @param batches - the column's batches, at least one, all of one type; slices are fine
 * @returns data of the same type, save that dictionaries are decoded
 */
export function gather(batches: readonly Data[], at: Places): Data {
  if (DataType.isDictionary(batches[0]!.type)) {
    const { pool, places } = decodePlaces(batches, at);
    return gather(pool, places);
  }
  const { type, parts } = partsOf(batches, at);
  const validity = DataType.isNull(type)
    ? { bitmap: new Uint8Array(0), nullCount: at.row.length }
    : validityOf(batches, at);
  return assemble(type, { ...validity, count: at.row.length }, parts);
}
