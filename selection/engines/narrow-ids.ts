import { Buffer } from 'node:buffer';
import { type Data, DataType } from 'apache-arrow';
import { compareUtf8, type KeyHasher } from '../key.ts';
import type { PackedIds } from '../selector.ts';
import { isIntegerType, type TextCells, textCells } from '../tables/cells.ts';
import { ByteColumn, int32Column, type NumberColumn } from './narrow-columns.ts';

interface KeyTarget {
  readonly out: Uint32Array;
  readonly at: number;
}

/** Record ids by row, without a string object for each. */
export interface NarrowIds extends PackedIds {
  /** A number that equal ids share. */
  hashAt(row: number): number;
  isEqual(left: number, right: number): boolean;
  /** Below 0 where the text of `left` comes first by UTF-8 bytes. */
  compare(left: number, right: number): number;
  textAt(row: number): string;
  /** Whether ids rise from row to row, so that none can repeat; rows without a user count too. */
  readonly isRising: boolean;
}

/** Takes ids in, batch by batch. */
export interface NarrowIdsBuilder {
  /** Bytes held. */
  readonly byteLength: number;
  append(batch: { readonly data: Data | undefined; readonly rows: number }): void;
  finish(): NarrowIds;
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

  constructor(parts: { high: Int32Array; low: Int32Array; isRising: boolean }) {
    this.#high = parts.high;
    this.#low = parts.low;
    this.isRising = parts.isRising;
  }

