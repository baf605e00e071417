import type { Command } from 'commander';
import type { Engine } from '../trainer/engines/engine.ts';
import { engineNames, openEngine, type EngineName } from '../trainer/engines/open.ts';
import { choice } from './arguments.ts';

/** What the graphs of a model run on, as commander hands it over. */
export interface EngineOption {
  readonly engine?: EngineName | undefined;
}

const advice = 'see privacy-unit doctor (default: a GPU where there is one, else the processor)';

/** Adds the choice of what a model runs on. */
export function addEngineOption(command: Command): Command {
  return command
    .optionsGroup('Engine:')
    .option('--engine <name>', `${engineNames.join(', ')}; ${advice}`, choice('--engine', engineNames));
}

/** The same where `--engine` is the one that selects. */
export function addScorerEngineOption(command: Command): Command {
  return command.option(
    '--scorer-engine <name>',
    `what the model runs on: ${engineNames.join(', ')}; ${advice}`,
    choice('--scorer-engine', engineNames),
  );
}

/** Opens the engine that was asked for, and says which it is where nobody asked. */
export async function chosenEngine(options: EngineOption, note: (text: string) => void): Promise<Engine> {
  const engine = await openEngine({ prefer: options.engine });
  if (options.engine === undefined && engine.name !== 'onnxruntime-node:cpu') note(`Engine: ${engine.name}.`);
  return engine;
}
