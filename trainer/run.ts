import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { DpError } from '../accounting/check.ts';
import type { Plan } from '../accounting/plan.ts';
import { canaryFileName, type CanaryCommitment } from './canaries/canary-file.ts';
import { encodeCheckpoint, readCheckpoint, type Checkpoint } from './checkpoint.ts';
import { sha256 } from './digest.ts';
import { onDisk, systemCode, writeAtomically } from './durable.ts';
import { keepCheckpoint, keptCheckpoints } from './kept-checkpoints.ts';
import { keyPath, readKey, removeKey, writeKey } from './key-file.ts';
import {
  openLedger,
  type CheckpointEntry,
  type FinishedEntry,
  type HeaderEntry,
  type Ledger,
} from './ledger.ts';
import { lockFolder } from './lock.ts';
import { commitmentOf, deriveKey, freshKey } from './randomness.ts';
import type { UpdateSettings } from './settings.ts';
import { historyOf, type History } from './step-book.ts';

/** What a run is bound to; a folder goes on only with the same plan, table and model. */
export interface RunIdentity {
  readonly planHash: string;
  /** What the hash is of; recorded for auditors. */
  readonly plan?: Plan | undefined;
  readonly tableDigest: string;
  readonly modelDigest: string;
  /** Recorded at the start and not compared: the digest of the table binds more closely. */
  readonly manifestDigest?: string | undefined;
  readonly canaries?: CanaryCommitment | undefined;
  /** Recorded and not compared: the digest of the starting model decides it. */
  readonly trainedValues?: number | undefined;
  /** Recorded for every stretch and not compared: a run may go on with others. */
  readonly settings?: UpdateSettings | undefined;
}

/** A run with its ledger and checkpoints, new or gone on with. */
export interface Run {
  readonly ledger: Ledger;
  /** Where to go on from; undefined at the very start. */
  readonly resumedFrom: Checkpoint | undefined;
  /** Secret key: that of the stretch before where the folder still had it, a fresh one otherwise. */
  readonly key: Uint8Array;
  /** Steps that can be repeated as the releases that they were. */
  readonly history: History;
  /** Saves a checkpoint; without a folder this does nothing. */
  save(checkpoint: Checkpoint, facts?: Pick<CheckpointEntry, 'previousNoise'>): void;
  /** Takes the key out of the folder, unless it is to stay, and writes the last line. */
  finish(ending: Omit<FinishedEntry, 'kind' | 'stepsCounted'>): void;
  /** Lets go of the folder. */
  close(): void;
}

/** Where a run lives and what it does with what it finds there. */
export interface RunOptions {
  /** Null keeps everything in memory: such a run can't be gone on with. */
  readonly folder: string | null;
  /** Starts anew whatever the folder holds; the ledger found there is kept under another name. */
  readonly force: boolean;
  readonly identity: RunIdentity;
  /** Where the sampler decides the steps of an epoch together. */
  readonly stepsPerEpoch?: number | undefined;
  /** 32 bytes for tests; otherwise the key found in the folder or a fresh one. */
  readonly key?: Uint8Array | undefined;
  /** Leaves the secret key in the folder when the run is over. */
  readonly keepKey?: boolean | undefined;
  /** Keeps every checkpoint, not the newest alone. */
  readonly keepCheckpoints?: boolean | undefined;
  /** Takes the lock of a run that can't be asked whether it is over. */
  readonly breakLock?: boolean | undefined;
  /** Called before the first line of a new ledger is written, for what has to be in the folder by then. */
  readonly beforeHeader?: ((folder: string) => void) | undefined;
}

/** The ledger in a run's folder. */
export const ledgerName = 'ledger.jsonl' as const;
/** The newest checkpoint in a run's folder. */
export const checkpointName = 'checkpoint.bin' as const;

function codeVersion(): string {
  const manifest: { version: string } = createRequire(import.meta.url)('privacy-unit/package.json');
  return manifest.version;
}

