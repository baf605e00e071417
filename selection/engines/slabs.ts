const firstSlab = 2 ** 16;
const largestSlab = 2 ** 24;

/**
 * Cuts arrays out of large pieces of memory. Every piece that is asked for counts towards the next garbage collection, so that
 * ten thousand small arrays cost dozens of them.
 */
export class Slabs {
  #slab = new ArrayBuffer(0);
  #used = 0;
  #next = firstSlab;

  words(length: number): Int32Array {
    const start = this.#take(4 * length);
    return new Int32Array(this.#slab, start, length);
  }

  scores(length: number): Float64Array {
    const start = this.#take(8 * length);
    return new Float64Array(this.#slab, start, length);
  }

  /** Where so many bytes start in `#slab`. */
  #take(bytes: number): number {
    const padded = 8 * Math.ceil(bytes / 8);
    if (this.#used + padded > this.#slab.byteLength) {
      this.#slab = new ArrayBuffer(Math.max(this.#next, padded));
      this.#next = Math.min(largestSlab, 2 * this.#next);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += padded;
    return start;
  }
}
