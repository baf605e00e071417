import { DpError } from '../../accounting/check.ts';

/** Bytes with a view on them for whole words, which need not be aligned. */
export interface Area {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export function areaOf(values: ArrayBufferView | undefined): Area {
  if (values === undefined) return areaOf(new Uint8Array(0));
  const { buffer, byteOffset, byteLength } = values;
  return {
    bytes: new Uint8Array(buffer, byteOffset, byteLength),
    view: new DataView(buffer, byteOffset, byteLength),
  };
}

/** Above so many bytes a call into the platform pays. */
const longRun = 512;

/** Copies `from` from `start` to `end` to place `at` of `to`: word by word, at 200 bytes twice as fast as a call. */
export function copyBytes(
  from: Area,
  range: { readonly start: number; readonly end: number },
  to: { readonly target: Area; readonly at: number },
): void {
  const { start, end } = range;
  const { target } = to;
  if (end - start > longRun) {
    target.bytes.set(from.bytes.subarray(start, end), to.at);
    return;
  }
  let [read, write] = [start, to.at];
  for (; read + 8 <= end; read += 8, write += 8) {
    target.view.setInt32(write, from.view.getInt32(read, true), true);
    target.view.setInt32(write + 4, from.view.getInt32(read + 4, true), true);
  }
  for (; read < end; read++, write++) target.bytes[write] = from.bytes[read]!;
}

/** Writes a whole number of 32 bits. */
export function writeWord({ view }: Area, at: number, value: number): void {
  view.setInt32(at, value, true);
}

export function readWord({ view }: Area, at: number): number {
  return view.getInt32(at, true);
}

/** Arrow keeps at most this many bytes of text or binary in one batch. */
const mostBytes = 2 ** 31 - 1;

/** Bytes that grow at their end; the memory is used again after `clear`. */
export class GrowingBytes implements Area {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  length = 0;

  /** Makes room for `more` bytes and says where they go; they count from now on. */
  extend(more: number): number {
    const at = this.length;
    const needed = at + more;
    if (needed > mostBytes) throw tooLarge(needed);
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.min(mostBytes, Math.max(needed, 2 * this.bytes.length, 1024)));
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    this.length = needed;
    return at;
  }

  clear(): void {
    this.length = 0;
  }
}

function tooLarge(bytes: number): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot copy rows: one batch would hold ${bytes} bytes of one column, above 2^31 - 1. Split long records.`,
  );
}
