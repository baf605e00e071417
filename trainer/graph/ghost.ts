import { withoutDropped, type GradientPart, type UnitWeights } from './clip.ts';
import type { GraphBuilder, ParameterUse, Shape, Tensor } from './graph.ts';
import { add, matmul, multiply, reshape, scalar, scale, sum } from './operations.ts';
import { dotByUnit } from './squares.ts';
import { scatterInto } from './unit-gradients.ts';

/** Uses whose sum is one of outer products, a row of the left by a row of the right. */
export type OuterUse = Extract<ParameterUse, { use: 'product' | 'lookup' }>;

/** A matrix whose gradient is a sum of outer products. */
export interface GhostGradient {
  readonly name: string;
  readonly shape: Shape;
  readonly uses: readonly OuterUse[];
}

/**
 * Ghost norms: the norm of each unit's gradient without the gradient, and, once the norms are known, one product
 * over the rows of all units, weighted (Goodfellow, arXiv 1510.01799; Li et al., 2110.05679, Sec. 4; with one
 * backward pass as in Bu et al., 2210.00038).
 *
 * For G = Σ_t l_t r_tᵀ over a unit's T rows, ‖G‖² = Σ_ts ⟨l_t, l_s⟩ ⟨r_t, r_s⟩: two T × T tables of inner
 * products, whatever the size of G. A table of embeddings that is the output head too has both uses in one G, and
 * with them the inner products between one use's rows and the other's.
 */
export function ghostByUnit(builder: GraphBuilder, ghost: GhostGradient): GradientPart {
  return {
    name: ghost.name,
    squares: ghostSquares(builder, ghost.uses),
    sum: weights => weightedProducts(builder, { ...ghost, weights }),
  };
}

/** Inner products of a unit's rows, [units, T, T]: of left with left, and of right with right. */
interface Tables {
  readonly left: Tensor;
  readonly right: Tensor;
}

/**
 * What rounding may take from ‖G‖², as a part of (Σ_t ‖l_t‖ ‖r_t‖)².
 *
 * Where the rows of a unit cancel, ‖G‖² is a small difference of large products in float32. A norm that is too
 * small clips too little, so this is added: it bounds from above, and where rows don't cancel it is below a
 * hundred-thousandth.
 */
const rounding = 2 ** -22;

function ghostSquares(builder: GraphBuilder, uses: readonly OuterUse[]): Tensor {
  const own = uses.map(use => tablesOf(builder, [use, use]));
  const terms = own.map(({ left, right }) => dotByUnit(builder, { left, right }));
  uses.forEach((use, index) => {
    for (const other of uses.slice(index + 1)) {
      const { left, right } = tablesOf(builder, [use, other]);
      terms.push(scale(builder, { input: dotByUnit(builder, { left, right }), factor: 2 }));
    }
  });
  const lengths = own.map(tables => outerLengths(builder, tables));
  const length = lengths.reduce((one, other) => add(builder, [one, other]));
  terms.push(scale(builder, { input: multiply(builder, [length, length]), factor: rounding }));
  return terms.reduce((one, other) => add(builder, [one, other]));
}

/** Σ_t ‖l_t‖ ‖r_t‖ of each unit, [units], from the diagonals of the tables. */
function outerLengths(builder: GraphBuilder, tables: Tables): Tensor {
  const [units, rows] = [builder.units, tables.left.shape[1]!];
  const places = Int32Array.from({ length: units * rows }, (_, row) => row * rows + (row % rows));
  const indices = builder.constant(places, [units * rows]);
  const [left, right] = [tables.left, tables.right].map(table => {
    const values = reshape(builder, { input: table, shape: [units * rows * rows, 1] });
    const shape = [units * rows, 1];
    return builder.node({ operator: 'gatherRows', inputs: [values, indices], shape, attributes: {} });
  });
  const squares = multiply(builder, [left!, right!]);
  const lengths = builder.node({
    operator: 'squareRoot',
    inputs: [squares],
    shape: squares.shape,
    attributes: {},
  });
  return sum(builder, { input: reshape(builder, { input: lengths, shape: [units, rows] }), axes: [1] });
}

/** [units · T, width] as [units, T, width], for one unit too. */
function stacked(builder: GraphBuilder, input: Tensor): Tensor {
  const { units } = builder;
  return reshape(builder, { input, shape: [units, input.shape[0]! / units, input.shape[1]!] });
}

function innerProducts(builder: GraphBuilder, [one, other]: readonly [Tensor, Tensor]): Tensor {
  return matmul(builder, {
    left: stacked(builder, one),
    right: stacked(builder, other),
    transposeRight: true,
  });
}

function rightOf(use: OuterUse): Tensor {
  return use.use === 'product' ? use.right : use.rows;
}

function tablesOf(builder: GraphBuilder, [one, other]: readonly [OuterUse, OuterUse]): Tables {
  if (one.use === 'lookup' && other.use === 'product') return tablesOf(builder, [other, one]);
  return {
    left: leftProducts(builder, [one, other]),
    right: innerProducts(builder, [rightOf(one), rightOf(other)]),
  };
}

