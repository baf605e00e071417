import type { RecordBatch, Schema } from 'apache-arrow';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { ByteTarget } from './byte-target.ts';
import { batchValues } from './parquet-cells.ts';
import { elementsOf } from './parquet-schema.ts';

/** Collects the bytes of one row group and hands them on. */
class GroupBytes extends ByteWriter {
  readonly #target: ByteTarget;

  constructor(target: ByteTarget) {
    super();
    this.#target = target;
  }

  async flush(): Promise<void> {
    const bytes = new Uint8Array(this.buffer, 0, this.index);
    await this.#target.write([bytes]);
    this.index = 0;
  }
}

/**
 * Writes record batches as Parquet, one row group a batch, snappy; the same batches give the same bytes.
 *
 * Text columns carry no statistics: a minimum and a maximum would repeat users' text in the footer.
 */
export class ParquetSink {
  readonly #bytes: GroupBytes;
  readonly #writer: ParquetWriter;
  readonly #schema: Schema;

  /** @throws DpError `INVALID_DATA` for a type that Parquet lacks (durations, intervals, unions) */
  constructor(target: ByteTarget, schema: Schema) {
    const { fields } = schema;
    this.#schema = schema;
    this.#bytes = new GroupBytes(target);
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: [{ name: 'root', num_children: fields.length }, ...fields.flatMap(elementsOf)],
      createdBy: 'privacy-unit',
      statistics: false,
    });
  }

  async write(batch: RecordBatch): Promise<void> {
    const columnData = this.#schema.fields.map(({ name }, index) => ({
      name,
      data: batchValues(batch.data.children[index]!),
    }));
    await this.#writer.write({ columnData, rowGroupSize: batch.numRows });
  }

  async finish(): Promise<void> {
    await this.#writer.finish();
    await this.#bytes.flush();
  }
}
