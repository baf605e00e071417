import { join } from 'node:path';
import type { Command } from 'commander';
import { allStrategies, type SelectionStrategy } from '../../selection/index.ts';
import type { Neighbours } from '../../accounting/index.ts';
import {
  compareMechanisms,
  type PlanOption,
  type PrivacySpent,
  type SamplerKind,
  type SelectionRule,
} from '../../accounting/plan-entry.ts';
import { DpError } from '../../accounting/check.ts';
import { openTokenizerFrom, type Tokenizer } from '../../trainer/index.ts';
import { choice, count, counts, delta, positive, required, share } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { checkAbsent, writeWhole } from '../files.ts';
import { renderJson, upward, type Answer } from '../output.ts';
import { defaultDelta, optionObject, planFileName, renderOptions } from '../planning.ts';
import { ruleDifference, selectedTable, spentBy } from '../selected-table.ts';
import { addTableOptions, readUserTable, type TableOptions } from '../table.ts';
import { looksAtTokens, plannedContributions } from '../training-data.ts';
import { adaptiveClipOf, addClipOptions, type ClipOptions } from './clip-options.ts';
import { neighbourChoices } from './guarantee-options.ts';

const verb = 'plan';
const samplerChoices: readonly SamplerKind[] = ['poisson', 'truncated-poisson', 'balls-in-bins', 'shuffled'];

interface PlanCommandOptions extends TableOptions, CommonOptions, ClipOptions {
  readonly users?: number;
  readonly records?: number;
  readonly epsilon?: number;
  readonly noiseMultiplier?: number;
  readonly delta?: number;
  readonly neighbours: Neighbours;
  readonly k: readonly number[];
  readonly sampler: SamplerKind;
  readonly batchSize?: number;
  readonly batchLimit?: number;
  readonly steps?: number;
  readonly strategy: SelectionStrategy;
  readonly draw: SelectionRule['when'];
  readonly tokens?: number;
  readonly chunkTokens?: number;
  readonly tokenizer: Tokenizer['name'];
  readonly seed: string;
  readonly heldOut: number;
  readonly heldOutSeed: string;
  readonly out?: string;
  readonly force?: true;
}

interface Population {
  readonly contributions: readonly number[];
  readonly heldOutUsers: number;
  /** What the selection of the table has spent. */
  readonly privacyCost: readonly PrivacySpent[];
  readonly notes: readonly string[];
}

/** `records` spread over `users` as evenly as whole numbers allow. */
function evenContributions(users: number, records: number): number[] {
  if (records < users) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot plan: ${records} records for ${users} users leave some without any. Give at least one record a user.`,
    );
  }
  const each = Math.floor(records / users);
  return Array.from({ length: users }, (_, user) => (user < records % users ? each + 1 : each));
}

function selectionOf(options: PlanCommandOptions): Omit<SelectionRule, 'when'> {
  const { strategy, seed, tokens = null, chunkTokens = null } = options;
  if (strategy === 'random-chunk')
    required(chunkTokens ?? undefined, { verb, name: '--chunk-tokens', example: '64' });
  return { strategy, seed, tokensPerUser: tokens, chunkTokens };
}

/** Only strategies with chance in them give another draw another answer. */
function drawOf({ draw, strategy }: PlanCommandOptions): SelectionRule['when'] {
  if (draw === 'once' || strategy.startsWith('random')) return draw;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot plan: --draw is per-draw with --strategy ${strategy}, which picks the same records every time. Give --draw once.`,
  );
}

/** What a manifest beside the table tells a plan. */
async function selectedBefore(
  path: string,
  { selection, neighbours }: { selection: Omit<SelectionRule, 'when'>; neighbours: Neighbours },
): Promise<Pick<Population, 'privacyCost' | 'notes'>> {
  const selected = await selectedTable(path);
  if (selected === undefined) return { privacyCost: [], notes: [] };
  const difference = ruleDifference(selected.manifest, selection);
  const privacyCost = spentBy(selected.manifest, neighbours);
  return {
    privacyCost,
    notes: [
      ...(difference === undefined
        ? []
        : [`the table was selected with ${difference}: train will refuse such a plan.`]),
      ...privacyCost.map(
        ({ epsilon, delta: spent, what }) =>
          `selection spent epsilon ${upward(epsilon)} at delta ${spent} on ${what}; the noise is calibrated to what that leaves.`,
      ),
    ],
  };
}

