import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Interval } from '../../accounting/index.ts';
import { epsilonOfPlan, statementOf, statementRows, type Plan } from '../../accounting/plan-entry.ts';
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
import { runFolder } from './folder.ts';
import { evaluateStudy } from './groups.ts';
import type { PlannedRun } from './plans.ts';
import { seedOf, type StudyQuestion } from './question.ts';
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
async function trainedBefore(folder: string, { plan, model }: TrainingPlan): Promise<Trained | undefined> {
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
}

async function trainNow(
  folder: string,
  { plan, model }: TrainingPlan,
  context: RunContext,
): Promise<Trained> {
  const { engine, learningRate, around, question, label } = context;
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
    settings: learningRate === undefined ? {} : { learningRate },
    folder,
    breakLock: breaks,
    signal: around.signal,
    onProgress: trainingProgress(around.progress, label),
  });
}

async function runPrivately(run: PlannedRun & { plan: Plan }, context: RunContext): Promise<RunResult> {
  const { question, engine, heldOut, folder } = context;
  const place = runFolder(folder, run.name);
  const { plan } = run;
  writeWhole(join(place, 'plan.json'), renderJson(plan));
  const seed = seedOf(question, run.repetition);
  const adapted = question.loraRank === null ? {} : { loraRank: question.loraRank };
  const model = withAdapters(context.model, { ...adapted, seed });
  const parts = { plan, model };
  const trained = (await trainedBefore(place, parts)) ?? (await trainNow(place, parts, context));
  const { epsilon, stepsCounted, seconds, lossCurve } = trained;
  const statement = statementOf(plan, { epsilon, steps: stepsCounted });
  writeStatement(place, statement);
  return {
    ...resultHead(run),
    plan,
    epsilon,
    stepsCounted,
    perplexity: await evaluateStudy(trained.model, { users: heldOut, engine }),
    seconds,
    lossCurve,
    statement,
    statementRows: statementRows(statement),
  };
}

function resultHead(run: PlannedRun): ResultHead {
  const { name, kind, repetition, cell, breakEvenClipRatio, recordsPerStep } = run;
  const fixed = { format: 'privacy-unit/study-run', version: 1 } as const;
  return { ...fixed, name, kind, repetition, cell, breakEvenClipRatio, recordsPerStep };
}

type ResultHead = Pick<
  RunResult,
  'format' | 'version' | 'name' | 'kind' | 'repetition' | 'cell' | 'breakEvenClipRatio' | 'recordsPerStep'
>;

const unprotected = {
  plan: null,
  epsilon: null,
  stepsCounted: null,
  statement: null,
  statementRows: null,
} as const;

async function runWithoutPrivacy(run: PlannedRun, context: RunContext): Promise<RunResult> {
  const { question, engine, heldOut, training, learningRate, around, label } = context;
  const { steps, batchSize, loraRank } = question;
  const seed = seedOf(question, run.repetition);
  const model = withAdapters(context.model, { ...(loraRank === null ? {} : { loraRank }), seed });
  const trained = await trainWithoutPrivacy({
    users: training,
    heldOut: [],
    model,
    engine,
    settings: { steps, batchSize, seed, ...(learningRate === undefined ? {} : { learningRate }) },
    signal: around.signal,
    onProgress: trainingProgress(around.progress, label),
  });
  const { seconds, lossCurve } = trained;
  const perplexity = await evaluateStudy(trained.model, { users: heldOut, engine });
  return {
    ...resultHead(run),
    ...unprotected,
    perplexity,
    seconds,
    lossCurve,
  };
}

async function runAsItIs(run: PlannedRun, { model, engine, heldOut }: RunContext): Promise<RunResult> {
  const perplexity = await evaluateStudy(model, { users: heldOut, engine });
  const untrained = { seconds: 0, lossCurve: [] };
  return { ...resultHead(run), ...unprotected, ...untrained, perplexity };
}

/** Makes one run of the study from start to evaluation, or goes on with it where it was cut off. */
export function makeRun(run: PlannedRun, context: RunContext): Promise<RunResult> {
  const { plan } = run;
  if (plan !== null) return runPrivately({ ...run, plan }, context);
  return run.kind === 'no-privacy' ? runWithoutPrivacy(run, context) : runAsItIs(run, context);
}
