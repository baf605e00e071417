/** Extents of a tensor, outermost first; always known when the graph is built. */
export type Shape = readonly number[];

export type DataType = 'float32' | 'int32' | 'bool';

/** A value that the graph will compute; it holds no data. */
export interface Tensor {
  readonly id: number;
  readonly shape: Shape;
  readonly type: DataType;
  /** Whether the loss is to be differentiated by it or by something it depends on. */
  readonly differentiable: boolean;
}

/** Attributes of every operator. Shapes of the results are in the tensors. */
export interface Operators {
  add: object;
  subtract: object;
  multiply: object;
  divide: object;
  squareRoot: object;
  sigmoid: object;
  exponential: object;
  greater: object;
  lessOrEqual: object;
  /** condition ? first : second */
  where: object;
  /** scale · op(left) op(right) over the last two axes; leading axes equal, or both absent. */
  matmul: { readonly transposeLeft: boolean; readonly transposeRight: boolean; readonly scale: number };
  /** input [rows, in] · weight [in, out] + bias [out] */
  affine: object;
  reshape: object;
  transpose: { readonly permutation: readonly number[] };
  /** Equal parts along the first axis. */
  split: object;
  /** Parts one after the other along the first axis. */
  concat: object;
  /** The first rows of a tensor. */
  head: object;
  /** Zeros appended along an axis. */
  pad: { readonly axis: number; readonly after: number };
  zeros: object;
  /** table [rows, width], indices [count] -> [count, width] */
  gatherRows: object;
  /** base [rows, width] with updates [count, width] added at indices [count]; duplicates add up. */
  scatterAddRows: object;
  /** values [rows, columns], indices [rows] -> [rows, 1] */
  gatherColumns: object;
  /** values [rows, columns], indices [rows], decrements [rows, 1] of -1: 1 less at one column of each row. */
  decrementColumns: object;
  softmax: object;
  /** Log of the softmax over the last axis. */
  logSoftmax: object;
  sum: { readonly axes: readonly number[]; readonly keepAxes: boolean };
  mean: { readonly axes: readonly number[]; readonly keepAxes: boolean };
  /** Over the last axis; results are the output, the means and the inverse standard deviations. */
  layerNorm: { readonly epsilon: number };
  /** condition [] ? results of the first branch : results of the second; the other branch doesn't run. */
  choose: { readonly branches: readonly [Branch, Branch] };
}

/** Nodes that run together or not at all; they read tensors from outside, which are inputs of their `choose` node. */
export interface Branch {
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly Tensor[];
}

export type Operator = keyof Operators;

/** One application of an operator: of a given one, or of any. */
export type GraphNode<Kind extends Operator = Operator> = {
  [Each in Kind]: {
    readonly operator: Each;
    readonly inputs: readonly Tensor[];
    readonly outputs: readonly Tensor[];
    readonly attributes: Operators[Each];
  };
}[Kind];

/** A tensor known by name to whoever runs the graph. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** A tensor whose data is part of the graph. */
export interface Constant {
  readonly tensor: Tensor;
  readonly data: Float32Array | Int32Array;
}

/** A finished computation with static shapes: nodes in an order that can be executed. */
export interface Graph {
  readonly inputs: readonly NamedTensor[];
  readonly constants: readonly Constant[];
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly NamedTensor[];
}

/**
 * How an operation adds to the gradient of a parameter it reads: a sum over the rows of an activation, left
 * unmade, so that it can be made for each unit apart or for all units weighted, whichever costs less.
 */
export type ParameterUse =
  /** Σ over rows of leftᵀ right. */
  | { readonly use: 'product'; readonly left: Tensor; readonly right: Tensor }
  /** Each row added to the row of the table that its index names. */
  | { readonly use: 'lookup'; readonly indices: Tensor; readonly rows: Tensor }
  /** Σ over rows. */
  | { readonly use: 'rows'; readonly rows: Tensor }
  /** Σ over texts of `tokens` rows each, for the first `tokens` rows of the table. */
  | { readonly use: 'positions'; readonly rows: Tensor; readonly tokens: number };

/** What one input receives back: its gradient, or, for a parameter, how that comes about. */
export type Contribution = Tensor | ParameterUse;

/** A differentiable step of the forward pass. */
export interface TapeEntry {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Gradients of the outputs (undefined where the loss doesn't depend on one) to gradients of the inputs. */
  readonly reverse: (gradients: readonly (Tensor | undefined)[]) => readonly Contribution[];
}

/**
 * Collects the nodes of a graph and the tape of its differentiable steps.
 *
 * `units` is the number of units of protection along the rows of every activation
 * [units · rows of a unit, …].
 */
export class GraphBuilder {
  readonly units: number;
  readonly tape: TapeEntry[] = [];
  readonly #inputs: NamedTensor[] = [];
  readonly #constants: Constant[] = [];
  #nodes: GraphNode[] = [];
  readonly #outputs: NamedTensor[] = [];
  #count = 0;

