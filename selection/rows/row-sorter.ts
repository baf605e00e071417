import { Data, RecordBatch, Schema, Struct } from 'apache-arrow';
import { batchRows } from '../tables/take.ts';
import { writeWord } from './bytes.ts';
import type { CellCodec } from './cell-codec.ts';
import { columnCodec } from './nested-codecs.ts';
import { headerBytes, type RowIndex, RowPages } from './row-pages.ts';

/** Bytes of rows at which a batch that comes out is closed. */
const batchBytes = 2 ** 24;

/** Bytes of a page, if the budget allows. */
const usualPageBytes = 2 ** 17;
const leastPageBytes = 2 ** 10;

export interface RowSorterOptions {
  /** How many rows there will be; their places are 0 to `rows` - 1. */
  readonly rows: number;
  /** About how many bytes these have together; a wrong guess costs memory or speed, nothing else. */
  readonly bytes: number;
  /** Bytes that may be held in memory. */
  readonly budget: number;
  /** An existing folder for what is above that. */
  readonly folder: string;
}

/**
 * Puts chosen rows of many batches, all columns, into a new order. Rows are copied once when they come in and once when they go out;
 * what memory has no room for lies on the disk, sorted by stretches of the new order.
 *
 * @example
 * ```ts
 * import { textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo', 'cy'] });
 * const sorter = new RowSorter(table.schema, { rows: 2, bytes: 100, budget: 1e6, folder: '.' });
 * sorter.append(table.batches[0], { rows: Int32Array.of(0, 2), places: Int32Array.of(1, 0) });
 * const [batch] = sorter.take();
 * batch.getChild('user').toJSON(); // ['cy', 'ada']
 * sorter.close();
 * ```
 */
export class RowSorter {
  readonly #columns: readonly CellCodec[];
  readonly #pages: RowPages;
  readonly #rows: number;
  /** Places of a stretch. */
  readonly #length: number;
  /** The schema of the batches that come out: dictionaries have Int32 indices, and are undone below the top level. */
  readonly schema: Schema;

  constructor(schema: Schema, options: RowSorterOptions) {
    const { rows, bytes, budget, folder } = options;
    const stretches = bytes <= budget ? 1 : Math.min(512, Math.ceil((8 * bytes) / budget));
    this.#columns = schema.fields.map(field => columnCodec(field.type));
    this.schema = new Schema(
      schema.fields.map((field, index) => field.clone({ type: this.#columns[index]!.type })),
      schema.metadata,
    );
    this.#rows = rows;
    this.#length = Math.max(1, Math.ceil(rows / stretches));
    const pageBytes = Math.floor(Math.max(leastPageBytes, Math.min(usualPageBytes, budget / 2 / stretches)));
    this.#pages = new RowPages({ stretches, pageBytes, budget, folder });
  }

  /**
   * Copies rows of a batch.
   *
   * @param batch - of the schema given, its columns in that order
   * @param chosen - rows: places within the batch, any order; places: where each goes
   */
  append(batch: RecordBatch, chosen: { readonly rows: Int32Array; readonly places: Int32Array }): void {
    const { rows, places } = chosen;
    if (rows.length === 0) return;
    for (let column = 0; column < this.#columns.length; column++)
      this.#columns[column]!.bind(batch.data.children[column]!);
    for (let i = 0; i < rows.length; i++) this.#encode(rows[i]!, places[i]!);
  }

  /** All rows by place, in batches of at most 65536 rows and about 16 MB, whose memory is used again for the next one. */
  *take(): Generator<RecordBatch> {
    let [rows, bytes] = [0, 0];
    for (let first = 0, stretch = 0; first < this.#rows; first += this.#length, stretch++) {
      const count = Math.min(this.#length, this.#rows - first);
      const index = this.#pages.take(stretch, { first, count });
      for (let place = 0; place < count;) {
        const piece = this.#decode(index, { place, count, rows, bytes });
        ({ place, rows, bytes } = piece);
        if (rows < batchRows && bytes < batchBytes) continue;
        yield this.#batch(rows);
        [rows, bytes] = [0, 0];
      }
    }
    if (rows > 0) yield this.#batch(rows);
  }

  /** Gives up what lies on the disk. */
  close(): void {
    this.#pages.close();
  }

  #encode(row: number, place: number): void {
    const columns = this.#columns;
    let size = 0;
    for (let column = 0; column < columns.length; column++) size += columns[column]!.size(row);
    const page = this.#pages.pageFor(Math.floor(place / this.#length), headerBytes + size);
    writeWord(page, page.length, place);
    writeWord(page, page.length + 4, size);
    let at = page.length + headerBytes;
    for (let column = 0; column < columns.length; column++) at = columns[column]!.encode(row, page, at);
    page.length = at;
  }

  /** Adds rows to the batch being built until it is full or the stretch ends. */
  #decode(index: RowIndex, from: Filling): Filling {
    const columns = this.#columns;
    const { pages, pageOf, offsetOf } = index;
    let { place, rows, bytes } = from;
    for (; place < from.count && rows < batchRows && bytes < batchBytes; place++, rows++) {
      const source = pages[pageOf[place]!]!;
      const start = offsetOf[place]!;
      let at = start;
      for (let column = 0; column < columns.length; column++) at = columns[column]!.decode(source, at);
      bytes += at - start;
    }
    return { place, count: from.count, rows, bytes };
  }

  #batch(rows: number): RecordBatch {
    const children = this.#columns.map(column => column.take());
    const type = new Struct(this.schema.fields);
    return new RecordBatch(this.schema, new Data(type, 0, rows, 0, {}, children));
  }
}

/** How far the rows of a stretch have been added to a batch, and what the batch holds. */
interface Filling {
  readonly place: number;
  readonly count: number;
  readonly rows: number;
  readonly bytes: number;
}
