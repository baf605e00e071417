import { DpError } from '../../accounting/check.ts';
import type { ParameterInfo, Parameters } from './gpt.ts';
import type { SafetensorsFile } from './safetensors.ts';

/** A tensor of a file under the name that we know it by. */
interface StoredName {
  readonly stored: string;
  readonly file: SafetensorsFile;
}

/** What checkpoints hold beside the parameters: masks that follow from the architecture, and the head. */
const derived = /^transformer\.h\.\d+\.attn\.(masked_)?bias$/;
const head = 'lm_head.weight';
const embedding = 'transformer.wte.weight';

/**
 * Our name of a tensor: checkpoints of the bare model lack the prefix `transformer.`, adapters of PEFT carry
 * `base_model.model.` before it.
 *
 * @example
 * ```ts
 * parameterName('h.0.ln_1.bias'); // 'transformer.h.0.ln_1.bias'
 * parameterName('base_model.model.transformer.h.0.mlp.c_fc.lora_A.weight'); // 'transformer.h.0.mlp.c_fc.lora_A.weight'
 * ```
 */
export function parameterName(stored: string): string {
  const bare = stored.replace(/^base_model\.model\./, '').replace(/(\.lora_[AB])\.default\b/, '$1');
  return bare.startsWith('transformer.') || bare === head ? bare : `transformer.${bare}`;
}

function invalid(reason: string, advice: string): DpError {
  return new DpError('INVALID_DATA', `Cannot load the model: ${reason}. ${advice}`);
}

const belong = 'Check that weights and configuration belong together.';

/**
 * Reads the parameters of a model, one after the other, each into an array of its own.
 *
 * Everything that the files hold must be one of them, a mask, or the output head, which must be the token
 * embedding once more: a tensor that was passed over in silence would make it another model.
 *
 * @throws DpError `INVALID_DATA` with the tensor's name where one is missing, has another shape or type, is
 *   there twice, isn't known, or holds a value that is not finite
 */
export async function readParameters(
  infos: readonly ParameterInfo[],
  { files, folder }: { files: ReadonlyMap<string, SafetensorsFile>; folder: string },
): Promise<Parameters> {
  const named = byParameter(files, folder);
  const known = new Set(infos.map(({ name }) => name));
  for (const info of infos) checkShape(info, { found: named.get(info.name), folder });
  for (const [name, { stored }] of named) {
    if (known.has(name) || (known.has(embedding) && (name === head || derived.test(name)))) continue;
    throw invalid(`${folder} holds ${stored}, which its configuration has no place for`, belong);
  }
  const parameters: Parameters = new Map();
  for (const { name } of infos) parameters.set(name, await readFinite(named.get(name)!, folder));
  await checkHead(named.get(head), { embedding: parameters.get(embedding), folder });
  return parameters;
}

function byParameter(files: ReadonlyMap<string, SafetensorsFile>, folder: string): Map<string, StoredName> {
  const named = new Map<string, StoredName>();
  for (const [stored, file] of files) {
    const name = parameterName(stored);
    const other = named.get(name)?.stored;
    if (other !== undefined) throw invalid(`${folder} holds both ${other} and ${stored}`, 'Keep one.');
    named.set(name, { stored, file });
  }
  return named;
}

function checkShape(
  { name, shape }: ParameterInfo,
  { found, folder }: { found: StoredName | undefined; folder: string },
): void {
  const stored = found?.file.entries.get(found.stored)?.shape;
  if (stored?.join() === shape.join()) return;
  const finding = stored === undefined ? 'is missing' : `has shape [${stored.join(', ')}]`;
  throw invalid(`in ${folder} ${name} ${finding}, expected [${shape.join(', ')}]`, belong);
}

async function readFinite({ stored, file }: StoredName, folder: string): Promise<Float32Array> {
  const values = await file.read(stored);
  const position = firstNotFinite(values);
  if (position === -1) return values;
  throw invalid(
    `in ${folder} value ${position} of ${stored} is ${values[position]}`,
    'Give a checkpoint whose weights are finite.',
  );
}

function firstNotFinite(values: Float32Array): number {
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(values[index])) return index;
  }
  return -1;
}

async function checkHead(
  found: StoredName | undefined,
  options: { embedding: Float32Array | undefined; folder: string },
): Promise<void> {
  if (found === undefined || options.embedding === undefined) return;
  if (await found.file.equals(found.stored, options.embedding)) return;
  throw invalid(
    `in ${options.folder} ${head} is not the token embedding, but our output head is`,
    'Give a checkpoint with tied embeddings.',
  );
}
