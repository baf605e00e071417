import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { parsePlan } from '../../accounting/plan-entry.ts';
import { readJson, writeWhole } from '../files.ts';
import { renderJson } from '../output.ts';
import type { PlannedRun } from './plans.ts';
import type { RunResult } from './results.ts';

const configurationName = 'study.json';

/** What decides the results of a study, by the names under which the command line takes it. */
export type Configuration = Readonly<Record<string, unknown>>;

interface ConfigurationFile {
  readonly format: 'privacy-unit/study-configuration';
  readonly version: 1;
  readonly repetitions: number;
  readonly configuration: Configuration;
}

/** The built-in corpus lies in the folder before the study is begun. */
function isCorpus(name: string): boolean {
  return name.startsWith('corpus-');
}

/** Refuses a folder that holds something else. */
export function checkStudyFolder(folder: string): void {
  if (!existsSync(folder) || existsSync(join(folder, configurationName))) return;
  const entries = readdirSync(folder).filter(name => !isCorpus(name)).length;
  if (entries === 0) return;
  throw new DpError(
    'OUTPUT_EXISTS',
    `Cannot study into ${folder}: it holds ${entries} entries that are no study. Give another folder with --out.`,
  );
}

function readConfigurationFile(path: string): ConfigurationFile {
  const found: ConfigurationFile = JSON.parse(JSON.stringify(readJson(path, 'the study')));
  if (found?.format === 'privacy-unit/study-configuration' && found.version === 1) return found;
  throw new DpError(
    'INVALID_DATA',
    `Cannot read the study: ${path} is not the configuration of a study. Give another folder with --out.`,
  );
}

function checkSame(folder: string, { there, here }: { there: Configuration; here: Configuration }): void {
  const names = [...new Set([...Object.keys(there), ...Object.keys(here)])];
  const shown = (value: unknown): string => JSON.stringify(value) ?? 'absent';
  const different = names.filter(name => shown(there[name]) !== shown(here[name]));
  if (different.length === 0) return;
  const reasons = different.map(name => `${name} was ${shown(there[name])} and is ${shown(here[name])} now`);
  throw new DpError(
    'CHECK_FAILED',
    `Cannot go on with the study in ${folder}: ${reasons.join('; ')}. Give the same again, or another folder with --out.`,
  );
}

function checkNotFewer(folder: string, { there, here }: { there: number; here: number }): void {
  if (here >= there) return;
  throw new DpError(
    'CHECK_FAILED',
    `Cannot go on with the study in ${folder}: --seeds was ${there} and is ${here} now. Give as many or more, or another folder with --out.`,
  );
}

/**
 * Makes sure that a study begun in the folder asks the same; only repetitions may be added.
 *
 * @throws DpError `CHECK_FAILED` where anything else differs
 */
export function checkSameStudy(
  folder: string,
  here: Pick<ConfigurationFile, 'configuration' | 'repetitions'>,
): void {
  const path = join(folder, configurationName);
  if (!existsSync(path)) return;
  const there = readConfigurationFile(path);
  checkSame(folder, { there: there.configuration, here: here.configuration });
  checkNotFewer(folder, { there: there.repetitions, here: here.repetitions });
}

/** What the study in a folder asks; undefined where none was begun. */
export function readConfiguration(
  folder: string,
): Pick<ConfigurationFile, 'configuration' | 'repetitions'> | undefined {
  const path = join(folder, configurationName);
  return existsSync(path) ? readConfigurationFile(path) : undefined;
}

/** Begins the study, or notes that it has more repetitions now. */
export function writeStudy(
  folder: string,
  { configuration, repetitions }: Pick<ConfigurationFile, 'configuration' | 'repetitions'>,
): void {
  const fixed = { format: 'privacy-unit/study-configuration', version: 1 } as const;
  const file: ConfigurationFile = { ...fixed, repetitions, configuration };
  writeWhole(join(folder, configurationName), renderJson(file));
}

const plansName = 'plans.json';

/** The runs that were planned in a folder, by name; none before the first time. */
export function readPlannedRuns(folder: string): Map<string, PlannedRun> {
  const path = join(folder, plansName);
  if (!existsSync(path)) return new Map();
  readJson(path, 'the plans of the study');
  const runs: readonly PlannedRun[] = JSON.parse(readFileSync(path, 'utf8'), revived);
  return new Map(
    runs.map(run => [run.name, { ...run, plan: run.plan === null ? null : parsePlan(run.plan) }]),
  );
}

/** Keeps the plans of all runs before any of them is begun. */
export function writePlannedRuns(folder: string, runs: readonly PlannedRun[]): void {
  writeWhole(join(folder, plansName), renderJson(runs));
}

function resultPath(folder: string, name: string): string {
  return join(folder, 'results', `${name}.json`);
}

/** Where a run keeps plan, ledger and statement. */
export function runFolder(folder: string, name: string): string {
  const path = join(folder, 'runs', name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** Whether a run is done. */
export function hasResult(folder: string, name: string): boolean {
  return existsSync(resultPath(folder, name));
}

/** Writes the result of a run whole or not at all, and only then removes what the run no longer needs. */
export function writeResult(folder: string, result: RunResult, { keepModel }: { keepModel: boolean }): void {
  writeWhole(resultPath(folder, result.name), renderJson(result));
  const run = join(folder, 'runs', result.name);
  rmSync(join(run, 'checkpoint.bin'), { force: true });
  if (!keepModel) rmSync(join(run, 'model'), { recursive: true, force: true });
}

/** JSON has no infinities, so results hold them as text. */
function revived(_key: string, value: unknown): unknown {
  return value === 'Infinity' ? Infinity : value;
}

/** Reads the result of a run. */
export function readResult(folder: string, name: string): RunResult {
  const path = resultPath(folder, name);
  const broken = (reason: string): DpError =>
    new DpError(
      'INVALID_DATA',
      `Cannot read the result ${path}: it ${reason}. Restore the file, or start the study anew in another folder.`,
    );
  let found: RunResult;
  try {
    found = JSON.parse(readFileSync(path, 'utf8'), revived);
  } catch {
    throw broken('is not JSON');
  }
  if (found?.format === 'privacy-unit/study-run' && found.version === 1 && found.name === name) return found;
  throw broken(`is not that of ${name}`);
}
