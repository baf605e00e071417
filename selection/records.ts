import { basename } from 'node:path';
import { type Data, DataType, Precision, type Table, type Vector } from 'apache-arrow';
import { DpError } from '../accounting/check.ts';
import {
  columnTexts,
  isIntegerType,
  isNullAt,
  isTextType,
  startsOf,
  textCells,
  type TextCells,
} from './tables/cells.ts';
import { lastStart } from './tables/last-start.ts';

/** What to do with rows whose user is null or empty. */
export type NullUserPolicy = 'error' | 'drop';

/** What to do with rows whose (user, id) occurred before. */
export type DuplicatePolicy = 'error' | 'keep-first';

/** Which columns of a table mean what. */
export interface RecordColumns {
  readonly user: string;
  /** Null numbers the rows: `<file>:<row>`, which depends on how the file is laid out. */
  readonly id: string | null;
  readonly text?: string | undefined;
  readonly score?: string | undefined;
}

export interface ReadRecordsOptions extends RecordColumns {
  /** Default `error`. */
  readonly nullUsers?: NullUserPolicy | undefined;
  /** Default `error`. */
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Name of the file for messages and for numbered ids. */
  readonly file: string;
}

/** A validated table by column; every array has one entry a row of the table. */
export interface Records {
  readonly file: string;
  readonly rowCount: number;
  /** Distinct users in order of first appearance. */
  readonly users: readonly string[];
  /** Row to place in `users`; -1 for a row that a policy dropped. */
  readonly userOf: Int32Array;
  readonly ids: readonly string[];
  readonly scores?: Float64Array;
  readonly dropped: { readonly nullUsers: number; readonly duplicates: number };
  /** Text of a row; throws where no text column was named. */
  textAt(row: number): string;
  /** UTF-8 bytes of the same. */
  bytesAt(row: number): Uint8Array;
}

/** Rows sorted by user, in table order within a user: those of user u are `rows[starts[u]]` to `rows[starts[u + 1] - 1]`. */
export interface UserGroups {
  readonly starts: Int32Array;
  readonly rows: Int32Array;
}

interface Context {
  readonly file: string;
  readonly table: Table;
}

