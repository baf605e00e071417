import { SpillFile } from '../rows/spill-file.ts';
import {
  type NarrowColumns,
  type NarrowShape,
  Page,
  type RowLayout,
  rowLayout,
  loadPage,
  storePage,
  type StoredPage,
} from './narrow-page.ts';
import { PageMemory } from './page-memory.ts';
import { type RowsByUser, rowsByUser, rowsByUserColumns } from './rows-by-user.ts';
import { Scratch } from './scratch.ts';
import { scatterPairs, scatterPlaces, scatterWords, scatterZeros, type Targets } from './scatter.ts';

/** Where the place stands among the columns of words. */
const placeColumn = 1;

/** Rows of a page at most: some 40 kB. */
const mostPageRows = 2048;
const fewestPageRows = 4;
/** Rows that are dealt at once, so that they stay in a cache of a core from one column to the next. */
const blockRows = 8192;

/** Ids that are texts are taken to be short. */
const usualTextBytes = 12;

/** About how many bytes a row takes. */
function bytesPerRow(shape: NarrowShape): number {
  const { stride } = rowLayout(shape, { hasHigh: false });
  return 4 * stride + (shape.ids === 'texts' ? usualTextBytes : 0);
}

/** Rows of a page so that one page of each partition takes about half of the budget. */
function pageRowsFor(shape: NarrowShape, { count, budget }: { count: number; budget: number }): number {
  const rows = Math.floor(budget / (2 * count * bytesPerRow(shape)));
  return Math.max(fewestPageRows, Math.min(mostPageRows, rows));
}

/**
 * Sorts the narrow columns of all rows by user into partitions: user `code` goes to partition `code mod count`. Rows of a partition are
 * few enough for a processor's cache, which is what ranking gains most from; beyond the budget they go to a file.
 */
export class NarrowPartitions {
  readonly count: number;
  readonly #shape: NarrowShape;
  readonly #budget: number;
  readonly #pageRows: number;
  readonly #file: SpillFile;
  readonly #full: (Page | StoredPage)[][];
  readonly #open: (Page | undefined)[];
  /** Where the next row of each partition goes in the piece of memory at hand, and where its page ends. */
  readonly #next: Int32Array;
  readonly #ends: Int32Array;
  readonly #targets: Int32Array = new Int32Array(blockRows);
  readonly #memory = new Scratch();
  readonly #pages: PageMemory;
  #layout: RowLayout;
  #bytes = 0;
  #isSpilling: boolean;

  /** @param options - count: a power of two; rows: about how many will come; budget: bytes held in memory; folder: for the rest */
  constructor(
    shape: NarrowShape,
    options: {
      readonly count: number;
      readonly rows: number;
      readonly budget: number;
      readonly folder: string;
    },
  ) {
    const { count, rows, budget } = options;
    this.count = count;
    this.#shape = shape;
    this.#budget = budget;
    this.#pageRows = pageRowsFor(shape, options);
    const mostBytes = Math.min(rows * bytesPerRow(shape), budget);
    const pageWords = this.#pageRows * rowLayout(shape, { hasHigh: true }).stride;
    this.#pages = new PageMemory(pageWords, { pages: count + mostBytes / (4 * pageWords) });
    // Where not all will fit, the first pages need not wait.
    this.#isSpilling = rows * bytesPerRow(shape) > budget;
    this.#file = new SpillFile(options.folder);
    this.#full = Array.from({ length: count }, () => []);
    this.#open = Array.from({ length: count }, () => undefined);
    this.#next = new Int32Array(count);
    this.#ends = new Int32Array(count);
    this.#layout = rowLayout(shape, { hasHigh: false });
  }

  /** Appends rows; their first column of words says whose they are, -1 for nobody. */
  append(columns: NarrowColumns): void {
    this.#fit(columns);
    const rows = columns.words[0]!.length;
    for (let from = 0; from < rows; from += blockRows)
      this.#appendBlock(columns, from, Math.min(rows, from + blockRows));
  }

