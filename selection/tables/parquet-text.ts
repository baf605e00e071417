import { Data, type DataType, Dictionary, Int32, Vector } from 'apache-arrow';
import { TextBuilder } from './build.ts';
import { type FlatColumn, type Page, type PageValues, pagesOf } from './parquet-pages.ts';

/** The dictionary of a column chunk, in the form of an Arrow column. */
interface Entries {
  readonly data: Data;
  readonly vector: Vector;
}

function entriesOf(type: DataType, page: Extract<Page, { kind: 'dictionary' }>): Entries {
  const builder = new TextBuilder();
  const next = plainCells(page.bytes, 0, builder);
  for (let i = 0; i < page.count; i++) next();
  const data = builder.finish(type);
  return { data, vector: new Vector([data]) };
}

/** Appends one length-prefixed cell a call. */
function plainCells(bytes: Uint8Array, start: number, to: TextBuilder): () => void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  return () => {
    const length = view.getUint32(at, true);
    if (at + 4 + length > bytes.length) throw new RangeError('a page is cut short');
    to.appendSlice(bytes, at + 4, at + 4 + length);
    at += 4 + length;
  };
}

/** Collects the cells of a batch: as places in the dictionary while it can, as text otherwise. */
class TextBatch {
  readonly #type: DataType;
  readonly #text = new TextBuilder();
  readonly #codes: Int32Array;
  #coded = 0;
  #isCoded: boolean;
  readonly #mayCode: boolean;
  readonly #id: number | null;
  #count = 0;

  constructor(type: DataType, options: { rows: number; encoded: boolean }) {
    this.#type = type;
    this.#mayCode = options.encoded;
    this.#isCoded = options.encoded;
    this.#codes = new Int32Array(options.encoded ? options.rows : 0);
    this.#id = options.encoded ? new Dictionary(type, new Int32()).id : null;
  }

  get count(): number {
    return this.#count;
  }

  appendNull(): void {
    this.#count += 1;
    if (this.#isCoded) this.#codes[this.#coded++] = -1;
    else this.#text.append(null);
  }

  /** Makes an appender for the values of a page. */
  appender(values: PageValues, entries: Entries | undefined): () => void {
    if (values.kind === 'codes') return this.#codeAppender(values.codes, entries!);
    let at = 0;
    const append =
      values.kind === 'plain'
        ? plainCells(values.bytes, values.start, this.#text)
        : () => this.#text.append(values.cells[at++]);
    return () => {
      if (this.#isCoded) this.#decode(entries);
      this.#count += 1;
      append();
    };
  }

  finish(entries: Entries | undefined): Data {
    const data =
      this.#isCoded && entries !== undefined ? this.#finishCodes(entries) : this.#finishText(entries);
    this.#count = this.#coded = 0;
    this.#isCoded = this.#mayCode;
    return data;
  }

  #codeAppender(codes: Int32Array, { data }: Entries): () => void {
    const { values } = data;
    const offsets: Int32Array = data.valueOffsets;
    let at = 0;
    return () => {
      const code = codes[at++]!;
      this.#count += 1;
      if (this.#isCoded) this.#codes[this.#coded++] = code;
      else this.#text.appendSlice(values, offsets[code]!, offsets[code + 1]!);
    };
  }

  /** Goes over to text, because a page without dictionary has begun. */
  #decode(entries: Entries | undefined): void {
    this.#isCoded = false;
    const offsets: Int32Array | undefined = entries?.data.valueOffsets;
    for (let i = 0; i < this.#coded; i++) {
      const code = this.#codes[i]!;
      if (code < 0) this.#text.append(null);
      else this.#text.appendSlice(entries!.data.values, offsets![code]!, offsets![code + 1]!);
    }
    this.#coded = 0;
  }

  #finishText(entries: Entries | undefined): Data {
    if (this.#isCoded) this.#decode(entries);
    return this.#text.finish(this.#type);
  }

  #finishCodes({ vector }: Entries): Data {
    const count = this.#coded;
    const codes = this.#codes.slice(0, count);
    const bitmap = new Uint8Array((count + 7) >> 3);
    let valid = 0;
    for (let i = 0; i < count; i++) {
      if (codes[i]! < 0) codes[i] = 0;
      else {
        bitmap[i >> 3]! |= 1 << (i & 7);
        valid += 1;
      }
    }
    const type = new Dictionary(this.#type, new Int32(), this.#id);
    const validity = valid === count ? new Uint8Array(0) : bitmap;
    return new Data(type, 0, count, count - valid, { 1: codes, 2: validity }, [], vector);
  }
}

/**
 * Reads the cells of a text or binary column chunk in batches of `rows` rows, the last smaller, without an object a
 * cell. Where `encoded`, a batch whose cells all lie in the chunk's dictionary comes as an Arrow dictionary.
 */
export function* textBatches(
  column: FlatColumn,
  chunk: Uint8Array,
  options: { type: DataType; rows: number; encoded: boolean },
): Generator<Data> {
  const { type, rows } = options;
  const batch = new TextBatch(type, options);
  let entries: Entries | undefined;
  for (const page of pagesOf(column, chunk)) {
    if (page.kind === 'dictionary') {
      entries = entriesOf(type, page);
      continue;
    }
    const append = batch.appender(page.values, entries);
    for (let i = 0; i < page.count; i++) {
      if (page.levels !== undefined && page.levels[i] === 0) batch.appendNull();
      else append();
      if (batch.count === rows) yield batch.finish(entries);
    }
  }
  if (batch.count > 0) yield batch.finish(entries);
}
