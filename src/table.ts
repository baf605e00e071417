import type { Command } from 'commander';
import type { Table } from 'apache-arrow';
import {
  isHeldOut,
  openTables,
  readRecords,
  readTable,
  type DuplicatePolicy,
  type NullUserPolicy,
  type RecordColumns,
  type Records,
  type TableFormat,
} from '../selection/index.ts';
import type { TextRow } from '../trainer/index.ts';
import { DpError } from '../accounting/check.ts';
import { choice } from './arguments.ts';

/** How a table's columns are named and what its faults mean, as commander hands it over. */
export interface TableOptions {
  readonly user?: string;
  readonly id?: string;
  readonly text?: string;
  readonly score?: string;
  readonly format?: TableFormat;
  readonly nullUsers?: NullUserPolicy;
  readonly duplicates?: DuplicatePolicy;
}

/** A table with its validated columns. */
export interface UserTable {
  readonly table: Table;
  readonly records: Records;
}

const formats: readonly TableFormat[] = ['arrow', 'parquet', 'jsonl', 'csv'];

/** Adds the options that name columns and policies. */
export function addTableOptions(command: Command): Command {
  return command
    .optionsGroup('Table:')
    .option('--user <column>', 'column of the user, the unit of protection (default: user)')
    .option(
      '--id <column>',
      'column of the record id, or auto for file name and row number (default: record_id where there is one, else auto)',
    )
    .option('--text <column>', 'column of the text (default: text)')
    .option(
      '--format <name>',
      `${formats.join(', ')} (default: by the file's extension)`,
      choice('--format', formats),
    )
    .option(
      '--null-users <policy>',
      'rows without a user: error or drop (default: error)',
      choice('--null-users', ['error', 'drop']),
    )
    .option(
      '--duplicates <policy>',
      'rows whose user and id occurred before: error or keep-first (default: error)',
      choice('--duplicates', ['error', 'keep-first']),
    );
}

/** Columns by role: those asked for, else the usual ones where the table has them. */
export function columnsAmong(names: readonly string[], options: TableOptions): RecordColumns {
  const { user = 'user', score } = options;
  const or = (asked: string | undefined, usual: string): string | undefined =>
    asked ?? (names.includes(usual) ? usual : undefined);
  const id = or(options.id, 'record_id') ?? 'auto';
  return { user, id: id === 'auto' ? null : id, text: or(options.text, 'text'), score };
}

function namesOf({ schema }: Pick<Table, 'schema'>): string[] {
  return schema.fields.map(({ name }) => name);
}

/** Columns by name; the table is opened only where it has to be asked which it has. */
export async function columnsOf(path: string, options: TableOptions): Promise<RecordColumns> {
  const { text, id, format } = options;
  if (id !== undefined && text !== undefined) return columnsAmong([], options);
  return columnsAmong(namesOf(await openTables([path], { format })), options);
}

/** Reads a table and its users; with `needsText` the text column must be there too. */
export async function readUserTable(
  path: string,
  options: TableOptions & { needsText: boolean },
): Promise<UserTable> {
  const { format, nullUsers = 'error', duplicates = 'error', needsText } = options;
  const table = await readTable(path, format === undefined ? {} : { format });
  const { text = 'text', ...columns } = columnsAmong(namesOf(table), options);
  const records = readRecords(table, {
    ...columns,
    ...(needsText ? { text } : {}),
    nullUsers,
    duplicates,
    file: path,
  });
  return { table, records };
}

function textOf(value: unknown, row: number, file: string): string {
  if (typeof value === 'string') return value;
  const reason = value === null ? 'is null' : `is of type ${typeof value}`;
  throw new DpError(
    'INVALID_DATA',
    `Cannot read ${file}: the text of row ${row + 1} ${reason}. Mend the row.`,
  );
}

/** The text column of a table whose users don't matter. */
export async function readTexts(
  path: string,
  options: Pick<TableOptions, 'text' | 'format'>,
): Promise<string[]> {
  const { text = 'text', format } = options;
  const table = await readTable(path, format === undefined ? {} : { format });
  const column = table.getChild(text);
  if (column === null) {
    const names = table.schema.fields.map(field => JSON.stringify(field.name)).join(', ');
    throw new DpError(
      'MISSING_COLUMN',
      `Cannot read ${path}: there is no text column ${JSON.stringify(text)}. Choose from ${names}.`,
    );
  }
  const values: readonly unknown[] = column.toJSON();
  return values.map((value, row) => textOf(value, row, path));
}

/** The rows that a policy left, with their text. */
export function* textRows(records: Records): Generator<TextRow> {
  for (let row = 0; row < records.rowCount; row++) {
    const user = records.userOf[row]!;
    if (user < 0) continue;
    const score = records.scores?.[row];
    const text = records.textAt(row);
    const base = { user: records.users[user]!, id: records.ids[row]!, text };
    yield score === undefined ? base : { ...base, score };
  }
}

/** Which users a keyed hash of their id keeps out of training. */
export interface HeldOutRule {
  readonly fraction: number;
  readonly seed: string;
}

/** Records of each training user, and how many users are kept out. */
export function trainingContributions(
  records: Records,
  heldOut: HeldOutRule,
): { contributions: number[]; heldOutUsers: number } {
  const counts = new Map<number, number>();
  for (const user of records.userOf) {
    if (user >= 0) counts.set(user, (counts.get(user) ?? 0) + 1);
  }
  const all = [...counts];
  const training = all.filter(([user]) => !isHeldOut(records.users[user]!, heldOut));
  return { contributions: training.map(([, count]) => count), heldOutUsers: all.length - training.length };
}
