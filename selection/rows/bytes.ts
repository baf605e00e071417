import { mostBytes, tooLarge } from '../tables/gather.ts';

/**
 * Bytes with a view on them for whole words, which need not be aligned; they may grow at their end. One class for all that is read
 * and written here: code that meets objects of many shapes looks each property up by name.
 */
export class ByteArea {
  bytes: Uint8Array;
  view: DataView;
  /** How many bytes are used. */
  length = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Makes room for `more` bytes and says where they go; they count as used from now on. */
  extend(more: number): number {
    const at = this.length;
    const needed = at + more;
    if (needed > this.bytes.length) this.#grow(needed);
    this.length = needed;
    return at;
  }

  /** The bytes used. */
  get used(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  #grow(needed: number): void {
    if (needed > mostBytes) throw tooLarge(needed);
    const grown = new Uint8Array(Math.min(mostBytes, Math.max(needed, 2 * this.bytes.length, 1024)));
    grown.set(this.used);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}

/** The bytes of a buffer as they are. */
export function areaOf(values: ArrayBufferView | undefined): ByteArea {
  if (values === undefined) return new ByteArea();
  return new ByteArea(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

/** Above so many bytes a call into the platform pays. */
const longRun = 512;

/** Copies `from` from `start` to `end` to place `at` of `to`: word by word, at 200 bytes twice as fast as a call. */
export function copyBytes(
  from: ByteArea,
  range: { readonly start: number; readonly end: number },
  to: { readonly target: ByteArea; readonly at: number },
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
export function writeWord({ view }: ByteArea, at: number, value: number): void {
  view.setInt32(at, value, true);
}

export function readWord({ view }: ByteArea, at: number): number {
  return view.getInt32(at, true);
}
