import { type Data, DataType, Dictionary, Int32 } from 'apache-arrow';
import { DictionaryEntries } from './dictionary-entries.ts';
import { areaOf, ByteArea, copyBytes, readWord, writeWord } from './bytes.ts';
import { type CellCodec, type ColumnParts, NullableCodec } from './cell-codec.ts';

const nothing = areaOf(undefined);

/** Cells of a fixed number of bytes. */
export class FixedCodec extends NullableCodec {
  readonly type: DataType;
  readonly #width: number;
  readonly #built = new ByteArea();
  #source = nothing;

  /** @param width - bytes of a cell */
  constructor(type: DataType, width: number) {
    super();
    this.type = type;
    this.#width = width;
  }

  protected bindValues(data: Data): void {
    this.#source = areaOf(data.values);
  }

  protected valueSize(): number {
    return this.#width;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const start = row * this.#width;
    copyBytes(this.#source, { start, end: start + this.#width }, { target, at });
    return at + this.#width;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    const out = this.#built.extend(this.#width);
    copyBytes(source, { start: at, end: at + this.#width }, { target: this.#built, at: out });
    return at + this.#width;
  }

  protected skipValue(): void {
    const out = this.#built.extend(this.#width);
    this.#built.bytes.fill(0, out, out + this.#width);
  }

  protected takeParts(): ColumnParts {
    const { bytes, length } = this.#built;
    const { ArrayType } = this.type;
    const values = new ArrayType(bytes.buffer, 0, length / ArrayType.BYTES_PER_ELEMENT);
    this.#built.clear();
    return { values };
  }
}

/** Bits, one byte each while they are on their way. */
export class BoolCodec extends NullableCodec {
  readonly type: DataType;
  readonly #bits = new ByteArea();

  constructor(type: DataType) {
    super();
    this.type = type;
  }

  protected bindValues(): void {}

  protected valueSize(): number {
    return 1;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const bit = this.data.offset + row;
    target.bytes[at] = (this.data.values[bit >> 3]! >> (bit & 7)) & 1;
    return at + 1;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    this.#bits.bytes[this.#bits.extend(1)] = source.bytes[at]!;
    return at + 1;
  }

  protected skipValue(): void {
    this.#bits.bytes[this.#bits.extend(1)] = 0;
  }

  protected takeParts(count: number): ColumnParts {
    const values = new Uint8Array((count + 7) >> 3);
    for (let i = 0; i < count; i++) values[i >> 3]! |= this.#bits.bytes[i]! << (i & 7);
    this.#bits.clear();
    return { values };
  }
}

/** Cells that are all null take no bytes. */
export class NullCodec extends NullableCodec {
  readonly type: DataType;

  constructor(type: DataType) {
    super();
    this.type = type;
  }

  override size(): number {
    return 1;
  }

  override encode(_: number, target: ByteArea, at: number): number {
    target.bytes[at] = 0;
    return at + 1;
  }

  protected bindValues(): void {}
  protected valueSize(): number {
    return 0;
  }
  protected encodeValue(_: number, __: ByteArea, at: number): number {
    return at;
  }
  protected decodeValue(_: ByteArea, at: number): number {
    return at;
  }
  protected skipValue(): void {}
  protected takeParts(): ColumnParts {
    return {};
  }
}

/** Offsets of a column being built, 32 bits or 64 as its type has them. */
export class Offsets {
  readonly #isLarge: boolean;
  readonly #built = new ByteArea();
  #words: Int32Array = new Int32Array(0);
  #count = 0;

  constructor(isLarge: boolean) {
    this.#isLarge = isLarge;
  }

  append(end: number): void {
    this.#built.extend(4);
    if (this.#words.buffer !== this.#built.bytes.buffer)
      this.#words = new Int32Array(this.#built.bytes.buffer);
    this.#words[this.#count++] = end;
  }

  /** The end of the last cell; 0 before the first. */
  get last(): number {
    return this.#count === 0 ? 0 : this.#words[this.#count - 1]!;
  }

  take(): Int32Array | BigInt64Array {
    const ends = this.#words.subarray(0, this.#count);
    const out = this.#isLarge ? new BigInt64Array(ends.length + 1) : new Int32Array(ends.length + 1);
    if (out instanceof Int32Array) out.set(ends, 1);
    else for (let i = 0; i < ends.length; i++) out[i + 1] = BigInt(ends[i]!);
    this.#built.clear();
    this.#count = 0;
    return out;
  }
}

/** Text and binary: a length and the bytes. */
export class BytesCodec extends NullableCodec {
  readonly type: DataType;
  readonly #offsets: Offsets;
  readonly #built = new ByteArea();
  #source = nothing;
  #starts: Int32Array | Float64Array = new Int32Array(1);

  constructor(type: DataType) {
    super();
    this.type = type;
    this.#offsets = new Offsets(DataType.isLargeUtf8(type) || DataType.isLargeBinary(type));
  }

  protected bindValues(data: Data): void {
    const offsets: Int32Array | BigInt64Array = data.valueOffsets;
    this.#starts = offsets instanceof Int32Array ? offsets : Float64Array.from(offsets, Number);
    this.#source = areaOf(data.values);
  }

  protected valueSize(row: number): number {
    return 4 + this.#starts[row + 1]! - this.#starts[row]!;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const start = this.#starts[row]!;
    const end = this.#starts[row + 1]!;
    writeWord(target, at, end - start);
    copyBytes(this.#source, { start, end }, { target, at: at + 4 });
    return at + 4 + end - start;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    const end = at + 4 + readWord(source, at);
    const out = this.#built.extend(end - at - 4);
    copyBytes(source, { start: at + 4, end }, { target: this.#built, at: out });
    this.#offsets.append(this.#built.length);
    return end;
  }

  protected skipValue(): void {
    this.#offsets.append(this.#built.length);
  }

  protected takeParts(): ColumnParts {
    const values = this.#built.bytes.subarray(0, this.#built.length);
    this.#built.clear();
    return { offsets: this.#offsets.take(), values };
  }
}

/** A view holds up to this many bytes itself. */
const inView = 12;

/** Text and binary behind views of 16 bytes; long cells move to one buffer. */
export class ViewCodec extends NullableCodec {
  readonly type: DataType;
  readonly #views = new ByteArea();
  readonly #long = new ByteArea();
  #source = nothing;
  #buffers: readonly ByteArea[] = [];

  constructor(type: DataType) {
    super();
    this.type = type;
  }

  protected bindValues(data: Data): void {
    this.#source = areaOf(data.values);
    this.#buffers = data.variadicBuffers.map(areaOf);
  }

  protected valueSize(row: number): number {
    return 4 + readWord(this.#source, 16 * row);
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const view = 16 * row;
    const length = readWord(this.#source, view);
    writeWord(target, at, length);
    const isLong = length > inView;
    const source = isLong ? this.#buffers[readWord(this.#source, view + 8)]! : this.#source;
    const start = isLong ? readWord(this.#source, view + 12) : view + 4;
    copyBytes(source, { start, end: start + length }, { target, at: at + 4 });
    return at + 4 + length;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    const length = readWord(source, at);
    const range = { start: at + 4, end: at + 4 + length };
    const views = this.#views;
    const view = views.extend(16);
    views.bytes.fill(0, view, view + 16);
    writeWord(views, view, length);
    if (length <= inView) copyBytes(source, range, { target: views, at: view + 4 });
    else {
      // The first four bytes again, then buffer 0 and the place in it.
      writeWord(views, view + 4, readWord(source, at + 4));
      const out = this.#long.extend(length);
      writeWord(views, view + 12, out);
      copyBytes(source, range, { target: this.#long, at: out });
    }
    return range.end;
  }

  protected skipValue(): void {
    const view = this.#views.extend(16);
    this.#views.bytes.fill(0, view, view + 16);
  }

  protected takeParts(): ColumnParts {
    const values = this.#views.bytes.subarray(0, this.#views.length);
    const variadic = this.#long.length === 0 ? [] : [this.#long.bytes.subarray(0, this.#long.length)];
    this.#views.clear();
    this.#long.clear();
    return { values, variadic };
  }
}

/** Numbers of dictionary entries, counted over all dictionaries that came along; these stay in memory. */
export class CodeCodec extends NullableCodec {
  readonly type: Dictionary;
  readonly #entries = new DictionaryEntries();
  readonly #built = new ByteArea();
  #indices: ArrayLike<number | bigint> = [];
  #start = 0;

  constructor(type: Dictionary) {
    super();
    this.type = new Dictionary(type.dictionary, new Int32(), type.id);
  }

  protected bindValues(data: Data): void {
    this.#indices = data.values;
    this.#start = this.#entries.startOf(data.dictionary!);
  }

  protected valueSize(): number {
    return 4;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    writeWord(target, at, this.#start + Number(this.#indices[row]!));
    return at + 4;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    const out = this.#built.extend(4);
    writeWord(this.#built, out, readWord(source, at));
    return at + 4;
  }

  protected skipValue(): void {
    const out = this.#built.extend(4);
    this.#built.bytes.fill(0, out, out + 4);
  }

  protected takeParts(): ColumnParts {
    const { bytes, length } = this.#built;
    const values = new Int32Array(bytes.buffer, 0, length / 4);
    this.#built.clear();
    return { values, children: [], dictionary: this.#entries.all };
  }
}

/** A codec for cells without parts. */
export function flatCodec(type: DataType): CellCodec | undefined {
  if (DataType.isNull(type)) return new NullCodec(type);
  if (DataType.isBool(type)) return new BoolCodec(type);
  if (DataType.isUtf8(type) || DataType.isBinary(type)) return new BytesCodec(type);
  if (DataType.isLargeUtf8(type) || DataType.isLargeBinary(type)) return new BytesCodec(type);
  return DataType.isUtf8View(type) || DataType.isBinaryView(type) ? new ViewCodec(type) : undefined;
}
