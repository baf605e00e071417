import type { Branch, DataType, Graph, GraphNode, NamedTensor, Operator, Tensor } from './graph.ts';
import { ProtobufWriter } from './protobuf.ts';

/** Numbers of `TensorProto.DataType`. */
const elementTypes: Record<DataType | 'int64', number> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/** Numbers of `AttributeProto.AttributeType`. */
const attributeTypes = { float: 1, integer: 2, text: 3, graph: 5, integers: 7 } as const;

/** Opset 18 takes the axes of every reduction as an input; IR version 8 is the one that goes with it. */
const versions = { intermediateRepresentation: 8, opset: 18, microsoft: 1 } as const;

type AttributeValue = number | string | readonly number[] | ProtobufWriter | { readonly float: number };

interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly domain?: string;
}

/** Collects the nodes and constants that the operators of our graph become. */
class OnnxModel {
  readonly nodes: OnnxNode[] = [];
  readonly initialisers: ProtobufWriter[];
  readonly #names: ReadonlyMap<number, string>;
  readonly #integers: Map<string, string>;

  constructor(names: ReadonlyMap<number, string>, outer?: OnnxModel) {
    this.#names = names;
    this.initialisers = outer ? outer.initialisers : [];
    this.#integers = outer ? outer.#integers : new Map<string, string>();
  }

  /** A list of nodes of its own whose constants lie with the whole. */
  branch(): OnnxModel {
    return new OnnxModel(this.#names, this);
  }

  nameOf(tensor: Tensor): string {
    return this.#names.get(tensor.id) ?? `t${tensor.id}`;
  }

  emit(node: OnnxNode): void {
    this.nodes.push(node);
  }

  /** The inputs and outputs of one of our nodes under their ONNX names. */
  ends({ inputs, outputs }: GraphNode): { inputs: string[]; outputs: string[] } {
    return {
      inputs: inputs.map(input => this.nameOf(input)),
      outputs: outputs.map(output => this.nameOf(output)),
    };
  }

  /** Name of an int64 constant; shapes and axes are wanted as such inputs. */
  integers(values: readonly number[]): string {
    const key = values.join();
    const known = this.#integers.get(key);
    if (known !== undefined) return known;
    const name = `integers${this.#integers.size}`;
    const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.initialisers.push(tensorMessage({ name, shape: [values.length], type: 'int64', bytes }));
    this.#integers.set(key, name);
    return name;
  }

  constant(tensor: Tensor, data: Float32Array | Int32Array): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.initialisers.push(
      tensorMessage({ name: this.nameOf(tensor), shape: tensor.shape, type: tensor.type, bytes }),
    );
  }
}

function tensorMessage(options: {
  name: string;
  shape: readonly number[];
  type: DataType | 'int64';
  bytes: Uint8Array;
}): ProtobufWriter {
  const { name, shape, type, bytes } = options;
  return new ProtobufWriter().integers(1, shape).integer(2, elementTypes[type]).text(8, name).bytes(9, bytes);
}

type Lowering<Kind extends Operator> = (node: GraphNode<Kind>, model: OnnxModel) => void;

/** An operator that ONNX has under another name, with the same inputs and no attributes. */
function same(operator: string): (node: GraphNode, model: OnnxModel) => void {
  return (node, model) => model.emit({ operator, ...model.ends(node) });
}

function reduction(operator: string): Lowering<'sum' | 'mean'> {
  return (node, model) => {
    const { inputs, outputs } = model.ends(node);
    const { axes, keepAxes } = node.attributes;
    const attributes = { keepdims: keepAxes ? 1 : 0 };
    model.emit({ operator, inputs: [...inputs, model.integers(axes)], outputs, attributes });
  };
}

