import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { configFileOf, readJsonObject, specOfConfigFile } from './config-file.ts';
import { parametersOf, type Model, type ParameterInfo } from './gpt.ts';
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
  try {
    await writeSafetensors(partial(weightsFile), tensors);
    await writeJson(partial(provenanceFile), provenance);
    await writeJson(partial(configFile), configFileOf(spec));
  } catch (error) {
    for (const name of [weightsFile, provenanceFile, configFile]) await rm(partial(name), { force: true });
    throw error;
  }
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
  const config = join(folder, configFile);
  const spec = specOfConfigFile(await readJsonObject(config), config);
  const provenance = await provenanceOf(folder, options.provenance);
  const tensors = await readSafetensors(join(folder, weightsFile));
  const parameters = new Map(
    parametersOf(spec).map(info => [info.name, tensorOf(info, { tensors, folder })]),
  );
  return { spec, parameters, provenance };
}

async function provenanceOf(folder: string, given: Provenance | undefined): Promise<Provenance> {
  const path = join(folder, provenanceFile);
  const stored = await readJsonObject(path).catch((error: unknown) => {
    if (given !== undefined && error instanceof DpError && error.code === 'MISSING_FILE') return given;
    throw error;
  });
  if (isProvenance(stored)) return stored;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: ${path} names no trainedOn ('public' or 'private') and tokenizer. Restore the file.`,
  );
}

function isProvenance(value: object): value is Provenance {
  const known = 'trainedOn' in value && (value.trainedOn === 'public' || value.trainedOn === 'private');
  return known && 'tokenizer' in value && typeof value.tokenizer === 'string';
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
