import { checkCount, DpError } from '../../accounting/check.ts';
import { backward } from '../graph/backward.ts';
import { clipByUnit } from '../graph/clip.ts';
import { GraphBuilder, type Graph, type Tensor } from '../graph/graph.ts';
import { gradientParts, type ClipRule, type TrainableGradient } from '../graph/gradient-parts.ts';
import { headLoss } from '../graph/layers.ts';
import { reshape, sum } from '../graph/operations.ts';
import { unitGradient } from '../graph/unit-gradients.ts';
import { forward, tokenTable, type BoundParameters } from './forward.ts';
import { parametersOf, type ModelSpec } from './gpt.ts';

/** How a micro-batch is laid out: rows of one unit lie together, tokens of one row lie together. */
export interface BatchShape {
  readonly units: number;
  readonly rowsPerUnit: number;
  readonly tokens: number;
}

const verb = 'build the step';

function checkTokens(spec: ModelSpec, tokens: number): void {
  checkCount(tokens, { verb, name: 'tokens' });
  if (tokens <= spec.config.contextLength) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot ${verb}: rows of ${tokens} tokens exceed the context of ${spec.config.contextLength}. Cut them shorter.`,
  );
}

/** Declares every parameter as an input; `training` decides whether trainable ones are differentiated by. */
function bindParameters(
  builder: GraphBuilder,
  { spec, training }: { spec: ModelSpec; training: boolean },
): BoundParameters {
  return new Map(
    parametersOf(spec).map(({ name, shape, trainable }) => {
      return [name, builder.input(name, { shape, differentiable: training && trainable })];
    }),
  );
}

/** Inputs of a batch and the weighted loss of each of its tokens. */
function tokenLosses(
  builder: GraphBuilder,
  options: { spec: ModelSpec; parameters: BoundParameters; rows: number; tokens: number },
): Tensor {
  const { rows, tokens } = options;
  const shape = [rows * tokens];
  const inputs = builder.input('inputIds', { shape, type: 'int32' });
  const targets = builder.input('targetIds', { shape, type: 'int32' });
  const weights = builder.input('tokenWeights', { shape });
  const input = forward(builder, { ...options, inputs });
  return headLoss(builder, { input, table: options.parameters.get(tokenTable)!, targets, weights });
}

/**
 * One training step as a graph: forward, backward, the norm of each unit's gradient, clipping, the clipped sum.
 *
 * Inputs: every parameter by its name; `inputIds`, `targetIds` int32 and `tokenWeights` float32, all
 * [units · rowsPerUnit · tokens]; `clipNorm` float32 []. A unit's loss is the sum over its tokens of
 * tokenWeights · negative log-likelihood. Padding has weight 0 and comes after the text.
 *
 * Outputs: `unitLoss` [units], `unitNorm` [units], and `clipped:NAME` for each trainable parameter:
 * Σ over units of min(1, clipNorm / norm) · gradient. A unit whose norm is not finite adds exactly 0.
 *
 * With `units: 1` and a huge clipNorm such as 3e38 that is the ordinary gradient of all rows.
 *
 * No rule loops over units. Each matrix goes by the one that costs less, `cheaperRule`: gradients of all units
 * kept side by side, or ghost norms; `options.rule` names one for all of them. They agree to 1e-5.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * const lora = { rank: 4, alpha: 8, targets: ['attn.c_proj'] as const };
 * const graph = buildStepGraph({ config, lora }, { units: 8, rowsPerUnit: 1, tokens: 32 });
 * graph.outputs.map(output => output.name).slice(0, 3); // ['unitLoss', 'unitNorm', 'clipped:transformer.h.0.attn.c_proj.lora_A.weight']
 * ```
 */
export function buildStepGraph(spec: ModelSpec, shape: BatchShape, options: { rule?: ClipRule } = {}): Graph {
  const units = checkCount(shape.units, { verb, name: 'units' });
  const rows = units * checkCount(shape.rowsPerUnit, { verb, name: 'rowsPerUnit' });
  const builder = new GraphBuilder({ units });
  const { losses, gradients } = lossesAndGradients(builder, { spec, rows, tokens: shape.tokens });
  const { norm, sums } = clipByUnit(builder, {
    parts: gradientParts(builder, { gradients, rows: rows * shape.tokens, rule: options.rule }),
    clipNorm: builder.input('clipNorm', { shape: [] }),
  });
  builder.output('unitLoss', sumRows(builder, { losses, rows: units }));
  builder.output('unitNorm', norm);
  for (const { name, sum } of sums) builder.output(`clipped:${name}`, sum);
  return builder.build();
}

/** The forward and the backward pass: token losses, and how each trainable parameter's gradient comes about. */
function lossesAndGradients(
  builder: GraphBuilder,
  { spec, rows, tokens }: { spec: ModelSpec; rows: number; tokens: number },
): { losses: Tensor; gradients: TrainableGradient[] } {
  checkTokens(spec, tokens);
  const parameters = bindParameters(builder, { spec, training: true });
  const losses = tokenLosses(builder, { spec, parameters, rows, tokens });
  const { usesOf } = backward(builder, losses);
  const gradients = parametersOf(spec)
    .filter(parameter => parameter.trainable)
    .map(({ name, shape }) => ({ name, shape, uses: usesOf(parameters.get(name)!) }));
  return { losses, gradients };
}

/**
 * A step without privacy: forward, backward, the gradient of the sum of all losses, nothing clipped.
 *
 * Inputs as of {@link buildStepGraph}, but no `clipNorm`. Outputs: `rowLoss` [rows] and `gradient:NAME` for each
 * trainable parameter.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * buildGradientGraph({ config, lora: null }, { rows: 8, tokens: 32 }).outputs.length; // 29
 * ```
 */
export function buildGradientGraph(spec: ModelSpec, shape: { rows: number; tokens: number }): Graph {
  const rows = checkCount(shape.rows, { verb, name: 'rows' });
  const builder = new GraphBuilder();
  const { losses, gradients } = lossesAndGradients(builder, { spec, rows, tokens: shape.tokens });
  builder.output('rowLoss', sumRows(builder, { losses, rows }));
  for (const gradient of gradients)
    builder.output(`gradient:${gradient.name}`, unitGradient(builder, gradient));
  return builder.build();
}

function sumRows(builder: GraphBuilder, { losses, rows }: { losses: Tensor; rows: number }): Tensor {
  const shape = [rows, losses.shape[0]! / rows];
  return sum(builder, { input: reshape(builder, { input: losses, shape }), axes: [1] });
}

/**
 * The forward pass alone: the same inputs but `clipNorm`, and the output `rowLoss` [rows], the weighted
 * negative log-likelihood of each row.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * buildEvaluationGraph({ config, lora: null }, { rows: 8, tokens: 32 }).outputs[0]!.tensor.shape; // [8]
 * ```
 */
export function buildEvaluationGraph(spec: ModelSpec, shape: { rows: number; tokens: number }): Graph {
  const rows = checkCount(shape.rows, { verb, name: 'rows' });
  checkTokens(spec, shape.tokens);
  const builder = new GraphBuilder();
  const parameters = bindParameters(builder, { spec, training: false });
  const losses = tokenLosses(builder, { spec, parameters, rows, tokens: shape.tokens });
  builder.output('rowLoss', sumRows(builder, { losses, rows }));
  return builder.build();
}
