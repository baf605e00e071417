import { createWriteStream, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DpError } from '../../accounting/check.ts';
import { sniffFormat, type TableFormat } from './formats.ts';
import { writeFailure } from './output.ts';

/** Standard input, kept in a file so that it can be read twice. */
export interface SpooledInput {
  readonly path: string;
  readonly format: TableFormat;
  /** Removes the file. It also goes when the process exits. */
  cleanup(): Promise<void>;
}

async function formatOfSpooled(path: string): Promise<TableFormat> {
  const format = await sniffFormat(path);
  if (format !== undefined) return format;
  throw new DpError(
    'INVALID_DATA',
    'Cannot read standard input: it is empty or packed by gzip, so its format cannot be told. Name the format.',
  );
}

/**
 * Copies a stream, such as standard input, into a temporary file, because a table is read more than once.
 *
 * @param options - `folder`: where the file goes; `format`: default as the first bytes tell (Arrow, Parquet, JSON
 *   lines, else CSV)
 * @throws DpError `OUTPUT_FAILED` where the folder is no good or full; `INVALID_DATA` where the format cannot be told
 * @example
 * ```ts
 * import { tmpdir } from 'node:os';
 * const spooled = await spoolInput(['{"user":"ada"}\n'], { folder: tmpdir() });
 * await spooled.cleanup();
 * spooled.format; // 'jsonl'
 * ```
 */
export async function spoolInput(
  input: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  options: { folder: string; format?: TableFormat | undefined },
): Promise<SpooledInput> {
  const folder = await mkdtemp(join(options.folder, 'privacy-unit-input-')).catch((error: unknown) => {
    throw writeFailure(options.folder, error);
  });
  const removeAtExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeAtExit);
  const cleanup = async (): Promise<void> => {
    process.removeListener('exit', removeAtExit);
    await rm(folder, { recursive: true, force: true });
  };
  const path = join(folder, 'stdin');
  try {
    await pipeline(
      Readable.from(input, { objectMode: false }),
      createWriteStream(path, { flags: 'wx', mode: 0o600 }),
    );
    return { path, format: options.format ?? (await formatOfSpooled(path)), cleanup };
  } catch (error) {
    await cleanup();
    throw writeFailure(path, error);
  }
}
