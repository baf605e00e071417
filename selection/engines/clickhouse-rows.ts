import { Data, Field, RecordBatch, Schema, Struct } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { buildData } from '../tables/build.ts';
import type { TableSink } from '../tables/table-sink.ts';
import { batchBytes, batchRows } from '../tables/take.ts';
import { BinaryCursor, Incomplete, UnfitValue } from './clickhouse-binary.ts';
import { type ColumnType, columnType } from './clickhouse-types.ts';

/** A column of a ClickHouse table. */
export interface ClickhouseColumn extends ColumnType {
  readonly name: string;
  /** The type as ClickHouse writes it. */
  readonly shown: string;
}

/** Columns by name and ClickHouse type; a type that Arrow has no form of is refused. */
export function columnsFrom(
  described: readonly { name: string; type: string }[],
  shown: string,
): ClickhouseColumn[] {
  return described.map(({ name, type }) => {
    const found = columnType(type);
    if (found !== undefined) return { ...found, name, shown: type };
    throw new DpError(
      'INVALID_DATA',
      `Cannot read ${shown}: column ${JSON.stringify(name)} is of type ${type.replaceAll(/\s+/g, ' ')}, which is not supported. Convert or drop that column, for instance in a view.`,
    );
  });
}

export function schemaOf(columns: readonly ClickhouseColumn[]): Schema {
  return new Schema(columns.map(({ name, type, isNullable }) => new Field(name, type, isNullable)));
}

/** Where rows go, and what messages call the table they come from. */
export interface RowsTarget {
  readonly schema: Schema;
  readonly sink: TableSink;
  readonly shown: string;
}

/** Gathers rows of RowBinary into record batches. */
class RowGatherer {
  readonly #columns: readonly ClickhouseColumn[];
  readonly #schema: Schema;
  readonly #sink: TableSink;
  readonly #shown: string;
  readonly #cursor = new BinaryCursor();
  #values: unknown[][];
  #bytes = 0;

  constructor(columns: readonly ClickhouseColumn[], to: RowsTarget) {
    this.#columns = columns;
    this.#schema = to.schema;
    this.#sink = to.sink;
    this.#shown = to.shown;
    this.#values = columns.map(() => []);
  }

  async append(piece: Buffer): Promise<void> {
    this.#cursor.append(piece);
    while (this.#readRow()) {
      const isFull = this.#values[0]!.length >= batchRows || this.#bytes >= batchBytes;
      if (isFull) await this.#flush();
    }
  }

  async finish(): Promise<void> {
    if (!this.#cursor.isAtEnd)
      throw new DpError(
        'ENGINE_FAILED',
        'Cannot select: the answer of clickhouse ends within a row. Try again.',
      );
    if (this.#values[0]!.length > 0) await this.#flush();
  }

  /** False where the row is not all there yet; the cursor then stands at its start. */
  #readRow(): boolean {
    const cursor = this.#cursor;
    const start = cursor.at;
    if (cursor.isAtEnd) return false;
    const row: unknown[] = [];
    try {
      for (const column of this.#columns) row.push(this.#readCell(column));
    } catch (error) {
      if (!(error instanceof Incomplete)) throw error;
      cursor.at = start;
      return false;
    }
    for (const [index, value] of row.entries()) this.#values[index]!.push(value);
    this.#bytes += cursor.at - start;
    return true;
  }

  #readCell(column: ClickhouseColumn): unknown {
    try {
      return column.read(this.#cursor);
    } catch (error) {
      if (!(error instanceof UnfitValue)) throw error;
      throw new DpError(
        'INVALID_DATA',
        `Cannot read ${this.#shown}: column ${JSON.stringify(column.name)} holds ${error.message} in a kept record. Mend or remove it.`,
      );
    }
  }

  async #flush(): Promise<void> {
    const children = this.#columns.map(({ type }, index) => buildData(type, this.#values[index]!));
    const type = new Struct(this.#schema.fields);
    const data = new Data(type, 0, this.#values[0]!.length, 0, {}, children);
    this.#values = this.#columns.map(() => []);
    this.#bytes = 0;
    await this.#sink.write(new RecordBatch(this.#schema, data));
  }
}

/** Writes rows of RowBinary, as they come, into a sink. */
export async function gatherRows(
  pieces: AsyncIterable<Buffer>,
  columns: readonly ClickhouseColumn[],
  to: RowsTarget,
): Promise<void> {
  const gatherer = new RowGatherer(columns, to);
  for await (const piece of pieces) await gatherer.append(piece);
  await gatherer.finish();
}
