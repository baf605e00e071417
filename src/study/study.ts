import { DpError } from '../../accounting/check.ts';
import { disposePrograms, type LanguageModel, type Tokenizer, type UserTokens } from '../../trainer/index.ts';
import type { Surroundings } from '../command.ts';
import { chosenEngine } from '../engines.ts';
import type { DemoSource } from '../demo/source.ts';
import { fullDemo } from '../demo/settings.ts';
import { breathe } from '../files.ts';
import { configOf, modelDigest } from '../models.ts';
import { fileDigest, type Records } from '../../selection/index.ts';
import { number } from '../output.ts';
import { duration } from '../progress.ts';
import { usersForPlan, type PlannedUsers } from '../training-data.ts';
import { choicesOf, chosenBy, runsToMake } from './choices.ts';
import { estimateCompute, type ComputeEstimate } from './estimate.ts';
import type { StudyFindings } from './findings.ts';
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
import { planStudy, type PlannedRun, type PlannedStudy } from './plans.ts';
import { settingsOf, type StudyQuestion } from './question.ts';
import { openReports, reportOf, writeFacts } from './report.ts';
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
  /** Every second one of the held-out users, by whom settings are chosen, and who are not in `heldOut` then. */
  readonly validation: readonly UserTokens[];
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

/** Where settings are chosen, every second held-out user is for that; nobody is for both. */
function splitForChoice(
  users: readonly UserTokens[],
  question: StudyQuestion,
): Pick<PreparedStudy, 'heldOut' | 'validation'> {
  if (settingsOf(question).length === 1) return { heldOut: users, validation: [] };
  if (users.length < 2)
    throw new DpError(
      'INVALID_DATA',
      `Cannot study: ${users.length} users are kept for evaluation, too few to choose settings by some and evaluate on others. Give a larger --held-out, or one --learning-rate and one --clip-norm.`,
    );
  const isForChoice = (_: UserTokens, at: number): boolean => at % 2 === 1;
  return {
    heldOut: users.filter((user, at) => !isForChoice(user, at)),
    validation: users.filter(isForChoice),
  };
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
  const split = splitForChoice(byContribution(heldOut, records), question);
  const validationUsers = split.validation.length;
  const population = { ...planned.population, ...(validationUsers === 0 ? {} : { validationUsers }) };
  return { ...opened, planned: { ...planned, population }, training: users, ...split };
}

/** What the study will take. */
export async function estimateStudy(prepared: PreparedStudy): Promise<ComputeEstimate> {
  const { question, given, planned, training } = prepared;
  const heldOut = [...prepared.heldOut, ...prepared.validation];
  const tokenizer = await tokenizerOf(question, given);
  const spec = given?.spec ?? { config: configOf(question.newModel, tokenizer), lora: null };
  return estimateCompute({ runs: runsToMake(planned.runs) }, { question, spec, training, heldOut });
}

/** As in studies that were begun when there was one value of it, or none. */
function oneOrAll(values: readonly number[]): number | readonly number[] | null {
  return values.length > 1 ? values : (values[0] ?? null);
}

function isPoissonAlone({ samplers }: StudyQuestion): boolean {
  return samplers.every(sampler => sampler === 'poisson');
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
    '--clip-norm': oneOrAll(question.clipNorms),
    // Absent where the clip is fixed, as in studies that were begun before it could adapt.
    ...(question.adaptiveClip === undefined ? {} : { '--adaptive-clip': question.adaptiveClip }),
    '--delta': question.delta ?? null,
    '--held-out': question.heldOut ?? null,
    '--evaluation-records': question.evaluationRecords,
    '--learning-rate': oneOrAll(question.learningRates),
    ...(isPoissonAlone(question)
      ? {}
      : { '--sampler': question.samplers, '--batch-limit': question.batchLimit }),
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

/** Tells which runs of the later repetitions are made: those with the setting that the first one decided for. */
function decider(runs: readonly PlannedRun[], folder: string): (run: PlannedRun) => boolean {
  const first = runs.filter(({ repetition, setting }) => repetition === 1 && setting !== undefined);
  let isChosen: ((run: PlannedRun) => boolean) | undefined;
  return run => {
    if (run.repetition === 1 || run.setting === undefined) return true;
    isChosen ??= chosenBy(choicesOf(first.map(({ name }) => readResult(folder, name))));
    return isChosen(run);
  };
}

async function makeMissingRuns(
  runs: readonly PlannedRun[],
  context: Omit<RunContext, 'label'>,
): Promise<void> {
  const { folder, question, around } = context;
  const total = runsToMake(runs).length;
  const done = countDone(runs, folder);
  if (done > 0) around.note(`Going on with the study in ${folder}: ${done} of ${total} runs are done.`);
  const isMade = decider(runs, folder);
  const report = openReports(folder);
  const seconds: number[] = [];
  let at = done;
  for (const run of runs) {
    if (hasResult(folder, run.name) || !isMade(run)) continue;
    await breathe(around.signal);
    at += 1;
    const label = labelOf(run, { at, total });
    const started = performance.now();
    const result = await makeRun(run, { ...context, label });
    writeResult(folder, result, { keepModel: question.keepModels });
    if (run.kind !== 'no-fine-tuning') seconds.push((performance.now() - started) / 1000);
    const rest = remaining(seconds, total - at);
    around.note(`${label}: perplexity by user ${number(result.perplexity.byUser)}${rest}`);
    report();
  }
}

function countDone(runs: readonly PlannedRun[], folder: string): number {
  return runs.filter(run => hasResult(folder, run.name)).length;
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
    const done = countDone(runs, folder);
    if (done > 0) reportOf(folder);
    throw interruptedAfter(done, runsToMake(runs).length);
  }
}

async function trainAll(prepared: PreparedStudy, folder: string, around: Surroundings): Promise<void> {
  const { question, source, given, planned, training, heldOut, validation } = prepared;
  const engine = await chosenEngine(question.engine, around.note);
  const texts = source.publicTexts;
  const { runs, delta, population, notes } = planned;
  const known = { source: source.label, delta, population, engine: engine.name, notes };
  writeFacts(folder, { ...known, runs: runsToMake(runs).length });
  try {
    const model = given ?? (await ownModel(question, { folder, texts, engine, around }));
    const learningRate =
      question.learningRates[0] ?? (given === undefined ? fullDemo.learningRate : undefined);
    const people = { training, heldOut, validation };
    const shared = { question, folder, source, model, engine, ...people, learningRate, around };
    await makeMissingRuns(runs, shared);
  } finally {
    await disposePrograms(engine);
  }
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
  const { runs } = prepared.planned;
  writeStudy(folder, { configuration, repetitions });
  writePlannedRuns(folder, runs);
  await withInterrupts({ folder, runs }, () => trainAll(prepared, folder, around));
  around.progress.stage('composing');
  return reportOf(folder);
}
