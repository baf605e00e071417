import { Data, type DataType } from 'apache-arrow';
import { isNullAt } from '../tables/cells.ts';
import { ByteArea } from './bytes.ts';

/** Turns cells of one column into bytes and back into columns. */
export interface CellCodec {
  /** The type of the columns that come out. */
  readonly type: DataType;
  /** The batch of which cells are encoded from now on. */
  bind(data: Data): void;
  /** Bytes that a cell of the batch takes. */
  size(row: number): number;
  /** Writes a cell and says where the next goes. */
  encode(row: number, target: ByteArea, at: number): number;
  /** Adds a cell that was encoded to the column being built, and says where the next one starts. */
  decode(source: ByteArea, at: number): number;
  /** Adds a cell that stands for null. */
  skip(): void;
  /** The column built; its memory is used again for the next. */
  take(): Data;
}

/** Which cells of a column being built are null, as Arrow's bitmap. */
class Validity {
  readonly #bitmap = new ByteArea();
  #count = 0;
  #nulls = 0;

  append(isNull: boolean): void {
    const bit = this.#count & 7;
    if (bit === 0) this.#bitmap.bytes[this.#bitmap.extend(1)] = 0;
    if (isNull) this.#nulls += 1;
    else this.#bitmap.bytes[this.#count >> 3]! |= 1 << bit;
    this.#count += 1;
  }

  take(): { count: number; nulls: number; bitmap: Uint8Array } {
    const { bytes, length } = this.#bitmap;
    const taken = {
      count: this.#count,
      nulls: this.#nulls,
      bitmap: bytes.subarray(0, this.#nulls === 0 ? 0 : length),
    };
    this.#bitmap.clear();
    this.#count = this.#nulls = 0;
    return taken;
  }
}

/** What a column consists of beside its validity. */
export interface ColumnParts {
  readonly offsets?: Int32Array | BigInt64Array;
  readonly values?: ArrayBufferView;
  readonly children?: Data[];
  readonly variadic?: Uint8Array[];
  readonly dictionary?: Data['dictionary'];
}

/** A codec of cells that may be null: one byte says so, and the cell follows where it is not. */
export abstract class NullableCodec implements CellCodec {
  abstract readonly type: DataType;
  protected data!: Data;
  /** Asked once: Arrow counts nulls anew at every look. */
  #hasNulls = false;
  readonly #validity = new Validity();

  bind(data: Data): void {
    this.data = data;
    this.#hasNulls = data.nullCount > 0;
    this.bindValues(data);
  }

  size(row: number): number {
    return this.#isNull(row) ? 1 : 1 + this.valueSize(row);
  }

  encode(row: number, target: ByteArea, at: number): number {
    const isNull = this.#isNull(row);
    target.bytes[at] = isNull ? 0 : 1;
    return isNull ? at + 1 : this.encodeValue(row, target, at + 1);
  }

  decode(source: ByteArea, at: number): number {
    const isNull = source.bytes[at] === 0;
    this.#validity.append(isNull);
    if (!isNull) return this.decodeValue(source, at + 1);
    this.skipValue();
    return at + 1;
  }

  skip(): void {
    this.#validity.append(true);
    this.skipValue();
  }

  take(): Data {
    const { count, nulls, bitmap } = this.#validity.take();
    const { offsets, values, children, variadic, dictionary } = this.takeParts(count);
    const buffers = { 0: offsets, 1: values, 2: bitmap };
    return new Data(this.type, 0, count, nulls, buffers, children, dictionary, variadic);
  }

  #isNull(row: number): boolean {
    return this.#hasNulls && isNullAt(this.data, row);
  }

  protected abstract bindValues(data: Data): void;
  protected abstract valueSize(row: number): number;
  protected abstract encodeValue(row: number, target: ByteArea, at: number): number;
  protected abstract decodeValue(source: ByteArea, at: number): number;
  protected abstract skipValue(): void;
  protected abstract takeParts(count: number): ColumnParts;
}
