import type { Contribution, GraphBuilder, Shape, Tensor } from './graph.ts';

/** Notes the reverse rule of a step with one output. */
export function differentiate(
  builder: GraphBuilder,
  options: {
    readonly output: Tensor;
    readonly inputs: readonly Tensor[];
    readonly reverse: (gradient: Tensor) => readonly Contribution[];
  },
): Tensor {
  const { output, inputs, reverse } = options;
  builder.record({ inputs, outputs: [output], reverse: ([gradient]) => reverse(gradient!) });
  return output;
}

/** A number as a tensor of shape []. */
export function scalar(builder: GraphBuilder, value: number): Tensor {
  return builder.constant(Float32Array.of(value), []);
}

/** The shape that two shapes broadcast to: aligned at the last axis, where 1 stretches. */
export function broadcastShape(left: Shape, right: Shape): Shape {
  const rank = Math.max(left.length, right.length);
  return Array.from({ length: rank }, (_, axis) =>
    Math.max(left.at(axis - rank) ?? 1, right.at(axis - rank) ?? 1),
  ).map((extent, axis) => {
    const fits = [left, right].every(shape =>
      [undefined, 1, extent].includes(shape[shape.length - rank + axis]),
    );
    if (!fits)
      throw new RangeError(`Cannot build the graph: [${left.join()}] and [${right.join()}] don't broadcast.`);
    return extent;
  });
}

/** Sums a gradient over the axes along which its tensor was broadcast. */
function unbroadcast(builder: GraphBuilder, { gradient, shape }: { gradient: Tensor; shape: Shape }): Tensor {
  const added = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((extent, axis) =>
    axis < added || (shape[axis - added] === 1 && extent !== 1) ? [axis] : [],
  );
  return axes.length === 0
    ? gradient
    : reshape(builder, { input: sum(builder, { input: gradient, axes }), shape });
}

type Elementwise = 'add' | 'subtract' | 'multiply' | 'divide';

function elementwise(
  builder: GraphBuilder,
  options: { operator: Elementwise; operands: readonly [Tensor, Tensor] },
): Tensor {
  const { operator, operands } = options;
  const shape = broadcastShape(operands[0].shape, operands[1].shape);
  return builder.node({ operator, inputs: operands, shape, attributes: {} });
}

/** left + right, broadcast. */
export function add(builder: GraphBuilder, operands: readonly [Tensor, Tensor]): Tensor {
  return differentiate(builder, {
    inputs: operands,
    output: elementwise(builder, { operator: 'add', operands }),
    reverse: gradient => operands.map(({ shape }) => unbroadcast(builder, { gradient, shape })),
  });
}

/** left - right, broadcast. Not differentiated: reverse rules alone use it. */
export function subtract(builder: GraphBuilder, operands: readonly [Tensor, Tensor]): Tensor {
  return elementwise(builder, { operator: 'subtract', operands });
}

/** left / right, broadcast. Not differentiated. */
export function divide(builder: GraphBuilder, operands: readonly [Tensor, Tensor]): Tensor {
  return elementwise(builder, { operator: 'divide', operands });
}

/** left · right, broadcast. */
export function multiply(builder: GraphBuilder, operands: readonly [Tensor, Tensor]): Tensor {
  const [left, right] = operands;
  const product = (...factors: readonly [Tensor, Tensor]): Tensor =>
    elementwise(builder, { operator: 'multiply', operands: factors });
  return differentiate(builder, {
    inputs: operands,
    output: product(left, right),
    reverse: gradient => [
      unbroadcast(builder, { gradient: product(gradient, right), shape: left.shape }),
      unbroadcast(builder, { gradient: product(gradient, left), shape: right.shape }),
    ],
  });
}

/** input · factor for a fixed number. */
export function scale(builder: GraphBuilder, { input, factor }: { input: Tensor; factor: number }): Tensor {
  return factor === 1 ? input : multiply(builder, [input, scalar(builder, factor)]);
}

/** The same values in another shape. */
export function reshape(builder: GraphBuilder, { input, shape }: { input: Tensor; shape: Shape }): Tensor {
  if (input.shape.join() === shape.join()) return input;
  return differentiate(builder, {
    inputs: [input],
    output: builder.node({ operator: 'reshape', inputs: [input], shape, attributes: {} }),
    reverse: gradient => [reshape(builder, { input: gradient, shape: input.shape })],
  });
}

/** Axis `permutation[i]` of the input becomes axis i. */
export function transpose(
  builder: GraphBuilder,
  { input, permutation }: { input: Tensor; permutation: readonly number[] },
): Tensor {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  const shape = permutation.map(axis => input.shape[axis]!);
  return differentiate(builder, {
    inputs: [input],
    output: builder.node({ operator: 'transpose', inputs: [input], shape, attributes: { permutation } }),
    reverse: gradient => [transpose(builder, { input: gradient, permutation: inverse })],
  });
}

