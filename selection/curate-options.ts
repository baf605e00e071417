import { resolve } from 'node:path';
import { checkChoice, checkCount, DpError } from '../accounting/check.ts';
import { type LengthUnit, lengthUnits, type SelectionTokenizer } from './lengths.ts';
import type { DuplicatePolicy, NullUserPolicy, RecordColumns } from './records.ts';
import { type CapRule, checkCapRule, usesLengths, usesScores } from './rule.ts';
import type { Provenance, Scorer } from './scorer.ts';
import { checkWritable, type TableFormat } from './tables/index.ts';

/** A cap with the block length that `random-chunk` needs. */
export interface CurateRule extends CapRule {
  readonly chunkTokens?: number | null;
}

/** What is being done, for a progress line. */
export type CurateStage = 'hash' | 'read' | 'measure' | 'score' | 'select' | 'write' | 'check';

export interface CurateOptions {
  /** Path of the input table. */
  readonly table: string;
  readonly format?: TableFormat | undefined;
  /** Path of the output, Arrow or Parquet by extension; the manifest goes beside it. */
  readonly out: string;
  readonly force?: boolean;
  readonly columns: RecordColumns;
  readonly rule: CurateRule;
  /** What longest and shortest compare; default bytes. */
  readonly lengthUnit?: LengthUnit | undefined;
  readonly nullUsers?: NullUserPolicy | undefined;
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Needed for token caps, lengths in tokens and `random-chunk`. */
  readonly tokenizer?: SelectionTokenizer | undefined;
  readonly scorer?: Scorer | undefined;
  /** The user's declaration about the score column. */
  readonly scoreProvenance?: Provenance | undefined;
  readonly commandLine?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((stage: CurateStage, done?: number, total?: number) => void) | undefined;
}

/** Name of the id column that is added where the table has none. */
export const addedIdColumn = 'record_id';

/** True where the rule counts tokens per user or cuts blocks of them. */
export function needsTokens(rule: CurateRule): boolean {
  return rule.strategy === 'random-chunk' || (rule.tokensPerUser ?? null) !== null;
}

/** An `INVALID_ARGUMENT` of selection. */
export function argument(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot select: ${reason}. ${advice}.`);
}

/** True where the outcome depends on the tokenizer. */
export function usesTokenizer({ rule, lengthUnit }: CurateOptions): boolean {
  return needsTokens(rule) || (usesLengths(rule.strategy) && lengthUnit === 'tokens');
}

/** Checks that rule and options fit together, before anything is read. */
export function checkOptions(options: CurateOptions): void {
  const { rule, columns, tokenizer, scorer, lengthUnit = 'bytes' } = options;
  checkCapRule(rule, 'select');
  checkChoice(lengthUnit, { verb: 'select', name: 'lengthUnit', choices: lengthUnits });
  if (rule.strategy === 'random-chunk') checkCount(rule.chunkTokens, { verb: 'select', name: 'chunkTokens' });
  const countsTokens = usesTokenizer(options);
  if (countsTokens && tokenizer === undefined) {
    throw argument(
      'the rule counts tokens but the tokenizer is undefined',
      'Give the one that training uses',
    );
  }
  const readsText =
    countsTokens || usesLengths(rule.strategy) || (scorer !== undefined && usesScores(rule.strategy));
  if (readsText && columns.text === undefined)
    throw argument('the rule looks at the text but the text column is undefined', 'Name it');
  checkWritable(options.out);
  if (resolve(options.out) === resolve(options.table)) {
    throw argument(`the output ${options.out} is the input`, 'Choose another name');
  }
}

/** Announces a stage, or stops where the caller has interrupted. */
export function stage(options: CurateOptions, name: CurateStage): void {
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
