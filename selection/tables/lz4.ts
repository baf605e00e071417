const frameMagic = 0x184d2204;

interface Cursor {
  at: number;
}

/** Bytes decoded so far; matches reach back into them, also across blocks. */
class Output {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  append(source: Uint8Array): void {
    this.#reserve(source.length);
    this.bytes.set(source, this.length);
    this.length += source.length;
  }

  /** Repeats `count` bytes from `distance` back; the two ranges may overlap, which repeats a pattern. */
  repeat(distance: number, count: number): void {
    if (distance === 0 || distance > this.length) throw new RangeError(`LZ4 match reaches ${distance} back`);
    this.#reserve(count);
    for (let i = 0; i < count; i++, this.length++)
      this.bytes[this.length] = this.bytes[this.length - distance]!;
  }

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(2 * (this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

function extendedLength(block: Uint8Array, cursor: Cursor, nibble: number): number {
  let length = nibble;
  if (nibble < 15) return length;
  let byte = 255;
  while (byte === 255) {
    byte = block[cursor.at++] ?? 0;
    length += byte;
  }
  return length;
}

/** One block: runs of literals, each followed by a match but the last. */
function decodeBlock(block: Uint8Array, out: Output): void {
  const cursor = { at: 0 };
  while (cursor.at < block.length) {
    const token = block[cursor.at++]!;
    const literals = extendedLength(block, cursor, token >> 4);
    out.append(block.subarray(cursor.at, cursor.at + literals));
    cursor.at += literals;
    if (cursor.at >= block.length) return;
    const distance = block[cursor.at]! | (block[cursor.at + 1]! << 8);
    cursor.at += 2;
    out.repeat(distance, extendedLength(block, cursor, token & 15) + 4);
  }
}

/** Length of the frame header and whether a checksum follows each block. */
function readHeader(view: DataView): { start: number; blockChecksum: boolean } {
  if (view.getUint32(0, true) !== frameMagic) throw new RangeError('no LZ4 frame');
  const flags = view.getUint8(4);
  const contentSize = (flags & 8) === 0 ? 0 : 8;
  const dictionaryId = (flags & 1) === 0 ? 0 : 4;
  return { start: 7 + contentSize + dictionaryId, blockChecksum: (flags & 16) !== 0 };
}

/**
 * Decodes one LZ4 frame (LZ4 Frame Format 1.6.x), which is how pandas writes Feather files.
 *
 * Checksums are skipped, not verified: Arrow's own lengths and the checks of the text catch damage that matters here.
 *
 * @throws RangeError where the input is no LZ4 frame
 */
export function decodeLz4Frame(input: Uint8Array): Uint8Array {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const { start, blockChecksum } = readHeader(view);
  const out = new Output(4 * input.length);
  for (let at = start; ;) {
    const word = view.getUint32(at, true);
    if (word === 0) return out.bytes.slice(0, out.length);
    const size = word & 0x7fffffff;
    const block = input.subarray(at + 4, at + 4 + size);
    if (word >>> 31 === 1) out.append(block);
    else decodeBlock(block, out);
    at += 4 + size + (blockChecksum ? 4 : 0);
  }
}
