import type { Table } from 'apache-arrow';
import { checkChoice, DpError } from '../../accounting/check.ts';
import { readArrow, writeArrow } from './arrow.ts';
import { readCsv } from './csv.ts';
import { readJsonl } from './jsonl.ts';
import { writeSafely } from './output.ts';
import { readParquet, writeParquet } from './parquet.ts';
import { invalidFile, peek } from './source.ts';

export { takeRows, textTable, withTextColumn } from './take.ts';

/** How a table is stored. `arrow` is an IPC file or stream when read, an IPC file when written. */
export type TableFormat = 'arrow' | 'parquet' | 'jsonl' | 'csv';

export const tableFormats: readonly TableFormat[] = ['arrow', 'parquet', 'jsonl', 'csv'];

const byExtension: Readonly<Record<string, TableFormat>> = {
  arrow: 'arrow',
  arrows: 'arrow',
  feather: 'arrow',
  ipc: 'arrow',
  parquet: 'parquet',
  pq: 'parquet',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'csv',
};

function extensionOf(path: string): string {
  return /\.([^./\\]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? '';
}

/**
 * The format that a file name stands for: `.arrow .arrows .ipc .feather`, `.parquet .pq`, `.jsonl .ndjson`, `.csv .tsv`;
 * the last two also with `.gz`.
 *
 * @throws DpError `INVALID_ARGUMENT` where the extension is none of these
 * @example
 * ```ts
 * formatOf('mail/speeches.jsonl.gz'); // 'jsonl'
 * ```
 */
export function formatOf(path: string): TableFormat {
  const extension = extensionOf(path);
  const format = byExtension[extension];
  if (format !== undefined) return format;
  const known = Object.keys(byExtension).join(', ');
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot tell the format of ${path}: its extension is "${extension}". Use one of ${known}, or name the format.`,
  );
}

/**
 * Reads a whole table into memory.
 *
 * @param options - `format`: default by the extension, see `formatOf`
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` with the row or line where the file is faulty or empty
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * await writeTable(textTable({ user: ['ada'] }), `${folder}/a.parquet`);
 * (await readTable(`${folder}/a.parquet`)).getChild('user').toJSON(); // ['ada']
 * ```
 */
export async function readTable(path: string, options: { format?: TableFormat } = {}): Promise<Table> {
  const format = checkChoice(options.format ?? formatOf(path), {
    verb: 'read',
    name: 'format',
    choices: tableFormats,
  });
  const start = await peek(path, 4);
  if (start.length === 0) throw invalidFile(path, 'it is empty', 'Give a table with at least one record');
  switch (format) {
    case 'arrow':
      return readArrow(path);
    case 'parquet':
      return readParquet(path);
    case 'jsonl':
      return readJsonl(path);
    default:
      return readCsv(path, { delimiter: extensionOf(path) === 'tsv' ? '\t' : ',' });
  }
}

function writableFormat(path: string): 'arrow' | 'parquet' {
  const format = formatOf(path);
  if (format === 'arrow' || format === 'parquet') return format;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot write ${path}: ${format} loses types. Write .arrow or .parquet.`,
  );
}

/** Refuses an output name that cannot be written, before any work is done. */
export function checkWritable(path: string): void {
  writableFormat(path);
}

/** Writes straight to `path`, in the format that the name `as` stands for. */
export async function writeAs(table: Table, path: string, as: string): Promise<void> {
  if (writableFormat(as) === 'parquet') await writeParquet(table, path);
  else await writeArrow(table, path, { stream: extensionOf(as) === 'arrows' });
}

/**
 * Writes a table as Arrow IPC or Parquet, by extension (`.arrows` is the stream form): under a temporary name in the
 * same folder, renamed at the end.
 *
 * @param options - `force`: replace an existing file; default false
 * @throws DpError `OUTPUT_EXISTS`; `INVALID_ARGUMENT` for other formats; `INVALID_DATA` for types that Parquet lacks
 * @example
 * ```ts
 * import { mkdtempSync } from 'node:fs';
 * import { tmpdir } from 'node:os';
 * const folder = mkdtempSync(`${tmpdir()}/example-`);
 * await writeTable(textTable({ user: ['ada'] }), `${folder}/a.arrow`);
 * await writeTable(textTable({ user: ['bo'] }), `${folder}/a.arrow`).catch(error => error.code); // 'OUTPUT_EXISTS'
 * ```
 */
export async function writeTable(
  table: Table,
  path: string,
  options: { force?: boolean } = {},
): Promise<void> {
  checkWritable(path);
  await writeSafely(path, { force: options.force ?? false }, temporary => writeAs(table, temporary, path));
}