function invalidData(context: Context, reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot read ${context.file}: ${reason}. ${advice}.`);
}

function columnOf(context: Context, name: string, role: string): Vector {
  const column = context.table.getChild(name);
  if (column !== null) return column;
  const available = context.table.schema.fields.map(field => JSON.stringify(field.name)).join(', ');
  throw new DpError(
    'MISSING_COLUMN',
    `Cannot read ${context.file}: there is no ${role} column ${JSON.stringify(name)}. Choose from ${available}.`,
  );
}

function checkText(context: Context, name: string, column: Vector): void {
  const starts = startsOf(column.data);
  for (const [part, data] of column.data.entries()) {
    const found = textCells(data).firstDefect();
    if (found === undefined) continue;
    const row = starts[part]! + found.row + 1;
    throw invalidData(
      context,
      `column ${JSON.stringify(name)} holds ${found.defect} in row ${row}`,
      'Mend or remove that row',
    );
  }
}

function keyColumn(context: Context, name: string, role: 'user' | 'id'): (string | null)[] {
  const column = columnOf(context, name, role);
  if (!isTextType(column.type) && !isIntegerType(column.type)) {
    const type = String(column.type);
    throw invalidData(
      context,
      `${role} column ${JSON.stringify(name)} is of type ${type}, whose text form is not fixed`,
      'Name a column of text or whole numbers',
    );
  }
  checkText(context, name, column);
  return columnTexts(column);
}

/** Numbers users by first appearance; null and empty ones get -1 or are refused. */
function internUsers(
  context: Context,
  names: readonly (string | null)[],
  policy: NullUserPolicy,
): { users: string[]; userOf: Int32Array; nullUsers: number } {
  const known = new Map<string, number>();
  const userOf = new Int32Array(names.length);
  let nullUsers = 0;
  for (let row = 0; row < names.length; row++) {
    const name = names[row]!;
    if (name === null || name === '') {
      if (policy === 'error') throw nullUser(context, row);
      userOf[row] = -1;
      nullUsers += 1;
      continue;
    }
    const index = known.get(name);
    if (index === undefined) known.set(name, known.size);
    userOf[row] = index ?? known.size - 1;
  }
  return { users: [...known.keys()], userOf, nullUsers };
}

function nullUser(context: Context, row: number): DpError {
  return new DpError(
    'NULL_USER',
    `Cannot read ${context.file}: the user of row ${row + 1} is null or empty. Mend the row, or drop such rows by policy.`,
  );
}

function readIds(context: Context, options: ReadRecordsOptions, userOf: Int32Array): string[] {
  if (options.id === null) return Array.from(userOf, (_, row) => `${basename(options.file)}:${row + 1}`);
  const ids = keyColumn(context, options.id, 'id');
  return ids.map((id, row) => {
    if (id !== null && id !== '') return id;
    if (userOf[row] === -1) return '';
    throw invalidData(context, `the id of row ${row + 1} is null or empty`, 'Give every record an id');
  });
}

/**
 * Counting sort of rows by user; dropped rows (-1) are left out.
 *
 * @example
 * ```ts
 * const groups = groupByUser({ users: ['ada', 'bo'], userOf: Int32Array.of(1, 0, -1, 1) });
 * [...rowsOfUser(groups, 1)]; // [0, 3]
 * ```
 */
export function groupByUser(records: { users: { length: number }; userOf: Int32Array }): UserGroups {
  const { users, userOf } = records;
  const starts = new Int32Array(users.length + 2);
  // By index: iterating a typed array costs several times as much.
  for (let row = 0; row < userOf.length; row++) if (userOf[row]! >= 0) starts[userOf[row]! + 2]! += 1;
  for (let user = 2; user < starts.length; user++) starts[user]! += starts[user - 1]!;
  const rows = new Int32Array(starts[users.length + 1]!);
  for (let row = 0; row < userOf.length; row++) {
    const user = userOf[row]!;
    if (user >= 0) rows[starts[user + 1]!++] = row;
  }
  return { starts: starts.subarray(0, users.length + 1), rows };
}

/**
 * The rows of one user, a view into `groups.rows`.
 *
 * @example
 * ```ts
 * [...rowsOfUser(groupByUser({ users: ['ada'], userOf: Int32Array.of(0, 0) }), 0)]; // [0, 1]
 * ```
 */
export function rowsOfUser(groups: UserGroups, user: number): Int32Array {
  return groups.rows.subarray(groups.starts[user], groups.starts[user + 1]);
}

/** Up to this many records of a user are compared pair by pair, which costs less than a set. */
const fewRecords = 12;

function occursBefore(rows: Int32Array, ids: readonly string[], place: number): boolean {
  const id = ids[rows[place]!];
  for (let i = 0; i < place; i++) if (ids[rows[i]!] === id) return true;
  return false;
}

/** Finds the rows of one user whose id an earlier one has. */
function repeatedRows(rows: Int32Array, ids: readonly string[]): Int32Array {
  if (rows.length <= fewRecords) return rows.filter((_, place) => occursBefore(rows, ids, place));
  const seen = new Set<string>();
  return rows.filter(row => seen.size === seen.add(ids[row]!).size);
}

/** Marks repeated (user, id) pairs with -1 in `userOf`, or refuses the first. */
function dropDuplicates(
  context: Context,
  columns: { users: string[]; userOf: Int32Array; ids: string[] },
  policy: DuplicatePolicy,
): number {
  const groups = groupByUser(columns);
  let duplicates = 0;
  for (let user = 0; user < columns.users.length; user++) {
    const rows = rowsOfUser(groups, user);
    if (rows.length === 1) continue;
    const repeated = repeatedRows(rows, columns.ids);
    duplicates += repeated.length;
    for (const row of repeated) {
      if (policy === 'error') throw duplicateRecord(context, row);
      columns.userOf[row] = -1;
    }
  }
  return duplicates;
}

function duplicateRecord(context: Context, row: number): DpError {
  return new DpError(
    'DUPLICATE_RECORD',
    `Cannot read ${context.file}: row ${row + 1} repeats a record id of its user. Make ids unique, or keep the first by policy.`,
  );
}

const decimalNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

function numberIn(text: string): number {
  return decimalNumber.test(text.trim()) ? Number(text) : NaN;
}

/** Reads the numbers of one batch, NaN for text that is none; undefined for a type that holds none. */
export function batchNumbers(data: Data): ((row: number) => number) | undefined {
  const { type, values } = data;
  if (isTextType(type)) {
    const cells = textCells(data);
    return row => numberIn(cells.text(row));
  }
  const isHalf = DataType.isFloat(type) && type.precision === Precision.HALF;
  return (DataType.isFloat(type) && !isHalf) || DataType.isInt(type) ? row => Number(values[row]) : undefined;
}

function readScores(context: Context, name: string, userOf: Int32Array): Float64Array {
  const column = columnOf(context, name, 'score');
  const scores = new Float64Array(userOf.length);
  let at = 0;
  for (const data of column.data) {
    const read = batchNumbers(data);
    if (read === undefined) {
      const type = String(column.type);
      throw invalidData(
        context,
        `score column ${JSON.stringify(name)} is of type ${type}`,
        'Name a column of numbers',
      );
    }
    for (let row = 0; row < data.length; row++, at++) {
      scores[at] = isNullAt(data, row) ? NaN : read(row);
      if (userOf[at]! >= 0 && Number.isNaN(scores[at])) {
        throw invalidData(
          context,
          `the score of row ${at + 1} is null or not a number`,
          'Score every record or leave it out',
        );
      }
      if (userOf[at] === -1) scores[at] = 0;
    }
  }
  return scores;
}

/** Random access to the text column: remembers the batch it was in. */
class TextColumn {
  readonly #batches: readonly TextCells[];
  readonly #starts: readonly number[];
  #batch = 0;

  constructor(column: Vector) {
    this.#batches = column.data.map(textCells);
    this.#starts = startsOf(column.data);
  }

  textAt(row: number): string {
    const cells = this.#seek(row);
    return cells.text(row - this.#starts[this.#batch]!);
  }

  bytesAt(row: number): Uint8Array {
    const cells = this.#seek(row);
    return cells.bytes(row - this.#starts[this.#batch]!);
  }

  #seek(row: number): TextCells {
    const cells = this.#batches[this.#batch]!;
    const within = row - this.#starts[this.#batch]!;
    if (within >= 0 && within < cells.length) return cells;
    this.#batch = lastStart(this.#starts, row);
    return this.#batches[this.#batch]!;
  }
}

function readText(context: Context, name: string, userOf: Int32Array): TextColumn {
  const column = columnOf(context, name, 'text');
  if (!isTextType(column.type)) {
    throw invalidData(
      context,
      `text column ${JSON.stringify(name)} is of type ${String(column.type)}`,
      'Name a column of text',
    );
  }
  checkText(context, name, column);
  const starts = startsOf(column.data);
  for (const [part, data] of column.data.entries()) {
    const cells = textCells(data);
    for (let row = 0; row < data.length; row++) {
      const at = starts[part]! + row;
      if (cells.isNull(row) && userOf[at] !== -1) {
        throw invalidData(
          context,
          `the text of row ${at + 1} is null`,
          'Give every record a text or remove the row',
        );
      }
    }
  }
  return new TextColumn(column);
}

function noText(file: string): never {
  throw new DpError('INVALID_ARGUMENT', `Cannot read text from ${file}: no text column was named. Name one.`);
}

/**
 * Validates a table and lays its user, id, text and score columns out for selection.
 *
 * Users and ids may be text (Utf8, LargeUtf8, Utf8View, behind a dictionary or not) or whole numbers, which become
 * decimal text. Rows in messages count from 1; no message holds text or ids.
 *
 * @returns arrays aligned with the rows of `table`, also where a policy drops rows (`userOf` is -1 there)
 * @throws DpError `MISSING_COLUMN`, `NULL_USER`, `DUPLICATE_RECORD`, or `INVALID_DATA` for an empty table, a type
 *   without a fixed text form (floats, timestamps), a null id or text, a null or NaN score, invalid UTF-8, NUL
 * @example
 * ```ts
 * import { textTable } from 'privacy-unit/selection';
 * const table = textTable({ who: ['ada', 'bo', 'ada'], n: ['1', '1', '2'] });
 * const records = readRecords(table, { user: 'who', id: 'n', file: 'mail.csv' });
 * records.users; // ['ada', 'bo']
 * [...records.userOf]; // [0, 1, 0]
 * ```
 */
export function readRecords(table: Table, options: ReadRecordsOptions): Records {
  const context: Context = { file: options.file, table };
  const names = keyColumn(context, options.user, 'user');
  if (table.numRows === 0)
    throw invalidData(context, 'it holds 0 rows', 'Give a table with at least one record');
  const { users, userOf, nullUsers } = internUsers(context, names, options.nullUsers ?? 'error');
  const ids = readIds(context, options, userOf);
  const duplicates = dropDuplicates(context, { users, userOf, ids }, options.duplicates ?? 'error');
  const text = options.text === undefined ? undefined : readText(context, options.text, userOf);
  const scores = options.score === undefined ? {} : { scores: readScores(context, options.score, userOf) };
  return {
    file: options.file,
    rowCount: table.numRows,
    users,
    userOf,
    ids,
    ...scores,
    dropped: { nullUsers, duplicates },
    textAt: row => (text ?? noText(options.file)).textAt(row),
    bytesAt: row => (text ?? noText(options.file)).bytesAt(row),
  };
}
