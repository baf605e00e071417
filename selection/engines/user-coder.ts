import { type Data, DataType, type Vector } from 'apache-arrow';
import { startsOf, type TextCells, textCells } from '../tables/cells.ts';
import { TextInterner } from '../tables/interner.ts';
import { canonicalOrder, type UserNames } from './canonical.ts';

/** The text of one user. */
export function userText({ bytes, offsets }: UserNames, user: number): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('utf8', offsets[user], offsets[user + 1]);
}

/** Entries of a dictionary, and the user that each is; -1 where that is not known yet. */
interface Entries {
  readonly codes: Int32Array;
  readonly cells: readonly TextCells[];
  readonly starts: readonly number[];
}

/** A dictionary whose entries, all different, are the users so far: entry `e` is user `e`. */
interface Adopted {
  readonly dictionary: Vector;
  readonly names: UserNames;
  readonly order: Int32Array;
}

/** The entries of a dictionary as names, where they lie in one run without nulls. */
function namesOf(dictionary: Vector): UserNames | undefined {
  const [data, ...others] = dictionary.data;
  if (data === undefined || others.length > 0 || data.nullCount > 0 || !DataType.isUtf8(data.type))
    return undefined;
  return { length: data.length, bytes: data.values, offsets: data.valueOffsets };
}

/** The first dictionary, in its order: in that of the rows every look-up would miss the cache. */
function internAll({ codes, cells }: Entries, interner: TextInterner): void {
  let at = 0;
  for (const part of cells) {
    for (let entry = 0; entry < part.length; entry++, at++) {
      if (!part.isNull(entry)) codes[at] = interner.intern(part.bytes(entry));
    }
  }
}

/**
 * Numbers the users of batches. The first dictionary is taken as it is where no entry repeats, which its sorting shows,
 * and users have to be sorted anyway; further dictionaries are looked up entry by entry, once.
 */
export class UserCoder {
  #interner = new TextInterner();
  #adopted: Adopted | undefined;
  readonly #known = new WeakMap<Vector, Entries>();

  get names(): UserNames {
    return this.#adopted?.names ?? { length: this.#interner.size, ...this.#interner.texts };
  }

  /** All users in the order of their UTF-8 bytes. */
  order(): Int32Array {
    return this.#adopted?.order ?? canonicalOrder(this.names).order;
  }

  /** Codes of the rows of a batch, written into `codes`; those without a user get -1. */
  codesOf(data: Data, hasUser: Uint8Array, codes: Int32Array): Int32Array {
    codes.fill(-1);
    if (DataType.isDictionary(data.type)) this.#codeEntries(data, hasUser, codes);
    else if (DataType.isUtf8(data.type)) this.#codeRun(data, hasUser, codes);
    else this.#codeCells(textCells(data), hasUser, codes);
    return codes;
  }

  #codeRun(data: Data, hasUser: Uint8Array, codes: Int32Array): void {
    this.#disown();
    const run = { bytes: data.values, offsets: data.valueOffsets };
    this.#interner.internRun(run, { wanted: hasUser, codes });
  }

  #codeCells(cells: TextCells, hasUser: Uint8Array, codes: Int32Array): void {
    this.#disown();
    const interner = this.#interner;
    for (let row = 0; row < codes.length; row++)
      if (hasUser[row] === 1) codes[row] = interner.intern(cells.bytes(row));
  }

  #codeEntries(data: Data, hasUser: Uint8Array, codes: Int32Array): void {
    const dictionary = data.dictionary!;
    const indices: ArrayLike<number | bigint> = data.values;
    if (this.#isAdopted(dictionary)) {
      for (let row = 0; row < codes.length; row++) if (hasUser[row] === 1) codes[row] = Number(indices[row]!);
      return;
    }
    const entries = this.#entriesOf(dictionary);
    for (let row = 0; row < codes.length; row++)
      if (hasUser[row] === 1) codes[row] = this.#codeOf(entries, Number(indices[row]!));
  }

  #codeOf({ codes, cells, starts }: Entries, index: number): number {
    const known = codes[index]!;
    if (known >= 0) return known;
    let part = starts.length - 1;
    while (starts[part]! > index) part--;
    return (codes[index] = this.#interner.intern(cells[part]!.bytes(index - starts[part]!)));
  }

  #isAdopted(dictionary: Vector): boolean {
    if (this.#adopted?.dictionary === dictionary) return true;
    if (this.#adopted !== undefined || this.#interner.size > 0) return false;
    const names = namesOf(dictionary);
    if (names === undefined) return false;
    const { order, hasRepeats } = canonicalOrder(names);
    if (hasRepeats) return false;
    this.#adopted = { dictionary, names, order };
    return true;
  }

  /** Goes on by looking users up; those of the dictionary keep their numbers. */
  #disown(): void {
    const adopted = this.#adopted;
    if (adopted === undefined) return;
    this.#adopted = undefined;
    this.#entriesOf(adopted.dictionary);
  }

  #entriesOf(dictionary: Vector): Entries {
    this.#disown();
    const found = this.#known.get(dictionary);
    if (found !== undefined) return found;
    const parts = dictionary.data;
    const codes = new Int32Array(dictionary.length).fill(-1);
    const entries = { codes, cells: parts.map(textCells), starts: startsOf(parts) };
    if (this.#interner.size === 0) internAll(entries, this.#interner);
    this.#known.set(dictionary, entries);
    return entries;
  }
}
