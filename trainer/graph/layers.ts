import type { GraphBuilder, Shape, Tensor } from './graph.ts';
import { add, differentiate, matmul, mean, multiply, reshape, scale, subtract, sum } from './operations.ts';

// The operations that read parameters. An activation is [units · rows of a unit, width], so a parameter's
// gradient is a sum over the rows of each unit: [units, …shape of the parameter], or its shape alone for one unit.

/** Rows and columns of a matrix. */
function extents({ shape }: Tensor): readonly [number, number] {
  return [shape[0]!, shape[1]!];
}

/** The shape of a parameter's gradient. */
export function gradientShape(builder: GraphBuilder, shape: Shape): Shape {
  return builder.units === 1 ? shape : [builder.units, ...shape];
}

/** [units · rows, width] as [units, rows, width]; left alone for one unit. */
function byUnit(builder: GraphBuilder, input: Tensor): Tensor {
  const [rows, width] = extents(input);
  return reshape(builder, { input, shape: gradientShape(builder, [rows / builder.units, width]) });
}

/** Σ over the rows of each unit of leftᵀ right: [units, left width, right width]. */
function productByUnit(builder: GraphBuilder, { left, right }: { left: Tensor; right: Tensor }): Tensor {
  return matmul(builder, { left: byUnit(builder, left), right: byUnit(builder, right), transposeLeft: true });
}

/** Σ over the rows of each unit: [units, width]. */
function sumByUnit(builder: GraphBuilder, input: Tensor): Tensor {
  const rows = byUnit(builder, input);
  return sum(builder, { input: rows, axes: [rows.shape.length - 2] });
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
      productByUnit(builder, { left: input, right: gradient }),
      sumByUnit(builder, gradient),
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
      productByUnit(builder, { left: gradient, right: input }),
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
        sumByUnit(builder, multiply(builder, [gradient, normal])),
        sumByUnit(builder, gradient),
      ];
    },
  });
}

/** Rows of a table [vocabulary, width] at indices [rows]. Its gradient is added into what other uses of the table gave. */
export function embed(builder: GraphBuilder, { table, indices }: { table: Tensor; indices: Tensor }): Tensor {
  const [vocabulary, width] = extents(table);
  const shape = [indices.shape[0]!, width];
  const intoGathered = (gradient: Tensor, gathered: Tensor | undefined): Tensor => {
    const total = [builder.units * vocabulary, width];
    const base = gathered ?? builder.node({ operator: 'zeros', inputs: [], shape: total, attributes: {} });
    const inputs = [
      reshape(builder, { input: base, shape: total }),
      unitIndices(builder, { indices, vocabulary }),
      gradient,
    ];
    const added = builder.node({ operator: 'scatterAddRows', inputs, shape: total, attributes: {} });
    return reshape(builder, { input: added, shape: gradientShape(builder, table.shape) });
  };
  return differentiate(builder, {
    inputs: [table, indices],
    output: builder.node({ operator: 'gatherRows', inputs: [table, indices], shape, attributes: {} }),
    reverse: gradient => [gathered => intoGathered(gradient, gathered)],
  });
}

/** Row numbers in the tables of all units one after the other. */
function unitIndices(
  builder: GraphBuilder,
  { indices, vocabulary }: { indices: Tensor; vocabulary: number },
): Tensor {
  if (builder.units === 1) return indices;
  const rows = indices.shape[0]!;
  const offsets = Int32Array.from(
    { length: rows },
    (_, row) => Math.floor((row * builder.units) / rows) * vocabulary,
  );
  return add(builder, [indices, builder.constant(offsets, [rows])]);
}

/** input [texts · tokens, width] plus the first `tokens` rows of a table [positions, width], for every text. */
export function addPositions(
  builder: GraphBuilder,
  { input, table, tokens }: { input: Tensor; table: Tensor; tokens: number },
): Tensor {
  const [rows, width] = extents(input);
  const [positions] = extents(table);
  const texts = reshape(builder, { input, shape: [rows / tokens, tokens, width] });
  const first = builder.node({ operator: 'head', inputs: [table], shape: [tokens, width], attributes: {} });
  builder.record({
    inputs: [table],
    outputs: [first],
    reverse: ([gradient]) => [padRows(builder, { input: gradient!, missing: positions - tokens })],
  });
  const output = builder.node({
    operator: 'add',
    inputs: [texts, first],
    shape: texts.shape,
    attributes: {},
  });
  const total = differentiate(builder, {
    inputs: [texts, first],
    output,
    reverse: gradient => {
      const flat = reshape(builder, { input: gradient, shape: [rows / tokens, tokens * width] });
      const summed = sumByUnit(builder, flat);
      return [gradient, reshape(builder, { input: summed, shape: gradientShape(builder, [tokens, width]) })];
    },
  });
  return reshape(builder, { input: total, shape: input.shape });
}

/** Zeros for the positions that a batch doesn't reach. */
function padRows(builder: GraphBuilder, { input, missing }: { input: Tensor; missing: number }): Tensor {
  if (missing === 0) return input;
  const axis = input.shape.length - 2;
  const shape = input.shape.map((extent, index) => (index === axis ? extent + missing : extent));
  return builder.node({ operator: 'pad', inputs: [input], shape, attributes: { axis, after: missing } });
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
  const rows = logits.shape[0]!;
  const column = [rows, 1];
  const logs = builder.node({
    operator: 'logSoftmax',
    inputs: [logits],
    shape: logits.shape,
    attributes: {},
  });
  const inputs = [logs, targets];
  const picked = builder.node({ operator: 'gatherColumns', inputs, shape: column, attributes: {} });
  const negative = scale(builder, { input: reshape(builder, { input: picked, shape: [rows] }), factor: -1 });
  return differentiate(builder, {
    inputs: [logits],
    output: builder.node({
      operator: 'multiply',
      inputs: [negative, weights],
      shape: [rows],
      attributes: {},
    }),
    reverse: gradient => {
      const factors = reshape(builder, { input: multiply(builder, [gradient, weights]), shape: column });
      const decrements = builder.constant(new Float32Array(rows).fill(-1), column);
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

function exponential(builder: GraphBuilder, input: Tensor): Tensor {
  return builder.node({ operator: 'exponential', inputs: [input], shape: input.shape, attributes: {} });
}
