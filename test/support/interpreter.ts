import type { Graph, GraphNode, Operator, Shape, Tensor } from '../../trainer/graph/graph.ts';

/** A dense array in float64, row-major. */
interface Values {
  readonly data: Float64Array;
  readonly shape: Shape;
}

function size(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function stridesOf(shape: Shape): number[] {
  return shape.map((_, axis) => size(shape.slice(axis + 1)));
}

/** Coordinates of a flat position. */
function coordinates(position: number, shape: Shape): number[] {
  return stridesOf(shape).map((stride, axis) => Math.floor(position / stride) % shape[axis]!);
}

/** Flat position in a tensor that is broadcast to `point`'s shape. */
function positionOf(point: readonly number[], shape: Shape): number {
  const skipped = point.length - shape.length;
  return stridesOf(shape).reduce(
    (position, stride, axis) => position + (shape[axis] === 1 ? 0 : stride * point[axis + skipped]!),
    0,
  );
}

/** The output of shape `shape` whose value at each point is `value(point)`. */
function fill(shape: Shape, value: (point: readonly number[], position: number) => number): Float64Array {
  return Float64Array.from({ length: size(shape) }, (_, position) =>
    value(coordinates(position, shape), position),
  );
}

function lastTwo(point: readonly number[]): readonly [number, number] {
  return [point.at(-2)!, point.at(-1)!];
}

function broadcasting(operation: (left: number, right: number) => number): Rule {
  return ([left, right], [output]) => [
    fill(output!.shape, point =>
      operation(left!.data[positionOf(point, left!.shape)]!, right!.data[positionOf(point, right!.shape)]!),
    ),
  ];
}

function elementwise(operation: (value: number) => number): Rule {
  return ([input]) => [input!.data.map(operation)];
}

/** Applies `row` to each stretch along the last axis. */
function rows({ data, shape }: Values, row: (values: Float64Array) => ArrayLike<number>): Float64Array {
  const width = shape.at(-1)!;
  const results = Array.from({ length: data.length / width }, (_, index) =>
    Array.from(row(data.subarray(index * width, (index + 1) * width))),
  );
  return Float64Array.from(results.flat());
}

function logSumExp(values: Float64Array): number {
  const most = values.reduce((max, value) => Math.max(max, value), -Infinity);
  return most + Math.log(values.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

function reduction(divide: boolean): Rule<'sum' | 'mean'> {
  return ([input], [output], { axes }) => {
    const kept = input!.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
    const result = new Float64Array(size(output!.shape));
    input!.data.forEach((value, position) => {
      result[positionOf(coordinates(position, input!.shape), kept)]! += value;
    });
    return [divide ? result.map(value => (value * result.length) / input!.data.length) : result];
  };
}

type Rule<Kind extends Operator = Operator> = (
  inputs: readonly Values[],
  outputs: readonly Tensor[],
  attributes: GraphNode<Kind>['attributes'],
) => readonly Float64Array[];

const matmul: Rule<'matmul'> = ([left, right], [output], { transposeLeft, transposeRight, scale }) => {
  const depth = left!.shape.at(transposeLeft ? -2 : -1)!;
  const value = (operand: Values, point: readonly number[], flip: boolean): number => {
    const [row, column] = lastTwo(point);
    const place = [...point.slice(0, -2), ...(flip ? [column, row] : [row, column])];
    return operand.data[positionOf(place, operand.shape)]!;
  };
  return [
    fill(output!.shape, point => {
      const batch = point.slice(0, -2);
      const [row, column] = lastTwo(point);
      let sum = 0;
      for (let k = 0; k < depth; k++) {
        sum +=
          value(left!, [...batch, row, k], transposeLeft) *
          value(right!, [...batch, k, column], transposeRight);
      }
      return scale * sum;
    }),
  ];
};

const layerNorm: Rule<'layerNorm'> = ([input, gain, bias], outputs, { epsilon }) => {
  const width = input!.shape.at(-1)!;
  const centre = rows(input!, values => [values.reduce((sum, value) => sum + value, 0) / width]);
  const inverse = rows(input!, values => {
    const mean = values.reduce((sum, value) => sum + value, 0) / width;
    return [1 / Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width + epsilon)];
  });
  const normal = input!.data.map((value, position) => {
    const row = Math.floor(position / width);
    return (
      (value - centre[row]!) * inverse[row]! * gain!.data[position % width]! + bias!.data[position % width]!
    );
  });
  return [normal, centre, inverse].slice(0, outputs.length);
};

/** Every operator, by its definition and without a thought for speed. */
const rules: { [Kind in Exclude<Operator, 'choose'>]: Rule<Kind> } = {
  add: broadcasting((left, right) => left + right),
  subtract: broadcasting((left, right) => left - right),
  multiply: broadcasting((left, right) => left * right),
  divide: broadcasting((left, right) => left / right),
  greater: broadcasting((left, right) => Number(left > right)),
  lessOrEqual: broadcasting((left, right) => Number(left <= right)),
  squareRoot: elementwise(Math.sqrt),
  exponential: elementwise(Math.exp),
  sigmoid: elementwise(value => 1 / (1 + Math.exp(-value))),
  where: ([condition, first, second], [output]) => [
    fill(output!.shape, point => {
      const chosen = condition!.data[positionOf(point, condition!.shape)] === 1 ? first! : second!;
      return chosen.data[positionOf(point, chosen.shape)]!;
    }),
  ],
  matmul,
  affine: ([input, weight, bias], [output]) => [
    fill(output!.shape, point => {
      const [row, column] = lastTwo(point);
      let sum = bias!.data[column]!;
      for (let k = 0; k < weight!.shape[0]!; k++) {
        sum += input!.data[row * weight!.shape[0]! + k]! * weight!.data[k * weight!.shape[1]! + column]!;
      }
      return sum;
    }),
  ],
  reshape: ([input]) => [input!.data],
  transpose: ([input], [output], { permutation }) => [
    fill(output!.shape, point => {
      const source = permutation.map((_, axis) => point[permutation.indexOf(axis)]!);
      return input!.data[positionOf(source, input!.shape)]!;
    }),
  ],
  split: ([input], outputs) => {
    const part = input!.data.length / outputs.length;
    return outputs.map((_, index) => input!.data.slice(index * part, (index + 1) * part));
  },
  concat: inputs => [Float64Array.from(inputs.flatMap(input => Array.from(input.data)))],
  head: ([input], [output]) => [input!.data.slice(0, size(output!.shape))],
  pad: ([input], [output], { axis }) => [
    fill(output!.shape, point =>
      point[axis]! < input!.shape[axis]! ? input!.data[positionOf(point, input!.shape)]! : 0,
    ),
  ],
  zeros: (_, [output]) => [new Float64Array(size(output!.shape))],
  gatherRows: ([table, indices]) => {
    const width = table!.shape[1]!;
    return [
      rows({ data: indices!.data, shape: [1] }, ([index]) =>
        table!.data.subarray(index! * width, (index! + 1) * width),
      ),
    ];
  },
  scatterAddRows: ([base, indices, updates]) => {
    const width = base!.shape[1]!;
    const result = Float64Array.from(base!.data);
    updates!.data.forEach((value, position) => {
      result[indices!.data[Math.floor(position / width)]! * width + (position % width)]! += value;
    });
    return [result];
  },
  gatherColumns: ([values, indices]) => [
    indices!.data.map((column, row) => values!.data[row * values!.shape[1]! + column]!),
  ],
  decrementColumns: ([values, indices, decrements]) => {
    const result = Float64Array.from(values!.data);
    indices!.data.forEach((column, row) => {
      result[row * values!.shape[1]! + column]! += decrements!.data[row]!;
    });
    return [result];
  },
  softmax: ([input]) => [
    rows(input!, values => {
      const total = logSumExp(values);
      return values.map(value => Math.exp(value - total));
    }),
  ],
  logSoftmax: ([input]) => [
    rows(input!, values => {
      const total = logSumExp(values);
      return values.map(value => value - total);
    }),
  ],
  sum: reduction(false),
  mean: reduction(true),
  layerNorm,
};

function apply<Kind extends Exclude<Operator, 'choose'>>(
  node: GraphNode<Kind>,
  inputs: readonly Values[],
): readonly Float64Array[] {
  const rule: Rule<Kind> = rules[node.operator];
  return rule(inputs, node.outputs, node.attributes);
}

/** Values of tensors as a run goes on. */
class Memory {
  readonly #values = new Map<number, Values>();

  keep({ id, shape }: Tensor, data: ArrayLike<number>): void {
    if (data.length !== size(shape))
      throw new RangeError(`[${shape.join()}] was given ${data.length} values`);
    this.#values.set(id, { data: Float64Array.from(data), shape });
  }

  get({ id }: Tensor): Values {
    return this.#values.get(id)!;
  }

  run(nodes: readonly GraphNode[]): void {
    for (const node of nodes) {
      const results =
        node.operator === 'choose'
          ? this.#choose(node)
          : apply(
              node,
              node.inputs.map(input => this.get(input)),
            );
      node.outputs.forEach((output, index) => this.keep(output, results[index]!));
    }
  }

  /** The branch sees what its node lists as inputs and nothing else. */
  #choose(node: GraphNode<'choose'>): readonly Float64Array[] {
    const inner = new Memory();
    for (const input of node.inputs) inner.keep(input, this.get(input).data);
    const [first, second] = node.attributes.branches;
    const branch = this.get(node.inputs[0]!).data[0] === 1 ? first : second;
    inner.run(branch.nodes);
    return branch.outputs.map(output => inner.get(output).data);
  }
}

/** Runs a graph in float64: the reference that every engine is held against. */
export function interpret(
  graph: Graph,
  feeds: Readonly<Record<string, ArrayLike<number>>>,
): Record<string, Float64Array> {
  const memory = new Memory();
  for (const { name, tensor } of graph.inputs) memory.keep(tensor, feeds[name] ?? []);
  for (const { tensor, data } of graph.constants) memory.keep(tensor, data);
  memory.run(graph.nodes);
  return Object.fromEntries(graph.outputs.map(({ name, tensor }) => [name, memory.get(tensor).data]));
}
