import type { Command } from 'commander';
import {
  allStrategies,
  type LengthUnit,
  lengthUnits,
  type RowPolicy,
  type SelectionEngineName,
  type SelectionStrategy,
  type SqlDialect,
  sqlDialects,
  type UserNormalisation,
  userNormalisations,
} from '../../selection/index.ts';
import type { EngineName, Tokenizer } from '../../trainer/index.ts';
import { choice, count, counts, delta, positive } from '../arguments.ts';
import type { CommonOptions } from '../command.ts';
import { addScorerEngineOption } from '../engines.ts';
import { addStartOptions, type StartOptions } from '../models.ts';
import { byteSize } from '../sizes.ts';
import type { TableOptions } from '../table.ts';

/** The options of `select` as commander hands them over. */
export interface SelectCommandOptions extends TableOptions, CommonOptions, StartOptions {
  readonly onError?: RowPolicy;
  readonly longestRow?: number;
  readonly owners?: string;
  readonly ownerSeparator?: string;
  readonly ownerGraph?: 'public';
  readonly ownerOrder?: 'public';
  readonly userNormalize?: readonly UserNormalisation[];
  readonly scoreProvenance?: 'public' | 'private';
  readonly scorer?: string;
  readonly scorerEngine?: EngineName;
  readonly strategy?: SelectionStrategy;
  readonly k?: readonly number[];
  readonly kFrom?: string;
  readonly tokens?: number;
  readonly truncate?: true;
  readonly chunkTokens?: number;
  /** Undefined where nobody asked to count tokens. */
  readonly tokenizer?: Tokenizer['name'];
  readonly lengthUnit: LengthUnit;
  readonly seed: string;
  readonly engine?: SelectionEngineName;
  readonly cluster?: string;
  readonly memory?: number;
  readonly tmpDir?: string;
  readonly threads?: number;
  readonly emitSql?: SqlDialect;
  readonly tableName?: string;
  readonly tokensColumn?: string;
  readonly orderColumn?: string;
  readonly dpStats?: number;
  readonly capShare: number;
  readonly dryRun?: true;
  readonly compareTexts: boolean;
  readonly out?: string;
  readonly manifest?: string;
  readonly force?: true;
}

/** Words of a fixed list, separated by commas. */
function choices<T extends string>(name: string, all: readonly T[]): (text: string) => T[] {
  const one = choice(name, all);
  return text => [...new Set(text.split(',').map(part => one(part.trim())))];
}

function addInputOptions(command: Command): Command {
  return command
    .option(
      '--on-error <policy>',
      'rows of JSONL and CSV that cannot be read: error, or skip, which counts them (default: error)',
      choice('--on-error', ['error', 'skip']),
    )
    .option(
      '--longest-row <size>',
      'of JSONL and CSV; a longer row is a fault (default: 64MiB)',
      byteSize('--longest-row'),
    )
    .option(
      '--user-normalize <list>',
      `make ways of writing a user id one: ${userNormalisations.join(', ')}; the output holds the ids so (default: none)`,
      choices('--user-normalize', userNormalisations),
    );
}

function addRuleOptions(command: Command): Command {
  return command
    .optionsGroup('Rule:')
    .option(
      '--strategy <name>',
      `which records a user keeps: ${allStrategies.join(', ')} (required)`,
      choice('--strategy', allStrategies),
    )
    .option(
      '--k <k>',
      'most records per user; a list with --dry-run (required without --tokens or --k-from)',
      counts('--k'),
    )
    .option(
      '--k-from <file>',
      'take k from the answer of --dp-stats --json, with its cost into the manifest (default: --k)',
    )
    .option('--tokens <t>', 'most tokens per user (default: no cap)', count('--tokens'))
    .option(
      '--truncate',
      'cut the first record beyond --tokens to fit (default: leave it out with all after it)',
    )
    .option(
      '--chunk-tokens <l>',
      'tokens in a block of random-chunk (default: none)',
      count('--chunk-tokens'),
    )
    .option(
      '--tokenizer <name>',
      'bytes, gpt2 or a folder with tokenizer.json; where it is given tokens are counted before and after (default: bytes where the rule counts tokens)',
    )
    .option(
      '--length-unit <unit>',
      `what longest and shortest compare: ${lengthUnits.join(', ')}`,
      choice('--length-unit', lengthUnits),
      'bytes',
    )
    .option('--seed <text>', 'public seed of the selection; no part of the guarantee', '42');
}

