import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { isTextRecord, readJsonObject } from './json.ts';
import { claimOfMetadata, type Claim } from './provenance.ts';
import { openSafetensors, type SafetensorsFile } from './safetensors.ts';

/** The tensors of a folder, in one safetensors file or spread over several. */
export interface WeightFiles {
  /** The file of each tensor, by the tensor's name there. */
  readonly files: ReadonlyMap<string, SafetensorsFile>;
  /** What the files say of where the weights are from. */
  readonly claims: readonly Claim[];
  close(): Promise<void>;
}

const weightsFile = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';

function invalid(reason: string): DpError {
  return new DpError('INVALID_DATA', `Cannot load the model: ${reason}. Give a whole folder.`);
}

/**
 * Opens `model.safetensors`, or the files that `model.safetensors.index.json` names.
 *
 * @throws DpError `MISSING_FILE`; `INVALID_DATA` where index and files contradict each other
 */
export async function openWeightFiles(folder: string): Promise<WeightFiles> {
  if (existsSync(join(folder, weightsFile))) return openFiles([join(folder, weightsFile)]);
  if (!existsSync(join(folder, indexFile))) {
    throw new DpError(
      'MISSING_FILE',
      `Cannot load the model: ${folder} has neither ${weightsFile} nor ${indexFile}. Save it as safetensors.`,
    );
  }
  const placed = await readIndex(join(folder, indexFile));
  const opened = await openFiles([...new Set(placed.values())].map(name => join(folder, name)));
  for (const [tensor, name] of placed) {
    if (opened.files.get(tensor)?.path === join(folder, name)) continue;
    await opened.close();
    throw invalid(`${indexFile} places ${tensor} in ${name}, which does not hold it`);
  }
  return opened;
}

async function readIndex(path: string): Promise<Map<string, string>> {
  const { weight_map: placed } = await readJsonObject(path);
  if (!isTextRecord(placed)) throw invalid(`${path} has no weight_map of names`);
  for (const name of Object.values(placed)) {
    if (!/^[^/\\]+\.safetensors$/.test(name))
      throw invalid(`${path} names ${JSON.stringify(name)}, which is no safetensors file beside it`);
  }
  return new Map(Object.entries(placed));
}

/** Opens safetensors files that share no name. */
export async function openFiles(paths: readonly string[]): Promise<WeightFiles> {
  const opened: SafetensorsFile[] = [];
  const close = async (): Promise<void> => {
    for (const file of opened) await file.close();
  };
  try {
    for (const path of paths) opened.push(await openSafetensors(path));
    const claims = opened.map(({ metadata, path }) => claimOfMetadata(metadata, path));
    return { files: byTensor(opened), claims, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function byTensor(opened: readonly SafetensorsFile[]): Map<string, SafetensorsFile> {
  const files = new Map<string, SafetensorsFile>();
  for (const file of opened) {
    for (const name of file.entries.keys()) {
      const other = files.get(name);
      if (other !== undefined) throw invalid(`${name} is both in ${other.path} and in ${file.path}`);
      files.set(name, file);
    }
  }
  return files;
}
