import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Data } from 'apache-arrow';
import { usesScores } from '../rule.ts';
import { addContributions } from '../statistics.ts';
import { openTables, type TableSource } from '../tables/table-source.ts';
import { dropRepeats, rankRecords } from './builtin-rank.ts';
import { canonicalUsers } from './canonical.ts';
import { enterStage, type SelectionCounts, type SelectionRequest } from './engine.ts';
import { int32Column } from './narrow-columns.ts';
import { idsOfColumn, numberedIds } from './narrow-ids.ts';
import { missingUsers, narrowBatches } from './narrow-reader.ts';
import { type NarrowRecords, NarrowStore, UserCoder, type UserNames, userText } from './narrow-store.ts';
import { partitionColumns, PartitionWriter } from './partition-writer.ts';
import type { RowPlaces } from './row-places.ts';

/** Which rows are kept, and what was counted on the way. */
export interface RankedRows {
  /** Rows of the source in canonical order. */
  readonly rows: Int32Array;
  readonly cuts: ReadonlyMap<number, number>;
  readonly counts: SelectionCounts;
}

/** What one partition leaves of the users that belong to it, in canonical order. */
interface KeptPart {
  readonly rows: Int32Array;
  readonly counts: Int32Array;
}

/** Rows of all users in canonical order: that of the partitions is the same among their own users. */
function merged(parts: readonly KeptPart[], order: Int32Array): Int32Array {
  const out = new Int32Array(parts.reduce((sum, { rows }) => sum + rows.length, 0));
  const users = new Int32Array(parts.length);
  const starts = new Int32Array(parts.length);
  let at = 0;
  for (const code of order) {
    const part = code % parts.length;
    const { rows, counts } = parts[part]!;
    const start = starts[part]!;
    const end = start + counts[users[part]!++]!;
    for (let row = start; row < end; row++) out[at++] = rows[row]!;
    starts[part] = end;
  }
  return out;
}

/** Users of one partition in canonical order, by their numbers there. */
function ordered(order: Int32Array, part: number, count: number): Int32Array {
  return order.filter(code => code % count === part).map(code => Math.floor(code / count));
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
): Promise<{ paths: string[]; nullUsers: number; names: UserNames }> {
  const { writer, places } = options;
  const coder = new UserCoder();
  let nullUsers = 0;
  try {
    for await (const batch of narrowBatches(source, request)) {
      places.see(batch);
      nullUsers += missingUsers(batch);
      await writer.append(batch, coder.codesOf(batch.users, batch.hasUser));
    }
    return { paths: await writer.finish(), nullUsers, names: coder.names };
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
  { places, users }: { readonly places: RowPlaces; readonly users: NarrowRecords['users'] },
): Promise<{ records: NarrowRecords; rowOf: Int32Array }> {
  const source = await openTables([path], { format: 'arrow' });
  const names = new Set(source.schema.fields.map(({ name }) => name));
  const idField = source.schema.fields.find(({ name }) => name === partitionColumns.id);
  const rows = int32Column();
  const numbered: number[] = [];
  const ids =
    idField === undefined ? numberedIds(row => places.nameOf(numbered[row]!)) : idsOfColumn(idField.type);
  const store = new NarrowStore(ids, { isScore: usesScores(request.rule.strategy) });
  for await (const { batch } of source.batches({ reuse: true })) {
    const of = (name: string): Data | undefined => batch.getChild(name)?.data[0];
    const { user, id, measure, tokens, row } = partitionColumns;
    const columns = {
      rows: batch.numRows,
      ids: of(id),
      measures: names.has(measure) ? floats(of(measure)!) : undefined,
      tokens: names.has(tokens) ? floats(of(tokens)!) : undefined,
    };
    store.append(columns, of(user)!.values.subarray(0, batch.numRows));
    for (const number of of(row)!.values.subarray(0, batch.numRows)) {
      rows.push(number);
      if (idField === undefined) numbered.push(number);
    }
  }
  return { records: store.finish(users), rowOf: rows.take() };
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
    const writer = new PartitionWriter(folder, { count, budget: request.memoryLimit / 16 });
    const { paths, nullUsers, names } = await writePartitions(source, request, { writer, places });
    const order = canonicalUsers(names);
    const parts: KeptPart[] = [];
    const cuts = new Map<number, number>();
    const contributions = new Map<number, number>();
    let duplicates = 0;
    for (const [part, path] of paths.entries()) {
      enterStage(request, 'select');
      const mine = ordered(order, part, count);
      const users = { length: mine.length, textOf: (user: number) => userText(names, user * count + part) };
      const { records, rowOf } = await loadPartition(path, request, { places, users });
      await rm(path);
      duplicates += dropRepeats(records, row => {
        if (request.duplicates === 'error') throw places.duplicate(rowOf[row]!);
      });
      const ranked = rankRecords(records, request.rule, mine);
      addContributions(contributions, ranked.contributions);
      parts.push({ rows: ranked.rows.map(row => rowOf[row]!), counts: ranked.counts });
      for (const [row, tokens] of ranked.cuts) cuts.set(rowOf[row]!, tokens);
    }
    const counts = { recordsIn: places.rows, dropped: { nullUsers, duplicates }, contributions };
    return { rows: merged(parts, order), cuts, counts };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
