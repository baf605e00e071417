import { isUtf8 } from 'node:buffer';
import { type Data, Field, Utf8 } from 'apache-arrow';
import { TextBuilder } from './build.ts';
import { type CsvRow, CsvRows } from './csv-rows.ts';
import { longestRow, RowFaults, type RowOptions, type SkipReason } from './row-faults.ts';
import { invalidFile } from './source.ts';
import type { ColumnBatch, FileReader } from './table-file.ts';
import { batchBytes, batchRows } from './take.ts';

interface CsvOptions extends RowOptions {
  readonly delimiter: string;
}

function headerOf(path: string, { bytes, starts, ends }: CsvRow): string[] {
  const names = starts.map((start, c) => {
    const cell = bytes.subarray(start, ends[c]);
    if (isUtf8(cell)) return cell.toString('utf8');
    throw invalidFile(path, 'its header holds invalid UTF-8', 'Save it as UTF-8');
  });
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return names;
  throw invalidFile(path, `its header names the column ${JSON.stringify(twice)} twice`, 'Rename one of them');
}

/** One CSV file, whose faulty rows are known. */
class CsvReader implements FileReader {
  readonly #path: string;
  readonly #delimiter: string;
  readonly #longest: number;
  readonly #faults: RowFaults;
  #names: readonly string[] = [];

  constructor(path: string, options: CsvOptions) {
    this.#path = path;
    this.#delimiter = options.delimiter;
    this.#longest = options.longestRow ?? longestRow;
    this.#faults = new RowFaults(path, { unit: 'row', policy: options.onError ?? 'error' });
  }

  get fields(): readonly Field[] {
    return this.#names.map(name => new Field(name, new Utf8(), false));
  }

  get skipped(): ReadonlyMap<SkipReason, number> {
    return this.#faults.counts;
  }

  /** The first pass: finds the header and the faulty rows. */
  async scan(): Promise<void> {
    let last = -1;
    const rows = this.#rows((row, number) => {
      last = number;
      if (number === 0) this.#names = headerOf(this.#path, row);
      else this.#judge(row, number);
    });
    while ((await rows.next()).done !== true);
    if (last < 0) throw invalidFile(this.#path, 'it is empty', 'Give a header and at least one row');
    if (last === 0) throw invalidFile(this.#path, 'it holds a header and 0 rows', 'Give at least one row');
  }

  async *batches(columns: readonly string[]): AsyncGenerator<ColumnBatch> {
    const wanted = columns.map(name => this.#names.indexOf(name));
    const builders = wanted.map(() => new TextBuilder());
    const isSkipped = this.#faults.filter();
    const ready: ColumnBatch[] = [];
    let rows = 0;
    const close = (): void => {
      ready.push({ rows, columns: builders.map((builder): Data => builder.finish()) });
      rows = 0;
    };
    const pieces = this.#rows(({ bytes, starts, ends }, number) => {
      if (number === 0 || isSkipped(number)) return;
      for (const [c, index] of wanted.entries())
        builders[c]!.appendSlice(bytes, starts[index]!, ends[index]!);
      rows += 1;
      if (rows >= batchRows || builders.some(builder => builder.byteLength > batchBytes)) close();
    });
    while ((await pieces.next()).done !== true) yield* ready.splice(0);
    if (rows > 0) close();
    yield* ready;
  }

  #rows(onRow: (row: CsvRow, number: number) => void): AsyncGenerator<void> {
    // Where rows may be skipped, one that is somewhat too long is read to its end first.
    const longest = this.#faults.isStrict ? this.#longest : 4 * this.#longest;
    return new CsvRows(this.#path, onRow, { delimiter: this.#delimiter, longest }).pieces();
  }

  #judge(row: CsvRow, number: number): void {
    const reason = this.#reasonAgainst(row);
    if (reason !== undefined) this.#faults.add(number, reason);
  }

  #reasonAgainst({ bytes, starts, start, end, hasStrayQuote }: CsvRow): SkipReason | undefined {
    if (hasStrayQuote) return 'quotes';
    if (starts.length !== this.#names.length) return 'number of cells';
    if (end - start > this.#longest) return 'too long';
    const row = bytes.subarray(start, end);
    if (!isUtf8(row)) return 'invalid UTF-8';
    return !this.#faults.isStrict && row.includes(0) ? 'NUL' : undefined;
  }
}

/**
 * Opens a CSV file (RFC 4180) with a header: UTF-8, `\n` or `\r\n`, quoted cells may hold line ends, packed by gzip or
 * not; a byte order mark at the start is dropped, blank lines are passed over. CSV has no types, so every column is
 * text; an empty cell is empty text. The file is read once to find faulty rows.
 *
 * @param options - `delimiter`: one ASCII character, such as `,`
 * @throws DpError `INVALID_DATA` with the row, counted from 1 below the header, unless it is skipped; text after a
 *   closing quote and a quote that is never closed cannot be skipped, because the next row could start anywhere
 */
export async function openCsv(
  path: string,
  options: CsvOptions,
): Promise<FileReader & { readonly skipped: ReadonlyMap<SkipReason, number> }> {
  const reader = new CsvReader(path, options);
  await reader.scan();
  return reader;
}
