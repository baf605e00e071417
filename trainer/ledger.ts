import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { DpError } from '../accounting/check.ts';
import { sha256 } from './digest.ts';

/** First line of a ledger: what the run is bound to. */
export interface HeaderEntry {
  readonly kind: 'header';
  readonly format: 'privacy-unit/ledger';
  readonly version: 1;
  readonly planHash: string;
  readonly tableDigest: string;
  /** Of the parameters that training starts from. */
  readonly modelDigest: string;
  /** Of the manifest beside a table that was selected; absent without one, and in ledgers of earlier releases. */
  readonly manifestDigest?: string | undefined;
  readonly codeVersion: string;
  readonly noiseKeyCommitment: string;
}

/** Written before the noise of a step is drawn; each such line counts as one step, used or not. */
export interface NoisedEntry {
  readonly kind: 'noised';
  readonly step: number;
  /** Units drawn; never used as a denominator. */
  readonly drawSize: number;
  readonly noiseMultiplier: number;
  readonly clipNorm: number;
}

/** Written before the checkpoint of `step` finished steps gets its name. */
export interface CheckpointEntry {
  readonly kind: 'checkpoint';
  readonly step: number;
  readonly digest: string;
}

/** A run went on from `step` finished steps with fresh randomness. */
export interface ResumedEntry {
  readonly kind: 'resumed';
  readonly step: number;
  readonly stepsCounted: number;
  readonly noiseKeyCommitment: string;
}

/** Last line: the run is over. */
export interface FinishedEntry {
  readonly kind: 'finished';
  readonly stepsCounted: number;
  readonly modelDigest: string;
}

/** Every line that a ledger can hold. */
export type LedgerEntry = HeaderEntry | NoisedEntry | CheckpointEntry | ResumedEntry | FinishedEntry;

/** An append-only, hash-chained record of what was released. */
export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** Noised lines: the number of steps that the guarantee has to count. */
  readonly stepsCounted: number;
  /** Returns once the line is on the disk. */
  append(entry: LedgerEntry): void;
  close(): void;
}

const origin = '0'.repeat(64);
const sealedLine = /^(?<body>\{.*),"hash":"(?<hash>[0-9a-f]{64})"\}$/;

function seal(entry: LedgerEntry, previous: string): { line: string; hash: string } {
  const body = JSON.stringify({ ...entry, previous }).slice(0, -1);
  const hash = sha256(`${body}}`);
  return { line: `${body},"hash":"${hash}"}`, hash };
}

function broken(path: string, line: number): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot trust the ledger ${path}: the hash chain breaks at line ${line}. ` +
      'Start anew in another folder; the steps recorded here have to be counted beside the new ones.',
  );
}

function readChain(path: string): { entries: LedgerEntry[]; head: string; bytes: number } {
  const text = readFileSync(path, 'utf8');
  // A crash in the middle of an append leaves a line without its end. Its noise was never drawn.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const entries: LedgerEntry[] = [];
  let head = origin;
  for (const [index, line] of whole.split('\n').slice(0, -1).entries()) {
    const { body, hash } = sealedLine.exec(line)?.groups ?? {};
    if (body === undefined || hash === undefined || sha256(`${body}}`) !== hash)
      throw broken(path, index + 1);
    const { previous, ...entry }: LedgerEntry & { previous: string } = JSON.parse(`${body}}`);
    if (previous !== head || (index === 0) !== (entry.kind === 'header')) throw broken(path, index + 1);
    entries.push(entry);
    head = hash;
  }
  return { entries, head, bytes: Buffer.byteLength(whole) };
}

/**
 * Reads a ledger and checks its whole chain.
 *
 * @returns its entries in order, without a last line that a crash cut short
 * @throws `CHECK_FAILED` where a line was changed, dropped from the middle, or moved
 */
export function readLedger(path: string): LedgerEntry[] {
  return readChain(path).entries;
}

/**
 * Starts a ledger, or goes on with the one at `path` after checking its chain. Without a path
 * the ledger lives in memory only.
 *
 * A chain can't tell that lines are missing at its end. The checkpoint names the line that was
 * written for it, so a ledger cut off before its newest checkpoint is found out on resume.
 *
 * The file is private: draw sizes and digests are not covered by the guarantee.
 *
 * @example
 * ```ts
 * const ledger = openLedger(null);
 * ledger.append({ kind: 'noised', step: 0, drawSize: 3, noiseMultiplier: 1, clipNorm: 1 });
 * ledger.stepsCounted; // 1
 * ```
 */
export function openLedger(path: string | null): Ledger {
  const found = path !== null && existsSync(path) ? readChain(path) : { entries: [], head: origin, bytes: 0 };
  const { entries } = found;
  let { head, bytes } = found;
  if (path !== null && existsSync(path)) truncateSync(path, bytes);
  const file = path === null ? null : openSync(path, 'a');
  return {
    entries,
    get stepsCounted(): number {
      return countNoised(entries);
    },
    append(entry): void {
      const { line, hash } = seal(entry, head);
      if (file !== null) bytes = appendLine(file, { line, expectedBytes: bytes });
      entries.push(entry);
      head = hash;
    },
    close(): void {
      if (file !== null) closeSync(file);
    },
  };
}

function appendLine(file: number, { line, expectedBytes }: { line: string; expectedBytes: number }): number {
  const size = fstatSync(file).size;
  if (size !== expectedBytes) {
    throw new DpError(
      'CHECK_FAILED',
      `Cannot append to the ledger: it has ${size} bytes where this run left ${expectedBytes}. ` +
        'Let only one run at a time write to a folder.',
    );
  }
  const written = Buffer.from(`${line}\n`);
  // A line written in part is an error here and a torn line to whoever reads the file afterwards.
  if (writeSync(file, written) !== written.length) {
    throw new DpError(
      'CHECK_FAILED',
      'Cannot append to the ledger: the disk took part of a line. Free some space.',
    );
  }
  fsyncSync(file);
  return size + written.length;
}

/** How many steps a ledger's entries make the guarantee count. */
export function countNoised(entries: readonly LedgerEntry[]): number {
  return entries.reduce((count, entry) => count + (entry.kind === 'noised' ? 1 : 0), 0);
}
