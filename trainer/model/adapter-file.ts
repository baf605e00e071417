import { DpError } from '../../accounting/check.ts';
import { linearLayers, type LinearLayer, type LoraConfig } from './gpt.ts';
import type { JsonObject } from './json.ts';

// The layout of PEFT: https://huggingface.co/docs/peft/developer_guides/checkpoint

/** The contents of `adapter_config.json` that we read. */
export interface AdapterFile {
  readonly rank: number;
  readonly alpha: number;
  /** Folder or name of the model that the adapter belongs to. */
  readonly base: string;
}

/** The contents of `adapter_config.json`; GPT-2's linear layers are Conv1D, hence `fan_in_fan_out`. */
export function adapterFileOf({ rank, alpha, targets }: LoraConfig, base: string): JsonObject {
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    revision: null,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets,
    fan_in_fan_out: true,
    bias: 'none',
    modules_to_save: null,
    init_lora_weights: true,
    layers_to_transform: null,
    layers_pattern: null,
  };
}

/** Our name of an adapter's tensor under PEFT. */
export function adapterTensorName(name: string): string {
  return `base_model.model.${name}`;
}

function unsupported(path: string, found: string): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot load the adapter: ${path} has ${found}. Give a plain LoRA adapter of a GPT-2.`,
  );
}

/** Settings that would make it another function; empty, null, false and absent leave it ours. */
const foreign = [
  'use_dora',
  'lora_bias',
  'rank_pattern',
  'alpha_pattern',
  'modules_to_save',
  'layers_to_transform',
  'layer_replication',
  'trainable_token_indices',
  'target_parameters',
];

function isAbsent(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/**
 * Reads `adapter_config.json`. With `use_rslora` PEFT scales by alpha / √rank; alpha comes back multiplied so
 * that alpha / rank is that.
 *
 * @throws DpError `INVALID_DATA` for anything but LoRA on linear layers
 */
export function parseAdapterFile(file: JsonObject, path: string): AdapterFile {
  const { peft_type: type, bias = 'none', r: rank, lora_alpha: alpha, base_model_name_or_path: base } = file;
  if (type !== 'LORA') throw unsupported(path, `peft_type ${JSON.stringify(type)}`);
  if (bias !== 'none') throw unsupported(path, `bias ${JSON.stringify(bias)}`);
  const odd = foreign.find(name => !isAbsent(file[name]));
  if (odd !== undefined) throw unsupported(path, `${odd} ${JSON.stringify(file[odd])}`);
  if (typeof rank !== 'number' || typeof alpha !== 'number')
    throw unsupported(path, `r ${JSON.stringify(rank)} and lora_alpha ${JSON.stringify(alpha)}`);
  if (typeof base !== 'string' || base === '')
    throw unsupported(path, `base_model_name_or_path ${JSON.stringify(base)}`);
  return { rank, alpha: file['use_rslora'] === true ? alpha * Math.sqrt(rank) : alpha, base };
}

/** The linear layers that some tensor adapts, in the order of the forward pass. */
export function adaptedLayers(names: Iterable<string>): LinearLayer[] {
  const all = [...names];
  return linearLayers.filter(layer => all.some(name => name.includes(`.${layer}.lora_`)));
}
