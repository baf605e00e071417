import { type Area, areaOf, readWord } from './bytes.ts';
import { SpillFile } from './spill-file.ts';

/** Rows as bytes one after the other, up to a size that is fixed. */
export interface RowPage extends Area {
  used: number;
}

/** Where a page lies in the file. */
interface StoredPage {
  readonly start: number;
  readonly length: number;
}

/** Bytes in front of a row: its place and its length. */
export const headerBytes = 8;

/** Rows of one stretch of places, found by place. */
export interface RowIndex {
  readonly pages: readonly Area[];
  /** Page and offset in it of the cells of a row, by place less the first; page -1 where there is none. */
  readonly pageOf: Int32Array;
  readonly offsetOf: Int32Array;
}

/** Pages of rows by the stretch that their places belong to; what is above a budget goes to a file. */
export class RowPages {
  readonly #pageBytes: number;
  readonly #budget: number;
  readonly #file: SpillFile;
  readonly #full: (RowPage | StoredPage)[][];
  readonly #open: (RowPage | undefined)[];
  /** Memory into which stored pages are read. */
  readonly #scratch: Area[] = [];
  #bytes = 0;
  #isSpilling = false;

  /** @param options - stretches: how many; pageBytes: of a usual page; budget: bytes held; folder: for the rest */
  constructor(options: {
    readonly stretches: number;
    readonly pageBytes: number;
    readonly budget: number;
    readonly folder: string;
  }) {
    this.#pageBytes = options.pageBytes;
    this.#budget = options.budget;
    this.#file = new SpillFile(options.folder);
    this.#full = Array.from({ length: options.stretches }, () => []);
    this.#open = Array.from({ length: options.stretches }, () => undefined);
  }

  /** A page of a stretch with room for a row of so many bytes. */
  pageFor(stretch: number, size: number): RowPage {
    const page = this.#open[stretch];
    if (page !== undefined && page.used + size <= page.bytes.length) return page;
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
    const pages = all.map((page, index) => ('used' in page ? page : this.#read(page, index)));
    const lengths = all.map(page => ('used' in page ? page.used : page.length));
    const pageOf = new Int32Array(count).fill(-1);
    const offsetOf = new Int32Array(count);
    for (let page = 0; page < pages.length; page++)
      indexPage(pages[page]!, lengths[page]!, { page, first, pageOf, offsetOf });
    return { pages, pageOf, offsetOf };
  }

  close(): void {
    this.#file.close();
  }

  #nextPage(stretch: number, page: RowPage | undefined, size: number): RowPage {
    if (page !== undefined && (this.#isSpilling || this.#bytes > this.#budget)) {
      if (!this.#isSpilling) this.#spillAll();
      this.#full[stretch]!.push(this.#store(page));
      page.used = 0;
      if (size <= page.bytes.length) return page;
      this.#bytes -= page.bytes.length;
    } else if (page !== undefined) this.#full[stretch]!.push(page);
    const bytes = new Uint8Array(Math.max(size, this.#pageBytes));
    this.#bytes += bytes.length;
    return { ...areaOf(bytes), used: 0 };
  }

  #store({ bytes, used }: RowPage): StoredPage {
    return { start: this.#file.append(bytes.subarray(0, used)), length: used };
  }

  #spillAll(): void {
    this.#isSpilling = true;
    for (const pages of this.#full)
      for (let i = 0; i < pages.length; i++) {
        const page = pages[i]!;
        if ('used' in page) pages[i] = this.#store(page);
      }
  }

  #read({ start, length }: StoredPage, index: number): Area {
    const found = this.#scratch[index];
    const isRoomy = found !== undefined && found.bytes.length >= length;
    const memory = isRoomy ? found : areaOf(new Uint8Array(Math.max(length, this.#pageBytes)));
    this.#scratch[index] = memory;
    this.#file.read(start, memory.bytes.subarray(0, length));
    return memory;
  }
}

function indexPage(
  area: Area,
  length: number,
  to: { page: number; first: number; pageOf: Int32Array; offsetOf: Int32Array },
): void {
  for (let at = 0; at < length;) {
    const place = readWord(area, at) - to.first;
    to.pageOf[place] = to.page;
    to.offsetOf[place] = at + headerBytes;
    at += headerBytes + readWord(area, at + 4);
  }
}