  constructor({ units = 1 }: { units?: number } = {}) {
    this.units = units;
  }

  #tensor(shape: Shape, { type, differentiable }: { type: DataType; differentiable: boolean }): Tensor {
    return { id: this.#count++, shape, type, differentiable };
  }

  /** A tensor fed at every run. */
  input(name: string, options: { shape: Shape; type?: DataType; differentiable?: boolean }): Tensor {
    const { shape, type = 'float32', differentiable = false } = options;
    const tensor = this.#tensor(shape, { type, differentiable });
    this.#inputs.push({ name, tensor });
    return tensor;
  }

  /** A tensor with fixed data; equal ones are kept once. */
  constant(data: Float32Array | Int32Array, shape: Shape): Tensor {
    const type = data instanceof Int32Array ? 'int32' : 'float32';
    const known = this.#constants.find(({ tensor, data: before }) => {
      const alike = tensor.type === type && tensor.shape.join() === shape.join();
      return alike && before.every((value, index) => Object.is(value, data[index]));
    });
    if (known !== undefined) return known.tensor;
    const tensor = this.#tensor(shape, { type, differentiable: false });
    this.#constants.push({ tensor, data });
    return tensor;
  }

  /** Applies an operator with one result. */
  node({ shape, ...application }: Application & { readonly shape: Shape }): Tensor {
    return this.nodes({ ...application, shapes: [shape] })[0]!;
  }

  /** Applies an operator with several results. */
  nodes({
    shapes,
    type,
    ...application
  }: Application & { readonly shapes: readonly Shape[] }): readonly Tensor[] {
    const { inputs } = application;
    const differentiable = inputs.some(input => input.differentiable);
    const outputs = shapes.map(shape => {
      return this.#tensor(shape, { type: type ?? inputs[0]?.type ?? 'float32', differentiable });
    });
    this.#nodes.push({ ...application, outputs });
    return outputs;
  }

  /**
   * Computes one of two things of the same shapes, whichever the condition [] asks for.
   *
   * For what is costly and hardly ever needed; not differentiated.
   */
  choose(
    condition: Tensor,
    branches: { first: () => readonly Tensor[]; second: () => readonly Tensor[] },
  ): readonly Tensor[] {
    const [first, second] = [this.#branch(branches.first), this.#branch(branches.second)];
    const inside = new Set([first, second].flatMap(({ nodes }) => nodes.flatMap(node => node.outputs)));
    const read = [first, second].flatMap(({ nodes }) => nodes.flatMap(node => node.inputs));
    const captured = [...new Set(read)].filter(tensor => !inside.has(tensor));
    return this.nodes({
      operator: 'choose',
      inputs: [condition, ...captured],
      shapes: first.outputs.map(output => output.shape),
      attributes: { branches: [first, second] },
      type: 'float32',
    });
  }

  #branch(build: () => readonly Tensor[]): Branch {
    const before = this.#nodes;
    this.#nodes = [];
    const outputs = build();
    const branch = { nodes: this.#nodes, outputs };
    this.#nodes = before;
    return branch;
  }

  /** Notes how gradients flow back through a step. */
  record(entry: TapeEntry): void {
    if (entry.outputs.some(output => output.differentiable)) this.tape.push(entry);
  }

  /** Names a result. */
  output(name: string, tensor: Tensor): void {
    this.#outputs.push({ name, tensor });
  }

  /** The graph of everything that the outputs depend on. */
  build(): Graph {
    const needed = new Set(this.#outputs.map(({ tensor }) => tensor.id));
    const nodes = this.#nodes.toReversed().filter(node => {
      if (!node.outputs.some(output => needed.has(output.id))) return false;
      for (const input of node.inputs) needed.add(input.id);
      return true;
    });
    return {
      inputs: this.#inputs,
      constants: this.#constants.filter(({ tensor }) => needed.has(tensor.id)),
      nodes: nodes.reverse(),
      outputs: this.#outputs,
    };
  }
}

/** An operator with its inputs, before the results exist; `type` where it differs from that of the first input. */
type Application = {
  [Kind in Operator]: {
    readonly operator: Kind;
    readonly inputs: readonly Tensor[];
    readonly attributes: Operators[Kind];
    readonly type?: DataType;
  };
}[Operator];
