import type { OpenedInputs } from './curate-inputs.ts';
import { needsTokens, outputColumns, type ResolvedOptions, usesTokenizer } from './curate-options.ts';
import { contractVersion } from './contract.ts';
import type { SelectionCounts } from './engines/engine.ts';
import {
  type FileRecord,
  type Manifest,
  type OwnersRecord,
  type ScorerRecord,
  type SelectionStatistics,
  toolVersion,
} from './manifest.ts';
import type { OutputFacts } from './output-facts.ts';
import { ownerChoices } from './owners-options.ts';
import { type PrivacyCost, statusOf } from './safety.ts';
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
  /** Rows of each input. */
  readonly rowsOfInputs: readonly number[];
  readonly counts: SelectionCounts;
  readonly engine: Manifest['engine'];
  readonly written: Written;
  /** Null where none were counted. */
  readonly tokensBefore: number | null;
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

function nameOf({ tokenizer }: ResolvedOptions): Manifest['tokenizer'] {
  return tokenizer === undefined ? null : { name: tokenizer.name, hash: tokenizer.hash };
}

function tokenizerOf(options: ResolvedOptions): Manifest['tokenizer'] {
  return usesTokenizer(options) ? nameOf(options) : null;
}

function ownersOf({ owners, rule, choices = [] }: ResolvedOptions): OwnersRecord | null {
  if (owners === undefined) return null;
  const isPublic = (name: string): boolean =>
    choices.some(choice => choice.name === name && statusOf(choice) === 'public');
  return { separator: owners.separator, public: ownerChoices(rule).filter(isPublic) };
}

function statisticsOf({ options, counts, written, tokensBefore }: CurateRun): SelectionStatistics {
  const { facts } = written;
  // With several owners no closed form says what another cap would keep.
  const caps = options.owners === undefined ? {} : { caps: [] };
  return {
    notPrivate: true,
    before: contributionStatistics(counts.contributions, caps),
    after: contributionStatistics(facts.contributions, caps),
    tokenizer: facts.tokens === null ? null : nameOf(options),
    tokensBefore,
    tokensAfter: facts.tokens?.total ?? null,
    similarUsers: facts.similarUsers,
    duplicates: facts.duplicates,
  };
}

function countsOf({ options, inputs, counts, written }: CurateRun): Manifest['result'] {
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
    maximumTokensPerUser: needsTokens(options.rule) ? (facts.tokens?.maximumPerUser ?? null) : null,
    keptIds: facts.keptIds,
  };
}

/** The manifest of a selection that is written and checked. */
export function manifestOf(run: CurateRun): Manifest {
  const { options, inputs, rowsOfInputs, engine, written, scorer, privacyCost } = run;
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
    owners: ownersOf(options),
    policies: policiesOf(options),
    privacyCost,
    inputs: inputs.describe(rowsOfInputs),
    output: { ...written.file, tableFormat: options.out === '-' ? 'arrow' : formatOf(options.out) },
    result: countsOf(run),
    tokenizer: tokenizerOf(options),
    scorer,
    statistics: statisticsOf(run),
  };
}
