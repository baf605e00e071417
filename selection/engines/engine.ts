import { DpError } from '../../accounting/check.ts';
import type { LengthUnit, SelectionTokenizer } from '../lengths.ts';
import type { DuplicatePolicy, NullUserPolicy, RecordColumns } from '../records.ts';
import { type CapRule, checkCapRule, usesLengths } from '../rule.ts';
import type { TableSource } from '../tables/table-source.ts';

/** A table of a database, named by a URL such as `clickhouse://user@host:8123/database/table`. */
export interface DatabaseSource {
  readonly url: string;
}

/** What an engine is asked to do. */
export interface SelectionRequest {
  /** Files for `builtin` and `duckdb`, a table of a database for `clickhouse`. */
  readonly source: TableSource | DatabaseSource;
  readonly columns: RecordColumns;
  readonly rule: CapRule & { readonly chunkTokens?: number | null };
  readonly lengthUnit: LengthUnit;
  /** Only `builtin` can count tokens. */
  readonly tokenizer?: SelectionTokenizer | undefined;
  /** Stands for a score column where the rule goes by scores; only `builtin` has use for it. */
  readonly scorer?: { score(texts: readonly string[]): Promise<Float64Array> } | undefined;
  readonly nullUsers: NullUserPolicy;
  readonly duplicates: DuplicatePolicy;
  /** Bytes; a database keeps to its own limit as well. */
  readonly memoryLimit: number;
  /** An existing folder for what does not fit. */
  readonly temporaryFolder: string;
  /** Default: what the machine offers. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((stage: SelectionStage, done?: number, total?: number) => void) | undefined;
}

/** What an engine is doing; with a scorer it reads twice. */
export type SelectionStage = 'read' | 'validate' | 'score' | 'select' | 'write';

/** Raw counts, not private. */
export interface SelectionCounts {
  /** Rows of the source, dropped ones included. */
  readonly recordsIn: number;
  readonly dropped: { readonly nullUsers: number; readonly duplicates: number };
  /** Records of a user to number of users with so many, before selection. */
  readonly contributions: ReadonlyMap<number, number>;
  /** Records that are kept, where they do not follow from `contributions` and the cap. */
  readonly recordsKept?: number | undefined;
  /** Tokens of all records that may be selected, where they were counted on the way. */
  readonly tokens?: number | undefined;
}

/** Where kept rows go; the path must be free. */
export interface SelectionOutput {
  readonly path: string;
  readonly format: 'arrow' | 'parquet';
  /** Arrow IPC stream instead of file. */
  readonly isStream: boolean;
}

export type SelectionEngineName = 'builtin' | 'duckdb' | 'clickhouse';

/**
 * Keeps the records that the selection contract, v1, says. Every engine checks the same things before it writes and
 * keeps the same records; a failure leaves nothing but perhaps the file at the output path.
 */
export interface SelectionEngine {
  readonly name: SelectionEngineName;
  /** Version of the program that does the work. */
  version(): Promise<string>;
  /** Checks the records and counts them; writes nothing. */
  survey(request: SelectionRequest): Promise<SelectionCounts>;
  /** Writes the kept rows with every column, in canonical order: by user, then by record id, both by UTF-8 bytes. */
  select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts>;
}

/** A refusal of what an engine cannot do. */
export function cannotSelect(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot select: ${reason}. ${advice}.`);
}

/** Checks a rule, and refuses one that needs a tokenizer, which only the builtin engine can run. */
export function checkNoTokens({ rule, lengthUnit }: SelectionRequest, engine: SelectionEngineName): void {
  checkCapRule(rule, 'select');
  if (rule.strategy === 'random-window')
    throw cannotSelect(`random-window is no order that ${engine} knows`, 'Use the builtin engine');
  const countsTokens =
    rule.strategy === 'random-chunk' ||
    (rule.tokensPerUser ?? null) !== null ||
    (usesLengths(rule.strategy) && lengthUnit === 'tokens');
  if (countsTokens)
    throw cannotSelect(`the rule counts tokens, which ${engine} cannot`, 'Use the builtin engine');
}

/** Names a stage to whoever watches, or stops where they have interrupted. */
export function enterStage({ signal, onProgress }: SelectionRequest, stage: SelectionStage): void {
  if (signal?.aborted === true) throw interrupted(stage);
  onProgress?.(stage);
}

/** The failure of a selection that was stopped. */
export function interrupted(stage: SelectionStage): DpError {
  return new DpError(
    'INTERRUPTED',
    `Cannot select: interrupted at "${stage}". Start again; nothing was written.`,
  );
}

/** Records that a cap of `recordsPerUser` leaves of a histogram: the same for every strategy. */
export function keptCount(contributions: ReadonlyMap<number, number>, recordsPerUser: number | null): number {
  let kept = 0;
  for (const [records, users] of contributions) kept += Math.min(records, recordsPerUser ?? Infinity) * users;
  return kept;
}
