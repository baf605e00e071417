import type { SpillFile } from '../rows/spill-file.ts';
import type { Scratch } from './scratch.ts';
import type { Slabs } from './slabs.ts';

/** Which narrow columns rows have beside their user and their place. */
export interface NarrowShape {
  readonly ids: 'numbers' | 'texts' | 'places';
  readonly measures: 'scores' | 'lengths' | 'none';
  readonly hasTokens: boolean;
}

/** Ids of a batch that are texts: id `row` lies in `bytes` up to `ends[row]`, from where the one before ends. */
export interface TextRun {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
}

/** The narrow columns of a batch: numbers of 32 bits, an empty array where all are 0, and of 64. */
export interface NarrowColumns {
  /** Place of the first row in the source. */
  readonly firstRow: number;
  /** As `wordColumns` names them, save the place, for which an empty array stands. */
  readonly words: readonly Int32Array[];
  readonly scores: Float64Array | undefined;
  readonly texts: TextRun | undefined;
}

/** Which columns of 32 bits there are, in order: user and place, then what the shape asks for. */
export function wordColumns({ ids, measures, hasTokens }: NarrowShape): string[] {
  return [
    'user',
    'place',
    ...(ids === 'numbers' ? ['low', 'high'] : []),
    ...(measures === 'lengths' ? ['length'] : []),
    ...(hasTokens ? ['tokens'] : []),
  ];
}

const placeColumn = 1;

/** Some of the rows of a batch: `perm` names them from `from` to `to`. */
interface Chosen {
  readonly perm: Int32Array;
  readonly from: number;
  readonly to: number;
}

function writePlaces(target: Int32Array, at: number, firstRow: number, { perm, from, to }: Chosen): void {
  for (let i = from, out = at; i < to; i++, out++) target[out] = firstRow + perm[i]!;
}

function gatherWords(target: Int32Array, at: number, source: Int32Array, { perm, from, to }: Chosen): void {
  for (let i = from, out = at; i < to; i++, out++) target[out] = source[perm[i]!]!;
}

function gatherScores(
  target: Float64Array,
  at: number,
  source: Float64Array,
  { perm, from, to }: Chosen,
): void {
  for (let i = from, out = at; i < to; i++, out++) target[out] = source[perm[i]!]!;
}

const nothing = new Uint8Array(0);

/** Rows of one partition, column by column, up to a number that is fixed. */
export class Page {
  rows = 0;
  readonly capacity: number;
  readonly words: Int32Array[];
  readonly scores: Float64Array | undefined;
  /** Where the text of each id ends in `bytes`. */
  readonly ends: Int32Array | undefined;
  bytes: Uint8Array = nothing;

  /** @param options - capacity: rows; memory: where the columns lie */
  constructor(
    shape: NarrowShape,
    { capacity, memory }: { readonly capacity: number; readonly memory: Slabs },
  ) {
    this.capacity = capacity;
    // Upper halves of ids are seldom other than 0 and get memory when they are.
    this.words = wordColumns(shape).map(name => memory.words(name === 'high' ? 0 : capacity));
    this.scores = shape.measures === 'scores' ? memory.scores(capacity) : undefined;
    this.ends = shape.ids === 'texts' ? memory.words(capacity) : undefined;
  }

  get byteLength(): number {
    const words = this.words.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return words + (this.scores?.byteLength ?? 0) + (this.ends?.byteLength ?? 0) + this.bytes.length;
  }

  /** Bytes of the texts of ids. */
  get textBytes(): number {
    return this.ends === undefined || this.rows === 0 ? 0 : this.ends[this.rows - 1]!;
  }

  /** Takes rows of a batch in; there must be room for them. */
  append({ firstRow, words, scores, texts }: NarrowColumns, chosen: Chosen): void {
    for (let column = 0; column < words.length; column++) {
      const source = words[column]!;
      if (column === placeColumn) writePlaces(this.words[column]!, this.rows, firstRow, chosen);
      else if (source.length > 0) gatherWords(this.#roomy(column), this.rows, source, chosen);
      else this.words[column]!.fill(0, this.rows, this.rows + chosen.to - chosen.from);
    }
    if (scores !== undefined) gatherScores(this.scores!, this.rows, scores, chosen);
    if (texts !== undefined) this.#appendTexts(texts, chosen);
    this.rows += chosen.to - chosen.from;
  }

  #roomy(column: number): Int32Array {
    if (this.words[column]!.length === 0) this.words[column] = new Int32Array(this.capacity);
    return this.words[column]!;
  }