async function populationOf(path: string | undefined, options: PlanCommandOptions): Promise<Population> {
  const { users, records, heldOut, heldOutSeed } = options;
  if (path !== undefined) {
    const selection = selectionOf(options);
    const read = await readUserTable(path, { ...options, needsText: looksAtTokens(selection) });
    const rule = { fraction: heldOut, seed: heldOutSeed };
    const tokenizer = await openTokenizerFrom(options.tokenizer);
    return {
      ...plannedContributions(read.records, { selection, heldOut: rule, tokenizer }),
      ...(await selectedBefore(path, { selection, neighbours: options.neighbours })),
    };
  }
  const total = required(users, { verb, name: 'TABLE or --users', example: '1000 --records 20000' });
  const all = required(records, { verb, name: '--records', example: '20000' });
  const note = `${all} records are assumed to be spread evenly over ${total} training users; a real table is planned from its own counts.`;
  const contributions = evenContributions(total, all);
  return { contributions, heldOutUsers: 0, privacyCost: [], notes: [note] };
}

/** Exactly one of target and noise: the other follows. */
function targetOf({ epsilon, noiseMultiplier, sampler }: PlanCommandOptions): {
  epsilon?: number;
  noiseMultiplier?: number;
} {
  if (noiseMultiplier === undefined && sampler === 'shuffled')
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot plan: --sampler is shuffled, of which no upper bound is proved that --epsilon could be held against. ' +
        'Give --noise-multiplier instead, such as 1.1, or another sampler.',
    );
  if (noiseMultiplier === undefined)
    return { epsilon: required(epsilon, { verb, name: '--epsilon', example: '8' }) };
  if (epsilon === undefined) return { noiseMultiplier };
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot plan: --epsilon is ${epsilon} beside --noise-multiplier ${noiseMultiplier}. Give one of the two.`,
  );
}

/** Which part of a larger draw is used; no other sampler cuts draws. */
function batchLimitOf({ sampler, batchLimit }: PlanCommandOptions): number | undefined {
  if (sampler === 'truncated-poisson')
    return required(batchLimit, { verb, name: '--batch-limit', example: '320' });
  if (batchLimit === undefined) return undefined;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot plan: --batch-limit is ${batchLimit} with --sampler ${sampler}. Leave it out, or give --sampler truncated-poisson.`,
  );
}

function makeOptions(population: Population, options: PlanCommandOptions): PlanOption[] {
  const { contributions } = population;
  const { neighbours, clipNorm, k } = options;
  return compareMechanisms({
    contributions,
    ...targetOf(options),
    delta: options.delta ?? defaultDelta(contributions.length),
    recordsPerUser: k,
    sampler: options.sampler,
    batchLimit: batchLimitOf(options),
    batchSize: required(options.batchSize, { verb, name: '--batch-size', example: '256' }),
    steps: required(options.steps, { verb, name: '--steps', example: '500' }),
    clipNorm,
    adaptiveClip: adaptiveClipOf(options, verb),
    neighbours,
    selection: { ...selectionOf(options), when: drawOf(options), privacyCost: population.privacyCost },
    heldOut: { fraction: options.heldOut, seed: options.heldOutSeed },
  });
}

/** Writes one plan file per option and names them in order. */
function writePlans(folder: string, planned: readonly PlanOption[], force: boolean): string[] {
  const paths = planned.map(option => join(folder, planFileName(option)));
  for (const path of paths) checkAbsent(path, { verb, force });
  for (const [at, path] of paths.entries()) writeWhole(path, renderJson(planned[at]!.plan));
  return paths;
}

async function plan(
  path: string | undefined,
  options: PlanCommandOptions,
  { progress }: Surroundings,
): Promise<Answer> {
  progress.stage('planning');
  const population = await populationOf(path, options);
  const planned = makeOptions(population, options);
  const files = options.out === undefined ? [] : writePlans(options.out, planned, options.force === true);
  const objects = planned.map((option, at) => ({
    ...optionObject(option),
    notes: [...population.notes, ...option.notes],
    ...(files[at] === undefined ? {} : { file: files[at] }),
  }));
  const lines = [
    renderOptions(planned),
    ...population.notes.map(note => `Note: ${note}`),
    ...files.map(file => `Wrote ${file}`),
  ];
  const { contributions, heldOutUsers } = population;
  return { json: { options: objects, users: contributions.length, heldOutUsers }, text: lines.join('\n') };
}

