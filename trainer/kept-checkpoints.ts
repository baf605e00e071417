import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { onDisk, writeAtomically } from './durable.ts';

/** Folder of a run that kept every checkpoint, inside the run's own. */
export const keptCheckpoints = 'checkpoints';

/** The checkpoint of so many finished steps in a folder of kept ones. */
export function keptCheckpointPath(folder: string, step: number): string {
  return join(folder, `step-${step}.bin`);
}

/** Keeps a checkpoint beside the newest one, which the next one takes the place of. */
export function keepCheckpoint(
  runFolder: string,
  { step, bytes }: { step: number; bytes: Uint8Array },
): void {
  const folder = join(runFolder, keptCheckpoints);
  if (!existsSync(folder)) onDisk(`make the folder ${folder}`, () => mkdirSync(folder));
  writeAtomically(keptCheckpointPath(folder, step), bytes);
}
