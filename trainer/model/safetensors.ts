import { open, type FileHandle } from 'node:fs/promises';
import { DpError } from '../../accounting/check.ts';

/** A named array of a safetensors file; values are widened to float32 on reading. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0);
}

function isEntry(value: unknown): value is HeaderEntry {
  if (!isObject(value) || !isCounts(value['data_offsets'])) return false;
  return value['data_offsets'].length === 2 && typeof value['dtype'] === 'string' && isCounts(value['shape']);
}

/** How the floating-point formats of safetensors become float32; float64 is rounded. */
const decoders: Record<string, { bytes: number; decode: (view: DataView, offset: number) => number }> = {
  F64: { bytes: 8, decode: (view, offset) => view.getFloat64(offset, true) },
  F32: { bytes: 4, decode: (view, offset) => view.getFloat32(offset, true) },
  F16: { bytes: 2, decode: (view, offset) => halfToNumber(view.getUint16(offset, true)) },
  BF16: { bytes: 2, decode: (view, offset) => brainFloatToNumber(view.getUint16(offset, true)) },
};

/**
 * The value of an IEEE 754 half-precision number.
 *
 * @param bits - the 16 bits
 * @example
 * ```ts
 * halfToNumber(0x3c00); // 1
 * halfToNumber(0x0001); // ~5.96e-8
 * ```
 */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

/**
 * The value of a bfloat16 number: the upper half of a float32.
 *
 * @param bits - the 16 bits
 * @example
 * ```ts
 * brainFloatToNumber(0x3f80); // 1
 * ```
 */
export function brainFloatToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

function unreadable(path: string, reason: string): DpError {
  return new DpError('INVALID_DATA', `Cannot read ${path}: ${reason}. Give a whole safetensors file.`);
}

/**
 * Reads the floating-point tensors of a safetensors file (F64, F32, F16, BF16); others, such as the
 * boolean attention masks of old GPT-2 checkpoints, are passed over.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where the header or the offsets don't fit the file
 */
export async function readSafetensors(path: string): Promise<Map<string, StoredTensor>> {
  const file = await openForReading(path);
  try {
    const { size } = await file.stat();
    const { header, start } = await readHeader(file, { path, size });
    const tensors = new Map<string, StoredTensor>();
    for (const [name, entry] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      if (!isEntry(entry)) throw unreadable(path, `its header describes ${name} wrongly`);
      if (decoders[entry.dtype] === undefined) continue;
      tensors.set(name, await readTensor(file, { path, name, entry, start, size }));
    }
    return tensors;
  } finally {
    await file.close();
  }
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

async function readBytes(
  file: FileHandle,
  { position, length }: { position: number; length: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes;
}

async function readHeader(
  file: FileHandle,
  { path, size }: { path: string; size: number },
): Promise<{ header: Record<string, unknown>; start: number }> {
  if (size < 8) throw unreadable(path, `it has ${size} bytes`);
  const prefix = await readBytes(file, { position: 0, length: 8 });
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > size - 8) throw unreadable(path, `its header claims ${length} of ${size} bytes`);
  const text = new TextDecoder().decode(await readBytes(file, { position: 8, length }));
  const header = parse(text);
  if (!isObject(header)) throw unreadable(path, `its header of ${length} bytes is no JSON object`);
  return { header, start: 8 + length };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readTensor(
  file: FileHandle,
  options: { path: string; name: string; entry: HeaderEntry; start: number; size: number },
): Promise<StoredTensor> {
  const { path, name, entry, start, size } = options;
  const { bytes: width, decode } = decoders[entry.dtype]!;
  const [from, to] = entry.data_offsets;
  const count = entry.shape.reduce((product, extent) => product * extent, 1);
  if (!(from >= 0 && to - from === count * width && start + to <= size)) {
    throw unreadable(path, `${name} claims the bytes ${from} to ${to} for ${count} values`);
  }
  const bytes = await readBytes(file, { position: start + from, length: to - from });
  const view = new DataView(bytes.buffer);
  return {
    shape: entry.shape,
    data: Float32Array.from({ length: count }, (_, index) => decode(view, index * width)),
  };
}

/** Writes float32 tensors as safetensors, in the order given; the file is flushed to the disk. */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, StoredTensor]>,
): Promise<void> {
  const entries = [...tensors];
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const [name, { shape, data }] of entries) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + 4 * data.length] };
    offset += 4 * data.length;
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  const file = await open(path, 'w');
  try {
    await file.appendFile(Buffer.concat([prefix, padded]));
    for (const [, { data }] of entries) await file.appendFile(littleEndian(data));
    await file.sync();
  } finally {
    await file.close();
  }
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < values.length; index++) view.setFloat32(4 * index, values[index]!, true);
  return bytes;
}
