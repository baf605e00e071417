import { RowSorter } from '../rows/row-sorter.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';
import type { TableSource } from '../tables/table-source.ts';
import { enterStage, type SelectionOutput, type SelectionRequest } from './engine.ts';
import { KeptPlaces } from './kept-places.ts';
import { finished, type KeptRows, outputSchema } from './kept-rows.ts';

/** By how much a file may be smaller than its rows in memory. */
const expansions = { arrow: 1.2, csv: 1.2, jsonl: 1.2, parquet: 5 } as const;

/** About how many bytes so many rows of a source with `total` are. */
export function keptBytes(
  source: TableSource,
  { kept, total }: { readonly kept: number; readonly total: number },
): number {
  const all = source.files.reduce((sum, { bytes, format, path }) => {
    const packed = path.endsWith('.gz') ? 8 : 1;
    return sum + bytes * expansions[format] * packed;
  }, 0);
  return (all * kept) / Math.max(1, total);
}

/** Reads the rows that are kept, and nothing of batches without any. */
async function collectRows(
  source: TableSource,
  request: SelectionRequest,
  { places, sorter }: { readonly places: KeptPlaces; readonly sorter: RowSorter },
): Promise<void> {
  const wants = (firstRow: number, rows: number): boolean => places.hasAny(firstRow, rows);
  for await (const { batch, firstRow } of source.batches({ reuse: true, wants })) {
    enterStage(request, 'write');
    sorter.append(batch, places.among(firstRow, batch.numRows));
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
    bytes: keptBytes(source, { kept: kept.rows.length, total: kept.total }),
    budget: request.memoryLimit / 4,
    folder: request.temporaryFolder,
  });
  const { path, format, isStream } = output;
  const sink = await openSink(path, { schema: outputSchema(sorter.schema, kept), format, isStream });
  try {
    await collectRows(source, request, { places: new KeptPlaces(kept.rows, kept.total), sorter });
    await writeRows(sorter, request, { kept, sink });
    await sink.finish();
  } finally {
    await sink.abort();
    sorter.close();
  }
}
