import { dirname, resolve } from 'node:path';
import { tmpdir } from 'node:os';
import type { Writable } from 'node:stream';
import { checkChoice, checkCount, DpError } from '../accounting/check.ts';
import type { SelectionEngineName } from './engines/engine.ts';
import { type LengthUnit, lengthUnits, type SelectionTokenizer } from './lengths.ts';
import { checkOwnerForm, checkOwners } from './owners-options.ts';
import type { OwnerForm } from './owners-column.ts';
import type { DuplicatePolicy, NullUserPolicy, RecordColumns } from './records.ts';
import { type CapRule, checkCapRule, usesLengths, usesScores } from './rule.ts';
import type { SelectionChoice } from './safety.ts';
import type { Provenance, Scorer } from './scorer.ts';
import { checkWritable, type RowPolicy, type TableFormat } from './tables/index.ts';
import { normaliseUser, type UserNormalisation } from './user-ids.ts';

/** A cap with the block length that `random-chunk` needs. */
export interface CurateRule extends CapRule {
  readonly chunkTokens?: number | null;
}

/** What is being done, for a progress line. */
export type CurateStage = 'hash' | 'read' | 'validate' | 'score' | 'select' | 'write' | 'check' | 'compare';

/** Columns by role, or a choice among the columns that the table turns out to have. */
export type ColumnChoice = RecordColumns | ((names: readonly string[]) => RecordColumns);

/** Where records come from, and how faults in them are treated. */
export interface InputOptions {
  /**
   * Paths, glob patterns and folders of tables with one schema (see `expandInputs`); `-` alone for standard input; or
   * one `clickhouse://user@host:8123/database/table`.
   */
  readonly table: string | readonly string[];
  readonly format?: TableFormat | undefined;
  /** What `-` reads. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  readonly columns: ColumnChoice;
  /**
   * Given where the user column names all owners of a record, each of whom counts: a column of lists (`separator: null`)
   * or text that is cut at every `separator`. A row where one of them is null or empty, or that has none,
   * is a row without a user. Selected in memory, by `builtin`; see `selectOwned`.
   */
  readonly owners?: OwnerForm | undefined;
  readonly nullUsers?: NullUserPolicy | undefined;
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Rows of JSON lines and CSV that cannot be read: refused (default), or left out and counted. */
  readonly onError?: RowPolicy | undefined;
  /** Longest row of JSON lines and CSV, in bytes; default 2^26. */
  readonly longestRow?: number | undefined;
  /** Ways of writing user ids that are made one before anything else; the output holds the ids so. */
  readonly userNormalize?: readonly UserNormalisation[] | undefined;
  /** Default `builtin`, and `clickhouse` for its tables. All engines keep the same records. */
  readonly engine?: SelectionEngineName | undefined;
  /** Bytes for what an engine holds, beside some 100 MB for the program itself; default 1 GiB. */
  readonly memory?: number | undefined;
  /**
   * Where rows go that do not fit; removed in the end. Default: beside the output, which has room for rows and is meant
   * to hold private ones; the system's folder where there is no output file.
   */
  readonly temporaryFolder?: string | undefined;
  /** For `duckdb` and `clickhouse`; default: what the machine offers. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((stage: CurateStage, done?: number, total?: number) => void) | undefined;
}

export interface CurateOptions extends InputOptions {
  /** Path of the output, Arrow or Parquet by extension; or `-` for an Arrow stream on `stdout`. */
  readonly out: string;
  /** Where `-` goes, once it is checked. */
  readonly stdout?: Writable | undefined;
  /** Path of the manifest; null for none. Default beside the output, none for `-`. */
  readonly manifest?: string | null | undefined;
  readonly force?: boolean;
  readonly rule: CurateRule;
  /** What longest and shortest compare; default bytes. */
  readonly lengthUnit?: LengthUnit | undefined;
  /**
   * Needed for token caps, lengths in tokens and `random-chunk`. Where it is given tokens are counted before and after,
   * which takes another pass over the texts.
   */
  readonly tokenizer?: SelectionTokenizer | undefined;
  readonly scorer?: Scorer | undefined;
  /** The user's declaration about the score column. */
  readonly scoreProvenance?: Provenance | undefined;
  /**
   * Decisions behind the rule that are not public constants, with what they cost; default none. Records of several
   * owners need `owner-graph` here, and where the rule looks into records `owner-order` as well.
   */
  readonly choices?: readonly SelectionChoice[] | undefined;
  /** Whether to look for texts of several users among the kept records, as a warning; default true. */
  readonly comparesTexts?: boolean | undefined;
  readonly commandLine?: readonly string[] | undefined;
}

/** The same with the columns known. */
export type ResolvedOptions = CurateOptions & { readonly columns: RecordColumns };

/** Name of the id column that is added where the table has none. */
export const addedIdColumn = 'record_id';

/** Bytes that an engine may hold unless told otherwise. */
export const defaultMemory: number = 2 ** 30;

/** True where the rule counts tokens per user or cuts blocks of them. */
export function needsTokens(rule: CurateRule): boolean {
  return rule.strategy === 'random-chunk' || (rule.tokensPerUser ?? null) !== null;
}

