import { invalidFile, readText } from './source.ts';

const quote = 0x22;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** `#` */
const noteMark = 0x23;

/** One row of a CSV file: cell c is `bytes` from `starts[c]` to `ends[c]`. Only good until the next row. */
export interface CsvRow {
  readonly bytes: Buffer;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** The whole row, with quotes and separators. */
  readonly start: number;
  readonly end: number;
  /** A quote stands inside a cell that is not quoted. */
  readonly hasStrayQuote: boolean;
}

/** Faults after which nobody can tell where the next row starts. */
type Fatal = 'unclosed quote' | 'text after a closing quote' | 'too long';

const wordings: Readonly<Record<Fatal, string>> = {
  'unclosed quote': 'opens a quote that is never closed',
  'text after a closing quote': 'has text after a closing quote',
  'too long': 'is longer than a row may be, or opens a quote that is never closed',
};

class FatalFault extends Error {
  readonly fault: Fatal;

  constructor(fault: Fatal) {
    super(fault);
    this.fault = fault;
  }
}

/** Splits one row at a time off the front of some bytes (RFC 4180; rows may also end in a line feed alone). */
class RowSplitter implements CsvRow {
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  hasStrayQuote = false;
  readonly #delimiter: number;
  readonly #doubled: number[] = [];

  constructor(delimiter: string) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  /** Reads the row at `at`; gives the start of the next, or -1 where the bytes end before it does. */
  read(at: number, isLast: boolean): number {
    this.starts.length = this.ends.length = this.#doubled.length = 0;
    this.hasStrayQuote = false;
    this.start = at;
    for (let next = at; ; next += 1) {
      next = this.bytes[next] === quote ? this.#quoted(next, isLast) : this.#bare(next);
      if (next < 0 || (next >= this.bytes.length && !isLast)) return -1;
      if (this.bytes[next] === this.#delimiter) continue;
      this.end = next;
      for (const cell of this.#doubled) this.#undouble(cell);
      return next + 1;
    }
  }

  /** Gives the place of the separator or line end after the cell. */
  #bare(at: number): number {
    const { bytes } = this;
    let end = at;
    for (; end < bytes.length; end++) {
      const byte = bytes[end]!;
      if (byte === this.#delimiter || byte === lineFeed) break;
      if (byte === quote) this.hasStrayQuote = true;
    }
    const isReturn = bytes[end] !== this.#delimiter && end > at && bytes[end - 1] === carriageReturn;
    this.#push(at, isReturn ? end - 1 : end);
    return end;
  }

  #quoted(at: number, isLast: boolean): number {
    const { bytes } = this;
    let close = bytes.indexOf(quote, at + 1);
    let isDoubled = false;
    for (; close >= 0 && bytes[close + 1] === quote; close = bytes.indexOf(quote, close + 2))
      isDoubled = true;
    if (close < 0) {
      if (isLast) throw new FatalFault('unclosed quote');
      return -1;
    }
    if (isDoubled) this.#doubled.push(this.starts.length);
    this.#push(at + 1, close);
    let end = close + 1;
    if (bytes[end] === carriageReturn && (bytes[end + 1] === lineFeed || end + 1 >= bytes.length)) end += 1;
    if (end >= bytes.length || bytes[end] === this.#delimiter || bytes[end] === lineFeed) return end;
    throw new FatalFault('text after a closing quote');
  }

  #push(start: number, end: number): void {
    this.starts.push(start);
    this.ends.push(end);
  }

  /** Makes one quote of two, in place: the row is whole, so these bytes are not split again. What is left over becomes quotes. */
  #undouble(cell: number): void {
    const { bytes, ends } = this;
    const end = ends[cell]!;
    let to = this.starts[cell]!;
    for (let from = to; from < end; from++) {
      bytes[to++] = bytes[from]!;
      if (bytes[from] === quote) from += 1;
    }
    bytes.fill(quote, to, end);
    ends[cell] = to;
  }
}

function isBlank({ starts, ends, start }: CsvRow): boolean {
  return starts.length === 1 && starts[0] === ends[0] && starts[0] === start;
}

export interface CsvRowOptions {
  /** One ASCII character. */
  readonly delimiter: string;
  /** Bytes after which a row is given up. */
  readonly longest: number;
  /** Takes the lines above the header that begin with `#`; where it is left out, the first of them is the header. */
  readonly onNote?: ((line: string) => void) | undefined;
}

/** Reads the rows of a CSV file; `onRow` is called for each, the header being row 0; blank lines are passed over. */
export class CsvRows {
  readonly #path: string;
  readonly #onRow: (row: CsvRow, number: number) => void;
  readonly #splitter: RowSplitter;
  readonly #longest: number;
  readonly #onNote: ((line: string) => void) | undefined;
  #next = 0;
  #passed = 0;

  constructor(path: string, onRow: (row: CsvRow, number: number) => void, options: CsvRowOptions) {
    this.#path = path;
    this.#onRow = onRow;
    this.#splitter = new RowSplitter(options.delimiter);
    this.#longest = options.longest;
    this.#onNote = options.onNote;
  }

  /** Where the row that was handed out last starts in the unpacked file, in bytes. */
  get place(): number {
    return this.#passed + this.#splitter.start;
  }

  /** Goes through the file, and stops after each piece of it, when its rows have been handed out. */
  async *pieces(): AsyncGenerator<void> {
    let rest: Buffer = Buffer.alloc(0);
    for await (const piece of readText(this.#path)) {
      rest = this.#split(rest.length === 0 ? piece : Buffer.concat([rest, piece]), false);
      if (rest.length > this.#longest) throw this.#failure('too long');
      yield;
    }
    this.#split(rest, true);
    yield;
  }

  #split(bytes: Buffer, isLast: boolean): Buffer {
    const row = this.#splitter;
    row.bytes = bytes;
    let at = 0;
    try {
      while (at < bytes.length) {
        const isNote = this.#next === 0 && this.#onNote !== undefined && bytes[at] === noteMark;
        const next = isNote ? this.#note(at, isLast) : row.read(at, isLast);
        if (next < 0) break;
        if (!isNote && !isBlank(row)) this.#onRow(row, this.#next++);
        at = next;
      }
      this.#passed += at;
    } catch (error) {
      throw error instanceof FatalFault ? this.#failure(error.fault) : error;
    }
    return bytes.subarray(at);
  }

  /** Reads the note at `at`; gives the start of the next line, or -1 where the bytes end before it does. */
  #note(at: number, isLast: boolean): number {
    const { bytes } = this.#splitter;
    const end = bytes.indexOf(lineFeed, at);
    if (end < 0 && !isLast) return -1;
    const stop = end < 0 ? bytes.length : end;
    this.#onNote?.(bytes.toString('utf8', at, stop));
    return stop + 1;
  }

  #failure(fault: Fatal): Error {
    const where = this.#next === 0 ? 'its header' : `row ${this.#next}`;
    return invalidFile(
      this.#path,
      `${where} ${wordings[fault]}`,
      'Quote cells that hold separators, quotes or line ends',
    );
  }
}
