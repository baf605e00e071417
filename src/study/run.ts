import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Interval } from '../../accounting/index.ts';
import {
  epsilonOfPlan,
  statementOf,
  statementRows,
  type Plan,
  type Statement,
} from '../../accounting/plan-entry.ts';
import {
  train,
  trainWithoutPrivacy,
  type LanguageModel,
  type LossPoint,
  type UserTokens,
} from '../../trainer/index.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { readLedger } from '../../trainer/ledger.ts';
import { loadModel } from '../../trainer/model/weights.ts';
import { noteBrokenLock } from '../break-lock.ts';
import type { Surroundings } from '../command.ts';
import { writeStatement } from '../commands/train.ts';
import type { DemoSource } from '../demo/source.ts';
import { writeWhole } from '../files.ts';
import { withAdapters } from '../models.ts';
import { renderJson } from '../output.ts';
import { trainingProgress } from '../progress.ts';
import { usersForPlan } from '../training-data.ts';
import { choiceWarning } from './choices.ts';
import { runFolder } from './folder.ts';
import { evaluateStudy } from './groups.ts';
import type { PlannedRun } from './plans.ts';
import { seedOf, settingsOf, type StudyQuestion } from './question.ts';
import type { RunResult } from './results.ts';
import { recordsFor } from './scored.ts';

/** What every run of a study shares. */
export interface RunContext {
  readonly question: StudyQuestion;
  readonly folder: string;
  readonly source: DemoSource;
  readonly model: LanguageModel;
  readonly engine: Engine;
  /** Training users with all of their records, for the run without privacy. */
  readonly training: readonly UserTokens[];
  /** Held-out users, those with the fewest records first. */
  readonly heldOut: readonly UserTokens[];
  /** Other held-out users, by whom settings are chosen; none where there is one setting alone. */
  readonly validation: readonly UserTokens[];
  /** Of runs that have none of their own. */
  readonly learningRate: number | undefined;
  /** Of the progress line. */
  readonly label: string;
  readonly around: Surroundings;
}

/** A private training that is over, in this stretch or an earlier one. */
interface Trained {
  readonly model: LanguageModel;
  readonly epsilon: Interval;
  readonly stepsCounted: number;
  readonly seconds: number | null;
  readonly lossCurve: readonly LossPoint[];
}

/** Training that finished just before its result could be written. */
async function trainedBefore(
  folder: string,
  { plan, model }: Omit<TrainingPlan, 'rate'>,
): Promise<Trained | undefined> {
  const ledger = join(folder, 'ledger.jsonl');
  const kept = join(folder, 'model');
  if (!existsSync(ledger) || !existsSync(kept)) return undefined;
  const last = readLedger(ledger).at(-1);
  if (last?.kind !== 'finished') return undefined;
  const { stepsCounted } = last;
  const { epsilon } = epsilonOfPlan(plan, { steps: stepsCounted });
  const trained = { ...(await loadModel(kept)), tokenizer: model.tokenizer };
  return { model: trained, epsilon, stepsCounted, seconds: null, lossCurve: [] };
}

interface TrainingPlan {
  readonly plan: Plan;
  readonly model: LanguageModel;
  readonly rate: { readonly learningRate?: number };
}

/** The learning rate of a run; empty for that of the trainer. */
function rateOf({ setting }: PlannedRun, { learningRate }: RunContext): TrainingPlan['rate'] {
  const rate = setting?.learningRate ?? learningRate;
  return rate === undefined ? {} : { learningRate: rate };
}

/** Perplexities of the held-out users, and where settings are chosen of those who are there for it. */
async function evaluated(
  model: LanguageModel,
  { heldOut, validation, engine }: RunContext,
): Promise<Pick<RunResult, 'perplexity' | 'validation'>> {
  const perplexity = await evaluateStudy(model, { users: heldOut, engine });
  if (validation.length === 0) return { perplexity };
  return { perplexity, validation: (await evaluateStudy(model, { users: validation, engine })).byUser };
}

