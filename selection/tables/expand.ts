import { readdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { DpError } from '../../accounting/check.ts';
import { compareUtf8 } from '../key.ts';
import { knownFormat } from './formats.ts';
import { readFailure } from './source.ts';

function noInput(reason: string, advice: string): DpError {
  return new DpError('MISSING_FILE', `Cannot find input: ${reason}. ${advice}.`);
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

/** The tables that lie directly in a folder; hidden files and files of other extensions are passed over. */
async function tablesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const tables = entries.filter(
    entry => !entry.isDirectory() && !/^[._]/.test(entry.name) && knownFormat(entry.name) !== undefined,
  );
  if (tables.length > 0) return tables.map(({ name }) => join(folder, name));
  throw noInput(
    `${folder} holds no file with the extension of a table`,
    'Name a folder that holds tables directly, or a pattern',
  );
}

async function matching(pattern: string): Promise<string[]> {
  const found = await glob(pattern, {
    onlyFiles: true,
    expandDirectories: false,
    absolute: isAbsolute(pattern),
  });
  if (found.length > 0) return found;
  throw noInput(`the pattern ${pattern} matches 0 files`, 'Check it, and quote it against the shell');
}

async function expand(input: string): Promise<string[]> {
  // A file that exists is meant literally, whatever characters its name has.
  const kind = await kindOf(input);
  if (kind === 'file') return [input];
  if (kind === 'folder') return tablesIn(input);
  return isDynamicPattern(input) ? matching(input) : [input];
}

/**
 * The files that names, folders and glob patterns stand for, sorted by code point and each of them once, so that rows
 * are counted the same way on every machine.
 *
 * @param inputs - a file (also one whose name looks like a pattern), a folder (all tables directly in it, see
 *   `formatOf`; names that start with `.` or `_` are passed over) or a pattern with `*`, `**`, `?`, `[…]`, `{…}`
 * @throws DpError `MISSING_FILE` where a file is missing, a folder holds no table or a pattern matches nothing
 * @example
 * ```ts
 * import { mkdtempSync, writeFileSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * for (const name of ['b.csv', 'a.csv', 'notes.txt']) writeFileSync(`${folder}/${name}`, '');
 * const paths = await expandInputs([`${folder}/*.csv`, folder]);
 * paths.map(path => path.slice(folder.length + 1)); // ['a.csv', 'b.csv']
 * ```
 */
export async function expandInputs(inputs: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const input of inputs) paths.push(...(await expand(input)));
  paths.sort(compareUtf8);
  const seen = new Map<string, string>();
  for (const path of paths) {
    const real = await realpath(path).catch((error: unknown) => {
      throw readFailure(path, error);
    });
    if (!seen.has(real)) seen.set(real, path);
  }
  return [...seen.values()];
}
