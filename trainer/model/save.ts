import { relative, resolve, sep } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { parametersDigest } from '../digest.ts';
import { adapterFileOf, adapterTensorName } from './adapter-file.ts';
import { configFileOf, hasAdapters } from './config-file.ts';
import { parametersOf, type LoraConfig, type ModelSpec } from './gpt.ts';
import { mergedParameter } from './lora.ts';
import {
  baseDigestKey,
  fileNames,
  jsonPart,
  textPart,
  writeModelFolder,
  type FilePart,
} from './model-folder.ts';
import { provenanceKey, type Provenance } from './provenance.ts';
import { writeSafetensors, type StorageType, type TensorToWrite } from './safetensors.ts';
import type { StoredModel } from './stored-model.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * What is written of a model: `full`, every parameter as it is, adapters among them in a form that only this
 * package reads; `merged`, adapters added into the weights; `adapter`, the adapters alone in PEFT's layout.
 */
export type SaveLayout = 'full' | 'merged' | 'adapter';

/** How a model is written. */
export interface SaveOptions {
  /** Default: `full`. */
  readonly layout?: SaveLayout | undefined;
  /** How numbers are stored; default: float32, which loses nothing. */
  readonly type?: StorageType | undefined;
  /**
   * What an adapter calls the model that it belongs to, such as `openai-community/gpt2`; default: what the adapter
   * that training started from called it, otherwise the way there from the folder that is written.
   */
  readonly baseName?: string | undefined;
}

/** A model to be written, with the tokenizer that belongs beside it. */
export type ModelToSave = StoredModel & { readonly tokenizer?: Pick<Tokenizer, 'endOfText' | 'files'> };

/** The layout that other programs read: adapters merged where there are any. */
export function portableLayout({ lora }: ModelSpec): SaveLayout {
  return lora === null ? 'full' : 'merged';
}

/**
 * Writes a model into a folder, in the form of Hugging Face's GPT-2 or of a PEFT adapter, and replaces a model
 * that lies there: `config.json`, `model.safetensors`, `tokenizer.json`; or `adapter_config.json` and
 * `adapter_model.safetensors`. Where it is from goes into `provenance.json`, and once more into the weights and
 * the configuration, so that it stays with them.
 *
 * A folder is never readable in between: its configuration goes first and comes back last. Weights are written
 * one after the other; merging takes the memory of one more of them.
 *
 * @throws DpError `INVALID_ARGUMENT` for an adapter that there is none of, or whose base lies in no folder;
 *   `INVALID_DATA` where a value is too large for the type; `OUTPUT_FAILED` where the folder is no good or full
 */
export async function saveModel(
  folder: string,
  model: ModelToSave,
  options: SaveOptions = {},
): Promise<void> {
  const { layout = 'full', type = 'float32', baseName } = options;
  const parts =
    layout === 'adapter'
      ? adapterParts(model, { folder, type, baseName })
      : await wholeParts(model, { layout, type });
  await writeModelFolder(folder, parts);
}

function metadataOf(provenance: Provenance): Record<string, string> {
  return { [provenanceKey]: JSON.stringify(provenance) };
}

async function wholeParts(
  model: ModelToSave,
  { layout, type }: { layout: SaveLayout; type: StorageType },
): Promise<FilePart[]> {
  const { provenance, source, tokenizer } = model;
  const spec = layout === 'merged' ? { ...model.spec, lora: null } : model.spec;
  const tensors = parametersOf(spec).map(info => {
    const data = (): Float32Array =>
      layout === 'merged' ? mergedParameter(model, info) : model.parameters.get(info.name)!;
    return storable({ ...info, data }, type);
  });
  const metadata = metadataOf(provenance);
  const details = { original: source?.config, provenance, endOfText: tokenizer?.endOfText, type };
  return [
    { name: fileNames.weights, write: path => writeSafetensors(path, tensors, { type, metadata }) },
    ...Object.entries((await tokenizer?.files()) ?? {}).map(([name, text]) => textPart(name, text)),
    jsonPart(fileNames.provenance, provenance),
    jsonPart(fileNames.config, configFileOf(spec, details)),
  ];
}

function adapterParts(
  model: ModelToSave,
  options: { folder: string; type: StorageType; baseName: string | undefined },
): FilePart[] {
  const { folder, type, baseName } = options;
  const { lora, base } = adapterOf(model, folder);
  const called = baseName ?? model.source?.name ?? wayTo(base, folder);
  const infos = parametersOf(model.spec);
  const tensors = infos
    .filter(({ trainable }) => trainable)
    .map(({ name, shape }) => {
      const data = (): Float32Array => model.parameters.get(name)!;
      return storable({ name: adapterTensorName(name), shape, data }, type);
    });
  const frozen = infos.filter(({ trainable }) => !trainable);
  const digest = parametersDigest(new Map(frozen.map(({ name }) => [name, model.parameters.get(name)!])));
  const metadata = { ...metadataOf(model.provenance), [baseDigestKey]: digest };
  return [
    { name: fileNames.adapterWeights, write: path => writeSafetensors(path, tensors, { type, metadata }) },
    jsonPart(fileNames.provenance, model.provenance),
    jsonPart(fileNames.adapterConfig, adapterFileOf(lora, called)),
  ];
}

/** Means the same on another machine that both folders are carried to. */
function wayTo(base: string, folder: string): string {
  return relative(resolve(folder), base).split(sep).join('/');
}

/** The folder of the weights that a model's adapters belong to; undefined where they lie in none by themselves. */
export function baseFolderOf({ source }: Pick<StoredModel, 'source'>): string | undefined {
  return source === undefined || hasAdapters(source.config) ? undefined : source.folder;
}

function adapterOf({ spec, source }: ModelToSave, folder: string): { lora: LoraConfig; base: string } {
  const refuse = (reason: string, advice: string): DpError =>
    new DpError('INVALID_ARGUMENT', `Cannot save the adapter: ${reason}. ${advice}`);
  if (spec.lora === null) throw refuse('the model has none', 'Save it in full.');
  const base = baseFolderOf({ source });
  if (base === undefined)
    throw refuse(
      'the model that it belongs to lies in no folder',
      'Save it merged, or save that model first.',
    );
  if (base === resolve(folder))
    throw refuse(`${folder} holds the model that it belongs to`, 'Give another folder.');
  return { lora: spec.lora, base };
}

/** The smallest magnitudes that round to infinity. */
const limits: Record<StorageType, number> = {
  float32: Infinity,
  float16: 65_520,
  bfloat16: 2 ** 128 - 2 ** 119,
};

/** The tensor, with a check that storing it makes no value infinite. */
function storable({ name, shape, data }: TensorToWrite, type: StorageType): TensorToWrite {
  const checkedData = (): Float32Array => {
    const values = data();
    const position = firstFrom(values, limits[type]);
    if (position === -1) return values;
    throw new DpError(
      'INVALID_DATA',
      `Cannot save the model: value ${position} of ${name} is ${values[position]}, too large for ${type}. Save it as float32.`,
    );
  };
  return { name, shape, data: checkedData };
}

/** Position of the first value whose magnitude is finite and at least the limit. */
function firstFrom(values: Float32Array, limit: number): number {
  if (limit === Infinity) return -1;
  for (let index = 0; index < values.length; index++) {
    const magnitude = Math.abs(values[index]!);
    if (magnitude >= limit && magnitude < Infinity) return index;
  }
  return -1;
}
