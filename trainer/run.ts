import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { DpError } from '../accounting/check.ts';
import { encodeCheckpoint, readCheckpoint, writeAtomically, type Checkpoint } from './checkpoint.ts';
import { sha256 } from './digest.ts';
import { openLedger, type HeaderEntry, type Ledger } from './ledger.ts';
import { commitmentOf, freshKey, keyOfSegment } from './randomness.ts';

/** What a run is bound to; a folder goes on only with the same plan, table and model. */
export interface RunIdentity {
  readonly planHash: string;
  readonly tableDigest: string;
  readonly modelDigest: string;
  /** Recorded at the start and not compared: the digest of the table binds more closely. */
  readonly manifestDigest?: string | undefined;
}

/** A run with its ledger and checkpoints, new or gone on with. */
export interface Run {
  readonly ledger: Ledger;
  /** Where to go on from; undefined at the very start. */
  readonly resumedFrom: Checkpoint | undefined;
  /** Secret key of this stretch: never the key of an earlier one. */
  readonly key: Uint8Array;
  /** Saves a checkpoint; without a folder this does nothing. */
  save(checkpoint: Checkpoint): void;
}

/** Where a run lives and what it does with what it finds there. */
export interface RunOptions {
  /** Null keeps everything in memory: such a run can't be gone on with. */
  readonly folder: string | null;
  /** Starts anew whatever the folder holds; the ledger found there is kept under another name. */
  readonly force: boolean;
  readonly identity: RunIdentity;
  /** 32 bytes for tests; a fresh key otherwise. */
  readonly key?: Uint8Array | undefined;
}

const ledgerName = 'ledger.jsonl';
const checkpointName = 'checkpoint.bin';

function codeVersion(): string {
  const manifest: { version: string } = createRequire(import.meta.url)('privacy-unit/package.json');
  return manifest.version;
}

function setAside(folder: string): void {
  let number = 1;
  while (existsSync(join(folder, `ledger-${number}.jsonl`))) number += 1;
  renameSync(join(folder, ledgerName), join(folder, `ledger-${number}.jsonl`));
  rmSync(join(folder, checkpointName), { force: true });
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
}

function openFolder(options: RunOptions): Ledger {
  const { folder, force } = options;
  if (folder === null) return openLedger(null);
  mkdirSync(folder, { recursive: true });
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
 * was cut off, with fresh randomness. Steps noised after that checkpoint stay in the ledger and
 * stay counted.
 *
 * @throws `OUTPUT_EXISTS` where the folder holds a finished run and `force` is off; `CHECK_FAILED`
 *   where the chain is broken, the checkpoint is not the ledger's, or plan, table or starting model differ
 */
export function openRun(options: RunOptions): Run {
  const { folder, identity } = options;
  const ledger = openFolder(options);
  const key = keyOfSegment(options.key ?? freshKey(), ledger.stepsCounted);
  const noiseKeyCommitment = commitmentOf(key);
  const header = ledger.entries[0];
  const path = folder === null ? null : join(folder, checkpointName);
  let resumedFrom: Checkpoint | undefined;
  if (header?.kind === 'header') {
    checkSameRun(header, options);
    resumedFrom = path === null ? undefined : readCheckpoint(path, checkpointDigests(ledger));
    const { stepsCounted } = ledger;
    ledger.append({ kind: 'resumed', step: resumedFrom?.step ?? 0, stepsCounted, noiseKeyCommitment });
  } else {
    const fixed = { kind: 'header', format: 'privacy-unit/ledger', version: 1 } as const;
    ledger.append({ ...fixed, ...identity, codeVersion: codeVersion(), noiseKeyCommitment });
  }
  return { ledger, resumedFrom, key, save: checkpoint => saveCheckpoint(ledger, { path, checkpoint }) };
}

function checkpointDigests(ledger: Ledger): Set<string> {
  return new Set(ledger.entries.flatMap(entry => (entry.kind === 'checkpoint' ? [entry.digest] : [])));
}

function saveCheckpoint(ledger: Ledger, options: { path: string | null; checkpoint: Checkpoint }): void {
  const { path, checkpoint } = options;
  if (path === null) return;
  const bytes = encodeCheckpoint(checkpoint);
  ledger.append({ kind: 'checkpoint', step: checkpoint.step, digest: sha256(bytes) });
  writeAtomically(path, bytes);
}