/** Parts [extent / parts, …] along the first axis. */
export function split(
  builder: GraphBuilder,
  { input, parts }: { input: Tensor; parts: number },
): readonly Tensor[] {
  const [extent, ...rest] = input.shape;
  const shapes = Array.from({ length: parts }, () => [extent! / parts, ...rest]);
  const outputs = builder.nodes({ operator: 'split', inputs: [input], shapes, attributes: {} });
  const zeros = (shape: Shape): Tensor =>
    builder.node({ operator: 'zeros', inputs: [], shape, attributes: {} });
  builder.record({
    inputs: [input],
    outputs,
    reverse: gradients => {
      const inputs = gradients.map((gradient, part) => gradient ?? zeros(shapes[part]!));
      return [builder.node({ operator: 'concat', inputs, shape: input.shape, attributes: {} })];
    },
  });
  return outputs;
}

/** How two operands are multiplied: either may be transposed in its last two axes, the product scaled. */
export interface MatmulOptions {
  readonly left: Tensor;
  readonly right: Tensor;
  readonly transposeLeft?: boolean;
  readonly transposeRight?: boolean;
  readonly scale?: number;
}

function product(builder: GraphBuilder, options: MatmulOptions): Tensor {
  const { left, right, transposeLeft = false, transposeRight = false, scale: factor = 1 } = options;
  const rows = left.shape.at(transposeLeft ? -1 : -2)!;
  const columns = right.shape.at(transposeRight ? -2 : -1)!;
  return builder.node({
    operator: 'matmul',
    inputs: [left, right],
    shape: [...left.shape.slice(0, -2), rows, columns],
    attributes: { transposeLeft, transposeRight, scale: factor },
  });
}

/** scale · op(left) op(right) for [rows, columns] or [batch…, rows, columns] with equal batch axes. */
export function matmul(builder: GraphBuilder, options: MatmulOptions): Tensor {
  const { left, right, transposeLeft = false, transposeRight = false, scale: factor = 1 } = options;
  return differentiate(builder, {
    inputs: [left, right],
    output: product(builder, options),
    reverse: gradient => [
      transposeLeft
        ? product(builder, {
            left: right,
            right: gradient,
            transposeLeft: transposeRight,
            transposeRight: true,
            scale: factor,
          })
        : product(builder, { left: gradient, right, transposeRight: !transposeRight, scale: factor }),
      transposeRight
        ? product(builder, {
            left: gradient,
            right: left,
            transposeLeft: true,
            transposeRight: transposeLeft,
            scale: factor,
          })
        : product(builder, { left, right: gradient, transposeLeft: !transposeLeft, scale: factor }),
    ],
  });
}

/** What is summed; axes that aren't kept disappear. */
export interface ReductionOptions {
  readonly input: Tensor;
  readonly axes: readonly number[];
  readonly keepAxes?: boolean;
}

function reduce(builder: GraphBuilder, options: ReductionOptions & { operator: 'sum' | 'mean' }): Tensor {
  const { input, axes, keepAxes = false, operator } = options;
  const kept = input.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const shape = keepAxes ? kept : kept.filter((_, axis) => !axes.includes(axis));
  return builder.node({ operator, inputs: [input], shape, attributes: { axes, keepAxes } });
}

/** Σ over axes. Not differentiated. */
export function sum(builder: GraphBuilder, options: ReductionOptions): Tensor {
  return reduce(builder, { ...options, operator: 'sum' });
}

/** Mean over axes. Not differentiated. */
export function mean(builder: GraphBuilder, options: ReductionOptions): Tensor {
  return reduce(builder, { ...options, operator: 'mean' });
}

/** exp(input) / Σ exp(input) over the last axis. */
export function softmax(builder: GraphBuilder, input: Tensor): Tensor {
  const output = builder.node({ operator: 'softmax', inputs: [input], shape: input.shape, attributes: {} });
  return differentiate(builder, {
    inputs: [input],
    output,
    reverse: gradient => {
      const weighted = multiply(builder, [gradient, output]);
      const total = sum(builder, { input: weighted, axes: [input.shape.length - 1], keepAxes: true });
      return [subtract(builder, [weighted, multiply(builder, [output, total])])];
    },
  });
}

/**
 * GPT-2's activation: u · Φ(u) with Φ(u) ≈ ½ (1 + tanh z), z = √(2/π) (u + 0.044715 u³).
 *
 * Written as u · sigmoid(2z), which is the same and takes fewer passes over memory.
 */
export function gelu(builder: GraphBuilder, input: Tensor): Tensor {
  const linear = 2 * Math.sqrt(2 / Math.PI);
  const cubic = 0.044715 * linear;
  const shift = (tensor: Tensor, by: number): Tensor => add(builder, [tensor, scalar(builder, by)]);
  const square = multiply(builder, [input, input]);
  const argument = multiply(builder, [
    input,
    shift(scale(builder, { input: square, factor: cubic }), linear),
  ]);
  const gate = builder.node({ operator: 'sigmoid', inputs: [argument], shape: input.shape, attributes: {} });
  const output = elementwise(builder, { operator: 'multiply', operands: [input, gate] });
  return differentiate(builder, {
    inputs: [input],
    output,
    reverse: gradient => {
      const slope = shift(scale(builder, { input: square, factor: 3 * cubic }), linear);
      const closing = multiply(builder, [output, subtract(builder, [scalar(builder, 1), gate])]);
      return [multiply(builder, [gradient, add(builder, [gate, multiply(builder, [closing, slope])])])];
    },
  });
}
