import { randomBytes } from 'node:crypto';
import { checkCount, DpError } from '../accounting/check.ts';
import type { Records } from './records.ts';
import { HalfSipHash, type HashPair } from './statistics-hash.ts';
import { type SharedCounts, TextTable } from './statistics-texts.ts';

/** Records whose text also occurs under another user; raw counts, not private. */
export interface CrossUserDuplicates {
  /** Records that repeat a text of another user; an estimate where texts had to be sampled. */
  readonly records: number;
  /** Records looked at: those of at least the minimum length. */
  readonly compared: number;
  /** records ÷ compared, 0 where nothing was compared. */
  readonly share: number;
}

/** How texts are compared: as they are, or as their words. */
export type TextComparison = 'identical' | 'normalised';

/**
 * Lower case, every run of characters other than Unicode letters and digits one space, trimmed.
 *
 * @example
 * ```ts
 * normalisedText('  Ay, my lord! '); // 'ay my lord'
 * ```
 */
export function normalisedText(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/** Two ways of comparing, each over all texts and over those from the minimum length on. */
export interface DuplicateReport {
  readonly minimumLength: number;
  readonly identical: { readonly all: CrossUserDuplicates; readonly long: CrossUserDuplicates };
  readonly normalised: { readonly all: CrossUserDuplicates; readonly long: CrossUserDuplicates };
  /** Share of the distinct texts that was followed: 1 unless the memory ran out, and then the counts are estimates. */
  readonly samplingRate: number;
}

export interface DuplicateOptions {
  /** Shortest text that counts as long, in UTF-16 units of the compared form; default 40. */
  readonly minimumLength?: number | undefined;
  /** Bytes; default 256 MiB, room for about 2.9 million distinct texts in each of the two forms. */
  readonly memoryLimit?: number | undefined;
  /** Key of the hash, 8 bytes; fresh random ones unless given. */
  readonly key?: Uint8Array | undefined;
}

const verb = 'count duplicates';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whether UTF-8 bytes make at least so many UTF-16 units: one for a character, two for those of four bytes. */
function hasUnits(bytes: Uint8Array, length: number, least: number): boolean {
  if (length < least) return false;
  let units = 0;
  for (let i = 0; i < length && units < least; i++) {
    const byte = bytes[i]!;
    if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
  }
  return units >= least;
}

const gap = 0;
const beyondAscii = 1;

/** Lower case of an ASCII letter or digit, or one of the two above. */
const asciiForm: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code > 127) return beyondAscii;
  const form = String.fromCharCode(code).toLowerCase();
  return /[a-z0-9]/.test(form) ? form.charCodeAt(0) : gap;
});

/** Writes the normalised form of ASCII text; -1 as soon as a byte is not ASCII. */
function normaliseAscii(text: Uint8Array, out: Uint8Array): number {
  const end = text.length;
  let length = 0;
  let isGap = false;
  for (let i = 0; i < end; i++) {
    const form = asciiForm[text[i]!]!;
    if (form > beyondAscii) {
      if (isGap) out[length++] = 32;
      isGap = false;
      out[length++] = form;
    } else if (form === gap) isGap = length > 0;
    else return -1;
  }
  return length;
}

