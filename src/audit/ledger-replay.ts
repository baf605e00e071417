import type { Command } from 'commander';
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

/** Reads model and table for the plan of a ledger; undefined where no table was given. */
export function ledgerReplay(
  options: LedgerReplayOptions,
  { signal, note, progress }: Surroundings,
): ((plan: Plan) => Promise<ReplayInputs>) | undefined {
  const { table, checkpointEvery, learningRate, replaySteps, sameArithmetic, canaries } = options;
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
      isBitExact: sameArithmetic === true,
    };
  };
}
