import type { GraphBuilder, Tensor } from './graph.ts';
import { differentiate, matmul, mean, multiply, reshape, scale, split, subtract } from './operations.ts';

// The operations that read parameters. They say how a parameter's gradient comes about and leave the sum unmade.

/** Rows and columns of a matrix. */
function extents({ shape }: Tensor): readonly [number, number] {
  return [shape[0]!, shape[1]!];
}

/** input [rows, in] · weight [in, out] + bias [out]. */
export function affine(
  builder: GraphBuilder,
  { input, weight, bias }: { input: Tensor; weight: Tensor; bias: Tensor },
): Tensor {
  const shape = [input.shape[0]!, weight.shape[1]!];
  return differentiate(builder, {
    inputs: [input, weight, bias],
    output: builder.node({ operator: 'affine', inputs: [input, weight, bias], shape, attributes: {} }),
    reverse: gradient => [
      matmul(builder, { left: gradient, right: weight, transposeRight: true }),
      { use: 'product', left: input, right: gradient },
      { use: 'rows', rows: gradient },
    ],
  });
}

/** input [rows, in] · weightᵀ for a weight [out, in]: adapters and the output head. */
export function project(builder: GraphBuilder, { input, weight }: { input: Tensor; weight: Tensor }): Tensor {
  const shape = [input.shape[0]!, weight.shape[0]!];
  const attributes = { transposeLeft: false, transposeRight: true, scale: 1 };
  return differentiate(builder, {
    inputs: [input, weight],
    output: builder.node({ operator: 'matmul', inputs: [input, weight], shape, attributes }),
    reverse: gradient => [
      matmul(builder, { left: gradient, right: weight }),
      { use: 'product', left: gradient, right: input },
    ],
  });
}

/** (input - mean) / √(variance + 1e-5) · gain + bias over the last axis; mean and variance per row. */
export function layerNorm(
  builder: GraphBuilder,
  { input, gain, bias }: { input: Tensor; gain: Tensor; bias: Tensor },
): Tensor {
  const row = [input.shape[0]!, 1];
  const [output, centre, inverseDeviation] = builder.nodes({
    operator: 'layerNorm',
    inputs: [input, gain, bias],
    shapes: [input.shape, row, row],
    attributes: { epsilon: 1e-5 },
  });
  const rowMean = (tensor: Tensor): Tensor => mean(builder, { input: tensor, axes: [1], keepAxes: true });
  return differentiate(builder, {
    inputs: [input, gain, bias],
    output: output!,
    reverse: gradient => {
      const normal = multiply(builder, [subtract(builder, [input, centre!]), inverseDeviation!]);
      const scaled = multiply(builder, [gradient, gain]);
      const along = multiply(builder, [normal, rowMean(multiply(builder, [scaled, normal]))]);
      const across = subtract(builder, [subtract(builder, [scaled, rowMean(scaled)]), along]);
      return [
        multiply(builder, [across, inverseDeviation!]),
        { use: 'rows', rows: multiply(builder, [gradient, normal]) },
        { use: 'rows', rows: gradient },
      ];
    },
  });
}

/** Rows of a table [vocabulary, width] at indices [rows]. */
export function embed(builder: GraphBuilder, { table, indices }: { table: Tensor; indices: Tensor }): Tensor {
  const shape = [indices.shape[0]!, table.shape[1]!];
  return differentiate(builder, {
    inputs: [table],
    output: builder.node({ operator: 'gatherRows', inputs: [table, indices], shape, attributes: {} }),
    reverse: gradient => [{ use: 'lookup', indices, rows: gradient }],
  });
}

/** input [texts · tokens, width] plus the first `tokens` rows of a table [positions, width], for every text. */
export function addPositions(
  builder: GraphBuilder,
  { input, table, tokens }: { input: Tensor; table: Tensor; tokens: number },
): Tensor {
  const [rows, width] = extents(input);
  const texts = reshape(builder, { input, shape: [rows / tokens, tokens, width] });
  const first = builder.node({ operator: 'head', inputs: [table], shape: [tokens, width], attributes: {} });
  const inputs = [texts, first];
  const total = differentiate(builder, {
    inputs: [texts, table],
    output: builder.node({ operator: 'add', inputs, shape: texts.shape, attributes: {} }),
    reverse: gradient => {
      const flat = reshape(builder, { input: gradient, shape: input.shape });
      return [gradient, { use: 'positions', rows: flat, tokens }];
    },
  });
  return reshape(builder, { input: total, shape: input.shape });
}

/** Hidden states, the table whose rows they are multiplied by, and what each row of them is to predict. */
interface HeadOptions {
  readonly input: Tensor;
  readonly table: Tensor;
  readonly targets: Tensor;
  readonly weights: Tensor;
}

