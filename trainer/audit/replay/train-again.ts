import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DpError } from '../../../accounting/check.ts';
import type { Plan } from '../../../accounting/plan.ts';
import { readLedger, type LedgerEntry } from '../../ledger.ts';
import { train } from '../../train.ts';
import type { ReplayInputs } from './replay-inputs.ts';

/** Which run is repeated, and how far. */
export interface Repeated {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly inputs: ReplayInputs;
  /** Finished steps to stop at; as many as the inputs say where left out, or all. */
  readonly until?: number | undefined;
  /** Puts into the folder what the run begins with; left out, it begins at the start. */
  readonly prepare?: ((folder: string) => void) | undefined;
}

/** Trains in a folder of its own, which is gone afterwards, and gives the ledger that this made. */
export async function trainAgain(options: Repeated): Promise<LedgerEntry[]> {
  const home = mkdtempSync(join(tmpdir(), 'replay-'));
  const folder = join(home, 'run');
  try {
    mkdirSync(folder);
    options.prepare?.(folder);
    await trainSome(folder, options);
    return readLedger(join(folder, 'ledger.jsonl'));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function trainSome(folder: string, { plan, key, inputs, until }: Repeated): Promise<void> {
  const { steps = plan.steps, signal, users, model, engine, settings = {}, canaries } = inputs;
  const enough = new AbortController();
  const onProgress = ({ step }: { step: number }): void => {
    if (step >= (until ?? steps) || signal?.aborted === true) enough.abort();
  };
  const run = { plan, users, canaries, model, engine, settings, heldOut: [], folder, randomness: { key } };
  try {
    await train({ ...run, signal: enough.signal, onProgress });
  } catch (error) {
    if (!(error instanceof DpError) || error.code !== 'INTERRUPTED') throw error;
  }
  if (signal?.aborted !== true) return;
  throw new DpError(
    'INTERRUPTED',
    'Cannot finish the audit: interrupted while the run was repeated. Start it again; nothing of the repetition was kept.',
  );
}
