import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { createGunzip } from 'node:zlib';
import { DpError } from '../../accounting/check.ts';

const byteOrderMark = Uint8Array.of(0xef, 0xbb, 0xbf);

/** `INVALID_DATA` about one file; `reason` names a row or line, never its content. */
export function invalidFile(path: string, reason: string, advice: string, cause?: unknown): DpError {
  return new DpError('INVALID_DATA', `Cannot read ${basename(path)}: ${reason}. ${advice}.`, { cause });
}

/** Turns "no such file" and its kin into `MISSING_FILE`; anything else stays what it is. */
export function readFailure(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!['ENOENT', 'EISDIR', 'EACCES', 'ENOTDIR'].includes(code)) return error;
  return new DpError('MISSING_FILE', `Cannot read ${path}: ${code}. Check the path and its permissions.`, {
    cause: error,
  });
}

/** The first bytes of a file, fewer where it is shorter. */
export async function peek(path: string, count: number): Promise<Uint8Array> {
  try {
    const handle = await open(path, 'r');
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(count), 0, count, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** A file's bytes in pieces, unpacked where it starts as gzip does. */
async function* readPieces(path: string): AsyncGenerator<Buffer> {
  const start = await peek(path, 2);
  const raw = createReadStream(path, { highWaterMark: 2 ** 20 });
  const isGzip = start[0] === 0x1f && start[1] === 0x8b;
  if (!isGzip) {
    yield* raw;
    return;
  }
  const unpacked = createGunzip({ chunkSize: 2 ** 20 });
  raw.once('error', error => unpacked.destroy(error));
  try {
    yield* raw.pipe(unpacked);
  } catch (error) {
    throw invalidFile(path, 'its gzip data is damaged', 'Pack it again', error);
  }
}

/** The same bytes without a UTF-8 byte order mark at the start. */
async function* withoutMark(pieces: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  let start: Buffer | undefined = Buffer.alloc(0);
  for await (const piece of pieces) {
    if (start === undefined) {
      yield piece;
      continue;
    }
    start = Buffer.concat([start, piece]);
    if (start.length < 3) continue;
    yield start.compare(byteOrderMark, 0, 3, 0, 3) === 0 ? start.subarray(3) : start;
    start = undefined;
  }
  if (start !== undefined) yield start;
}

/** A text file's bytes in pieces, unpacked and without a byte order mark. */
export function readText(path: string): AsyncGenerator<Buffer> {
  return withoutMark(readPieces(path));
}
