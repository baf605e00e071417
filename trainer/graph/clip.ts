import type { GraphBuilder, Shape, Tensor } from './graph.ts';
import { add, divide, matmul, multiply, reshape, scalar, sumOfSquares } from './operations.ts';

/** A trainable parameter and its gradient [units, …shape], or [shape] for one unit. */
export interface UnitGradient {
  readonly name: string;
  readonly shape: Shape;
  readonly gradient: Tensor;
}

/** What leaves the step: norms before clipping, and the sums of clipped gradients in the order given. */
export interface ClippedSums {
  /** [units]; not finite where a unit is dropped. */
  readonly norm: Tensor;
  readonly sums: readonly { readonly name: string; readonly sum: Tensor }[];
}

const largestFloat = 3.4028234663852886e38;

/**
 * Clips each unit's whole gradient to `clipNorm` and sums: Σ over units of min(1, clipNorm / norm) · gradient
 * (Abadi et al., arXiv 1607.00133, Algorithm 1), with one norm over all parameters.
 *
 * A unit whose norm is not finite adds exactly 0. In float32, so that a unit's part may exceed `clipNorm` by the
 * rounding of its norm, about 1e-6 of it.
 */
export function clipByUnit(
  builder: GraphBuilder,
  { gradients, clipNorm }: { gradients: readonly UnitGradient[]; clipNorm: Tensor },
): ClippedSums {
  const { units } = builder;
  const rows = gradients.map(({ name, shape, gradient }) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return { name, shape, row: reshape(builder, { input: gradient, shape: [units, size] }) };
  });
  const squares = rows.map(({ row }) => sumOfSquares(builder, { input: row, axes: [1] }));
  const square = squares.reduce((left, right) => add(builder, [left, right]));
  const norm = builder.node({ operator: 'squareRoot', inputs: [square], shape: [units], attributes: {} });
  const factors = clipFactors(builder, { norm, clipNorm });
  const sums = rows.map(({ name, shape, row }) => {
    const sum = weightedSum(builder, { row, ...factors });
    return { name, sum: reshape(builder, { input: sum, shape }) };
  });
  return { norm, sums };
}

interface Factors {
  /** [units] */
  readonly factor: Tensor;
  /** Whether the unit's norm is a number, [units, 1]. */
  readonly finite: Tensor;
}

function clipFactors(builder: GraphBuilder, { norm, clipNorm }: { norm: Tensor; clipNorm: Tensor }): Factors {
  const shape = norm.shape;
  const attributes = {};
  const clips = builder.node({
    operator: 'greater',
    inputs: [norm, clipNorm],
    shape,
    attributes,
    type: 'bool',
  });
  const shrink = divide(builder, [clipNorm, norm]);
  const factor = builder.node({
    operator: 'where',
    inputs: [clips, shrink, scalar(builder, 1)],
    shape,
    attributes,
    type: 'float32',
  });
  const limit = scalar(builder, largestFloat);
  const finite = builder.node({
    operator: 'lessOrEqual',
    inputs: [norm, limit],
    shape,
    attributes,
    type: 'bool',
  });
  return { factor, finite: reshape(builder, { input: finite, shape: [builder.units, 1] }) };
}

/** Σ over units of factor · row, without the rows of dropped units: multiplying those by 0 would keep a NaN. */
function weightedSum(builder: GraphBuilder, { row, factor, finite }: Factors & { row: Tensor }): Tensor {
  const inputs = [finite, row, scalar(builder, 0)];
  const kept = builder.node({ operator: 'where', inputs, shape: row.shape, attributes: {}, type: 'float32' });
  if (builder.units === 1) return multiply(builder, [kept, factor]);
  return matmul(builder, {
    left: reshape(builder, { input: factor, shape: [1, builder.units] }),
    right: kept,
  });
}
