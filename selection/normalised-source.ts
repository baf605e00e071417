import {
  Data,
  DataType,
  Dictionary,
  type Field,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  Vector,
} from 'apache-arrow';
import { TextBuilder } from './tables/build.ts';
import { type OwnerForm } from './owners-column.ts';
import { OwnersMap } from './owners-normalised.ts';
import { isTextType, textCells } from './tables/cells.ts';
import type { TableFile } from './tables/table-file.ts';
import type { BatchOptions, SourceBatch, TableSource } from './tables/table-source.ts';
import { normaliseUser, type UserNormalisation } from './user-ids.ts';

/** Rewrites one column. */
interface ColumnMap {
  /** The type that a column has afterwards; the same object for all batches of it. */
  typeOf(type: DataType): DataType;
  column(data: Data): Data;
}

/** Rewrites the users of batches; a dictionary is rewritten once. */
class UserMap implements ColumnMap {
  readonly #modes: readonly UserNormalisation[];
  readonly #text: Utf8 = new Utf8();
  readonly #types: Map<number, Dictionary> = new Map();
  readonly #dictionaries: WeakMap<Vector, Vector> = new WeakMap();

  constructor(modes: readonly UserNormalisation[]) {
    this.#modes = modes;
  }

  typeOf(type: DataType): DataType {
    if (!DataType.isDictionary(type)) return this.#text;
    const found = this.#types.get(type.id) ?? new Dictionary(this.#text, type.indices, type.id);
    this.#types.set(type.id, found);
    return found;
  }

  column(data: Data): Data {
    const type = this.typeOf(data.type);
    if (data.dictionary === undefined) return this.#texts(data);
    const { offset, length, nullCount } = data;
    return new Data(type, offset, length, nullCount, data, [], this.#dictionary(data.dictionary));
  }

  #dictionary(dictionary: Vector): Vector {
    const found =
      this.#dictionaries.get(dictionary) ?? new Vector(dictionary.data.map(data => this.#texts(data)));
    this.#dictionaries.set(dictionary, found);
    return found;
  }

  #texts(data: Data): Data {
    const cells = textCells(data);
    const builder = new TextBuilder();
    for (let row = 0; row < cells.length; row++)
      builder.append(cells.isNull(row) ? null : normaliseUser(cells.text(row), this.#modes));
    return builder.finish(this.#text);
  }
}

class NormalisedSource implements TableSource {
  readonly schema: Schema;
  readonly #source: TableSource;
  readonly #user: string;
  readonly #map: ColumnMap;
  readonly #isOpaque: boolean;

  constructor(source: TableSource, map: ColumnMap, options: { user: string; isOpaque: boolean }) {
    this.#source = source;
    this.#user = options.user;
    this.#map = map;
    this.#isOpaque = options.isOpaque;
    this.schema = new Schema(this.#fields(source.schema.fields), source.schema.metadata);
  }

  get files(): readonly TableFile[] {
    const { files } = this.#source;
    return this.#isOpaque
      ? files.map(({ path, name, bytes }) => ({ path, name, bytes, format: 'arrow' }))
      : files;
  }

  get skipped(): TableSource['skipped'] {
    return this.#source.skipped;
  }

  async *batches(options: BatchOptions = {}): AsyncGenerator<SourceBatch> {
    for await (const found of this.#source.batches(options))
      yield { ...found, batch: this.#mapped(found.batch) };
  }

  #fields(fields: readonly Field[]): Field[] {
    return fields.map(field =>
      field.name === this.#user ? field.clone({ type: this.#map.typeOf(field.type) }) : field,
    );
  }

  #mapped(batch: RecordBatch): RecordBatch {
    const at = batch.schema.fields.findIndex(({ name }) => name === this.#user);
    if (at < 0) return batch;
    const children = batch.data.children.map((data, index) => (index === at ? this.#map.column(data) : data));
    const schema = new Schema(this.#fields(batch.schema.fields));
    const data = new Data(new Struct(schema.fields), 0, batch.numRows, 0, {}, children);
    return new RecordBatch(schema, data);
  }
}

/**
 * The same table with its user ids rewritten by a public map of single ids. Whole numbers stay as they are.
 *
 * @param options - `user`: name of the column, which may be absent; `modes`: see `normaliseUser`; `isOpaque`: calls no
 *   file Parquet, so that an engine which reads Parquet by itself takes the rows from here and not past the map;
 *   `owners`: the column names several users a record, each of whom is rewritten
 */
export function normalisedSource(
  source: TableSource,
  options: {
    user: string;
    modes: readonly UserNormalisation[];
    isOpaque: boolean;
    owners?: OwnerForm | undefined;
  },
): TableSource {
  const { user, modes, owners } = options;
  const field = source.schema.fields.find(({ name }) => name === user);
  if (modes.length === 0 || field === undefined) return source;
  if (owners !== undefined) return new NormalisedSource(source, new OwnersMap(owners, modes), options);
  if (!isTextType(field.type)) return source;
  return new NormalisedSource(source, new UserMap(modes), options);
}
