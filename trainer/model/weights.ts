import { existsSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { parametersDigest } from '../digest.ts';
import { adaptedLayers, parseAdapterFile, type AdapterFile } from './adapter-file.ts';
import { specOfConfigFile } from './config-file.ts';
import { parametersOf, type Model, type ModelSpec, type Parameters } from './gpt.ts';
import { readJsonObject } from './json.ts';
import { baseDigestKey, fileNames } from './model-folder.ts';
import { provenanceKey, provenanceOf, type Claim, type Provenance } from './provenance.ts';
import { parameterName, readParameters } from './read-parameters.ts';
import type { StoredModel } from './stored-model.ts';
import { openFiles, openWeightFiles, type WeightFiles } from './weight-files.ts';

export type { Provenance } from './provenance.ts';
export { portableLayout, saveModel, type SaveLayout, type SaveOptions } from './save.ts';
export type { ModelSource, StoredModel } from './stored-model.ts';

/** What a folder doesn't say of itself. */
export interface LoadOptions {
  /**
   * Taken where no file says where the model is from, as with downloaded checkpoints, and where it says private;
   * whoever gives it vouches for it.
   */
  readonly provenance?: Provenance | undefined;
  /** Folder of the model that an adapter belongs to, where it isn't where `adapter_config.json` says. */
  readonly base?: string | undefined;
}

/**
 * Reads a model of the GPT-2 architecture: one of ours, a checkpoint in Hugging Face's form (one safetensors file
 * or several; float32, float16 or bfloat16; with or without the prefix `transformer.`), or a LoRA adapter in
 * PEFT's form together with the model it belongs to. Values come as float32 and take the model's size once.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where the parts don't fit together or nobody says where the model is from
 */
export async function loadModel(folder: string, options: LoadOptions = {}): Promise<StoredModel> {
  const isAdapter = existsSync(join(folder, fileNames.adapterConfig));
  return isAdapter ? loadAdapted(folder, options) : loadWhole(folder, options);
}

async function loadWhole(folder: string, options: LoadOptions): Promise<StoredModel> {
  const path = join(folder, fileNames.config);
  const config = await readJsonObject(path);
  const spec = specOfConfigFile(config, path);
  const opened = await openWeightFiles(folder);
  try {
    const said = [
      await claimOfFolder(folder),
      { place: path, value: config[provenanceKey] },
      ...opened.claims,
    ];
    const provenance = provenanceOf(said, { folder, given: options.provenance });
    const parameters = await readParameters(parametersOf(spec), { files: opened.files, folder });
    return { spec, parameters, provenance, source: { folder: resolve(folder), config } };
  } finally {
    await opened.close();
  }
}

async function claimOfFolder(folder: string): Promise<Claim> {
  const place = join(folder, fileNames.provenance);
  return { place, value: existsSync(place) ? await readJsonObject(place) : undefined };
}

async function loadAdapted(folder: string, options: LoadOptions): Promise<StoredModel> {
  const path = join(folder, fileNames.adapterConfig);
  const adapter = parseAdapterFile(await readJsonObject(path), path);
  const opened = await openFiles([join(folder, fileNames.adapterWeights)]);
  try {
    const said = [await claimOfFolder(folder), ...opened.claims];
    const provenance = provenanceOf(said, { folder, given: options.provenance });
    const base = await loadWhole(baseFolder(adapter, { folder, ...options }), options);
    checkBase(base, { opened, folder });
    const adapted = await withAdapter(base, { adapter, opened, folder });
    const source = { ...base.source!, ...nameIn(adapter, folder) };
    return { ...base, ...adapted, source, provenance: joint(provenance, base.provenance) };
  } finally {
    await opened.close();
  }
}

/** What an adapter calls its base, unless that is a path, which means nothing elsewhere. */
function nameIn({ base }: AdapterFile, folder: string): { name?: string } {
  const isPath = isAbsolute(base) || base.startsWith('.') || existsSync(join(folder, base));
  return isPath ? {} : { name: base };
}

function baseFolder({ base }: AdapterFile, options: { folder: string } & LoadOptions): string {
  const places = isAbsolute(base) ? [base] : [join(options.folder, base), resolve(base)];
  const found = options.base ?? places.find(place => existsSync(join(place, fileNames.config)));
  if (found !== undefined) return found;
  throw new DpError(
    'MISSING_FILE',
    `Cannot load the adapter: no folder ${base} holds the model that ${options.folder} belongs to. ` +
      'Give its folder (--base-model).',
  );
}

function checkBase(
  { spec, parameters }: StoredModel,
  options: { opened: WeightFiles; folder: string },
): void {
  const { opened, folder } = options;
  if (spec.lora !== null) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot load the adapter: the model that ${folder} belongs to has adapters already. Merge those first.`,
    );
  }
  const [file] = opened.files.values();
  const expected = file?.metadata[baseDigestKey];
  if (expected === undefined || expected === parametersDigest(parameters)) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the adapter: ${folder} was trained on other weights than those given as its base. Give that model.`,
  );
}

async function withAdapter(
  base: Model,
  options: { adapter: AdapterFile; opened: WeightFiles; folder: string },
): Promise<Model> {
  const { adapter, opened, folder } = options;
  const { rank, alpha } = adapter;
  const targets = adaptedLayers([...opened.files.keys()].map(parameterName));
  const spec: ModelSpec = { config: base.spec.config, lora: { rank, alpha, targets } };
  const infos = parametersOf(spec);
  const own = infos.filter(({ trainable }) => trainable);
  const adapters = await readParameters(own, { files: opened.files, folder });
  const parameters: Parameters = new Map(
    infos.map(({ name }) => [name, adapters.get(name) ?? base.parameters.get(name)!]),
  );
  return { spec, parameters };
}

/** No promise of an adapter covers what its base had seen before. */
function joint(adapter: Provenance, base: Provenance): Provenance {
  if (base.trainedOn === 'public') return { ...adapter, tokenizer: base.tokenizer };
  return { trainedOn: 'private', tokenizer: base.tokenizer };
}
