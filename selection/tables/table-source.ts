import { Data, DataType, type Field, RecordBatch, Schema, Struct, type Table } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { openArrow } from './arrow-reader.ts';
import { commonFields, conform } from './conform.ts';
import { openCsv } from './csv.ts';
import { delimiterOf, type TableFormat } from './formats.ts';
import { openJsonl } from './jsonl.ts';
import { openParquet } from './parquet-reader.ts';
import type { RowOptions, SkipReason } from './row-faults.ts';
import { invalidFile } from './source.ts';
import { type FileReader, OpenedFile, type TableFile } from './table-file.ts';
import { tableOf } from './take.ts';

/** Some rows of a table source. */
export interface SourceBatch {
  /** The columns asked for, in the order asked. */
  readonly batch: RecordBatch;
  /** Place of its file in `files`. */
  readonly file: number;
  /** Number of its first row, counted from 0 over all files. */
  readonly firstRow: number;
  /** Number of its first row, counted from 0 within its file; rows that were skipped have none. */
  readonly rowInFile: number;
}

export interface BatchOptions {
  /** Default: all columns, in the order of the schema. */
  readonly columns?: readonly string[] | undefined;
  /**
   * Text columns that may come as Arrow dictionaries where a Parquet file keeps them so, which spares comparing texts
   * row by row; the batch says which form it has. Default none.
   */
  readonly encoded?: readonly string[] | undefined;
  /**
   * Whether any of the `rows` rows from `firstRow` on, counted over all files, is wanted. Where not, Arrow batches and
   * Parquet row groups stay on the disk; other rows may come all the same. Default: all are wanted.
   */
  readonly wants?: ((firstRow: number, rows: number) => boolean) | undefined;
  /** The memory of a batch is used again for the next, so that what is kept must be copied. Default false. */
  readonly reuse?: boolean | undefined;
}

/** Files of one schema that can be read again and again, batch by batch, column by column. */
export interface TableSource {
  readonly schema: Schema;
  readonly files: readonly TableFile[];
  /** Rows of JSON lines and CSV that were left out, by reason; every pass leaves out the same. */
  readonly skipped: ReadonlyMap<SkipReason, number>;
  /**
   * One pass over all rows, file by file.
   *
   * @throws DpError `INVALID_DATA` where a file changed since it was opened; `MISSING_COLUMN`
   */
  batches(options?: BatchOptions): AsyncGenerator<SourceBatch>;
}

export interface OpenTablesOptions extends RowOptions {
  /** Default: by the extension of each file. */
  readonly format?: TableFormat | undefined;
}

interface SkippingReader extends FileReader {
  readonly skipped?: ReadonlyMap<SkipReason, number>;
}

async function openOthers(file: OpenedFile, options: OpenTablesOptions): Promise<SkippingReader> {
  if (file.format === 'arrow') return openArrow(file.path);
  if (file.format === 'parquet') return openParquet(file.path);
  return openCsv(file.path, { ...options, delimiter: delimiterOf(file.path) });
}

/** Files of JSON lines share their keys, so they are opened together. */
async function openReaders(
  files: readonly OpenedFile[],
  options: OpenTablesOptions,
): Promise<SkippingReader[]> {
  const lines = files.filter(({ format }) => format === 'jsonl');
  const opened = await openJsonl(
    lines.map(({ path }) => path),
    options,
  );
  const readers: SkippingReader[] = [];
  for (const file of files) {
    const place = lines.indexOf(file);
    readers.push(place < 0 ? await openOthers(file, options) : opened[place]!);
  }
  return readers;
}

function checkNames(file: TableFile, fields: readonly Field[]): void {
  const names = fields.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw invalidFile(file.path, `it has two columns named ${JSON.stringify(twice)}`, 'Rename one of them');
}

/** The columns of all files; a difference is refused and named. */
function mergeFields(files: readonly TableFile[], readers: readonly FileReader[]): readonly Field[] {
  for (const [i, file] of files.entries()) checkNames(file, readers[i]!.fields);
  let fields = readers[0]!.fields;
  for (const [i, file] of files.entries()) {
    const merged = commonFields(fields, readers[i]!.fields);
    if ('reason' in merged) {
      const { reason, column } = merged;
      throw invalidFile(
        file.path,
        `column ${JSON.stringify(column)} ${reason} (${files[0]!.name})`,
        'Give files of one schema',
      );
    }
    fields = merged;
  }
  return fields;
}

function missingColumn(file: TableFile, name: string, schema: Schema): DpError {
  const available = schema.fields.map(field => JSON.stringify(field.name)).join(', ');
  return new DpError(
    'MISSING_COLUMN',
    `Cannot read ${file.name}: there is no column ${JSON.stringify(name)}. Choose from ${available}.`,
  );
}

