import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const prefix = 'privacy-unit-tests-';

/**
 * Gives a whole run one temporary folder and takes it away at the end, whatever the tests left in it. Every project of a run asks for
 * it; a folder in the folder of another would make paths too long for sockets.
 */
export function setup(): () => void {
  if (basename(tmpdir()).startsWith(prefix)) return () => {};
  const folder = mkdtempSync(join(tmpdir(), prefix));
  process.env['TMPDIR'] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
