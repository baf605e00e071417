import { Data, type DataType } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';

/** Share of places that may be taken, so that searches stay short. */
const mostFilled = 0.5;

/** FNV-1a, 32 bits. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

/** A copy of twice the length, or of `least` where that is more. */
export function grown<T extends Uint8Array | Int32Array | Float64Array>(
  array: T,
  make: (length: number) => T,
  least: number = 0,
): T {
  const larger = make(Math.max(2 * array.length, least));
  larger.set(array);
  return larger;
}

/** Numbers distinct texts from 0 in order of appearance, without a string object or a map entry for each. */
export class TextInterner {
  #bytes: Uint8Array = new Uint8Array(1 << 12);
  #offsets: Int32Array = new Int32Array(1 << 8);
  /** Pairs of a number, from 1, and the hash of its text; 0 where a place is free. */
  #slots: Int32Array = new Int32Array(1 << 10);
  #size = 0;
  /** Texts that have a slot; those that were added without looking get theirs when one is looked up. */
  #slotted = 0;
  /** Of the texts of a run. */
  #hashes = new Int32Array(0);
  #starts = new Int32Array(0);

  /** How many texts there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of the text whose UTF-8 bytes lie in `source` from `start` to `end`. */
  intern(source: Uint8Array, start = 0, end: number = source.length): number {
    if (this.#slotted < this.#size) this.#rehash();
    const hash = hashOf(source, start, end);
    const mask = this.#slots.length / 2 - 1;
    let slot = hash & mask;
    for (; this.#slots[2 * slot] !== 0; slot = (slot + 1) & mask) {
      const code = this.#slots[2 * slot]! - 1;
      if (this.#slots[2 * slot + 1] === hash && this.#isEqual(code, source, start, end)) return code;
    }
    this.#slots[2 * slot] = this.#size + 1;
    this.#slots[2 * slot + 1] = hash;
    this.#append(source, start, end);
    this.#slotted = this.#size;
    if (this.#size > mostFilled * (mask + 1)) this.#rehash();
    return this.#size - 1;
  }

  /**
   * Numbers the texts of a run; text `i` lies from `offsets[i]` to `offsets[i + 1]`. In three passes, so that the memory
   * that a hash leads to is fetched for many texts at a time: each look-up misses the cache.
   *
   * @param options - wanted: 1 where text `i` is to be numbered; codes: where the numbers go
   */
  internRun(
    { bytes, offsets }: { readonly bytes: Uint8Array; readonly offsets: Int32Array },
    { wanted, codes }: { readonly wanted: Uint8Array; readonly codes: Int32Array },
  ): void {
    if (this.#slotted < this.#size) this.#rehash();
    const count = codes.length;
    if (this.#hashes.length < count)
      [this.#hashes, this.#starts] = [new Int32Array(count), new Int32Array(count)];
    const [hashes, starts] = [this.#hashes, this.#starts];
    for (let i = 0; i < count; i++) hashes[i] = hashOf(bytes, offsets[i]!, offsets[i + 1]!);
    for (let i = 0; i < count; i++) codes[i] = wanted[i] === 1 ? this.#likely(hashes[i]!) : -1;
    for (let i = 0; i < count; i++) starts[i] = codes[i]! < 0 ? 0 : this.#offsets[codes[i]!]!;
    for (let i = 0; i < count; i++) {
      if (wanted[i] === 0) continue;
      const [start, end] = [offsets[i]!, offsets[i + 1]!];
      if (codes[i]! < 0 || !this.#isEqual(codes[i]!, bytes, start, end))
        codes[i] = this.intern(bytes, start, end);
    }
  }

  /** The first text with a hash, or -1. */
  #likely(hash: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let slot = hash & mask;
    while (slots[2 * slot] !== 0 && slots[2 * slot + 1] !== hash) slot = (slot + 1) & mask;
    return slots[2 * slot]! - 1;
  }

  /** Adds a text that is known to be new, which costs a copy and no search. */
  add(source: Uint8Array): number {
    this.#append(source, 0, source.length);
    return this.#size - 1;
  }

  /** Bytes of all texts, and where text `code` lies in them: from `offsets[code]` to `offsets[code + 1]`. */
  get texts(): { readonly bytes: Uint8Array; readonly offsets: Int32Array } {
    return { bytes: this.#bytes, offsets: this.#offsets };
  }

  /** The texts from number `from` on, as a column. */
  entries(type: DataType, from = 0): Data {
    const first = this.#offsets[from]!;
    const offsets = this.#offsets.slice(from, this.#size + 1).map(offset => offset - first);
    const values = this.#bytes.slice(first, this.#offsets[this.#size]);
    return new Data(type, 0, this.#size - from, 0, { 0: offsets, 1: values });
  }

  #isEqual(code: number, source: Uint8Array, start: number, end: number): boolean {
    const own = this.#offsets[code]!;
    if (this.#offsets[code + 1]! - own !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (this.#bytes[own + i] !== source[start + i]) return false;
    return true;
  }

  #append(source: Uint8Array, start: number, end: number): void {
    const used = this.#offsets[this.#size]!;
    const needed = used + end - start;
    if (needed > 2 ** 31 - 1) {
      throw new DpError(
        'INVALID_DATA',
        `Cannot build a dictionary: its texts would hold ${needed} bytes, above 2^31 - 1. Give that column as plain text.`,
      );
    }
    if (needed > this.#bytes.length)
      this.#bytes = grown(this.#bytes, length => new Uint8Array(length), needed);
    if (this.#size + 2 > this.#offsets.length)
      this.#offsets = grown(this.#offsets, length => new Int32Array(length));
    for (let from = start, to = used; from < end; from++, to++) this.#bytes[to] = source[from]!;
    this.#offsets[++this.#size] = needed;
  }

  #rehash(): void {
    const old = this.#slots;
    let places = old.length;
    while (this.#size > mostFilled * places) places *= 2;
    this.#slots = new Int32Array(2 * places);
    for (let at = 0; at < old.length; at += 2) if (old[at] !== 0) this.#place(old[at]!, old[at + 1]!);
    for (let code = this.#slotted; code < this.#size; code++) {
      const hash = hashOf(this.#bytes, this.#offsets[code]!, this.#offsets[code + 1]!);
      this.#place(code + 1, hash);
    }
    this.#slotted = this.#size;
  }

  /** Takes the first free slot for a number, counted from 1. */
  #place(number: number, hash: number): void {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    let slot = hash & mask;
    while (slots[2 * slot] !== 0) slot = (slot + 1) & mask;
    slots[2 * slot] = number;
    slots[2 * slot + 1] = hash;
  }
}
