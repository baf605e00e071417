import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import type { Mechanism, SelectionRule, SelectionStrategy } from '../../accounting/index.ts';
import { allStrategies } from '../../selection/index.ts';
import { choice, choices, count, counts, delta, positives, required, share } from '../arguments.ts';
import { addBreakLockOption, type BreakLockOption } from '../break-lock.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { addEngineOption, type EngineOption } from '../engines.ts';
import { adaptiveClipOf, addAdaptiveClipOptions, type ClipOptions } from './clip-options.ts';
import { addModelOptions, addStartOptions, type ModelOptions, type StartOptions } from '../models.ts';
import type { Answer } from '../output.ts';
import { checkStudyFolder } from '../study/folder.ts';
import { studySamplers, type StudyQuestion, type StudySampler } from '../study/question.ts';
import { reportOf } from '../study/report.ts';
import { estimateStudy, openStudy, prepareStudy, runStudy } from '../study/study.ts';
import { dryRunAnswer, studyAnswer } from '../study/text.ts';
import { addTableOptions, type TableOptions } from '../table.ts';

interface StudyCommandOptions
  extends
    TableOptions,
    CommonOptions,
    ModelOptions,
    StartOptions,
    EngineOption,
    Omit<ClipOptions, 'clipNorm'>,
    BreakLockOption {
  readonly mechanism: readonly Mechanism[];
  readonly epsilon: readonly number[];
  readonly k: readonly number[];
  readonly strategy: readonly SelectionStrategy[];
  readonly sampler: readonly StudySampler[];
  readonly batchLimit?: number;
  readonly clipNorm: readonly number[];
  readonly seeds: number;
  readonly seed: string;
  readonly draw: SelectionRule['when'];
  readonly chunkTokens?: number;
  readonly delta?: number;
  readonly heldOut?: number;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate?: readonly number[];
  readonly loraRank: number;
  readonly full?: true;
  readonly model?: string;
  readonly pretrainingSteps: number;
  readonly evaluationRecords: number;
  readonly keepModels?: true;
  readonly out: string;
  readonly dryRun?: true;
  readonly reportOnly?: true;
}

function chunkTokensOf({ strategy, chunkTokens }: StudyCommandOptions): number | null {
  if (!strategy.includes('random-chunk')) return null;
  return required(chunkTokens, { verb: 'study', name: '--chunk-tokens', example: '64' });
}

