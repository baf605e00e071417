import type { OpenedInputs } from './curate-inputs.ts';
import { outputColumns, type ResolvedOptions, usesTokenizer } from './curate-options.ts';
import { contractVersion } from './contract.ts';
import type { SelectionCounts } from './engines/engine.ts';
import {
  type FileRecord,
  type Manifest,
  type ScorerRecord,
  type SelectionStatistics,
  toolVersion,
} from './manifest.ts';
import type { OutputFacts } from './output-facts.ts';
import type { PrivacyCost } from './safety.ts';
import { contributionStatistics } from './statistics.ts';
import { formatOf } from './tables/index.ts';

/** What was written, counted in the file itself. */
export interface Written {
  readonly facts: OutputFacts;
  readonly file: FileRecord;
}

/** Everything that a selection found out. */
export interface CurateRun {
  readonly options: ResolvedOptions;
  readonly inputs: OpenedInputs;
  readonly counts: SelectionCounts;
  readonly engine: Manifest['engine'];
  readonly written: Written;
  readonly scorer: ScorerRecord | null;
  readonly privacyCost: readonly PrivacyCost[];
}

function ruleOf({ rule, lengthUnit = 'bytes' }: ResolvedOptions): Manifest['rule'] {
  const {
    strategy,
    seed,
    recordsPerUser,
    tokensPerUser = null,
    tokenPolicy = 'stop',
    chunkTokens = null,
  } = rule;
  return { strategy, seed, recordsPerUser, tokensPerUser, tokenPolicy, chunkTokens, lengthUnit };
}

function columnsOf({ columns }: ResolvedOptions): Manifest['columns'] {
  const { user, id, text = null } = outputColumns(columns);
  return { user, id, text, score: columns.score ?? null };
}

function policiesOf(options: ResolvedOptions): Manifest['policies'] {
  const { nullUsers = 'error', duplicates = 'error', onError = 'error', userNormalize = [] } = options;
  return { nullUsers, duplicates, onError, userNormalize };
}

function tokenizerOf(options: ResolvedOptions): Manifest['tokenizer'] {
  const { tokenizer } = options;
  return tokenizer === undefined || !usesTokenizer(options)
    ? null
    : { name: tokenizer.name, hash: tokenizer.hash };
}

function statisticsOf({ counts, written }: CurateRun): SelectionStatistics {
  const { facts } = written;
  return {
    notPrivate: true,
    before: contributionStatistics(counts.contributions),
    after: contributionStatistics(facts.contributions),
    tokensAfter: facts.tokens?.total ?? null,
    similarUsers: facts.similarUsers,
    duplicates: facts.duplicates,
  };
}

function countsOf({ inputs, counts, written }: CurateRun): Manifest['result'] {
  const { facts } = written;
  const { source } = inputs;
  const skipped = 'url' in source ? {} : Object.fromEntries(source.skipped);
  return {
    users: [...counts.contributions.values()].reduce((sum, users) => sum + users, 0),
    usersKept: facts.users,
    recordsIn: counts.recordsIn,
    recordsKept: facts.rows,
    dropped: counts.dropped,
    skipped,
    maximumPerUser: facts.maximumPerUser,
    maximumTokensPerUser: facts.tokens?.maximumPerUser ?? null,
    keptIds: facts.keptIds,
  };
}

/** The manifest of a selection that is written and checked. */
export function manifestOf(run: CurateRun): Manifest {
  const { options, inputs, counts, engine, written, scorer, privacyCost } = run;
  return {
    format: 'privacy-unit/selection',
    version: 2,
    contractVersion,
    tool: { name: 'privacy-unit', version: toolVersion() },
    engine,
    createdAt: new Date().toISOString(),
    commandLine: options.commandLine ?? null,
    rule: ruleOf(options),
    columns: columnsOf(options),
    numberedIds: options.columns.id === null,
    policies: policiesOf(options),
    privacyCost,
    inputs: inputs.describe(counts.recordsIn),
    output: { ...written.file, tableFormat: options.out === '-' ? 'arrow' : formatOf(options.out) },
    result: countsOf(run),
    tokenizer: tokenizerOf(options),
    scorer,
    statistics: statisticsOf(run),
  };
}
