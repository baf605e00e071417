import {
  Data,
  DataType,
  Dictionary,
  type Field,
  Int32,
  RecordBatch,
  Schema,
  Struct,
  Vector,
} from 'apache-arrow';
import { isNullAt } from '../tables/cells.ts';

/** The dictionaries of one column, one after the other, each once. */
class Entries {
  readonly #starts = new Map<Vector, number>();
  readonly #chunks: Data[] = [];
  #length = 0;
  #all: Vector | undefined;

  startOf(dictionary: Vector): number {
    const found = this.#starts.get(dictionary);
    if (found !== undefined) return found;
    const start = this.#length;
    this.#starts.set(dictionary, start);
    this.#chunks.push(...dictionary.data);
    this.#length += dictionary.length;
    this.#all = undefined;
    return start;
  }

  get all(): Vector {
    return (this.#all ??= new Vector(this.#chunks));
  }
}

function codesOf(data: Data, entries: Entries): Data {
  const start = entries.startOf(data.dictionary!);
  const codes = new Int32Array(data.length);
  const bitmap = new Uint8Array((data.length + 7) >> 3);
  const indices: ArrayLike<number | bigint> = data.values;
  let nulls = 0;
  for (let row = 0; row < data.length; row++) {
    if (isNullAt(data, row)) {
      nulls += 1;
      continue;
    }
    codes[row] = start + Number(indices[row]!);
    bitmap[row >> 3]! |= 1 << (row & 7);
  }
  const validity = nulls === 0 ? new Uint8Array(0) : bitmap;
  return new Data(new Int32(), 0, data.length, nulls, { 1: codes, 2: validity });
}

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
  readonly #entries: readonly (Entries | undefined)[];

  constructor(schema: Schema) {
    const isCoded = ({ type }: Field): boolean => DataType.isDictionary(type);
    this.#schema = schema;
    this.#entries = schema.fields.map(field => (isCoded(field) ? new Entries() : undefined));
    const fields = schema.fields.map(field =>
      isCoded(field) ? field.clone({ type: new Int32(), nullable: true }) : field,
    );
    this.stored = new Schema(fields, schema.metadata);
  }

  strip(batch: RecordBatch): RecordBatch {
    const children = batch.data.children.map((data, index) => {
      const entries = this.#entries[index];
      return entries === undefined ? data : codesOf(data, entries);
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