/** A looked-up row's left side is 1 at its index and 0 elsewhere. */
function leftProducts(builder: GraphBuilder, [one, other]: readonly [OuterUse, OuterUse]): Tensor {
  if (one.use === 'product' && other.use === 'product') return innerProducts(builder, [one.left, other.left]);
  if (one.use === 'product' && other.use === 'lookup')
    return pickedColumns(builder, [one.left, other.indices]);
  if (one.use === 'lookup' && other.use === 'lookup') return sameIndex(builder, [one.indices, other.indices]);
  throw new RangeError('Cannot build the graph: a lookup comes before a product. Give the product first.');
}

/** Index numbers [rows] along one of the two last axes of [units, T, T]. */
function along(builder: GraphBuilder, { indices, axis }: { indices: Tensor; axis: 1 | 2 }): Tensor {
  const { units } = builder;
  const rows = indices.shape[0]! / units;
  return reshape(builder, { input: indices, shape: axis === 1 ? [units, rows, 1] : [units, 1, rows] });
}

/** 1 where two rows of a unit have the same index. */
function sameIndex(builder: GraphBuilder, [one, other]: readonly [Tensor, Tensor]): Tensor {
  const operands = [
    along(builder, { indices: one, axis: 1 }),
    along(builder, { indices: other, axis: 2 }),
  ] as const;
  const rows = one.shape[0]! / builder.units;
  const shape = [builder.units, rows, rows];
  const where = (condition: Tensor, first: Tensor): Tensor =>
    builder.node({
      operator: 'where',
      inputs: [condition, first, scalar(builder, 0)],
      shape,
      attributes: {},
      type: 'float32',
    });
  const compare = (inputs: readonly Tensor[]): Tensor =>
    builder.node({ operator: 'lessOrEqual', inputs, shape, attributes: {}, type: 'bool' });
  const notAbove = where(compare(operands), scalar(builder, 1));
  return where(compare(operands.toReversed()), notAbove);
}

/** values [units · T, columns] and indices [units · T] to [units, T, T]: a unit's values at all of its indices. */
function pickedColumns(builder: GraphBuilder, [values, indices]: readonly [Tensor, Tensor]): Tensor {
  const { units } = builder;
  const [count, columns] = [values.shape[0]!, values.shape[1]!];
  const rows = count / units;
  const starts = builder.constant(
    Int32Array.from({ length: count }, (_, row) => row * columns),
    [units, rows, 1],
  );
  const shape = [units, rows, rows];
  const places = builder.node({
    operator: 'add',
    inputs: [starts, along(builder, { indices, axis: 2 })],
    shape,
    attributes: {},
  });
  const inputs = [
    reshape(builder, { input: values, shape: [count * columns, 1] }),
    reshape(builder, { input: places, shape: [count * rows] }),
  ];
  const picked = builder.node({ operator: 'gatherRows', inputs, shape: [count * rows, 1], attributes: {} });
  return reshape(builder, { input: picked, shape });
}

/** Rows [units · T, width] times their unit's factor. */
function weighted(builder: GraphBuilder, { rows, weights }: { rows: Tensor; weights: UnitWeights }): Tensor {
  const factor = reshape(builder, { input: weights.factor, shape: [builder.units, 1, 1] });
  const kept = withoutDropped(builder, { values: stacked(builder, rows), finite: weights.finite });
  return reshape(builder, { input: multiply(builder, [kept, factor]), shape: rows.shape });
}

function weightedProduct(
  builder: GraphBuilder,
  { left, right, weights }: { left: Tensor; right: Tensor; weights: UnitWeights },
): Tensor {
  const whole = (rows: Tensor): Tensor =>
    reshape(builder, {
      input: withoutDropped(builder, { values: stacked(builder, rows), finite: weights.finite }),
      shape: rows.shape,
    });
  return left.shape[1]! < right.shape[1]!
    ? matmul(builder, {
        left: weighted(builder, { rows: left, weights }),
        right: whole(right),
        transposeLeft: true,
      })
    : matmul(builder, {
        left: whole(left),
        right: weighted(builder, { rows: right, weights }),
        transposeLeft: true,
      });
}

/** Σ over uses and rows of factor · l rᵀ, in the parameter's shape. */
function weightedProducts(
  builder: GraphBuilder,
  { shape, uses, weights }: GhostGradient & { weights: UnitWeights },
): Tensor {
  let total: Tensor | undefined;
  for (const use of uses) {
    if (use.use === 'lookup') continue;
    const product = weightedProduct(builder, { ...use, weights });
    total = total === undefined ? product : add(builder, [total, product]);
  }
  for (const use of uses) {
    if (use.use === 'product') continue;
    const rows = weighted(builder, { rows: use.rows, weights });
    total = scatterInto(builder, { base: total, shape, indices: use.indices, rows });
  }
  return total!;
}
