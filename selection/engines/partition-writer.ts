import { join } from 'node:path';
import { Data, type DataType, Field, Float64, Int32, RecordBatch, Schema, Struct } from 'apache-arrow';
import { RowStore } from '../tables/row-store.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';
import type { NarrowBatch } from './narrow-reader.ts';

/** Names of the columns of a partition. */
export const partitionColumns = {
  user: 'user',
  id: 'id',
  measure: 'measure',
  tokens: 'tokens',
  row: 'row',
} as const;

function column(name: string, data: Data): { field: Field; data: Data } {
  const type: DataType = data.type;
  return { field: new Field(name, type, true), data };
}

function numbers(values: Float64Array | Int32Array): Data {
  const type = values instanceof Int32Array ? new Int32() : new Float64();
  return new Data(type, 0, values.length, 0, { 1: values });
}

/** A narrow batch as an Arrow batch, with the number of every row and the numbers of users. */
function asBatch(batch: NarrowBatch, users: Int32Array): RecordBatch {
  const { user, id, measure, tokens, row } = partitionColumns;
  const rows = Int32Array.from({ length: batch.rows }, (_, at) => batch.firstRow + at);
  const columns = [
    column(user, numbers(users)),
    ...(batch.ids === undefined ? [] : [column(id, batch.ids)]),
    ...(batch.measures === undefined ? [] : [column(measure, numbers(batch.measures))]),
    ...(batch.tokens === undefined ? [] : [column(tokens, numbers(batch.tokens))]),
    column(row, numbers(rows)),
  ];
  const fields = columns.map(({ field }) => field);
  const children = columns.map(({ data }) => data);
  return new RecordBatch(new Schema(fields), new Data(new Struct(fields), 0, batch.rows, 0, {}, children));
}

interface Partition {
  readonly path: string;
  readonly store: RowStore;
  readonly sink: TableSink;
}

/** Sorts the narrow columns of all rows into files by user: user `code` goes to file `code mod count`, as number `code ÷ count` there. */
export class PartitionWriter {
  readonly #folder: string;
  readonly #count: number;
  readonly #budget: number;
  #partitions: Partition[] = [];

  /** @param options - budget: bytes held before they are written */
  constructor(folder: string, options: { readonly count: number; readonly budget: number }) {
    this.#folder = folder;
    this.#count = options.count;
    this.#budget = options.budget;
  }

  /** @param codes - user of each row, -1 for none */
  async append(batch: NarrowBatch, codes: Int32Array): Promise<void> {
    const whole = asBatch(
      batch,
      codes.map(code => Math.floor(code / this.#count)),
    );
    if (this.#partitions.length === 0) await this.#open(whole.schema);
    const rows: number[][] = Array.from({ length: this.#count }, () => []);
    for (let row = 0; row < batch.rows; row++)
      if (codes[row]! >= 0) rows[codes[row]! % this.#count]!.push(row);
    for (const [index, mine] of rows.entries()) {
      const { store } = this.#partitions[index]!;
      store.append(whole, Int32Array.from(mine));
      if (store.byteLength > this.#budget / this.#count) await this.#flush(index);
    }
  }

  /** Paths of the partitions, all written. */
  async finish(): Promise<string[]> {
    for (const index of this.#partitions.keys()) await this.#flush(index);
    for (const { sink } of this.#partitions) await sink.finish();
    return this.#partitions.map(({ path }) => path);
  }

  async abort(): Promise<void> {
    for (const { sink } of this.#partitions) await sink.abort();
  }

  async #open(schema: Schema): Promise<void> {
    for (let index = 0; index < this.#count; index++) {
      const path = join(this.#folder, `users-${index}.arrows`);
      const store = new RowStore(schema);
      const sink = await openSink(path, { schema: store.schema, format: 'arrow', isStream: true });
      this.#partitions.push({ path, store, sink });
    }
  }

  async #flush(index: number): Promise<void> {
    const { store, sink } = this.#partitions[index]!;
    for (const batch of store.take()) await sink.write(batch);
    store.clear();
  }
}
