import type { Writable } from 'node:stream';
import { Command, CommanderError } from 'commander';
import { usageError } from './arguments.ts';
import { addCommonOptions, type CommonOptions, type Deliver } from './command.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { errorObject, errorText, mendable, renderJson } from './output.ts';
import { createProgress, type ProgressStream } from './progress.ts';
import { version } from './version.ts';

/** Where a run of the command line reads interrupts and writes to. */
export interface Host {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressStream;
  readonly signal: AbortSignal;
  /** Standard input and output as streams of bytes, for commands that take or give tables there. */
  readonly streams?: { readonly stdin: AsyncIterable<Uint8Array>; readonly stdout: Writable };
}

const exitCodeHelp = `
Exit codes:
  0 done   1 internal failure   2 usage or bad input   3 a check failed   4 nothing could be concluded
  5 refused to overwrite   7 an engine failed   130 interrupted`;

function deliverTo(host: Host, argv: readonly string[]): Deliver {
  return async (options: CommonOptions, work) => {
    const progress = createProgress(host.stderr, { quiet: options.quiet === true });
    const silent = options.quiet === true || (options.json === true && host.stderr.isTTY !== true);
    const note = (text: string): void => {
      progress.clear();
      if (!silent) host.stderr.write(`${text}\n`);
    };
    try {
      const answer = await work({ signal: host.signal, progress, note, argv, ...host.streams });
      progress.clear();
      const shown = options.json === true ? renderJson(answer.json) : `${answer.text}\n`;
      if (answer.isAside !== true) host.stdout.write(shown);
      else if (options.quiet !== true) host.stderr.write(shown);
      if (answer.failure !== undefined) throw answer.failure;
    } finally {
      progress.clear();
    }
  };
}

type Maker = (deliver: Deliver) => Command;

/** Every command in the order of the help, to be loaded when it is needed: training and table formats take long to load. */
const loaders: Readonly<Record<string, () => Promise<Maker>>> = {
  epsilon: async () => (await import('./commands/epsilon.ts')).epsilonCommand,
  delta: async () => (await import('./commands/delta.ts')).deltaCommand,
  risk: async () => (await import('./commands/risk.ts')).riskCommand,
  calibrate: async () => (await import('./commands/calibrate.ts')).calibrateCommand,
  plan: async () => (await import('./commands/plan.ts')).planCommand,
  select: async () => (await import('./commands/select.ts')).selectCommand,
  verify: async () => (await import('./commands/verify.ts')).verifyCommand,
  train: async () => (await import('./commands/train.ts')).trainCommand,
  pretrain: async () => (await import('./commands/pretrain.ts')).pretrainCommand,
  study: async () => (await import('./commands/study.ts')).studyCommand,
  evidence: async () => (await import('./commands/evidence.ts')).evidenceCommand,
  audit: async () => (await import('./commands/audit.ts')).auditCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
  demo: async () => (await import('./commands/demo.ts')).demoCommand,
};

/** The command that is named alone; all of them where help or a suggestion may have to list them. */
function neededMakers(name: string | undefined): Promise<Maker[]> {
  const named = name !== undefined && Object.hasOwn(loaders, name) ? [loaders[name]!] : undefined;
  const chosen = named ?? (name === '--version' ? [] : Object.values(loaders));
  return Promise.all(chosen.map(load => load()));
}

/** Common options belong to the commands that do something; those that only gather others pass the settings on. */
function withSettings(command: Command, program: Command): Command {
  for (const part of command.commands) part.copyInheritedSettings(program);
  const complete = command.commands.length === 0 ? addCommonOptions(command) : command;
  return complete.copyInheritedSettings(program);
}

function buildProgram(host: Host, makers: readonly Maker[], argv: readonly string[]): Command {
  const deliver = deliverTo(host, argv);
  const program = new Command('privacy-unit')
    .description('User-level differential privacy for fine-tuning language models.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', exitCodeHelp)
    .exitOverride()
    .configureOutput({
      writeOut: text => host.stdout.write(text),
      writeErr: text => host.stderr.write(text),
      outputError: () => undefined,
    });
  for (const make of makers) {
    program.addCommand(withSettings(make(deliver), program));
  }
  return program;
}

function reportFailure(error: unknown, host: Host, json: boolean): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.done;
  if (error instanceof CommanderError && error.code === 'commander.help') return exitCodes.usage;
  const failure = error instanceof CommanderError ? usageError(error) : mendable(error);
  host.stderr.write(json ? renderJson(errorObject(failure)) : errorText(failure));
  return exitCodeOf(failure);
}

/** Runs one command line and says how the process should end; prints, but never exits by itself. */
export async function runProgram(argv: readonly string[], host: Host): Promise<ExitCode> {
  try {
    const program = buildProgram(host, await neededMakers(argv[0]), argv);
    await program.parseAsync([...argv], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return reportFailure(error, host, argv.includes('--json'));
  }
}
