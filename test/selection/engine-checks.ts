import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Table } from 'apache-arrow';
import { selectRows } from '../../selection/cap.ts';
import type { SelectionEngine, SelectionOutput, SelectionRequest } from '../../selection/engines/engine.ts';
import { textLengths } from '../../selection/lengths.ts';
import { readRecords, type Records } from '../../selection/records.ts';
import { usesLengths } from '../../selection/rule.ts';
import { columnTexts } from '../../selection/tables/cells.ts';
import { collectTable, openTables, type TableSource } from '../../selection/tables/table-source.ts';
import { readTable } from '../../selection/tables/index.ts';

export const cap = { strategy: 'random', seed: '42', recordsPerUser: 5 } as const;

/** A request on files with the usual columns; `folder` holds what does not fit. */
export function requestOn(
  source: SelectionRequest['source'],
  options: { folder: string } & Partial<SelectionRequest>,
): SelectionRequest {
  const { folder, ...rest } = options;
  return {
    source,
    columns: { user: 'user', id: 'id', text: 'text' },
    rule: cap,
    lengthUnit: 'bytes',
    nullUsers: 'error',
    duplicates: 'error',
    memoryLimit: 2 ** 30,
    temporaryFolder: folder,
    threads: 2,
    ...rest,
  };
}

/** (user, id) of every row of a table, in its order. */
export function pairsOf(table: Table, columns: { user: string; id: string }): string[] {
  const ids = columnTexts(table.getChild(columns.id)!);
  return columnTexts(table.getChild(columns.user)!).map((user, row) => JSON.stringify([user, ids[row]]));
}

/** What the typed arrays keep: the oracle of every engine. */
export async function expectedPairs(
  source: TableSource | Records,
  request: SelectionRequest,
): Promise<string[]> {
  const { columns, rule, lengthUnit, nullUsers, duplicates } = request;
  const options = { ...columns, nullUsers, duplicates };
  const records =
    'userOf' in source
      ? source
      : readRecords(await collectTable(source), { ...options, file: source.files[0]!.name });
  const lengths = usesLengths(rule.strategy) ? textLengths(records, { unit: lengthUnit }) : undefined;
  const rows = selectRows(records, rule, { lengths });
  return Array.from(rows, row => JSON.stringify([records.users[records.userOf[row]!], records.ids[row]]));
}

/** Runs an engine and reads back what it wrote. */
export async function outputOf(
  engine: SelectionEngine,
  request: SelectionRequest,
  format: 'arrow' | 'parquet' = 'parquet',
): Promise<Table> {
  const output = freeOutput(request.temporaryFolder, format);
  await engine.select(request, output);
  return readTable(output.path);
}

/** An output path that is free. */
export function freeOutput(folder: string, format: 'arrow' | 'parquet'): SelectionOutput {
  return { path: join(mkdtempSync(join(folder, 'out-')), `kept.${format}`), format, isStream: false };
}

export async function openOne(path: string): Promise<TableSource> {
  return openTables([path]);
}
