import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parametersOf, type Model } from '../../trainer/model/gpt.ts';
import { rawFloats, writeRawTensors, type RawTensor } from './raw-safetensors.ts';

/** `config.json` as Hugging Face's transformers write it for a GPT-2, whole. */
export function huggingFaceConfig({ spec: { config } }: Model): Record<string, unknown> {
  return {
    _name_or_path: 'somewhere/gpt2',
    activation_function: 'gelu_new',
    architectures: ['GPT2LMHeadModel'],
    attn_pdrop: 0.1,
    bos_token_id: 10,
    embd_pdrop: 0.1,
    eos_token_id: 10,
    initializer_range: 0.02,
    layer_norm_epsilon: 1e-5,
    model_type: 'gpt2',
    n_ctx: config.contextLength,
    n_embd: config.width,
    n_head: config.heads,
    n_inner: null,
    n_layer: config.layers,
    n_positions: config.contextLength,
    reorder_and_upcast_attn: false,
    resid_pdrop: 0.1,
    scale_attn_by_inverse_layer_idx: false,
    scale_attn_weights: true,
    task_specific_params: { 'text-generation': { do_sample: true, max_length: 50 } },
    torch_dtype: 'float16',
    transformers_version: '4.40.0',
    use_cache: true,
    vocab_size: config.vocabularySize,
  };
}

/** A model's parameters as raw tensors, named as the bare model's (`h.0.ln_1.weight`) or with the prefix. */
export function rawParameters(model: Model, prefix: 'transformer.' | '' = 'transformer.'): RawTensor[] {
  return parametersOf(model.spec).map(({ name, shape }) =>
    rawFloats(name.replace(/^transformer\./, prefix), shape, model.parameters.get(name)!),
  );
}

/** A Hugging Face folder without provenance, written without the code under test. */
export function writeCheckpoint(
  folder: string,
  model: Model,
  options: { tensors?: readonly RawTensor[]; config?: Readonly<Record<string, unknown>> } = {},
): void {
  mkdirSync(folder, { recursive: true });
  const { tensors = rawParameters(model), config = {} } = options;
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ ...huggingFaceConfig(model), ...config }, null, 2),
  );
  writeRawTensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
}

/** Changes fields of a JSON file; undefined takes a field out. */
export function changeJson(path: string, change: Readonly<Record<string, unknown>>): void {
  writeFileSync(path, JSON.stringify({ ...readJson(path), ...change }));
}

/** A JSON object from a file. */
export function readJson(path: string): Record<string, unknown> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- a file that this test wrote
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}
