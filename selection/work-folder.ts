import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFailure } from './tables/output.ts';

/**
 * Runs an action with a folder of its own, which goes away at its end and also when the process exits before.
 *
 * @param parent - an existing folder
 * @throws DpError `OUTPUT_FAILED` where no folder can be made there
 */
export async function withWorkFolder<T>(parent: string, action: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(parent, '.privacy-unit-')).catch((error: unknown) => {
    throw writeFailure(parent, error);
  });
  const removeAtExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', removeAtExit);
  try {
    return await action(folder);
  } finally {
    process.removeListener('exit', removeAtExit);
    await rm(folder, { recursive: true, force: true });
  }
}
