import type { GraphBuilder, Shape, Tensor } from './graph.ts';
import { add, divide, matmul, multiply, reshape, scalar, sum } from './operations.ts';

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
 * rounding of its norm, about a millionth of it.
 */
export function clipByUnit(
  builder: GraphBuilder,
  { gradients, clipNorm }: { gradients: readonly UnitGradient[]; clipNorm: Tensor },
): ClippedSums {
  const norm = unitNorms(builder, gradients);
  const { factor, finite, allFinite } = clipFactors(builder, { norm, clipNorm });
  const addUp = (keep: (rows: Tensor) => Tensor): readonly Tensor[] =>
    gradients.map(gradient => weightedSum(builder, { ...gradient, factor, keep }));
  const sums = builder.choose(allFinite, {
    first: () => addUp(rows => rows),
    second: () => addUp(rows => withoutDropped(builder, { rows, finite })),
  });
  return { norm, sums: gradients.map(({ name }, index) => ({ name, sum: sums[index]! })) };
}

function sizeOf(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Norm of each unit's gradient over all parameters, [units]. */
function unitNorms(builder: GraphBuilder, gradients: readonly UnitGradient[]): Tensor {
  const squares = gradients.map(gradient => unitSquares(builder, gradient));
  const total = squares.reduce((left, right) => add(builder, [left, right]));
  return builder.node({ operator: 'squareRoot', inputs: [total], shape: total.shape, attributes: {} });
}

/** Longest stretch whose squares are added in one go: float32 loses little over it. */
const longestStretch = 16_384;

/**
 * Sum of squares of each unit's gradient by one parameter, [units].
 *
 * In stretches, because a long sum in float32 comes out too small and a norm that is too small clips too little;
 * as products of a row with itself, which take a fifth of the time of ONNX Runtime's sum of squares.
 */
function unitSquares(builder: GraphBuilder, { gradient, shape }: UnitGradient): Tensor {
  const size = sizeOf(shape);
  const length = largestDivisor(size, longestStretch);
  const [units, stretches] = [builder.units, size / length];
  const rows = reshape(builder, { input: gradient, shape: [units * stretches, 1, length] });
  const squares = matmul(builder, { left: rows, right: rows, transposeRight: true });
  const byUnit = reshape(builder, { input: squares, shape: [units, stretches] });
  return stretches === 1
    ? reshape(builder, { input: byUnit, shape: [units] })
    : sum(builder, { input: byUnit, axes: [1] });
}

function largestDivisor(value: number, limit: number): number {
  let divisor = Math.min(value, limit);
  while (value % divisor !== 0) divisor--;
  return divisor;
}

interface Factors {
  /** min(1, clipNorm / norm), [1, units]. */
  readonly factor: Tensor;
  /** Whether the unit's norm is a number, [units, 1]. */
  readonly finite: Tensor;
  /** Whether all norms are, []; false also where their sum overflows, which costs time alone. */
  readonly allFinite: Tensor;
}

function clipFactors(builder: GraphBuilder, { norm, clipNorm }: { norm: Tensor; clipNorm: Tensor }): Factors {
  const { shape } = norm;
  const clips = compare(builder, { operator: 'greater', operands: [norm, clipNorm] });
  const inputs = [clips, divide(builder, [clipNorm, norm]), scalar(builder, 1)];
  const factor = builder.node({ operator: 'where', inputs, shape, attributes: {}, type: 'float32' });
  const limit = scalar(builder, largestFloat);
  const finite = compare(builder, { operator: 'lessOrEqual', operands: [norm, limit] });
  const total = sum(builder, { input: norm, axes: [0] });
  return {
    factor: reshape(builder, { input: factor, shape: [1, builder.units] }),
    finite: reshape(builder, { input: finite, shape: [builder.units, 1] }),
    allFinite: compare(builder, { operator: 'lessOrEqual', operands: [total, limit] }),
  };
}

function compare(
  builder: GraphBuilder,
  options: { operator: 'greater' | 'lessOrEqual'; operands: readonly [Tensor, Tensor] },
): Tensor {
  const { operator, operands } = options;
  return builder.node({ operator, inputs: operands, shape: operands[0].shape, attributes: {}, type: 'bool' });
}

/** Zeros in place of the gradients of dropped units: multiplying those by 0 would keep a NaN. */
function withoutDropped(builder: GraphBuilder, { rows, finite }: { rows: Tensor; finite: Tensor }): Tensor {
  const inputs = [finite, rows, scalar(builder, 0)];
  return builder.node({ operator: 'where', inputs, shape: rows.shape, attributes: {}, type: 'float32' });
}

/** Σ over units of factor · gradient. */
function weightedSum(
  builder: GraphBuilder,
  options: UnitGradient & { factor: Tensor; keep: (rows: Tensor) => Tensor },
): Tensor {
  const { shape, gradient, factor, keep } = options;
  const { units } = builder;
  const rows = keep(reshape(builder, { input: gradient, shape: [units, sizeOf(shape)] }));
  const total =
    units === 1 ? multiply(builder, [rows, factor]) : matmul(builder, { left: factor, right: rows });
  return reshape(builder, { input: total, shape });
}