function addScoreOptions(command: Command): Command {
  const scored = command
    .optionsGroup('Perplexity:')
    .option('--scorer <folder>', 'public model that scores the records (default: none)');
  return addScorerEngineOption(addStartOptions(scored))
    .option('--score <column>', 'column of scores instead of a model (default: none)')
    .option(
      '--score-provenance <origin>',
      'public if the scores come from public data alone, else private, which is refused (default: not declared)',
      choice('--score-provenance', ['public', 'private']),
    );
}

function addOwnerOptions(command: Command): Command {
  return command
    .optionsGroup('Several users a record:')
    .option(
      '--owners <column>',
      'column of all owners of a record, each of whom counts; lists of text (default: one user a record, --user)',
    )
    .option(
      '--owner-separator <text>',
      'the column is text, with this between two owners (default: a column of lists)',
    )
    .option(
      '--owner-graph <origin>',
      'public: declares that who owns which record, and record ids, are public; the guarantee then holds given these (required with --owners)',
      choice('--owner-graph', ['public']),
    )
    .option(
      '--owner-order <origin>',
      'public: the same for lengths, scores or places of records, by which every rule but random without --tokens goes (required there)',
      choice('--owner-order', ['public']),
    );
}

function addEngineOptions(command: Command): Command {
  return command
    .optionsGroup('Engine:')
    .option(
      '--engine <name>',
      'builtin, duckdb or clickhouse; all keep the same records (default: builtin, clickhouse for its tables)',
      choice('--engine', ['builtin', 'duckdb', 'clickhouse']),
    )
    .option(
      '--cluster <url>',
      'clickhouse://user@host:8123 with TABLE as database/table, or all of it in one (default: TABLE is a file)',
    )
    .option(
      '--memory <size>',
      'for what the engine holds, such as 256MB (default: 1GiB)',
      byteSize('--memory'),
    )
    .option('--tmp-dir <folder>', 'for rows that do not fit (default: beside the output)')
    .option('--threads <n>', 'of duckdb and clickhouse (default: all)', count('--threads'));
}

function addQuestionOptions(command: Command): Command {
  return command
    .optionsGroup('Instead of selecting:')
    .option('--dry-run', 'statistics and the effect of several k, without an output (default: off)')
    .option(
      '--dp-stats <epsilon>',
      'differentially private statistics and a cap, at this cost; no raw number is printed (default: off)',
      positive('--dp-stats'),
    )
    .option(
      '--cap-share <share>',
      'of the users, whom the private cap leaves whole',
      delta('--cap-share'),
      0.95,
    )
    .option(
      '--emit-sql <dialect>',
      `print the statement and run nothing: ${sqlDialects.join(', ')} (default: off)`,
      choice('--emit-sql', sqlDialects),
    )
    .option('--table-name <name>', 'of --emit-sql (required there)')
    .option('--tokens-column <column>', 'of --emit-sql: token counts (default: none)')
    .option('--order-column <column>', 'of --emit-sql: what "first" goes by (default: none)');
}

function addOutputOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .option('--out <file>', '.arrow, .arrows or .parquet; - for an Arrow stream (required to select)')
    .option('--manifest <file>', 'where the manifest goes (default: beside the output; none for -)')
    .option('--no-compare-texts', 'do not look for texts of several users (default: look)')
    .option('--force', 'overwrite the output (default: refuse)');
}

/** Adds everything that `select` takes beside the options of a table. */
export function addSelectOptions(command: Command): Command {
  const groups = [
    addInputOptions,
    addRuleOptions,
    addScoreOptions,
    addOwnerOptions,
    addEngineOptions,
    addQuestionOptions,
    addOutputOptions,
  ];
  return groups.reduce((made, add) => add(made), command);
}
