import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DpError } from '../../accounting/check.ts';

const outputFailures: ReadonlySet<string> = new Set([
  'EACCES',
  'EDQUOT',
  'EFBIG',
  'EIO',
  'EISDIR',
  'ENOENT',
  'ENOSPC',
  'ENOTDIR',
  'EPIPE',
  'EROFS',
]);

/** Files that an exit in the middle of writing must not leave behind. */
const unfinished = new Set<string>();

function removeUnfinished(): void {
  for (const path of unfinished) rmSync(path, { force: true });
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Refuses a path that is taken, unless `force`. */
export async function checkFree(path: string, options: { force: boolean }): Promise<void> {
  if (options.force || !(await exists(path))) return;
  throw new DpError(
    'OUTPUT_EXISTS',
    `Cannot write ${path}: it exists. Choose another name, or force the overwriting.`,
  );
}

/** Turns "disk full", "broken pipe" and their kin into `OUTPUT_FAILED`; anything else stays what it is. */
export function writeFailure(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!outputFailures.has(code)) return error;
  return new DpError(
    'OUTPUT_FAILED',
    `Cannot write ${path}: ${code}. Check that its folder exists, may be written to and has room.`,
    { cause: error },
  );
}

/**
 * Writes a file under a temporary name in the same folder and renames it at the end, so that nobody ever sees half of
 * it; the temporary file goes away when writing fails or the process exits.
 *
 * @throws DpError `OUTPUT_EXISTS` without `force` where the path is taken; `OUTPUT_FAILED` where the folder is no good or full
 */
export async function writeSafely(
  path: string,
  options: { force: boolean },
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  await checkFree(path, options);
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.partial`);
  if (unfinished.size === 0) process.once('exit', removeUnfinished);
  unfinished.add(temporary);
  try {
    await write(temporary);
    await checkFree(path, options);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw writeFailure(path, error);
  } finally {
    unfinished.delete(temporary);
    if (unfinished.size === 0) process.removeListener('exit', removeUnfinished);
  }
}
