import { randomBytes } from 'node:crypto';
import { HalfSipHash, type HashPair } from './statistics-hash.ts';
import { TextTable } from './statistics-texts.ts';
import { normaliseUser, userNormalisations } from './user-ids.ts';

/** Printable ASCII without capitals and spaces: such an id is its own normal form. */
function isPlain(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte <= 32 || byte > 126 || (byte >= 65 && byte <= 90)) return false;
  }
  return true;
}

/**
 * Counts, in one pass over distinct user ids, those that differ from another by case, white space or Unicode
 * normalisation alone: the `ids` of `userIdVariants`, in bounded memory.
 */
export class SimilarUsers {
  readonly #table: TextTable;
  readonly #hasher: HalfSipHash = new HalfSipHash(randomBytes(8));
  readonly #hash: HashPair = { low: 0, high: 0 };
  #users = 0;

  /** @param memoryLimit - bytes; past it a sample is counted and scaled up */
  constructor(memoryLimit: number) {
    this.#table = new TextTable(memoryLimit);
  }

  /** Counts one id, which must not come again. */
  add(id: Uint8Array): void {
    const form = isPlain(id)
      ? id
      : Buffer.from(normaliseUser(Buffer.from(id).toString(), userNormalisations));
    this.#hasher.hash(form, form.length, this.#hash);
    this.#hash.low &= ~1;
    this.#table.add(this.#hash, this.#users);
    this.#users += 1;
  }

  /** Ids in groups of two or more with one normal form; raw count, not private. */
  result(): number {
    const { compared, shared } = this.#table.count(false);
    return compared === this.#users ? shared : Math.round((shared / Math.max(1, compared)) * this.#users);
  }
}
