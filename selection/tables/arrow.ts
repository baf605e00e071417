import { open, writeFile } from 'node:fs/promises';
import {
  CompressionType,
  compressionRegistry,
  RecordBatchFileWriter,
  type RecordBatch,
  RecordBatchReader,
  RecordBatchStreamWriter,
  Table,
} from 'apache-arrow';
import { decompressZstd } from 'hyparquet-compressors';
import { DpError } from '../../accounting/check.ts';
import { decodeLz4Frame } from './lz4.ts';
import { invalidFile, readFailure } from './source.ts';

/** Arrow's reader knows no codec by itself; the copies keep its buffers aligned to 8 bytes. */
function registerCodecs(): void {
  if (compressionRegistry.get(CompressionType.ZSTD)?.decode === undefined) {
    compressionRegistry.set(CompressionType.ZSTD, { decode: bytes => decompressZstd(bytes).slice() });
  }
  if (compressionRegistry.get(CompressionType.LZ4_FRAME)?.decode === undefined) {
    compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: decodeLz4Frame });
  }
}

async function readBatches(path: string): Promise<Table> {
  const handle = await open(path, 'r');
  try {
    const reader = await RecordBatchReader.from(handle);
    await reader.open();
    const batches: RecordBatch[] = [];
    for await (const batch of reader) if (batch.numRows > 0) batches.push(batch);
    return new Table(reader.schema, batches);
  } finally {
    await handle.close().catch(() => undefined);
  }
}

/**
 * Reads an Arrow IPC file or stream, batch by batch, so that files above 2 GiB pass; buffers may be plain, LZ4 or ZSTD.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where it is no Arrow or uses a type that the reader lacks
 */
export async function readArrow(path: string): Promise<Table> {
  registerCodecs();
  try {
    return await readBatches(path);
  } catch (error) {
    const failure = readFailure(path, error);
    if (failure instanceof DpError) throw failure;
    throw invalidFile(
      path,
      'it is no readable Arrow file or stream',
      'Check its format and that it is whole',
      error,
    );
  }
}

/** Writes an Arrow IPC file (or stream), uncompressed: every reader takes that. */
export async function writeArrow(table: Table, path: string, options: { stream: boolean }): Promise<void> {
  const writer = options.stream ? new RecordBatchStreamWriter() : new RecordBatchFileWriter();
  writer.write(table);
  writer.finish();
  await writeFile(path, writer);
}
