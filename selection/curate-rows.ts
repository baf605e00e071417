import type { Table } from 'apache-arrow';
import { selectCapped } from './cap.ts';
import { chunksOfUser } from './chunks.ts';
import { addedIdColumn, needsTokens, outputColumns, type ResolvedOptions, stage } from './curate-options.ts';
import { compareUtf8 } from './key.ts';
import { fittingText, textLengths } from './lengths.ts';
import { groupByUser, readRecords, type Records, rowsOfUser } from './records.ts';
import { usesLengths, usesScores } from './rule.ts';
import { scoreRecords } from './scorer.ts';
import { takeRows, withTextColumn } from './tables/index.ts';

/** What deciding about rows needs of the options. */
export type RowOptions = Pick<
  ResolvedOptions,
  'rule' | 'columns' | 'lengthUnit' | 'tokenizer' | 'scorer' | 'signal' | 'onProgress'
>;

/** A kept row: the table row whose columns it copies, and new text where it was cut. */
export interface KeptRow {
  readonly row: number;
  readonly id: string;
  readonly text?: string;
}

async function scoresFor(options: RowOptions, records: Records): Promise<Float64Array | undefined> {
  const { scorer, rule, onProgress } = options;
  if (scorer === undefined || !usesScores(rule.strategy)) return records.scores;
  stage(options, 'score');
  return scoreRecords(records, rule, {
    scorer,
    onProgress: (done, total) => onProgress?.('score', done, total),
  });
}

/** Whole records, the last of a user cut where the token cap says so. */
async function wholeRecords(options: RowOptions, records: Records): Promise<KeptRow[]> {
  const { rule, lengthUnit = 'bytes', tokenizer } = options;
  stage(options, 'measure');
  const lengths = usesLengths(rule.strategy)
    ? textLengths(records, { unit: lengthUnit, tokenizer })
    : undefined;
  const tokens = needsTokens(rule) ? textLengths(records, { unit: 'tokens', tokenizer }) : undefined;
  const scores = await scoresFor(options, records);
  stage(options, 'select');
  const { rows, cuts } = selectCapped(records, rule, { lengths, tokens, scores });
  return Array.from(rows, row => {
    const kept = { row, id: records.ids[row]! };
    const limit = cuts.get(row);
    if (limit === undefined || tokenizer === undefined) return kept;
    const piece = tokenizer.encode(records.textAt(row)).subarray(0, limit);
    return { ...kept, text: fittingText(piece, { tokenizer, limit }) };
  });
}

function chunksOf(
  options: RowOptions,
  records: Records,
  owner: { user: number; rows: Int32Array },
): KeptRow[] {
  const { rule } = options;
  const tokenizer = options.tokenizer!;
  const { rows } = owner;
  const chunks = chunksOfUser(
    {
      user: records.users[owner.user]!,
      ids: Array.from(rows, row => records.ids[row]!),
      tokens: Array.from(rows, row => tokenizer.encode(records.textAt(row))),
    },
    { ...rule, chunkTokens: rule.chunkTokens! },
  );
  const kept = chunks.map(({ id, record, tokens }) => {
    return { id, row: rows[record]!, text: fittingText(tokens, { tokenizer, limit: tokens.length }) };
  });
  return kept.sort((a, b) => compareUtf8(a.id, b.id));
}

/** Blocks of every user, in canonical order. */
function keptChunks(options: RowOptions, records: Records): KeptRow[] {
  stage(options, 'select');
  const groups = groupByUser(records);
  const users = records.users
    .map((name, user) => ({ name, user }))
    .sort((a, b) => compareUtf8(a.name, b.name));
  return users.flatMap(({ user }) => chunksOf(options, records, { user, rows: rowsOfUser(groups, user) }));
}

/** The rows that a rule keeps, in canonical order. */
export async function keptRows(options: RowOptions, records: Records): Promise<KeptRow[]> {
  return options.rule.strategy === 'random-chunk'
    ? keptChunks(options, records)
    : wholeRecords(options, records);
}

/** The output table: kept rows with every column, ids and texts put in where they are new. */
export function outputTable(table: Table, kept: readonly KeptRow[], options: RowOptions): Table {
  const { columns, rule } = options;
  let out = takeRows(
    table,
    Int32Array.from(kept, ({ row }) => row),
  );
  if (columns.id === null || rule.strategy === 'random-chunk') {
    out = withTextColumn(out, { name: columns.id ?? addedIdColumn, texts: kept.map(({ id }) => id) });
  }
  if (kept.every(({ text }) => text === undefined)) return out;
  const old = readRecords(out, { ...outputColumns(columns), file: 'the output' });
  const texts = kept.map(({ text }, row) => text ?? old.textAt(row));
  return withTextColumn(out, { name: columns.text!, texts });
}
