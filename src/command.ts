import type { Writable } from 'node:stream';
import { Command } from 'commander';
import type { Answer } from './output.ts';
import type { Progress } from './progress.ts';

/** What a command has at hand beside its options. */
export interface Surroundings {
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** One line on standard error; silent with `--quiet`, and with `--json` unless it is a terminal. */
  readonly note: (text: string) => void;
  /** Streams for data, absent where the command line is not a process of its own. */
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  readonly stdout?: Writable | undefined;
  /** The arguments, as they came. */
  readonly argv: readonly string[];
}

/** Options that every command takes. */
export interface CommonOptions {
  readonly json?: true;
  readonly quiet?: true;
}

/** Runs the work of a command and prints its answer; handed to every command by the program. */
export type Deliver = (
  options: CommonOptions,
  work: (surroundings: Surroundings) => Answer | Promise<Answer>,
) => Promise<void>;

/** A command with its examples. */
export function createCommand(
  name: string,
  {
    summary,
    description,
    examples,
  }: { summary: string; description: string; examples: readonly [string, string] },
): Command {
  return new Command(name)
    .summary(summary)
    .description(description)
    .addHelpText('after', `\nExamples:\n${examples.map(line => `  $ privacy-unit ${line}`).join('\n')}`)
    .helpOption('-h, --help', 'print this help');
}

/** Adds the options that every command takes, after its own. */
export function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup('Output:')
    .option(
      '--json',
      'print exactly one JSON object on standard output, errors on standard error (default: text)',
    )
    .option('--quiet', 'no progress and no notes on standard error (default: off)');
}
