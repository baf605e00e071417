import { type Data, DataType, type Vector } from 'apache-arrow';
import { startsOf, type TextCells, textCells } from '../tables/cells.ts';
import { TextInterner } from '../tables/interner.ts';
import { float64Column, int32Column, type NumberColumn } from './narrow-columns.ts';
import type { NarrowIds, NarrowIdsBuilder } from './narrow-ids.ts';
import type { NarrowBatch } from './narrow-reader.ts';

/** Distinct users as UTF-8: user u lies from `offsets[u]` to `offsets[u + 1]`. */
export interface UserNames {
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
}

/** What ranking looks at, by row. */
export interface NarrowRecords {
  readonly users: { readonly length: number; textOf(user: number): string };
  /** Row to user; -1 where there is none. */
  readonly userOf: Int32Array;
  readonly ids: NarrowIds;
  readonly measures: Float64Array | Int32Array | undefined;
  readonly tokens: Int32Array | undefined;
}

/** The text of one user. */
export function userText({ bytes, offsets }: UserNames, user: number): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('utf8', offsets[user], offsets[user + 1]);
}

/** Numbers the users of batches; a dictionary is looked up entry by entry, once. */
export class UserCoder {
  readonly #interner = new TextInterner();
  readonly #known = new WeakMap<Vector, { codes: Int32Array; cells: TextCells[]; starts: number[] }>();

  get names(): UserNames {
    return { length: this.#interner.size, ...this.#interner.texts };
  }

  /** Codes of the rows of a batch; those without a user get -1. */
  codesOf(data: Data, hasUser: Uint8Array): Int32Array {
    const codes = new Int32Array(data.length).fill(-1);
    const read = DataType.isDictionary(data.type) ? this.#entryCoder(data) : this.#cellCoder(data);
    for (let row = 0; row < codes.length; row++) if (hasUser[row] === 1) codes[row] = read(row);
    return codes;
  }

  #cellCoder(data: Data): (row: number) => number {
    const cells = textCells(data);
    return row => this.#interner.intern(cells.bytes(row));
  }

  #entryCoder(data: Data): (row: number) => number {
    const { codes, cells, starts } = this.#entriesOf(data.dictionary!);
    const indices: ArrayLike<number | bigint> = data.values;
    return row => {
      const index = Number(indices[row]!);
      const known = codes[index]!;
      if (known >= 0) return known;
      let part = starts.length - 1;
      while (starts[part]! > index) part--;
      return (codes[index] = this.#interner.intern(cells[part]!.bytes(index - starts[part]!)));
    };
  }

  /** The first dictionary, in its order: in that of the rows every look-up would miss the cache. */
  #internAll({ codes, cells }: { codes: Int32Array; cells: TextCells[] }): void {
    let at = 0;
    for (const part of cells) {
      for (let entry = 0; entry < part.length; entry++, at++) {
        if (!part.isNull(entry)) codes[at] = this.#interner.intern(part.bytes(entry));
      }
    }
  }

  #entriesOf(dictionary: Vector): { codes: Int32Array; cells: TextCells[]; starts: number[] } {
    const found = this.#known.get(dictionary);
    if (found !== undefined) return found;
    const parts = dictionary.data;
    const codes = new Int32Array(dictionary.length).fill(-1);
    const entries = { codes, cells: parts.map(textCells), starts: startsOf(parts) };
    if (this.#interner.size === 0) this.#internAll(entries);
    this.#known.set(dictionary, entries);
    return entries;
  }
}

/** Collects narrow batches into records. */
export class NarrowStore {
  readonly #userOf: NumberColumn<Int32Array>;
  readonly #ids: NarrowIdsBuilder;
  readonly #isScore: boolean;
  readonly #expected: number | undefined;
  #measures: NumberColumn<Float64Array> | NumberColumn<Int32Array> | undefined;
  #tokens: NumberColumn<Int32Array> | undefined;

  /** @param options - expected: rows that will come, where that is known, so that nothing is copied at the end */
  constructor(
    ids: NarrowIdsBuilder,
    options: { readonly isScore: boolean; readonly expected?: number | undefined },
  ) {
    this.#ids = ids;
    this.#isScore = options.isScore;
    this.#expected = options.expected;
    this.#userOf = int32Column(options.expected);
  }

  /** @param codes - user of each row, -1 for none */
  append(batch: Pick<NarrowBatch, 'rows' | 'ids' | 'measures' | 'tokens'>, codes: Int32Array): void {
    this.#userOf.append(codes);
    this.#ids.append({ data: batch.ids, rows: batch.rows });
    if (batch.measures !== undefined) {
      const column = (this.#measures ??= this.#isScore
        ? float64Column(this.#expected)
        : int32Column(this.#expected));
      column.append(batch.measures);
    }
    if (batch.tokens !== undefined) {
      const column = (this.#tokens ??= int32Column(this.#expected));
      column.append(batch.tokens);
    }
  }

  finish(users: NarrowRecords['users']): NarrowRecords {
    return {
      users,
      userOf: this.#userOf.take(),
      ids: this.#ids.finish(),
      measures: this.#measures?.take(),
      tokens: this.#tokens?.take(),
    };
  }
}
