import type { Command } from 'commander';
import { DpError } from '../accounting/check.ts';
import {
  initialiseParameters,
  loadModel,
  openTokenizer,
  withLora,
  type GptConfig,
  type LanguageModel,
  type LoraConfig,
  type Tokenizer,
  type TokenizerName,
} from '../trainer/index.ts';
import { choice, count, positive } from './arguments.ts';

/** The size of a new model and how it is trained, as commander hands them over. */
export interface ModelOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly tokenizer: TokenizerName;
}

/** Adds the options that size a new model. */
export function addModelOptions(command: Command): Command {
  return command
    .optionsGroup('New model:')
    .option('--layers <n>', 'transformer blocks, a whole number', count('--layers'), 2)
    .option('--width <n>', 'width of the residual stream, a multiple of the heads', count('--width'), 64)
    .option('--heads <n>', 'attention heads, a whole number', count('--heads'), 4)
    .option('--context <n>', 'longest text in tokens; longer records are cut there', count('--context'), 128)
    .option(
      '--tokenizer <name>',
      'bytes (one token a UTF-8 byte) or gpt2 (50257 byte pairs)',
      choice('--tokenizer', ['bytes', 'gpt2']),
      'bytes',
    );
}

/** The architecture that the options ask for. */
export function configOf({ layers, width, heads, context }: ModelOptions, tokenizer: Tokenizer): GptConfig {
  return { vocabularySize: tokenizer.vocabularySize, contextLength: context, layers, width, heads };
}

/** A model with random parameters, a pure function of its size and the seed. */
export async function newModel(options: ModelOptions, seed: string): Promise<LanguageModel> {
  const tokenizer = await openTokenizer(options.tokenizer);
  const spec = { config: configOf(options, tokenizer), lora: null };
  const parameters = initialiseParameters(spec, { seed });
  return { spec, parameters, tokenizer, provenance: { trainedOn: 'public', tokenizer: tokenizer.name } };
}

/** Adapters as the command line gives them. */
export interface LoraOptions {
  readonly loraRank?: number;
  readonly loraAlpha?: number;
}

/** Adds the options for low-rank adapters. */
export function addLoraOptions(command: Command): Command {
  return command
    .optionsGroup('Training:')
    .option(
      '--lora-rank <r>',
      'train low-rank adapters of this rank instead of every parameter (default: every parameter)',
      count('--lora-rank'),
    )
    .option(
      '--lora-alpha <a>',
      'scale of the adapters, above 0 (default: twice the rank)',
      positive('--lora-alpha'),
    );
}

/** The model with fresh adapters where a rank was given. */
export function withAdapters(model: LanguageModel, options: LoraOptions & { seed: string }): LanguageModel {
  const { loraRank, loraAlpha, seed } = options;
  if (loraRank === undefined) return model;
  const targets = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'] as const;
  const lora: LoraConfig = { rank: loraRank, alpha: loraAlpha ?? 2 * loraRank, targets };
  return { ...model, ...withLora(model, { lora, seed }) };
}

/** The model of a folder; one trained on private text can't be the start of a new guarantee. */
export async function publicModel(folder: string, verb: string): Promise<LanguageModel> {
  const model = await loadModel(folder);
  if (model.provenance.trainedOn === 'public') return model;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: the model in ${folder} was trained on private text, which this guarantee would leave out. ` +
      'Give a model trained on public text.',
  );
}
