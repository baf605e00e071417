import { open, type FileHandle } from 'node:fs/promises';
import { DataType, type Field, type Schema } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { arrowMagic, ColumnLoader, messageAt, readFooter } from './arrow-messages.ts';
import { CutShort, readExactly } from './random-access.ts';
import { invalidFile, readFailure } from './source.ts';
import type { ColumnBatch, FileReader, ReadOptions } from './table-file.ts';

/** Where the messages of a file lie: by its footer, or one after the other in a stream. */
interface Layout {
  readonly schema: Schema;
  readonly size: number;
  /** Start of the first message after the schema, in a stream. */
  readonly start: number;
  readonly dictionaries: readonly number[];
  /** Undefined in a stream. */
  readonly batches: readonly number[] | undefined;
}

async function fileLayout(handle: FileHandle, size: number): Promise<Layout> {
  const footer = await readFooter(handle, size);
  const dictionaries = Array.from(footer.dictionaryBatches(), block => block.offset);
  const batches = Array.from(footer.recordBatches(), block => block.offset);
  return { schema: footer.schema, size, start: 0, dictionaries, batches };
}

async function streamLayout(handle: FileHandle, size: number): Promise<Layout> {
  const found = await messageAt(handle, 0, size);
  if (found === undefined || !found.message.isSchema()) throw new RangeError('no schema');
  return {
    schema: found.message.header(),
    size,
    start: found.end,
    dictionaries: [],
    batches: undefined,
  };
}

async function layoutOf(handle: FileHandle): Promise<Layout> {
  const { size } = await handle.stat();
  const start = await readExactly(handle, { start: 0, length: Math.min(size, arrowMagic.length) });
  return arrowMagic.equals(start) ? fileLayout(handle, size) : streamLayout(handle, size);
}

/** Reads messages, one after the other; batches of a file come after all of its dictionaries. */
async function* messages(
  handle: FileHandle,
  layout: Layout,
): AsyncGenerator<NonNullable<Awaited<ReturnType<typeof messageAt>>>> {
  const { size } = layout;
  if (layout.batches !== undefined) {
    for (const start of [...layout.dictionaries, ...layout.batches]) {
      const found = await messageAt(handle, start, size);
      if (found === undefined) throw new RangeError('a batch is missing');
      yield found;
    }
    return;
  }
  for (let start = layout.start; ;) {
    const found = await messageAt(handle, start, size);
    if (found === undefined) return;
    yield found;
    start = found.end;
  }
}

async function* batchesOf(
  handle: FileHandle,
  layout: Layout,
  read: ReadOptions & { wanted: readonly number[] },
): AsyncGenerator<ColumnBatch> {
  const { wanted, wants, reuse = false } = read;
  const loader = new ColumnLoader(handle, layout.schema, { reuse });
  let first = 0;
  const needed = dictionariesOf(wanted.map(index => layout.schema.fields[index]!));
  for await (const { message, bodyStart } of messages(handle, layout)) {
    if (message.isDictionaryBatch()) {
      const header = message.header();
      if (needed.has(header.id)) await loader.addDictionary(header, bodyStart);
    } else if (message.isRecordBatch()) {
      const header = message.header();
      const { length: rows } = header;
      if (rows === 0) continue;
      const isWanted = wants === undefined || wants(first, rows);
      yield { rows, columns: isWanted ? await loader.load(header, bodyStart, wanted) : undefined };
      first += rows;
    } else throw new RangeError('a message of another kind');
  }
}

function addDictionaries(type: DataType, ids: Set<number>): void {
  if (DataType.isDictionary(type)) ids.add(type.id);
  for (const child of type.children ?? []) addDictionaries(child.type, ids);
  if (DataType.isDictionary(type)) addDictionaries(type.dictionary, ids);
}

/** Ids of the dictionaries that some columns need, those of nested columns included. */
function dictionariesOf(fields: readonly Field[]): Set<number> {
  const ids = new Set<number>();
  for (const { type } of fields) addDictionaries(type, ids);
  return ids;
}

async function withHandle<T>(path: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(path, 'r');
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

function arrowFailure(path: string, error: unknown): unknown {
  const failure = readFailure(path, error);
  if (failure instanceof DpError) return failure;
  const reason = error instanceof CutShort ? 'it is cut short' : 'it is no readable Arrow file or stream';
  return invalidFile(path, reason, 'Check its format and that it is whole', error);
}

/** Reads the columns of an Arrow file or stream by seeking: of a batch, only the bytes of the columns asked for. */
class ArrowReader implements FileReader {
  readonly #path: string;
  readonly #layout: Layout;

  constructor(path: string, layout: Layout) {
    this.#path = path;
    this.#layout = layout;
  }

  get fields(): readonly Field[] {
    return this.#layout.schema.fields;
  }

  get metadata(): Map<string, string> {
    return this.#layout.schema.metadata;
  }

  async *batches(columns: readonly string[], options: ReadOptions = {}): AsyncGenerator<ColumnBatch> {
    const { fields } = this.#layout.schema;
    const wanted = columns.map(name => fields.findIndex(field => field.name === name));
    try {
      const handle = await open(this.#path, 'r');
      try {
        yield* batchesOf(handle, this.#layout, { ...options, wanted });
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw arrowFailure(this.#path, error);
    }
  }
}

/**
 * Opens an Arrow IPC file or stream; buffers may be plain, LZ4 or ZSTD. Nothing but the schema is read yet.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where it is no Arrow, is cut short or uses a type that the reader lacks
 */
export async function openArrow(path: string): Promise<FileReader> {
  try {
    return new ArrowReader(path, await withHandle(path, layoutOf));
  } catch (error) {
    throw arrowFailure(path, error);
  }
}