/** An `INVALID_ARGUMENT` of selection. */
export function argument(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot select: ${reason}. ${advice}.`);
}

type RuleOptions = Pick<CurateOptions, 'rule' | 'lengthUnit'>;

/** True where the outcome depends on the tokenizer. */
export function usesTokenizer({ rule, lengthUnit }: RuleOptions): boolean {
  return needsTokens(rule) || (usesLengths(rule.strategy) && lengthUnit === 'tokens');
}

/** The tables asked for, as a list. */
export function tablesOf({ table }: Pick<InputOptions, 'table'>): readonly string[] {
  return typeof table === 'string' ? [table] : table;
}

/** True for a table of a database. */
export function isDatabaseUrl(table: string): boolean {
  return /^clickhouses?:\/\//.test(table);
}

/** The engine for a table: the one asked for, where it can read it. */
export function engineOf(options: Pick<InputOptions, 'table' | 'engine'>): SelectionEngineName {
  const tables = tablesOf(options);
  const isDatabase = tables.some(isDatabaseUrl);
  const { engine = isDatabase ? 'clickhouse' : 'builtin' } = options;
  checkChoice(engine, { verb: 'select', name: 'engine', choices: ['builtin', 'duckdb', 'clickhouse'] });
  if (isDatabase && tables.length > 1)
    throw argument(`there are ${tables.length} tables, one of them in a database`, 'Give that one alone');
  if (isDatabase && engine !== 'clickhouse')
    throw argument(`${engine} reads files, not tables of a database`, 'Use clickhouse');
  if (!isDatabase && engine === 'clickhouse')
    throw argument(
      'clickhouse reads tables of a database, not files',
      'Give a URL such as clickhouse://host:8123/database/table',
    );
  return engine;
}

/** Checks where records come from, before anything is read. */
export function checkInputOptions(options: InputOptions): void {
  const { userNormalize = [], onError = 'error', memory = defaultMemory, threads = 1, stdin } = options;
  const { longestRow = 1 } = options;
  const tables = tablesOf(options);
  const engine = engineOf(options);
  for (const mode of userNormalize) normaliseUser('', [mode]);
  checkChoice(onError, { verb: 'select', name: 'onError', choices: ['error', 'skip'] });
  checkCount(memory, { verb: 'select', name: 'memory' });
  checkCount(threads, { verb: 'select', name: 'threads' });
  checkCount(longestRow, { verb: 'select', name: 'longestRow' });
  if (options.owners !== undefined) checkOwnerForm(options.owners, engine);
  if (engine === 'clickhouse' && userNormalize.length > 0)
    throw argument('clickhouse cannot rewrite user ids', 'Rewrite them in the table first');
  if (tables.includes('-') && (tables.length > 1 || stdin === undefined)) {
    const reason =
      tables.length > 1 ? `standard input is one of ${tables.length} tables` : 'there is no standard input';
    throw argument(reason, 'Give "-" alone, and a stream');
  }
}

/** Checks that the rule has the columns that it looks at. */
export function checkColumns(columns: RecordColumns, options: CurateOptions): void {
  const { rule, scorer } = options;
  const isScored = scorer !== undefined && usesScores(rule.strategy);
  const readsText = usesTokenizer(options) || usesLengths(rule.strategy) || isScored;
  if (readsText && columns.text === undefined)
    throw argument('the rule looks at the text but the text column is undefined', 'Name it');
}

function checkOutput({ out, stdout, manifest }: CurateOptions): void {
  if (out !== '-') checkWritable(out);
  else if (stdout === undefined) throw argument('there is no standard output', 'Give a stream, or a path');
  if (typeof manifest === 'string' && resolve(manifest) === resolve(out))
    throw argument('output and manifest have one name', 'Give the manifest another');
}

/** Checks that rule and options fit together, before anything is read. */
export function checkOptions(options: CurateOptions): void {
  const { rule, columns, tokenizer, scorer, lengthUnit = 'bytes' } = options;
  checkCapRule(rule, 'select');
  checkChoice(lengthUnit, { verb: 'select', name: 'lengthUnit', choices: lengthUnits });
  if (rule.strategy === 'random-chunk') checkCount(rule.chunkTokens, { verb: 'select', name: 'chunkTokens' });
  if (usesTokenizer(options) && tokenizer === undefined) {
    throw argument(
      'the rule counts tokens but the tokenizer is undefined',
      'Give the one that training uses',
    );
  }
  if (typeof columns !== 'function') checkColumns(columns, options);
  checkInputOptions(options);
  checkOutput(options);
  if (options.owners !== undefined) checkOwners(options);
  if (engineOf(options) !== 'builtin' && scorer !== undefined && usesScores(rule.strategy))
    throw argument('a model scores records for builtin alone', 'Use builtin, or a score column');
}

/** The folder in which an action makes its own. */
export function temporaryFolderOf({
  temporaryFolder,
  out,
}: {
  temporaryFolder?: string | undefined;
  out?: string;
}): string {
  return temporaryFolder ?? (out === undefined || out === '-' ? tmpdir() : dirname(out));
}

/** Announces a stage, or stops where the caller has interrupted. */
export function stage(options: Pick<InputOptions, 'signal' | 'onProgress'>, name: CurateStage): void {
  if (options.signal?.aborted === true) {
    throw new DpError(
      'INTERRUPTED',
      `Cannot select: interrupted before "${name}". Start again; nothing was written.`,
    );
  }
  options.onProgress?.(name);
}

/** Columns of the output that make up its records. */
export function outputColumns(columns: RecordColumns): RecordColumns & { id: string } {
  return { user: columns.user, id: columns.id ?? addedIdColumn, text: columns.text };
}
