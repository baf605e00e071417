import type { GraphBuilder, Tensor } from '../graph/graph.ts';
import { addPositions, affine, embed, layerNorm, project } from '../graph/layers.ts';
import { add, gelu, matmul, reshape, scale, softmax, split, transpose } from '../graph/operations.ts';
import { blockName, type LinearLayer, type ModelSpec } from './gpt.ts';

/** The parameters of a model as inputs of a graph. */
export type BoundParameters = ReadonlyMap<string, Tensor>;

/** The token embedding, which is the output head too. */
export const tokenTable = 'transformer.wte.weight';

/** Everything that the layers of one forward pass share. */
interface Pass {
  readonly builder: GraphBuilder;
  readonly spec: ModelSpec;
  readonly parameters: BoundParameters;
  readonly rows: number;
  readonly tokens: number;
}

/**
 * Hidden states of a GPT-2: token and position embeddings, pre-norm blocks, a final norm (Radford et al. 2019,
 * Sec. 2.3). Logits are their products with the rows of the token embedding.
 *
 * @param options - inputs: token ids, int32 [rows · tokens]
 * @returns [rows · tokens, width]; a token's state depends on it and the tokens before it in its row
 */
export function forward(
  builder: GraphBuilder,
  options: Omit<Pass, 'builder'> & { readonly inputs: Tensor },
): Tensor {
  const { inputs, ...rest } = options;
  const pass: Pass = { builder, ...rest };
  const table = parameter(pass, tokenTable);
  const embedded = embed(builder, { table, indices: inputs });
  const positions = parameter(pass, 'transformer.wpe.weight');
  let stream = addPositions(builder, { input: embedded, table: positions, tokens: pass.tokens });
  for (let layer = 0; layer < pass.spec.config.layers; layer++) {
    stream = block(pass, { stream, name: blockName(layer) });
  }
  return norm(pass, { input: stream, name: 'transformer.ln_f' });
}

function parameter({ parameters }: Pass, name: string): Tensor {
  return parameters.get(name)!;
}

function norm(pass: Pass, { input, name }: { input: Tensor; name: string }): Tensor {
  const gain = parameter(pass, `${name}.weight`);
  const bias = parameter(pass, `${name}.bias`);
  return layerNorm(pass.builder, { input, gain, bias });
}

function block(pass: Pass, { stream, name }: { stream: Tensor; name: string }): Tensor {
  const { builder } = pass;
  const heard = attention(pass, { input: norm(pass, { input: stream, name: `${name}.ln_1` }), name });
  const attended = add(builder, [stream, heard]);
  const normal = norm(pass, { input: attended, name: `${name}.ln_2` });
  const hidden = gelu(builder, linear(pass, { input: normal, block: name, layer: 'mlp.c_fc' }));
  return add(builder, [attended, linear(pass, { input: hidden, block: name, layer: 'mlp.c_proj' })]);
}

/** x W + b, and what the adapter adds to it where the layer has one. */
function linear(pass: Pass, options: { input: Tensor; block: string; layer: LinearLayer }): Tensor {
  const { builder, spec } = pass;
  const { input, layer } = options;
  const name = `${options.block}.${layer}`;
  const weight = parameter(pass, `${name}.weight`);
  const output = affine(builder, { input, weight, bias: parameter(pass, `${name}.bias`) });
  if (spec.lora === null || !spec.lora.targets.includes(layer)) return output;
  const down = project(builder, { input, weight: parameter(pass, `${name}.lora_A.weight`) });
  const scaled = scale(builder, { input: down, factor: spec.lora.alpha / spec.lora.rank });
  const up = project(builder, { input: scaled, weight: parameter(pass, `${name}.lora_B.weight`) });
  return add(builder, [output, up]);
}

/** Causal self-attention with several heads. */
function attention(pass: Pass, { input, name }: { input: Tensor; name: string }): Tensor {
  const { builder, spec, rows, tokens } = pass;
  const { heads, width } = spec.config;
  const size = width / heads;
  const joint = linear(pass, { input, block: name, layer: 'attn.c_attn' });
  const parted = reshape(builder, { input: joint, shape: [rows, tokens, 3, heads, size] });
  const byHead = transpose(builder, { input: parted, permutation: [2, 0, 3, 1, 4] });
  const flat = reshape(builder, { input: byHead, shape: [3 * rows * heads, tokens, size] });
  const [queries, keys, values] = split(builder, { input: flat, parts: 3 });
  const scores = matmul(builder, {
    left: queries!,
    right: keys!,
    transposeRight: true,
    scale: 1 / Math.sqrt(size),
  });
  const weights = softmax(builder, add(builder, [scores, causalMask(builder, tokens)]));
  const mixed = reshape(builder, {
    input: matmul(builder, { left: weights, right: values! }),
    shape: [rows, heads, tokens, size],
  });
  const byToken = transpose(builder, { input: mixed, permutation: [0, 2, 1, 3] });
  const output = reshape(builder, { input: byToken, shape: [rows * tokens, width] });
  return linear(pass, { input: output, block: name, layer: 'attn.c_proj' });
}

/** 0 where a token may look, -∞ at the tokens after it. */
function causalMask(builder: GraphBuilder, tokens: number): Tensor {
  const mask = Float32Array.from({ length: tokens * tokens }, (_, index) =>
    index % tokens > Math.floor(index / tokens) ? -Infinity : 0,
  );
  return builder.constant(mask, [tokens, tokens]);
}
