import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { flushFolder, writeAtomically } from './durable.ts';

const keyBytes = 32;

/** The file of a run's folder that holds its secret key; readable by its owner alone. */
export function keyPath(folder: string): string {
  return join(folder, 'secret.key');
}

/** The key that a run left in its folder; undefined where there is none, or no whole one. */
export function readKey(folder: string): Uint8Array | undefined {
  const path = keyPath(folder);
  if (!existsSync(path)) return undefined;
  const bytes = new Uint8Array(readFileSync(path));
  return bytes.length === keyBytes ? bytes : undefined;
}

/** Keeps the key for a run that may be cut off; on the disk when it returns. */
export function writeKey(folder: string, key: Uint8Array): void {
  removeKey(folder);
  writeAtomically(keyPath(folder), key, { mode: 0o600 });
}

/** Takes the key out of the folder. */
export function removeKey(folder: string): void {
  const path = keyPath(folder);
  if (!existsSync(path)) return;
  rmSync(path);
  flushFolder(dirname(path));
}
