import { Command, CommanderError } from 'commander';
import { usageError } from './arguments.ts';
import { addCommonOptions, type CommonOptions, type Deliver } from './command.ts';
import { calibrateCommand } from './commands/calibrate.ts';
import { demoCommand } from './commands/demo.ts';
import { epsilonCommand } from './commands/epsilon.ts';
import { planCommand } from './commands/plan.ts';
import { pretrainCommand } from './commands/pretrain.ts';
import { selectCommand } from './commands/select.ts';
import { trainCommand } from './commands/train.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { errorObject, errorText, mendable, renderJson } from './output.ts';
import { createProgress, type ProgressStream } from './progress.ts';
import { version } from './version.ts';

/** Where a run of the command line reads interrupts and writes to. */
export interface Host {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressStream;
  readonly signal: AbortSignal;
}

const exitCodeHelp = `
Exit codes:
  0 done   1 internal failure   2 usage or bad input   3 a check failed   4 nothing could be concluded
  5 refused to overwrite   7 an engine failed   130 interrupted`;

function deliverTo(host: Host): Deliver {
  return async (options: CommonOptions, work) => {
    const progress = createProgress(host.stderr, { quiet: options.quiet === true });
    const silent = options.quiet === true || (options.json === true && host.stderr.isTTY !== true);
    const note = (text: string): void => {
      progress.clear();
      if (!silent) host.stderr.write(`${text}\n`);
    };
    try {
      const answer = await work({ signal: host.signal, progress, note });
      progress.clear();
      host.stdout.write(options.json === true ? renderJson(answer.json) : `${answer.text}\n`);
    } finally {
      progress.clear();
    }
  };
}

function buildProgram(host: Host): Command {
  const deliver = deliverTo(host);
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
  const makers = [
    epsilonCommand,
    calibrateCommand,
    planCommand,
    selectCommand,
    trainCommand,
    pretrainCommand,
    demoCommand,
  ];
  for (const make of makers) {
    program.addCommand(addCommonOptions(make(deliver)).copyInheritedSettings(program));
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
    await buildProgram(host).parseAsync([...argv], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return reportFailure(error, host, argv.includes('--json'));
  }
}
