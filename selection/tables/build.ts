import { Data, DataType, type Field, Precision, Utf8 } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';

/** Cells up to this long are copied byte by byte, which costs less than a view. */
export const shortCell = 64;

/** Collects text, cell by cell, into Utf8 batches. */
export class TextBuilder {
  #bytes: Buffer = Buffer.allocUnsafe(1 << 12);
  #used = 0;
  #offsets: Int32Array = new Int32Array(1 << 10);
  #valid: Uint8Array = new Uint8Array(1 << 7);
  #count = 0;
  #nulls = 0;

  /** Bytes of text collected since the last batch. */
  get byteLength(): number {
    return this.#used;
  }

  /** Adds a cell: text, its UTF-8 bytes, or null. */
  append(cell: string | Uint8Array | null | undefined): void {
    this.#reserveRow();
    if (cell === null || cell === undefined) this.#nulls += 1;
    else {
      this.#valid[this.#count >> 3]! |= 1 << (this.#count & 7);
      this.#used += this.#write(cell);
    }
    this.#offsets[++this.#count] = this.#used;
  }

  /** Adds the UTF-8 bytes of a cell that lie in a longer run. */
  appendSlice(source: Uint8Array, start: number, end: number): void {
    this.#reserveRow();
    this.#reserveBytes(end - start);
    this.#valid[this.#count >> 3]! |= 1 << (this.#count & 7);
    const bytes = this.#bytes;
    let to = this.#used;
    if (end - start > shortCell) {
      bytes.set(source.subarray(start, end), to);
      to += end - start;
    } else for (let from = start; from < end; from++) bytes[to++] = source[from]!;
    this.#used = to;
    this.#offsets[++this.#count] = to;
  }

  /** Closes the batch and starts the next. */
  finish(type: DataType = new Utf8()): Data {
    const offsets = this.#offsets.slice(0, this.#count + 1);
    const values = Uint8Array.prototype.slice.call(this.#bytes, 0, this.#used);
    const valid = this.#nulls === 0 ? new Uint8Array(0) : this.#valid.slice(0, (this.#count + 7) >> 3);
    const data = new Data(type, 0, this.#count, this.#nulls, { 0: offsets, 1: values, 2: valid });
    this.#valid.fill(0);
    this.#used = this.#count = this.#nulls = 0;
    return data;
  }

  #write(cell: string | Uint8Array): number {
    this.#reserveBytes(typeof cell === 'string' ? 3 * cell.length : cell.length);
    if (typeof cell === 'string') return this.#bytes.write(cell, this.#used, 'utf8');
    this.#bytes.set(cell, this.#used);
    return cell.length;
  }

  #reserveRow(): void {
    if (this.#count + 1 < this.#offsets.length) return;
    const offsets = new Int32Array(2 * this.#offsets.length);
    offsets.set(this.#offsets);
    const valid = new Uint8Array(offsets.length >> 3);
    valid.set(this.#valid);
    this.#offsets = offsets;
    this.#valid = valid;
  }

  #reserveBytes(more: number): void {
    const needed = this.#used + more;
    if (needed <= this.#bytes.length) return;
    if (needed > 2 ** 31 - 1) {
      throw new DpError(
        'INVALID_DATA',
        `Cannot build a batch: it would hold up to ${needed} bytes of text, above 2^31 - 1. Split long records.`,
      );
    }
    const grown = Buffer.allocUnsafe(Math.min(2 ** 31 - 1, 2 * needed));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

/** One bit a cell, set where it holds a value; empty where all do. */
export function validityBits(values: ArrayLike<unknown>): { bitmap: Uint8Array; nullCount: number } {
  const bitmap = new Uint8Array((values.length + 7) >> 3);
  let nullCount = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null || values[i] === undefined) nullCount += 1;
    else bitmap[i >> 3]! |= 1 << (i & 7);
  }
  return { bitmap: nullCount === 0 ? new Uint8Array(0) : bitmap, nullCount };
}

function isMissing(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

function textData(type: DataType, values: ArrayLike<unknown>): Data {
  const builder = new TextBuilder();
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    builder.append(typeof value === 'string' || value instanceof Uint8Array ? value : null);
  }
  return builder.finish(type);
}

function bits(values: ArrayLike<unknown>): Uint8Array {
  const out = new Uint8Array((values.length + 7) >> 3);
  for (let i = 0; i < values.length; i++) if (values[i] === true) out[i >> 3]! |= 1 << (i & 7);
  return out;
}

/** Whole numbers come as number or bigint; anything else would be a fault of the reader. */
function bigintOf(value: unknown): bigint {
  return typeof value === 'bigint' ? value : BigInt(Number(value));
}

function numbers(type: DataType, values: ArrayLike<unknown>): ArrayBufferView {
  const out: BigInt64Array | Float64Array = new type.ArrayType(values.length);
  if (out instanceof BigInt64Array || out instanceof BigUint64Array) {
    for (let i = 0; i < values.length; i++) if (!isMissing(values[i])) out[i] = bigintOf(values[i]);
  } else {
    for (let i = 0; i < values.length; i++) if (!isMissing(values[i])) out[i] = Number(values[i]);
  }
  return out;
}

/** Big-endian two's complement, as Parquet keeps decimals in bytes. */
function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(8 * bytes.length, value);
}

function decimals(values: ArrayLike<unknown>, words: number): Uint32Array {
  const out = new Uint32Array(words * values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (isMissing(value)) continue;
    let rest = value instanceof Uint8Array ? bigEndian(value) : bigintOf(value);
    for (let w = 0; w < words; w++, rest >>= 32n) out[words * i + w] = Number(BigInt.asUintN(32, rest));
  }
  return out;
}

function fixedBytes(values: ArrayLike<unknown>, width: number): Uint8Array {
  const out = new Uint8Array(width * values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value instanceof Uint8Array) out.set(value, width * i);
  }
  return out;
}

function listData(type: DataType, values: ArrayLike<unknown>): Data {
  const offsets = new Int32Array(values.length + 1);
  const elements: unknown[] = [];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Array.isArray(value)) for (const element of value) elements.push(element);
    offsets[i + 1] = elements.length;
  }
  const { bitmap, nullCount } = validityBits(values);
  const child = buildData(childField(type).type, elements);
  return new Data(type, 0, values.length, nullCount, { 0: offsets, 2: bitmap }, [child]);
}