/**
 * The output head and its loss: -weights · (log softmax of input · tableᵀ, at the target) for each row.
 *
 * Where the table is frozen the logits are used up a few rows at a time, so that a run never holds all of them.
 *
 * @returns [rows]
 */
export function headLoss(builder: GraphBuilder, options: HeadOptions): Tensor {
  if (!options.table.differentiable) return frozenHeadLoss(builder, options);
  const { input, table, targets, weights } = options;
  return crossEntropy(builder, { logits: project(builder, { input, weight: table }), targets, weights });
}

/** Most logits at a time: fewer make the products slower, since each reads the whole table. */
const mostLogits = 2 ** 23;

/** The fewest equal parts of `rows` in which logits stay below `mostLogits`. */
function partsFor(rows: number, vocabulary: number): number {
  let parts = Math.min(rows, Math.ceil((rows * vocabulary) / mostLogits));
  while (rows % parts !== 0) parts++;
  return parts;
}

function splitRows(
  builder: GraphBuilder,
  { input, parts }: { input: Tensor; parts: number },
): readonly Tensor[] {
  return parts === 1 ? [input] : split(builder, { input, parts });
}

function joinRows(builder: GraphBuilder, parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  if (parts.length === 1) return first!;
  const rows = parts.reduce((total, { shape }) => total + shape[0]!, 0);
  return builder.node({ operator: 'concat', inputs: parts, shape: [rows, first!.shape[1]!], attributes: {} });
}

function frozenHeadLoss(builder: GraphBuilder, { input, table, targets, weights }: HeadOptions): Tensor {
  const rows = input.shape[0]!;
  const parts = partsFor(rows, table.shape[0]!);
  const targetsOf = splitRows(builder, { input: targets, parts });
  const results = splitRows(builder, { input, parts }).map((some, part) => {
    const logs = logSoftmax(builder, matmul(builder, { left: some, right: table, transposeRight: true }));
    const picked = atColumns(builder, { values: logs, columns: targetsOf[part]! });
    return { picked, expected: matmul(builder, { left: exponential(builder, logs), right: table }) };
  });
  const picked = joinRows(
    builder,
    results.map(result => result.picked),
  );
  return differentiate(builder, {
    inputs: [input],
    output: weightedLoss(builder, { picked, weights }),
    reverse: gradient => {
      const expected = joinRows(
        builder,
        results.map(result => result.expected),
      );
      const wanted = builder.node({
        operator: 'gatherRows',
        inputs: [table, targets],
        shape: input.shape,
        attributes: {},
      });
      const factors = reshape(builder, { input: multiply(builder, [gradient, weights]), shape: [rows, 1] });
      return [multiply(builder, [subtract(builder, [expected, wanted]), factors])];
    },
  });
}

/**
 * Weighted negative log-likelihood of each row: -weights · (log softmax of the logits, at the target).
 *
 * @returns [rows]
 */
export function crossEntropy(
  builder: GraphBuilder,
  { logits, targets, weights }: { logits: Tensor; targets: Tensor; weights: Tensor },
): Tensor {
  const column = [logits.shape[0]!, 1];
  const logs = logSoftmax(builder, logits);
  const picked = atColumns(builder, { values: logs, columns: targets });
  return differentiate(builder, {
    inputs: [logits],
    output: weightedLoss(builder, { picked, weights }),
    reverse: gradient => {
      const factors = reshape(builder, { input: multiply(builder, [gradient, weights]), shape: column });
      const decrements = builder.constant(new Float32Array(column[0]!).fill(-1), column);
      const difference = builder.node({
        operator: 'decrementColumns',
        inputs: [exponential(builder, logs), targets, decrements],
        shape: logits.shape,
        attributes: {},
      });
      return [multiply(builder, [difference, factors])];
    },
  });
}

/** -picked · weights, [rows]. */
function weightedLoss(
  builder: GraphBuilder,
  { picked, weights }: { picked: Tensor; weights: Tensor },
): Tensor {
  const { shape } = weights;
  const negative = scale(builder, { input: reshape(builder, { input: picked, shape }), factor: -1 });
  return builder.node({ operator: 'multiply', inputs: [negative, weights], shape, attributes: {} });
}

function logSoftmax(builder: GraphBuilder, input: Tensor): Tensor {
  return builder.node({ operator: 'logSoftmax', inputs: [input], shape: input.shape, attributes: {} });
}

/** values [rows, …] at one column of each row: [rows, 1]. */
function atColumns(builder: GraphBuilder, { values, columns }: { values: Tensor; columns: Tensor }): Tensor {
  const shape = [values.shape[0]!, 1];
  return builder.node({ operator: 'gatherColumns', inputs: [values, columns], shape, attributes: {} });
}

function exponential(builder: GraphBuilder, input: Tensor): Tensor {
  return builder.node({ operator: 'exponential', inputs: [input], shape: input.shape, attributes: {} });
}
