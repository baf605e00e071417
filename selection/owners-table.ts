import { getHeapStatistics } from 'node:v8';
import type { Data } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import { cannotSelect, enterStage, type SelectionCounts, type SelectionRequest } from './engines/engine.ts';
import { RowPlaces } from './engines/row-places.ts';
import type { OwnedRecords } from './owners.ts';
import type { OwnerForm } from './owners-column.ts';
import { type OwnerLists } from './owners-order.ts';
import {
  idReader,
  lengthReader,
  nullOwner,
  ownersReader,
  type Place,
  scoreReader,
} from './owners-readers.ts';
import { repeatedRecords } from './owners-repeats.ts';
import { usesLengths, usesScores } from './rule.ts';
import { contributionsOf } from './statistics.ts';
import { TextInterner } from './tables/interner.ts';
import type { TableSource } from './tables/index.ts';
import { invalidFile } from './tables/source.ts';

/** What selection looks at, for records that may have several owners; all of it is in memory. */
export interface OwnedTable {
  readonly records: OwnedRecords;
  /** Row of the source of every record. */
  readonly rows: Int32Array;
  /** Names rows that have no id of their own. */
  readonly places: RowPlaces;
  readonly counts: SelectionCounts;
}

/** Bytes of a record, an owner of it and a user while rows are read and ordered, beside the texts of ids. */
export const ownedBytes = { record: 240, ownership: 24, user: 160 } as const;

/** A `Map` holds no more. */
const mostRecords = 2 ** 24 - 1;

/** Collects records, and refuses what does not fit into memory. */
class Collector {
  readonly ids: string[] = [];
  readonly rows: number[] = [];
  readonly starts: number[] = [0];
  readonly indices: number[] = [];
  readonly #users: TextInterner = new TextInterner();
  readonly #limit: number;
  #bytes = 0;

  constructor(memoryLimit: number) {
    this.#limit = Math.min(memoryLimit, 0.7 * getHeapStatistics().heap_size_limit);
  }

  add(row: number, id: string, owners: readonly Uint8Array[]): void {
    this.rows.push(row);
    this.ids.push(id);
    this.#addOwners(owners);
    this.#bytes += ownedBytes.record + 2 * id.length;
    if (this.#bytes > this.#limit || this.ids.length > mostRecords) throw this.#tooLarge();
  }

  users(): string[] {
    const { bytes, offsets } = this.#users.texts;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: this.#users.size }, (_, user) =>
      text.toString('utf8', offsets[user], offsets[user + 1]),
    );
  }

  /** One owner named twice in a row counts once. */
  #addOwners(owners: readonly Uint8Array[]): void {
    const { indices, starts } = this;
    const start = indices.length;
    for (const owner of owners) {
      const before = this.#users.size;
      const user = this.#users.intern(owner);
      if (this.#users.size > before) this.#bytes += ownedBytes.user + 3 * owner.length;
      if (indices.indexOf(user, start) < 0) indices.push(user);
    }
    starts.push(indices.length);
    this.#bytes += ownedBytes.ownership * (indices.length - start);
  }

  #tooLarge(): DpError {
    const bytes = Math.round(this.#limit / 2 ** 20);
    const reason =
      this.ids.length > mostRecords
        ? `there are more than ${mostRecords} records of several owners, which are ordered in memory`
        : `records of several owners are ordered in memory, and the first ${this.ids.length} take about ${bytes} MiB`;
    return new DpError(
      'INVALID_ARGUMENT',
      `Cannot select: ${reason}. Raise the memory limit and the heap of Node (--max-old-space-size), or choose one owner a record.`,
    );
  }
}

/** Columns that are looked at, each once. */
function columnsFor({ columns, rule, tokenizer }: SelectionRequest): string[] {
  const { user, id, text, score } = columns;
  const readsText = usesLengths(rule.strategy) || tokenizer !== undefined;
  const names = [user, id, readsText ? text : undefined, usesScores(rule.strategy) ? score : undefined];
  return [...new Set(names.filter(name => name !== undefined && name !== null))];
}

/** Numbers by record that a rule may look at. */
interface Measures {
  readonly lengths: number[] | undefined;
  readonly tokens: number[] | undefined;
  readonly scores: number[] | undefined;
}

/** The one batch of a column, by name. */
type ColumnOf = (name: string) => Data;

/** Reads a table batch by batch. */
class TableReader {
  readonly places: RowPlaces;
  readonly measures: Measures;
  readonly found: Collector;
  readonly #source: TableSource;
  readonly #request: SelectionRequest;
  readonly #form: OwnerForm;
  nullUsers = 0;

  constructor(source: TableSource, request: SelectionRequest, form: OwnerForm) {
    const { columns, rule, tokenizer, memoryLimit } = request;
    this.#source = source;
    this.#request = request;
    this.#form = form;
    this.places = new RowPlaces(source);
    this.found = new Collector(memoryLimit);
    this.measures = {
      lengths: usesLengths(rule.strategy) ? [] : undefined,
      tokens: tokenizer === undefined || columns.text === undefined ? undefined : [],
      scores: usesScores(rule.strategy) ? [] : undefined,
    };
  }

