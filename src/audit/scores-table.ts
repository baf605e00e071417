import { type Data, DataType, Vector } from 'apache-arrow';
import { openTables, type TableFormat } from '../../selection/index.ts';
import { isTextType, textCells, valueType } from '../../selection/tables/cells.ts';
import { breathe } from '../files.ts';
import type { CellFault } from './scores-cells.ts';
import { type CellSink, ScoreSinks } from './scores-columns.ts';
import { badScores } from './scores-text.ts';

/** Whether cells of a type can be read as what scores are made of. */
function isReadable(type: DataType): boolean {
  const values = valueType(type);
  return (
    isTextType(type) ||
    DataType.isInt(values) ||
    DataType.isFloat(values) ||
    DataType.isBool(values) ||
    DataType.isNull(values)
  );
}

/** A fault with its row, from 0 in its batch. */
interface FoundFault {
  readonly fault: CellFault;
  readonly row: number;
}

/** Bytes of names go in as they are; everything else as a value. */
function addColumn(data: Data, sink: CellSink): FoundFault | undefined {
  const texts = isTextType(data.type) ? textCells(data) : undefined;
  const values = texts === undefined ? new Vector([data]) : undefined;
  for (let row = 0; row < data.length; row += 1) {
    const fault =
      texts === undefined
        ? sink.addValue(values!.get(row))
        : addText(sink, texts.isNull(row) ? undefined : texts.bytes(row));
    if (fault !== undefined) return { fault, row };
  }
  return undefined;
}

function addText(sink: CellSink, bytes: Uint8Array | undefined): CellFault | undefined {
  if (bytes === undefined) return sink.addValue(null);
  return sink.addText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
}

/**
 * Reads Arrow or Parquet batch by batch.
 *
 * @returns the file's own metadata beside the cells
 * @throws DpError `MISSING_FILE`, `MISSING_COLUMN`; `INVALID_DATA` with the row; `INTERRUPTED`
 */
export async function readTableScores(
  path: string,
  { format, signal }: { readonly format: TableFormat; readonly signal: AbortSignal },
): Promise<{ readonly sinks: ScoreSinks; readonly metadata: ReadonlyMap<string, string> }> {
  const source = await openTables([path], { format });
  const { fields, metadata } = source.schema;
  const names = fields.map(({ name }) => name);
  const sinks = new ScoreSinks(names);
  const odd = fields.find(({ type }) => !isReadable(type));
  if (odd !== undefined)
    throw badScores(
      `column ${odd.name} holds ${String(odd.type)}`,
      'Give text, whole numbers, floats or booleans',
    );
  let rows = 0;
  for await (const { batch, firstRow } of source.batches({ reuse: true, encoded: names })) {
    addBatch(batch.data.children, { sinks, names, firstRow });
    rows = firstRow + batch.numRows;
    await breathe(signal);
  }
  if (rows === 0) throw badScores('the table has 0 rows', 'Give one row a canary');
  return { sinks, metadata };
}

function addBatch(
  columns: readonly Data[],
  { sinks: { sinks }, names, firstRow }: { sinks: ScoreSinks; names: readonly string[]; firstRow: number },
): void {
  for (let column = 0; column < columns.length; column += 1) {
    const found = addColumn(columns[column]!, sinks[column]!);
    if (found === undefined) continue;
    const { fault, row } = found;
    throw badScores(`row ${firstRow + row + 1}, column ${names[column]}: ${fault.reason}`, fault.advice);
  }
}
