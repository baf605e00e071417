import { addedIdColumn } from '../curate-options.ts';
import { toolVersion } from '../manifest.ts';
import { checkCapRule, usesScores } from '../rule.ts';
import type { TableSource } from '../tables/table-source.ts';
import { writeKept } from './builtin-gather.ts';
import { canonicalUsers } from './canonical.ts';
import { dropRepeats, rankRecords } from './builtin-rank.ts';
import { partitionsFor, type RankedRows, rankSpilled } from './builtin-spill.ts';
import {
  cannotSelect,
  enterStage,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engine.ts';
import type { KeptRows } from './kept-rows.ts';
import { idsOfColumn, numberedIds } from './narrow-ids.ts';
import { missingUsers, narrowBatches } from './narrow-reader.ts';
import { NarrowStore, UserCoder, userText } from './narrow-store.ts';
import { RowPlaces } from './row-places.ts';

function filesOf({ source, columns, rule }: SelectionRequest): TableSource {
  checkCapRule(rule, 'select');
  if ('url' in source) throw cannotSelect('builtin reads files, not tables of a database', 'Use clickhouse');
  if (rule.strategy === 'random-chunk')
    throw cannotSelect('random-chunk cuts blocks out of whole texts', 'Read the table into memory');
  const isTaken = source.schema.fields.some(({ name }) => name === addedIdColumn);
  if (columns.id === null && isTaken)
    throw cannotSelect(
      `rows are to be numbered but the table has a column "${addedIdColumn}"`,
      'Name it as the id column',
    );
  return source;
}

/** Rows of Arrow and Parquet files, which say how many they hold; nothing else of them is read. */
async function knownRows(source: TableSource): Promise<number | undefined> {
  if (source.files.some(({ format }) => format !== 'arrow' && format !== 'parquet')) return undefined;
  let total = 0;
  const wants = (_: number, rows: number): boolean => {
    total += rows;
    return false;
  };
  for await (const _ of source.batches({ columns: [], wants })) return undefined;
  return total;
}

function storeFor(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly places: RowPlaces; readonly expected: number | undefined },
): NarrowStore {
  const { columns, rule } = request;
  const { places, expected } = options;
  const field = source.schema.fields.find(({ name }) => name === columns.id);
  const ids =
    field === undefined ? numberedIds(row => places.nameOf(row)) : idsOfColumn(field.type, expected);
  return new NarrowStore(ids, { isScore: usesScores(rule.strategy), expected });
}

async function rankInMemory(
  source: TableSource,
  request: SelectionRequest,
  options: { readonly places: RowPlaces; readonly expected: number | undefined },
): Promise<RankedRows> {
  const { places } = options;
  const store = storeFor(source, request, options);
  const coder = new UserCoder();
  let nullUsers = 0;
  for await (const batch of narrowBatches(source, request)) {
    places.see(batch);
    nullUsers += missingUsers(batch);
    store.append(batch, coder.codesOf(batch.users, batch.hasUser));
  }
  enterStage(request, 'validate');
  const { names } = coder;
  const records = store.finish({ length: names.length, textOf: user => userText(names, user) });
  const duplicates = dropRepeats(records, row => {
    if (request.duplicates === 'error') throw places.duplicate(row);
  });
  enterStage(request, 'select');
  const { rows, cuts, contributions } = rankRecords(records, request.rule, canonicalUsers(names));
  return {
    rows,
    cuts,
    counts: { recordsIn: places.rows, dropped: { nullUsers, duplicates }, contributions },
  };
}

/** Bytes a row that ranking needs at its peak, with ids of a usual length and a user for every ten rows. */
const bytesPerRow = 40;

/** About how many bytes the narrow columns take in memory; of text files at most all of them. */
function narrowBytes({ files }: TableSource, expected: number | undefined): number {
  if (expected !== undefined) return bytesPerRow * expected;
  return files.reduce((sum, { bytes, path }) => sum + bytes * (path.endsWith('.gz') ? 8 : 1), 0);
}

/**
 * The first pass alone: which rows of the source are kept, in canonical order.
 *
 * @throws DpError as the engine's `select`
 */
export async function rankTable(
  request: SelectionRequest,
): Promise<{ kept: KeptRows; counts: SelectionCounts }> {
  const source = filesOf(request);
  enterStage(request, 'read');
  const places = new RowPlaces(source);
  const expected = await knownRows(source);
  const count = partitionsFor(narrowBytes(source, expected), request.memoryLimit);
  const { rows, cuts, counts } =
    count === 1
      ? await rankInMemory(source, request, { places, expected })
      : await rankSpilled(source, request, { places, count });
  const { columns, tokenizer } = request;
  const text =
    columns.text === undefined || tokenizer === undefined ? undefined : { column: columns.text, tokenizer };
  const idOf = columns.id === null ? (row: number) => places.nameOf(row) : undefined;
  return { kept: { rows, total: counts.recordsIn, cuts, idOf, text }, counts };
}

class BuiltinEngine implements SelectionEngine {
  readonly name = 'builtin';

  async version(): Promise<string> {
    return toolVersion();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return (await rankTable(request)).counts;
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    const { kept, counts } = await rankTable(request);
    await writeKept(filesOf(request), request, { kept, output });
    return counts;
  }
}

/**
 * The engine that needs nothing else: narrow columns are read and ranked first, then the rows that are kept are read whole.
 * Memory holds about 16 bytes a record beside the distinct users.
 *
 * @example
 * ```ts
 * openBuiltin().name; // 'builtin'
 * ```
 */
export function openBuiltin(): SelectionEngine {
  return new BuiltinEngine();
}