function childField(type: DataType): Field {
  return type.children[0]!;
}

/** True for objects that are no lists. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : null;
}

function structData(type: DataType, values: ArrayLike<unknown>): Data {
  const fields: readonly Field[] = type.children;
  const children = fields.map(field =>
    buildData(
      field.type,
      Array.from(values, value => member(value, field.name)),
    ),
  );
  const { bitmap, nullCount } = validityBits(values);
  return new Data(type, 0, values.length, nullCount, { 2: bitmap }, children);
}

/** Maps come as objects or as lists of `{ key, value }`. */
function entriesOf(value: unknown): unknown {
  if (isMissing(value) || Array.isArray(value)) return value;
  return Object.entries(value).map(([key, entry]: [string, unknown]) => ({ key, value: entry }));
}

function valuesOf(type: DataType, values: ArrayLike<unknown>): ArrayBufferView {
  if (DataType.isBool(type)) return bits(values);
  if (DataType.isDecimal(type)) return decimals(values, type.bitWidth / 32);
  if (DataType.isFixedSizeBinary(type)) return fixedBytes(values, type.byteWidth);
  if (DataType.isFloat(type) && type.precision === Precision.HALF)
    return new Uint16Array(fixedBytes(values, 2).buffer);
  return numbers(type, values);
}

/**
 * One batch of a column from plain values: text as strings or bytes, numbers as number or bigint in the unit of the
 * type, half floats as two bytes, decimals unscaled, lists as arrays, structs as objects; null and undefined are null.
 */
export function buildData(type: DataType, values: ArrayLike<unknown>): Data {
  if (DataType.isNull(type)) return new Data(type, 0, values.length, values.length);
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return textData(type, values);
  if (DataType.isStruct(type)) return structData(type, values);
  if (DataType.isMap(type)) return listData(type, Array.from(values, entriesOf));
  if (DataType.isList(type)) return listData(type, values);
  const { bitmap, nullCount } = validityBits(values);
  return new Data(type, 0, values.length, nullCount, { 1: valuesOf(type, values), 2: bitmap });
}
