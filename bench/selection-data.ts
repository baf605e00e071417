/** Tables for the selection bench: heavy-tailed users, log-normal texts, made from a seed. */
import { join } from 'node:path';
import {
  Data,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  Vector,
} from 'apache-arrow';
import { openSink, type TableSink } from '../selection/tables/table-sink.ts';

const batchRows = 65_536;

/** Where the tables of one size lie. */
export interface BenchTables {
  readonly rows: number;
  readonly users: number;
  /** user (dictionary), record_id, length. */
  readonly narrow: string;
  /** The same with a plain user, as Parquet. */
  readonly parquet: string;
  /** user (dictionary), record_id, text. */
  readonly wide: string;
  /** As narrow, where one user has half of all rows. */
  readonly hot: string;
}

export function tablesIn(folder: string, rows: number): BenchTables {
  const at = (name: string): string => join(folder, name);
  return {
    rows,
    users: Math.ceil(rows / 10),
    narrow: at('narrow.arrow'),
    parquet: at('narrow.parquet'),
    wide: at('wide.arrow'),
    hot: at('hot.arrow'),
  };
}

/** xorshift32; good enough to scatter rows. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** A user for every row: counts fall as 1 / rank, at least 1 each, scattered. */
function ownersOf(rows: number, users: number): Int32Array {
  const random = generator(7);
  const owners = new Int32Array(rows);
  const harmonic = Math.log(users) + 0.5772;
  let row = 0;
  for (let rank = 1; rank <= users && row < rows; rank += 1) {
    const count = Math.max(1, Math.floor((rows - users) / harmonic / rank));
    for (let i = 0; i < count && row < rows; i += 1) owners[row++] = rank - 1;
  }
  for (; row < rows; row += 1) owners[row] = Math.floor(random() * users);
  for (let i = rows - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [owners[i], owners[j]] = [owners[j]!, owners[i]!];
  }
  return owners;
}

function utf8(bytes: Uint8Array, offsets: Int32Array): Data {
  return new Data(new Utf8(), 0, offsets.length - 1, 0, { 0: offsets, 1: bytes });
}

/** `user-0000000` and so on, in an order that says nothing of their counts. */
function userNames(users: number): Data {
  const width = 12;
  const text = Array.from(
    { length: users },
    (_, user) => `user-${String((user * 7_654_321) % users).padStart(7, '0')}`,
  );
  const offsets = Int32Array.from({ length: users + 1 }, (_, user) => width * user);
  return utf8(Buffer.from(text.join('')), offsets);
}

function lengthOf(random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(1, Math.min(20_000, Math.round(Math.exp(4.9 + 0.85 * normal))));
}

const filler = Buffer.from(
  'the quick brown fox jumps over the lazy dog and then some more of it. '.repeat(300),
);

function textsOf(lengths: Float64Array): Data {
  const offsets = new Int32Array(lengths.length + 1);
  for (const [row, length] of lengths.entries()) offsets[row + 1] = offsets[row]! + length;
  const bytes = Buffer.alloc(offsets[lengths.length]!);
  for (const [row, length] of lengths.entries()) filler.copy(bytes, offsets[row], 0, length);
  return utf8(bytes, offsets);
}

interface Columns {
  readonly owners: Int32Array;
  readonly ids: BigInt64Array;
  readonly lengths: Float64Array;
}

function batchOf(fields: Field[], children: Data[]): RecordBatch {
  return new RecordBatch(
    new Schema(fields),
    new Data(new Struct(fields), 0, children[0]!.length, 0, {}, children),
  );
}

function numbers(type: Int32 | Int64 | Float64, values: Int32Array | BigInt64Array | Float64Array): Data {
  return new Data(type, 0, values.length, 0, { 1: values });
}

class Table {
  readonly #fields: Field[];
  readonly #columns: (columns: Columns) => Data[];
  readonly #sink: TableSink;

  private constructor(fields: Field[], columns: (columns: Columns) => Data[], sink: TableSink) {
    this.#fields = fields;
    this.#columns = columns;
    this.#sink = sink;
  }

  static async open(path: string, fields: Field[], columns: (columns: Columns) => Data[]): Promise<Table> {
    const format = path.endsWith('.parquet') ? 'parquet' : 'arrow';
    return new Table(fields, columns, await openSink(path, { schema: new Schema(fields), format }));
  }

  async write(columns: Columns): Promise<void> {
    await this.#sink.write(batchOf(this.#fields, this.#columns(columns)));
  }

  async finish(): Promise<void> {
    await this.#sink.finish();
  }
}

/** Writes all tables. */
export async function makeTables(tables: BenchTables): Promise<void> {
  const { rows, users } = tables;
  const names = userNames(users);
  const dictionary = new Vector([names]);
  const coded = new Dictionary(new Utf8(), new Int32(), 1);
  const userOf = (owners: Int32Array): Data =>
    new Data(coded, 0, owners.length, 0, { 1: owners }, [], dictionary);
  const plainOf = (owners: Int32Array): Data => {
    const offsets = Int32Array.from({ length: owners.length + 1 }, (_, row) => 12 * row);
    const bytes = Buffer.alloc(12 * owners.length);
    for (const [row, owner] of owners.entries())
      bytes.set(names.values.subarray(12 * owner, 12 * owner + 12), 12 * row);
    return utf8(bytes, offsets);
  };
  const id = new Field('record_id', new Int64(), false);
  const length = new Field('length', new Float64(), false);
  const user = new Field('user', coded, false);
  const narrow = ({ owners, ids, lengths }: Columns): Data[] => [
    userOf(owners),
    numbers(new Int64(), ids),
    numbers(new Float64(), lengths),
  ];
  const written = [
    await Table.open(tables.narrow, [user, id, length], narrow),
    await Table.open(tables.hot, [user, id, length], ({ owners, ...rest }) =>
      narrow({ owners: owners.map((owner, row) => (row % 2 === 0 ? 0 : owner)), ...rest }),
    ),
    await Table.open(
      tables.parquet,
      [new Field('user', new Utf8(), false), id, length],
      ({ owners, ids, lengths }) => [
        plainOf(owners),
        numbers(new Int64(), ids),
        numbers(new Float64(), lengths),
      ],
    ),
    await Table.open(
      tables.wide,
      [user, id, new Field('text', new Utf8(), false)],
      ({ owners, ids, lengths }) => [userOf(owners), numbers(new Int64(), ids), textsOf(lengths)],
    ),
  ];
  const owners = ownersOf(rows, users);
  const random = generator(11);
  for (let at = 0; at < rows; at += batchRows) {
    const some = owners.slice(at, at + batchRows);
    const ids = BigInt64Array.from(some, (_, row) => BigInt(at + row));
    const lengths = Float64Array.from(some, () => lengthOf(random));
    for (const table of written) await table.write({ owners: some, ids, lengths });
  }
  for (const table of written) await table.finish();
}
