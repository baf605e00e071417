import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives a whole run one temporary folder and takes it away at the end, whatever the tests left in it. */
export function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-tests-'));
  process.env['TMPDIR'] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
