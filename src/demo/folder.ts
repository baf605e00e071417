import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DpError } from '../../accounting/check.ts';

/** Tells a folder that a demo made from any other folder. */
const marker = '.privacy-unit-demo';

/** A demo works beside its output folder and moves there at the end: nothing half-written is ever seen. */
export interface DemoFolder {
  /** Where to write while the demo runs. */
  readonly work: string;
  /** Puts the finished work in place of what was there. */
  finish(): void;
  /** Removes the unfinished work. */
  discard(): void;
}

/** Whether the folder is the output of an earlier demo, which the next one may replace. */
export function isEarlierDemo(folder: string): boolean {
  return existsSync(join(folder, marker));
}

function checkReplaceable(folder: string): void {
  if (!existsSync(folder) || isEarlierDemo(folder)) return;
  const entries = readdirSync(folder).length;
  if (entries === 0) return;
  throw new DpError(
    'OUTPUT_EXISTS',
    `Cannot write the demo: ${folder} holds ${entries} other files. Give another folder with --out.`,
  );
}

/** Opens the place for a demo's output; only an empty folder or an earlier demo may be replaced. */
export function openDemoFolder(out: string): DemoFolder {
  const target = resolve(out);
  checkReplaceable(target);
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(dirname(target), `.${basename(target)}-`));
  writeFileSync(
    join(work, marker),
    'This folder was written by `privacy-unit demo`; the next demo may replace it.\n',
  );
  return {
    work,
    finish() {
      checkReplaceable(target);
      rmSync(target, { recursive: true, force: true });
      renameSync(work, target);
    },
    discard() {
      rmSync(work, { recursive: true, force: true });
    },
  };
}
