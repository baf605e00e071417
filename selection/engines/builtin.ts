import { checkCount } from '../../accounting/check.ts';
import { toolVersion } from '../manifest.ts';
import { checkCapRule, usesScores } from '../rule.ts';
import type { TableSource } from '../tables/table-source.ts';
import { writeKept } from './builtin-gather.ts';
import { rankPartitions } from './builtin-partitions.ts';
import { RuleRanking } from './builtin-rank.ts';
import { writeBlocks } from './chunk-gather.ts';
import { ChunkRanking } from './chunk-ranking.ts';
import type { BlockRule } from './chunk-stream.ts';
import {
  cannotSelect,
  enterStage,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
} from './engine.ts';
import { checkNumbering, cutText, type KeptRows } from './kept-rows.ts';
import { ContestedRows, rankedByScores, ScoreFile, type ScoredRequest, scoreRows } from './model-scores.ts';
import { RowPlaces } from './row-places.ts';

function filesOf(request: SelectionRequest): TableSource {
  const { source, rule } = request;
  checkCapRule(rule, 'select');
  if ('url' in source) throw cannotSelect('builtin reads files, not tables of a database', 'Use clickhouse');
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
  if (request.rule.strategy === 'random-chunk')
    throw cannotSelect('random-chunk keeps blocks, not rows', 'Let the engine write them');
  enterStage(request, 'read');
  const places = new RowPlaces(source);
  const ranked = await rankPartitions(source, request, {
    places,
    rows: await aboutRows(source),
    ranking: new RuleRanking(request.rule),
  });
  const { rows, cuts, counts } = ranked;
  const idOf = request.columns.id === null ? (row: number) => places.nameOf(row) : undefined;
  return { kept: { rows, total: counts.recordsIn, cuts, idOf, text: cutText(request) }, counts };
}

/** Every rule counts the same; this one looks at least. */
const anyRule = { strategy: 'first', seed: '', recordsPerUser: 1 } as const;

/** The request where a model has to score records before they can be ranked. */
function scoredRequestOf(request: SelectionRequest): ScoredRequest | undefined {
  const { scorer, rule, columns } = request;
  if (scorer === undefined || !usesScores(rule.strategy)) return undefined;
  if (columns.text === undefined) throw cannotSelect('a scorer needs a text column', 'Name it');
  return { ...request, scorer };
}

/** Finds the rows among which a choice has to be made. */
async function contestedRows(source: TableSource, request: ScoredRequest): Promise<ContestedRows> {
  const ranking = new ContestedRows(request.rule);
  const options = { places: new RowPlaces(source), rows: await aboutRows(source), ranking };
  await rankPartitions(source, { ...request, rule: anyRule }, options);
  return ranking;
}

/** Records by the scores of a model, which are worked out in a pass of their own and then ranked like a column. */
async function selectScored(request: ScoredRequest, output: SelectionOutput): Promise<SelectionCounts> {
  const source = filesOf(request);
  enterStage(request, 'read');
  const contested = await contestedRows(source, request);
  const file = new ScoreFile(request.temporaryFolder, contested.bits);
  try {
    enterStage(request, 'score');
    await scoreRows(source, request, { contested, file });
    const { kept, counts } = await rankTable(rankedByScores(source, request, file));
    await writeKept(source, request, { kept: { ...kept, text: cutText(request) }, output });
    return counts;
  } finally {
    file.close();
  }
}

/** The rule and what it needs, where it cuts blocks. */
function blockRuleOf({ rule, tokenizer, columns }: SelectionRequest): BlockRule {
  const chunkTokens = checkCount(rule.chunkTokens, { verb: 'select', name: 'chunkTokens' });
  if (tokenizer === undefined || columns.text === undefined)
    throw cannotSelect('random-chunk needs a tokenizer and a text column', 'Name both');
  return { ...rule, chunkTokens };
}

/** Blocks of tokens: decided by ids and numbers of tokens, then cut out of the rows that they lie in. */
async function selectBlocks(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
  const source = filesOf(request);
  const rule = blockRuleOf(request);
  enterStage(request, 'read');
  const places = new RowPlaces(source);
  const room = { budget: request.memoryLimit / 8, folder: request.temporaryFolder };
  const ranking = new ChunkRanking(rule, room);
  try {
    const about = await aboutRows(source);
    const { rows: order, counts } = await rankPartitions(source, request, { places, rows: about, ranking });
    const idOf = request.columns.id === null ? (row: number) => places.nameOf(row) : undefined;
    const { pieces, tokens } = ranking;
    const blocks = { order, pieces, tokens, total: counts.recordsIn, idOf };
    await writeBlocks(source, request, { blocks, output });
    return { ...counts, recordsKept: order.length };
  } finally {
    ranking.close();
  }
}

class BuiltinEngine implements SelectionEngine {
  readonly name = 'builtin';

  async version(): Promise<string> {
    return toolVersion();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    const isLater = request.rule.strategy === 'random-chunk' || request.scorer !== undefined;
    return (await rankTable(isLater ? { ...request, rule: anyRule } : request)).counts;
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    if (request.rule.strategy === 'random-chunk') return selectBlocks(request, output);
    const scored = scoredRequestOf(request);
    if (scored !== undefined) return selectScored(scored, output);
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
