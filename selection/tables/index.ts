import type { Table } from 'apache-arrow';
import { checkChoice, DpError } from '../../accounting/check.ts';
import { extensionOf, formatOf, type TableFormat, tableFormats } from './formats.ts';
import { writeSafely } from './output.ts';
import { openSink } from './table-sink.ts';
import { collectTable, openTables } from './table-source.ts';

export { formatOf, type TableFormat, tableFormats } from './formats.ts';
export { expandInputs } from './expand.ts';
export type { RowPolicy, SkipReason } from './row-faults.ts';
export { RowSorter, type RowSorterOptions } from '../rows/row-sorter.ts';
export { type SpooledInput, spoolInput } from './spool.ts';
export { takeRows, textTable, withTextColumn } from './take.ts';
export { openSink, openStreamSink, type TableSink } from './table-sink.ts';
export {
  type BatchOptions,
  openTables,
  type OpenTablesOptions,
  type SourceBatch,
  type TableSource,
} from './table-source.ts';

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
  return collectTable(await openTables([path], { format }));
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
  const format = writableFormat(as);
  const sink = await openSink(path, { schema: table.schema, format, isStream: extensionOf(as) === 'arrows' });
  try {
    for (const batch of table.batches) await sink.write(batch);
    await sink.finish();
  } finally {
    await sink.abort();
  }
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
