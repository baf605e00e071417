import { CompressionType } from 'apache-arrow';
import { decompressZstd } from 'hyparquet-compressors';
import { decodeLz4Frame } from './lz4.ts';

/** The zstd decoder hands out a view that may start anywhere; the copy is aligned to 8 bytes. */
function decoderOf(type: CompressionType): (bytes: Uint8Array) => Uint8Array {
  return type === CompressionType.ZSTD ? bytes => decompressZstd(bytes).slice() : decodeLz4Frame;
}

function unpack(buffer: Uint8Array, decode: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  if (buffer.length === 0) return buffer;
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const length = Number(view.getBigInt64(0, true));
  const packed = buffer.subarray(8);
  // A length of -1 marks a buffer that would have grown and was left as it is.
  if (length === -1) return packed;
  const bytes = decode(packed);
  // apache-arrow 21.2 writes the packed length here (its pull request 470), against the format; such files exist.
  if (bytes.length !== length && packed.length !== length)
    throw new RangeError(`a buffer of ${bytes.length} bytes, not ${length}`);
  return bytes;
}

/** Unpacks the buffers of one batch; those of a batch that is not packed stay what they are. */
export function unpacker(type: CompressionType | undefined): (buffer: Uint8Array) => Uint8Array {
  if (type === undefined) return buffer => buffer;
  const decode = decoderOf(type);
  return buffer => unpack(buffer, decode);
}
