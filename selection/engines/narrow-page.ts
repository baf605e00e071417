import type { SpillFile } from '../rows/spill-file.ts';

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

/** Where the columns of a row stand among its words; -1 for one that isn't kept, because all of it is 0. */
export interface RowLayout {
  /** Words of a row. */
  readonly stride: number;
  /** By column as `wordColumns` names them. */
  readonly words: readonly number[];
  /** A score takes two words. */
  readonly score: number;
  /** Where the text of the id ends among those of its page. */
  readonly textEnd: number;
}

/** @param options - hasHigh: whether any id needs more than 32 bits, which is rare */
export function rowLayout(shape: NarrowShape, { hasHigh }: { readonly hasHigh: boolean }): RowLayout {
  let stride = 0;
  const words = wordColumns(shape).map(name => (name === 'high' && !hasHigh ? -1 : stride++));
  const score = shape.measures === 'scores' ? stride : -1;
  if (score >= 0) stride += 2;
  const textEnd = shape.ids === 'texts' ? stride++ : -1;
  return { stride, words, score, textEnd };
}

const nothing = new Uint8Array(0);

/** Rows of one partition, one after the other, up to a number that is fixed. */
export class Page {
  rows = 0;
  /** Bytes of the texts of ids. */
  textBytes = 0;
  bytes: Uint8Array = nothing;
  readonly layout: RowLayout;
  readonly words: Int32Array;
  /** Where its first row stands in `words`. */
  readonly start: number;

  constructor(layout: RowLayout, { words, start }: { readonly words: Int32Array; readonly start: number }) {
    this.layout = layout;
    this.words = words;
    this.start = start;
  }

  /** Takes the text of an id in, from `start` to `end` of `source`, and says where it ends here. */
  appendText(source: Uint8Array, start: number, end: number): number {
    let used = this.textBytes;
    if (used + end - start > this.bytes.length) this.#grow(used + end - start);
    const bytes = this.bytes;
    for (let at = start; at < end; at++) bytes[used++] = source[at]!;
    this.textBytes = used;
    return used;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length, 64));
    grown.set(this.bytes);
    this.bytes = grown;
  }
}

/** Where a page lies in a file. */
export interface StoredPage {
  readonly layout: RowLayout;
  readonly rows: number;
  readonly textBytes: number;
  /** The texts follow the words. */
  readonly start: number;
}

/** Writes a page at the end of a file. */
export function storePage(page: Page, file: SpillFile): StoredPage {
  const { layout, rows, textBytes, words, start: first } = page;
  const bytes = new Uint8Array(words.buffer, words.byteOffset + 4 * first, 4 * rows * layout.stride);
  const start = file.append(bytes);
  if (textBytes > 0) file.append(page.bytes.subarray(0, textBytes));
  return { layout, rows, textBytes, start };
}

/** Reads a page back, its words into memory of just their size. */
export function loadPage(
  { layout, rows, textBytes, start }: StoredPage,
  file: SpillFile,
  words: Int32Array,
): Page {
  const page = new Page(layout, { words, start: 0 });
  file.read(start, new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  page.rows = rows;
  page.textBytes = textBytes;
  page.bytes = new Uint8Array(textBytes);
  file.read(start + words.byteLength, page.bytes);
  return page;
}