  hashAt(row: number): number {
    return mixed(this.#low[row]! ^ Math.imul(this.#highAt(row), 0x9e3779b1));
  }

  isEqual(left: number, right: number): boolean {
    return this.#low[left] === this.#low[right] && this.#highAt(left) === this.#highAt(right);
  }

  compare(left: number, right: number): number {
    const [x, y] = [this.#valueAt(left), this.#valueAt(right)];
    // Numbers of as many digits are in the order of their digits.
    if (x >= 0 && y >= 0 && digitsOf(x) === digitsOf(y) && y <= Number.MAX_SAFE_INTEGER) return x - y;
    return compareUtf8(this.textAt(left), this.textAt(right));
  }

  textAt(row: number): string {
    const value = this.#valueAt(row);
    if (Number.isSafeInteger(value)) return String(value);
    return String((BigInt(this.#highAt(row)) << 32n) | BigInt(this.#low[row]! >>> 0));
  }

  writeKey(row: number, hasher: KeyHasher, target: KeyTarget): void {
    const value = this.#valueAt(row);
    if (value < 0 || value > 0xffffffff) {
      hasher.write(this.textAt(row), target);
      return;
    }
    // Digits from the last to the first, without a string.
    let start = digits.length;
    for (let rest = value >>> 0, isFirst = true; isFirst || rest > 0; isFirst = false) {
      const tens = Math.floor(rest / 10);
      digits[--start] = 48 + rest - 10 * tens;
      rest = tens;
    }
    hasher.writeBytes(digits, { start, end: digits.length }, target);
  }

  #highAt(row: number): number {
    return this.#high.length === 0 ? 0 : this.#high[row]!;
  }

  #valueAt(row: number): number {
    return this.#highAt(row) * 2 ** 32 + (this.#low[row]! >>> 0);
  }
}

const digits = new Uint8Array(10);

const powersOfTen = Array.from({ length: 17 }, (_, power) => 10 ** power);

function digitsOf(value: number): number {
  let digits = 1;
  while (digits < powersOfTen.length && value >= powersOfTen[digits]!) digits += 1;
  return digits;
}

function isSmall(halves: Int32Array): boolean {
  for (let at = 1; at < halves.length; at += 2) if (halves[at] !== 0) return false;
  return true;
}

/** Whole numbers of up to 64 bits in two halves; unsigned ones from 2^63 up are kept as texts. */
class IntegerIdsBuilder implements NarrowIdsBuilder {
  readonly #expected: number | undefined;
  /** Made when the first number from 2^32 up, or below 0, comes. */
  #high: NumberColumn<Int32Array> | undefined;
  readonly #low: NumberColumn<Int32Array>;
  #isRising = true;
  #lastHigh = -(2 ** 31) - 1;
  #lastLow = 0;

  constructor(expected: number | undefined) {
    this.#expected = expected;
    this.#low = int32Column(expected);
  }

  get byteLength(): number {
    return 8 * this.#low.length;
  }

  append({ data, rows }: { readonly data: Data | undefined; readonly rows: number }): void {
    const values: ArrayLike<number | bigint> = data!.values;
    if (values instanceof BigInt64Array) {
      // A view in halves: reading a big integer costs 16 ns.
      const halves = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
      if (this.#high === undefined && isSmall(halves)) this.#appendSmall(halves, rows);
      else for (let row = 0; row < rows; row++) this.#push(halves[2 * row + 1]!, halves[2 * row]!);
      return;
    }
    for (let row = 0; row < rows; row++) {
      const value = Number(values[row]!);
      this.#push(Math.floor(value / 2 ** 32), value | 0);
    }
  }

  /** Numbers from 0 to 2^32 - 1. */
  #appendSmall(halves: Int32Array, rows: number): void {
    const low = new Int32Array(rows);
    let [last, isRising] = [this.#lastHigh < 0 ? -1 : this.#lastLow, this.#isRising];
    for (let row = 0; row < rows; row++) {
      const value = halves[2 * row]!;
      const unsigned = value >>> 0;
      if (unsigned <= last) isRising = false;
      last = unsigned;
      low[row] = value;
    }
    this.#isRising = isRising;
    this.#lastHigh = 0;
    this.#lastLow = last;
    this.#low.append(low);
  }

  finish(): NarrowIds {
    const high = this.#high?.take() ?? new Int32Array(0);
    return new IntegerIds({ high, low: this.#low.take(), isRising: this.#isRising });
  }

  #push(high: number, low: number): void {
    const unsigned = low >>> 0;
    if (high < this.#lastHigh || (high === this.#lastHigh && unsigned <= this.#lastLow))
      this.#isRising = false;
    this.#lastHigh = high;
    this.#lastLow = unsigned;
    if (high !== 0 && this.#high === undefined) {
      this.#high = int32Column(this.#expected);
      for (let row = 0; row < this.#low.length; row++) this.#high.push(0);
    }
    this.#high?.push(high);
    this.#low.push(low);
  }
}

class TextIds implements NarrowIds {
  readonly isRising = false;
  readonly #bytes: Buffer;
  readonly #ends: Int32Array;

  constructor({ bytes, ends }: { bytes: Uint8Array; ends: Int32Array }) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#ends = ends;
  }

  hashAt(row: number): number {
    let hash = 0x811c9dc5;
    const end = this.#ends[row]!;
    for (let at = this.#start(row); at < end; at++) hash = Math.imul(hash ^ this.#bytes[at]!, 0x01000193);
    return mixed(hash);
  }

  isEqual(left: number, right: number): boolean {
    const [a, b] = [this.#start(left), this.#start(right)];
    const length = this.#ends[left]! - a;
    if (this.#ends[right]! - b !== length) return false;
    for (let i = 0; i < length; i++) if (this.#bytes[a + i] !== this.#bytes[b + i]) return false;
    return true;
  }

  compare(left: number, right: number): number {
    const [a, b] = [this.#start(left), this.#start(right)];
    return this.#bytes.compare(this.#bytes, b, this.#ends[right], a, this.#ends[left]);
  }

  textAt(row: number): string {
    return this.#bytes.toString('utf8', this.#start(row), this.#ends[row]);
  }

  writeKey(row: number, hasher: KeyHasher, target: KeyTarget): void {
    hasher.writeBytes(this.#bytes, { start: this.#start(row), end: this.#ends[row]! }, target);
  }

  #start(row: number): number {
    return row === 0 ? 0 : this.#ends[row - 1]!;
  }
}

const nothing = new Uint8Array(0);

class TextIdsBuilder implements NarrowIdsBuilder {
  readonly #column: ByteColumn;

  constructor(expected: number | undefined) {
    this.#column = new ByteColumn(expected);
  }

  get byteLength(): number {
    return this.#column.byteLength;
  }

  append({ data, rows }: { readonly data: Data | undefined; readonly rows: number }): void {
    const cells: TextCells = textCells(data!);
    for (let row = 0; row < rows; row++) {
      const bytes = cells.isNull(row) ? nothing : cells.bytes(row);
      this.#column.push(bytes, 0, bytes.length);
    }
  }

  finish(): NarrowIds {
    return new TextIds(this.#column.take());
  }
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

  textAt(row: number): string {
    return this.#nameOf(row);
  }

  writeKey(row: number, hasher: KeyHasher, target: KeyTarget): void {
    hasher.write(this.textAt(row), target);
  }
}

/** Ids that are made from the place of a row. */
export function numberedIds(nameOf: (row: number) => string): NarrowIdsBuilder {
  return { byteLength: 0, append: () => undefined, finish: () => new NumberedIds(nameOf) };
}

/** Ids of a column of text or whole numbers. */
export function idsOfColumn(type: DataType, expected?: number): NarrowIdsBuilder {
  const isBig = DataType.isInt(type) && !type.isSigned && type.bitWidth === 64;
  return isIntegerType(type) && !DataType.isDictionary(type) && !isBig
    ? new IntegerIdsBuilder(expected)
    : new TextIdsBuilder(expected);
}
