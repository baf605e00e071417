import type { Writable } from 'node:stream';
import type { RecordBatch, Schema } from 'apache-arrow';
import { ArrowSink } from './arrow-sink.ts';
import { type ByteTarget, fileTarget, streamTarget } from './byte-target.ts';
import { checkSchema } from './output-columns.ts';
import { ParquetSink } from './parquet-sink.ts';
import { batchBytes, batchRows } from './take.ts';

/** Takes a table batch by batch; a call ends when the bytes are written, so that memory holds one batch or two. */
export interface TableSink {
  /** Rows written so far. */
  readonly rows: number;
  /**
   * @throws DpError `INVALID_DATA` for a batch of another schema; `OUTPUT_FAILED` where the disk is full or the reader
   *   of a pipe has gone
   */
  write(batch: RecordBatch): Promise<void>;
  /** Ends the table; one without rows is whole too. */
  finish(): Promise<void>;
  /** Lets go of the file without ending the table; what was written is no table and must be removed. */
  abort(): Promise<void>;
}

interface FormatSink {
  write(batch: RecordBatch): Promise<void>;
  finish(): Promise<void>;
}

/** Cuts a batch so that no piece is above the rows and bytes of a batch that we write. */
function* pieces(batch: RecordBatch): Generator<RecordBatch> {
  const fitting = Math.floor((batchBytes * batch.numRows) / Math.max(1, batch.data.byteLength));
  const rows = Math.max(1, Math.min(batchRows, fitting));
  if (batch.numRows <= rows) yield batch;
  else for (let at = 0; at < batch.numRows; at += rows) yield batch.slice(at, at + rows);
}

class CheckedSink implements TableSink {
  readonly #target: ByteTarget;
  readonly #sink: FormatSink;
  readonly #schema: Schema;
  #rows = 0;
  #isClosed = false;

  constructor(target: ByteTarget, schema: Schema, sink: FormatSink) {
    this.#target = target;
    this.#sink = sink;
    this.#schema = schema;
  }

  get rows(): number {
    return this.#rows;
  }

  async write(batch: RecordBatch): Promise<void> {
    checkSchema(batch, this.#schema.fields);
    if (batch.numRows === 0) return;
    for (const piece of pieces(batch)) await this.#sink.write(piece);
    this.#rows += batch.numRows;
  }

  async finish(): Promise<void> {
    await this.#sink.finish();
    await this.abort();
  }

  async abort(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#target.close();
  }
}

/**
 * Opens an output for record batches: an Arrow file or stream, uncompressed, or Parquet with snappy and one row group a
 * batch. The same batches give the same bytes. Text dictionaries come out as one dictionary a column, with Int32
 * indices and only the entries that rows use.
 *
 * Give a temporary path and rename it at the end, as `writeSafely` does: until `finish` the file is half a table.
 *
 * @param options - `isStream`: the stream form of Arrow; default false
 * @throws DpError `OUTPUT_FAILED` where the path cannot be written; `INVALID_DATA` for types that Parquet lacks
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * import { textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo'] });
 * const path = `${mkdtempSync(`${tmpdir()}/example-`)}/users.arrow`;
 * const sink = await openSink(path, { schema: table.schema, format: 'arrow' });
 * for (const batch of table.batches) await sink.write(batch);
 * await sink.finish();
 * sink.rows; // 2
 * ```
 */
export async function openSink(
  path: string,
  options: { schema: Schema; format: 'arrow' | 'parquet'; isStream?: boolean | undefined },
): Promise<TableSink> {
  const { schema, format, isStream = false } = options;
  const target = await fileTarget(path);
  try {
    const sink =
      format === 'parquet' ? new ParquetSink(target, schema) : new ArrowSink(target, schema, { isStream });
    return new CheckedSink(target, schema, sink);
  } catch (error) {
    await target.close();
    throw error;
  }
}

/**
 * Opens a stream, such as standard output, as an Arrow stream; the stream itself stays open at the end.
 *
 * @param options - `name`: what messages call it
 */
export function openStreamSink(
  stream: Writable,
  options: { schema: Schema; name?: string | undefined },
): TableSink {
  const { schema, name = 'standard output' } = options;
  const target = streamTarget(stream, name);
  return new CheckedSink(target, schema, new ArrowSink(target, schema, { isStream: true }));
}
