import { DpError } from '../../accounting/check.ts';
import { initialValues, parametersOf, type LoraConfig, type Model, type ModelSpec } from './gpt.ts';

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
  const { config, lora } = model.spec;
  if (lora === null) return model;
  const spec: ModelSpec = { config, lora: null };
  const parameters = parametersOf(spec).map(({ name, shape }) => {
    const adapter = name.replace(/\.weight$/, '');
    const down = model.parameters.get(`${adapter}.lora_A.weight`);
    const up = model.parameters.get(`${adapter}.lora_B.weight`);
    const values = model.parameters.get(name)!;
    if (down === undefined || up === undefined) return [name, values] as const;
    return [name, mergedWeight(values, { shape, down, up, lora })] as const;
  });
  return { spec, parameters: new Map(parameters) };
}

function mergedWeight(
  weight: Float32Array,
  options: { shape: readonly number[]; down: Float32Array; up: Float32Array; lora: LoraConfig },
): Float32Array {
  const { down, up, lora } = options;
  const [inputs, outputs] = [options.shape[0]!, options.shape[1]!];
  const scale = lora.alpha / lora.rank;
  const merged = Float32Array.from(weight);
  for (let row = 0; row < inputs; row++) {
    for (let column = 0; column < outputs; column++) {
      let sum = 0;
      for (let k = 0; k < lora.rank; k++) sum += down[k * inputs + row]! * up[column * lora.rank + k]!;
      merged[row * outputs + column]! += scale * sum;
    }
  }
  return merged;
}
