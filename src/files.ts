import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DpError } from '../accounting/check.ts';

/** Refuses to overwrite, unless forced. */
export function checkAbsent(path: string, { verb, force }: { verb: string; force: boolean }): void {
  if (force || !existsSync(path)) return;
  throw new DpError('OUTPUT_EXISTS', `Cannot ${verb}: ${path} exists. Choose another name, or give --force.`);
}

/** Writes a text under a temporary name and renames it, so that no half-written file is ever seen. */
export function writeWhole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.part`;
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Parses a JSON file; `what` names it in errors. */
export function readJson(path: string, what: string): unknown {
  if (!existsSync(path)) {
    throw new DpError('MISSING_FILE', `Cannot read ${what}: there is no file ${path}. Check the name.`);
  }
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return parsed;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.replace(/["“].*["”]/s, 'its text') : 'it is broken';
    throw new DpError(
      'INVALID_DATA',
      `Cannot read ${what}: ${path} is not JSON (${reason}). Mend the file.`,
      { cause },
    );
  }
}

/** Lets timers and signals in, then stops where an interrupt was asked for. */
export async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => setImmediate(resolve));
  if (signal.aborted)
    throw new DpError('INTERRUPTED', 'Cannot go on: interrupted. Run the same command again.');
}
