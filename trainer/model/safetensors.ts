import { open, type FileHandle } from 'node:fs/promises';
import { DpError } from '../../accounting/check.ts';
import { fromBrainFloats, fromHalves, toBrainFloats, toHalves } from './half.ts';
import { parseSafetensorsHeader, unreadable, type SafetensorsHeader } from './safetensors-header.ts';

export { brainFloatToNumber, halfToNumber } from './half.ts';

/** A named array of a safetensors file; values are widened to float32 on reading. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A safetensors file that is open: its header was read and checked, its tensors are read on demand. */
export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /**
   * A tensor's values as float32; F64 is rounded.
   *
   * @throws DpError `INVALID_DATA` where there is none of that name, or of another type
   */
  read(name: string): Promise<Float32Array>;
  /** Whether a tensor holds these very values; reads it piece by piece. */
  equals(name: string, values: Float32Array): Promise<boolean>;
  close(): Promise<void>;
}

interface FloatType {
  readonly bytes: number;
  /** Values of a piece of whole values whose bytes begin at a multiple of 8 in memory. */
  decode(piece: Piece): Float32Array;
}

type Piece = Uint8Array<ArrayBuffer>;

/** The floating-point types of safetensors. Their bytes are little-endian, and so are this program's machines. */
const floatTypes: Readonly<Record<string, FloatType>> = {
  F64: { bytes: 8, decode: piece => Float32Array.from(new Float64Array(piece.buffer, 0, piece.length / 8)) },
  F32: { bytes: 4, decode: piece => new Float32Array(piece.buffer, 0, piece.length / 4) },
  F16: { bytes: 2, decode: piece => fromHalves(new Uint16Array(piece.buffer, 0, piece.length / 2)) },
  BF16: { bytes: 2, decode: piece => fromBrainFloats(new Uint16Array(piece.buffer, 0, piece.length / 2)) },
};

/** Names of the types that can be read. */
export const readableTypes: readonly string[] = Object.keys(floatTypes);

/** A multiple of 8, so that no value is cut in two. */
const pieceBytes = 1 << 20;

/** The format's own limit. */
const longestHeader = 100_000_000;

/**
 * Opens a safetensors file and checks its header.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where header, offsets and file do not fit together
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openForReading(path);
  try {
    const { size } = await file.stat();
    const { text, start } = await readHeader(file, { path, size });
    return tensorsOf(file, {
      path,
      start,
      ...parseSafetensorsHeader(text, { path, dataLength: size - start }),
    });
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Reads the floating-point tensors of a safetensors file (F64, F32, F16, BF16); others, such as the
 * boolean attention masks of old GPT-2 checkpoints, are passed over.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where header, offsets and file do not fit together
 */
export async function readSafetensors(path: string): Promise<Map<string, StoredTensor>> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const { name, shape, dtype } of file.entries.values()) {
      if (readableTypes.includes(dtype)) tensors.set(name, { shape, data: await file.read(name) });
    }
    return tensors;
  } finally {
    await file.close();
  }
}

function tensorsOf(
  file: FileHandle,
  options: SafetensorsHeader & { path: string; start: number },
): SafetensorsFile {
  const { path, start, entries, metadata } = options;
  const find = (name: string): { type: FloatType; from: number; length: number } => {
    const entry = entries.get(name);
    if (entry === undefined) throw unreadable(path, `it holds no ${name}`);
    const type = floatTypes[entry.dtype];
    if (type !== undefined) return { type, from: start + entry.start, length: entry.end - entry.start };
    throw unreadable(path, `${name} has type ${entry.dtype}, which is none of ${readableTypes.join(', ')}`);
  };
  return {
    path,
    entries,
    metadata,
    async read(name): Promise<Float32Array> {
      const { type, from, length } = find(name);
      const values = new Float32Array(length / type.bytes);
      for (let offset = 0; offset < length; offset += pieceBytes) {
        const piece = await readPiece(file, { path, from: from + offset, length: length - offset });
        values.set(type.decode(piece), offset / type.bytes);
      }
      return values;
    },
    async equals(name, values): Promise<boolean> {
      const { type, from, length } = find(name);
      if (length / type.bytes !== values.length) return false;
      for (let offset = 0; offset < length; offset += pieceBytes) {
        const piece = await readPiece(file, { path, from: from + offset, length: length - offset });
        if (!occursAt(type.decode(piece), { values, offset: offset / type.bytes })) return false;
      }
      return true;
    },
    close: () => file.close(),
  };
}

