import type { GraphBuilder, Tensor } from './graph.ts';
import { add, divide, reshape, scalar, sum } from './operations.ts';

/** What each unit's gradient is multiplied by in a sum over units. */
export interface UnitWeights {
  /** min(1, clipNorm / norm), [units]. */
  readonly factor: Tensor;
  /** Whether the unit's norm is a number, [units]; left out where all of them are. */
  readonly finite: Tensor | undefined;
}

/** The part of the units' gradients that belongs to one trainable parameter, in whatever form it is held. */
export interface GradientPart {
  readonly name: string;
  /** ‖gradient‖² of each unit by this parameter, [units]. */
  readonly squares: Tensor;
  /** Σ over units of factor · gradient, in the parameter's shape; units that aren't finite add exactly 0. */
  readonly sum: (weights: UnitWeights) => Tensor;
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
  { parts, clipNorm }: { parts: readonly GradientPart[]; clipNorm: Tensor },
): ClippedSums {
  const total = parts.map(part => part.squares).reduce((left, right) => add(builder, [left, right]));
  const norm = builder.node({ operator: 'squareRoot', inputs: [total], shape: total.shape, attributes: {} });
  const factor = clipFactors(builder, { norm, clipNorm });
  const { finite, allFinite } = finiteUnits(builder, norm);
  const sums = builder.choose(allFinite, {
    first: () => parts.map(part => part.sum({ factor, finite: undefined })),
    second: () => parts.map(part => part.sum({ factor, finite })),
  });
  return { norm, sums: parts.map(({ name }, index) => ({ name, sum: sums[index]! })) };
}

function clipFactors(builder: GraphBuilder, { norm, clipNorm }: { norm: Tensor; clipNorm: Tensor }): Tensor {
  const clips = compare(builder, { operator: 'greater', operands: [norm, clipNorm] });
  const inputs = [clips, divide(builder, [clipNorm, norm]), scalar(builder, 1)];
  return builder.node({ operator: 'where', inputs, shape: norm.shape, attributes: {}, type: 'float32' });
}

/** Which norms are numbers, [units], and whether all are, []; false also where their sum overflows, which costs time alone. */
function finiteUnits(builder: GraphBuilder, norm: Tensor): { finite: Tensor; allFinite: Tensor } {
  const limit = scalar(builder, largestFloat);
  const total = sum(builder, { input: norm, axes: [0] });
  return {
    finite: compare(builder, { operator: 'lessOrEqual', operands: [norm, limit] }),
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

/** Zeros in place of the values [units, …] of dropped units: multiplying those by 0 would keep a NaN. */
export function withoutDropped(
  builder: GraphBuilder,
  { values, finite }: { values: Tensor; finite: Tensor | undefined },
): Tensor {
  if (finite === undefined) return values;
  const shape = [builder.units, ...values.shape.slice(1).map(() => 1)];
  const inputs = [reshape(builder, { input: finite, shape }), values, scalar(builder, 0)];
  return builder.node({ operator: 'where', inputs, shape: values.shape, attributes: {}, type: 'float32' });
}
