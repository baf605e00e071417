import { closeSync, existsSync, fstatSync, fsyncSync, openSync, truncateSync } from 'node:fs';
import { DpError } from '../accounting/check.ts';
import type { Plan } from '../accounting/plan.ts';
import type { CanaryCommitment } from './canaries/canary-file.ts';
import { sha256 } from './digest.ts';
import { onDisk, writeWhole } from './durable.ts';
import { wholeLines } from './ledger-lines.ts';
import type { UpdateSettings } from './settings.ts';
import type { ClipState } from './step-clip.ts';

/** First line of a ledger: what the run is bound to. */
export interface HeaderEntry {
  readonly kind: 'header';
  readonly format: 'privacy-unit/ledger';
  /** 1 and 2 in ledgers of earlier releases, whose steps can be counted but not repeated: their noise was laid out otherwise. */
  readonly version: 1 | 2 | 3;
  readonly planHash: string;
  /** The plan itself, for auditors; absent in ledgers of earlier releases. */
  readonly plan?: Plan | undefined;
  readonly tableDigest: string;
  /** Of the parameters that training starts from. */
  readonly modelDigest: string;
  /** Of the manifest beside a table that was selected; absent without one, and in ledgers of earlier releases. */
  readonly manifestDigest?: string | undefined;
  readonly codeVersion: string;
  /** To the run's secret key, which hides the sums and the digests. */
  readonly noiseKeyCommitment: string;
  /** To the key that decides who is drawn; it can be shown without the run's secret key. */
  readonly samplingKeyCommitment?: string | undefined;
  /** Numbers that are trained, each with noise of its own; absent before version 3. */
  readonly trainedValues?: number | undefined;
  /** What noised sums are turned into updates with; absent before version 3. */
  readonly settings?: UpdateSettings | undefined;
  /** Where the sampler decides the steps of an epoch together. */
  readonly stepsPerEpoch?: number | undefined;
  /** Where canaries were planted: how many, what will be guessed about them, and a commitment to their coins. */
  readonly canaries?: CanaryCommitment | undefined;
}

/** Upper bound on ε after a number of steps. */
export interface EpsilonSoFar {
  /** At least the steps counted so far: bounds are computed for a dozen numbers of steps only. */
  readonly steps: number;
  /** At the plan's δ; null where no upper bound is proved. */
  readonly epsilonUpper: number | null;
  /** There in that case alone: how bad the guarantee after `steps` steps is at least. */
  readonly epsilonLower?: number | undefined;
}

/** Written before the noise of a step is drawn; each such line counts as one step, used or not. */
export interface NoisedEntry {
  readonly kind: 'noised';
  readonly step: number;
  /** How often the run had departed from what was written before; absent, like digests and ε, in version 1. */
  readonly attempt?: number | undefined;
  /** Units drawn; never used as a denominator. */
  readonly drawSize: number;
  /** Of these, units left out because their gradient was not finite; absent where there are none. */
  readonly notFinite?: number | undefined;
  /** HMAC-SHA-256 of the units drawn under the sampling key. */
  readonly participationDigest?: string | undefined;
  /** Of the plan: with an adaptive clip that of sum and count together. */
  readonly noiseMultiplier: number;
  /** What this step clips to. */
  readonly clipNorm: number;
  /** With an adaptive clip, from the second step on: the noised share of units within the clip, released by the step before. */
  readonly previousFraction?: number | undefined;
  /** HMAC-SHA-256 of the clipped sum, before noise, under a key that stays secret. */
  readonly clippedSumDigest?: string | undefined;
  /**
   * The noise that the run saw itself add in the step before, at sixteen secret places, hidden by its key: see `openNoiseSamples`. It stands
   * in the first line that is written after that noise was added; where a run was cut off in between there is none.
   */
  readonly previousNoise?: string | undefined;
  readonly soFar?: EpsilonSoFar | undefined;
}

/** Written before the checkpoint of `step` finished steps gets its name. */
export interface CheckpointEntry {
  readonly kind: 'checkpoint';
  readonly step: number;
  readonly digest: string;
  /** Of the last of the finished steps: as in noised lines. */
  readonly previousNoise?: string | undefined;
  /** Where an adaptive clip stands. */
  readonly clip?: ClipState | undefined;
}

/**
 * A run went on from `step` finished steps: with the same key, so that steps noised already are repeated and
 * are the same releases, or with a fresh one, so that they are made anew and counted again.
 */
export interface ResumedEntry {
  readonly kind: 'resumed';
  readonly step: number;
  readonly stepsCounted: number;
  readonly noiseKeyCommitment: string;
  readonly samplingKeyCommitment?: string | undefined;
  /** With which it went on; absent before version 3. */
  readonly settings?: UpdateSettings | undefined;
}

/** Last line: the run is over. */
export interface FinishedEntry {
  readonly kind: 'finished';
  readonly stepsCounted: number;
  readonly modelDigest: string;
}

