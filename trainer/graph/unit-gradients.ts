import type { GraphBuilder, ParameterUse, Shape, Tensor } from './graph.ts';
import { add, matmul, reshape, sum } from './operations.ts';

/** A parameter of this shape, and how its gradient comes about. */
export interface ParameterGradient {
  readonly shape: Shape;
  readonly uses: readonly ParameterUse[];
}

type Product = Extract<ParameterUse, { use: 'product' }>;
type Lookup = Extract<ParameterUse, { use: 'lookup' }>;
type Positions = Extract<ParameterUse, { use: 'positions' }>;

/** The shape of a parameter's gradient for each unit apart; the axis of units is left out for one unit. */
export function byUnitShape(builder: GraphBuilder, shape: Shape): Shape {
  return builder.units === 1 ? shape : [builder.units, ...shape];
}

/** [units · rows, width] as [units, rows, width]; left alone for one unit. */
export function byUnit(builder: GraphBuilder, input: Tensor): Tensor {
  const [rows, width] = [input.shape[0]!, input.shape[1]!];
  return reshape(builder, { input, shape: byUnitShape(builder, [rows / builder.units, width]) });
}

/** Σ over the rows of each unit: [units, width]. */
function sumByUnit(builder: GraphBuilder, input: Tensor): Tensor {
  const rows = byUnit(builder, input);
  return sum(builder, { input: rows, axes: [rows.shape.length - 2] });
}

function productByUnit(builder: GraphBuilder, { left, right }: Product): Tensor {
  return matmul(builder, { left: byUnit(builder, left), right: byUnit(builder, right), transposeLeft: true });
}

/** Σ over the texts of each unit: [units, tokens, width]. */
export function positionsByUnit(builder: GraphBuilder, { rows, tokens }: Positions): Tensor {
  const [count, width] = [rows.shape[0]!, rows.shape[1]!];
  const texts = reshape(builder, { input: rows, shape: [count / tokens, tokens * width] });
  return reshape(builder, {
    input: count / tokens === builder.units ? texts : sumByUnit(builder, texts),
    shape: byUnitShape(builder, [tokens, width]),
  });
}

/** Zeros for the positions that no text reaches. */
export function padRows(builder: GraphBuilder, { input, rows }: { input: Tensor; rows: number }): Tensor {
  const axis = input.shape.length - 2;
  const after = rows - input.shape[axis]!;
  if (after === 0) return input;
  const shape = input.shape.map((extent, index) => (index === axis ? rows : extent));
  return builder.node({ operator: 'pad', inputs: [input], shape, attributes: { axis, after } });
}

/** Rows added to a table at their indices; the table is zeros where none is given. */
export function scatterInto(
  builder: GraphBuilder,
  options: { base: Tensor | undefined; shape: Shape; indices: Tensor; rows: Tensor },
): Tensor {
  const { shape, indices, rows } = options;
  const base = options.base ?? builder.node({ operator: 'zeros', inputs: [], shape, attributes: {} });
  const inputs = [reshape(builder, { input: base, shape }), indices, rows];
  return builder.node({ operator: 'scatterAddRows', inputs, shape, attributes: {} });
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

function lookupByUnit(
  builder: GraphBuilder,
  { use, shape, base }: { use: Lookup; shape: Shape; base: Tensor | undefined },
): Tensor {
  const [vocabulary, width] = [shape[0]!, shape[1]!];
  const indices = unitIndices(builder, { indices: use.indices, vocabulary });
  const whole = [builder.units * vocabulary, width];
  const total = scatterInto(builder, { base, shape: whole, indices, rows: use.rows });
  return reshape(builder, { input: total, shape: byUnitShape(builder, shape) });
}

/** The gradient of each unit by a parameter: [units, …shape], or [shape] for one unit. */
export function unitGradient(builder: GraphBuilder, { shape, uses }: ParameterGradient): Tensor {
  const make = (use: Exclude<ParameterUse, Lookup>): Tensor => {
    if (use.use === 'product') return productByUnit(builder, use);
    if (use.use === 'rows') return sumByUnit(builder, use.rows);
    return padRows(builder, { input: positionsByUnit(builder, use), rows: shape[0]! });
  };
  let total: Tensor | undefined;
  for (const use of uses) {
    if (use.use === 'lookup') continue;
    const made = make(use);
    total = total === undefined ? made : add(builder, [total, made]);
  }
  // Lookups last: what the other uses gave is the table that they are added into.
  for (const use of uses)
    if (use.use === 'lookup') total = lookupByUnit(builder, { use, shape, base: total });
  return total!;
}