function checkKey(key: Uint8Array): Uint8Array {
  if (key.length === 8) return key;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: the key has ${key.length} bytes. Give 8.`);
}

/** The sample's share, taken of all records that were compared. */
function scaled({ compared, shared }: SharedCounts, all: number): CrossUserDuplicates {
  const share = compared === 0 ? 0 : shared / compared;
  return { records: compared === all ? shared : Math.round(share * all), compared: all, share };
}

interface FormSettings {
  readonly minimumLength: number;
  readonly memoryLimit: number;
  readonly key: Uint8Array;
}

/** Texts of one form: hashed, and marked by length in the lowest bit of the hash. */
class FormCounter {
  readonly minimumLength: number;
  readonly #table: TextTable;
  readonly #hasher: HalfSipHash;
  readonly #hash: HashPair = { low: 0, high: 0 };
  #records = 0;
  #longRecords = 0;

  constructor({ minimumLength, memoryLimit, key }: FormSettings) {
    this.minimumLength = minimumLength;
    this.#table = new TextTable(memoryLimit);
    this.#hasher = new HalfSipHash(key);
  }

  get rate(): number {
    return this.#table.rate;
  }

  add(user: number, bytes: Uint8Array, length: number): void {
    const hash = this.#hash;
    this.#hasher.hash(bytes, length, hash);
    const isLong = hasUnits(bytes, length, this.minimumLength);
    hash.low = (hash.low & ~1) | (isLong ? 1 : 0);
    this.#records += 1;
    if (isLong) this.#longRecords += 1;
    this.#table.add(hash, user);
  }

  report(): { all: CrossUserDuplicates; long: CrossUserDuplicates } {
    return {
      all: scaled(this.#table.count(false), this.#records),
      long: scaled(this.#table.count(true), this.#longRecords),
    };
  }
}

/**
 * Counts, in one pass over a table in any order, the records whose text two or more users have.
 *
 * Memory is bounded: a distinct text costs 23 to 46 bytes in each form, and once the limit is reached a uniform
 * sample of the distinct texts is followed instead, so counts become estimates. Texts are told apart by 63 bits of a
 * keyed hash and by being long or short: among n distinct texts any two are taken for one with probability at most
 * n² / 2^64 (5e-6 for 10 million), and the key keeps whoever writes the texts from arranging it.
 */
export class DuplicateCounter {
  readonly #identical: FormCounter;
  readonly #normalised: FormCounter;
  #buffer: Uint8Array = new Uint8Array(1 << 10);

  /** @throws DpError `INVALID_ARGUMENT` */
  constructor(options: DuplicateOptions = {}) {
    const { minimumLength = 40, memoryLimit = 2 ** 28, key = randomBytes(8) } = options;
    const settings = {
      minimumLength: checkCount(minimumLength, { verb, name: 'minimumLength', least: 0 }),
      memoryLimit: checkCount(memoryLimit, { verb, name: 'memoryLimit' }) / 2,
      key: checkKey(key),
    };
    this.#identical = new FormCounter(settings);
    this.#normalised = new FormCounter(settings);
  }

  /**
   * Counts one record.
   *
   * @param user - number of the record's user, 0 to 2^31 - 2
   * @param text - UTF-8; not kept
   */
  add(user: number, text: Uint8Array): void {
    this.#identical.add(user, text, text.length);
    if (text.length > this.#buffer.length) this.#buffer = new Uint8Array(2 * text.length);
    const length = normaliseAscii(text, this.#buffer);
    if (length >= 0) {
      this.#normalised.add(user, this.#buffer, length);
      return;
    }
    const words = encoder.encode(normalisedText(decoder.decode(text)));
    this.#normalised.add(user, words, words.length);
  }

  /** What was counted so far. */
  result(): DuplicateReport {
    return {
      minimumLength: this.#identical.minimumLength,
      identical: this.#identical.report(),
      normalised: this.#normalised.report(),
      samplingRate: Math.min(this.#identical.rate, this.#normalised.rate),
    };
  }
}

/**
 * How many records repeat a text of another user, compared as they are and as their words, in all and above a minimum
 * length. Selection per user cannot see these: the formal claim covers rows that are labelled with a user, not copies
 * of them under other names, so a large share is a warning. Most short ones are formulas ("Yes, my lord").
 *
 * @throws DpError `INVALID_ARGUMENT` where no text column was named
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo'], id: ['1', '1'], text: ['Ay!', 'ay'] });
 * const records = readRecords(table, { user: 'user', id: 'id', text: 'text', file: 'mail.csv' });
 * const report = duplicateReport(records);
 * [report.identical.all.records, report.normalised.all.records, report.normalised.long.records]; // [0, 2, 0]
 * ```
 */
export function duplicateReport(records: Records, options: DuplicateOptions = {}): DuplicateReport {
  const counter = new DuplicateCounter(options);
  for (let row = 0; row < records.rowCount; row++) {
    const user = records.userOf[row]!;
    if (user >= 0) counter.add(user, records.bytesAt(row));
  }
  return counter.result();
}

/**
 * How many records repeat a text of another user, by one way of comparing.
 *
 * @param options - `compare`: default `identical`; `minimumLength`: shortest text that counts, in UTF-16 units of the
 *   compared form, default 0
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo'], id: ['1', '1'], text: ['né', 'né'] });
 * const records = readRecords(table, { user: 'user', id: 'id', text: 'text', file: 'mail.csv' });
 * crossUserDuplicates(records); // { records: 2, compared: 2, share: 1 }
 * ```
 */
export function crossUserDuplicates(
  records: Records,
  options: { compare?: TextComparison; minimumLength?: number } = {},
): CrossUserDuplicates {
  const { compare = 'identical', minimumLength = 0 } = options;
  return duplicateReport(records, { minimumLength })[compare].long;
}
