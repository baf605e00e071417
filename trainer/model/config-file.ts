import { readFile } from 'node:fs/promises';
import { DpError } from '../../accounting/check.ts';
import { checkSpec, linearLayers, type GptConfig, type LoraConfig, type ModelSpec } from './gpt.ts';

/** A JSON object as it was parsed, nothing known about its values. */
export type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a file that describes a model.
 *
 * @throws DpError `MISSING_FILE`, or `INVALID_DATA` where it holds no JSON object
 */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const message = `Cannot load the model: ${path} cannot be read. Check the folder.`;
    throw new DpError('MISSING_FILE', message, { cause });
  });
  const value = parse(text);
  if (isObject(value)) return value;
  throw new DpError('INVALID_DATA', `Cannot load the model: ${path} holds no JSON object. Restore the file.`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What our graph computes; a checkpoint that says otherwise is another architecture. */
const architecture = {
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  layer_norm_epsilon: 1e-5,
  tie_word_embeddings: true,
} as const;

/** The contents of `config.json` for a model, under Hugging Face's names; adapters under one of ours. */
export function configFileOf({ config, lora }: ModelSpec): JsonObject {
  return {
    architectures: ['GPT2LMHeadModel'],
    ...architecture,
    vocab_size: config.vocabularySize,
    n_positions: config.contextLength,
    n_layer: config.layers,
    n_embd: config.width,
    n_head: config.heads,
    ...(lora === null ? {} : { privacy_unit_lora: lora }),
  };
}

/**
 * The model that a `config.json` describes.
 *
 * @throws DpError `INVALID_DATA` for another architecture, `INVALID_ARGUMENT` for impossible sizes
 */
export function specOfConfigFile(file: JsonObject, path: string): ModelSpec {
  for (const [name, expected] of Object.entries(architecture)) {
    if ((file[name] ?? expected) === expected) continue;
    const found = `${name} ${JSON.stringify(file[name])}, not ${JSON.stringify(expected)}`;
    throw new DpError(
      'INVALID_DATA',
      `Cannot load the model: ${path} has ${found}. Give a GPT-2 checkpoint.`,
    );
  }
  const count = (name: string): number => Number(file[name]);
  const config: GptConfig = {
    vocabularySize: count('vocab_size'),
    contextLength: count('n_positions'),
    layers: count('n_layer'),
    width: count('n_embd'),
    heads: count('n_head'),
  };
  const spec = { config, lora: loraOf(file['privacy_unit_lora']) };
  checkSpec(spec);
  return spec;
}

function loraOf(value: unknown): LoraConfig | null {
  if (!isObject(value)) return null;
  const named: readonly unknown[] = Array.isArray(value['targets']) ? value['targets'] : [];
  const targets = linearLayers.filter(layer => named.includes(layer));
  return { rank: Number(value['rank']), alpha: Number(value['alpha']), targets };
}
