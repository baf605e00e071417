import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Data } from 'apache-arrow';
import { usesScores } from '../rule.ts';
import { addContributions } from '../statistics.ts';
import { openTables, type TableSource } from '../tables/table-source.ts';
import { contributionsIn, dropRepeats, rankRecords } from './builtin-rank.ts';
import { canonicalUsers } from './canonical.ts';
import { enterStage, type SelectionCounts, type SelectionRequest } from './engine.ts';
import { ByteColumn, int32Column } from './narrow-columns.ts';
import { idsOfColumn, numberedIds } from './narrow-ids.ts';
import { narrowBatches } from './narrow-reader.ts';
import { type NarrowRecords, NarrowStore } from './narrow-store.ts';
import { partitionColumns, PartitionWriter } from './partition-writer.ts';
import type { RowPlaces } from './row-places.ts';

/** Which rows are kept, and what was counted on the way. */
export interface RankedRows {
  /** Rows of the source in canonical order. */
  readonly rows: Int32Array;
  readonly cuts: ReadonlyMap<number, number>;
  readonly counts: SelectionCounts;
}

/** What the rest of a selection needs of the partitions that were ranked, user by user. */
class KeptUsers {
  readonly #names = new ByteColumn();
  readonly #counts = int32Column();
  readonly #rows = int32Column();
  readonly cuts = new Map<number, number>();

  add(records: NarrowRecords, rowOf: Int32Array, request: SelectionRequest): void {
    const { rows, users, cuts } = rankRecords(records, request.rule);
    const { bytes, offsets } = records.users;
    for (const [place, user] of users.codes.entries()) {
      this.#names.push(bytes, offsets[user]!, offsets[user + 1]!);
      this.#counts.push(users.counts[place]!);
    }
    for (const row of rows) this.#rows.push(rowOf[row]!);
    for (const [row, tokens] of cuts) this.cuts.set(rowOf[row]!, tokens);
  }

  /** Rows of all users in canonical order. */
  rows(): Int32Array {
    const { bytes, ends } = this.#names.take();
    const [counts, rows] = [this.#counts.take(), this.#rows.take()];
    const offsets = new Int32Array(ends.length + 1);
    offsets.set(ends, 1);
    const starts = new Int32Array(counts.length + 1);
    for (const [user, count] of counts.entries()) starts[user + 1] = starts[user]! + count;
    const out = new Int32Array(rows.length);
    let at = 0;
    for (const user of canonicalUsers({ length: counts.length, bytes, offsets })) {
      const mine = rows.subarray(starts[user], starts[user + 1]);
      out.set(mine, at);
      at += mine.length;
    }
    return out;
  }
}

/** Partitions that are opened at the same time; each takes a file handle and a buffer. */
const mostPartitions = 256;

/** Into how many partitions records of `bytes` bytes go so that one of them can be ranked in memory. */
export function partitionsFor(bytes: number, memoryLimit: number): number {
  const room = memoryLimit / 3;
  return bytes <= room ? 1 : Math.min(mostPartitions, 2 * Math.ceil(bytes / room));
}

async function writePartitions(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly writer: PartitionWriter; readonly places: RowPlaces },
): Promise<{ paths: string[]; nullUsers: number }> {
  const { writer, places } = options;
  let nullUsers = 0;
  try {
    for await (const batch of narrowBatches(source, request)) {
      places.see(batch);
      for (const mark of batch.hasUser) nullUsers += 1 - mark;
      await writer.append(batch);
    }
    return { paths: await writer.finish(), nullUsers };
  } finally {
    await writer.abort();
  }
}

function floats(data: Data): Float64Array {
  return Float64Array.from(data.values.subarray(0, data.length));
}

async function loadPartition(
  path: string,
  request: SelectionRequest,
  places: RowPlaces,
): Promise<{ records: NarrowRecords; rowOf: Int32Array }> {
  const source = await openTables([path], { format: 'arrow' });
  const names = new Set(source.schema.fields.map(({ name }) => name));
  const idField = source.schema.fields.find(({ name }) => name === partitionColumns.id);
  const rows = int32Column();
  const numbered: number[] = [];
  const ids =
    idField === undefined ? numberedIds(row => places.nameOf(numbered[row]!)) : idsOfColumn(idField.type);
  const store = new NarrowStore(ids, { isScore: usesScores(request.rule.strategy) });
  for await (const { batch, ...at } of source.batches({ reuse: true })) {
    const of = (name: string): Data | undefined => batch.getChild(name)?.data[0];
    const { user, id, measure, tokens, row } = partitionColumns;
    store.append({
      ...at,
      rows: batch.numRows,
      users: of(user)!,
      hasUser: new Uint8Array(batch.numRows).fill(1),
      ids: of(id),
      measures: names.has(measure) ? floats(of(measure)!) : undefined,
      tokens: names.has(tokens) ? floats(of(tokens)!) : undefined,
    });
    for (const number of of(row)!.values.subarray(0, batch.numRows)) {
      rows.push(number);
      if (idField === undefined) numbered.push(number);
    }
  }
  return { records: store.finish(), rowOf: rows.take() };
}

/** As ranking in memory, with the narrow columns sorted into files by user first and ranked one file after the other. */
export async function rankSpilled(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly count: number; readonly places: RowPlaces },
): Promise<RankedRows> {
  const { count, places } = options;
  const folder = await mkdtemp(join(request.temporaryFolder, 'privacy-unit-users-'));
  try {
    const writer = new PartitionWriter(folder, { count, budget: request.memoryLimit / 8 });
    const { paths, nullUsers } = await writePartitions(source, request, { writer, places });
    const kept = new KeptUsers();
    const contributions = new Map<number, number>();
    let duplicates = 0;
    for (const path of paths) {
      enterStage(request, 'select');
      const { records, rowOf } = await loadPartition(path, request, places);
      await rm(path);
      duplicates += dropRepeats(records, row => {
        if (request.duplicates === 'error') throw places.duplicate(rowOf[row]!);
      });
      addContributions(contributions, contributionsIn(records));
      kept.add(records, rowOf, request);
    }
    const counts = { recordsIn: places.rows, dropped: { nullUsers, duplicates }, contributions };
    return { rows: kept.rows(), cuts: kept.cuts, counts };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