async function trainNow(
  folder: string,
  { plan, model, rate }: TrainingPlan,
  context: RunContext,
): Promise<Trained> {
  const { engine, around, question, label } = context;
  const records = await recordsFor(plan, context);
  const breaks = question.breakLock === true;
  noteBrokenLock(folder, { breaks, note: around.note });
  const { evaluationRecords } = question;
  const { users } = usersForPlan(records, { plan, tokenizer: model.tokenizer, evaluationRecords });
  return train({
    plan,
    users,
    heldOut: [],
    model,
    engine,
    settings: rate,
    folder,
    breakLock: breaks,
    signal: around.signal,
    onProgress: trainingProgress(around.progress, label),
  });
}

async function runPrivately(run: PlannedRun & { plan: Plan }, context: RunContext): Promise<RunResult> {
  const { question, folder } = context;
  const place = runFolder(folder, run.name);
  const { plan } = run;
  writeWhole(join(place, 'plan.json'), renderJson(plan));
  const seed = seedOf(question, run.repetition);
  const adapted = question.loraRank === null ? {} : { loraRank: question.loraRank };
  const model = withAdapters(context.model, { ...adapted, seed });
  const parts = { plan, model, rate: rateOf(run, context) };
  const trained = (await trainedBefore(place, parts)) ?? (await trainNow(place, parts, context));
  const { epsilon, stepsCounted, seconds, lossCurve } = trained;
  const statement = withChoice(statementOf(plan, { epsilon, steps: stepsCounted }), { run, question });
  writeStatement(place, statement);
  return {
    ...resultHead(run),
    plan,
    epsilon,
    stepsCounted,
    ...(await evaluated(trained.model, context)),
    seconds,
    lossCurve,
    statement,
    statementRows: statementRows(statement),
  };
}

/** A run whose setting is one of several says so wherever its guarantee is stated. */
function withChoice(
  statement: Statement,
  { run, question }: { run: PlannedRun; question: StudyQuestion },
): Statement {
  if (run.setting === undefined) return statement;
  return { ...statement, warnings: [choiceWarning(settingsOf(question).length), ...statement.warnings] };
}

function resultHead(run: PlannedRun): ResultHead {
  const { name, kind, repetition, cell, setting, breakEvenClipRatio, recordsPerStep } = run;
  const fixed = { format: 'privacy-unit/study-run', version: 1 } as const;
  const tried = setting === undefined ? {} : { setting };
  return { ...fixed, name, kind, repetition, cell, ...tried, breakEvenClipRatio, recordsPerStep };
}

type ResultHead = Pick<
  RunResult,
  | 'format'
  | 'version'
  | 'name'
  | 'kind'
  | 'repetition'
  | 'cell'
  | 'setting'
  | 'breakEvenClipRatio'
  | 'recordsPerStep'
>;

const unprotected = {
  plan: null,
  epsilon: null,
  stepsCounted: null,
  statement: null,
  statementRows: null,
} as const;

async function runWithoutPrivacy(run: PlannedRun, context: RunContext): Promise<RunResult> {
  const { question, engine, training, around, label } = context;
  const { steps, batchSize, loraRank } = question;
  const seed = seedOf(question, run.repetition);
  const model = withAdapters(context.model, { ...(loraRank === null ? {} : { loraRank }), seed });
  const trained = await trainWithoutPrivacy({
    users: training,
    heldOut: [],
    model,
    engine,
    settings: { steps, batchSize, seed, ...rateOf(run, context) },
    signal: around.signal,
    onProgress: trainingProgress(around.progress, label),
  });
  const { seconds, lossCurve } = trained;
  return {
    ...resultHead(run),
    ...unprotected,
    ...(await evaluated(trained.model, context)),
    seconds,
    lossCurve,
  };
}

async function runAsItIs(run: PlannedRun, context: RunContext): Promise<RunResult> {
  const untrained = { seconds: 0, lossCurve: [] };
  return { ...resultHead(run), ...unprotected, ...untrained, ...(await evaluated(context.model, context)) };
}

/** Makes one run of the study from start to evaluation, or goes on with it where it was cut off. */
export function makeRun(run: PlannedRun, context: RunContext): Promise<RunResult> {
  const { plan } = run;
  if (plan !== null) return runPrivately({ ...run, plan }, context);
  return run.kind === 'no-privacy' ? runWithoutPrivacy(run, context) : runAsItIs(run, context);
}
