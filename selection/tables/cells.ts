import { isAscii, isUtf8 } from 'node:buffer';
import { type Data, DataType, type Vector } from 'apache-arrow';

/** What is wrong with a piece of text, in words for a message. */
export type TextDefect = 'invalid UTF-8' | 'a NUL character';

/** Text of one batch of a column, by row within the batch. */
export interface TextCells {
  readonly length: number;
  isNull(row: number): boolean;
  text(row: number): string;
  /** UTF-8 bytes of the cell; views into the batch, not copies. */
  bytes(row: number): Uint8Array;
  /** How many bytes these are. */
  byteLength(row: number): number;
  /** The first row with a defect, or undefined. */
  firstDefect(): { row: number; defect: TextDefect } | undefined;
}

/** True where bit `offset + row` of an Arrow validity bitmap is clear. */
export function isNullAt(data: Data, row: number): boolean {
  if (data.nullCount === 0) return false;
  const bit = data.offset + row;
  return ((data.nullBitmap[bit >> 3]! >> (bit & 7)) & 1) === 0;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function defectOf(bytes: Uint8Array): TextDefect | undefined {
  if (!isUtf8(bytes)) return 'invalid UTF-8';
  return bytes.includes(0) ? 'a NUL character' : undefined;
}

function scanForDefect(cells: TextCells): { row: number; defect: TextDefect } | undefined {
  for (let row = 0; row < cells.length; row++) {
    const defect = cells.isNull(row) ? undefined : defectOf(cells.bytes(row));
    if (defect !== undefined) return { row, defect };
  }
  return undefined;
}

/** Utf8 and LargeUtf8: one run of bytes and where each cell starts. */
class OffsetCells implements TextCells {
  readonly length: number;
  readonly #data: Data;
  readonly #bytes: Buffer;
  readonly #offsets: Int32Array | Float64Array;

  constructor(data: Data) {
    this.#data = data;
    this.length = data.length;
    const offsets: Int32Array | BigInt64Array = data.valueOffsets;
    this.#offsets = offsets instanceof Int32Array ? offsets : Float64Array.from(offsets, Number);
    this.#bytes = asBuffer(data.values ?? new Uint8Array(0));
  }

  isNull(row: number): boolean {
    return isNullAt(this.#data, row);
  }

  text(row: number): string {
    return this.#bytes.toString('utf8', this.#offsets[row], this.#offsets[row + 1]);
  }

  /** All cells; a batch of plain ASCII is decoded at once. */
  appendTo(out: (string | null)[]): void {
    const start = this.#offsets[0]!;
    const run = this.#bytes.subarray(start, this.#offsets[this.length]);
    const all = isAscii(run) ? run.toString('latin1') : undefined;
    for (let row = 0; row < this.length; row++) {
      const text = all?.substring(this.#offsets[row]! - start, this.#offsets[row + 1]! - start);
      out.push(this.isNull(row) ? null : (text ?? this.text(row)));
    }
  }

  bytes(row: number): Uint8Array {
    return this.#bytes.subarray(this.#offsets[row], this.#offsets[row + 1]);
  }

  byteLength(row: number): number {
    return this.#offsets[row + 1]! - this.#offsets[row]!;
  }

  firstDefect(): { row: number; defect: TextDefect } | undefined {
    if (this.length === 0) return undefined;
    const run = this.#bytes.subarray(this.#offsets[0], this.#offsets[this.length]);
    const clean = defectOf(run) === undefined && (isAscii(run) || this.#cutsBetweenCharacters());
    return clean ? undefined : scanForDefect(this);
  }

  /** A valid run may still be cut inside a character, which makes both cells invalid. */
  #cutsBetweenCharacters(): boolean {
    for (let row = 0; row < this.length; row++) {
      const at = this.#offsets[row]!;
      if (at < this.#offsets[row + 1]! && (this.#bytes[at]! & 0xc0) === 0x80) return false;
    }
    return true;
  }
}

/** Utf8View: 16 bytes a cell, which hold either the text itself (up to 12 bytes) or where it lies. */
class ViewCells implements TextCells {
  readonly length: number;
  readonly #data: Data;
  readonly #views: Buffer;
  readonly #buffers: readonly Buffer[];

  constructor(data: Data) {
    this.#data = data;
    this.length = data.length;
    this.#views = asBuffer(data.values);
    this.#buffers = data.variadicBuffers.map(asBuffer);
  }

  isNull(row: number): boolean {
    return isNullAt(this.#data, row);
  }

  text(row: number): string {
    return asBuffer(this.bytes(row)).toString('utf8');
  }

  bytes(row: number): Uint8Array {
    const at = 16 * row;
    const length = this.#views.readInt32LE(at);
    if (length <= 12) return this.#views.subarray(at + 4, at + 4 + length);
    const start = this.#views.readInt32LE(at + 12);
    return this.#buffers[this.#views.readInt32LE(at + 8)]!.subarray(start, start + length);
  }

  byteLength(row: number): number {
    return this.#views.readInt32LE(16 * row);
  }

  firstDefect(): { row: number; defect: TextDefect } | undefined {
    return scanForDefect(this);
  }
}

/** Dictionary batches: an index a row into values that may differ from batch to batch. */
class DictionaryCells implements TextCells {
  readonly length: number;
  readonly #data: Data;
  readonly #indices: ArrayLike<number | bigint>;
  readonly #values: readonly TextCells[];
  readonly #starts: readonly number[];

  constructor(data: Data) {
    this.#data = data;
    this.length = data.length;
    this.#indices = data.values;
    this.#values = data.dictionary!.data.map(textCells);
    this.#starts = startsOf(data.dictionary!.data);
  }

  isNull(row: number): boolean {
    if (isNullAt(this.#data, row)) return true;
    const { cells, at } = this.#valueOf(row);
    return cells.isNull(at);
  }

  text(row: number): string {
    const { cells, at } = this.#valueOf(row);
    return cells.text(at);
  }

  bytes(row: number): Uint8Array {
    const { cells, at } = this.#valueOf(row);
    return cells.bytes(at);
  }

  byteLength(row: number): number {
    const { cells, at } = this.#valueOf(row);
    return cells.byteLength(at);
  }

  firstDefect(): { row: number; defect: TextDefect } | undefined {
    const clean = this.#values.every(cells => cells.firstDefect() === undefined);
    return clean ? undefined : scanForDefect(this);
  }

  #valueOf(row: number): { cells: TextCells; at: number } {
    const index = Number(this.#indices[row]!);
    let part = this.#starts.length - 1;
    while (this.#starts[part]! > index) part--;
    return { cells: this.#values[part]!, at: index - this.#starts[part]! };
  }
}

const digits = new TextEncoder();

/** Whole numbers, as decimal text. */
class IntegerCells implements TextCells {
  readonly length: number;
  readonly #data: Data;

  constructor(data: Data) {
    this.#data = data;
    this.length = data.length;
  }

  isNull(row: number): boolean {
    return isNullAt(this.#data, row);
  }

  text(row: number): string {
    return String(this.#data.values[row]);
  }

  bytes(row: number): Uint8Array {
    return digits.encode(this.text(row));
  }

  byteLength(row: number): number {
    return this.text(row).length;
  }

  firstDefect(): undefined {
    return undefined;
  }
}

/** First row of each batch of a column. */
export function startsOf(batches: readonly Data[]): number[] {
  let start = 0;
  return batches.map(batch => {
    const first = start;
    start += batch.length;
    return first;
  });
}

/** The type of the values, looking through a dictionary. */
export function valueType(type: DataType): DataType {
  return DataType.isDictionary(type) ? type.dictionary : type;
}

/** True for Utf8, LargeUtf8 and Utf8View, also behind a dictionary. */
export function isTextType(type: DataType): boolean {
  const values = valueType(type);
  return DataType.isUtf8(values) || DataType.isLargeUtf8(values) || DataType.isUtf8View(values);
}

/** True for whole numbers, also behind a dictionary. */
export function isIntegerType(type: DataType): boolean {
  return DataType.isInt(valueType(type));
}

/** Reads one batch of a text or whole-number column; other types are the caller's error to report. */
export function textCells(data: Data): TextCells {
  if (DataType.isDictionary(data.type)) return new DictionaryCells(data);
  if (DataType.isUtf8View(data.type)) return new ViewCells(data);
  if (DataType.isInt(data.type)) return new IntegerCells(data);
  return new OffsetCells(data);
}

/**
 * Every cell of a column as text, null where it is null. One string object for each dictionary entry, so that a
 * dictionary costs its entries and not its rows.
 */
export function columnTexts(column: Vector): (string | null)[] {
  const out: (string | null)[] = [];
  const known = new Map<Vector, (string | null)[]>();
  for (const data of column.data) {
    if (data.dictionary === undefined || !DataType.isDictionary(data.type)) appendTexts(textCells(data), out);
    else appendDecoded(data, dictionaryTexts(data.dictionary, known), out);
  }
  return out;
}

function dictionaryTexts(dictionary: Vector, known: Map<Vector, (string | null)[]>): (string | null)[] {
  const found = known.get(dictionary) ?? columnTexts(dictionary);
  known.set(dictionary, found);
  return found;
}

function appendTexts(cells: TextCells, out: (string | null)[]): void {
  if (cells instanceof OffsetCells) {
    cells.appendTo(out);
    return;
  }
  for (let row = 0; row < cells.length; row++) out.push(cells.isNull(row) ? null : cells.text(row));
}

function appendDecoded(data: Data, texts: (string | null)[], out: (string | null)[]): void {
  const indices: ArrayLike<number | bigint> = data.values;
  for (let row = 0; row < data.length; row++) {
    out.push(isNullAt(data, row) ? null : texts[Number(indices[row]!)]!);
  }
}
