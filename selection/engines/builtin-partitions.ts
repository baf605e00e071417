import { addContributions } from '../statistics.ts';
import type { TableSource } from '../tables/table-source.ts';
import { type PartRanking, type Ranked, withoutRepeats } from './builtin-rank.ts';
import { enterStage, type SelectionCounts, type SelectionRequest } from './engine.ts';
import type { NarrowShape } from './narrow-page.ts';
import { NarrowPartitions } from './narrow-partitions.ts';
import { missingUsers, narrowBatches } from './narrow-reader.ts';
import { narrowColumns, narrowRecords, type NarrowRecords, shapeOf } from './narrow-records.ts';
import type { RowPlaces } from './row-places.ts';
import { Scratch } from './scratch.ts';
import { UserCoder, userText } from './user-coder.ts';

/** Which rows are kept, and what was counted on the way. */
export interface RankedRows {
  /** Rows of the source in canonical order. */
  readonly rows: Int32Array;
  readonly cuts: ReadonlyMap<number, number>;
  readonly counts: SelectionCounts;
}

/** Rows of a partition that rank fast: their columns lie in a processor's cache. */
const fewRows = 2 ** 15;
const mostPartitions = 256;

/** Part of the memory limit that pages may fill; ranking the partition of a user with most of the rows takes about as much again. */
const heldShare = 3 / 8;

function partitionsFor(rows: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, rows / fewRows)));
  return Math.min(mostPartitions, wanted);
}

/** Users in canonical order sorted by partition, by their numbers there. */
interface DealtUsers {
  readonly users: Int32Array;
  /** Where those of each partition start. */
  readonly starts: Int32Array;
}

function dealUsers(order: Int32Array, count: number, shift: number): DealtUsers {
  const mask = count - 1;
  const next = new Int32Array(count + 2);
  for (let i = 0; i < order.length; i++) next[(order[i]! & mask) + 2]! += 1;
  for (let part = 2; part < next.length; part++) next[part]! += next[part - 1]!;
  const users = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) users[next[(order[i]! & mask) + 1]!++] = order[i]! >> shift;
  return { users, starts: next };
}

/** What one partition leaves of the users that belong to it, in canonical order. */
type KeptPart = Pick<Ranked, 'rows' | 'counts'>;

/** Rows of all users in canonical order: that of the partitions is the same among their own users. */
function merged(parts: readonly KeptPart[], order: Int32Array): Int32Array {
  const out = new Int32Array(parts.reduce((sum, { rows }) => sum + rows.length, 0));
  const users = new Int32Array(parts.length);
  const starts = new Int32Array(parts.length);
  let at = 0;
  for (let i = 0; i < order.length; i++) {
    const part = order[i]! & (parts.length - 1);
    const { rows, counts } = parts[part]!;
    const start = starts[part]!;
    const end = start + counts[users[part]!++]!;
    for (let row = start; row < end; row++) out[at++] = rows[row]!;
    starts[part] = end;
  }
  return out;
}

interface PartitionOptions {
  readonly places: RowPlaces;
  /** About how many there are. */
  readonly rows: number;
  readonly ranking: PartRanking;
}

/** Reads a source into partitions, and ranks them one after the other. */
class PartitionedRun {
  readonly #source: TableSource;
  readonly #request: SelectionRequest;
  readonly #places: RowPlaces;
  readonly #coder = new UserCoder();
  readonly #memory = new Scratch();
  readonly #ranking: PartRanking;
  readonly #shape: NarrowShape;
  readonly #partitions: NarrowPartitions;
  readonly #cuts = new Map<number, number>();
  readonly #contributions = new Map<number, number>();
  #nullUsers = 0;
  #duplicates = 0;
  #firstRepeat = Infinity;
  #tokens: number | undefined;

  constructor(source: TableSource, request: SelectionRequest, { places, rows, ranking }: PartitionOptions) {
    this.#source = source;
    this.#request = request;
    this.#places = places;
    this.#ranking = ranking;
    const count = partitionsFor(rows);
    const { memoryLimit, temporaryFolder: folder } = request;
    this.#shape = shapeOf(source, request);
    this.#partitions = new NarrowPartitions(this.#shape, {
      count,
      rows,
      budget: memoryLimit * heldShare,
      folder,
    });
  }

  async read(): Promise<void> {
    for await (const batch of narrowBatches(this.#source, this.#request)) {
      this.#places.see(batch);
      this.#ranking.see?.(batch);
      this.#nullUsers += missingUsers(batch);
      const memory = this.#memory;
      const codes = this.#coder.codesOf(batch.users, batch.hasUser, memory.words(0, batch.rows));
      this.#partitions.append(narrowColumns(batch, this.#shape, { codes, memory }));
    }
  }

  rank(): RankedRows {
    const { count } = this.#partitions;
    const shift = Math.log2(count);
    const order = this.#coder.order();
    const { users, starts } = dealUsers(order, count, shift);
    const parts: KeptPart[] = [];
    for (let part = 0; part < count; part++) {
      enterStage(this.#request, 'select');
      parts.push(this.#rankPart(part, users.subarray(starts[part], starts[part + 1]), shift));
    }
    if (this.#firstRepeat < Infinity) throw this.#places.duplicate(this.#firstRepeat);
    return { rows: merged(parts, order), cuts: this.#cuts, counts: this.#counts() };
  }

  close(): void {
    this.#partitions.close();
  }

  #rankPart(part: number, users: Int32Array, shift: number): KeptPart {
    const records = this.#recordsOf(part, users.length, shift);
    const { rowOf } = records;
    const groups = withoutRepeats(records, row => {
      this.#duplicates += 1;
      if (this.#request.duplicates === 'error') this.#firstRepeat = Math.min(this.#firstRepeat, rowOf[row]!);
    });
    this.#countTokens(groups.rows, records.tokens);
    const { rows, counts, cuts, contributions } = this.#ranking.rank({ ...records, groups }, users);
    addContributions(this.#contributions, contributions);
    for (const [row, tokens] of cuts) this.#cuts.set(row, tokens);
    return { rows, counts };
  }

  #countTokens(rows: Int32Array, tokens: Int32Array | undefined): void {
    if (tokens === undefined) return;
    let total = this.#tokens ?? 0;
    for (let i = 0; i < rows.length; i++) total += tokens[rows[i]!]!;
    this.#tokens = total;
  }

  #recordsOf(part: number, users: number, shift: number): NarrowRecords {
    const { names } = this.#coder;
    return narrowRecords(this.#partitions.take(part, { users, shift }), {
      shape: this.#shape,
      users: { length: users, textOf: user => userText(names, (user << shift) | part) },
      nameOf: row => this.#places.nameOf(row),
    });
  }

  #counts(): SelectionCounts {
    const dropped = { nullUsers: this.#nullUsers, duplicates: this.#duplicates };
    return {
      recordsIn: this.#places.rows,
      dropped,
      contributions: this.#contributions,
      tokens: this.#tokens,
    };
  }
}

/**
 * Ranks the narrow columns of a source, sorted by user into partitions first; what is more than a part of the memory limit
 * goes to the disk.
 */
export async function rankPartitions(
  source: TableSource,
  request: SelectionRequest,
  options: PartitionOptions,
): Promise<RankedRows> {
  const run = new PartitionedRun(source, request, options);
  try {
    await run.read();
    enterStage(request, 'validate');
    return run.rank();
  } finally {
    run.close();
  }
}