  async read(): Promise<void> {
    const options = { columns: columnsFor(this.#request), reuse: true };
    for await (const { batch, ...at } of this.#source.batches(options)) {
      if (batch.numRows === 0) continue;
      enterStage(this.#request, 'read');
      this.places.see({ ...at, rows: batch.numRows });
      const place = { path: this.#source.files[at.file]!.path, rowInFile: at.rowInFile };
      this.#addBatch(place, name => batch.getChild(name)!.data[0]!, { rows: batch.numRows, ...at });
    }
    const [first] = this.#source.files;
    if (this.places.rows === 0)
      throw invalidFile(first!.path, 'it holds 0 rows', 'Give a table with at least one record');
  }

  #addBatch(place: Place, column: ColumnOf, at: { rows: number; firstRow: number }): void {
    const { nullUsers } = this.#request;
    const { found } = this;
    const { user, id } = this.#request.columns;
    const ownersOf = ownersReader(place, column(user), { name: user, form: this.#form });
    const idOf = id === null ? undefined : idReader(place, id, column(id));
    const measure = this.#measurer(place, column);
    for (let row = 0; row < at.rows; row++) {
      const owners = ownersOf(row);
      if (owners === null) {
        if (nullUsers === 'error') throw nullOwner(place, row);
        this.nullUsers += 1;
        continue;
      }
      const number = at.firstRow + row;
      found.add(number, idOf === undefined ? this.places.nameOf(number) : idOf(row), owners);
      measure(row);
    }
  }

  #measurer(place: Place, column: ColumnOf): (row: number) => void {
    const { columns, lengthUnit: unit, tokenizer } = this.#request;
    const { text: name = '', score = '' } = columns;
    const { lengths, tokens, scores } = this.measures;
    const lengthOf = lengths && lengthReader(place, column(name), { unit, tokenizer, name });
    const tokensOf = tokens && lengthReader(place, column(name), { unit: 'tokens', tokenizer, name });
    const scoreOf = scores && scoreReader(place, score, column(score));
    return row => {
      if (lengthOf !== undefined) lengths!.push(lengthOf(row));
      if (tokensOf !== undefined) tokens!.push(tokensOf(row));
      if (scoreOf !== undefined) scores!.push(scoreOf(row));
    };
  }
}

function listsOf(starts: readonly number[], indices: readonly number[]): OwnerLists {
  return { starts: Int32Array.from(starts), indices: Int32Array.from(indices) };
}

/** Lists of owners of some records. */
function someLists({ starts, indices }: OwnerLists, places: Int32Array): OwnerLists {
  const someStarts = new Int32Array(places.length + 1);
  for (let i = 0; i < places.length; i++)
    someStarts[i + 1] = someStarts[i]! + starts[places[i]! + 1]! - starts[places[i]!]!;
  const some = new Int32Array(someStarts.at(-1)!);
  for (let i = 0; i < places.length; i++)
    some.set(indices.subarray(starts[places[i]!], starts[places[i]! + 1]), someStarts[i]);
  return { starts: someStarts, indices: some };
}

/** Records of a user to number of users with so many: a record counts for each of its owners. */
function contributions({ indices }: OwnerLists, users: number): Map<number, number> {
  const counts = new Int32Array(users);
  for (let i = 0; i < indices.length; i++) counts[indices[i]!]! += 1;
  return contributionsOf(counts);
}

function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum;
}

/** Records in their places, those that repeat an id of an owner left out. */
function placesKept(
  records: { readonly ids: readonly string[]; readonly owners: OwnerLists },
  users: number,
  refuse: (place: number) => void,
): Int32Array {
  const repeated = repeatedRecords(records, users);
  for (const place of repeated) refuse(place);
  const isRepeated = new Set(repeated);
  return Int32Array.from(records.ids.keys()).filter(place => !isRepeated.has(place));
}

/** Refuses a rule that looks at a column which nobody named. */
function checkNamed({ columns, rule }: SelectionRequest): void {
  const missing = [
    usesLengths(rule.strategy) && columns.text === undefined ? 'text' : undefined,
    usesScores(rule.strategy) && columns.score === undefined ? 'score' : undefined,
  ].find(name => name !== undefined);
  if (missing !== undefined)
    throw cannotSelect(`${rule.strategy} looks at the ${missing} column, which is undefined`, 'Name it');
}

/**
 * Reads what selection looks at of records with several owners: owners, ids, and lengths, tokens or scores where they are
 * wanted. Texts stay on the disk. Tokens are counted where there is a tokenizer.
 *
 * @throws DpError `INVALID_DATA`, `NULL_USER` and `DUPLICATE_RECORD` with file and row; `INVALID_ARGUMENT` where the
 *   memory limit is passed; `INTERRUPTED`
 */
export async function readOwned(
  source: TableSource,
  request: SelectionRequest,
  form: OwnerForm,
): Promise<OwnedTable> {
  checkNamed(request);
  const reader = new TableReader(source, request, form);
  await reader.read();
  const { found, places, measures, nullUsers } = reader;
  enterStage(request, 'validate');
  const users = found.users();
  const owners = listsOf(found.starts, found.indices);
  const kept = placesKept({ ids: found.ids, owners }, users.length, place => {
    if (request.duplicates === 'error') throw places.duplicate(found.rows[place]!);
  });
  const some = (column: readonly number[] | undefined): Float64Array | undefined =>
    column && Float64Array.from(kept, place => column[place]!);
  const lists = someLists(owners, kept);
  const tokens = some(measures.tokens);
  return {
    records: {
      users,
      owners: lists,
      ids: Array.from(kept, place => found.ids[place]!),
      lengths: some(measures.lengths),
      tokens,
      scores: some(measures.scores),
    },
    rows: kept.map(place => found.rows[place]!),
    places,
    counts: {
      recordsIn: places.rows,
      dropped: { nullUsers, duplicates: found.ids.length - kept.length },
      contributions: contributions(lists, users.length),
      tokens: tokens && sumOf(tokens),
    },
  };
}
