import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { claimOf, claimOfPlan } from '../../accounting/audit/index.ts';
import {
  parsePlan,
  renderStatement,
  statementOf,
  type Plan,
  type Statement,
  type StatementFacts,
} from '../../accounting/plan-entry.ts';
import { planWithCanaries, train } from '../../trainer/index.ts';
import { count, positive, required } from '../arguments.ts';
import { addCanaryOptions, canaryAudit, canaryRequest, type CanaryOptions } from '../canaries.ts';
import { addBreakLockOption, noteBrokenLock, type BreakLockOption } from '../break-lock.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { addEngineOption, chosenEngine, type EngineOption } from '../engines.ts';
import { readJson, writeWhole } from '../files.ts';
import {
  addLoraOptions,
  addModelOptions,
  addSaveOptions,
  addStartOptions,
  saveOptionsOf,
  startingModel,
  type LoraOptions,
  type ModelOptions,
  type SaveOptions,
  type StartOptions,
} from '../models.ts';
import { renderJson, type Answer } from '../output.ts';
import { trainingProgress } from '../progress.ts';
import { checkSelected, selectedTable, verifyTable } from '../selected-table.ts';
import { addTableOptions, readUserTable, type TableOptions } from '../table.ts';
import { trainingAnswer } from '../training-answer.ts';
import { usersForPlan } from '../training-data.ts';
import { checkSigningKey, writeEvidence } from './evidence.ts';

const verb = 'train';

interface TrainCommandOptions
  extends
    TableOptions,
    CommonOptions,
    ModelOptions,
    LoraOptions,
    StartOptions,
    SaveOptions,
    EngineOption,
    CanaryOptions,
    BreakLockOption {
  readonly out?: string;
  readonly model?: string;
  readonly learningRate?: number;
  readonly checkpointEvery: number;
  readonly evaluationRecords: number;
  readonly seed: string;
  readonly force?: true;
  readonly keepKey?: true;
  readonly keepCheckpoints?: true;
  readonly signWith?: string;
}

/** Writes the statement in both forms beside the model. */
export function writeStatement(folder: string, statement: Statement): void {
  writeWhole(join(folder, 'statement.json'), renderJson(statement));
  writeWhole(join(folder, 'statement.txt'), `${renderStatement(statement)}\n`);
}

/** What may be published of the run, in the form that `audit claim` reads. */
function writeClaim(
  folder: string,
  { plan, epsilon, steps }: Pick<StatementFacts, 'epsilon' | 'steps'> & { readonly plan: Plan },
): void {
  const stated = claimOfPlan(plan, { epsilon, steps, name: basename(resolve(folder)) });
  writeWhole(join(folder, 'claim.json'), renderJson(claimOf(stated)));
}

async function run(
  paths: { plan: string; table: string },
  options: TrainCommandOptions,
  { signal, progress, note }: Surroundings,
): Promise<Answer> {
  const out = required(options.out, { verb, name: '--out', example: 'run' });
  checkSigningKey(options.signWith);
  const table: Plan = parsePlan(readJson(paths.plan, 'the plan'));
  const canaries = canaryRequest(options);
  const plan = canaries === undefined ? table : planWithCanaries(table, canaries);
  const { user = 'user' } = options;
  const selected = await selectedTable(paths.table);
  checkSelected(paths.table, { selected, plan, user });
  if (selected !== undefined) {
    progress.stage('verifying the table');
    await verifyTable(selected, signal);
  }
  const { records } = await readUserTable(paths.table, { ...options, needsText: true });
  const model = await startingModel(options, { verb, note });
  const save = saveOptionsOf(options, model);
  const { evaluationRecords, checkpointEvery, learningRate, signWith } = options;
  const data = usersForPlan(records, { plan, tokenizer: model.tokenizer, evaluationRecords });
  noteBrokenLock(out, { breaks: options.breakLock === true, note });
  if (existsSync(join(out, 'ledger.jsonl'))) note(`Going on with the run in ${out}.`);
  const result = await train({
    plan,
    ...data,
    model,
    engine: await chosenEngine(options, note),
    manifestDigest: selected?.digest,
    settings: { checkpointEvery, ...(learningRate === undefined ? {} : { learningRate }) },
    folder: out,
    save,
    canaries,
    force: options.force === true,
    breakLock: options.breakLock === true,
    keepKey: options.keepKey === true,
    keepCheckpoints: options.keepCheckpoints === true,
    signal,
    onProgress: trainingProgress(progress, 'training'),
  });
  const { epsilon, stepsCounted } = result;
  const statement = statementOf(plan, { epsilon, steps: stepsCounted, canaries: canaries?.count });
  writeStatement(out, statement);
  writeClaim(out, { plan, epsilon, steps: stepsCounted });
  if (signWith !== undefined) await writeEvidence(out, { signWith });
  return trainingAnswer(result, { statement, out, audit: await canaryAudit(result, out) });
}

function addTrainingOptions(command: Command): Command {
  const started = command
    .optionsGroup('Training:')
    .option(
      '--model <folder>',
      'starting model, trained on public text: of pretrain, a GPT-2 of Hugging Face or a PEFT adapter (default: a new model)',
    );
  const adjusted = addStartOptions(started)
    .option(
      '--learning-rate <r>',
      'highest learning rate, above 0 (default: 0.4/width for adapters, 0.1/width for every parameter, at most 0.01)',
      positive('--learning-rate'),
    )
    .option('--checkpoint-every <n>', 'steps between checkpoints', count('--checkpoint-every'), 10)
    .option(
      '--evaluation-records <n>',
      'most records of a held-out user that are evaluated',
      count('--evaluation-records'),
      100,
    )
    .option('--seed <text>', 'seed of new parameters and adapters; noise is never seeded', '42')
    .optionsGroup('Output:')
    .option('--out <folder>', 'where model, ledger, checkpoint, statement and claim go (required)');
  const saved = addSaveOptions(adjusted).option(
    '--force',
    'start anew where the folder holds a finished run (default: refuse)',
  );
  return addCanaryOptions(addBreakLockOption(saved).optionsGroup('Audit:'))
    .option(
      '--keep-key',
      'leave the secret key in the folder for an auditor; whoever has it can take the noise off (default: removed when the run is over)',
    )
    .option(
      '--keep-checkpoints',
      'keep every checkpoint, so that an auditor can repeat single steps (default: the newest alone)',
    )
    .option(
      '--sign-with <file>',
      'sign the finished run with this private key, Ed25519 in PEM: writes evidence.json (default: not signed)',
    );
}

/** `privacy-unit train`: trains under a plan, or goes on with a run that was cut off. */
export function trainCommand(deliver: Deliver): Command {
  const command = createCommand('train', {
    summary: 'train a language model under a plan',
    description:
      'Trains by the mechanism of the plan. A table that `select` wrote is held against its manifest first. A run that was interrupted goes on when it is started again with the same arguments; its epsilon counts every step that was noised.',
    examples: [
      'train plans/user-wise-k10.json letters.parquet --user author --model public-model --out run',
      'train plan.json letters.arrow --model public-model --lora-rank 4 --canaries 200 --out run --json',
    ],
  })
    .argument('<PLAN>', 'plan file written by `privacy-unit plan --out`')
    .argument('<TABLE>', 'Arrow, Parquet, JSONL or CSV, one record a row');
  addEngineOption(addModelOptions(addLoraOptions(addTrainingOptions(addTableOptions(command)))));
  return command.action((plan: string, table: string, options: TrainCommandOptions) =>
    deliver(options, surroundings => run({ plan, table }, options, surroundings)),
  );
}
