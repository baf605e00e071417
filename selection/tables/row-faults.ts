import { invalidFile } from './source.ts';

/** What to do with a row that cannot be read: refuse the table, or leave the row out and count it. */
export type RowPolicy = 'error' | 'skip';

/** Why a row of JSON lines or CSV was left out. */
export type SkipReason =
  | 'invalid JSON'
  | 'no object'
  | 'mixed types'
  | 'lone surrogate'
  | 'invalid UTF-8'
  | 'NUL'
  | 'number of cells'
  | 'quotes'
  | 'too long';

interface Wording {
  readonly reason: string;
  readonly advice: string;
}

const wordings: Readonly<Record<SkipReason, Wording>> = {
  'invalid JSON': { reason: 'is no valid JSON', advice: 'Give one object a line' },
  'no object': { reason: 'is no JSON object', advice: 'Give one object a line' },
  'mixed types': {
    reason: 'holds a value of another type than earlier lines',
    advice: 'Give each key one type',
  },
  'lone surrogate': { reason: 'holds a lone surrogate', advice: 'Mend or remove it' },
  'invalid UTF-8': { reason: 'holds invalid UTF-8', advice: 'Mend or remove it' },
  NUL: { reason: 'holds a NUL character', advice: 'Mend or remove it' },
  'number of cells': {
    reason: 'has another number of cells than the header',
    advice: 'Quote cells that hold separators, quotes or line ends',
  },
  quotes: {
    reason: 'has a quote inside an unquoted cell',
    advice: 'Quote cells that hold separators, quotes or line ends',
  },
  'too long': { reason: 'is longer than a row may be', advice: 'Check its format, or allow longer rows' },
};

/** Longest row that is read by default, in bytes; a longer one is no record but a file of another format. */
export const longestRow: number = 2 ** 26;

/** Bounds and policies for rows of text files. */
export interface RowOptions {
  /** Default `error`. */
  readonly onError?: RowPolicy | undefined;
  /** Longest row in bytes; default 2^26. */
  readonly longestRow?: number | undefined;
}

/**
 * Rows that a file's first pass found faulty. Later passes leave out the same rows because they look here and judge
 * nothing anew.
 */
export class RowFaults {
  readonly #path: string;
  readonly #unit: 'line' | 'row';
  readonly #policy: RowPolicy;
  readonly #rows: number[] = [];
  readonly #counts = new Map<SkipReason, number>();

  constructor(path: string, options: { unit: 'line' | 'row'; policy: RowPolicy }) {
    this.#path = path;
    this.#unit = options.unit;
    this.#policy = options.policy;
  }

  get isStrict(): boolean {
    return this.#policy === 'error';
  }

  get counts(): ReadonlyMap<SkipReason, number> {
    return this.#counts;
  }

  /** Notes a faulty row; refuses it where the policy says so. */
  add(row: number, reason: SkipReason, detail?: string): void {
    if (this.isStrict) {
      const { reason: wording, advice } = wordings[reason];
      throw invalidFile(this.#path, detail ?? `${this.#unit} ${row} ${wording}`, advice);
    }
    this.#rows.push(row);
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /** Tells of rows, asked in ascending order, whether they were left out. */
  filter(): (row: number) => boolean {
    this.#rows.sort((a, b) => a - b);
    let at = 0;
    return row => {
      while (at < this.#rows.length && this.#rows[at]! < row) at += 1;
      return this.#rows[at] === row;
    };
  }
}
