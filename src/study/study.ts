import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { disposePrograms, type LanguageModel, type Tokenizer, type UserTokens } from '../../trainer/index.ts';
import type { Surroundings } from '../command.ts';
import { chosenEngine } from '../engines.ts';
import type { DemoSource } from '../demo/source.ts';
import { fullDemo } from '../demo/settings.ts';
import { breathe, writeWhole } from '../files.ts';
import { configOf, modelDigest } from '../models.ts';
import { fileDigest, type Records } from '../../selection/index.ts';
import { number, renderJson } from '../output.ts';
import { duration } from '../progress.ts';
import { usersForPlan, type PlannedUsers } from '../training-data.ts';
import { renderCsv } from './csv.ts';
import { estimateCompute, type ComputeEstimate } from './estimate.ts';
import { findingsOf, type StudyFindings } from './findings.ts';
import {
  checkSameStudy,
  hasResult,
  readPlannedRuns,
  readResult,
  writePlannedRuns,
  writeResult,
  writeStudy,
  type Configuration,
} from './folder.ts';
import { byContribution } from './groups.ts';
import { renderStudy } from './page.ts';
import { planStudy, type PlannedRun, type PlannedStudy } from './plans.ts';
import type { StudyQuestion } from './question.ts';
import { makeRun, type RunContext } from './run.ts';
import { givenModel, openStudySource, ownModel, tokenizerOf } from './source.ts';

/** The table and the starting model, before anything is planned. */
export interface OpenedStudy {
  readonly question: StudyQuestion;
  readonly source: DemoSource;
  /** Undefined where the study makes its own. */
  readonly given: LanguageModel | undefined;
}

/** A study that is planned and not begun. */
export interface PreparedStudy extends OpenedStudy {
  readonly planned: PlannedStudy;
  /** Training users with all of their records. */
  readonly training: readonly UserTokens[];
  /** Held-out users, those with the fewest records first, with the records that are evaluated. */
  readonly heldOut: readonly UserTokens[];
}

/** Reads the table, and the starting model where one is given. */
export async function openStudy(
  question: StudyQuestion,
  folder: string,
  around: Surroundings,
): Promise<OpenedStudy> {
  around.progress.stage('reading');
  const given = await givenModel(question);
  return { question, given, source: await openStudySource(question, folder) };
}

/** Every record of the training users, and the held-out users as all runs evaluate them. */
function unselectedUsers(
  records: Records,
  { planned, tokenizer, question }: { planned: PlannedStudy; tokenizer: Tokenizer; question: StudyQuestion },
): PlannedUsers {
  const first = planned.runs.find(run => run.plan !== null)!.plan!;
  const plan = { ...first, selection: { ...first.selection, when: 'per-draw' as const } };
  return usersForPlan(records, { plan, tokenizer, evaluationRecords: question.evaluationRecords });
}

/** Plans every run; trains nothing. */
export async function prepareStudy(
  opened: OpenedStudy,
  { around, kept = new Map() }: { around: Surroundings; kept?: ReadonlyMap<string, PlannedRun> },
): Promise<PreparedStudy> {
  const { question, source, given } = opened;
  const { records } = source;
  around.progress.stage('planning');
  await breathe(around.signal);
  const tokenizer = await tokenizerOf(question, given);
  const planned = await planStudy(question, { records, tokenizer, kept, signal: around.signal });
  const { users, heldOut } = unselectedUsers(records, { planned, tokenizer, question });
  return { ...opened, planned, training: users, heldOut: byContribution(heldOut, records) };
}

/** What the study will take. */
export async function estimateStudy(prepared: PreparedStudy): Promise<ComputeEstimate> {
  const { question, given, planned, training, heldOut } = prepared;
  const tokenizer = await tokenizerOf(question, given);
  const spec = given?.spec ?? { config: configOf(question.newModel, tokenizer), lora: null };
  return estimateCompute(planned, { question, spec, training, heldOut });
}

/** Results depend on these and on nothing else that can be chosen, chance apart. */
async function configurationOf({ question, source, given }: OpenedStudy): Promise<Configuration> {
  const { newModel, pretrainingSteps } = question;
  const own = { ...newModel, '--pretraining-steps': pretrainingSteps };
  const { user, id, text } = source.columns;
  return {
    'the table': (await fileDigest(source.path)).sha256,
    'its columns': [user, id ?? 'auto', text ?? 'text'],
    '--mechanism': question.mechanisms,
    '--epsilon': question.epsilons,
    '--k': question.recordsPerUser,
    '--strategy': question.strategies,
    '--draw': question.draw,
    '--chunk-tokens': question.chunkTokens,
    '--seed': question.seed,
    '--steps': question.steps,
    '--batch-size': question.batchSize,
    '--clip-norm': question.clipNorm,
    // Absent where the clip is fixed, as in studies that were begun before it could adapt.
    ...(question.adaptiveClip === undefined ? {} : { '--adaptive-clip': question.adaptiveClip }),
    '--delta': question.delta ?? null,
    '--held-out': question.heldOut ?? null,
    '--evaluation-records': question.evaluationRecords,
    '--learning-rate': question.learningRate ?? null,
    '--lora-rank': question.loraRank,
    'the starting model': given === undefined ? own : modelDigest(given),
  };
}