function makeFolder(folder: string): void {
  try {
    onDisk(`make the folder ${folder}`, () => mkdirSync(folder, { recursive: true }));
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EEXIST' && code !== 'ENOTDIR') throw error;
    throw new DpError(
      'OUTPUT_FAILED',
      `Cannot train into ${folder}: it, or what should hold it, is a file. Give a folder.`,
      { cause: error },
    );
  }
}

function setAside(folder: string): void {
  let number = 1;
  const isTaken = (): boolean =>
    [`ledger-${number}.jsonl`, `canaries-${number}.jsonl`, `${keptCheckpoints}-${number}`].some(name =>
      existsSync(join(folder, name)),
    );
  while (isTaken()) number += 1;
  const canaries = join(folder, canaryFileName);
  if (existsSync(canaries)) renameSync(canaries, join(folder, `canaries-${number}.jsonl`));
  const kept = join(folder, keptCheckpoints);
  if (existsSync(kept)) renameSync(kept, join(folder, `${keptCheckpoints}-${number}`));
  rmSync(join(folder, checkpointName), { force: true });
  removeKey(folder);
  // Last: as long as it is there, a run that is killed here is still the old one.
  renameSync(join(folder, ledgerName), join(folder, `ledger-${number}.jsonl`));
}

function checkSameRun(header: HeaderEntry, options: RunOptions): void {
  const { identity, folder } = options;
  const names = { planHash: 'plan', tableDigest: 'table', modelDigest: 'starting model' } as const;
  for (const key of ['planHash', 'tableDigest', 'modelDigest'] as const) {
    if (header[key] === identity[key]) continue;
    throw new DpError(
      'CHECK_FAILED',
      `Cannot go on with the run in ${folder}: its ${names[key]} has digest ${header[key].slice(0, 12)}, ` +
        `this one ${identity[key].slice(0, 12)}. Give the same ${names[key]}, or another folder.`,
    );
  }
  if (header.canaries?.commitment === identity.canaries?.commitment) return;
  throw new DpError(
    'CHECK_FAILED',
    `Cannot go on with the run in ${folder}: it is bound to ${header.canaries?.count ?? 'no'} canaries, ` +
      `this one to ${identity.canaries?.count ?? 'no'} others. Give the same ones, or another folder.`,
  );
}

function openFolderLedger(folder: string, force: boolean): Ledger {
  const path = join(folder, ledgerName);
  if (force && existsSync(path)) setAside(folder);
  const ledger = openLedger(path);
  if (ledger.entries.at(-1)?.kind !== 'finished') return ledger;
  ledger.close();
  throw new DpError(
    'OUTPUT_EXISTS',
    `Cannot train into ${folder}: it holds a finished run of ${ledger.stepsCounted} noised steps. ` +
      'Give another folder, or force a new run (both runs then count towards what users have spent).',
  );
}

/**
 * Opens a run: a new ledger with its header, or the ledger and newest checkpoint of a run that
 * was cut off. Such a run goes on with the key that it left in the folder, so that steps noised after the
 * checkpoint can be repeated as the same releases. Where the key is gone it goes on with a fresh one; those
 * steps stay counted and are made anew.
 *
 * @throws `OUTPUT_EXISTS` where the folder holds a finished run and `force` is off, or another run is writing
 *   to it; `CHECK_FAILED` where the chain is broken, the checkpoint is not the ledger's, or plan, table or
 *   starting model differ; `OUTPUT_FAILED` where the disk is full
 */
export function openRun(options: RunOptions): Run {
  const { folder, force } = options;
  if (folder === null) return openIn(openLedger(null), { ...options, unlock: () => undefined });
  makeFolder(folder);
  const unlock = lockFolder(folder, { breaks: options.breakLock === true });
  let ledger: Ledger | undefined;
  try {
    ledger = openFolderLedger(folder, force);
    return openIn(ledger, { ...options, unlock });
  } catch (error) {
    ledger?.close();
    unlock();
    throw error;
  }
}

