import type { FileHandle } from 'node:fs/promises';

/** Bytes asked for at once, below what one read call can give. */
const mostAtOnce = 2 ** 30;

/** A file ended before the bytes that it announced. */
export class CutShort extends Error {}

/** Where some bytes lie in a file. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** Memory of its own, so that views of 8-byte values can lie on it; not cleared. */
export function freshMemory(length: number): Uint8Array {
  const { buffer } = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, 0, length);
}

/** Memory that is used again at the next call, which saves the system from clearing and mapping it anew. */
export function reusedMemory(): (length: number) => Uint8Array {
  let memory = freshMemory(0);
  return length => {
    if (memory.length < length) memory = freshMemory(length + (length >> 2));
    return memory.subarray(0, length);
  };
}

async function fill(handle: FileHandle, bytes: Uint8Array, start: number): Promise<void> {
  const { length } = bytes;
  for (let done = 0; done < length;) {
    const count = Math.min(mostAtOnce, length - done);
    const { bytesRead } = await handle.read(bytes, done, count, start + done);
    if (bytesRead === 0) throw new CutShort(`${length - done} bytes are missing`);
    done += bytesRead;
  }
}

/**
 * Reads exactly `length` bytes.
 *
 * @throws CutShort where the file ends before
 */
export async function readExactly(handle: FileHandle, { start, length }: ByteRange): Promise<Uint8Array> {
  const bytes = freshMemory(length);
  await fill(handle, bytes, start);
  return bytes;
}

/** Gaps up to this many bytes are read along, which costs less than another call. */
const smallGap = 2 ** 15;

/** Joins ranges, ascending, that lie next to each other or nearly so. */
export function joinRanges(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: ByteRange[] = [];
  for (const { start, length } of ranges) {
    const last = joined.at(-1);
    const gap = last === undefined ? Infinity : start - (last.start + last.length);
    if (last === undefined || gap < 0 || gap > smallGap) joined.push({ start, length });
    else joined[joined.length - 1] = { start: last.start, length: start + length - last.start };
  }
  return joined;
}

function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

async function readRuns(
  handle: FileHandle,
  runs: readonly ByteRange[],
  allocate: (length: number) => Uint8Array,
): Promise<Uint8Array[]> {
  const memory = allocate(runs.reduce((sum, { length }) => sum + padded(length), 0));
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, length } of runs) {
    const piece = memory.subarray(at, at + length);
    await fill(handle, piece, start);
    pieces.push(piece);
    at += padded(length);
  }
  return pieces;
}

/**
 * The bytes of each range, ascending; each starts at a multiple of 8 in memory.
 *
 * @param allocate - `freshMemory`, or `reusedMemory()` where the bytes are done with before the next call
 */
export async function readRanges(
  handle: FileHandle,
  ranges: readonly ByteRange[],
  allocate: (length: number) => Uint8Array,
): Promise<Uint8Array[]> {
  const runs = joinRanges(ranges.filter(({ length }) => length > 0));
  const bytes = await readRuns(handle, runs, allocate);
  let at = 0;
  return ranges.map(({ start, length }) => {
    if (length === 0) return new Uint8Array(0);
    while (!covers(runs[at]!, start, length)) at += 1;
    const from = start - runs[at]!.start;
    const piece = bytes[at]!.subarray(from, from + length);
    return piece.byteOffset % 8 === 0 ? piece : piece.slice();
  });
}

function covers(run: ByteRange, start: number, length: number): boolean {
  return start >= run.start && start + length <= run.start + run.length;
}
