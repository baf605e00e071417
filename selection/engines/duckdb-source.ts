import { join } from 'node:path';
import { standardText } from '../sql/quote.ts';
import type { TableSource } from '../tables/table-source.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';

/** Brackets keep DuckDB from reading a path as a pattern. */
function literalPath(path: string): string {
  return standardText(path.replace(/[*?[]/g, '[$&]'));
}

function readParquet(paths: readonly string[]): string {
  return `read_parquet([${paths.map(literalPath).join(', ')}], hive_partitioning = false)`;
}

/** One Parquet file for each file of the source, so that rows keep their numbers. */
async function convert(source: TableSource, folder: string): Promise<string[]> {
  const paths = source.files.map((_, index) => join(folder, `${index}.parquet`));
  const open = (path: string): Promise<TableSink> =>
    openSink(path, { schema: source.schema, format: 'parquet' });
  let current = 0;
  let sink = await open(paths[0]!);
  try {
    for await (const { batch, file } of source.batches()) {
      while (current < file) {
        await sink.finish();
        sink = await open(paths[++current]!);
      }
      await sink.write(batch);
    }
    await sink.finish();
  } finally {
    await sink.abort();
  }
  return paths.slice(0, current + 1);
}

/**
 * Refuses files that changed since they were opened. Files that DuckDB reads by itself are looked at by a pass of our
 * own readers that wants no rows; of others it has copies.
 *
 * @throws DpError `INVALID_DATA`
 */
export async function refuseChanges(source: TableSource): Promise<void> {
  if (!isReadAsItLies(source)) return;
  for await (const _ of source.batches({ columns: [], wants: () => false }));
}

function isReadAsItLies({ files }: TableSource): boolean {
  return files.every(({ format }) => format === 'parquet');
}

/**
 * The source as a table function of DuckDB, with the columns `file_index` and `file_row_number` besides its own.
 *
 * Parquet is read as it lies. Other formats are first copied into Parquet by our own readers: DuckDB has none for Arrow,
 * and those for CSV and JSON lines differ from ours (a row with too many cells is passed over without a word, a byte
 * order mark is refused), which would keep other records.
 *
 * @param folder - an existing folder of this request alone
 */
export async function duckdbSource(source: TableSource, folder: string): Promise<string> {
  return readParquet(
    isReadAsItLies(source) ? source.files.map(({ path }) => path) : await convert(source, folder),
  );
}