/** Each operator in ONNX. */
const lowerings: { [Kind in Operator]: Lowering<Kind> } = {
  add: same('Add'),
  subtract: same('Sub'),
  multiply: same('Mul'),
  divide: same('Div'),
  squareRoot: same('Sqrt'),
  sigmoid: same('Sigmoid'),
  exponential: same('Exp'),
  greater: same('Greater'),
  lessOrEqual: same('LessOrEqual'),
  where: same('Where'),
  affine: same('Gemm'),
  matmul: lowerMatmul,
  reshape: (node, model) => {
    const { inputs, outputs } = model.ends(node);
    model.emit({ operator: 'Reshape', inputs: [...inputs, model.integers(node.outputs[0]!.shape)], outputs });
  },
  transpose: (node, model) => {
    model.emit({
      operator: 'Transpose',
      ...model.ends(node),
      attributes: { perm: node.attributes.permutation },
    });
  },
  split: (node, model) => {
    const attributes = { axis: 0, num_outputs: node.outputs.length };
    model.emit({ operator: 'Split', ...model.ends(node), attributes });
  },
  concat: (node, model) => model.emit({ operator: 'Concat', ...model.ends(node), attributes: { axis: 0 } }),
  head: (node, model) => {
    const { inputs, outputs } = model.ends(node);
    const [start, end, axis] = [0, node.outputs[0]!.shape[0]!, 0].map(value => model.integers([value]));
    model.emit({ operator: 'Slice', inputs: [...inputs, start!, end!, axis!], outputs });
  },
  pad: (node, model) => {
    const { inputs, outputs } = model.ends(node);
    const { axis, after } = node.attributes;
    const rank = node.outputs[0]!.shape.length;
    const pads = Array.from({ length: 2 * rank }, (_, index) => (index === rank + axis ? after : 0));
    model.emit({ operator: 'Pad', inputs: [...inputs, model.integers(pads)], outputs });
  },
  zeros: (node, model) => {
    const inputs = [model.integers(node.outputs[0]!.shape)];
    model.emit({ operator: 'ConstantOfShape', inputs, outputs: model.ends(node).outputs });
  },
  gatherRows: (node, model) =>
    model.emit({ operator: 'Gather', ...model.ends(node), attributes: { axis: 0 } }),
  scatterAddRows: lowerScatterAddRows,
  gatherColumns: (node, model) => {
    const { inputs, outputs } = model.ends(node);
    const column = asColumn(node.inputs[1]!, model);
    model.emit({
      operator: 'GatherElements',
      inputs: [inputs[0]!, column],
      outputs,
      attributes: { axis: 1 },
    });
  },
  decrementColumns: (node, model) => {
    const { inputs, outputs } = model.ends(node);
    const column = asColumn(node.inputs[1]!, model);
    const attributes = { axis: 1, reduction: 'add' };
    model.emit({
      operator: 'ScatterElements',
      inputs: [inputs[0]!, column, inputs[2]!],
      outputs,
      attributes,
    });
  },
  softmax: (node, model) =>
    model.emit({ operator: 'Softmax', ...model.ends(node), attributes: { axis: -1 } }),
  logSoftmax: (node, model) => {
    model.emit({ operator: 'LogSoftmax', ...model.ends(node), attributes: { axis: -1 } });
  },
  sum: reduction('ReduceSum'),
  mean: reduction('ReduceMean'),
  layerNorm: (node, model) => {
    const attributes = { axis: -1, epsilon: { float: node.attributes.epsilon } };
    model.emit({ operator: 'LayerNormalization', ...model.ends(node), attributes });
  },
  choose: (node, model) => {
    const [first, second] = node.attributes.branches;
    const attributes = {
      then_branch: branchMessage(first, model),
      else_branch: branchMessage(second, model),
    };
    const { inputs, outputs } = model.ends(node);
    model.emit({ operator: 'If', inputs: [inputs[0]!], outputs, attributes });
  },
};

/** A branch as a graph without inputs: it reads the tensors around it by their names. */
function branchMessage({ nodes, outputs }: Branch, model: OnnxModel): ProtobufWriter {
  const inner = model.branch();
  for (const node of nodes) lower(node, inner);
  return new ProtobufWriter()
    .messages(1, inner.nodes.map(nodeMessage))
    .text(2, 'branch')
    .messages(
      12,
      outputs.map(output => valueMessage(inner.nameOf(output), output)),
    );
}

/** `FusedMatMul` transposes batched operands while it multiplies; it exists on CPUs (native and WebAssembly). */
function lowerMatmul(node: GraphNode<'matmul'>, model: OnnxModel): void {
  const { transposeLeft, transposeRight, scale } = node.attributes;
  const ends = model.ends(node);
  if (!transposeLeft && !transposeRight && scale === 1) return model.emit({ operator: 'MatMul', ...ends });
  const attributes = {
    transA: Number(transposeLeft),
    transB: Number(transposeRight),
    alpha: { float: scale },
  };
  if (node.outputs[0]!.shape.length === 2) return model.emit({ operator: 'Gemm', ...ends, attributes });
  model.emit({ operator: 'FusedMatMul', domain: 'com.microsoft', ...ends, attributes });
}

