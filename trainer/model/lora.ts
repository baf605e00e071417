import { DpError } from '../../accounting/check.ts';
import {
  initialValues,
  parametersOf,
  type LoraConfig,
  type Model,
  type ModelSpec,
  type ParameterInfo,
} from './gpt.ts';

/**
 * The same model with fresh adapters; its own parameters are shared, not copied, and become frozen.
 *
 * @throws DpError `INVALID_ARGUMENT`, also where the model has adapters already
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 1, width: 8, heads: 2 };
 * const model = { spec: { config, lora: null }, parameters: new Map() };
 * const adapted = withLora(model, { lora: { rank: 2, alpha: 4, targets: ['attn.c_attn'] }, seed: 1 });
 * adapted.parameters.get('transformer.h.0.attn.c_attn.lora_A.weight')!.length; // 16
 * ```
 */
export function withLora(model: Model, { lora, seed }: { lora: LoraConfig; seed: string | number }): Model {
  if (model.spec.lora !== null) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot add adapters: it has adapters of rank ${model.spec.lora.rank} already. Merge them first.`,
    );
  }
  const spec = { config: model.spec.config, lora };
  const parameters = parametersOf(spec).map(parameter => {
    const kept = model.parameters.get(parameter.name);
    return [parameter.name, kept ?? initialValues(parameter, { spec, seed })] as const;
  });
  return { spec, parameters: new Map(parameters) };
}

/** The same function without adapters: W + (alpha / rank) · Aᵀ Bᵀ in place of W; a model without adapters comes back as it is. */
export function mergeLora(model: Model): Model {
  if (model.spec.lora === null) return model;
  const spec: ModelSpec = { config: model.spec.config, lora: null };
  const parameters = parametersOf(spec).map(info => [info.name, mergedParameter(model, info)] as const);
  return { spec, parameters: new Map(parameters) };
}

/** One parameter as `mergeLora` gives it: the same array where no adapter belongs to it. */
export function mergedParameter(
  { spec: { lora }, parameters }: Model,
  { name, shape }: Pick<ParameterInfo, 'name' | 'shape'>,
): Float32Array {
  const adapter = name.replace(/\.weight$/, '');
  const down = parameters.get(`${adapter}.lora_A.weight`);
  const up = parameters.get(`${adapter}.lora_B.weight`);
  const values = parameters.get(name)!;
  if (lora === null || down === undefined || up === undefined) return values;
  return mergedWeight(values, { shape, down, up, lora });
}

function mergedWeight(
  weight: Float32Array,
  options: { shape: readonly number[]; down: Float32Array; up: Float32Array; lora: LoraConfig },
): Float32Array {
  const { down, up, lora } = options;
  const [inputs, outputs] = [options.shape[0]!, options.shape[1]!];
  const scale = lora.alpha / lora.rank;
  const merged = Float32Array.from(weight);
  const reduced = new Float64Array(lora.rank);
  for (let row = 0; row < inputs; row++) {
    for (let k = 0; k < lora.rank; k++) reduced[k] = scale * down[k * inputs + row]!;
    for (let column = 0; column < outputs; column++) {
      let sum = 0;
      for (let k = 0; k < reduced.length; k++) sum += reduced[k]! * up[column * reduced.length + k]!;
      merged[row * outputs + column]! += sum;
    }
  }
  return merged;
}
