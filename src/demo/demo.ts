import { join } from 'node:path';
import { compareMechanisms, type PlanOption } from '../../accounting/plan-entry.ts';
import { DpError } from '../../accounting/check.ts';
import { contributionStatistics, curate, type ContributionBucket } from '../../selection/index.ts';
import { byteTokenizer, pretrain, type LanguageModel } from '../../trainer/index.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { saveModel } from '../../trainer/model/weights.ts';
import type { Surroundings } from '../command.ts';
import { chosenEngine, type EngineOption } from '../engines.ts';
import { breathe, writeWhole } from '../files.ts';
import { withAdapters } from '../models.ts';
import { renderJson } from '../output.ts';
import { defaultDelta, planFileName } from '../planning.ts';
import { trainingProgress } from '../progress.ts';
import { readUserTable, trainingContributions, type TableOptions } from '../table.ts';
import {
  plannedUsers,
  runPrivately,
  runWithoutPrivacy,
  withoutFineTuning,
  type DemoRun,
  type DemoRunContext,
} from './runs.ts';
import { heldOutShare, type DemoSettings } from './settings.ts';
import { openSource, type DemoSource } from './source.ts';

/** What a demo is asked to show. */
export interface DemoQuestion {
  readonly data: string | undefined;
  readonly columns: TableOptions;
  readonly epsilon: number;
  readonly delta: number | undefined;
  readonly recordsPerUser: number;
  readonly settings: DemoSettings;
  readonly engine: EngineOption;
}

/** Everything that a demo found out. */
export interface DemoFindings {
  readonly source: string;
  readonly target: { readonly epsilon: number; readonly delta: number };
  readonly population: { readonly users: number; readonly records: number; readonly heldOutUsers: number };
  readonly recordsPerUser: number;
  readonly contributions: {
    readonly before: readonly ContributionBucket[];
    readonly after: readonly ContributionBucket[];
  };
  readonly runs: readonly DemoRun[];
  readonly notes: readonly string[];
  readonly engine: string;
  readonly pretrainingSeconds: number;
}

const seed = 'demo';

async function makeStartingModel(
  source: DemoSource,
  {
    folder,
    settings,
    engine,
    around,
  }: { folder: string; settings: DemoSettings; engine: Engine; around: Surroundings },
): Promise<{ model: LanguageModel; seconds: number }> {
  const tokenizer = byteTokenizer();
  const { model, seconds } = await pretrain({
    texts: source.publicTexts,
    corpus: 'built-in sample corpus, public half',
    config: { ...settings.model, vocabularySize: tokenizer.vocabularySize },
    tokenizer,
    engine,
    settings: { ...settings.pretraining, seed },
    signal: around.signal,
    onProgress: trainingProgress(around.progress, 'pretraining on public text'),
  });
  await saveModel(join(folder, 'public-model'), model);
  return { model: withAdapters(model, { loraRank: settings.loraRank, seed }), seconds };
}

interface Planned {
  readonly options: readonly PlanOption[];
  readonly contributions: readonly number[];
  readonly heldOutUsers: number;
  readonly delta: number;
}

function planBoth(source: DemoSource, question: DemoQuestion): Planned {
  const { epsilon, recordsPerUser, settings } = question;
  const heldOut = { fraction: heldOutShare(source.records.users.length), seed };
  const { contributions, heldOutUsers } = trainingContributions(source.records, heldOut);
  if (contributions.length < 2 || heldOutUsers === 0) {
    const count = contributions.length + heldOutUsers;
    throw new DpError(
      'INVALID_DATA',
      `Cannot run the demo: of ${count} users ${heldOutUsers} are kept for evaluation. Give a table with more users.`,
    );
  }
  const delta = question.delta ?? defaultDelta(contributions.length);
  const { batchSize, steps, clipNorm } = settings;
  const options = compareMechanisms({
    contributions,
    epsilon,
    delta,
    recordsPerUser: [recordsPerUser],
    batchSize,
    steps,
    clipNorm,
    neighbours: 'add-or-remove',
    selection: { strategy: 'random', seed, tokensPerUser: null, chunkTokens: null },
    heldOut,
  });
  return { options, contributions, heldOutUsers, delta };
}

/** Selects by the public contract into a file of its own, as `privacy-unit select` would. */
async function select(
  source: DemoSource,
  folder: string,
  recordsPerUser: number,
): Promise<DemoSource['records']> {
  const out = join(folder, 'selected.arrow');
  await curate({
    table: source.path,
    columns: source.columns,
    ...source.policies,
    rule: { strategy: 'random', seed, recordsPerUser },
    out,
    force: false,
  });
  const { user, id, text = 'text' } = source.columns;
  const { records } = await readUserTable(out, { user, id: id ?? 'record_id', text, needsText: true });
  return records;
}

async function trainAll(
  source: DemoSource,
  planned: Planned,
  { selected, context }: { selected: DemoSource['records']; context: DemoRunContext },
): Promise<DemoRun[]> {
  const runs: DemoRun[] = [];
  for (const option of planned.options) {
    const records = option.plan.selection.when === 'once' ? selected : source.records;
    const { run, before } = await runPrivately(option, { records, context });
    if (runs.length === 0) runs.push(withoutFineTuning(before));
    runs.push(run);
  }
  const users = plannedUsers(selected, planned.options[0]!.plan, context);
  return [...runs, await runWithoutPrivacy(users, context)];
}

/** A delta near 1/users is all that few users allow; the reader has to know how little that is. */
function deltaNotes({ contributions, delta }: Planned): string[] {
  const users = contributions.length;
  if (delta * users < 0.1) return [];
  return [
    `delta ${delta} is close to 1/users with ${users} users: a mechanism that publishes each user outright with that probability satisfies it. Few users allow no much smaller delta at useful noise.`,
  ];
}

function histogram(counts: readonly number[]): readonly ContributionBucket[] {
  return contributionStatistics(counts).histogram;
}

/** The whole path on one table: public model, plan, selection, both mechanisms, baselines. */
export async function runDemo(
  question: DemoQuestion,
  folder: string,
  around: Surroundings,
): Promise<DemoFindings> {
  const { settings, recordsPerUser } = question;
  const { data, columns } = question;
  around.progress.stage('reading');
  const source = await openSource(folder, { data, columns, users: settings.users });
  around.progress.stage('planning');
  await breathe(around.signal);
  const planned = planBoth(source, question);
  for (const option of planned.options) {
    writeWhole(join(folder, planFileName(option)), renderJson(option.plan));
  }
  await breathe(around.signal);
  const selected = await select(source, folder, recordsPerUser);
  const engine = await chosenEngine(question.engine, around.note);
  const { model, seconds } = await makeStartingModel(source, { folder, settings, engine, around });
  const context = { folder, model, engine, settings, around };
  const runs = await trainAll(source, planned, { selected, context });
  const { contributions, heldOutUsers, delta } = planned;
  return {
    source: source.label,
    target: { epsilon: question.epsilon, delta },
    population: {
      users: contributions.length,
      records: contributions.reduce((sum, count) => sum + count, 0),
      heldOutUsers,
    },
    recordsPerUser,
    contributions: {
      before: histogram(contributions),
      after: histogram(contributions.map(count => Math.min(count, recordsPerUser))),
    },
    runs,
    notes: [...new Set(planned.options.flatMap(option => option.notes)), ...deltaNotes(planned)],
    engine: engine.name,
    pretrainingSeconds: seconds,
  };
}
