import type { FileHandle } from 'node:fs/promises';
import { type Data, type DataType, Message, type MetadataVersion, type Schema, Vector } from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import type {
  BufferRegion,
  DictionaryBatch,
  FieldNode,
  RecordBatch as BatchHeader,
} from 'apache-arrow/ipc/metadata/message';
import { CompressedVectorLoader } from 'apache-arrow/visitor/vectorloader';
import { type ColumnParts, partsOf } from './arrow-layout.ts';
import { unpacker } from './arrow-codecs.ts';
import { CutShort, freshMemory, readExactly, readRanges, reusedMemory } from './random-access.ts';

/** An Arrow message without its body. */
interface FoundMessage {
  readonly message: Message;
  /** Where the body starts in the file. */
  readonly bodyStart: number;
  /** Where the next message starts. */
  readonly end: number;
}

export const arrowMagic: Buffer = Buffer.from('ARROW1');

/** Schemas and batch headers are far smaller; more than this is damage. */
const longestMetadata = 2 ** 28;

/** The message at a place in the file; undefined at the mark of the end. */
export async function messageAt(
  handle: FileHandle,
  start: number,
  size: number,
): Promise<FoundMessage | undefined> {
  if (start + 4 > size) {
    if (start >= size) return undefined;
    throw new CutShort('a message is cut short');
  }
  const prefix = new DataView(
    (await readExactly(handle, { start, length: Math.min(8, size - start) })).buffer,
  );
  const first = prefix.getInt32(0, true);
  // Before Arrow 0.15 the length came first, without the mark of four bytes.
  const isMarked = first === -1;
  if (isMarked && prefix.byteLength < 8) throw new CutShort('a message is cut short');
  const length = isMarked ? prefix.getInt32(4, true) : first;
  if (length === 0) return undefined;
  if (length < 0 || length > longestMetadata) throw new RangeError(`a message of ${length} bytes`);
  const metadataStart = start + (isMarked ? 8 : 4);
  const message = Message.decode(await readExactly(handle, { start: metadataStart, length }));
  const bodyStart = metadataStart + length;
  const end = bodyStart + message.bodyLength;
  if (end > size) throw new CutShort('a message body is cut short');
  return { message, bodyStart, end };
}

/** The footer of an Arrow file: its schema and where its batches lie. */
export async function readFooter(handle: FileHandle, size: number): Promise<Footer> {
  const tailLength = 4 + arrowMagic.length;
  if (size < tailLength) throw new CutShort('there is no footer');
  const tail = await readExactly(handle, { start: size - tailLength, length: tailLength });
  if (!arrowMagic.equals(tail.subarray(4))) throw new CutShort('there is no footer');
  const length = new DataView(tail.buffer).getInt32(0, true);
  const start = size - tailLength - length;
  if (length <= 0 || start < 8) throw new RangeError(`a footer of ${length} bytes`);
  return Footer.decode(await readExactly(handle, { start, length }));
}

/** Loads columns of messages, with the dictionaries that came before. */
export class ColumnLoader {
  readonly #handle: FileHandle;
  readonly #schema: Schema;
  readonly #version: MetadataVersion;
  readonly #dictionaries = new Map<number, Vector>();

  readonly #allocate: (length: number) => Uint8Array;

  constructor(handle: FileHandle, schema: Schema, options: { reuse: boolean }) {
    this.#allocate = options.reuse ? reusedMemory() : freshMemory;
    this.#handle = handle;
    this.#schema = schema;
    this.#version = schema.metadataVersion;
  }

  /** Reads the columns at some places of the schema, and nothing of the others. */
  async load(header: BatchHeader, bodyStart: number, wanted: readonly number[]): Promise<Data[]> {
    const types = this.#schema.fields.map(field => field.type);
    const parts = partsOf(types, header, this.#version);
    const loaded: Data[] = [];
    const bodies = await this.#bodies(header, bodyStart, {
      parts: wanted.map(index => parts[index]!),
      allocate: this.#allocate,
    });
    for (const [i, index] of wanted.entries())
      loaded.push(this.#build(types[index], parts[index]!, bodies[i]!));
    return loaded;
  }

  /** Takes in a dictionary, or more entries of one. */
  async addDictionary(header: DictionaryBatch, bodyStart: number): Promise<void> {
    const type = this.#schema.dictionaries.get(header.id);
    if (type === undefined) return;
    const [part] = partsOf([type], header.data, this.#version);
    const [body] = await this.#bodies(header.data, bodyStart, {
      parts: [part!],
      allocate: freshMemory,
    });
    const entries = this.#build(type, part!, body!);
    const before = header.isDelta ? (this.#dictionaries.get(header.id)?.data ?? []) : [];
    this.#dictionaries.set(header.id, new Vector([...before, entries]));
  }

  async #bodies(
    header: BatchHeader,
    bodyStart: number,
    want: { parts: readonly ColumnParts[]; allocate: (length: number) => Uint8Array },
  ): Promise<Uint8Array[][]> {
    const { parts, allocate } = want;
    // In the order of the file, so that neighbours are read at once.
    const order = parts.map((_, i) => i).sort((a, b) => parts[a]!.firstBuffer - parts[b]!.firstBuffer);
    const ranges = order.flatMap(i =>
      parts[i]!.buffers.map(({ offset, length }) => ({ start: bodyStart + offset, length })),
    );
    const unpack = unpacker(header.compression?.type);
    const bytes = (await readRanges(this.#handle, ranges, allocate)).map(unpack);
    const bodies: Uint8Array[][] = [];
    let at = 0;
    for (const i of order) bodies[i] = bytes.slice(at, (at += parts[i]!.buffers.length));
    return bodies;
  }

  #build(type: DataType, parts: ColumnParts, body: Uint8Array[]): Data {
    const { nodes, buffers, viewCounts } = parts;
    return loadColumn(type, {
      nodes,
      buffers,
      viewCounts,
      body,
      version: this.#version,
      dictionaries: this.#dictionaries,
    });
  }
}

function loadColumn(
  type: DataType,
  from: {
    nodes: FieldNode[];
    buffers: BufferRegion[];
    viewCounts: number[];
    body: Uint8Array[];
    version: MetadataVersion;
    dictionaries: Map<number, Vector>;
  },
): Data {
  const { nodes, buffers, viewCounts, body, version, dictionaries } = from;
  const loader = new CompressedVectorLoader(body, nodes, buffers, dictionaries, version, viewCounts);
  return loader.visit(type);
}
