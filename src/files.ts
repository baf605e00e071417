import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DpError } from '../accounting/check.ts';

/** Refuses to overwrite, unless forced. */
export function checkAbsent(path: string, { verb, force }: { verb: string; force: boolean }): void {
  if (force || !existsSync(path)) return;
  throw new DpError('OUTPUT_EXISTS', `Cannot ${verb}: ${path} exists. Choose another name, or give --force.`);
}

function unwritable(verb: string, reason: string, advice: string): DpError {
  return new DpError('OUTPUT_FAILED', `Cannot ${verb}: ${reason}. ${advice}.`);
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // It is not there, or stands below something that is no folder.
    return undefined;
  }
}

/** The nearest folder above a path that is there, where a file can be made. */
function checkFolder(path: string, verb: string): void {
  let folder = dirname(resolve(path));
  while (!existsSync(folder)) folder = dirname(folder);
  if (statsOf(folder)?.isDirectory() !== true)
    throw unwritable(verb, `${folder} is no folder`, 'Choose another name');
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    throw unwritable(verb, `permission is denied to write into ${folder}`, 'Choose another folder');
  }
}

/**
 * Refuses, before any work, a name under which no file can be written: one that is taken, unless forced, a folder, a device, or one in
 * a folder that cannot be written to.
 */
export function checkTarget(path: string, { verb, force }: { verb: string; force: boolean }): void {
  if (path === '') throw unwritable(verb, 'the name of a file has 0 letters', 'Name a file');
  const stats = statsOf(path);
  if (stats?.isDirectory() === true) throw unwritable(verb, `${path} is a folder`, 'Name a file in it');
  if (stats !== undefined && !stats.isFile())
    throw unwritable(verb, `${path} is no regular file`, 'Choose another name');
  checkAbsent(path, { verb, force });
  checkFolder(path, verb);
}

/** A write that fails says for which file, which the system does not where the disk is full. */
function writePart(path: string, { text, temporary }: { text: string; temporary: string }): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, text);
  } catch (error) {
    throw error instanceof Error ? Object.assign(error, { path }) : error;
  }
}

/** Writes texts under temporary names and renames them once all are whole, so that none is ever seen half-written or without the others. */
export function writeTogether(files: readonly (readonly [path: string, text: string])[]): void {
  const written = files.map(([path, text]) => ({ path, text, temporary: `${path}.${process.pid}.part` }));
  try {
    for (const { path, text, temporary } of written) writePart(path, { text, temporary });
    for (const { path, temporary } of written) renameSync(temporary, path);
  } finally {
    for (const { temporary } of written) rmSync(temporary, { force: true });
  }
}

/** Writes one text like that. */
export function writeWhole(path: string, text: string): void {
  writeTogether([[path, text]]);
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
  // Signals are read between two turns, so that one alone may come before them.
  await new Promise<void>(resolve => setImmediate(resolve));
  await new Promise<void>(resolve => setImmediate(resolve));
  if (signal.aborted)
    throw new DpError('INTERRUPTED', 'Cannot go on: interrupted. Run the same command again.');
}
