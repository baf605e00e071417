import { join } from 'node:path';
import {
  renderStatement,
  statementOf,
  type PlanOption,
  type Statement,
} from '../../accounting/plan-entry.ts';
import type { Interval } from '../../accounting/accountant.ts';
import type { Plan } from '../../accounting/plan.ts';
import type { Records } from '../../selection/index.ts';
import {
  train,
  trainWithoutPrivacy,
  type LanguageModel,
  type LossPoint,
  type Perplexity,
} from '../../trainer/index.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import type { Surroundings } from '../command.ts';
import { writeStatement } from '../commands/train.ts';
import { mechanismName } from '../planning.ts';
import { trainingProgress } from '../progress.ts';
import type { EpsilonPoint } from '../report/data.ts';
import { usersForPlan, type PlannedUsers } from '../training-data.ts';
import type { DemoSettings } from './settings.ts';

/** One row of the comparison. */
export interface DemoRun {
  readonly name: string;
  readonly mechanism: Plan['mechanism'] | 'no-fine-tuning' | 'no-privacy';
  readonly k: number | null;
  readonly noiseMultiplier: number | null;
  readonly epsilon: Interval | null;
  readonly perplexity: Perplexity;
  readonly seconds: number;
  readonly lossCurve: readonly LossPoint[];
  readonly epsilonCurve: readonly EpsilonPoint[];
  readonly statement: Statement | null;
  readonly statementText: string | null;
}

/** What every run of a demo shares. */
export interface DemoRunContext {
  readonly folder: string;
  readonly model: LanguageModel;
  readonly engine: Engine;
  readonly settings: DemoSettings;
  readonly around: Surroundings;
}

/** A private run and the perplexity that its starting model had. */
export interface PrivateDemoRun {
  readonly run: DemoRun;
  readonly before: Perplexity;
}

/** Trains by one option of the plan. */
export async function runPrivately(
  { plan, recordsPerUser }: PlanOption,
  { records, context }: { records: Records; context: DemoRunContext },
): Promise<PrivateDemoRun> {
  const { model, engine, settings, around } = context;
  const name = mechanismName(plan.mechanism);
  const folder = join(context.folder, plan.mechanism);
  const result = await train({
    plan,
    ...plannedUsers(records, plan, context),
    model,
    engine,
    settings: { learningRate: settings.learningRate },
    folder,
    signal: around.signal,
    onProgress: trainingProgress(around.progress, name),
  });
  const statement = statementOf(plan, { epsilon: result.epsilon, steps: result.stepsCounted });
  writeStatement(folder, statement);
  const { before, after } = result.perplexity!;
  const run = {
    name,
    mechanism: plan.mechanism,
    k: recordsPerUser,
    noiseMultiplier: plan.noiseMultiplier,
    epsilon: result.epsilon,
    perplexity: after,
    seconds: result.seconds,
    lossCurve: result.lossCurve,
    epsilonCurve: result.epsilonCurve.map(({ step, epsilon }) => ({ steps: step, epsilon })),
    statement,
    statementText: renderStatement(statement),
  };
  return { run, before };
}

/** The plan's training users and those kept for evaluation. */
export function plannedUsers(records: Records, plan: Plan, context: DemoRunContext): PlannedUsers {
  const { model, settings } = context;
  return usersForPlan(records, {
    plan,
    tokenizer: model.tokenizer,
    evaluationRecords: settings.evaluationRecords,
  });
}

const unprotected = {
  k: null,
  noiseMultiplier: null,
  epsilon: null,
  epsilonCurve: [],
  statement: null,
  statementText: null,
};

/** The starting model as it is. */
export function withoutFineTuning(perplexity: Perplexity): DemoRun {
  return {
    ...unprotected,
    name: 'no fine-tuning',
    mechanism: 'no-fine-tuning',
    perplexity,
    seconds: 0,
    lossCurve: [],
  };
}

/** Ordinary fine-tuning on the same users; its model is thrown away. */
export async function runWithoutPrivacy(users: PlannedUsers, context: DemoRunContext): Promise<DemoRun> {
  const { model, engine, settings, around } = context;
  const { perplexity, seconds, lossCurve } = await trainWithoutPrivacy({
    users: users.users,
    heldOut: users.heldOut,
    model,
    engine,
    settings: settings.baseline,
    signal: around.signal,
    onProgress: trainingProgress(around.progress, 'without privacy'),
  });
  return {
    ...unprotected,
    name: 'no privacy',
    mechanism: 'no-privacy',
    perplexity: perplexity!.after,
    seconds,
    lossCurve,
  };
}
