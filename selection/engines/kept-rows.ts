import { Field, RecordBatch, Schema, Table, Utf8 } from 'apache-arrow';
import { addedIdColumn } from '../curate-options.ts';
import { fittingText, type SelectionTokenizer } from '../lengths.ts';
import { textCells } from '../tables/cells.ts';
import { type TableSource, withTextColumn } from '../tables/index.ts';
import { cannotSelect, type SelectionRequest } from './engine.ts';

/** Which rows of the source go out, in which order, and what is changed about them. */
export interface KeptRows {
  /** Rows of the source, counted over all files, in the order in which they go out. */
  readonly rows: Int32Array | Float64Array;
  /** Rows of the source. */
  readonly total: number;
  /** Tokens that stay of rows that are cut. */
  readonly cuts: ReadonlyMap<number, number>;
  /** Ids of rows where the source has none. */
  readonly idOf?: ((row: number) => string) | undefined;
  /** For cuts. */
  readonly text?: { readonly column: string; readonly tokenizer: SelectionTokenizer } | undefined;
}

/** Refuses to number rows under a name that the table has already. */
export function checkNumbering(source: TableSource, { columns }: SelectionRequest): void {
  const isTaken = source.schema.fields.some(({ name }) => name === addedIdColumn);
  if (columns.id !== null || !isTaken) return;
  throw cannotSelect(
    `rows are to be numbered but the table has a column "${addedIdColumn}"`,
    'Name it as the id column',
  );
}

/** What cuts need: the text column and the tokenizer, where there are both. */
export function cutText({ columns, tokenizer }: SelectionRequest): KeptRows['text'] {
  const { text } = columns;
  return text === undefined || tokenizer === undefined ? undefined : { column: text, tokenizer };
}

/** The schema of what goes out. */
export function outputSchema(schema: Schema, kept: KeptRows): Schema {
  const cutColumn = kept.cuts.size > 0 ? kept.text?.column : undefined;
  const fields = schema.fields.map(field =>
    field.name === cutColumn ? new Field(field.name, new Utf8(), false) : field,
  );
  const added = kept.idOf === undefined ? [] : [new Field(addedIdColumn, new Utf8(), false)];
  return new Schema([...fields, ...added], schema.metadata);
}

/** Texts of a batch, cut where `rows` says so. */
function cutTexts(batch: RecordBatch, rows: ArrayLike<number>, { cuts, text }: KeptRows): string[] {
  const { column, tokenizer } = text!;
  const cells = textCells(batch.getChild(column)!.data[0]!);
  return Array.from({ length: batch.numRows }, (_, place) => {
    const whole = cells.text(place);
    const limit = cuts.get(rows[place]!);
    if (limit === undefined) return whole;
    return fittingText(tokenizer.encode(whole).subarray(0, limit), { tokenizer, limit });
  });
}

/**
 * A batch of kept rows as it goes out: numbered, and cut where the token cap says so.
 *
 * @param rows - the rows of the source that the batch holds
 * @param schema - from `outputSchema`
 */
export function finished(
  batch: RecordBatch,
  rows: ArrayLike<number>,
  { kept, schema }: { readonly kept: KeptRows; readonly schema: Schema },
): RecordBatch {
  let table = new Table([batch]);
  if (kept.cuts.size > 0 && kept.text !== undefined)
    table = withTextColumn(table, { name: kept.text.column, texts: cutTexts(batch, rows, kept) });
  const { idOf } = kept;
  if (idOf !== undefined)
    table = withTextColumn(table, { name: addedIdColumn, texts: Array.from(rows, idOf) });
  const out = table.batches[0]!;
  return out.schema === schema ? out : new RecordBatch(schema, out.data);
}
