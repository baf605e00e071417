import type { RecordBatch } from 'apache-arrow';
import { RowSorter } from '../rows/row-sorter.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';
import type { TableSource } from '../tables/table-source.ts';
import { enterStage, type SelectionOutput, type SelectionRequest } from './engine.ts';
import { finished, type KeptRows, outputSchema } from './kept-rows.ts';

/** By how much a file may be smaller than its rows in memory. */
const expansions = { arrow: 1.2, csv: 1.2, jsonl: 1.2, parquet: 5 } as const;

/** About how many bytes the kept rows are. */
function keptBytes(source: TableSource, kept: KeptRows): number {
  const all = source.files.reduce((sum, { bytes, format, path }) => {
    const packed = path.endsWith('.gz') ? 8 : 1;
    return sum + bytes * expansions[format] * packed;
  }, 0);
  return (all * kept.rows.length) / Math.max(1, kept.total);
}

/** Place in the output of every row of the source, -1 for those that are not kept. */
function placesOf({ rows, total }: KeptRows): Int32Array {
  const places = new Int32Array(total).fill(-1);
  for (let place = 0; place < rows.length; place++) places[rows[place]!] = place;
  return places;
}

/** Rows of a batch that are kept, and their places in the output. */
function keptOf(
  batch: { readonly firstRow: number; readonly batch: RecordBatch },
  placeOf: Int32Array,
): { rows: Int32Array; places: Int32Array } {
  const { firstRow } = batch;
  const { numRows } = batch.batch;
  const rows = new Int32Array(numRows);
  const places = new Int32Array(numRows);
  let count = 0;
  for (let row = 0; row < numRows; row++) {
    const place = placeOf[firstRow + row]!;
    if (place < 0) continue;
    rows[count] = row;
    places[count++] = place;
  }
  return { rows: rows.subarray(0, count), places: places.subarray(0, count) };
}

/** Reads the rows that are kept, and nothing of batches without any. */
async function collectRows(
  source: TableSource,
  request: SelectionRequest,
  { placeOf, sorter }: { readonly placeOf: Int32Array; readonly sorter: RowSorter },
): Promise<void> {
  const wants = (firstRow: number, rows: number): boolean => {
    for (let row = firstRow; row < firstRow + rows; row++) if (placeOf[row]! >= 0) return true;
    return false;
  };
  for await (const batch of source.batches({ reuse: true, wants })) {
    enterStage(request, 'write');
    sorter.append(batch.batch, keptOf(batch, placeOf));
  }
}

async function writeRows(
  sorter: RowSorter,
  request: SelectionRequest,
  { kept, sink }: { readonly kept: KeptRows; readonly sink: TableSink },
): Promise<void> {
  const schema = outputSchema(sorter.schema, kept);
  let at = 0;
  for (const batch of sorter.take()) {
    enterStage(request, 'write');
    await sink.write(finished(batch, kept.rows.subarray(at, at + batch.numRows), { kept, schema }));
    at += batch.numRows;
  }
}

/** The second pass: reads the rows that are kept, all columns, and writes them in order. */
export async function writeKept(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly kept: KeptRows; readonly output: SelectionOutput },
): Promise<void> {
  const { kept, output } = options;
  const sorter = new RowSorter(source.schema, {
    rows: kept.rows.length,
    bytes: keptBytes(source, kept),
    budget: request.memoryLimit / 4,
    folder: request.temporaryFolder,
  });
  const { path, format, isStream } = output;
  const sink = await openSink(path, { schema: outputSchema(sorter.schema, kept), format, isStream });
  try {
    await collectRows(source, request, { placeOf: placesOf(kept), sorter });
    await writeRows(sorter, request, { kept, sink });
    await sink.finish();
  } finally {
    await sink.abort();
    sorter.close();
  }
}