function batchLimitOf({ sampler, batchLimit }: StudyCommandOptions): number | undefined {
  if (sampler.includes('truncated-poisson'))
    return required(batchLimit, { verb: 'study', name: '--batch-limit', example: '320' });
  if (batchLimit === undefined) return undefined;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot study: --batch-limit is ${batchLimit} without --sampler truncated-poisson. Leave it out, or add that sampler.`,
  );
}

function questionOf(table: string | undefined, options: StudyCommandOptions): StudyQuestion {
  const { layers, width, heads, context, tokenizer } = options;
  return {
    table,
    columns: options,
    mechanisms: options.mechanism,
    epsilons: options.epsilon,
    recordsPerUser: options.k,
    strategies: options.strategy,
    samplers: options.sampler,
    batchLimit: batchLimitOf(options),
    repetitions: options.seeds,
    seed: options.seed,
    draw: options.draw,
    chunkTokens: chunkTokensOf(options),
    batchSize: options.batchSize,
    steps: options.steps,
    clipNorms: options.clipNorm,
    adaptiveClip: adaptiveClipOf(options, 'study'),
    delta: options.delta,
    heldOut: options.heldOut,
    evaluationRecords: options.evaluationRecords,
    learningRates: options.learningRate ?? [],
    loraRank: options.full === true ? null : options.loraRank,
    model: options.model,
    start: options,
    engine: options,
    newModel: { layers, width, heads, context, tokenizer },
    pretrainingSteps: options.pretrainingSteps,
    keepModels: options.keepModels === true,
    breakLock: options.breakLock === true,
  };
}

/** Plans in a folder that is gone afterwards: nothing is left of a dry run. */
async function dryRun(question: StudyQuestion, around: Surroundings): Promise<Answer> {
  const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-study-'));
  try {
    const prepared = await prepareStudy(await openStudy(question, folder, around), { around });
    return dryRunAnswer(prepared, await estimateStudy(prepared));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function study(
  table: string | undefined,
  options: StudyCommandOptions,
  around: Surroundings,
): Promise<Answer> {
  const folder = resolve(options.out);
  if (options.reportOnly === true) return studyAnswer(reportOf(folder), options.out);
  const question = questionOf(table, options);
  checkStudyFolder(folder);
  if (options.dryRun === true) return dryRun(question, around);
  return studyAnswer(await runStudy(question, folder, around), options.out);
}

const mechanisms: readonly Mechanism[] = ['group-privacy', 'user-wise'];

function addGridOptions(command: Command): Command {
  return command
    .optionsGroup('Grid (lists with commas between):')
    .option('--mechanism <list>', mechanisms.join(', '), choices('--mechanism', mechanisms), [...mechanisms])
    .option('--epsilon <list>', 'targets, in nats, above 0', positives('--epsilon'), [2, 8])
    .option('--k <list>', 'most records per user, whole numbers', counts('--k'), [2, 10])
    .option('--strategy <list>', allStrategies.join(', '), choices('--strategy', allStrategies), ['random'])
    .option('--sampler <list>', studySamplers.join(', '), choices('--sampler', studySamplers), ['poisson'])
    .option(
      '--batch-limit <b>',
      'most record gradients a step; of more, that many at random are used (required with truncated-poisson)',
      count('--batch-limit'),
    )
    .option(
      '--learning-rate <list>',
      'highest learning rates, above 0; of several, each cell takes the one that is best at its first run (default: 0.02; with --model that of train)',
      positives('--learning-rate'),
    )
    .option(
      '--clip-norm <list>',
      'L2 norms to which a gradient is clipped, above 0, chosen from like learning rates; with --adaptive-clip the first one',
      positives('--clip-norm'),
      [0.5],
    )
    .option(
      '--seeds <n>',
      'runs of each cell; a later study in the same folder may ask for more',
      count('--seeds'),
      3,
    )
    .option('--seed <text>', 'public text from which selections, adapters and held-out users follow', '42')
    .option(
      '--draw <when>',
      'once before training, or per-draw where users are sampled and the strategy has chance in it',
      choice('--draw', ['once', 'per-draw']),
      'once',
    )
    .option(
      '--chunk-tokens <l>',
      'tokens in a block of random-chunk (default: none)',
      count('--chunk-tokens'),
    );
}

function addTrainingOptions(command: Command): Command {
  const sized = command
    .optionsGroup('Guarantee:')
    .option('--delta <d>', 'failure probability in (0, 1) (default: 1/users^1.1)', delta('--delta'))
    .option(
      '--held-out <share>',
      'share of users kept out of training, in [0, 1) (default: 0.1, and 0.2 of fewer than 200 users)',
      share('--held-out'),
    )
    .optionsGroup('Training:')
    .option('--steps <n>', 'noised steps of every run, a whole number', count('--steps'), 30)
    .option(
      '--batch-size <b>',
      'record gradients a step, expected, for every run',
      count('--batch-size'),
      200,
    );
  const clipped = addAdaptiveClipOptions(sized)
    .option('--lora-rank <r>', 'rank of the low-rank adapters that are trained', count('--lora-rank'), 4)
    .option('--full', 'train every parameter instead of adapters (default: off)')
    .option(
      '--evaluation-records <n>',
      'most records of a held-out user that are evaluated',
      count('--evaluation-records'),
      20,
    )
    .option(
      '--model <folder>',
      'starting model, trained on public text (default: a small one made from built-in text)',
    );
  return addStartOptions(clipped).option(
    '--pretraining-steps <n>',
    'steps in which the small one is made',
    count('--pretraining-steps'),
    600,
  );
}

/** `privacy-unit study`: both mechanisms over a whole grid on one table. */
export function studyCommand(deliver: Deliver): Command {
  const command = createCommand('study', {
    summary: 'compare both mechanisms over epsilon, k and strategy, with a report',
    description:
      'Trains every cell of a grid several times at equal computation, and two baselines: the starting model as it is, and training without privacy. Writes one row a run as CSV, everything as JSON, and a report with charts. Without TABLE it uses a built-in corpus of invented people. An interrupted study goes on when it is started again with the same arguments; its report is written while it goes on. Of several learning rates and clips each cell takes the one that predicts some of the held-out users best at its first run, and is evaluated on the others.',
    examples: [
      'study letters.parquet --user author --epsilon 1,4,8 --k 1,5,10 --strategy random,longest --out letters-study',
      'study letters.parquet --user author --model gpt2 --steps 500 --batch-size 1000 --dry-run',
    ],
  }).argument('[TABLE]', 'Arrow, Parquet, JSONL or CSV, one record a row');
  const asked = addModelOptions(addTrainingOptions(addGridOptions(addTableOptions(command))));
  addBreakLockOption(addEngineOption(asked).optionsGroup('Output:'))
    .option('--out <folder>', 'where the study lives', 'privacy-unit-study')
    .option('--keep-models', 'keep the model of every private run (default: off)')
    .option(
      '--report-only',
      'write the report of what is done so far from the folder alone, and stop (default: off)',
    )
    .option('--dry-run', 'print the cells, their noise and the work that they take, and stop (default: off)');
  return command.action((table: string | undefined, options: StudyCommandOptions) =>
    deliver(options, around => study(table, options, around)),
  );
}
