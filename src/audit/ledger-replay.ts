import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import type { Plan } from '../../accounting/plan-entry.ts';
import { readCanaries, type ReplayInputs } from '../../trainer/index.ts';
import { count, positive } from '../arguments.ts';
import type { Surroundings } from '../command.ts';
import { addEngineOption, chosenEngine, type EngineOption } from '../engines.ts';
import {
  addLoraOptions,
  addStartOptions,
  addModelOptions,
  startingModel,
  type StartingModelOptions,
} from '../models.ts';
import { addTableOptions, readUserTable, type TableOptions } from '../table.ts';
import { usersForPlan } from '../training-data.ts';

/** What a run is repeated with, as commander hands it over. */
export interface LedgerReplayOptions extends TableOptions, StartingModelOptions, EngineOption {
  readonly table?: string;
  readonly learningRate?: number;
  readonly checkpointEvery: number;
  readonly replaySteps?: number;
  readonly randomSteps?: number;
  readonly randomSeed?: string;
  readonly checkpoints?: string;
  readonly canaries?: string;
  readonly sameArithmetic?: true;
}

/** Adds the options that repeat a run; they are those of `train`. */
export function addLedgerReplayOptions(command: Command): Command {
  command
    .optionsGroup('Repeating the run (with --key):')
    .option('--table <file>', 'table of the run: trains again, noise and all (default: nothing is trained)')
    .option('--model <folder>', 'starting model of the run (default: a new one, as for train)')
    .option('--canaries <file>', 'canaries.jsonl of the run, where it planted some (default: none)')
    .option('--replay-steps <n>', 'steps to repeat from the first (default: all)', count('--replay-steps'))
    .option(
      '--random-steps <k>',
      'repeat k steps picked at random instead (default: all, from the first)',
      count('--random-steps'),
    )
    .option(
      '--checkpoints <folder>',
      'checkpoints that the run kept (train --keep-checkpoints), to begin at the nearest one (default: random steps are repeated from the start)',
    )
    .option(
      '--random-seed <text>',
      'what random steps are picked by (default: a fresh one, which is printed)',
    )
    .option(
      '--same-arithmetic',
      'engine and processor are those of the run, so that a sum that differs refutes it (default: it leaves the question open)',
    )
    .option(
      '--learning-rate <r>',
      'highest learning rate of the run (default: as for train)',
      positive('--learning-rate'),
    )
    .option('--checkpoint-every <n>', 'steps between its checkpoints', count('--checkpoint-every'), 10)
    .option('--seed <text>', 'seed of its new parameters and adapters', '42');
  return addModelOptions(addEngineOption(addTableOptions(addLoraOptions(addStartOptions(command)))));
}

const verb = 'repeat the run';

function contradiction(reason: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}.`);
}

function checkTogether(options: LedgerReplayOptions): void {
  const { table, replaySteps, randomSteps: random, randomSeed, checkpoints } = options;
  if (random !== undefined && replaySteps !== undefined)
    throw contradiction('--random-steps and --replay-steps both say which steps. Give one of them');
  const stray = checkpoints === undefined ? '--random-seed' : '--checkpoints';
  if ((checkpoints ?? randomSeed) !== undefined && random === undefined)
    throw contradiction(`${stray} comes without --random-steps. Say how many steps to pick`);
  if (random !== undefined && table === undefined)
    throw contradiction('--random-steps comes without --table. Give table and starting model of the run');
  if (checkpoints !== undefined) checkCheckpoints(checkpoints);
}

/** Without this a wrong name would make every repetition begin at the start, which may take hours. */
function checkCheckpoints(folder: string): void {
  const isFolder = existsSync(folder) && statSync(folder).isDirectory();
  if (isFolder && readdirSync(folder).some(name => /^step-\d+\.bin$/.test(name))) return;
  const reason = isFolder ? `no checkpoint step-N.bin is in ${folder}` : `there is no folder ${folder}`;
  throw new DpError(
    'MISSING_FILE',
    `Cannot ${verb}: ${reason}. Give the folder of checkpoints that the run kept, or leave it out.`,
  );
}

/** A run can't have known which steps these are: its ledger was written before. */
function randomSteps(options: LedgerReplayOptions): ReplayInputs['random'] {
  const { randomSteps: steps, randomSeed = randomBytes(8).toString('hex') } = options;
  return steps === undefined ? undefined : { count: steps, seed: randomSeed };
}

/** Reads model and table for the plan of a ledger; undefined where no table was given. */
export function ledgerReplay(
  options: LedgerReplayOptions,
  { signal, note, progress }: Surroundings,
): ((plan: Plan) => Promise<ReplayInputs>) | undefined {
  const { table, checkpointEvery, learningRate, replaySteps, sameArithmetic, canaries, checkpoints } =
    options;
  checkTogether(options);
  if (table === undefined) return undefined;
  return async plan => {
    const model = await startingModel(options, { verb, note });
    const { records } = await readUserTable(table, { ...options, needsText: true });
    const { users } = usersForPlan(records, { plan, tokenizer: model.tokenizer, evaluationRecords: 1 });
    progress.stage('repeating the run');
    const settings = { checkpointEvery, ...(learningRate === undefined ? {} : { learningRate }) };
    const engine = await chosenEngine(options, note);
    return {
      users,
      canaries: canaries === undefined ? undefined : readCanaries(canaries),
      model,
      engine,
      settings,
      signal,
      steps: replaySteps,
      random: randomSteps(options),
      checkpoints,
      isBitExact: sameArithmetic === true,
    };
  };
}
