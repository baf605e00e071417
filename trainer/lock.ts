import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DpError } from '../accounting/check.ts';
import { systemCode } from './durable.ts';

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

/** A holder on another machine can't be asked and is taken for alive. */
function mayBeRunning(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  return isAlive(holder.process) && (holder.started === null || holder.started === startOf(holder.process));
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

function inUse(folder: string, { host, process }: Holder): DpError {
  return new DpError(
    'OUTPUT_EXISTS',
    `Cannot train into ${folder}: a run of process ${process} on ${host} is writing to it. ` +
      `Wait for it or give another folder; if it is no longer running, delete ${lockName} there.`,
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

/**
 * Makes a folder this run's own until the returned function is called. The lock of a process that has died
 * is taken over. A ledger looks at its own length before every line besides, so that two runs that
 * take over a dead one's lock at the same instant can't both write.
 *
 * @throws `OUTPUT_EXISTS` where another run holds the folder
 */
export function lockFolder(folder: string): () => void {
  const path = join(folder, lockName);
  const holder: Holder = { host: hostname(), process: process.pid, started: startOf(process.pid) };
  const temporary = join(folder, `${lockName}.${process.pid}-${(taken += 1)}`);
  writeFileSync(temporary, `${JSON.stringify(holder)}\n`);
  try {
    while (!tryLock(path, temporary)) {
      const other = readHolder(path);
      if (other !== undefined && mayBeRunning(other)) throw inUse(folder, other);
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(temporary, { force: true });
  }
  return () => {
    if (existsSync(path)) rmSync(path, { force: true });
  };
}
