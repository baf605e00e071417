import type { HashPair } from './statistics-hash.ts';

/** Slots are filled up to this share, so that searches stay short. */
const mostFilled = 0.7;

/** A slot is two words of hash, a count and an owner, side by side so that a search touches one line of the cache. */
const slotWords = 4;
const highAt = 1;
const countAt = 2;
const ownerAt = 3;

/** Owners are user + 1; these two say otherwise. */
const nobody = 0;
const several = -1;

/** Records counted and those whose text two or more users have. */
export interface SharedCounts {
  readonly compared: number;
  readonly shared: number;
}

/**
 * Distinct texts, as 64-bit hashes, with the number of their records and whether more than one user has them.
 *
 * Open addressing with linear steps. Where the memory is used up, the texts whose hash has an odd next bit are
 * forgotten, and so are those to come: what stays is a sample of the distinct texts, each with all of its records
 * (Gibbons, VLDB 2001).
 */
export class TextTable {
  readonly #mostSlots: number;
  #slots: Int32Array = new Int32Array(slotWords << 10);
  #filled = 0;
  #level = 0;

  /** @param memoryLimit - bytes, also while the table is being enlarged */
  constructor(memoryLimit: number) {
    const fitting = Math.max(1 << 10, memoryLimit / (1.5 * 4 * slotWords));
    this.#mostSlots = Math.min(2 ** 29, 2 ** Math.floor(Math.log2(fitting)));
  }

  /** 1 while every text is held, then 1/2, 1/4, … */
  get rate(): number {
    return 2 ** -this.#level;
  }

  /**
   * Counts a record; its hash must be that of its text, and `low` must be even for short texts and odd for long ones.
   *
   * @param user - 0 to 2^31 - 2
   */
  add(hash: HashPair, user: number): void {
    if (!this.#isSampled(hash.high)) return;
    const slots = this.#slots;
    const at = this.#find(hash.low, hash.high);
    slots[at + countAt]! += 1;
    if (slots[at + ownerAt] === nobody) this.#fill(at, hash, user);
    else if (slots[at + ownerAt] !== user + 1) slots[at + ownerAt] = several;
  }

  /** Records of all texts that the sample holds, or of the long ones alone. */
  count(isLongOnly: boolean): SharedCounts {
    const slots = this.#slots;
    let compared = 0;
    let shared = 0;
    for (let at = 0; at < slots.length; at += slotWords) {
      if (isLongOnly && (slots[at]! & 1) === 0) continue;
      compared += slots[at + countAt]!;
      if (slots[at + ownerAt] === several) shared += slots[at + countAt]!;
    }
    return { compared, shared };
  }

  #isSampled(high: number): boolean {
    return (high & (2 ** this.#level - 1)) === 0;
  }

  /** Where a text is, or the free slot where it belongs. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = ((low >>> 1) * slotWords) & mask;
    while (slots[at + ownerAt] !== nobody && (slots[at] !== low || slots[at + highAt] !== high)) {
      at = (at + slotWords) & mask;
    }
    return at;
  }

  #fill(at: number, { low, high }: HashPair, user: number): void {
    const slots = this.#slots;
    slots[at] = low;
    slots[at + highAt] = high;
    slots[at + ownerAt] = user + 1;
    this.#filled += 1;
    if (this.#filled * slotWords > mostFilled * slots.length) this.#makeRoom();
  }

  #makeRoom(): void {
    const words = this.#slots.length;
    const isFull = (2 * words) / slotWords > this.#mostSlots;
    if (isFull) this.#level += 1;
    this.#moveInto(new Int32Array(isFull ? words : 2 * words));
  }

  #moveInto(target: Int32Array): void {
    const source = this.#slots;
    this.#slots = target;
    this.#filled = 0;
    for (let at = 0; at < source.length; at += slotWords) {
      if (source[at + ownerAt] === nobody || !this.#isSampled(source[at + highAt]!)) continue;
      const place = this.#find(source[at]!, source[at + highAt]!);
      for (let word = 0; word < slotWords; word++) target[place + word] = source[at + word]!;
      this.#filled += 1;
    }
  }
}