function labelOf(run: PlannedRun, { at, total }: { at: number; total: number }): string {
  return `run ${at} of ${total}, ${run.name}`;
}

/** Time that the rest takes where the runs so far are a guide. */
function remaining(seconds: readonly number[], left: number): string {
  if (seconds.length === 0 || left === 0) return '';
  const mean = seconds.reduce((sum, value) => sum + value, 0) / seconds.length;
  return `; about ${duration(mean * left)} left`;
}

async function makeMissingRuns(
  runs: readonly PlannedRun[],
  context: Omit<RunContext, 'label'>,
): Promise<void> {
  const { folder, question, around } = context;
  const missing = runs.filter(run => !hasResult(folder, run.name));
  const done = runs.length - missing.length;
  if (done > 0) around.note(`Going on with the study in ${folder}: ${done} of ${runs.length} runs are done.`);
  const seconds: number[] = [];
  for (const [index, run] of missing.entries()) {
    await breathe(around.signal);
    const label = labelOf(run, { at: done + index + 1, total: runs.length });
    const started = performance.now();
    const result = await makeRun(run, { ...context, label });
    writeResult(folder, result, { keepModel: question.keepModels });
    if (run.kind !== 'no-fine-tuning') seconds.push((performance.now() - started) / 1000);
    const rest = remaining(seconds, missing.length - index - 1);
    around.note(`${label}: perplexity by user ${number(result.perplexity.byUser)}${rest}`);
  }
}

function interruptedAfter(done: number, total: number): DpError {
  return new DpError(
    'INTERRUPTED',
    `Cannot finish the study: interrupted with ${done} of ${total} runs done. Run the same command again to go on.`,
  );
}

/** Does the work; an interrupt says how far the study came. */
async function withInterrupts<T>(
  { folder, runs }: { folder: string; runs: readonly PlannedRun[] },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DpError) || error.code !== 'INTERRUPTED') throw error;
    throw interruptedAfter(runs.filter(run => hasResult(folder, run.name)).length, runs.length);
  }
}

async function trainAll(prepared: PreparedStudy, folder: string, around: Surroundings): Promise<string> {
  const { question, source, given, planned, training, heldOut } = prepared;
  const engine = await chosenEngine(question.engine, around.note);
  const texts = source.publicTexts;
  try {
    const model = given ?? (await ownModel(question, { folder, texts, engine, around }));
    const learningRate = question.learningRate ?? (given === undefined ? fullDemo.learningRate : undefined);
    const shared = { question, folder, source, model, engine, training, heldOut, learningRate, around };
    await makeMissingRuns(planned.runs, shared);
  } finally {
    await disposePrograms(engine);
  }
  return engine.name;
}

function publish(findings: StudyFindings, folder: string): void {
  writeWhole(join(folder, 'results.csv'), renderCsv(findings.runs));
  writeWhole(join(folder, 'results.json'), renderJson(findings));
  writeWhole(join(folder, 'report.html'), renderStudy(findings));
}

/** Makes every run that is not done yet, then puts all of them together. */
export async function runStudy(
  question: StudyQuestion,
  folder: string,
  around: Surroundings,
): Promise<StudyFindings> {
  const { repetitions } = question;
  const opened = await openStudy(question, folder, around);
  const configuration = await configurationOf(opened);
  checkSameStudy(folder, { configuration, repetitions });
  const prepared = await prepareStudy(opened, { around, kept: readPlannedRuns(folder) });
  const { runs, delta, population, notes } = prepared.planned;
  writeStudy(folder, { configuration, repetitions });
  writePlannedRuns(folder, runs);
  const engine = await withInterrupts({ folder, runs }, () => trainAll(prepared, folder, around));
  around.progress.stage('composing');
  const results = runs.map(({ name }) => readResult(folder, name));
  const source = opened.source.label;
  const facts = { source, configuration, repetitions, delta, population, engine, notes };
  const findings = findingsOf(results, facts);
  publish(findings, folder);
  return findings;
}