class OpenedTables implements TableSource {
  readonly schema: Schema;
  readonly files: readonly TableFile[];
  readonly #files: readonly OpenedFile[];
  readonly #readers: readonly SkippingReader[];

  constructor(files: readonly OpenedFile[], readers: readonly SkippingReader[]) {
    this.#files = this.files = files;
    this.#readers = readers;
    this.schema = new Schema([...mergeFields(files, readers)], readers[0]!.metadata);
  }

  get skipped(): ReadonlyMap<SkipReason, number> {
    const counts = new Map<SkipReason, number>();
    for (const { skipped } of this.#readers)
      for (const [reason, count] of skipped ?? []) counts.set(reason, (counts.get(reason) ?? 0) + count);
    return counts;
  }

  async *batches(options: BatchOptions = {}): AsyncGenerator<SourceBatch> {
    const fields = this.#fieldsOf(options.columns);
    const { encoded = [], wants, reuse } = options;
    let firstRow = 0;
    for (const [file, reader] of this.#readers.entries()) {
      let rowInFile = 0;
      await this.#files[file]!.checkUnchanged();
      const names = fields.map(({ name }) => name);
      const start = firstRow;
      const wantsInFile = wants && ((first: number, rows: number) => wants(start + first, rows));
      for await (const { rows, columns } of reader.batches(names, { encoded, reuse, wants: wantsInFile })) {
        if (columns !== undefined)
          yield { batch: batchOf(fields, { rows, columns }, encoded), file, firstRow, rowInFile };
        rowInFile += rows;
        firstRow += rows;
      }
      await this.#files[file]!.checkUnchanged();
    }
  }

  #fieldsOf(names: readonly string[] | undefined): readonly Field[] {
    const { fields } = this.schema;
    if (names === undefined) return fields;
    return names.map(wanted => {
      const found = fields.find(({ name }) => name === wanted);
      if (found === undefined) throw missingColumn(this.files[0]!, wanted, this.schema);
      return found;
    });
  }
}

function batchOf(
  fields: readonly Field[],
  from: { rows: number; columns: readonly Data[] },
  encoded: readonly string[],
): RecordBatch {
  const { rows, columns } = from;
  const data = columns.map((column, i) => {
    const { name, type } = fields[i]!;
    return encoded.includes(name) && DataType.isDictionary(column.type) ? column : conform(column, type);
  });
  const own = fields.map((field, i) =>
    field.type === data[i]!.type ? field : field.clone({ type: data[i]!.type }),
  );
  return new RecordBatch(new Schema(own), new Data(new Struct(own), 0, rows, 0, {}, data));
}

/**
 * Opens files as one table that is read batch by batch, as often as wanted, and never as a whole. Arrow and Parquet
 * files are read by column: columns that nobody asks for stay on the disk. JSON lines and CSV are read once here, to
 * find their types and faults.
 *
 * All files must have the same columns; their order may differ, and so may dictionary encoding, which is then undone.
 * A key that is missing in a file of JSON lines is null there.
 *
 * @param paths - at least one, in the order in which rows are counted; see `expandInputs` for patterns
 * @param options - `onError`: `skip` leaves out faulty rows of JSON lines and CSV and counts them in `skipped`
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` with file and row for faults and where schemas differ;
 *   `INVALID_ARGUMENT` where the format cannot be told
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const path = `${mkdtempSync(`${tmpdir()}/example-`)}/mail.jsonl`;
 * writeFileSync(path, '{"user":"ada","text":"hi"}\n{"user":"bo","text":"yes"}\n');
 * const source = await openTables([path]);
 * const users = [];
 * for await (const { batch } of source.batches({ columns: ['user'] })) users.push(...batch.getChild('user'));
 * users; // ['ada', 'bo']
 * ```
 */
export async function openTables(
  paths: readonly string[],
  options: OpenTablesOptions = {},
): Promise<TableSource> {
  if (paths.length === 0)
    throw new DpError('INVALID_ARGUMENT', 'Cannot read a table: there are 0 files. Name at least one.');
  const files: OpenedFile[] = [];
  for (const path of paths) files.push(await OpenedFile.open(path, options.format));
  const empty = files.find(({ bytes }) => bytes === 0);
  if (empty !== undefined)
    throw invalidFile(empty.path, 'it is empty', 'Give a table with at least one record');
  const source = new OpenedTables(files, await openReaders(files, options));
  for (const file of files) await file.checkUnchanged();
  return source;
}

/** Every row of a source, in memory. */
export async function collectTable(source: TableSource): Promise<Table> {
  const { fields, metadata } = source.schema;
  const columns: Data[][] = fields.map(() => []);
  for await (const { batch } of source.batches())
    for (const [index, data] of batch.data.children.entries()) columns[index]!.push(data);
  return tableOf(fields, columns, metadata);
}
