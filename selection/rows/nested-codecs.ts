import { type Data, DataType, type Field, FixedSizeList, LargeList, List, Map_, Struct } from 'apache-arrow';
import { emptyBatch, everyRow, gather, unsupported } from '../tables/gather.ts';
import { type ByteArea, readWord, writeWord } from './bytes.ts';
import { type CellCodec, type ColumnParts, NullableCodec } from './cell-codec.ts';
import { CodeCodec, FixedCodec, flatCodec, Offsets } from './flat-codecs.ts';

/** The same field with the type that comes out, in which dictionaries below the top level are undone. */
function outField(field: Field, { type }: CellCodec): Field {
  return field.clone({ type });
}

/** Lists and maps: a number of elements, and these. */
class ListCodec extends NullableCodec {
  readonly type: DataType;
  readonly #element: CellCodec;
  readonly #offsets: Offsets;
  #starts: ArrayLike<number | bigint> = [0];

  constructor(type: List | LargeList | Map_) {
    super();
    const [child] = type.children;
    this.#element = cellCodec(child!.type);
    this.#offsets = new Offsets(DataType.isLargeList(type));
    const field: Field = outField(child!, this.#element);
    if (DataType.isMap(type)) this.type = new Map_(field, type.keysSorted);
    else this.type = DataType.isLargeList(type) ? new LargeList(field) : new List(field);
  }

  protected bindValues(data: Data): void {
    this.#starts = data.valueOffsets;
    this.#element.bind(data.children[0]!);
  }

  protected valueSize(row: number): number {
    let size = 4;
    for (let i = Number(this.#starts[row]!); i < Number(this.#starts[row + 1]!); i++)
      size += this.#element.size(i);
    return size;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const start = Number(this.#starts[row]!);
    const end = Number(this.#starts[row + 1]!);
    writeWord(target, at, end - start);
    let out = at + 4;
    for (let i = start; i < end; i++) out = this.#element.encode(i, target, out);
    return out;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    const count = readWord(source, at);
    let next = at + 4;
    for (let i = 0; i < count; i++) next = this.#element.decode(source, next);
    this.#offsets.append(this.#offsets.last + count);
    return next;
  }

  protected skipValue(): void {
    this.#offsets.append(this.#offsets.last);
  }

  protected takeParts(): ColumnParts {
    return { offsets: this.#offsets.take(), children: [this.#element.take()] };
  }
}

/** Lists of one length. */
class FixedListCodec extends NullableCodec {
  readonly type: FixedSizeList;
  readonly #element: CellCodec;

  constructor(type: FixedSizeList) {
    super();
    this.#element = cellCodec(type.children[0]!.type);
    this.type = new FixedSizeList(type.listSize, outField(type.children[0]!, this.#element));
  }

  protected bindValues(data: Data): void {
    this.#element.bind(data.children[0]!);
  }

  protected valueSize(row: number): number {
    const { listSize } = this.type;
    let size = 0;
    for (let i = row * listSize; i < (row + 1) * listSize; i++) size += this.#element.size(i);
    return size;
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    const { listSize } = this.type;
    let out = at;
    for (let i = row * listSize; i < (row + 1) * listSize; i++) out = this.#element.encode(i, target, out);
    return out;
  }

  protected decodeValue(source: ByteArea, at: number): number {
    let next = at;
    for (let i = 0; i < this.type.listSize; i++) next = this.#element.decode(source, next);
    return next;
  }

  protected skipValue(): void {
    for (let i = 0; i < this.type.listSize; i++) this.#element.skip();
  }

  protected takeParts(): ColumnParts {
    return { children: [this.#element.take()] };
  }
}

class StructCodec extends NullableCodec {
  readonly type: Struct;
  readonly #children: readonly CellCodec[];

  constructor(type: Struct) {
    super();
    const fields: readonly Field[] = type.children;
    this.#children = fields.map(field => cellCodec(field.type));
    this.type = new Struct(fields.map((field, i) => outField(field, this.#children[i]!)));
  }

  protected bindValues(data: Data): void {
    for (const [i, child] of this.#children.entries()) child.bind(data.children[i]!);
  }

  protected valueSize(row: number): number {
    return this.#children.reduce((sum, child) => sum + child.size(row), 0);
  }

  protected encodeValue(row: number, target: ByteArea, at: number): number {
    return this.#children.reduce((out, child) => child.encode(row, target, out), at);
  }

  protected decodeValue(source: ByteArea, at: number): number {
    return this.#children.reduce((next, child) => child.decode(source, next), at);
  }

  protected skipValue(): void {
    for (const child of this.#children) child.skip();
  }

  protected takeParts(): ColumnParts {
    return { children: this.#children.map(child => child.take()) };
  }
}

/** A dictionary below the top level, undone batch by batch. */
class DecodedCodec implements CellCodec {
  readonly type: DataType;
  readonly #values: CellCodec;

  constructor(type: DataType) {
    this.#values = cellCodec(gather([emptyBatch(type)], everyRow(0)).type);
    this.type = this.#values.type;
  }

  bind(data: Data): void {
    this.#values.bind(gather([data], everyRow(data.length)));
  }

  size(row: number): number {
    return this.#values.size(row);
  }

  encode(row: number, target: ByteArea, at: number): number {
    return this.#values.encode(row, target, at);
  }

  decode(source: ByteArea, at: number): number {
    return this.#values.decode(source, at);
  }

  skip(): void {
    this.#values.skip();
  }

  take(): Data {
    return this.#values.take();
  }
}

/** Bytes of a cell of a type that has a fixed number. */
function widthOf(type: DataType): number {
  const { stride } = emptyBatch(type);
  return stride * type.ArrayType.BYTES_PER_ELEMENT;
}

function cellCodec(type: DataType): CellCodec {
  const flat = flatCodec(type);
  if (flat !== undefined) return flat;
  if (DataType.isDictionary(type)) return new DecodedCodec(type);
  if (DataType.isUnion(type)) throw unsupported(type);
  if (DataType.isStruct(type)) return new StructCodec(type);
  if (DataType.isFixedSizeList(type)) return new FixedListCodec(type);
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isMap(type)) return new ListCodec(type);
  return new FixedCodec(type, widthOf(type));
}

/**
 * A codec for a column of a table; dictionaries at the top level stay dictionaries.
 *
 * @throws DpError `INVALID_DATA` for a union
 */
export function columnCodec(type: DataType): CellCodec {
  return DataType.isDictionary(type) ? new CodeCodec(type) : cellCodec(type);
}
