import { Buffer } from 'node:buffer';
import { type Data, DataType } from 'apache-arrow';
import { compareUtf8, type KeyHasher } from '../key.ts';
import type { HashTarget } from '../sha256.ts';
import type { PackedIds } from '../selector.ts';
import { isIntegerType, type TextCells, textCells } from '../tables/cells.ts';
import type { UserGroups } from '../records.ts';
import type { TextRun } from './narrow-page.ts';
import type { TextSpans } from './rows-by-user.ts';
import type { Scratch } from './scratch.ts';

/** Record ids by row, without a string object for each. */
export interface NarrowIds extends PackedIds {
  /** A number that equal ids share. */
  hashAt(row: number): number;
  isEqual(left: number, right: number): boolean;
  /** Below 0 where the text of `left` comes first by UTF-8 bytes. */
  compare(left: number, right: number): number;
  textAt(row: number): string;
  /** Sorts rows of one user, from `start` to `end`, by the text of their ids, in place. */
  sort(rows: Int32Array, start: number, end: number): void;
  /** Whether the ids of each user rise from row to row, so that none can repeat. */
  readonly isRising: boolean;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Up to this many are sorted by insertion, which spares the calls of a general sort. */
const fewRows = 32;

function sortBy(rows: Int32Array, ids: NarrowIds, { start, end }: Span): void {
  if (end - start > fewRows) {
    rows.subarray(start, end).sort((a, b) => ids.compare(a, b));
    return;
  }
  for (let i = start + 1; i < end; i++) {
    const row = rows[i]!;
    let at = i;
    for (; at > start && ids.compare(rows[at - 1]!, row) > 0; at--) rows[at] = rows[at - 1]!;
    rows[at] = row;
  }
}

function sortNumbers(rows: Int32Array, start: number, end: number): void {
  if (end - start > fewRows) {
    rows.subarray(start, end).sort();
    return;
  }
  for (let i = start + 1; i < end; i++) {
    const row = rows[i]!;
    let at = i;
    for (; at > start && rows[at - 1]! > row; at--) rows[at] = rows[at - 1]!;
    rows[at] = row;
  }
}

/** Whole numbers of 64 bits, by row, in two halves. */
export interface IntegerWords {
  readonly low: Int32Array;
  /** Empty where all are 0. */
  readonly high: Int32Array;
}

const noWords = new Int32Array(0);

function isZero(values: Int32Array): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) return false;
  return true;
}

/** Whether the upper half of every pair is 0. */
function isSmall(halves: Int32Array): boolean {
  for (let at = 1; at < halves.length; at += 2) if (halves[at] !== 0) return false;
  return true;
}