/**
 * Every line that a ledger can hold.
 *
 * The file is UTF-8, a JSON object a line, each line ended by `\n`; bytes after the last `\n` are a line that a crash cut short, and count for
 * nothing. The last two fields of every line are `previous`, the `hash` of the line before (64 zeros in the first), and `hash`, the SHA-256 of the
 * line's own text without `,"hash":"…"`. A header comes first and once; readers pass over fields that they do not know.
 *
 * Whoever has the run's `secret.key`, 32 bytes, can check the rest. HMAC is HMAC-SHA-256, numbers are written in decimal digits:
 * - `noiseKeyCommitment` is SHA-256("privacy-unit/commitment/v1\0" + key), `samplingKeyCommitment` that of the sampling key;
 * - the keys "sampling", "digest", "noise" and "sample" are HMAC(key, "privacy-unit/key/" + name + "/v2");
 * - `participationDigest` is HMAC(sampling key, point + positions of the units drawn, ascending int32), where
 *   point is "privacy-unit/digest/v2\0" + step + "\0" + attempt + "\0"; positions count users or records in the order of the table;
 * - `clippedSumDigest` is HMAC(digest key, point + the sum as float64); with an adaptive clip followed by the count within the clip less that
 *   beyond it, halved, and the clip, both float64. All numbers of several bytes are little-endian;
 * - the noise at place i of a sum comes out of the words 2i and 2i + 1 (uint32) of AES-256 in counter mode from block 0 under
 *   HMAC(noise key, "privacy-unit/stream/v2\0" + step + "\0" + attempt + "\0" + clippedSumDigest): see `addGaussianNoise`;
 * - `previousNoise`: see `openNoiseSamples`.
 *
 * The checkpoints of a run and its model follow from noised sums alone: the ε of the steps counted covers them, and they may be published.
 * The ledger is not covered: sizes of draws stand in it as they were.
 */
export type LedgerEntry = HeaderEntry | NoisedEntry | CheckpointEntry | ResumedEntry | FinishedEntry;

/** An append-only, hash-chained record of what was released. */
export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** The number of steps that the guarantee has to count: see `countNoised`. */
  readonly stepsCounted: number;
  /** Returns once the line is on the disk. */
  append(entry: LedgerEntry): void;
  close(): void;
}

/** What the first line has for the hash of the line before it. */
export const origin: string = '0'.repeat(64);
const sealOf = /^,"hash":"(?<hash>[0-9a-f]{64})"\}$/;
const sealLength = ',"hash":"'.length + 64 + '"}'.length;

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

/** A line of a ledger, with the hash of the line before it and its own. */
export interface SealedEntry {
  readonly entry: LedgerEntry;
  readonly previous: string;
  readonly hash: string;
}

/** Opens a line; undefined where its content is not what its hash is of. Fields are as they come, unchecked. */
export function unseal(line: string): SealedEntry | undefined {
  const start = line.length - sealLength;
  const hash = line.startsWith('{') ? sealOf.exec(line.slice(start))?.groups?.['hash'] : undefined;
  if (hash === undefined || start < 1) return undefined;
  const body = `${line.slice(0, start)}}`;
  if (sha256(body) !== hash) return undefined;
  try {
    const entry: LedgerEntry & { previous?: string } = JSON.parse(body);
    const { previous = '' } = entry;
    // It comes last, where taking it off is quick.
    delete entry.previous;
    return { entry, previous, hash };
  } catch {
    return undefined;
  }
}

/** A crash in the middle of an append leaves a line without its end, which is not counted. Its noise was never drawn. */
function readChain(path: string): { entries: LedgerEntry[]; head: string; bytes: number } {
  const entries: LedgerEntry[] = [];
  let head = origin;
  let bytes = 0;
  for (const line of wholeLines(path)) {
    const sealed = line === undefined ? undefined : unseal(line);
    const isInPlace = sealed?.previous === head && (bytes === 0) === (sealed.entry.kind === 'header');
    if (line === undefined || sealed === undefined || !isInPlace) throw broken(path, entries.length + 1);
    entries.push(sealed.entry);
    head = sealed.hash;
    bytes += Buffer.byteLength(line) + 1;
  }
  return { entries, head, bytes };
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
  const file = path === null ? null : openSync(path, 'a', 0o600);
  const count = new StepCount();
  entries.forEach(entry => count.add(entry));
  return {
    entries,
    get stepsCounted(): number {
      return count.steps;
    },
    append(entry): void {
      const { line, hash } = seal(entry, head);
      if (file !== null) bytes = appendLine(file, { line, expectedBytes: bytes });
      entries.push(entry);
      count.add(entry);
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
  onDisk('append to the ledger', () => {
    writeWhole(file, written);
    fsyncSync(file);
  });
  return size + written.length;
}

/** Counts steps as lines come: see `countNoised`. */
export class StepCount {
  #lines = 0;
  #stepsPerEpoch = 1;
  #epochs = 0;
  #last = '';

  add(entry: LedgerEntry): void {
    if (entry.kind === 'header') this.#stepsPerEpoch = entry.stepsPerEpoch ?? 1;
    if (entry.kind !== 'noised') return;
    this.#lines += 1;
    const epoch = `${entry.attempt ?? 0}:${Math.floor(entry.step / this.#stepsPerEpoch)}`;
    if (epoch !== this.#last) this.#epochs += 1;
    this.#last = epoch;
  }

  get steps(): number {
    return Math.max(this.#lines, this.#epochs === 0 ? 0 : (this.#epochs - 1) * this.#stepsPerEpoch + 1);
  }
}

/**
 * How many steps a ledger's entries make the guarantee count: its noised lines. Where the sampler decides the
 * steps of an epoch together, an epoch that was begun counts as a whole as soon as another follows it.
 */
export function countNoised(entries: readonly LedgerEntry[]): number {
  const count = new StepCount();
  entries.forEach(entry => count.add(entry));
  return count.steps;
}
