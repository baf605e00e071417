import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import {
  checkSpec,
  parametersOf,
  type GptConfig,
  type LoraConfig,
  type Model,
  type ModelSpec,
  type ParameterInfo,
} from './gpt.ts';
import { readSafetensors, writeSafetensors, type StoredTensor } from './safetensors.ts';

/** Where a model's parameters come from; written beside them and never lost on the way. */
export interface Provenance {
  /** Whether any text that it was trained on is private. */
  readonly trainedOn: 'public' | 'private';
  /** Name of the tokenizer it reads. */
  readonly tokenizer: string;
  /** What the text was. */
  readonly corpus?: string;
  /** What is promised to the people who wrote it; absent where nothing is. */
  readonly guarantee?: Readonly<Record<string, unknown>>;
}

/** A model as it lies in a folder. */
export interface StoredModel extends Model {
  readonly provenance: Provenance;
}

const weightsFile = 'model.safetensors';
const configFile = 'config.json';
const provenanceFile = 'provenance.json';

/** Hugging Face's names of the sizes, and ours. */
const configNames: Record<keyof GptConfig, string> = {
  vocabularySize: 'vocab_size',
  contextLength: 'n_positions',
  layers: 'n_layer',
  width: 'n_embd',
  heads: 'n_head',
};

/** What our graph computes; a checkpoint that says otherwise is another architecture. */
const architecture = {
  model_type: 'gpt2',
  activation_function: 'gelu_new',
  layer_norm_epsilon: 1e-5,
  tie_word_embeddings: true,
} as const;

/**
 * Writes `config.json`, `model.safetensors` and `provenance.json` into a folder, in the form of Hugging Face's
 * GPT-2, and replaces a model that lies there.
 *
 * A folder is never readable in between: `config.json` goes first and comes back last.
 */
export async function saveModel(folder: string, model: StoredModel): Promise<void> {
  const { spec, parameters, provenance } = model;
  const infos = parametersOf(spec);
  const tensors = infos.map(({ name, shape }) => [name, { shape, data: parameters.get(name)! }] as const);
  await mkdir(folder, { recursive: true });
  const path = (name: string): string => join(folder, name);
  const partial = (name: string): string => join(folder, `${name}.partial`);
  await writeSafetensors(partial(weightsFile), tensors);
  await writeJson(partial(provenanceFile), provenance);
  await writeJson(partial(configFile), configOf(spec));
  await rm(path(configFile), { force: true });
  for (const name of [weightsFile, provenanceFile, configFile]) await rename(partial(name), path(name));
}

async function writeJson(path: string, value: unknown): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

function configOf({ config, lora }: ModelSpec): Record<string, unknown> {
  const sizes = Object.entries(configNames).map(([ours, theirs]) => [
    theirs,
    config[ours as keyof GptConfig],
  ]);
  return {
    architectures: ['GPT2LMHeadModel'],
    ...architecture,
    ...Object.fromEntries(sizes),
    ...(lora === null ? {} : { privacy_unit_lora: lora }),
  };
}

/**
 * Reads a model of the GPT-2 architecture: one of ours, or a checkpoint in Hugging Face's form
 * (float32, float16 or bfloat16; with or without the prefix `transformer.`).
 *
 * @param options - provenance: taken where the folder has no `provenance.json`, as with downloaded checkpoints;
 *   whoever gives it vouches for it
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where the parts don't fit together or nobody says where the model is from
 */
export async function loadModel(
  folder: string,
  options: { provenance?: Provenance } = {},
): Promise<StoredModel> {
  const spec = specOf(await readJson(join(folder, configFile)), folder);
  const provenance = await provenanceOf(folder, options.provenance);
  const tensors = await readSafetensors(join(folder, weightsFile));
  const parameters = new Map(
    parametersOf(spec).map(info => [info.name, tensorOf(info, { tensors, folder })]),
  );
  return { spec, parameters, provenance };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new DpError('MISSING_FILE', `Cannot load the model: ${path} cannot be read. Check the folder.`, {
      cause,
    });
  });
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Falls through to the same complaint: neither text nor a bare value describes a model.
  }
  throw new DpError('INVALID_DATA', `Cannot load the model: ${path} holds no JSON object. Restore the file.`);
}

function specOf(config: Record<string, unknown>, folder: string): ModelSpec {
  for (const [name, expected] of Object.entries(architecture)) {
    if ((config[name] ?? expected) === expected) continue;
    throw new DpError(
      'INVALID_DATA',
      `Cannot load the model: ${folder} has ${name} ${JSON.stringify(config[name])}, not ${JSON.stringify(expected)}. Give a GPT-2 checkpoint.`,
    );
  }
  const sizes = Object.entries(configNames).map(([ours, theirs]) => [ours, config[theirs]]);
  const lora = (config['privacy_unit_lora'] ?? null) as LoraConfig | null;
  const spec = { config: Object.fromEntries(sizes) as GptConfig, lora };
  checkSpec(spec);
  return spec;
}

async function provenanceOf(folder: string, given: Provenance | undefined): Promise<Provenance> {
  const path = join(folder, provenanceFile);
  const stored = await readJson(path).catch((error: unknown) => {
    if (given !== undefined && error instanceof DpError && error.code === 'MISSING_FILE') return null;
    throw error;
  });
  if (stored === null) return given!;
  if (
    (stored['trainedOn'] === 'public' || stored['trainedOn'] === 'private') &&
    typeof stored['tokenizer'] === 'string'
  ) {
    return stored as unknown as Provenance;
  }
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: ${path} names no trainedOn ('public' or 'private') and tokenizer. Restore the file.`,
  );
}

function tensorOf(
  { name, shape }: ParameterInfo,
  { tensors, folder }: { tensors: Map<string, StoredTensor>; folder: string },
): Float32Array {
  const tensor = tensors.get(name) ?? tensors.get(name.replace(/^transformer\./, ''));
  if (tensor?.shape.join() === shape.join()) return tensor.data;
  const found = tensor === undefined ? 'is missing' : `has shape [${tensor.shape.join(', ')}]`;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: in ${folder} ${name} ${found}, expected [${shape.join(', ')}]. Check that weights and config.json belong together.`,
  );
}
