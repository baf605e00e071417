import { withoutDropped, type GradientPart, type UnitWeights } from './clip.ts';
import type { GraphBuilder, Shape, Tensor } from './graph.ts';
import { matmul, multiply, reshape } from './operations.ts';
import { dotByUnit } from './squares.ts';

/** The gradient of every unit side by side. */
export interface KeptGradient {
  readonly name: string;
  /** The parameter's shape. */
  readonly shape: Shape;
  /** [units, …shape], or [shape] for one unit. */
  readonly gradient: Tensor;
}

/** The batch-axis rule: every unit's gradient is made and kept, [units, …shape], until the norms are known. */
export function keepByUnit(builder: GraphBuilder, kept: KeptGradient): GradientPart {
  const { name, gradient } = kept;
  return {
    name,
    squares: dotByUnit(builder, { left: gradient, right: gradient }),
    sum: weights => weightedSum(builder, { ...kept, weights }),
  };
}

function weightedSum(
  builder: GraphBuilder,
  { shape, gradient, weights }: KeptGradient & { weights: UnitWeights },
): Tensor {
  const { units } = builder;
  const size = shape.reduce((product, extent) => product * extent, 1);
  const rows = withoutDropped(builder, {
    values: reshape(builder, { input: gradient, shape: [units, size] }),
    finite: weights.finite,
  });
  const factor = reshape(builder, { input: weights.factor, shape: [1, units] });
  const total =
    units === 1 ? multiply(builder, [rows, factor]) : matmul(builder, { left: factor, right: rows });
  return reshape(builder, { input: total, shape });
}