  /**
   * All rows of a partition user by user, up to the next call; they are gone afterwards.
   *
   * @param options - users: how many there are in the partition; shift: user `code` is number `code >> shift` there
   */
  take(part: number, { users, shift }: { readonly users: number; readonly shift: number }): RowsByUser {
    this.#close(part);
    const pages = this.#full[part]!;
    this.#full[part] = [];
    const load = (page: Page | StoredPage): Page => this.#load(page);
    return rowsByUser(this.#shape, { pages, load, users, shift, memory: this.#memory });
  }

  /** Gives up what lies on the disk. */
  close(): void {
    this.#file.close();
  }

  /** A page as it is, or as it comes back from the disk into memory that the next one uses again. */
  #load(page: Page | StoredPage): Page {
    if (page instanceof Page) return page;
    const words = this.#memory.words(rowsByUserColumns, page.rows * page.layout.stride);
    return loadPage(page, this.#file, words);
  }

  /** Makes room in a row for what no batch before had. */
  #fit({ words }: NarrowColumns): void {
    const lacks = words.some((column, index) => column.length > 0 && this.#layout.words[index]! < 0);
    if (!lacks) return;
    this.#closeAll();
    this.#layout = rowLayout(this.#shape, { hasHigh: true });
  }

  #appendBlock(columns: NarrowColumns, from: number, to: number): void {
    const codes = columns.words[0]!;
    const { stride } = this.#layout;
    const mask = this.count - 1;
    const [next, ends, rows] = [this.#next, this.#ends, this.#targets];
    let first = from;
    for (let row = from; row < to; row++) {
      const code = codes[row]!;
      if (code < 0) {
        rows[row - from] = -1;
        continue;
      }
      const part = code & mask;
      if (next[part] === ends[part]) {
        this.#write(columns, { rows, base: from, from: first, to: row });
        first = row;
        this.#turn(part);
      }
      rows[row - from] = next[part]!;
      next[part]! += stride;
    }
    this.#write(columns, { rows, base: from, from: first, to });
  }

  /** Writes rows whose places are known, column by column. */
  #write({ words: columns, scores, texts, firstRow }: NarrowColumns, targets: Targets): void {
    const { words } = this.#pages;
    const { words: offsets, score } = this.#layout;
    for (let column = 0; column < columns.length; column++) {
      const source = columns[column]!;
      const offset = offsets[column]!;
      if (column === placeColumn) scatterPlaces(words, targets, { offset, firstRow });
      else if (source.length > 0) scatterWords(words, targets, { offset, source });
      else if (offset >= 0) scatterZeros(words, targets, offset);
    }
    if (scores !== undefined) scatterPairs(words, targets, { offset: score, source: scores });
    if (texts !== undefined) this.#writeTexts(texts, columns[0]!, targets);
  }

  #writeTexts(
    { bytes, ends }: NonNullable<NarrowColumns['texts']>,
    codes: Int32Array,
    { rows, base, from, to }: Targets,
  ): void {
    const { words } = this.#pages;
    const { textEnd } = this.#layout;
    const mask = this.count - 1;
    for (let row = from; row < to; row++) {
      const target = rows[row - base]!;
      if (target < 0) continue;
      const page = this.#open[codes[row]! & mask]!;
      const before = page.bytes.length;
      words[target + textEnd] = page.appendText(bytes, row === 0 ? 0 : ends[row - 1]!, ends[row]!);
      this.#bytes += page.bytes.length - before;
    }
  }

  /** Gives a partition a page that has room. */
  #turn(part: number): void {
    this.#close(part);
    if (!this.#isSpilling && this.#bytes > this.#budget) this.#spillAll();
    this.#begin(part);
  }

  #begin(part: number): void {
    if (!this.#pages.hasRoom) {
      this.#closeAll();
      this.#pages.renew();
    }
    const start = this.#pages.take();
    const page = new Page(this.#layout, { words: this.#pages.words, start });
    this.#bytes += this.#pageBytes;
    this.#open[part] = page;
    this.#next[part] = start;
    this.#ends[part] = start + this.#pageRows * this.#layout.stride;
  }

  get #pageBytes(): number {
    return 4 * this.#pageRows * this.#layout.stride;
  }

  /** Puts the open page of a partition, if it has one, with those that are full. */
  #close(part: number): void {
    const page = this.#open[part];
    if (page === undefined) return;
    page.rows = (this.#next[part]! - page.start) / page.layout.stride;
    this.#open[part] = undefined;
    this.#next[part] = this.#ends[part]!;
    this.#full[part]!.push(this.#isSpilling ? this.#store(page) : page);
  }

  #closeAll(): void {
    for (let part = 0; part < this.count; part++) this.#close(part);
  }

  #store(page: Page): StoredPage {
    const stored = storePage(page, this.#file);
    this.#pages.give(page.words, page.start);
    this.#bytes -= this.#pageBytes + page.bytes.length;
    return stored;
  }

  #spillAll(): void {
    this.#isSpilling = true;
    for (const pages of this.#full)
      for (let i = 0; i < pages.length; i++) {
        const page = pages[i]!;
        if (page instanceof Page) pages[i] = this.#store(page);
      }
  }
}