function lowerScatterAddRows(node: GraphNode<'scatterAddRows'>, model: OnnxModel): void {
  const { inputs, outputs } = model.ends(node);
  const wide = `${outputs[0]}_int64`;
  model.emit({
    operator: 'Cast',
    inputs: [asColumn(node.inputs[1]!, model)],
    outputs: [wide],
    attributes: { to: elementTypes.int64 },
  });
  const attributes = { reduction: 'add' };
  model.emit({ operator: 'ScatterND', inputs: [inputs[0]!, wide, inputs[2]!], outputs, attributes });
}

/** Indices [count] as [count, 1]; made once for each use, since a reshape costs nothing. */
function asColumn(indices: Tensor, model: OnnxModel): string {
  const name = `${model.nameOf(indices)}_column${model.nodes.length}`;
  const inputs = [model.nameOf(indices), model.integers([indices.shape[0]!, 1])];
  model.emit({ operator: 'Reshape', inputs, outputs: [name] });
  return name;
}

function lower<Kind extends Operator>(node: GraphNode<Kind>, model: OnnxModel): void {
  const rule: Lowering<Kind> = lowerings[node.operator];
  rule(node, model);
}

function attributeMessage(name: string, value: AttributeValue): ProtobufWriter {
  const message = new ProtobufWriter().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, attributeTypes.integer);
  if (typeof value === 'string') return message.text(4, value).integer(20, attributeTypes.text);
  if (value instanceof ProtobufWriter) return message.message(6, value).integer(20, attributeTypes.graph);
  if ('float' in value) return message.float(2, value.float).integer(20, attributeTypes.float);
  return message.integers(8, value).integer(20, attributeTypes.integers);
}

function nodeMessage({ operator, inputs, outputs, attributes = {}, domain = '' }: OnnxNode): ProtobufWriter {
  const message = new ProtobufWriter();
  for (const input of inputs) message.text(1, input);
  for (const output of outputs) message.text(2, output);
  message.text(3, outputs[0]!).text(4, operator);
  message.messages(
    5,
    Object.entries(attributes).map(([name, value]) => attributeMessage(name, value)),
  );
  return domain === '' ? message : message.text(7, domain);
}

function valueMessage(name: string, tensor: Tensor): ProtobufWriter {
  const extents = tensor.shape.map(extent => new ProtobufWriter().integer(1, extent));
  const shape = new ProtobufWriter().messages(1, extents);
  const type = new ProtobufWriter().integer(1, elementTypes[tensor.type]).message(2, shape);
  return new ProtobufWriter().text(1, name).message(2, new ProtobufWriter().message(1, type));
}

function opsetMessage(domain: string, version: number): ProtobufWriter {
  return new ProtobufWriter().text(1, domain).integer(2, version);
}

/** Names that tensors have from outside. A second name, or one for an input, becomes a node of its own. */
function nameTensors({ inputs, nodes, outputs }: Graph): {
  names: Map<number, string>;
  aliases: NamedTensor[];
} {
  const names = new Map(inputs.map(({ name, tensor }) => [tensor.id, name]));
  const computed = new Set(nodes.flatMap(node => node.outputs.map(output => output.id)));
  const aliases = outputs.filter(({ name, tensor }) => {
    if (names.has(tensor.id) || !computed.has(tensor.id)) return true;
    names.set(tensor.id, name);
    return false;
  });
  return { names, aliases };
}

/**
 * The graph as an ONNX model (`onnx.proto`: ModelProto), for runs on a CPU.
 *
 * @returns the serialised model
 */
export function toOnnx(graph: Graph): Uint8Array {
  const { names, aliases } = nameTensors(graph);
  const model = new OnnxModel(names);
  for (const { tensor, data } of graph.constants) model.constant(tensor, data);
  for (const node of graph.nodes) lower(node, model);
  for (const { name, tensor } of aliases) {
    model.emit({ operator: 'Identity', inputs: [model.nameOf(tensor)], outputs: [name] });
  }
  const named = ({ name, tensor }: NamedTensor): ProtobufWriter => valueMessage(name, tensor);
  const body = new ProtobufWriter()
    .messages(1, model.nodes.map(nodeMessage))
    .text(2, 'graph')
    .messages(5, model.initialisers)
    .messages(11, graph.inputs.map(named))
    .messages(12, graph.outputs.map(named));
  return new ProtobufWriter()
    .integer(1, versions.intermediateRepresentation)
    .text(2, 'privacy-unit')
    .message(7, body)
    .message(8, opsetMessage('', versions.opset))
    .message(8, opsetMessage('com.microsoft', versions.microsoft))
    .finish();
}