  #appendTexts({ bytes, ends }: TextRun, { perm, from, to }: Chosen): void {
    let used = this.textBytes;
    for (let i = from, out = this.rows; i < to; i++, out++) {
      const row = perm[i]!;
      const start = row === 0 ? 0 : ends[row - 1]!;
      const end = ends[row]!;
      if (used + end - start > this.bytes.length) this.#growBytes(used + end - start);
      for (let at = start; at < end; at++) this.bytes[used++] = bytes[at]!;
      this.ends![out] = used;
    }
  }

  #growBytes(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length, 8 * this.capacity));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}

/** Where a page lies in a file. */
export interface StoredPage {
  readonly rows: number;
  readonly textBytes: number;
  /** In the order of `usedColumns`. */
  readonly columns: readonly { readonly start: number; readonly length: number }[];
}

function bytesOf({ buffer, byteOffset }: ArrayBufferView, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}

/** The used part of every column of a page as bytes. */
function usedColumns({ words, scores, ends, bytes, rows, textBytes }: Page): Uint8Array[] {
  return [
    ...words.map(column => bytesOf(column, column.length === 0 ? 0 : 4 * rows)),
    ...(scores === undefined ? [] : [bytesOf(scores, 8 * rows)]),
    ...(ends === undefined ? [] : [bytesOf(ends, 4 * rows), bytesOf(bytes, textBytes)]),
  ];
}

/** Writes a page at the end of a file. */
export function storePage(page: Page, file: SpillFile): StoredPage {
  const starts = usedColumns(page).map(column => ({ start: file.append(column), length: column.length }));
  const { rows, textBytes } = page;
  return { rows, textBytes, columns: starts };
}

/** Whether a page has anything in a column of words. */
function hasWords(page: Page | StoredPage, column: number): boolean {
  const length = page instanceof Page ? page.words[column]?.length : page.columns[column]?.length;
  return column >= 0 && length !== undefined && length > 0;
}

/** Rows of a partition as they are ranked: pages one after the other, in memory that the next partition uses again. */
export class JoinedPages {
  rows = 0;
  readonly words: Int32Array[];
  readonly scores: Float64Array | undefined;
  readonly texts: TextRun | undefined;
  #textBytes = 0;

  /** @param options - pages: what is to be joined; memory: where it is to lie */
  constructor(
    shape: NarrowShape,
    { pages, memory }: { readonly pages: readonly (Page | StoredPage)[]; readonly memory: Scratch },
  ) {
    const rows = pages.reduce((sum, page) => sum + page.rows, 0);
    const bytes = pages.reduce((sum, page) => sum + page.textBytes, 0);
    const names = wordColumns(shape);
    const hasHigh = pages.some(page => hasWords(page, names.indexOf('high')));
    this.words = names.map((name, index) => memory.words(index, name === 'high' && !hasHigh ? 0 : rows));
    if (hasHigh) this.words[names.indexOf('high')]!.fill(0);
    this.scores = shape.measures === 'scores' ? memory.scores(rows) : undefined;
    const isText = shape.ids === 'texts';
    this.texts = isText ? { bytes: memory.bytes(bytes), ends: memory.words(names.length, rows) } : undefined;
  }

  appendPage(page: Page): void {
    const columns = usedColumns(page);
    const targets = this.#targets(page);
    for (let i = 0; i < columns.length; i++) targets[i]!.set(columns[i]!);
    this.#advance(page);
  }

  /** As `appendPage`, of a page in a file. */
  appendStored(page: StoredPage, file: SpillFile): void {
    const targets = this.#targets(page);
    for (const [i, { start, length }] of page.columns.entries())
      file.read(start, targets[i]!.subarray(0, length));
    this.#advance(page);
  }

  /** Where the columns of the next page go. */
  #targets({ rows, textBytes }: { rows: number; textBytes: number }): Uint8Array[] {
    const next = (column: Int32Array | Float64Array): Uint8Array => {
      const part = column.subarray(this.rows, this.rows + rows);
      return bytesOf(part, part.byteLength);
    };
    const { texts, scores } = this;
    return [
      ...this.words.map(next),
      ...(scores === undefined ? [] : [next(scores)]),
      ...(texts === undefined
        ? []
        : [next(texts.ends), texts.bytes.subarray(this.#textBytes, this.#textBytes + textBytes)]),
    ];
  }

  #advance({ rows, textBytes }: { rows: number; textBytes: number }): void {
    if (this.texts !== undefined && this.#textBytes > 0)
      for (let row = this.rows; row < this.rows + rows; row++) this.texts.ends[row]! += this.#textBytes;
    this.rows += rows;
    this.#textBytes += textBytes;
  }
}
