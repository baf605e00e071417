import { Data, DataType, Dictionary, type Field, Int32, RecordBatch, Schema, Struct } from 'apache-arrow';
import { DictionaryEntries } from '../tables/dictionary-entries.ts';

function batchOf(schema: Schema, rows: number, children: Data[]): RecordBatch {
  return new RecordBatch(schema, new Data(new Struct(schema.fields), 0, rows, 0, {}, children));
}

/**
 * Keeps dictionaries in memory while rows lie on the disk with their numbers alone: written to a file, each piece would need its own
 * table from old entries to new.
 */
export class DictionaryStash {
  /** The schema of rows on the disk. */
  readonly stored: Schema;
  readonly #schema: Schema;
  readonly #entries: readonly (DictionaryEntries | undefined)[];

  constructor(schema: Schema) {
    const isCoded = ({ type }: Field): boolean => DataType.isDictionary(type);
    this.#schema = schema;
    this.#entries = schema.fields.map(field => (isCoded(field) ? new DictionaryEntries() : undefined));
    const fields = schema.fields.map(field =>
      isCoded(field) ? field.clone({ type: new Int32(), nullable: true }) : field,
    );
    this.stored = new Schema(fields, schema.metadata);
  }

  strip(batch: RecordBatch): RecordBatch {
    const rows = Int32Array.from({ length: batch.numRows }, (_, row) => row);
    const children = batch.data.children.map((data, index) => {
      const entries = this.#entries[index];
      return entries === undefined ? data : entries.codesOf(data, rows);
    });
    return batchOf(this.stored, batch.numRows, children);
  }

  /** Gives a stored batch its dictionaries back. */
  restore(batch: RecordBatch): RecordBatch {
    const fields: Field[] = [];
    const children = batch.data.children.map((data, index) => {
      const field = this.#schema.fields[index]!;
      const entries = this.#entries[index];
      if (entries === undefined || !DataType.isDictionary(field.type)) {
        fields.push(batch.schema.fields[index]!);
        return data;
      }
      const type = new Dictionary(field.type.dictionary, new Int32(), field.type.id);
      fields.push(field.clone({ type }));
      return new Data(type, 0, data.length, data.nullCount, data, [], entries.all);
    });
    return batchOf(new Schema(fields, this.#schema.metadata), batch.numRows, children);
  }
}
