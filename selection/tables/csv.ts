import { isUtf8 } from 'node:buffer';
import { once } from 'node:events';
import { type Data, Field, type Table, Utf8 } from 'apache-arrow';
import { CsvError, parse, type Parser } from 'csv-parse';
import { DpError } from '../../accounting/check.ts';
import { TextBuilder } from './build.ts';
import { invalidFile, readText } from './source.ts';
import { batchBytes, batchRows, tableOf } from './take.ts';

const faults: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_COLUMNS: 'has another number of cells than the header',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'has another number of cells than the header',
  CSV_QUOTE_NOT_CLOSED: 'opens a quote that is never closed',
  CSV_INVALID_CLOSING_QUOTE: 'has text after a closing quote',
  INVALID_OPENING_QUOTE: 'has a quote inside an unquoted cell',
  CSV_MAX_RECORD_SIZE: 'is too long',
};

/** Rows of cells as bytes, the header first. */
class CsvTable {
  readonly #path: string;
  #names: string[] = [];
  #builders: TextBuilder[] = [];
  readonly #batches: Data[][] = [];
  #row = 0;
  #inBatch = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Data rows so far, the header not counted. */
  get rows(): number {
    return this.#row;
  }

  append(cells: readonly Uint8Array[]): void {
    if (this.#names.length === 0) {
      this.#open(cells);
      return;
    }
    this.#row += 1;
    for (const [index, cell] of cells.entries()) this.#builders[index]!.append(cell);
    this.#inBatch += 1;
    const isLarge = this.#builders.some(builder => builder.byteLength > batchBytes);
    if (this.#inBatch >= batchRows || isLarge) this.#closeBatch();
  }

  finish(): Table {
    if (this.#inBatch > 0) this.#closeBatch();
    if (this.#names.length === 0)
      throw invalidFile(this.#path, 'it is empty', 'Give a header and at least one row');
    if (this.#row === 0)
      throw invalidFile(this.#path, 'it holds a header and 0 rows', 'Give at least one row');
    return tableOf(
      this.#names.map(name => new Field(name, new Utf8(), false)),
      this.#batches,
    );
  }

  #open(cells: readonly Uint8Array[]): void {
    if (!cells.every(cell => isUtf8(cell)))
      throw invalidFile(this.#path, 'its header holds invalid UTF-8', 'Save it as UTF-8');
    this.#names = cells.map(cell => Buffer.from(cell).toString('utf8'));
    const twice = this.#names.find((name, index) => this.#names.indexOf(name) < index);
    if (twice !== undefined) {
      throw invalidFile(
        this.#path,
        `its header names the column ${JSON.stringify(twice)} twice`,
        'Rename one of them',
      );
    }
    this.#builders = this.#names.map(() => new TextBuilder());
    this.#batches.push(...this.#names.map(() => []));
  }

  #closeBatch(): void {
    for (const [index, builder] of this.#builders.entries()) this.#batches[index]!.push(builder.finish());
    this.#inBatch = 0;
  }
}

function asCells(cells: unknown): Uint8Array[] {
  return Array.isArray(cells) ? cells.filter(cell => cell instanceof Uint8Array) : [];
}

function parserFor(table: CsvTable, delimiter: string): Parser {
  return parse({
    delimiter,
    encoding: null,
    record_delimiter: ['\n', '\r\n'],
    skip_empty_lines: true,
    // With `encoding: null` cells are bytes, which the declared types do not say.
    on_record: (cells: unknown) => {
      table.append(asCells(cells));
      return null;
    },
  });
}

function csvFault(path: string, table: CsvTable, error: unknown): unknown {
  if (!(error instanceof CsvError)) return error;
  // The parser's own message may quote the text, which must not appear.
  const fault = faults[error.code] ?? `is malformed (${error.code})`;
  return invalidFile(
    path,
    `row ${table.rows + 1} ${fault}`,
    'Quote cells that hold separators, quotes or line ends',
  );
}

async function feed(path: string, parser: Parser): Promise<void> {
  for await (const piece of readText(path)) {
    if (!parser.write(piece)) await once(parser, 'drain');
  }
  parser.end();
}

/**
 * Reads CSV (RFC 4180) with a header: UTF-8, `\n` or `\r\n`, quoted cells may hold line ends, packed by gzip or not; a
 * byte order mark at the start is dropped. CSV has no types, so every column is text; an empty cell is empty text.
 *
 * @param options - `delimiter`: default `,`
 * @throws DpError `INVALID_DATA` with the row, counted from 1 below the header
 */
export async function readCsv(path: string, options: { delimiter?: string } = {}): Promise<Table> {
  const table = new CsvTable(path);
  const parser = parserFor(table, options.delimiter ?? ',');
  const parsed = new Promise<void>((resolve, reject) => {
    parser.once('end', resolve);
    parser.once('error', reject);
  });
  parser.resume();
  try {
    await Promise.all([parsed, feed(path, parser)]);
  } catch (error) {
    parser.destroy();
    throw error instanceof DpError ? error : csvFault(path, table, error);
  }
  return table.finish();
}
