import { utf8Length } from './key.ts';
import { paddedLength, sha256InPlace } from './sha256.ts';

const encoder = new TextEncoder();

/** Texts as UTF-8, one after the other: text i is `bytes[starts[i]]` to `bytes[starts[i + 1] - 1]`. */
interface Pieces {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
}

function piecesOf(texts: readonly string[]): Pieces {
  const starts = new Int32Array(texts.length + 1);
  for (const [index, text] of texts.entries()) starts[index + 1] = starts[index]! + utf8Length(text);
  const bytes = new Uint8Array(starts.at(-1)!);
  for (const [index, text] of texts.entries()) encoder.encodeInto(text, bytes.subarray(starts[index]));
  return { bytes, starts };
}

/**
 * Computes the key K of records with one or more owners. For one owner it is that of the selection contract, v1:
 * SHA-256 over `<seed>:<byte length of user>:<user>:<record id>`. For n > 1 the hashed text is `<seed>:<n>x`, then
 * `<byte length>:<owner>:` for each owner in the order of their UTF-8 bytes, then the record id. Where the first number
 * is followed by a colon in one form it is followed by `x` in the other, so no two records share a text.
 *
 * Every owner is encoded once; `KeyHasher` would encode them anew for each record whose owners are others.
 */
export class OwnerKeyHasher {
  readonly #seed: string;
  readonly #owners: Pieces;
  #bytes: Uint8Array = new Uint8Array(256);
  #length = 0;

  /** @param names - of the owners, by the numbers that `write` gets */
  constructor(seed: string, names: readonly string[]) {
    this.#seed = seed;
    this.#owners = piecesOf(names.map(name => `${utf8Length(name)}:${name}:`));
  }

  /**
   * Writes the eight words of K.
   *
   * @param owners - in the order of their UTF-8 bytes, each once
   */
  write(owners: Int32Array, recordId: string, target: { out: Uint32Array; at: number }): void {
    this.#length = 0;
    this.#append(owners.length === 1 ? `${this.#seed}:` : `${this.#seed}:${owners.length}x`);
    for (const owner of owners) this.#appendOwner(owner);
    this.#append(recordId);
    sha256InPlace(this.#bytes, this.#length, target);
  }

  #appendOwner(owner: number): void {
    const { bytes, starts } = this.#owners;
    const end = starts[owner + 1]!;
    this.#reserve(end - starts[owner]!);
    for (let at = starts[owner]!; at < end; at++) this.#bytes[this.#length++] = bytes[at]!;
  }

  #append(text: string): void {
    this.#reserve(3 * text.length);
    const start = this.#length;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) {
        this.#length = start + encoder.encodeInto(text, this.#bytes.subarray(start)).written;
        return;
      }
      this.#bytes[this.#length++] = unit;
    }
  }

  /** Room for so many bytes more and for the padding. */
  #reserve(more: number): void {
    const needed = paddedLength(this.#length + more);
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(2 * needed);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
