import type { UserGroups } from '../records.ts';
import { type NarrowShape, type Page, type StoredPage, wordColumns } from './narrow-page.ts';
import type { Scratch } from './scratch.ts';

/** Ids that are texts: id `row` lies in `bytes` from `starts[row]` to `ends[row]`. */
export interface TextSpans {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Rows of a partition user by user, column by column, each user's in the order in which they came. */
export interface RowsByUser {
  readonly groups: UserGroups;
  /** As `wordColumns` names them, the users' own left empty; also empty where all are 0. */
  readonly words: readonly Int32Array[];
  readonly scores: Float64Array | undefined;
  readonly texts: TextSpans | undefined;
}

/** Where each row of a page goes. */
interface Moved {
  readonly page: Page;
  readonly targets: Int32Array;
}

const userColumn = 0;

function moveWords(out: Int32Array, { page, targets }: Moved, offset: number): void {
  const { words, start, rows, layout } = page;
  const { stride } = layout;
  for (let row = 0, at = start + offset; row < rows; row++, at += stride) out[targets[row]!] = words[at]!;
}

function moveZeros(out: Int32Array, { page, targets }: Moved): void {
  for (let row = 0; row < page.rows; row++) out[targets[row]!] = 0;
}

function moveScores(out: Float64Array, { page, targets }: Moved): void {
  const { words, start, rows, layout } = page;
  const { stride, score } = layout;
  const pairs = new Int32Array(out.buffer, out.byteOffset, 2 * out.length);
  for (let row = 0, at = start + score; row < rows; row++, at += stride) {
    const target = 2 * targets[row]!;
    pairs[target] = words[at]!;
    pairs[target + 1] = words[at + 1]!;
  }
}

/** @param shift - where the texts of the page start among those of the partition */
function moveTexts({ starts, ends }: TextSpans, { page, targets }: Moved, shift: number): void {
  const { words, start, rows, layout } = page;
  let before = shift;
  for (let row = 0, at = start + layout.textEnd; row < rows; row++, at += layout.stride) {
    starts[targets[row]!] = before;
    before = shift + words[at]!;
    ends[targets[row]!] = before;
  }
}

/** Counts the rows of each user, two places further. */
function countUsers(next: Int32Array, { words, start, rows, layout }: Page, shift: number): void {
  for (let row = 0, at = start; row < rows; row++, at += layout.stride) next[(words[at]! >> shift) + 2]! += 1;
}

/** Where the rows of a page go, by what is taken already. */
function place(next: Int32Array, { page, targets }: Moved, shift: number): void {
  const { words, start, rows, layout } = page;
  for (let row = 0, at = start; row < rows; row++, at += layout.stride)
    targets[row] = next[(words[at]! >> shift) + 1]!++;
}

/** How many of the next columns of a scratch memory {@link rowsByUser} takes. */
export const rowsByUserColumns = 16;

/** The columns of a partition in scratch memory, which the next partition uses again. */
class Columns {
  readonly words: Int32Array[];
  readonly scores: Float64Array | undefined;
  readonly texts: TextSpans | undefined;
  #textBytes = 0;

  constructor(shape: NarrowShape, { pages, memory }: Pick<PartitionPages, 'pages' | 'memory'>) {
    const rows = pages.reduce((sum, page) => sum + page.rows, 0);
    const bytes = pages.reduce((sum, page) => sum + page.textBytes, 0);
    const isKept = (column: number): boolean =>
      column !== userColumn && pages.some(({ layout }) => layout.words[column]! >= 0);
    const names = wordColumns(shape);
    this.words = names.map((_, column) => memory.words(column, isKept(column) ? rows : 0));
    this.scores = shape.measures === 'scores' ? memory.scores(rows) : undefined;
    const spans = (): TextSpans => ({
      bytes: memory.bytes(bytes),
      starts: memory.words(names.length, rows),
      ends: memory.words(names.length + 1, rows),
    });
    this.texts = shape.ids === 'texts' ? spans() : undefined;
  }

  take(moved: Moved): void {
    const { layout, bytes, textBytes } = moved.page;
    for (let column = 0; column < this.words.length; column++) {
      const out = this.words[column]!;
      if (out.length === 0) continue;
      if (layout.words[column]! >= 0) moveWords(out, moved, layout.words[column]!);
      else moveZeros(out, moved);
    }
    if (this.scores !== undefined) moveScores(this.scores, moved);
    if (this.texts === undefined) return;
    moveTexts(this.texts, moved, this.#textBytes);
    this.texts.bytes.set(bytes.subarray(0, textBytes), this.#textBytes);
    this.#textBytes += textBytes;
  }
}

/** The pages of a partition, of which only one has to be in memory at a time. */
export interface PartitionPages {
  readonly pages: readonly (Page | StoredPage)[];
  readonly load: (page: Page | StoredPage) => Page;
  /** How many there are in the partition. */
  readonly users: number;
  /** User `code` is number `code >> shift` there. */
  readonly shift: number;
  /** Where the columns lie. */
  readonly memory: Scratch;
}

/** Where the rows of each user start, one place further: `next[user + 1]`. */
function startsOf({ pages, load, users, shift }: PartitionPages): Int32Array {
  const next = new Int32Array(users + 2);
  for (const page of pages) countUsers(next, load(page), shift);
  for (let user = 2; user < next.length; user++) next[user]! += next[user - 1]!;
  return next;
}

/** Sorts rows by user, so that ranking reads memory from front to back. */
export function rowsByUser(shape: NarrowShape, partition: PartitionPages): RowsByUser {
  const { pages, load, users, shift, memory } = partition;
  const next = startsOf(partition);
  const columns = new Columns(shape, partition);
  for (const each of pages) {
    const moved = { page: load(each), targets: memory.words(rowsByUserColumns - 1, each.rows) };
    place(next, moved, shift);
    columns.take(moved);
  }
  const { words, scores, texts } = columns;
  const rows = memory.words(rowsByUserColumns - 2, next[users + 1]!);
  for (let row = 0; row < rows.length; row++) rows[row] = row;
  return { groups: { starts: next.subarray(0, users + 1), rows }, words, scores, texts };
}
