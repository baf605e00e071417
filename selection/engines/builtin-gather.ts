import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordBatch, Schema } from 'apache-arrow';
import { RowStore } from '../tables/row-store.ts';
import { openSink, type TableSink } from '../tables/table-sink.ts';
import { openTables, type TableSource } from '../tables/table-source.ts';
import { DictionaryStash } from './dictionary-stash.ts';
import { int32Column, type NumberColumn } from './narrow-columns.ts';
import { enterStage, type SelectionOutput, type SelectionRequest } from './engine.ts';
import { finished, type KeptRows, outputSchema } from './kept-rows.ts';

/** A stretch of the output that fits into memory, on the disk in the order in which its rows came. */
interface Segment {
  readonly path: string;
  readonly sink: TableSink;
  /** Places in the output of its rows, as they came. */
  readonly places: NumberColumn<Int32Array>;
}

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
  places: Int32Array,
): { rows: Int32Array; at: Int32Array } {
  const { firstRow } = batch;
  const { numRows } = batch.batch;
  const rows = new Int32Array(numRows);
  let count = 0;
  for (let row = 0; row < numRows; row++) if (places[firstRow + row]! >= 0) rows[count++] = row;
  const found = rows.subarray(0, count);
  return { rows: found, at: found.map(row => places[firstRow + row]!) };
}

interface Gathering {
  readonly source: TableSource;
  readonly request: SelectionRequest;
  readonly kept: KeptRows;
  readonly places: Int32Array;
  readonly sink: TableSink;
  /** Of what goes out. */
  readonly schema: Schema;
}

async function* keptBatches({
  source,
  request,
  places,
}: Gathering): AsyncGenerator<{ batch: RecordBatch; rows: Int32Array; at: Int32Array }> {
  const wants = (firstRow: number, rows: number): boolean => {
    for (let row = firstRow; row < firstRow + rows; row++) if (places[row]! >= 0) return true;
    return false;
  };
  for await (const batch of source.batches({ reuse: true, wants })) {
    enterStage(request, 'write');
    const found = keptOf(batch, places);
    if (found.rows.length > 0) yield { batch: batch.batch, ...found };
  }
}

/** Order of stored rows by their places in the output. */
function orderOf(places: ArrayLike<number>, first: number): Int32Array {
  const order = new Int32Array(places.length);
  for (let stored = 0; stored < places.length; stored++) order[places[stored]! - first] = stored;
  return order;
}

/** A stretch of the output that begins at place `first`. */
interface Stretch {
  readonly places: ArrayLike<number>;
  readonly first: number;
  /** What is done with a batch before it goes out. */
  readonly restore?: (batch: RecordBatch) => RecordBatch;
}

/** Writes stored rows in order. */
async function writeStored(
  store: RowStore,
  { places, first, restore = batch => batch }: Stretch,
  { kept, sink, schema }: Gathering,
): Promise<void> {
  let at = first;
  for (const batch of store.take(orderOf(places, first))) {
    await sink.write(finished(restore(batch), kept.rows.subarray(at, at + batch.numRows), { kept, schema }));
    at += batch.numRows;
  }
}

async function gatherInMemory(store: RowStore, work: Gathering): Promise<void> {
  const places = int32Column(work.kept.rows.length);
  for await (const { batch, rows, at } of keptBatches(work)) {
    store.append(batch, rows);
    for (const place of at) places.push(place);
  }
  await writeStored(store, { places: places.take(), first: 0 }, work);
}

/** Sorts rows into stretches of the output on the disk first. */
async function gatherBySegments(
  work: Gathering,
  options: { readonly count: number; readonly folder: string; readonly budget: number },
): Promise<void> {
  const { source, kept } = work;
  const length = Math.ceil(kept.rows.length / options.count);
  const stash = new DictionaryStash(source.schema);
  const stores = Array.from({ length: options.count }, () => new RowStore(stash.stored));
  const segments: Segment[] = [];
  for (let index = 0; index < options.count; index++) {
    const path = join(options.folder, `${index}.arrows`);
    const { schema } = stores[index]!;
    segments.push({
      path,
      sink: await openSink(path, { schema, format: 'arrow', isStream: true }),
      places: int32Column(length),
    });
  }
  const flush = async (index: number): Promise<void> => {
    for (const batch of stores[index]!.take()) await segments[index]!.sink.write(batch);
    stores[index]!.clear();
  };
  try {
    for await (const { batch, rows, at } of keptBatches(work)) {
      const bySegment = new Map<number, number[]>();
      for (const [i, place] of at.entries()) {
        const index = Math.floor(place / length);
        const mine = bySegment.get(index) ?? [];
        if (mine.length === 0) bySegment.set(index, mine);
        mine.push(rows[i]!);
        segments[index]!.places.push(place);
      }
      const stripped = stash.strip(batch);
      for (const [index, mine] of bySegment) {
        stores[index]!.append(stripped, Int32Array.from(mine));
        if (stores[index]!.byteLength > options.budget / options.count) await flush(index);
      }
    }
    for (const index of segments.keys()) await flush(index);
    for (const { sink } of segments) await sink.finish();
  } finally {
    for (const { sink } of segments) await sink.abort();
  }
  for (const [index, { path, places: arrived }] of segments.entries()) {
    const places = arrived.take();
    if (places.length === 0) continue;
    enterStage(work.request, 'write');
    const stored = await openTables([path], { format: 'arrow' });
    const store = new RowStore(stored.schema);
    for await (const { batch } of stored.batches({ reuse: true }))
      store.append(
        batch,
        Int32Array.from({ length: batch.numRows }, (_, row) => row),
      );
    await writeStored(store, { places, first: index * length, restore: part => stash.restore(part) }, work);
    await rm(path);
  }
}

/** The second pass: reads the rows that are kept, all columns, and writes them in order. */
export async function writeKept(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly kept: KeptRows; readonly output: SelectionOutput },
): Promise<void> {
  const { kept, output } = options;
  const store = new RowStore(source.schema);
  const { path, format, isStream } = output;
  const schema = outputSchema(store.schema, kept);
  const sink = await openSink(path, { schema, format, isStream });
  const budget = request.memoryLimit / 16;
  const count = Math.min(256, Math.ceil(keptBytes(source, kept) / budget));
  const work = { source, request, kept, places: placesOf(kept), sink, schema };
  let folder: string | undefined;
  try {
    if (count <= 1) await gatherInMemory(store, work);
    else {
      folder = await mkdtemp(join(request.temporaryFolder, 'privacy-unit-rows-'));
      await gatherBySegments(work, { count, folder, budget });
    }
    await sink.finish();
  } finally {
    await sink.abort();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
