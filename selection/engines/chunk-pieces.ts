import { type ByteArea, writeWord } from '../rows/bytes.ts';
import { RowPages } from '../rows/row-pages.ts';
import { lastStart } from '../tables/last-start.ts';
import { RowBits } from './row-bits.ts';

/** Tokens of one record that a kept block takes. */
export interface Piece {
  /** Row of the source. */
  row: number;
  /** Number of the block among all that are kept. */
  block: number;
  /** Its number among those of its user. */
  number: number;
  /** Where the piece goes in the block. */
  offset: number;
  /** Where it starts in the record. */
  start: number;
  length: number;
}

/** A piece in a page: its row, the bytes that follow, and the rest of it. */
const pieceWords = 7;
const bodyBytes = 20;

/** Pieces of a stretch of rows at most, save where one row has more. */
const mostPieces = 2 ** 17;

/** Cuts the rows of a source into stretches of about as many pieces, by the tokens of their texts. */
export class RowStretches {
  readonly #chunkTokens: number;
  readonly #starts: number[] = [0];
  #weight = 0;
  #rows = 0;

  constructor(chunkTokens: number) {
    this.#chunkTokens = chunkTokens;
  }

  /** Rows seen. */
  get rows(): number {
    return this.#rows;
  }

  get length(): number {
    return this.#starts.length;
  }

  /** Takes the next rows in. */
  see(tokens: ArrayLike<number>): void {
    for (let row = 0; row < tokens.length; row++) {
      this.#rows += 1;
      this.#weight += 2 + tokens[row]! / this.#chunkTokens;
      if (this.#weight < mostPieces) continue;
      this.#starts.push(this.#rows);
      this.#weight = 0;
    }
  }

  startOf(stretch: number): number {
    return this.#starts[stretch] ?? this.#rows;
  }

  indexOf(row: number): number {
    return lastStart(this.#starts, row);
  }
}

/** Where pieces may be held. */
export interface PieceRoom {
  /** Bytes in memory. */
  readonly budget: number;
  /** For the rest. */
  readonly folder: string;
}

/** Pieces of kept blocks, which come user by user and go out row by row; they lie on the disk where there are many. */
export class PieceStore {
  readonly #stretches: RowStretches;
  readonly #pages: RowPages;
  readonly #rows: RowBits;
  /** Pieces taken in. */
  count = 0;

  constructor(stretches: RowStretches, { budget, folder }: PieceRoom) {
    this.#stretches = stretches;
    this.#rows = new RowBits(stretches.rows);
    const usual = Math.floor(budget / 2 / stretches.length);
    const pageBytes = Math.max(2 ** 10, Math.min(2 ** 17, usual));
    this.#pages = new RowPages({ stretches: stretches.length, pageBytes, budget, folder });
  }

  append({ row, block, number, offset, start, length }: Piece): void {
    const page = this.#pages.pageFor(this.#stretches.indexOf(row), 4 * pieceWords);
    const at = page.length;
    writeWord(page, at, row);
    writeWord(page, at + 4, bodyBytes);
    writeWord(page, at + 8, block);
    writeWord(page, at + 12, number);
    writeWord(page, at + 16, offset);
    writeWord(page, at + 20, start);
    writeWord(page, at + 24, length);
    page.length = at + 4 * pieceWords;
    this.#rows.set(row);
    this.count += 1;
  }

  /** Whether any of `count` rows from `first` on has a piece. */
  hasAny(first: number, count: number): boolean {
    return this.#rows.hasAny(first, count);
  }

  /** All pieces in the order of their rows; they are gone afterwards. */
  reader(): PieceReader {
    return new PieceReader(this.#stretches, stretch => this.#take(stretch));
  }

  close(): void {
    this.#pages.close();
  }

  #take(stretch: number): Int32Array {
    const first = this.#stretches.startOf(stretch);
    const count = this.#stretches.startOf(stretch + 1) - first;
    return sortedByRow(this.#pages.take(stretch, { first, count }).pages, { first, count });
  }
}

function wordsOf({ bytes, length }: ByteArea): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, length >> 2);
}

/** The pieces of a stretch row by row, in the order in which they came. */
function sortedByRow(
  pages: readonly ByteArea[],
  { first, count }: { readonly first: number; readonly count: number },
): Int32Array {
  const next = new Int32Array(count + 1);
  const all = pages.map(wordsOf);
  for (const words of all)
    for (let at = 0; at < words.length; at += pieceWords) next[words[at]! - first + 1]! += 1;
  for (let row = 1; row <= count; row++) next[row]! += next[row - 1]!;
  const sorted = new Int32Array(pieceWords * next[count]!);
  for (const words of all)
    for (let at = 0; at < words.length; at += pieceWords) {
      const to = pieceWords * next[words[at]! - first]!++;
      for (let word = 0; word < pieceWords; word++) sorted[to + word] = words[at + word]!;
    }
  return sorted;
}

/** Goes through pieces in the order of their rows. */
export class PieceReader {
  readonly #stretches: RowStretches;
  readonly #take: (stretch: number) => Int32Array;
  #words: Int32Array = new Int32Array(0);
  #at = 0;
  #stretch = -1;
  /** The piece at hand; the object is used again for the next. */
  readonly piece: Piece = { row: 0, block: 0, number: 0, offset: 0, start: 0, length: 0 };

  constructor(stretches: RowStretches, take: (stretch: number) => Int32Array) {
    this.#stretches = stretches;
    this.#take = take;
  }

  /** Moves on to the next piece, if its row is before `end`. */
  next(end: number): boolean {
    while (this.#at === this.#words.length) {
      const stretch = this.#stretch + 1;
      if (stretch === this.#stretches.length || this.#stretches.startOf(stretch) >= end) return false;
      this.#words = this.#take(stretch);
      this.#stretch = stretch;
      this.#at = 0;
    }
    if (this.#words[this.#at]! >= end) return false;
    this.#load();
    return true;
  }

  #load(): void {
    const [words, at, piece] = [this.#words, this.#at, this.piece];
    piece.row = words[at]!;
    piece.block = words[at + 2]!;
    piece.number = words[at + 3]!;
    piece.offset = words[at + 4]!;
    piece.start = words[at + 5]!;
    piece.length = words[at + 6]!;
    this.#at = at + pieceWords;
  }
}