function mixed(value: number): number {
  const hash = Math.imul(value ^ (value >>> 16), 0x45d9f3b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

class IntegerIds implements NarrowIds {
  readonly isRising: boolean;
  /** Empty where all are below 2^32. */
  readonly #high: Int32Array;
  readonly #low: Int32Array;

  constructor({ high, low }: IntegerWords, { starts }: UserGroups) {
    this.#high = isZero(high) ? noWords : high;
    this.#low = low;
    this.isRising = this.#rise(starts);
  }

  hashAt(row: number): number {
    return mixed(this.#low[row]! ^ Math.imul(this.#highAt(row), 0x9e3779b1));
  }

  isEqual(left: number, right: number): boolean {
    return this.#low[left] === this.#low[right] && this.#highAt(left) === this.#highAt(right);
  }

  compare(left: number, right: number): number {
    const x = this.#valueAt(left);
    const y = this.#valueAt(right);
    if (x >= 0 && y >= 0 && x < mostExact && y < mostExact) return compareDigits(x, y);
    return compareUtf8(this.textAt(left), this.textAt(right));
  }

  /** Rising numbers of as many digits are in the order of their rows. */
  sort(rows: Int32Array, start: number, end: number): void {
    if (this.isRising) {
      sortNumbers(rows, start, end);
      const first = this.#valueAt(rows[start]!);
      const last = this.#valueAt(rows[end - 1]!);
      if (first >= 0 && last < mostExact && last < powersOfTen[digitsOf(first)]!) return;
    }
    sortBy(rows, this, { start, end });
  }

  textAt(row: number): string {
    const value = this.#valueAt(row);
    if (Number.isSafeInteger(value)) return String(value);
    return String((BigInt(this.#highAt(row)) << 32n) | BigInt(this.#low[row]! >>> 0));
  }

  writeKey(row: number, hasher: KeyHasher, target: HashTarget): void {
    const value = this.#valueAt(row);
    if (value < 0 || value > 0xffffffff) {
      hasher.write(this.textAt(row), target);
      return;
    }
    const start = writeDigits(value);
    hasher.writeBytes(digits, { start, end: digits.length }, target);
  }

  #rise(starts: Int32Array): boolean {
    for (let user = 0; user + 1 < starts.length; user++)
      if (!this.#rises(starts[user]!, starts[user + 1]!)) return false;
    return true;
  }

  #rises(start: number, end: number): boolean {
    let last = -Infinity;
    for (let row = start; row < end; row++) {
      const value = this.#valueAt(row);
      if (value <= last) return false;
      last = value;
    }
    return true;
  }

  #highAt(row: number): number {
    return this.#high.length === 0 ? 0 : this.#high[row]!;
  }

  #valueAt(row: number): number {
    return this.#highAt(row) * 2 ** 32 + (this.#low[row]! >>> 0);
  }
}

const digits = new Uint8Array(10);

/** Writes the digits of a number below 2^32 at the end of `digits`, without a string, and says where they start. */
function writeDigits(value: number): number {
  let start = digits.length;
  let rest = value;
  if (value > 0x7fffffff) {
    rest = Math.floor(value / 10);
    digits[--start] = 48 + value - 10 * rest;
  }
  // As an integer division, which the compiler turns into a multiplication.
  rest |= 0;
  do {
    const tens = (rest / 10) | 0;
    digits[--start] = 48 + rest - 10 * tens;
    rest = tens;
  } while (rest > 0);
  return start;
}

const powersOfTen = Array.from({ length: 17 }, (_, power) => 10 ** power);

function digitsOf(value: number): number {
  let digits = 1;
  while (digits < powersOfTen.length && value >= powersOfTen[digits]!) digits += 1;
  return digits;
}

/** Below this, numbers times powers of ten up to it are exact. */
const mostExact = 1e15;

/** Compares the decimal texts of two numbers from 0 to below `mostExact`. */
function compareDigits(x: number, y: number): number {
  const digits = digitsOf(x) - digitsOf(y);
  if (digits === 0) return x - y;
  const difference = digits < 0 ? x * powersOfTen[-digits]! - y : x - y * powersOfTen[digits]!;
  return difference === 0 ? digits : difference;
}

/**
 * The ids of a batch in halves; for types that `idsKind` calls numbers.
 *
 * @param memory - as many words as there are rows, for each half
 */
export function integerWords(data: Data, { low, high }: IntegerWords): IntegerWords {
  const rows = data.length;
  const values: ArrayLike<number | bigint> = data.values;
  if (values instanceof BigInt64Array) {
    // A view in halves: reading a big integer costs 16 ns.
    const halves = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
    for (let row = 0; row < rows; row++) low[row] = halves[2 * row]!;
    if (isSmall(halves)) return { low, high: noWords };
    for (let row = 0; row < rows; row++) high[row] = halves[2 * row + 1]!;
    return { low, high };
  }
  for (let row = 0; row < rows; row++) {
    const value = Number(values[row]!);
    low[row] = value | 0;
    high[row] = Math.floor(value / 2 ** 32);
  }
  return { low, high: isZero(high) ? noWords : high };
}

class TextIds implements NarrowIds {
  readonly isRising = false;
  readonly #bytes: Buffer;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;

  constructor({ bytes, starts, ends }: TextSpans) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#starts = starts;
    this.#ends = ends;
  }

  hashAt(row: number): number {
    let hash = 0x811c9dc5;
    const end = this.#ends[row]!;
    for (let at = this.#starts[row]!; at < end; at++) hash = Math.imul(hash ^ this.#bytes[at]!, 0x01000193);
    return mixed(hash);
  }

  isEqual(left: number, right: number): boolean {
    const [a, b] = [this.#starts[left]!, this.#starts[right]!];
    const length = this.#ends[left]! - a;
    if (this.#ends[right]! - b !== length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[a + i] !== this.#bytes[b + i]) return false;
    return true;
  }

  compare(left: number, right: number): number {
    const [a, b] = [this.#starts[left]!, this.#starts[right]!];
    return this.#bytes.compare(this.#bytes, b, this.#ends[right], a, this.#ends[left]);
  }

  sort(rows: Int32Array, start: number, end: number): void {
    sortBy(rows, this, { start, end });
  }

  textAt(row: number): string {
    return this.#bytes.toString('utf8', this.#starts[row], this.#ends[row]);
  }

  writeKey(row: number, hasher: KeyHasher, target: HashTarget): void {
    hasher.writeBytes(this.#bytes, { start: this.#starts[row]!, end: this.#ends[row]! }, target);
  }
}

/** Which words of the scratch text ends take; the columns of a batch have those before. */
const textWords = 8;

/** The ids of a batch as one run of bytes; a null is empty. */
export function textRun(data: Data, memory: Scratch): TextRun {
  const cells: TextCells = textCells(data);
  const ends = memory.words(textWords, data.length);
  let total = 0;
  for (let row = 0; row < ends.length; row++) {
    total += cells.isNull(row) ? 0 : cells.byteLength(row);
    ends[row] = total;
  }
  const bytes = memory.bytes(total);
  for (let row = 0; row < ends.length; row++) {
    const start = row === 0 ? 0 : ends[row - 1]!;
    if (ends[row]! > start) bytes.set(cells.bytes(row), start);
  }
  return { bytes, ends };
}

/** Ids `<file>:<row>` of rows that have none; they cannot repeat. */
class NumberedIds implements NarrowIds {
  readonly isRising = true;
  readonly #nameOf: (row: number) => string;

  constructor(nameOf: (row: number) => string) {
    this.#nameOf = nameOf;
  }

  hashAt(row: number): number {
    return mixed(row);
  }

  isEqual(left: number, right: number): boolean {
    return left === right;
  }

  compare(left: number, right: number): number {
    return compareUtf8(this.textAt(left), this.textAt(right));
  }

  sort(rows: Int32Array, start: number, end: number): void {
    sortBy(rows, this, { start, end });
  }

  textAt(row: number): string {
    return this.#nameOf(row);
  }

  writeKey(row: number, hasher: KeyHasher, target: HashTarget): void {
    hasher.write(this.textAt(row), target);
  }
}

/** How ids of a column are kept; unsigned numbers of 64 bits as texts. */
export function idsKind(type: DataType): 'numbers' | 'texts' {
  const isBig = DataType.isInt(type) && !type.isSigned && type.bitWidth === 64;
  return isIntegerType(type) && !DataType.isDictionary(type) && !isBig ? 'numbers' : 'texts';
}

/** The ids of some rows, by what there is of them; from their places where there is nothing. */
export function narrowIds(
  from: {
    readonly integers: IntegerWords | undefined;
    readonly texts: TextSpans | undefined;
    readonly groups: UserGroups;
  },
  nameOf: (row: number) => string,
): NarrowIds {
  if (from.integers !== undefined) return new IntegerIds(from.integers, from.groups);
  return from.texts === undefined ? new NumberedIds(nameOf) : new TextIds(from.texts);
}
