import { Data, Int32, Vector } from 'apache-arrow';
import { isNullAt } from './cells.ts';

/** The dictionaries of one column, one after the other, each once. */
export class DictionaryEntries {
  readonly #starts = new Map<Vector, number>();
  #chunks: Data[] = [];
  #length = 0;
  #all: Vector | undefined;

  /** The entries of all dictionaries so far. */
  get all(): Vector {
    return (this.#all ??= new Vector([...this.#chunks]));
  }

  /** Numbers, counted over all dictionaries, of the entries that some rows of a batch have. */
  codesOf(data: Data, rows: Int32Array): Data {
    const start = this.#startOf(data.dictionary!);
    const codes = new Int32Array(rows.length);
    const bitmap = new Uint8Array((rows.length + 7) >> 3);
    const indices: ArrayLike<number | bigint> = data.values;
    let valid = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      if (isNullAt(data, row)) continue;
      codes[i] = start + Number(indices[row]!);
      bitmap[i >> 3]! |= 1 << (i & 7);
      valid += 1;
    }
    const validity = valid === rows.length ? new Uint8Array(0) : bitmap;
    return new Data(new Int32(), 0, rows.length, rows.length - valid, { 1: codes, 2: validity });
  }

  clear(): void {
    this.#starts.clear();
    this.#chunks = [];
    this.#length = 0;
    this.#all = undefined;
  }

  #startOf(dictionary: Vector): number {
    const found = this.#starts.get(dictionary);
    if (found !== undefined) return found;
    const start = this.#length;
    this.#starts.set(dictionary, start);
    this.#chunks.push(...dictionary.data);
    this.#length += dictionary.length;
    this.#all = undefined;
    return start;
  }
}
