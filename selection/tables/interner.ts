import { Data, type DataType } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';

/** Places that are kept free, so that searches stay short. */
const mostFilled = 0.7;

/** FNV-1a, 32 bits. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function grown<T extends Uint8Array | Int32Array>(array: T, make: (length: number) => T, least: number): T {
  const larger = make(Math.max(2 * array.length, least));
  larger.set(array);
  return larger;
}

/** Numbers distinct texts from 0 in order of appearance, without a string object or a map entry for each. */
export class TextInterner {
  #bytes: Uint8Array = new Uint8Array(1 << 12);
  #offsets: Int32Array = new Int32Array(1 << 8);
  #slots: Int32Array = new Int32Array(1 << 9);
  #size = 0;
  /** Texts that have a slot; those that were added without looking get theirs when one is looked up. */
  #slotted = 0;

  /** How many texts there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of the text whose UTF-8 bytes lie in `source` from `start` to `end`. */
  intern(source: Uint8Array, start = 0, end: number = source.length): number {
    if (this.#slotted < this.#size) this.#rehash();
    const mask = this.#slots.length - 1;
    let slot = hashOf(source, start, end) & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const code = this.#slots[slot]! - 1;
      if (this.#isEqual(code, source, start, end)) return code;
    }
    this.#slots[slot] = this.#size + 1;
    this.#append(source, start, end);
    this.#slotted = this.#size;
    if (this.#size > mostFilled * this.#slots.length) this.#rehash();
    return this.#size - 1;
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
      this.#offsets = grown(this.#offsets, length => new Int32Array(length), 0);
    for (let from = start, to = used; from < end; from++, to++) this.#bytes[to] = source[from]!;
    this.#offsets[++this.#size] = needed;
  }

  #rehash(): void {
    let length = 2 * this.#slots.length;
    while (this.#size > mostFilled * length) length *= 2;
    const slots = new Int32Array(length);
    for (let code = 0; code < this.#size; code++) {
      let slot = hashOf(this.#bytes, this.#offsets[code]!, this.#offsets[code + 1]!) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = code + 1;
    }
    this.#slots = slots;
    this.#slotted = this.#size;
  }
}
