import { existsSync, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { DpError } from '../accounting/check.ts';
import { bytesOf, sha256 } from './digest.ts';
import type { OptimizerState } from './optimizer.ts';
import type { ClipState } from './step-clip.ts';

/** What a run needs to go on; all of it is post-processing of noised sums. */
export interface Checkpoint {
  /** Finished steps. */
  readonly step: number;
  /** Trainable parameters, one after the other in the order of the model. */
  readonly parameters: Float32Array;
  readonly optimizer: OptimizerState;
  /** Where an adaptive clip stands; absent with a fixed one. */
  readonly clip?: ClipState | undefined;
}

interface CheckpointHeader {
  readonly format: 'privacy-unit/checkpoint';
  readonly version: 1 | 2;
  /** Of the run that it belongs to; absent in version 1. */
  readonly planHash?: string;
  readonly step: number;
  readonly updates: number;
  readonly clip?: ClipState | undefined;
  /** Length of every array, parameters first. */
  readonly lengths: readonly number[];
}

function unreadable(path: string, reason: string): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot read the checkpoint ${path}: ${reason}. Start anew in another folder, counting the steps of its ledger too.`,
  );
}

/**
 * A checkpoint as bytes: the length of its JSON header (uint32, little-endian), the header, then
 * float32 little-endian arrays.
 *
 * @example
 * ```ts
 * const checkpoint: Checkpoint = { step: 2, parameters: Float32Array.of(1, 2), optimizer: { updates: 2, moments: [] } };
 * decodeCheckpoint(encodeCheckpoint(checkpoint, 'abc'), 'memory').step; // 2
 * ```
 */
export function encodeCheckpoint(checkpoint: Checkpoint, planHash: string): Buffer {
  if (endianness() !== 'LE') {
    throw new DpError(
      'ENGINE_UNAVAILABLE',
      'Cannot write checkpoints: this machine is big-endian. Use another.',
    );
  }
  const arrays = [checkpoint.parameters, ...checkpoint.optimizer.moments];
  const header: CheckpointHeader = {
    format: 'privacy-unit/checkpoint',
    version: 2,
    planHash,
    step: checkpoint.step,
    updates: checkpoint.optimizer.updates,
    clip: checkpoint.clip,
    lengths: arrays.map(array => array.length),
  };
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, ...arrays.map(bytesOf)]);
}

function headerOf(bytes: Uint8Array, path: string): { header: CheckpointHeader; start: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = bytes.length < 4 ? Infinity : 4 + view.getUint32(0, true);
  if (start > bytes.length) throw unreadable(path, `its header is cut short (${bytes.length} bytes)`);
  try {
    return { header: JSON.parse(Buffer.from(bytes.subarray(4, start)).toString('utf8')), start };
  } catch {
    throw unreadable(path, 'its header is not JSON');
  }
}

/** Reads what `encodeCheckpoint` wrote; `CHECK_FAILED` where bytes are missing or too many. */
export function decodeCheckpoint(bytes: Uint8Array, path: string): Checkpoint {
  const { header, start } = headerOf(bytes, path);
  const values = header.lengths.reduce((sum, length) => sum + length, 0);
  if (start + 4 * values !== bytes.length) throw unreadable(path, `it has ${bytes.length} bytes`);
  let offset = start;
  const arrays = header.lengths.map(length => {
    const array = new Float32Array(length);
    bytesOf(array).set(bytes.subarray(offset, offset + 4 * length));
    offset += 4 * length;
    return array;
  });
  const [parameters = new Float32Array(0), ...moments] = arrays;
  const { step, updates, clip } = header;
  return { step, parameters, optimizer: { updates, moments }, clip };
}

/**
 * The checkpoint at `path`, or undefined where there is none.
 *
 * @param options - digests: those that the ledger recorded; planHash: of the run. Any other content is `CHECK_FAILED`
 */
export function readCheckpoint(
  path: string,
  options: { digests: ReadonlySet<string>; planHash: string },
): Checkpoint | undefined {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  if (options.digests.has(sha256(bytes))) return decodeCheckpoint(bytes, path);
  const { planHash } = headerOf(bytes, path).header;
  const isForeign = planHash !== undefined && planHash !== options.planHash;
  throw unreadable(
    path,
    isForeign
      ? `it is of a run of another plan (hash ${planHash.slice(0, 12)}, not ${options.planHash.slice(0, 12)})`
      : 'the ledger holds no line for it',
  );
}
