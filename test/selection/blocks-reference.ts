import type { Table } from 'apache-arrow';
import { chunksOfUser } from '../../selection/chunks.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { compareUtf8 } from '../../selection/key.ts';
import { fittingText } from '../../selection/lengths.ts';
import { groupByUser, readRecords, type Records, rowsOfUser } from '../../selection/records.ts';
import { takeRows, withTextColumn } from '../../selection/tables/index.ts';
import { collectTable, type TableSource } from '../../selection/tables/table-source.ts';

/** A block as a row: the row whose columns it copies, its id and its text. */
interface BlockRow {
  readonly row: number;
  readonly id: string;
  readonly text: string;
}

function blocksOf(
  records: Records,
  { user, rows }: { user: number; rows: Int32Array },
  request: SelectionRequest,
): BlockRow[] {
  const tokenizer = request.tokenizer!;
  const { rule } = request;
  const chunks = chunksOfUser(
    {
      user: records.users[user]!,
      ids: Array.from(rows, row => records.ids[row]!),
      tokens: Array.from(rows, row => tokenizer.encode(records.textAt(row))),
    },
    { ...rule, chunkTokens: rule.chunkTokens! },
  );
  const blocks = chunks.map(({ id, record, tokens }) => {
    return { id, row: rows[record]!, text: fittingText(tokens, { tokenizer, limit: tokens.length }) };
  });
  return blocks.sort((a, b) => compareUtf8(a.id, b.id));
}

/** Random chunks of a whole table in memory: the oracle of the engine, which never holds one. */
export async function blocksInMemory(source: TableSource, request: SelectionRequest): Promise<Table> {
  const { columns, nullUsers, duplicates } = request;
  let table = await collectTable(source);
  if (columns.id === null) table = withTextColumn(table, { name: 'record_id', texts: await namesOf(source) });
  const id = columns.id ?? 'record_id';
  const file = source.files[0]!.name;
  const records = readRecords(table, { ...columns, id, nullUsers, duplicates, file });
  const users = records.users.map((name, user) => ({ name, user }));
  const groups = groupByUser(records);
  const blocks = users
    .sort((a, b) => compareUtf8(a.name, b.name))
    .flatMap(({ user }) => blocksOf(records, { user, rows: rowsOfUser(groups, user) }, request));
  const rows = Int32Array.from(blocks, ({ row }) => row);
  if (rows.length === 0) return takeRows(table, rows);
  const named = withTextColumn(takeRows(table, rows), { name: id, texts: blocks.map(block => block.id) });
  return withTextColumn(named, { name: columns.text!, texts: blocks.map(({ text }) => text) });
}

async function namesOf(source: TableSource): Promise<string[]> {
  const names: string[] = [];
  for await (const { batch, file, rowInFile } of source.batches())
    for (let row = 1; row <= batch.numRows; row++)
      names.push(`${source.files[file]!.name}:${rowInFile + row}`);
  return names;
}
