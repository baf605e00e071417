import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { defaultEngines, engineNames, installAdvice, type EngineName } from '../../trainer/engines/open.ts';
import { examineEngine, type EngineReport } from '../../trainer/engines/survey.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import { addEngineOption, type EngineOption } from '../engines.ts';
import { renderTable, type Answer } from '../output.ts';
import { renderBytes } from '../sizes.ts';
import {
  machineReport,
  packageReports,
  temporaryFolderReport,
  type FolderReport,
  type MachineReport,
  type PackageReport,
} from '../surroundings.ts';
import { version } from '../version.ts';

type DoctorOptions = CommonOptions & EngineOption;

/** Longest time that a GPU's first compilation of the check may take. */
const longestCheck = 300_000;

/**
 * Examines an engine in a process of its own, so that a driver that brings its process down is one line of the
 * report.
 *
 * @param command - a program and its arguments, which print the answer of `doctor --engine NAME --json`
 */
export async function examineApart(
  name: EngineName,
  [program, ...argv]: readonly [string, ...string[]],
): Promise<EngineReport> {
  try {
    const { stdout } = await promisify(execFile)(program, argv, { timeout: longestCheck });
    return reportIn(stdout);
  } catch (error) {
    const answer = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    if (answer.startsWith('{')) return reportIn(answer);
    const signal = error instanceof Error && 'signal' in error ? String(error.signal) : 'an error';
    const reason = `its process ended with ${signal} during the check`;
    return { ...nothing, name, reason, install: installAdvice(name) };
  }
}

const nothing = { works: false, engine: null, largestError: null, seconds: 0 } as const;

function reportIn(text: string): EngineReport {
  const { engines }: { engines: [EngineReport] } = JSON.parse(text);
  return engines[0];
}

/** This program again; undefined where the command line isn't a process of its own. */
function thisProgram({ stdout }: Surroundings): readonly [string, ...string[]] | undefined {
  const script = process.argv[1];
  if (stdout === undefined || script === undefined) return undefined;
  return [process.execPath, ...process.execArgv, script];
}

async function examineAll(options: DoctorOptions, around: Surroundings): Promise<EngineReport[]> {
  if (options.engine !== undefined) return [await examineEngine(options.engine, { force: true })];
  const program = thisProgram(around);
  const onGpu = defaultEngines().filter(name => name === 'cuda' || name === 'webgpu');
  const reports: EngineReport[] = [];
  for (const name of engineNames) {
    around.progress.stage(`checking ${name}`);
    const apart = program !== undefined && onGpu.some(gpu => gpu === name);
    const report = apart
      ? examineApart(name, [...program, 'doctor', '--engine', name, '--json'])
      : examineEngine(name);
    reports.push(await report);
  }
  return reports;
}

interface Findings {
  readonly engines: readonly EngineReport[];
  readonly chosen: EngineReport | undefined;
  readonly packages: readonly PackageReport[];
  readonly machine: MachineReport;
  readonly temporaryFolder: FolderReport;
}

function engineTable(engines: readonly EngineReport[]): string {
  const columns = [{ title: 'engine' }, { title: 'works' }, { title: 'what it said' }];
  const detail = ({ engine, largestError, seconds, reason }: EngineReport): string =>
    largestError === null
      ? reason!
      : `${engine}: right to ${largestError.toExponential(1)} after ${seconds.toFixed(1)} s`;
  return renderTable(
    columns,
    engines.map(report => [report.name, report.works ? 'yes' : 'no', detail(report)]),
  );
}

function adviceLines(engines: readonly EngineReport[]): string[] {
  const missing = engines.filter(({ install }) => install !== null);
  return missing.length === 0
    ? []
    : ['', 'To add an engine:', ...missing.map(({ name, install }) => `  ${name}: ${install}`)];
}

function packageTable(packages: readonly PackageReport[]): string {
  const columns = [{ title: 'package' }, { title: 'version' }, { title: 'for' }, { title: 'install with' }];
  return renderTable(
    columns,
    packages.map(entry => [entry.name, entry.version ?? '-', entry.for, entry.install ?? '']),
  );
}

function textOf({ engines, chosen, packages, machine, temporaryFolder }: Findings): string {
  const { path, writable, freeBytes } = temporaryFolder;
  return [
    `privacy-unit ${version}, Node ${machine.node}, ${machine.platform}`,
    `${machine.processor}, ${machine.cores} cores, ${renderBytes(machine.memoryBytes)} of memory (${renderBytes(machine.freeMemoryBytes)} free)`,
    `Graphics processors: ${machine.gpus.join(', ') || 'none seen'}`,
    `Temporary folder: ${path}, ${writable ? `${renderBytes(freeBytes)} free` : 'cannot be written to'}`,
    '',
    engineTable(engines),
    ...adviceLines(engines),
    '',
    packageTable(packages),
    '',
    chosen === undefined ? 'Nothing here can train.' : `Training runs on ${chosen.engine}.`,
  ].join('\n');
}

function failureOf({ engines, chosen }: Findings): DpError | undefined {
  if (chosen !== undefined) return undefined;
  const names = engines.map(({ name }) => name).join(', ');
  return new DpError(
    'ENGINE_UNAVAILABLE',
    `Cannot train on this machine: none of ${names} works. ${installAdvice(engines[0]!.name)}.`,
  );
}

/** The first that works of those that are tried by default, or the one that was asked for. */
function choose(engines: readonly EngineReport[], options: DoctorOptions): EngineReport | undefined {
  const order = options.engine === undefined ? defaultEngines() : [options.engine];
  const working = order.map(name => engines.find(report => report.name === name && report.works));
  return working.find(report => report !== undefined);
}

async function examine(options: DoctorOptions, around: Surroundings): Promise<Answer> {
  const engines = await examineAll(options, around);
  const findings: Findings = {
    engines,
    chosen: choose(engines, options),
    packages: packageReports(),
    machine: machineReport(),
    temporaryFolder: temporaryFolderReport(),
  };
  const { chosen, ...rest } = findings;
  return {
    json: { version, engine: chosen?.engine ?? null, ...rest },
    text: textOf(findings),
    failure: failureOf(findings),
  };
}

/** `privacy-unit doctor`: what works on this machine, and what would make the rest work. */
export function doctorCommand(deliver: Deliver): Command {
  const command = createCommand('doctor', {
    summary: 'say which engines work on this machine',
    description:
      'Computes a small training step on every engine, compares the numbers with exact ones, and says why an engine does not work and what would install it. Ends with exit code 7 where none works.',
    examples: ['doctor', 'doctor --engine tfjs --json'],
  });
  return addEngineOption(command).action((options: DoctorOptions) =>
    deliver(options, around => examine(options, around)),
  );
}
