import { DpError } from '../../accounting/check.ts';
import { isTextType, textCells } from '../tables/cells.ts';
import { invalidFile } from '../tables/source.ts';
import type { TableSource } from '../tables/table-source.ts';
import { defects } from './duckdb-narrow.ts';
import type { DuckdbSession } from './duckdb-session.ts';
import type { SelectionRequest } from './engine.ts';

interface FaultyRow {
  readonly defect: number;
  /** Place in the files of the source. */
  readonly file: number;
  /** Counted from 1 within its file. */
  readonly row: number;
}

/** The failure of a row, in the words of `readRecords`. */
function faultOf(
  source: TableSource,
  columns: SelectionRequest['columns'],
  { defect, file, row }: FaultyRow,
): DpError {
  const { path, name } = source.files[file]!;
  const nul = (column: string | null | undefined): DpError =>
    invalidFile(
      path,
      `column ${JSON.stringify(column)} holds a NUL character in row ${row}`,
      'Mend or remove that row',
    );
  switch (defect) {
    case defects.userText:
      return nul(columns.user);
    case defects.idText:
      return nul(columns.id);
    case defects.text:
      return nul(columns.text);
    case defects.nullUser:
      return new DpError(
        'NULL_USER',
        `Cannot read ${name}: the user of row ${row} is null or empty. Mend the row, or drop such rows by policy.`,
      );
    case defects.nullId:
      return invalidFile(path, `the id of row ${row} is null or empty`, 'Give every record an id');
    case defects.nullText:
      return invalidFile(
        path,
        `the text of row ${row} is null`,
        'Give every record a text or remove the row',
      );
    default:
      return invalidFile(
        path,
        `the score of row ${row} is null or no number`,
        'Score every record or leave it out',
      );
  }
}

/** Refuses the worst row of the narrow table, the first of its kind. */
export async function refuseDefects(
  session: DuckdbSession,
  source: TableSource,
  { columns }: SelectionRequest,
): Promise<void> {
  const { defect, file, place } = await session.numbers(
    'SELECT defect, file, place FROM narrow WHERE defect > 0 ORDER BY defect, file, place LIMIT 1',
  );
  if (defect === undefined) return;
  throw faultOf(source, columns, { defect, file: file!, row: place! + 1 });
}

/**
 * Deletes or refuses records whose (user, id) came before. Hashes are compared first: they fit where texts would not.
 *
 * @returns how many were deleted
 */
export async function dropRepeats(
  session: DuckdbSession,
  source: TableSource,
  { duplicates }: SelectionRequest,
): Promise<number> {
  await session.rows(
    'CREATE TEMP TABLE suspects AS SELECT hash(u, i) AS h FROM narrow GROUP BY h HAVING COUNT(*) > 1',
  );
  await session.rows(
    `CREATE TEMP TABLE repeats AS SELECT file, place FROM (
       SELECT file, place, ROW_NUMBER() OVER (PARTITION BY u, i ORDER BY file, place) AS occurrence
       FROM narrow SEMI JOIN suspects ON hash(u, i) = h) WHERE occurrence > 1`,
  );
  const [first] = await session.rows('SELECT file, place FROM repeats ORDER BY file, place LIMIT 1');
  if (first === undefined) return 0;
  if (duplicates === 'error') {
    const { name } = source.files[Number(first['file'])]!;
    throw new DpError(
      'DUPLICATE_RECORD',
      `Cannot read ${name}: row ${Number(first['place']) + 1} repeats a record id of its user. Make ids unique, or keep the first by policy.`,
    );
  }
  await session.rows(
    'DELETE FROM narrow USING repeats WHERE narrow.file = repeats.file AND narrow.place = repeats.place',
  );
  return (await session.numbers('SELECT COUNT(*) AS n FROM repeats'))['n']!;
}

/** After a failure of DuckDB: reads the columns that matter with our own reader, which names the row of invalid text. */
export async function refuseInvalidText(source: TableSource, request: SelectionRequest): Promise<void> {
  const { user, id, text } = request.columns;
  const names = [user, id, text].filter(name => typeof name === 'string');
  for await (const { batch, file, rowInFile } of source.batches({ columns: names })) {
    for (const [at, data] of batch.data.children.entries()) {
      const found = isTextType(data.type) ? textCells(data).firstDefect() : undefined;
      if (found === undefined) continue;
      const where = `column ${JSON.stringify(names[at])} holds ${found.defect} in row ${rowInFile + found.row + 1}`;
      throw invalidFile(source.files[file]!.path, where, 'Mend or remove that row');
    }
  }
}
