import { type ByteArea, writeWord } from '../rows/bytes.ts';
import { headerBytes, RowPages } from '../rows/row-pages.ts';

/** Bytes of a page, if the budget allows. */
const usualPageBytes = 2 ** 17;
const leastPageBytes = 2 ** 10;

/** Place, bytes that follow, number and offset come before the tokens. */
const headWords = 4;

/** The tokens of a block. */
export interface BlockOfTokens {
  /** Its number among those of its user. */
  readonly number: number;
  /** Up to the next block. */
  readonly tokens: Int32Array;
}

/** Tokens of blocks, which come piece by piece in any order and go out block by block; what is above a budget is on the disk. */
export class BlockTokens {
  readonly #pages: RowPages;
  readonly #blocks: number;
  readonly #length: number;

  /** @param options - blocks: how many; bytes: about how many they take; budget: bytes in memory; folder: for the rest */
  constructor(options: {
    readonly blocks: number;
    readonly bytes: number;
    readonly budget: number;
    readonly folder: string;
  }) {
    const { blocks, bytes, budget, folder } = options;
    const stretches = bytes <= budget ? 1 : Math.min(512, Math.ceil((8 * bytes) / budget));
    this.#blocks = blocks;
    this.#length = Math.max(1, Math.ceil(blocks / stretches));
    const usual = Math.floor(budget / 2 / stretches);
    const pageBytes = Math.max(leastPageBytes, Math.min(usualPageBytes, usual));
    this.#pages = new RowPages({ stretches, pageBytes, budget, folder });
  }

  /** Takes a piece of the block at a place in, from `offset` on. */
  append(block: { place: number; number: number; offset: number }, tokens: Int32Array): void {
    const { place, number, offset } = block;
    const size = 4 * (headWords + tokens.length);
    const page = this.#pages.pageFor(Math.floor(place / this.#length), size);
    const at = page.length;
    writeWord(page, at, place);
    writeWord(page, at + 4, size - headerBytes);
    writeWord(page, at + 8, number);
    writeWord(page, at + 12, offset);
    wordsOf(page, page.bytes.length).set(tokens, (at >> 2) + headWords);
    page.length = at + size;
  }

  /** All blocks by place; they are gone afterwards. */
  *take(): Generator<BlockOfTokens> {
    for (let first = 0, stretch = 0; first < this.#blocks; first += this.#length, stretch++) {
      const count = Math.min(this.#length, this.#blocks - first);
      const { pages } = this.#pages.take(stretch, { first, count });
      const { numbers, starts, tokens } = joined(pages, { first, count });
      for (let place = 0; place < count; place++)
        yield { number: numbers[place]!, tokens: tokens.subarray(starts[place], starts[place + 1]) };
    }
  }

  close(): void {
    this.#pages.close();
  }
}

/** The bytes of a page as words; all that is written here is made of those. */
function wordsOf({ bytes }: ByteArea, length: number): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, length >> 2);
}

/** The blocks of a stretch one after the other: that at place `p` from `starts[p]` to `starts[p + 1]`. */
interface JoinedBlocks {
  readonly numbers: Int32Array;
  readonly starts: Int32Array;
  readonly tokens: Int32Array;
}

function joined(
  pages: readonly ByteArea[],
  { first, count }: { readonly first: number; readonly count: number },
): JoinedBlocks {
  const all = pages.map(page => wordsOf(page, page.length));
  const numbers = new Int32Array(count);
  const starts = new Int32Array(count + 1);
  for (const words of all)
    for (let at = 0; at < words.length; at += lengthAt(words, at)) {
      numbers[words[at]! - first] = words[at + 2]!;
      starts[words[at]! - first + 1]! += lengthAt(words, at) - headWords;
    }
  for (let place = 1; place <= count; place++) starts[place]! += starts[place - 1]!;
  const tokens = new Int32Array(starts[count]!);
  for (const words of all)
    for (let at = 0; at < words.length; at += lengthAt(words, at))
      tokens.set(
        words.subarray(at + headWords, at + lengthAt(words, at)),
        starts[words[at]! - first]! + words[at + 3]!,
      );
  return { numbers, starts, tokens };
}

/** Words of the piece that starts at a word. */
function lengthAt(words: Int32Array, at: number): number {
  return 2 + (words[at + 1]! >> 2);
}
