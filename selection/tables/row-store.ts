import { Data, DataType, Dictionary, type Field, Int32, RecordBatch, Schema, Struct } from 'apache-arrow';
import { DictionaryEntries } from './dictionary-entries.ts';
import { emptyBatch, gather, type Places } from './gather.ts';
import { placesOf, runsOf } from './take.ts';

/** Rows of one column, copied piece by piece. */
interface StoredColumn {
  readonly field: Field;
  readonly pieces: readonly Data[];
  append(data: Data, rows: Int32Array): void;
  /** A batch of the stored rows at some places. */
  take(at: Places): Data;
  clear(): void;
}

function samePlaces(rows: Int32Array): Places {
  return { batch: new Int32Array(rows.length), row: rows };
}

class PlainColumn implements StoredColumn {
  readonly field: Field;
  readonly pieces: Data[] = [];

  constructor(field: Field) {
    // Dictionaries below the top level are undone by copying.
    const { type } = gather([emptyBatch(field.type)], samePlaces(new Int32Array(0)));
    this.field = field.clone({ type });
  }

  append(data: Data, rows: Int32Array): void {
    this.pieces.push(gather([data], samePlaces(rows)));
  }

  take(at: Places): Data {
    return gather(this.pieces, at);
  }

  clear(): void {
    this.pieces.length = 0;
  }
}

/** Keeps the indices of a dictionary column, counted over all dictionaries that came along. */
class CodedColumn implements StoredColumn {
  readonly field: Field;
  readonly pieces: Data[] = [];
  readonly #type: Dictionary;
  readonly #entries = new DictionaryEntries();

  constructor(field: Field, type: Dictionary) {
    this.#type = new Dictionary(type.dictionary, new Int32(), type.id);
    this.field = field.clone({ type: this.#type });
  }

  append(data: Data, rows: Int32Array): void {
    this.pieces.push(this.#entries.codesOf(data, rows));
  }

  take(at: Places): Data {
    const codes = gather(this.pieces, at);
    return new Data(this.#type, 0, codes.length, codes.nullCount, codes, [], this.#entries.all);
  }

  clear(): void {
    this.pieces.length = 0;
    this.#entries.clear();
  }
}

function storedColumn(field: Field): StoredColumn {
  const { type } = field;
  return DataType.isDictionary(type) ? new CodedColumn(field, type) : new PlainColumn(field);
}

/**
 * Collects chosen rows of many batches, all columns, and gives them back in any order in batches of bounded size. Rows
 * are copied when they come in, so that no source batch stays in memory for the sake of a few rows.
 *
 * @example
 * ```ts
 * import { textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo', 'cy'] });
 * const store = new RowStore(table.schema);
 * store.append(table.batches[0], Int32Array.of(0, 2));
 * const [batch] = store.take(Int32Array.of(1, 0));
 * batch.getChild('user').toJSON(); // ['cy', 'ada']
 * ```
 */
export class RowStore {
  readonly #columns: readonly StoredColumn[];
  readonly #metadata: Map<string, string>;
  #rows = 0;
  #bytes = 0;

  constructor(schema: Schema) {
    this.#columns = schema.fields.map(storedColumn);
    this.#metadata = schema.metadata;
  }

  /** The schema of the batches that come out: dictionaries have Int32 indices, and are undone below the top level. */
  get schema(): Schema {
    return new Schema(
      this.#columns.map(({ field }) => field),
      this.#metadata,
    );
  }

  /** Rows held. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes of the rows held, dictionaries not counted. */
  get byteLength(): number {
    return this.#bytes;
  }

  /**
   * Copies rows of a batch.
   *
   * @param batch - of the schema given, its columns in that order
   * @param rows - places within the batch, any order
   */
  append(batch: RecordBatch, rows: Int32Array): void {
    if (rows.length === 0) return;
    for (const [index, column] of this.#columns.entries()) {
      column.append(batch.data.children[index]!, rows);
      this.#bytes += column.pieces.at(-1)!.byteLength;
    }
    this.#rows += rows.length;
  }

  /**
   * Batches of at most 65536 rows and about 64 MB, in the order given; default that in which the rows came.
   *
   * @param order - numbers of stored rows, from 0
   */
  *take(order?: Int32Array): Generator<RecordBatch> {
    const rows = order ?? Int32Array.from({ length: this.#rows }, (_, row) => row);
    if (rows.length === 0) return;
    const { schema } = this;
    const type = new Struct(schema.fields);
    const pieces = this.#columns.map(column => column.pieces);
    const at = placesOf(pieces[0]!, rows);
    for (const run of runsOf(pieces, at)) {
      const children = this.#columns.map(column => column.take(run));
      yield new RecordBatch(schema, new Data(type, 0, run.row.length, 0, {}, children));
    }
  }

  /** Lets go of all rows. */
  clear(): void {
    for (const column of this.#columns) column.clear();
    this.#rows = this.#bytes = 0;
  }
}
