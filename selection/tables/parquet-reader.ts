import { open, type FileHandle } from 'node:fs/promises';
import { Data, DataType, type Field } from 'apache-arrow';
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetScan,
  type ParquetScan,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { DpError } from '../../accounting/check.ts';
import { buildData } from './build.ts';
import { textBatches } from './parquet-text.ts';
import { fieldOf, physicalSchema } from './parquet-types.ts';
import { CutShort, readExactly } from './random-access.ts';
import { invalidFile, readFailure } from './source.ts';
import type { ColumnBatch, FileReader, ReadOptions } from './table-file.ts';
import { batchBytes, batchRows } from './take.ts';

/** Hands out INT96 timestamps as nanoseconds; every other value is physical already. */
const parsers = { timestampFromNanoseconds: (nanoseconds: bigint) => nanoseconds };

interface Opened {
  /** With the meaning of the leaves taken away, see `physicalSchema`. */
  readonly metadata: FileMetaData;
  readonly tree: SchemaTree;
  readonly fields: readonly Field[];
}

/** What reading one row group needs. */
interface GroupContext extends Opened {
  readonly handle: FileHandle;
  readonly scan: ParquetScan;
  readonly group: RowGroup;
  readonly rowStart: number;
  /** Rows of a batch. */
  readonly rows: number;
  readonly encoded: readonly string[];
}

function bufferOf(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    slice: async (start, end = byteLength) => {
      const { buffer } = await readExactly(handle, { start, length: end - start });
      if (buffer instanceof ArrayBuffer) return buffer;
      throw new TypeError('shared memory');
    },
  };
}

async function openHandle(handle: FileHandle): Promise<Opened> {
  const { size } = await handle.stat();
  const metadata = await parquetMetadataAsync(bufferOf(handle, size), { geoparquet: false });
  const fields = parquetSchema(metadata).children.map(fieldOf);
  const stored = { ...metadata, schema: physicalSchema(metadata.schema) };
  return { metadata: stored, tree: parquetSchema(stored), fields };
}

function isFlatBytes({ type }: Field): boolean {
  return DataType.isUtf8(type) || DataType.isBinary(type);
}

function chunksOf(group: RowGroup, name: string): ColumnMetaData[] {
  return group.columns.flatMap(({ meta_data: data }) => (data?.path_in_schema[0] === name ? [data] : []));
}

async function* textColumn(context: GroupContext, field: Field): AsyncGenerator<Data> {
  const { handle, group, tree, rows, encoded } = context;
  const [metadata] = chunksOf(group, field.name);
  const leaf = tree.children.find(({ element }) => element.name === field.name);
  if (metadata === undefined || leaf === undefined) throw new RangeError('a column chunk is missing');
  const start = Number(metadata.dictionary_page_offset || metadata.data_page_offset);
  const length = Number(metadata.total_compressed_size);
  const chunk = await readExactly(handle, { start, length });
  const column = { metadata, path: [tree, leaf] };
  yield* textBatches(column, chunk, { type: field.type, rows, encoded: encoded.includes(field.name) });
}

function isNumber(type: DataType): boolean {
  return DataType.isInt(type) || DataType.isFloat(type);
}

/** Stored values of a type as they are, where the reader hands out the array that Arrow keeps. */
function direct(type: DataType, values: ArrayLike<unknown>): Data | undefined {
  const stored: unknown = values;
  if (!isNumber(type) || !ArrayBuffer.isView(stored) || stored.constructor !== type.ArrayType)
    return undefined;
  return new Data(type, 0, values.length, 0, { 1: stored });
}

async function* otherColumn(context: GroupContext, field: Field): AsyncGenerator<Data> {
  const { scan, rowStart, rows } = context;
  const rowEnd = rowStart + Number(context.group.num_rows);
  const values = await scan.readColumn({ column: field.name, rowStart, rowEnd });
  for (let at = 0; at < values.length; at += rows) {
    const part = values.slice(at, at + rows);
    yield direct(field.type, part) ?? buildData(field.type, part);
  }
}

/** Rows of a batch, so that its columns stay within the bytes of a batch. */
function rowsPerBatch(group: RowGroup, names: readonly string[]): number {
  const bytes = names
    .flatMap(name => chunksOf(group, name))
    .reduce((sum, { total_uncompressed_size: size }) => sum + Number(size), 0);
  const fitting = Math.floor((batchBytes * Number(group.num_rows)) / Math.max(1, bytes));
  return Math.max(1, Math.min(batchRows, fitting));
}

async function* groupBatches(context: GroupContext, fields: readonly Field[]): AsyncGenerator<ColumnBatch> {
  const total = Number(context.group.num_rows);
  const columns = fields.map(field =>
    isFlatBytes(field) ? textColumn(context, field) : otherColumn(context, field),
  );
  for (let done = 0; done < total; done += context.rows) {
    const rows = Math.min(context.rows, total - done);
    const batch: Data[] = [];
    for (const column of columns) {
      const { value } = await column.next();
      if (!(value instanceof Data) || value.length !== rows)
        throw new CutShort('a column has fewer rows than its row group');
      batch.push(value);
    }
    yield { rows, columns: batch };
  }
}

async function* batchesOf(
  handle: FileHandle,
  opened: Opened,
  read: ReadOptions & { columns: readonly string[] },
): AsyncGenerator<ColumnBatch> {
  const { metadata, fields } = opened;
  const { size } = await handle.stat();
  const { encoded = [], wants } = read;
  const wanted = read.columns.map(name => fields.find(field => field.name === name)!);
  const file = bufferOf(handle, size);
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const total = Number(group.num_rows);
    if (wants !== undefined && !wants(rowStart, total)) yield { rows: total, columns: undefined };
    else {
      // A scan keeps the column that it read last, so each row group gets its own.
      const scan = await parquetScan({
        file,
        metadata,
        compressors,
        parsers,
        utf8: false,
        geoparquet: false,
      });
      const rows = rowsPerBatch(group, read.columns);
      yield* groupBatches({ ...opened, handle, scan, group, rowStart, rows, encoded }, wanted);
    }
    rowStart += total;
  }
}

function parquetFailure(path: string, error: unknown): unknown {
  const failure = readFailure(path, error);
  if (failure instanceof DpError) return failure;
  const reason = error instanceof CutShort ? 'it is cut short' : 'it is no readable Parquet file';
  return invalidFile(path, reason, 'Check its format and that it is whole', error);
}

/** Reads the columns asked for, row group by row group. */
class ParquetReader implements FileReader {
  readonly #path: string;
  readonly #opened: Opened;

  constructor(path: string, opened: Opened) {
    this.#path = path;
    this.#opened = opened;
  }

  get fields(): readonly Field[] {
    return this.#opened.fields;
  }

  async *batches(columns: readonly string[], options: ReadOptions = {}): AsyncGenerator<ColumnBatch> {
    try {
      const handle = await open(this.#path, 'r');
      try {
        yield* batchesOf(handle, this.#opened, { ...options, columns });
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw parquetFailure(this.#path, error);
    }
  }
}

/**
 * Opens a Parquet file: its footer is read, and later only the chunks of the columns asked for. Types survive, nested
 * ones included; dictionary pages come out as plain columns unless asked for encoded.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where it is no Parquet or uses a type that Arrow lacks
 */
export async function openParquet(path: string): Promise<FileReader> {
  try {
    const handle = await open(path, 'r');
    try {
      return new ParquetReader(path, await openHandle(handle));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw parquetFailure(path, error);
  }
}
