import { DpError } from '../accounting/check.ts';
import type { Records } from './records.ts';
import type { TextCells } from './tables/cells.ts';

/** What a length counts. UTF-16 units, JavaScript's `.length`, are not offered: no other engine counts them. */
export type LengthUnit = 'bytes' | 'codepoints' | 'tokens';

export const lengthUnits: readonly LengthUnit[] = ['bytes', 'codepoints', 'tokens'];

/** What selection needs of a tokenizer; it must be public, like everything that a rule looks at beside the user's data. */
export interface SelectionTokenizer {
  readonly name: string;
  readonly hash: string;
  encode(text: string): Int32Array;
  decode(ids: Int32Array): string;
}

function codepoints(bytes: Uint8Array): number {
  let count = 0;
  for (const byte of bytes) if ((byte & 0xc0) !== 0x80) count += 1;
  return count;
}

/**
 * Length of each record's text; 0 for rows that a policy dropped.
 *
 * @param options - `unit`; `tokenizer`: needed for tokens
 * @returns shape [rowCount]
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo'], id: ['1', '1'], text: ['né', 'né'] });
 * const records = readRecords(table, { user: 'user', id: 'id', text: 'text', file: 'mail.csv' });
 * [...textLengths(records, { unit: 'bytes' })]; // [3, 3]
 * [...textLengths(records, { unit: 'codepoints' })]; // [2, 2]
 * ```
 */
export function textLengths(
  records: Records,
  options: { unit: LengthUnit; tokenizer?: SelectionTokenizer | undefined },
): Int32Array {
  const measure = measureOf(records, options);
  return records.userOf.map((user, row) => (user < 0 ? 0 : measure(row)));
}

/** Length of one text of a batch, without a string where bytes will do. */
export function textLength(
  cells: TextCells,
  row: number,
  options: { unit: LengthUnit; tokenizer?: SelectionTokenizer | undefined },
): number {
  const { unit, tokenizer } = options;
  if (unit === 'bytes') return cells.byteLength(row);
  if (unit === 'codepoints') return codepoints(cells.bytes(row));
  if (tokenizer !== undefined) return tokenizer.encode(cells.text(row)).length;
  throw noTokenizer();
}

function noTokenizer(): DpError {
  return new DpError(
    'INVALID_ARGUMENT',
    'Cannot count tokens: the tokenizer is undefined. Give the one that training uses.',
  );
}

function measureOf(
  records: Records,
  options: { unit: LengthUnit; tokenizer?: SelectionTokenizer | undefined },
): (row: number) => number {
  const { unit, tokenizer } = options;
  if (unit === 'bytes') return row => records.bytesAt(row).length;
  if (unit === 'codepoints') return row => codepoints(records.bytesAt(row));
  if (tokenizer !== undefined) return row => tokenizer.encode(records.textAt(row)).length;
  throw noTokenizer();
}

const brokenCharacters = /^\uFFFD+|\uFFFD+$/g;

/**
 * The text of a piece of a token stream. A cut may fall inside a character, whose halves are left out, and a text may
 * come out longer when it is encoded again; then its last tokens are left out until it fits.
 *
 * @returns text that encodes to at most `limit` tokens
 * @example
 * ```ts
 * const tokenizer = {
 *   name: 'bytes',
 *   hash: '',
 *   encode: text => Int32Array.from(Buffer.from(text)),
 *   decode: ids => Buffer.from(ids).toString(),
 * };
 * fittingText(tokenizer.encode('né').subarray(0, 2), { tokenizer, limit: 2 }); // 'n'
 * ```
 */
export function fittingText(
  tokens: Int32Array,
  options: { tokenizer: SelectionTokenizer; limit: number },
): string {
  const { tokenizer, limit } = options;
  for (let count = tokens.length; count > 0; count--) {
    const text = tokenizer.decode(tokens.subarray(0, count)).replace(brokenCharacters, '');
    if (tokenizer.encode(text).length <= limit) return text;
  }
  return '';
}
