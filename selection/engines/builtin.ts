import { addedIdColumn } from '../curate-options.ts';
import { toolVersion } from '../manifest.ts';
import { checkCapRule, usesScores } from '../rule.ts';
import { contributionsOf } from '../statistics.ts';
import type { TableSource } from '../tables/table-source.ts';
import { writeKept } from './builtin-gather.ts';
import { dropRepeats, rankRecords } from './builtin-rank.ts';
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
import { narrowBatches } from './narrow-reader.ts';
import { type NarrowRecords, NarrowStore } from './narrow-store.ts';
import { RowPlaces } from './row-places.ts';

/** Narrow columns of all rows, checked. */
interface Narrow {
  readonly records: NarrowRecords;
  readonly places: RowPlaces;
  readonly counts: SelectionCounts;
}

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

function storeFor(source: TableSource, request: SelectionRequest, places: RowPlaces): NarrowStore {
  const { columns, rule } = request;
  const field = source.schema.fields.find(({ name }) => name === columns.id);
  const ids = field === undefined ? numberedIds(row => places.nameOf(row)) : idsOfColumn(field.type);
  return new NarrowStore(ids, { isScore: usesScores(rule.strategy) });
}

/** Records of each user, as a histogram. */
function contributionsIn({ userOf, users }: NarrowRecords): Map<number, number> {
  const counts = new Int32Array(users.length);
  for (const user of userOf) if (user >= 0) counts[user]! += 1;
  return contributionsOf(counts.filter(count => count > 0));
}

async function readNarrow(source: TableSource, request: SelectionRequest): Promise<Narrow> {
  enterStage(request, 'read');
  const places = new RowPlaces(source);
  const store = storeFor(source, request, places);
  let nullUsers = 0;
  for await (const batch of narrowBatches(source, request)) {
    places.see(batch);
    for (const mark of batch.hasUser) nullUsers += 1 - mark;
    store.append(batch);
  }
  enterStage(request, 'validate');
  const records = store.finish();
  const duplicates = dropRepeats(records, row => {
    if (request.duplicates === 'error') throw places.duplicate(row);
  });
  const counts = { recordsIn: records.userOf.length, dropped: { nullUsers, duplicates } };
  return { records, places, counts: { ...counts, contributions: contributionsIn(records) } };
}

function keptOf({ records, places }: Narrow, request: SelectionRequest): KeptRows {
  enterStage(request, 'select');
  const { columns, tokenizer } = request;
  const { rows, cuts } = rankRecords(records, request.rule);
  const text =
    columns.text === undefined || tokenizer === undefined ? undefined : { column: columns.text, tokenizer };
  const idOf = columns.id === null ? (row: number) => places.nameOf(row) : undefined;
  return { rows, total: records.userOf.length, cuts, idOf, text };
}

class BuiltinEngine implements SelectionEngine {
  readonly name = 'builtin';

  async version(): Promise<string> {
    return toolVersion();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return (await readNarrow(filesOf(request), request)).counts;
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    const source = filesOf(request);
    const narrow = await readNarrow(source, request);
    const kept = keptOf(narrow, request);
    await writeKept(source, request, { kept, output });
    return narrow.counts;
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
