import { writeFileSync } from 'node:fs';

/** A safetensors file with that header text and those bytes, whatever they are. */
export function writeRaw(path: string, { header, data }: { header: string; data: Uint8Array }): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), data]));
}

/** A tensor under the type and bytes that it is to have in the file. */
export interface RawTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Float32 values as a raw tensor. */
export function rawFloats(name: string, shape: readonly number[], values: ArrayLike<number>): RawTensor {
  const bytes = Buffer.alloc(4 * values.length);
  for (let index = 0; index < values.length; index++) bytes.writeFloatLE(values[index]!, 4 * index);
  return { name, dtype: 'F32', shape, bytes };
}

/** The same values cut to bfloat16. */
export function rawBrainFloats(tensor: RawTensor): RawTensor {
  const bytes = Buffer.alloc(tensor.bytes.length / 2);
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = tensor.bytes[4 * (index >> 1) + 2 + (index & 1)]!;
  return { ...tensor, dtype: 'BF16', bytes };
}

/** A whole safetensors file, written without the code under test. */
export function writeRawTensors(
  path: string,
  tensors: readonly RawTensor[],
  metadata?: Readonly<Record<string, string>>,
): void {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let offset = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] };
    offset += bytes.length;
  }
  writeRaw(path, { header: JSON.stringify(header), data: Buffer.concat(tensors.map(({ bytes }) => bytes)) });
}