function addTargetOptions(command: Command): Command {
  const training = command
    .optionsGroup('Guarantee:')
    .option(
      '--epsilon <e>',
      'target of the upper bound, in nats, above 0 (required without --noise-multiplier)',
      positive('--epsilon'),
    )
    .option(
      '--noise-multiplier <s>',
      'noise for every option instead of a target (required with --sampler shuffled, of which no upper bound is proved)',
      positive('--noise-multiplier'),
    )
    .option('--delta <d>', 'failure probability in (0, 1) (default: 1/users^1.1)', delta('--delta'))
    .option(
      '--neighbours <relation>',
      `${neighbourChoices.join(', ')} of one user with all records`,
      choice('--neighbours', neighbourChoices),
      'add-or-remove',
    )
    .optionsGroup('Training:')
    .option('--k <list>', 'records per user, whole numbers with commas between', counts('--k'), [1, 2, 5, 10])
    .option(
      '--batch-size <b>',
      'record gradients a step, expected, for every option (required)',
      count('--batch-size'),
    )
    .option(
      '--sampler <kind>',
      `how a step gets its units: ${samplerChoices.join(', ')}`,
      choice('--sampler', samplerChoices),
      'poisson',
    )
    .option(
      '--batch-limit <b>',
      'most record gradients a step; of more, that many at random are used (required with truncated-poisson)',
      count('--batch-limit'),
    )
    .option('--steps <n>', 'noised steps, a whole number (required)', count('--steps'));
  return addClipOptions(training, { clipNorm: 1 });
}

function addSelectionOptions(command: Command): Command {
  return command
    .optionsGroup('Selection:')
    .option(
      '--strategy <name>',
      `which records a user keeps: ${allStrategies.join(', ')}`,
      choice('--strategy', allStrategies),
      'random',
    )
    .option(
      '--draw <when>',
      'once before training, or per-draw: anew each time a user is sampled (user-wise only)',
      choice('--draw', ['once', 'per-draw']),
      'once',
    )
    .option('--tokens <t>', 'most tokens per user (default: no cap)', count('--tokens'))
    .option(
      '--chunk-tokens <l>',
      'tokens in a block of random-chunk (default: none)',
      count('--chunk-tokens'),
    )
    .option(
      '--tokenizer <name>',
      'bytes, gpt2 or a folder with tokenizer.json: the one of the model, for --tokens and --chunk-tokens',
      'bytes',
    )
    .option('--seed <text>', 'public seed of the selection; no part of the guarantee', '42')
    .option('--held-out <share>', 'share of users kept out of training, in [0, 1)', share('--held-out'), 0.1)
    .option('--held-out-seed <text>', 'public seed of who is kept out', 'held-out')
    .optionsGroup('Population without a table:')
    .option('--users <n>', 'training users (default: from TABLE)', count('--users'))
    .option('--records <n>', 'their records, spread evenly (default: from TABLE)', count('--records'))
    .optionsGroup('Output:')
    .option('--out <folder>', 'write one plan file per option there (default: none)')
    .option('--force', 'overwrite plan files (default: refuse)');
}

/** `privacy-unit plan`: what each mechanism costs at one target. */
export function planCommand(deliver: Deliver): Command {
  const command = createCommand('plan', {
    summary: 'noise of both mechanisms for a target epsilon and several caps k',
    description:
      'Compares Group Privacy and User-wise DP-SGD at equal computation and equal guarantee, one option for each mechanism and k.',
    examples: [
      'plan letters.parquet --user author --epsilon 8 --k 1,2,5,10 --batch-size 256 --steps 500 --out plans',
      'plan --users 10000 --records 200000 --epsilon 3 --delta 1e-6 --batch-size 1000 --steps 1000 --json',
    ],
  }).argument('[TABLE]', 'Arrow, Parquet, JSONL or CSV, one record a row');
  addSelectionOptions(addTargetOptions(addTableOptions(command)));
  return command.action((path: string | undefined, options: PlanCommandOptions) =>
    deliver(options, surroundings => plan(path, options, surroundings)),
  );
}
