import { SpillFile } from '../rows/spill-file.ts';
import {
  JoinedPages,
  type NarrowColumns,
  type NarrowShape,
  Page,
  storePage,
  type StoredPage,
  wordColumns,
} from './narrow-page.ts';
import { Scratch } from './scratch.ts';
import { Slabs } from './slabs.ts';

/** Rows of a page at most: some 100 kB, which a cache of a core holds. */
const mostPageRows = 4096;
const fewestPageRows = 4;

/** About how many bytes a row takes; ids that are texts are taken to be short. */
function bytesPerRow(shape: NarrowShape): number {
  return (
    4 * wordColumns(shape).length + (shape.measures === 'scores' ? 8 : 0) + (shape.ids === 'texts' ? 16 : 0)
  );
}

/** Rows of a page so that one page of each partition takes about half of the budget. */
function pageRowsFor(shape: NarrowShape, { count, budget }: { count: number; budget: number }): number {
  const rows = Math.floor(budget / (2 * count * bytesPerRow(shape)));
  return Math.max(fewestPageRows, Math.min(mostPageRows, rows));
}

/** Rows of a batch sorted by partition: those of partition `p` stand from `starts[p]` to `starts[p + 1]`. */
interface Dealt {
  readonly perm: Int32Array;
  readonly starts: Int32Array;
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
  readonly #memory = new Scratch();
  readonly #slabs = new Slabs();
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
    this.count = options.count;
    this.#shape = shape;
    this.#budget = options.budget;
    this.#pageRows = pageRowsFor(shape, options);
    // Where not all will fit, the first pages need not wait.
    this.#isSpilling = options.rows * bytesPerRow(shape) > options.budget;
    this.#file = new SpillFile(options.folder);
    this.#full = Array.from({ length: options.count }, () => []);
    this.#open = Array.from({ length: options.count }, () => undefined);
  }

  /** Appends rows; their first column of words says whose they are, -1 for nobody. */
  append(columns: NarrowColumns): void {
    const { perm, starts } = this.#deal(columns.words[0]!);
    for (let part = 0; part < this.count; part++) {
      const end = starts[part + 1]!;
      for (let from = starts[part]!; from < end;) {
        const page = this.#pageOf(part);
        const to = Math.min(end, from + page.capacity - page.rows);
        const before = page.byteLength;
        page.append(columns, { perm, from, to });
        this.#bytes += page.byteLength - before;
        from = to;
      }
    }
  }

  /** All rows of a partition in the order in which they came, up to the next call; they are gone afterwards. */
  take(part: number): JoinedPages {
    const last = this.#open[part];
    const pages = [...this.#full[part]!, ...(last === undefined ? [] : [last])];
    this.#full[part] = [];
    this.#open[part] = undefined;
    const joined = new JoinedPages(this.#shape, { pages, memory: this.#memory });
    for (const page of pages) {
      if (page instanceof Page) joined.appendPage(page);
      else joined.appendStored(page, this.#file);
    }
    return joined;
  }

  /** Gives up what lies on the disk. */
  close(): void {
    this.#file.close();
  }

  #deal(codes: Int32Array): Dealt {
    const mask = this.count - 1;
    const ends = new Int32Array(this.count + 2);
    for (let row = 0; row < codes.length; row++) if (codes[row]! >= 0) ends[(codes[row]! & mask) + 2]! += 1;
    for (let part = 2; part < ends.length; part++) ends[part]! += ends[part - 1]!;
    const perm = this.#memory.words(0, ends[this.count + 1]!);
    for (let row = 0; row < codes.length; row++)
      if (codes[row]! >= 0) perm[ends[(codes[row]! & mask) + 1]!++] = row;
    return { perm, starts: ends };
  }

  /** The page of a partition that has room. */
  #pageOf(part: number): Page {
    const page = this.#open[part];
    if (page !== undefined && page.rows < page.capacity) return page;
    if (page !== undefined) {
      if (this.#isSpilling || this.#bytes > this.#budget) return this.#emptied(part, page);
      this.#full[part]!.push(page);
    }
    const next = new Page(this.#shape, { capacity: this.#pageRows, memory: this.#slabs });
    this.#bytes += next.byteLength;
    this.#open[part] = next;
    return next;
  }

  /** Writes a page, which is used again, and those before it. */
  #emptied(part: number, page: Page): Page {
    if (!this.#isSpilling) this.#spillAll();
    this.#full[part]!.push(storePage(page, this.#file));
    page.rows = 0;
    return page;
  }

  #spillAll(): void {
    this.#isSpilling = true;
    for (const pages of this.#full)
      for (let i = 0; i < pages.length; i++) {
        const page = pages[i]!;
        if (page instanceof Page) pages[i] = storePage(page, this.#file);
      }
  }
}
