import { DpError } from '../../accounting/check.ts';
import { checkSpec, linearLayers, type GptConfig, type LoraConfig, type ModelSpec } from './gpt.ts';
import { isObject, type JsonObject } from './json.ts';
import { provenanceKey, type Provenance } from './provenance.ts';
import type { StorageType } from './safetensors.ts';

/**
 * What our graph computes, the value to be written first. A checkpoint that says otherwise is another
 * architecture; one that says nothing means the first, as in Hugging Face's defaults. `gelu_pytorch_tanh` is
 * another name of the same function.
 */
const architecture: readonly (readonly [name: string, ...values: [unknown, ...unknown[]]])[] = [
  ['model_type', 'gpt2'],
  ['activation_function', 'gelu_new', 'gelu_pytorch_tanh'],
  ['layer_norm_epsilon', 1e-5],
  ['tie_word_embeddings', true],
  ['scale_attn_weights', true],
  ['scale_attn_by_inverse_layer_idx', false],
  ['add_cross_attention', false],
];

/** Our name of each size and Hugging Face's. */
const sizes = [
  ['vocabularySize', 'vocab_size'],
  ['contextLength', 'n_positions'],
  ['layers', 'n_layer'],
  ['width', 'n_embd'],
  ['heads', 'n_head'],
] as const satisfies readonly (readonly [keyof GptConfig, string])[];

const loraKey = 'privacy_unit_lora';

/** Other programs would leave the adapters out in silence; under this name they refuse the folder. */
const adaptedType = 'gpt2-with-adapters';

/** Whether a `config.json` is that of a model with adapters among its weights, which no other adapter can be based on. */
export function hasAdapters(file: JsonObject): boolean {
  return file[loraKey] !== undefined;
}

/** What a `config.json` says besides the sizes. */
export interface ConfigDetails {
  /** The file that the model came with: what it says beyond our knowledge is kept. */
  readonly original?: JsonObject | undefined;
  readonly provenance?: Provenance | undefined;
  readonly endOfText?: number | undefined;
  readonly type?: StorageType | undefined;
}

/** The contents of `config.json` for a model, under Hugging Face's names; adapters and provenance under ours. */
export function configFileOf({ config, lora }: ModelSpec, details: ConfigDetails = {}): JsonObject {
  const { original = {}, provenance, endOfText, type = 'float32' } = details;
  const stale = new Set(['_name_or_path', 'dtype', loraKey]);
  return {
    architectures: ['GPT2LMHeadModel'],
    ...Object.fromEntries(Object.entries(original).filter(([name]) => !stale.has(name))),
    ...Object.fromEntries(architecture.map(([name, value]) => [name, value])),
    ...Object.fromEntries(sizes.map(([size, name]) => [name, config[size]])),
    torch_dtype: type,
    ...(endOfText === undefined ? {} : { bos_token_id: endOfText, eos_token_id: endOfText }),
    ...(provenance === undefined ? {} : { [provenanceKey]: provenance }),
    ...(lora === null ? {} : { model_type: adaptedType, [loraKey]: lora }),
  };
}

function another(path: string, found: string): DpError {
  return new DpError('INVALID_DATA', `Cannot load the model: ${path} has ${found}. Give a GPT-2 checkpoint.`);
}

/**
 * The model that a `config.json` describes.
 *
 * @throws DpError `INVALID_DATA` for another architecture, `INVALID_ARGUMENT` for impossible sizes
 */
export function specOfConfigFile(file: JsonObject, path: string): ModelSpec {
  const lora = loraOf(file[loraKey]);
  for (const [name, ...values] of architecture) {
    const found = file[name] ?? values[0];
    if (values.includes(found) || (lora !== null && found === adaptedType)) continue;
    throw another(path, `${name} ${JSON.stringify(found)}, not ${JSON.stringify(values[0])}`);
  }
  const size = (name: string): number => sizeOf(file[name], { name, path });
  const config: GptConfig = {
    vocabularySize: size('vocab_size'),
    contextLength: size('n_positions'),
    layers: size('n_layer'),
    width: size('n_embd'),
    heads: size('n_head'),
  };
  const inner = file['n_inner'] ?? 4 * config.width;
  if (inner !== 4 * config.width)
    throw another(path, `n_inner ${JSON.stringify(inner)}, not ${4 * config.width}`);
  const spec = { config, lora };
  checkSpec(spec);
  return spec;
}

function sizeOf(value: unknown, { name, path }: { name: string; path: string }): number {
  if (typeof value === 'number') return value;
  throw another(path, value === undefined ? `no ${name}` : `${name} ${JSON.stringify(value)}, not a number`);
}

function loraOf(value: unknown): LoraConfig | null {
  if (!isObject(value)) return null;
  const named: readonly unknown[] = Array.isArray(value['targets']) ? value['targets'] : [];
  const targets = linearLayers.filter(layer => named.includes(layer));
  return { rank: Number(value['rank']), alpha: Number(value['alpha']), targets };
}
