import type { Command } from 'commander';
import { DpError } from '../accounting/check.ts';
import {
  initialiseParameters,
  openTokenizer,
  withLora,
  type GptConfig,
  type LanguageModel,
  type LoraConfig,
  mergeLora,
  type Tokenizer,
} from '../trainer/index.ts';
import { parametersDigest } from '../trainer/digest.ts';
import { openLanguageModel } from '../trainer/model/open.ts';
import { baseFolderOf, portableLayout, type SaveLayout } from '../trainer/model/save.ts';
import type { StorageType } from '../trainer/model/safetensors.ts';
import { tokenizerNames, type TokenizerName } from '../trainer/model/tokenizer.ts';
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
      choice('--tokenizer', tokenizerNames),
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

/** The model with fresh adapters where a rank was given; those that it came with are merged first. */
export function withAdapters(model: LanguageModel, options: LoraOptions & { seed: string }): LanguageModel {
  const { loraRank, loraAlpha, seed } = options;
  if (loraRank === undefined) return model;
  const targets = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'] as const;
  const lora: LoraConfig = { rank: loraRank, alpha: loraAlpha ?? 2 * loraRank, targets };
  // What was merged lies in no folder: new adapters would not fit the model they came from.
  const source = model.spec.lora === null ? model.source : undefined;
  return { ...model, ...withLora(mergeLora(model), { lora, seed }), source };
}

/** Hash of a model's parameters and tokenizer. */
export function modelDigest({ parameters, tokenizer }: LanguageModel): string {
  return `${parametersDigest(parameters)}:${tokenizer.hash}`;
}

/** How the command line describes a model's folder. */
export interface StartOptions {
  readonly trainedOn?: 'public' | 'private';
  readonly baseModel?: string;
}

/** Adds the options for a model that was not made by this program. */
export function addStartOptions(command: Command): Command {
  return command
    .option(
      '--trained-on <origin>',
      'public or private: what a model was trained on whose folder does not say; public is your word for it (default: as the folder says)',
      choice('--trained-on', ['public', 'private']),
    )
    .option('--base-model <folder>', 'model of a PEFT adapter (default: where the adapter says)');
}

/** What is written of a trained model, as commander hands it over. */
export interface SaveOptions {
  readonly save?: SaveLayout;
  readonly saveType?: StorageType;
  readonly baseName?: string;
}

/** Adds the options for what is written of a trained model. */
export function addSaveOptions(command: Command): Command {
  return command
    .option(
      '--save <layout>',
      'full (every parameter; with adapters for this program alone), merged (adapters added to the weights) or adapter ' +
        '(the adapters alone, in the layout of PEFT) (default: merged with adapters, else full)',
      choice('--save', ['full', 'merged', 'adapter']),
    )
    .option(
      '--save-type <type>',
      'float32 (loses nothing), float16 or bfloat16',
      choice('--save-type', ['float32', 'float16', 'bfloat16']),
      'float32',
    )
    .option(
      '--base-name <name>',
      'what --save adapter calls the model that the adapters belong to, such as openai-community/gpt2 ' +
        '(default: as the adapter that training starts from, else the relative path to its folder)',
    );
}

function checkBaseName(baseName: string | undefined, layout: SaveLayout): void {
  if (baseName === undefined || (baseName !== '' && layout === 'adapter')) return;
  const reason =
    baseName === '' ? '--base-name is empty' : `--base-name goes with --save adapter, not ${layout}`;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot train: ${reason}. Give a name with --save adapter, or leave it out.`,
  );
}

/** How a trained model is written; refuses before training what could not be written after it. */
export function saveOptionsOf(
  { save, saveType, baseName }: SaveOptions,
  model: LanguageModel,
): { layout: SaveLayout; type: StorageType; baseName: string | undefined } {
  const { spec } = model;
  const layout = save ?? portableLayout(spec);
  checkBaseName(baseName, layout);
  if (layout === 'adapter' && (spec.lora === null || baseFolderOf(model) === undefined)) {
    const lacking =
      spec.lora === null ? 'there are no adapters' : 'the model that they belong to lies in no folder';
    const advice = spec.lora === null ? 'Give --lora-rank' : 'Give that model as --model';
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot train: --save is adapter, but ${lacking}. ${advice}, or save the model whole.`,
    );
  }
  return { layout, type: saveType ?? 'float32', baseName };
}

/** The model of a folder that says of itself that it is public. */
export function publicModel(folder: string, verb: string): Promise<LanguageModel> {
  return startModel(folder, { verb });
}

/** The model of a folder; one trained on private text can't be the start of a new guarantee. */
export async function startModel(
  folder: string,
  { verb, trainedOn, baseModel }: StartOptions & { verb: string },
): Promise<LanguageModel> {
  const model = await openLanguageModel(folder, { trainedOn, base: baseModel });
  const origin = model.provenance.trainedOn;
  if (origin === 'public') return model;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: the model in ${folder} was trained on ${origin} text, which this guarantee would leave out. ` +
      'Give a model trained on public text.',
  );
}

/** How training begins, as commander hands it over. */
export interface StartingModelOptions extends ModelOptions, StartOptions, LoraOptions {
  /** Folder of the starting model; a new one where left out. */
  readonly model?: string;
  readonly seed: string;
}

/** The model that training begins with: that of a folder or a new one, with adapters where they are asked for. */
export async function startingModel(
  options: StartingModelOptions,
  { verb, note }: { readonly verb: string; readonly note: (text: string) => void },
): Promise<LanguageModel> {
  const { model, seed } = options;
  if (model !== undefined) return withAdapters(await startModel(model, { ...options, verb }), options);
  note(
    'No --model: training starts from random parameters. A model trained on public text needs less privacy.',
  );
  return withAdapters(await newModel(options, seed), options);
}