function openIn(ledger: Ledger, options: RunOptions & { unlock: () => void }): Run {
  const { folder } = options;
  const header = ledger.entries[0];
  if (header?.kind === 'header') checkSameRun(header, options);
  const resumedFrom = header === undefined ? undefined : findCheckpoint(ledger, options);
  const key = chooseKey(ledger, options);
  const step = resumedFrom?.step ?? 0;
  const history = historyOf(ledger.entries, { step, commitment: commitmentOf(key) });
  appendOpening(ledger, { ...options, key, step });
  return {
    ledger,
    resumedFrom,
    key,
    history,
    save: (checkpoint, facts) => saveCheckpoint(ledger, { ...options, checkpoint, facts }),
    finish(ending): void {
      // The key goes first: a crash in between leaves a run that has nothing to repeat.
      if (folder !== null && options.keepKey !== true) removeKey(folder);
      ledger.append({ kind: 'finished', stepsCounted: ledger.stepsCounted, ...ending });
    },
    close(): void {
      ledger.close();
      options.unlock();
    },
  };
}

/** The key that the newest lines were written under, if it is still known; otherwise another, on the disk before it is used. */
function chooseKey(ledger: Ledger, { folder, key }: RunOptions): Uint8Array {
  const kept = key ?? (folder === null ? undefined : readKey(folder));
  const isKnown = kept !== undefined && commitmentOf(kept) === newestCommitment(ledger);
  const chosen = isKnown ? kept : (key ?? freshKey());
  if (folder !== null && !(isKnown && existsSync(keyPath(folder)))) writeKey(folder, chosen);
  return chosen;
}

function newestCommitment({ entries }: Ledger): string | undefined {
  const newest = entries.findLast(entry => entry.kind === 'header' || entry.kind === 'resumed');
  return newest?.noiseKeyCommitment;
}

function appendOpening(ledger: Ledger, options: RunOptions & { key: Uint8Array; step: number }): void {
  const { key, step, identity, stepsPerEpoch, folder, beforeHeader } = options;
  const commitments = {
    noiseKeyCommitment: commitmentOf(key),
    samplingKeyCommitment: commitmentOf(deriveKey(key, 'sampling')),
  };
  if (ledger.entries.length > 0) {
    const { settings } = identity;
    ledger.append({ kind: 'resumed', step, stepsCounted: ledger.stepsCounted, ...commitments, settings });
    return;
  }
  if (folder !== null) beforeHeader?.(folder);
  const fixed = { kind: 'header', format: 'privacy-unit/ledger', version: 3 } as const;
  const epochs = stepsPerEpoch === undefined ? {} : { stepsPerEpoch };
  ledger.append({ ...fixed, ...identity, codeVersion: codeVersion(), ...commitments, ...epochs });
}

function findCheckpoint(ledger: Ledger, { folder, identity }: RunOptions): Checkpoint | undefined {
  if (folder === null) return undefined;
  const recorded = ledger.entries.flatMap(entry => (entry.kind === 'checkpoint' ? [entry.digest] : []));
  const { planHash } = identity;
  return readCheckpoint(join(folder, checkpointName), { digests: new Set(recorded), planHash });
}

function saveCheckpoint(
  ledger: Ledger,
  options: RunOptions & {
    checkpoint: Checkpoint;
    facts: Pick<CheckpointEntry, 'previousNoise'> | undefined;
  },
): void {
  const { folder, checkpoint, identity, facts, keepCheckpoints } = options;
  if (folder === null) return;
  const bytes = encodeCheckpoint(checkpoint, identity.planHash);
  const { step, clip } = checkpoint;
  ledger.append({ kind: 'checkpoint', step, digest: sha256(bytes), ...facts, clip });
  if (keepCheckpoints === true) keepCheckpoint(folder, { step, bytes });
  writeAtomically(join(folder, checkpointName), bytes);
}
