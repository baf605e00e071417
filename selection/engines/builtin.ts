import { toolVersion } from '../manifest.ts';
import { checkCapRule } from '../rule.ts';
import type { TableSource } from '../tables/table-source.ts';
import { writeKept } from './builtin-gather.ts';
import { rankPartitions } from './builtin-partitions.ts';
import {
  cannotSelect,
  enterStage,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engine.ts';
import { checkNumbering, cutText, type KeptRows } from './kept-rows.ts';
import { RowPlaces } from './row-places.ts';

function filesOf(request: SelectionRequest): TableSource {
  const { source, rule } = request;
  checkCapRule(rule, 'select');
  if ('url' in source) throw cannotSelect('builtin reads files, not tables of a database', 'Use clickhouse');
  if (rule.strategy === 'random-chunk')
    throw cannotSelect('random-chunk cuts blocks out of whole texts', 'Read the table into memory');
  checkNumbering(source, request);
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

/** Bytes of a row of a text file, where a guess must do. */
const usualRowBytes = 100;

/** About how many rows there are. */
async function aboutRows(source: TableSource): Promise<number> {
  const guess = source.files.reduce((sum, { bytes }) => sum + bytes / usualRowBytes, 0);
  return (await knownRows(source)) ?? guess;
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
  const ranked = await rankPartitions(source, request, { places, rows: await aboutRows(source) });
  const { rows, cuts, counts } = ranked;
  const idOf = request.columns.id === null ? (row: number) => places.nameOf(row) : undefined;
  return { kept: { rows, total: counts.recordsIn, cuts, idOf, text: cutText(request) }, counts };
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
 * Narrow columns that take more than three eighths of the memory limit go to the disk.
 *
 * @example
 * ```ts
 * openBuiltin().name; // 'builtin'
 * ```
 */
export function openBuiltin(): SelectionEngine {
  return new BuiltinEngine();
}
