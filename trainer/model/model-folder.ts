import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFailure } from '../../selection/tables/output.ts';

/** The files of a model's folder, under Hugging Face's names and PEFT's; provenance under ours. */
export const fileNames = {
  config: 'config.json',
  weights: 'model.safetensors',
  weightsIndex: 'model.safetensors.index.json',
  adapterConfig: 'adapter_config.json',
  adapterWeights: 'adapter_model.safetensors',
  provenance: 'provenance.json',
} as const;

/** Metadata of an adapter: the digest of the weights it was trained on. */
export const baseDigestKey = 'privacy_unit_base';

/** One file of a folder and how it is written to a path. */
export interface FilePart {
  readonly name: string;
  readonly write: (path: string) => Promise<void>;
}

/** A text as a file, flushed to the disk. */
export function textPart(name: string, text: string): FilePart {
  const write = async (path: string): Promise<void> => {
    const file = await open(path, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return { name, write };
}

/** A value as a JSON file. */
export function jsonPart(name: string, value: unknown): FilePart {
  return textPart(name, `${JSON.stringify(value, null, 2)}\n`);
}

/**
 * Writes the files of a model and takes away those of a model that lay there before. The folder is never readable
 * in between: the files that say what it holds go first, and the last part comes back last.
 *
 * @throws DpError `OUTPUT_FAILED` where the folder is no good or full
 */
export async function writeModelFolder(folder: string, parts: readonly FilePart[]): Promise<void> {
  const partial = (name: string): string => join(folder, `${name}.partial`);
  try {
    await mkdir(folder, { recursive: true });
    for (const { name, write } of parts) await write(partial(name));
    const { config, adapterConfig, ...others } = fileNames;
    for (const name of [config, adapterConfig, ...Object.values(others)])
      await rm(join(folder, name), { force: true });
    for (const { name } of parts) await rename(partial(name), join(folder, name));
  } catch (error) {
    for (const { name } of parts) await rm(partial(name), { force: true }).catch(() => {});
    throw writeFailure(folder, error);
  }
}
