import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DpError } from '../accounting/check.ts';
import { onDisk, systemCode } from './durable.ts';

/** Who holds a folder. */
interface Holder {
  readonly host: string;
  readonly process: number;
  /** When the process started, where the system tells: process numbers are used again. */
  readonly started: string | null;
}

const lockName = 'run.lock';
let taken = 0;

/** Start time out of Linux's /proc; null elsewhere, and for a process that is not there. */
function startOf(process: number): string | null {
  try {
    const stat = readFileSync(`/proc/${process}/stat`, 'utf8');
    // The name, in brackets, may hold anything; the start time is the 20th field after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function isAlive(number: number): boolean {
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

/** What is known of the run that a lock names. */
type Standing = 'over' | 'running' | 'unknown';

/** Another machine can't be asked, and without its start time a process may be another one of that number. */
function standingOf(holder: Holder): Standing {
  if (holder.host !== hostname()) return 'unknown';
  if (!isAlive(holder.process)) return 'over';
  if (holder.started === null) return 'unknown';
  return holder.started === startOf(holder.process) ? 'running' : 'over';
}

function readHolder(path: string): Holder | undefined {
  try {
    const holder: Partial<Holder> = JSON.parse(readFileSync(path, 'utf8'));
    const { host, process, started = null } = holder;
    return typeof host === 'string' && typeof process === 'number' ? { host, process, started } : undefined;
  } catch {
    return undefined;
  }
}

function doubtIn({ host, process }: Holder): string {
  return host === hostname()
    ? 'there is a process of that number, which may be another one by now'
    : `only ${host} can tell whether process ${process} still runs`;
}

function inUse(folder: string, { holder, standing }: { holder: Holder; standing: Standing }): DpError {
  const { host, process } = holder;
  const start = `Cannot train into ${folder}: `;
  if (standing === 'running')
    return new DpError(
      'OUTPUT_EXISTS',
      `${start}a run of process ${process} on ${host} is writing to it. Wait for it, end it, or give another folder.`,
    );
  return new DpError(
    'OUTPUT_EXISTS',
    `${start}${lockName} there says that a run of process ${process} on ${host} is writing to it, and ${doubtIn(holder)}. ` +
      'Wait for it or give another folder; where you are sure that it is over, break its lock (--break-lock).',
  );
}

function tryLock(path: string, temporary: string): boolean {
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Who holds a folder, in words; undefined where nobody does, or its run is known to be over. */
export function lockHolder(folder: string): string | undefined {
  const holder = readHolder(join(folder, lockName));
  if (holder === undefined || standingOf(holder) === 'over') return undefined;
  return `process ${holder.process} on ${holder.host}`;
}

/** Takes a lock off its place, unless its run may go on and nobody said to break it. */
function removeLock(folder: string, { breaks }: { breaks: boolean }): void {
  const path = join(folder, lockName);
  const holder = readHolder(path);
  const standing = holder === undefined ? 'over' : standingOf(holder);
  const stays = standing === 'running' || (standing === 'unknown' && !breaks);
  if (holder !== undefined && stays) throw inUse(folder, { holder, standing });
  rmSync(path, { force: true });
}

/** Removes what runs left that were killed while they took the lock. */
function sweep(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${lockName}.`)) continue;
    const path = join(folder, name);
    const holder = readHolder(path);
    if (holder === undefined || standingOf(holder) === 'over') rmSync(path, { force: true });
  }
}

/**
 * Makes a folder this run's own until the returned function is called. The lock of a process that has died
 * is taken over. A ledger looks at its own length before every line besides, so that two runs that
 * take over a dead one's lock at the same instant can't both write.
 *
 * @param options - breaks: takes over as well what can't be found out to have died; never what is known to run
 * @throws `OUTPUT_EXISTS` where another run holds the folder
 */
export function lockFolder(folder: string, options: { breaks: boolean }): () => void {
  const path = join(folder, lockName);
  const holder: Holder = { host: hostname(), process: process.pid, started: startOf(process.pid) };
  const text = `${JSON.stringify(holder)}\n`;
  const temporary = join(folder, `${lockName}.${process.pid}-${(taken += 1)}`);
  try {
    onDisk(`lock ${folder}`, () => writeFileSync(temporary, text));
    while (!tryLock(path, temporary)) removeLock(folder, options);
  } finally {
    rmSync(temporary, { force: true });
  }
  sweep(folder);
  return () => {
    // Whoever broke this lock has one there now.
    if (existsSync(path) && readFileSync(path, 'utf8') === text) rmSync(path, { force: true });
  };
}
