import type { Command } from 'commander';
import { lockHolder } from '../trainer/lock.ts';

/** Whether a lock may be taken away, as commander hands it over. */
export interface BreakLockOption {
  readonly breakLock?: true;
}

/** Adds the option to take a folder from a run that can't be asked whether it is over. */
export function addBreakLockOption(command: Command): Command {
  return command.option(
    '--break-lock',
    'take the folder from a run on another machine, or of a process that may be another by now; be sure that it is over (default: refuse)',
  );
}

/** Says whose lock is about to be taken away; nothing where there is none to take. */
export function noteBrokenLock(
  folder: string,
  { breaks, note }: { breaks: boolean; note: (text: string) => void },
): void {
  const holder = breaks ? lockHolder(folder) : undefined;
  if (holder !== undefined)
    note(`--break-lock: takes the folder from ${holder}. Should that still run, it stops at its next step.`);
}
