import { basename } from 'node:path';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import {
  allStrategies,
  contributionStatistics,
  countsPerUser,
  curate,
  lengthUnits,
  type ContributionStatistics,
  type CurateOptions,
  type CurateResult,
  type LengthUnit,
  type Scorer,
  type SelectionStrategy,
} from '../../selection/index.ts';
import { openTokenizer, perplexityScorer, type Tokenizer } from '../../trainer/index.ts';
import { openEngine } from '../../trainer/engines/open.ts';
import { choice, count, counts, required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { modelDigest, publicModel } from '../models.ts';
import { renderTable, type Answer } from '../output.ts';
import { addTableOptions, columnsOf, readUserTable, type TableOptions } from '../table.ts';

const verb = 'select';

interface SelectCommandOptions extends TableOptions, CommonOptions {
  readonly scoreProvenance?: 'public' | 'private';
  readonly scorer?: string;
  readonly strategy?: SelectionStrategy;
  readonly k?: readonly number[];
  readonly tokens?: number;
  readonly truncate?: true;
  readonly chunkTokens?: number;
  readonly tokenizer: Tokenizer['name'];
  readonly lengthUnit: LengthUnit;
  readonly seed: string;
  readonly out?: string;
  readonly force?: true;
  readonly dryRun?: true;
}

function capOf({ k, tokens }: SelectCommandOptions): number | null {
  if (k === undefined && tokens !== undefined) return null;
  const caps = required(k, { verb, name: '--k', example: '10' });
  if (caps.length === 1) return caps[0]!;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot select: --k names ${caps.length} caps. Give one, or several with --dry-run.`,
  );
}

async function openScorer(folder: string): Promise<Scorer & { dispose(): void }> {
  const model = await publicModel(folder, 'score');
  const scorer = perplexityScorer(model, await openEngine());
  return { ...scorer, provenance: 'public', name: basename(folder), hash: modelDigest(model) };
}

async function curateOptions(
  path: string,
  options: SelectCommandOptions,
  { signal, progress }: Surroundings,
): Promise<CurateOptions> {
  const { tokens, truncate, chunkTokens, strategy, seed, lengthUnit, nullUsers, duplicates } = options;
  const out = required(options.out, { verb, name: '--out', example: 'selected.arrow' });
  const rule = {
    strategy: required(strategy, { verb, name: '--strategy', example: 'random' }),
    seed,
    recordsPerUser: capOf(options),
    tokensPerUser: tokens ?? null,
    tokenPolicy: truncate === true ? ('truncate' as const) : ('stop' as const),
    chunkTokens: chunkTokens ?? null,
  };
  return {
    table: path,
    format: options.format,
    out,
    force: options.force === true,
    columns: await columnsOf(path, options),
    rule,
    lengthUnit,
    nullUsers,
    duplicates,
    tokenizer: await openTokenizer(options.tokenizer),
    scoreProvenance: options.scoreProvenance,
    signal,
    onProgress: (stage, done, total) => {
      if (done === undefined || total === undefined) progress.stage(stage);
      else progress.update({ label: stage, done, total, unit: 'records' });
    },
  };
}

function renderResult(result: CurateResult): string {
  const { users, recordsIn, recordsKept, maxPerUser, digest, out, manifest, crossUserDuplicates } = result;
  const lines = [
    `${recordsKept} of ${recordsIn} records of ${users} users kept, at most ${maxPerUser} a user (counted in the output).`,
    `Digest of the kept ids: ${digest}`,
    `Wrote ${out} and ${manifest}`,
  ];
  const copies = crossUserDuplicates?.records ?? 0;
  if (copies > 0) {
    lines.push(
      `Warning: ${copies} kept records also occur under another user; the guarantee of one user does not cover copies of their text under others.`,
    );
  }
  return [...lines, 'Counts are raw values of private data; they stay inside the trust boundary.'].join('\n');
}

async function select(path: string, options: SelectCommandOptions, around: Surroundings): Promise<Answer> {
  const prepared = await curateOptions(path, options, around);
  const scorer = options.scorer === undefined ? undefined : await openScorer(options.scorer);
  try {
    const result = await curate({ ...prepared, scorer });
    return { json: { ...result }, text: renderResult(result) };
  } finally {
    scorer?.dispose();
  }
}

function renderDryRun(statistics: ContributionStatistics): string {
  const { users, records, maximum, median, gini, caps, histogram } = statistics;
  const align = 'right' as const;
  const effects = caps.map(cap => [cap.recordsPerUser, cap.records, cap.usersCut].map(String));
  const buckets = histogram.map(bucket => [
    `${bucket.from} to ${bucket.to}`,
    ...[bucket.users, bucket.records].map(String),
  ]);
  return [
    `${records} records of ${users} users: median ${median}, largest ${maximum}, Gini ${gini.toFixed(2)}.`,
    '',
    renderTable(
      [
        { title: 'k', align },
        { title: 'records kept', align },
        { title: 'users cut', align },
      ],
      effects,
    ),
    '',
    renderTable(
      [
        { title: 'records a user', align },
        { title: 'users', align },
        { title: 'records', align },
      ],
      buckets,
    ),
    '',
    'Nothing was written. Choosing k by looking at these private counts is not covered by the guarantee.',
  ].join('\n');
}

async function dryRun(path: string, options: SelectCommandOptions): Promise<Answer> {
  const { records } = await readUserTable(path, { ...options, needsText: false });
  const caps = options.k === undefined ? {} : { caps: options.k };
  const statistics = contributionStatistics(countsPerUser(records), caps);
  const json = { dryRun: true, users: statistics.users, recordsIn: records.rowCount, statistics };
  return { json, text: renderDryRun(statistics) };
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
      'most records per user; a list with --dry-run (required without --tokens)',
      counts('--k'),
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
      'bytes or gpt2, for token counts',
      choice('--tokenizer', ['bytes', 'gpt2']),
      'bytes',
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
  return command
    .optionsGroup('Perplexity:')
    .option('--scorer <folder>', 'public model that scores the records (default: none)')
    .option('--score <column>', 'column of scores instead of a model (default: none)')
    .option(
      '--score-provenance <origin>',
      'public if the scores come from public data alone, else private, which is refused (default: not declared)',
      choice('--score-provenance', ['public', 'private']),
    );
}

/** `privacy-unit select`: caps what each user contributes, from file to file. */
export function selectCommand(deliver: Deliver): Command {
  const command = createCommand('select', {
    summary: 'cap what each user contributes',
    description:
      'Keeps at most k records of every user by the selection contract: the same set whatever the order of the input. Writes the table, a manifest, and checks the output by reading it back.',
    examples: [
      'select letters.parquet --user author --id letter --text body --strategy random --k 10 --seed 42 --out selected.arrow',
      'select letters.parquet --user author --k 1,2,5,10,20 --dry-run',
    ],
  }).argument('<TABLE>', 'Arrow, Parquet, JSONL or CSV, one record a row');
  addScoreOptions(addRuleOptions(addTableOptions(command)))
    .optionsGroup('Output:')
    .option('--out <file>', 'table to write, .arrow or .parquet (required without --dry-run)')
    .option('--force', 'overwrite the output (default: refuse)')
    .option('--dry-run', 'statistics and the effect of several k, without an output (default: off)');
  return command.action((path: string, options: SelectCommandOptions) =>
    deliver(options, around =>
      options.dryRun === true ? dryRun(path, options) : select(path, options, around),
    ),
  );
}