function occursAt(part: Float32Array, { values, offset }: { values: Float32Array; offset: number }): boolean {
  for (let index = 0; index < part.length; index++) {
    if (part[index] !== values[offset + index]) return false;
  }
  return true;
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new DpError('MISSING_FILE', `Cannot read ${path}: there is no such file. Check the path.`, {
      cause,
    });
  }
}

/** The next piece of `length` bytes, at most `pieceBytes`; a file that shrinks under our hands is an error. */
async function readPiece(
  file: FileHandle,
  { path, from, length }: { path: string; from: number; length: number },
): Promise<Piece> {
  const bytes = await readBytes(file, { position: from, length: Math.min(length, pieceBytes) });
  if (bytes === undefined) throw unreadable(path, `it ends before byte ${from + length}`);
  return bytes;
}

async function readBytes(
  file: FileHandle,
  { position, length }: { position: number; length: number },
): Promise<Piece | undefined> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) return undefined;
    filled += bytesRead;
  }
  return bytes;
}

async function readHeader(
  file: FileHandle,
  { path, size }: { path: string; size: number },
): Promise<{ text: string; start: number }> {
  const prefix = size < 8 ? undefined : await readBytes(file, { position: 0, length: 8 });
  if (prefix === undefined) throw unreadable(path, `it has ${size} bytes`);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > size - 8) throw unreadable(path, `its header claims ${length} of ${size} bytes`);
  if (length > longestHeader)
    throw unreadable(path, `its header of ${length} bytes is above ${longestHeader}`);
  const bytes = await readBytes(file, { position: 8, length });
  return { text: new TextDecoder().decode(bytes), start: 8 + length };
}

/** How numbers are stored. */
export type StorageType = 'float32' | 'float16' | 'bfloat16';

/** A tensor to be written; `data` is asked for when its turn comes, so that it need not lie in memory before. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: () => Float32Array;
}

interface Storage {
  readonly dtype: string;
  readonly bytes: number;
  readonly encode: (part: Float32Array) => Uint8Array;
}

const storage: Record<StorageType, Storage> = {
  float32: {
    dtype: 'F32',
    bytes: 4,
    encode: part => new Uint8Array(part.buffer, part.byteOffset, part.byteLength),
  },
  float16: { dtype: 'F16', bytes: 2, encode: part => new Uint8Array(toHalves(part).buffer) },
  bfloat16: { dtype: 'BF16', bytes: 2, encode: part => new Uint8Array(toBrainFloats(part).buffer) },
};

/**
 * Writes tensors as safetensors, in the order given; the file is flushed to the disk.
 *
 * @param options - type: rounds to the nearest, ties to even; metadata: texts for the header
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  options: { type?: StorageType; metadata?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const { type = 'float32', metadata = {} } = options;
  const { bytes, encode } = storage[type];
  const partLength = pieceBytes / bytes;
  const file = await open(path, 'w');
  try {
    await file.appendFile(headerOf(tensors, { type, metadata }));
    for (const { data } of tensors) {
      const values = data();
      for (let offset = 0; offset < values.length; offset += partLength)
        await file.appendFile(encode(values.subarray(offset, offset + partLength)));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function headerOf(
  tensors: readonly TensorToWrite[],
  { type, metadata }: { type: StorageType; metadata: Readonly<Record<string, string>> },
): Uint8Array {
  const { dtype, bytes } = storage[type];
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } };
  let offset = 0;
  for (const { name, shape } of tensors) {
    const length = bytes * shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype, shape, data_offsets: [offset, offset + length] };
    offset += length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const padded = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  padded.set(text, 8);
  return padded;
}
