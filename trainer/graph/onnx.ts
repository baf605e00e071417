import type { Branch, Graph, GraphNode, NamedTensor, Operator, Tensor } from './graph.ts';
import {
  elementTypes,
  nodeMessage,
  OnnxModel,
  processorCapabilities,
  valueMessage,
  type OnnxCapabilities,
} from './onnx-model.ts';
import { ProtobufWriter } from './protobuf.ts';

/** Opset 18 takes the axes of every reduction as an input; IR version 8 is the one that goes with it. */
const versions = { intermediateRepresentation: 8, opset: 18, microsoft: 1 } as const;

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
  logSoftmax: lowerLogSoftmax,
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

/** Products of matrices are `Gemm`, batched ones `FusedMatMul` where the runtime has it. */
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
  if (!model.capabilities.fusedMatMul) return lowerBatchedInSteps(node, model);
  model.emit({ operator: 'FusedMatMul', domain: 'com.microsoft', ...ends, attributes });
}

/** A batched product as transpositions, a product and a scaling of its own. */
function lowerBatchedInSteps(node: GraphNode<'matmul'>, model: OnnxModel): void {
  const { transposeLeft, transposeRight, scale } = node.attributes;
  const { inputs, outputs } = model.ends(node);
  const [result] = outputs;
  const swaps = [transposeLeft, transposeRight];
  const operands = node.inputs.map((input, side) =>
    swaps[side] === true
      ? swapLastAxes(model, {
          input: inputs[side]!,
          rank: input.shape.length,
          name: `${result!}:side${side}`,
        })
      : inputs[side]!,
  );
  if (scale === 1) return model.emit({ operator: 'MatMul', inputs: operands, outputs });
  const unscaled = `${result!}:unscaled`;
  model.emit({ operator: 'MatMul', inputs: operands, outputs: [unscaled] });
  model.emit({ operator: 'Mul', inputs: [unscaled, model.number(scale)], outputs });
}

function swapLastAxes(model: OnnxModel, options: { input: string; rank: number; name: string }): string {
  const { input, rank, name } = options;
  const permutation = Array.from({ length: rank }, (_, axis) => axis);
  [permutation[rank - 2], permutation[rank - 1]] = [rank - 1, rank - 2];
  model.emit({
    operator: 'Transpose',
    inputs: [input],
    outputs: [name],
    attributes: { perm: permutation },
  });
  return name;
}

/** Without `LogSoftmax`: c - log Σ exp(c) for c = input - its largest value, which cannot overflow. */
function lowerLogSoftmax(node: GraphNode<'logSoftmax'>, model: OnnxModel): void {
  const { inputs, outputs } = model.ends(node);
  if (model.capabilities.logSoftmax) {
    return model.emit({ operator: 'LogSoftmax', inputs, outputs, attributes: { axis: -1 } });
  }
  const [result] = outputs;
  const step = (operator: string, read: readonly string[]): string => {
    const name = `${result!}:${operator}`;
    model.emit({ operator, inputs: read, outputs: [name] });
    return name;
  };
  const lastAxis = model.integers([-1]);
  const centred = step('Sub', [inputs[0]!, step('ReduceMax', [inputs[0]!, lastAxis])]);
  const total = step('ReduceSum', [step('Exp', [centred]), lastAxis]);
  model.emit({ operator: 'Sub', inputs: [centred, step('Log', [total])], outputs });
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
 * The graph as an ONNX model (`onnx.proto`: ModelProto).
 *
 * @param capabilities - of the runtime that will read it; those of a processor unless given
 * @returns the serialised model
 */
export function toOnnx(graph: Graph, capabilities: OnnxCapabilities = processorCapabilities): Uint8Array {
  const { names, aliases } = nameTensors(graph);
  const model = new OnnxModel(names, { capabilities });
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
  return modelMessage(body);
}

function modelMessage(graph: ProtobufWriter): Uint8Array {
  return new ProtobufWriter()
    .integer(1, versions.intermediateRepresentation)
    .text(2, 'privacy-unit')
    .message(7, graph)
    .message(8, opsetMessage('', versions.opset))
    .message(8, opsetMessage('com.microsoft', versions.microsoft))
    .finish();
}

/** A model that hands a float32 tensor of any shape on: `input` to `output`. */
export function identityModel(): Uint8Array {
  const float = new ProtobufWriter().message(1, new ProtobufWriter().integer(1, elementTypes.float32));
  const named = (name: string): ProtobufWriter => new ProtobufWriter().text(1, name).message(2, float);
  const node = nodeMessage({ operator: 'Identity', inputs: ['input'], outputs: ['output'] });
  const body = new ProtobufWriter().message(1, node).text(2, 'identity');
  return modelMessage(body.message(11, named('input')).message(12, named('output')));
}
