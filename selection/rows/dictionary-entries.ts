import { type Data, Vector } from 'apache-arrow';

/** The dictionaries of one column, one after the other, each once. */
export class DictionaryEntries {
  readonly #starts = new Map<Vector, number>();
  readonly #chunks: Data[] = [];
  #length = 0;
  #all: Vector | undefined;

  /** The entries of all dictionaries so far. */
  get all(): Vector {
    return (this.#all ??= new Vector([...this.#chunks]));
  }

  /** Number of the first entry of a dictionary, counted over all of them. */
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
}
