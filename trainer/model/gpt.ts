import { checkCount, DpError } from '../../accounting/check.ts';
import { fillNormal } from './random.ts';

/** The size of a decoder-only transformer of the GPT-2 architecture. */
export interface GptConfig {
  readonly vocabularySize: number;
  /** Longest text in tokens: the number of learned positions. */
  readonly contextLength: number;
  readonly layers: number;
  /** Width of the residual stream; a multiple of `heads`. */
  readonly width: number;
  readonly heads: number;
}

/** The linear layers of a block, by their Hugging Face names. */
export type LinearLayer = 'attn.c_attn' | 'attn.c_proj' | 'mlp.c_fc' | 'mlp.c_proj';

/** Low-rank adapters (Hu et al., arXiv 2106.09685): y = x W + b + (alpha / rank) · x Aᵀ Bᵀ, with W and b frozen. */
export interface LoraConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly LinearLayer[];
}

/** Architecture and what of it is trained: `lora: null` trains every parameter. */
export interface ModelSpec {
  readonly config: GptConfig;
  readonly lora: LoraConfig | null;
}

/** One parameter of a model. */
export interface ParameterInfo {
  /** As in Hugging Face checkpoints, such as `transformer.h.0.attn.c_attn.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly trainable: boolean;
}

/** Row-major values by parameter name. */
export type Parameters = Map<string, Float32Array>;

/** The linear layers of a block in the order of the forward pass. */
export const linearLayers: readonly LinearLayer[] = ['attn.c_attn', 'attn.c_proj', 'mlp.c_fc', 'mlp.c_proj'];

/** Input and output width of a linear layer, in multiples of the model's width. */
const widths: Record<LinearLayer, readonly [number, number]> = {
  'attn.c_attn': [1, 3],
  'attn.c_proj': [1, 1],
  'mlp.c_fc': [1, 4],
  'mlp.c_proj': [4, 1],
};

const verb = 'build the model';

/**
 * Checks that a model can be built; every door of this folder calls it.
 *
 * @throws DpError `INVALID_ARGUMENT`
 */
export function checkSpec({ config, lora }: ModelSpec): void {
  for (const name of ['vocabularySize', 'contextLength', 'layers', 'width', 'heads'] as const) {
    checkCount(config[name], { verb, name });
  }
  if (config.width % config.heads !== 0) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: width ${config.width} is no multiple of ${config.heads} heads. Change either.`,
    );
  }
  if (lora !== null) checkLora(lora);
}

function checkLora({ rank, alpha, targets }: LoraConfig): void {
  checkCount(rank, { verb, name: 'lora.rank' });
  if (!(Number.isFinite(alpha) && alpha > 0)) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: lora.alpha is ${alpha}. Give a finite number above 0.`,
    );
  }
  const known = targets.every(target => linearLayers.includes(target));
  if (targets.length > 0 && known && new Set(targets).size === targets.length) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: lora.targets is ${JSON.stringify(targets)}. Name each of ${linearLayers.join(', ')} at most once, and at least one.`,
  );
}

/**
 * Every parameter of a model, in the order of the forward pass, adapters after the layer they adapt.
 *
 * Linear weights are [in, out] (the Conv1D layout of GPT-2 checkpoints); adapters are
 * `lora_A` [rank, in] and `lora_B` [out, rank]. The output head is the token embedding.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * parametersOf({ config, lora: null }).length; // 28
 * const lora = { rank: 4, alpha: 8, targets: ['attn.c_attn'] };
 * parametersOf({ config, lora }).filter(parameter => parameter.trainable).length; // 4
 * ```
 */
export function parametersOf(spec: ModelSpec): ParameterInfo[] {
  checkSpec(spec);
  const { config, lora } = spec;
  const base = (name: string, shape: readonly number[]): ParameterInfo => {
    return { name, shape, trainable: lora === null };
  };
  const norm = (name: string): ParameterInfo[] => {
    return [base(`${name}.weight`, [config.width]), base(`${name}.bias`, [config.width])];
  };
  const blocks = Array.from({ length: config.layers }, (_, layer) => {
    const block = blockName(layer);
    const [attention, attentionOut, hidden, hiddenOut] = linearLayers.map(target =>
      linear(spec, block, target),
    );
    return [
      norm(`${block}.ln_1`),
      attention!,
      attentionOut!,
      norm(`${block}.ln_2`),
      hidden!,
      hiddenOut!,
    ].flat();
  });
  return [
    base('transformer.wte.weight', [config.vocabularySize, config.width]),
    base('transformer.wpe.weight', [config.contextLength, config.width]),
    ...blocks.flat(),
    ...norm('transformer.ln_f'),
  ];
}

/** Prefix of a block's parameters. */
export function blockName(layer: number): string {
  return `transformer.h.${layer}`;
}

function linear({ config, lora }: ModelSpec, block: string, target: LinearLayer): ParameterInfo[] {
  const [inputs, outputs] = [widths[target][0] * config.width, widths[target][1] * config.width];
  const name = `${block}.${target}`;
  const layer: ParameterInfo[] = [
    { name: `${name}.weight`, shape: [inputs, outputs], trainable: lora === null },
    { name: `${name}.bias`, shape: [outputs], trainable: lora === null },
  ];
  if (lora === null || !lora.targets.includes(target)) return layer;
  return [
    ...layer,
    { name: `${name}.lora_A.weight`, shape: [lora.rank, inputs], trainable: true },
    { name: `${name}.lora_B.weight`, shape: [outputs, lora.rank], trainable: true },
  ];
}

/** Number of values in a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, extent) => size * extent, 1);
}

/** A model: its spec and its parameters. */
export interface Model {
  readonly spec: ModelSpec;
  readonly parameters: Parameters;
}

/**
 * Fresh parameters, a pure function of the spec and the seed: N(0, 0.02² · 768 / width), which is GPT-2's
 * at GPT-2's width, the two projections into the residual stream divided by √(2 · layers), norms at the identity, biases 0; adapters
 * `lora_A` ~ N(0, 1 / in) and `lora_B` = 0, so that a fresh adapter changes nothing.
 *
 * Each parameter draws from a stream of its own, so adding adapters leaves the rest as it was.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 1, width: 8, heads: 2 };
 * const parameters = initialiseParameters({ config, lora: null }, { seed: 'demo' });
 * parameters.get('transformer.ln_f.weight')[0]; // 1
 * ```
 */
export function initialiseParameters(spec: ModelSpec, { seed }: { seed: string | number }): Parameters {
  return new Map(
    parametersOf(spec).map(parameter => [parameter.name, initialValues(parameter, { spec, seed })]),
  );
}

/** GPT-2's 0.02 belongs to its width of 768; kept for width 64 it leaves the loss on a plateau for hundreds of steps. */
function startingDeviation({ config }: ModelSpec): number {
  return 0.02 * Math.sqrt(768 / config.width);
}

/** Starting values of one parameter. */
export function initialValues(
  { name, shape }: ParameterInfo,
  { spec, seed }: { spec: ModelSpec; seed: string | number },
): Float32Array {
  const values = new Float32Array(sizeOf(shape));
  if (/ln_\w\.weight$/.test(name)) return values.fill(1);
  if (/(\.bias|lora_B\.weight)$/.test(name)) return values;
  const residual = name.endsWith('c_proj.weight') ? Math.sqrt(2 * spec.config.layers) : 1;
  const deviation = name.endsWith('lora_A.weight')
    ? 1 / Math.sqrt(shape[1]!)
    : startingDeviation(spec) / residual;
  return fillNormal(values, { deviation, seed: `${seed}/${name}` });
}
