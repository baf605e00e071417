import { Data, DataType, Field, RecordBatch, Schema, Struct, Table, Utf8, type Vector } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import { TextBuilder } from './build.ts';
import { startsOf } from './cells.ts';
import { gatherDictionary } from './dictionary.ts';
import { gather, type Places } from './gather.ts';
import { lastStart } from './last-start.ts';

/** Rows of a batch that we write. */
export const batchRows = 65_536;

/** Bytes of variable-length columns at which a batch that we write is closed. */
export const batchBytes: number = 2 ** 26;

/** Batch and row within it of each row wanted, counted over all batches. */
export function placesOf(batches: readonly Data[], rows: Int32Array): Places {
  const starts = startsOf(batches);
  const batch = new Int32Array(rows.length);
  const row = new Int32Array(rows.length);
  let current = 0;
  for (let i = 0; i < rows.length; i++) {
    const wanted = rows[i]!;
    if (wanted < starts[current]! || wanted >= starts[current]! + batches[current]!.length) {
      current = lastStart(starts, wanted);
    }
    batch[i] = current;
    row[i] = wanted - starts[current]!;
  }
  return { batch, row };
}

/** Bytes of a variable-length cell, 0 for other types. */
function cellBytes(data: Data, row: number): number {
  if (DataType.isUtf8View(data.type) || DataType.isBinaryView(data.type)) {
    return new DataView(data.values.buffer, data.values.byteOffset + 16 * row).getInt32(0, true);
  }
  const offsets: ArrayLike<number | bigint> | undefined = data.valueOffsets;
  return offsets === undefined ? 0 : Number(offsets[row + 1]!) - Number(offsets[row]!);
}

function isVariable(column: readonly Data[]): boolean {
  const type = column[0]?.type;
  return (
    DataType.isUtf8(type) ||
    DataType.isLargeUtf8(type) ||
    DataType.isUtf8View(type) ||
    DataType.isBinary(type) ||
    DataType.isLargeBinary(type) ||
    DataType.isBinaryView(type)
  );
}

/** Cuts rows into runs of at most `batchRows` rows and about `batchBytes` bytes. */
export function runsOf(columns: readonly (readonly Data[])[], at: Places): Places[] {
  const variable = columns.filter(isVariable);
  const runs: Places[] = [];
  let start = 0;
  let bytes = 0;
  for (let i = 0; i < at.row.length; i++) {
    if (i - start >= batchRows || bytes > batchBytes) {
      runs.push(slice(at, start, i));
      start = i;
      bytes = 0;
    }
    for (const column of variable) bytes += cellBytes(column[at.batch[i]!]!, at.row[i]!);
  }
  runs.push(slice(at, start, at.row.length));
  return runs;
}

function slice(at: Places, start: number, end: number): Places {
  return { batch: at.batch.subarray(start, end), row: at.row.subarray(start, end) };
}

function gatherRuns(column: Vector, at: Places, runs: readonly Places[]): Data[] {
  if (DataType.isDictionary(column.type)) return gatherDictionary(column.data, at, runs);
  return runs.map(run => gather(column.data, run));
}

/** A table from batches of columns: `columns[c][b]` is batch b of column c, described by `fields[c]`. */
export function tableOf(
  fields: readonly Field[],
  columns: readonly (readonly Data[])[],
  metadata?: Map<string, string>,
): Table {
  const schema = new Schema([...fields], metadata);
  const type = new Struct([...fields]);
  const count = columns[0]?.length ?? 0;
  const batches = Array.from({ length: count }, (_, b) => {
    const children = columns.map(column => column[b]!);
    return new RecordBatch(schema, new Data(type, 0, children[0]!.length, 0, {}, children));
  });
  return new Table(schema, batches);
}

function columnsOf(table: Table): Vector[] {
  return table.schema.fields.map((_, index) => table.getChildAt(index)!);
}

/**
 * Copies rows of a table in the order given. Arrow has no such operation: cells are copied by hand, column by column,
 * and every type keeps itself (a dictionary keeps only the entries that the rows use).
 *
 * @param rows - from 0, any order; each may occur more than once
 * @throws DpError `INVALID_DATA` for a union column
 * @example
 * ```ts
 * const table = takeRows(textTable({ user: ['ada', 'bo', 'cy'] }), Int32Array.of(2, 0));
 * table.getChild('user').toJSON(); // ['cy', 'ada']
 * ```
 */
export function takeRows(table: Table, rows: Int32Array): Table {
  const columns = columnsOf(table);
  const { metadata, fields } = table.schema;
  if (rows.length === 0) return new Table(new Schema(fields, metadata), []);
  const at = placesOf(columns[0]!.data, rows);
  const runs = runsOf(
    columns.map(column => column.data),
    at,
  );
  const data = columns.map(column => gatherRuns(column, at, runs));
  return tableOf(
    fields.map((field, index) => field.clone({ type: data[index]![0]!.type })),
    data,
    metadata,
  );
}

function textBatches(table: Table, texts: readonly string[]): Data[] {
  const builder = new TextBuilder();
  let row = 0;
  return table.batches.map(batch => {
    for (let i = 0; i < batch.numRows; i++) builder.append(texts[row++]);
    return builder.finish();
  });
}

/**
 * A table of text columns, such as `{ user: [...], id: [...], text: [...] }`; all of one length.
 *
 * @throws DpError `INVALID_ARGUMENT` where the lengths differ or there is no column
 * @example
 * ```ts
 * textTable({ user: ['ada', 'bo'], text: ['yes', 'no'] }).numRows; // 2
 * ```
 */
export function textTable(columns: Readonly<Record<string, readonly string[]>>): Table {
  const entries = Object.entries(columns);
  const rows = entries[0]?.[1].length ?? 0;
  const uneven = entries.find(([, cells]) => cells.length !== rows);
  if (uneven !== undefined || entries.length === 0) {
    const found =
      uneven === undefined
        ? 'there are 0 columns'
        : `"${uneven[0]}" has ${uneven[1].length} texts, not ${rows}`;
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot make a table: ${found}. Give at least one column, all of one length.`,
    );
  }
  const data = entries.map(([, cells]) => {
    const builder = new TextBuilder();
    const batches: Data[] = [];
    for (const [row, cell] of cells.entries()) {
      builder.append(cell);
      if ((row + 1) % batchRows === 0 || row + 1 === rows) batches.push(builder.finish());
    }
    return batches;
  });
  return tableOf(
    entries.map(([name]) => new Field(name, new Utf8(), false)),
    data,
  );
}

/**
 * The same table with one column of text put in, in place of the column of that name or as the last.
 *
 * @param column - `texts`: one a row
 * @example
 * ```ts
 * const table = withTextColumn(textTable({ user: ['ada'] }), { name: 'team', texts: ['red'] });
 * table.schema.names; // ['user', 'team']
 * ```
 */
export function withTextColumn(table: Table, column: { name: string; texts: readonly string[] }): Table {
  const { name, texts } = column;
  if (texts.length !== table.numRows) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot put in a column: it has ${texts.length} texts but the table has ${table.numRows} rows. Give one a row.`,
    );
  }
  const { fields, metadata } = table.schema;
  const found = fields.findIndex(field => field.name === name);
  const at = found < 0 ? fields.length : found;
  const data: (readonly Data[])[] = columnsOf(table).map(vector => vector.data);
  data[at] = textBatches(table, texts);
  const changed = [...fields];
  changed[at] = new Field(name, new Utf8(), false);
  return tableOf(changed, data, metadata);
}
