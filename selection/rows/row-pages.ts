import { ByteArea, readWord } from './bytes.ts';
import { SpillFile } from './spill-file.ts';

/** Where a page lies in the file. */
interface StoredPage {
  readonly start: number;
  readonly length: number;
}

/** Bytes in front of a row: its place and its length. */
export const headerBytes = 8;

/** Rows of one stretch of places, found by place. */
export interface RowIndex {
  readonly pages: readonly ByteArea[];
  /** Page and offset in it of the cells of a row, by place less the first; page -1 where there is none. */
  readonly pageOf: Int32Array;
  readonly offsetOf: Int32Array;
}

/** Pages of rows by the stretch that their places belong to; what is above a budget goes to a file. */
export class RowPages {
  readonly #pageBytes: number;
  readonly #budget: number;
  readonly #file: SpillFile;
  readonly #full: (ByteArea | StoredPage)[][];
  readonly #open: (ByteArea | undefined)[];
  /** Memory into which stored pages are read. */
  readonly #scratch: ByteArea[] = [];
  #bytes = 0;
  #isSpilling: boolean;

  /** @param options - stretches: how many; pageBytes: of a usual page; budget: bytes held; folder: for the rest */
  constructor(options: {
    readonly stretches: number;
    readonly pageBytes: number;
    readonly budget: number;
    readonly folder: string;
  }) {
    this.#pageBytes = options.pageBytes;
    this.#budget = options.budget;
    // More than one stretch is asked for where not all will fit: the first pages need not wait.
    this.#isSpilling = options.stretches > 1;
    this.#file = new SpillFile(options.folder);
    this.#full = Array.from({ length: options.stretches }, () => []);
    this.#open = Array.from({ length: options.stretches }, () => undefined);
  }

  /** A page of a stretch with room for a row of so many bytes. */
  pageFor(stretch: number, size: number): ByteArea {
    const page = this.#open[stretch];
    if (page !== undefined && page.length + size <= page.bytes.length) return page;
    const next = this.#nextPage(stretch, page, size);
    this.#open[stretch] = next;
    return next;
  }

  /** The rows of a stretch, up to the next call; they are gone afterwards. */
  take(stretch: number, { first, count }: { readonly first: number; readonly count: number }): RowIndex {
    const last = this.#open[stretch];
    const all = [...this.#full[stretch]!, ...(last === undefined ? [] : [last])];
    this.#full[stretch] = [];
    this.#open[stretch] = undefined;
    const pages = all.map((page, index) => (page instanceof ByteArea ? page : this.#read(page, index)));
    const pageOf = new Int32Array(count).fill(-1);
    const offsetOf = new Int32Array(count);
    for (let page = 0; page < pages.length; page++)
      indexPage(pages[page]!, { page, first, pageOf, offsetOf });
    return { pages, pageOf, offsetOf };
  }

  close(): void {
    this.#file.close();
  }

  #nextPage(stretch: number, page: ByteArea | undefined, size: number): ByteArea {
    if (page !== undefined && (this.#isSpilling || this.#bytes > this.#budget)) {
      if (!this.#isSpilling) this.#spillAll();
      this.#full[stretch]!.push(this.#store(page));
      page.clear();
      if (size <= page.bytes.length) return page;
      this.#bytes -= page.bytes.length;
    } else if (page !== undefined) this.#full[stretch]!.push(page);
    const bytes = new Uint8Array(Math.max(size, this.#pageBytes));
    this.#bytes += bytes.length;
    return new ByteArea(bytes);
  }

  #store(page: ByteArea): StoredPage {
    return { start: this.#file.append(page.used), length: page.length };
  }

  #spillAll(): void {
    this.#isSpilling = true;
    for (const pages of this.#full)
      for (let i = 0; i < pages.length; i++) {
        const page = pages[i]!;
        if (page instanceof ByteArea) pages[i] = this.#store(page);
      }
  }

  #read({ start, length }: StoredPage, index: number): ByteArea {
    const found = this.#scratch[index];
    const isRoomy = found !== undefined && found.bytes.length >= length;
    const memory = isRoomy ? found : new ByteArea(new Uint8Array(Math.max(length, this.#pageBytes)));
    this.#scratch[index] = memory;
    memory.length = length;
    this.#file.read(start, memory.used);
    return memory;
  }
}

function indexPage(
  area: ByteArea,
  to: { page: number; first: number; pageOf: Int32Array; offsetOf: Int32Array },
): void {
  for (let at = 0; at < area.length;) {
    const place = readWord(area, at) - to.first;
    to.pageOf[place] = to.page;
    to.offsetOf[place] = at + headerBytes;
    at += headerBytes + readWord(area, at + 4);
  }
}
