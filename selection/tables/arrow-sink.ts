import {
  Data,
  Message,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
} from 'apache-arrow';
import type { ByteTarget } from './byte-target.ts';
import { DictionaryColumn, type OutputColumn, outputColumn } from './output-columns.ts';

function bytesOf(chunk: unknown): Uint8Array {
  if (!ArrayBuffer.isView(chunk)) throw new TypeError('Arrow wrote something else than bytes');
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

/** Arrow's writer of streams, whose bytes are fetched after each batch instead of queued. */
class StreamBytes extends RecordBatchStreamWriter {
  readonly #pieces: Uint8Array[] = [];

  take(): Uint8Array[] {
    return this.#pieces.splice(0);
  }

  protected override _write(chunk: unknown): this {
    if (!this._started) return this;
    const bytes = bytesOf(chunk);
    if (bytes.length > 0) this.#pieces.push(bytes);
    this._position += bytes.length;
    return this;
  }
}

/** The same for files, with one dictionary a column, which goes to the end because only then it is complete. */
class FileBytes extends RecordBatchFileWriter {
  readonly #pieces: Uint8Array[] = [];
  readonly #dictionaries: readonly DictionaryColumn[];

  constructor(dictionaries: readonly DictionaryColumn[]) {
    super();
    this.#dictionaries = dictionaries;
  }

  take(): Uint8Array[] {
    return this.#pieces.splice(0);
  }

  protected override _write(chunk: unknown): this {
    if (!this._started) return this;
    const bytes = bytesOf(chunk);
    if (bytes.length > 0) this.#pieces.push(bytes);
    this._position += bytes.length;
    return this;
  }

  /** The format wants the schema at the start too, which Arrow's own writer leaves out. */
  protected override _writeSchema(schema: Schema): this {
    super._writeSchema(schema);
    return this._writeMessage(Message.from(schema));
  }

  protected override _writeDictionaries(): this {
    return this;
  }

  /** Readers find dictionaries by the footer, so that these may follow the batches that use them. */
  protected override _writeFooter(schema: Schema): this {
    for (const column of this.#dictionaries) this._writeDictionaryBatch(column.entries(), column.id);
    return super._writeFooter(schema);
  }
}

/** Writes record batches as an Arrow file or stream, uncompressed, which every reader takes. */
export class ArrowSink {
  readonly #target: ByteTarget;
  readonly #columns: readonly OutputColumn[];
  readonly #schema: Schema;
  readonly #writer: StreamBytes | FileBytes;

  constructor(target: ByteTarget, schema: Schema, options: { isStream: boolean }) {
    this.#target = target;
    this.#columns = schema.fields.map(outputColumn);
    this.#schema = new Schema(
      this.#columns.map(({ field }) => field),
      schema.metadata,
    );
    const dictionaries = this.#columns.filter(column => column instanceof DictionaryColumn);
    this.#writer = options.isStream ? new StreamBytes() : new FileBytes(dictionaries);
    this.#writer.reset(undefined, this.#schema);
  }

  async write(batch: RecordBatch): Promise<void> {
    const children = batch.data.children.map((data, index) => this.#columns[index]!.convert(data));
    const data = new Data(new Struct(this.#schema.fields), 0, batch.numRows, 0, {}, children);
    this.#writer.write(new RecordBatch(this.#schema, data));
    await this.#target.write(this.#writer.take());
  }

  async finish(): Promise<void> {
    this.#writer.finish();
    await this.#target.write(this.#writer.take());
  }
}
