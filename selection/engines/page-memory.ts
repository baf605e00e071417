/** Words of a piece of memory at most: 1 GiB. */
const mostWords = 2 ** 28;

/** Memory for pages of one size, in pieces that hold many of them; what isn't written to is not taken from the system. */
export class PageMemory {
  #words = new Int32Array(0);
  #used = 0;
  #free: number[] = [];
  readonly #pageWords: number;
  readonly #pieceWords: number;

  /** @param options - pages: about how many will be needed */
  constructor(pageWords: number, { pages }: { readonly pages: number }) {
    this.#pageWords = pageWords;
    const most = Math.max(1, Math.floor(mostWords / pageWords));
    this.#pieceWords = pageWords * Math.max(1, Math.min(most, Math.ceil(pages)));
  }

  /** The piece that pages are taken from. */
  get words(): Int32Array {
    return this.#words;
  }

  get hasRoom(): boolean {
    return this.#free.length > 0 || this.#used + this.#pageWords <= this.#words.length;
  }

  /** Goes on with another piece; the pages of the one before stay as they are as long as somebody holds them. */
  renew(): void {
    this.#words = new Int32Array(this.#pieceWords);
    this.#used = 0;
    this.#free = [];
  }

  /** Where a page starts in the piece; there must be room. */
  take(): number {
    const start = this.#free.pop() ?? this.#used;
    if (start === this.#used) this.#used += this.#pageWords;
    return start;
  }

  /** Takes a page back. */
  give(words: Int32Array, start: number): void {
    if (words === this.#words) this.#free.push(start);
  }
}
