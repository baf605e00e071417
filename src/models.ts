import type { Command } from 'commander';
import { DpError } from '../accounting/check.ts';
import {
  initialiseParameters,
  openTokenizer,
  withLora,
  type GptConfig,
  type LanguageModel,
  type LoraConfig,
  type Tokenizer,
} from '../trainer/index.ts';
import { parametersDigest } from '../trainer/digest.ts';
import { loadModel } from '../trainer/model/weights.ts';
import { choice, count, positive } from './arguments.ts';

/** The size of a new model and how it is trained, as commander hands them over. */
export interface ModelOptions {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly tokenizer: Tokenizer['name'];
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

/** Hash of a model's parameters and tokenizer. */
export function modelDigest({ parameters, tokenizer }: LanguageModel): string {
  return `${parametersDigest(parameters)}:${tokenizer.hash}`;
}

/** The model of a folder; one trained on private text can't be the start of a new guarantee. */
export async function publicModel(folder: string, verb: string): Promise<LanguageModel> {
  const stored = await loadModel(folder);
  const { trainedOn, tokenizer } = stored.provenance;
  if (trainedOn === 'public') return { ...stored, tokenizer: await openTokenizer(tokenizer) };
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: the model in ${folder} was trained on ${trainedOn} text, which this guarantee would leave out. ` +
      'Give a model trained on public text.',
  );
}
