import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DpError } from '../accounting/check.ts';

const fullDisk = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** What the operating system calls a failure, such as `ENOSPC`; undefined for other errors. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Runs a write; a disk that is full becomes `OUTPUT_FAILED`. */
export function onDisk(verb: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined || !fullDisk.has(code)) throw error;
    throw new DpError(
      'OUTPUT_FAILED',
      `Cannot ${verb}: the disk is full or a file may not grow (${code}). ` +
        'Free some space and start again with the same folder: the run goes on from its newest checkpoint.',
      { cause: error },
    );
  }
}

/** Writes all bytes to an open file. */
export function writeWhole(file: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}

function writeFlushed(path: string, { bytes, mode }: { bytes: Uint8Array; mode: number }): void {
  const file = openSync(path, 'w', mode);
  try {
    writeWhole(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the names in a folder outlive a power failure. */
export function flushFolder(folder: string): void {
  const file = openSync(folder, 'r');
  fsyncSync(file);
  closeSync(file);
}

/**
 * Writes bytes under a temporary name, flushes, then renames: the file is whole or absent at any instant.
 *
 * @param options - mode: permissions of a new file
 * @throws `OUTPUT_FAILED` where the disk is full; what was there stays
 */
export function writeAtomically(path: string, bytes: Uint8Array, options: { mode?: number } = {}): void {
  const temporary = `${path}.partial`;
  try {
    onDisk(`write ${path}`, () => writeFlushed(temporary, { bytes, mode: options.mode ?? 0o666 }));
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  flushFolder(dirname(path));
}
