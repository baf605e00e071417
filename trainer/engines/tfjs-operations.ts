import type { GraphNode, Operator, Operators, Tensor } from '../graph/graph.ts';
import type { TensorFlow, TensorFlowTensor } from './tensorflow.ts';

/** Operators that one call computes; `choose` decides what is computed at all. */
export type TensorFlowOperator = Exclude<Operator, 'choose'>;

interface Operation<Kind extends TensorFlowOperator> {
  readonly tensorflow: TensorFlow;
  readonly inputs: readonly TensorFlowTensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Operators[Kind];
}

type Result = TensorFlowTensor | readonly TensorFlowTensor[];
type Rule<Kind extends TensorFlowOperator> = (operation: Operation<Kind>) => Result;

type Binary = 'add' | 'sub' | 'mul' | 'div' | 'greater' | 'lessEqual';
type Unary = 'sqrt' | 'sigmoid' | 'exp' | 'softmax' | 'logSoftmax';

function binary(name: Binary): (operation: Operation<TensorFlowOperator>) => Result {
  return ({ tensorflow, inputs }) => tensorflow[name](inputs[0]!, inputs[1]!);
}

function unary(name: Unary): (operation: Operation<TensorFlowOperator>) => Result {
  return ({ tensorflow, inputs }) => tensorflow[name](inputs[0]!);
}

function reduction(name: 'sum' | 'mean'): Rule<'sum' | 'mean'> {
  return ({ tensorflow, inputs, attributes: { axes, keepAxes } }) =>
    tensorflow[name](inputs[0]!, [...axes], keepAxes);
}

function outputShape({ outputs }: { outputs: readonly Tensor[] }): number[] {
  return [...outputs[0]!.shape];
}

const matmul: Rule<'matmul'> = ({ tensorflow, inputs, attributes }) => {
  const { transposeLeft, transposeRight, scale } = attributes;
  const product = tensorflow.matMul(inputs[0]!, inputs[1]!, transposeLeft, transposeRight);
  return scale === 1 ? product : tensorflow.mul(product, scale);
};

const layerNorm: Rule<'layerNorm'> = ({ tensorflow, inputs, attributes }) => {
  const [input, gain, bias] = inputs;
  const axis = [input!.shape.length - 1];
  const centre = tensorflow.mean(input!, axis, true);
  const centred = tensorflow.sub(input!, centre);
  const variance = tensorflow.mean(tensorflow.square(centred), axis, true);
  const epsilon = tensorflow.tensor(Float32Array.of(attributes.epsilon), [], 'float32');
  const inverse = tensorflow.reciprocal(tensorflow.sqrt(tensorflow.add(variance, epsilon)));
  const normal = tensorflow.mul(centred, inverse);
  return [tensorflow.add(tensorflow.mul(normal, gain!), bias!), centre, inverse];
};

/** [row, column] of one value in each row, [rows, 2]. */
function places(tensorflow: TensorFlow, columns: TensorFlowTensor): TensorFlowTensor {
  const rows = tensorflow.range(0, columns.shape[0]!, 1, 'int32');
  return tensorflow.stack([rows, columns], 1);
}

/** Each operator in TensorFlow.js, with kernels alone that its cpu, wasm, webgl, webgpu and node backends have. */
const rules: { readonly [Kind in TensorFlowOperator]: Rule<Kind> } = {
  add: binary('add'),
  subtract: binary('sub'),
  multiply: binary('mul'),
  divide: binary('div'),
  greater: binary('greater'),
  lessOrEqual: binary('lessEqual'),
  squareRoot: unary('sqrt'),
  sigmoid: unary('sigmoid'),
  exponential: unary('exp'),
  softmax: unary('softmax'),
  logSoftmax: unary('logSoftmax'),
  where: ({ tensorflow, inputs }) => tensorflow.where(inputs[0]!, inputs[1]!, inputs[2]!),
  matmul,
  affine: ({ tensorflow, inputs }) =>
    tensorflow.add(tensorflow.matMul(inputs[0]!, inputs[1]!, false, false), inputs[2]!),
  reshape: operation => operation.tensorflow.reshape(operation.inputs[0]!, outputShape(operation)),
  transpose: ({ tensorflow, inputs, attributes }) =>
    tensorflow.transpose(inputs[0]!, [...attributes.permutation]),
  split: ({ tensorflow, inputs, outputs }) => tensorflow.split(inputs[0]!, outputs.length, 0),
  concat: ({ tensorflow, inputs }) => tensorflow.concat([...inputs], 0),
  head: operation => {
    const shape = outputShape(operation);
    return operation.tensorflow.slice(
      operation.inputs[0]!,
      shape.map(() => 0),
      shape,
    );
  },
  pad: ({ tensorflow, inputs, attributes: { axis, after } }) =>
    tensorflow.pad(
      inputs[0]!,
      inputs[0]!.shape.map((_, index): [number, number] => [0, index === axis ? after : 0]),
    ),
  zeros: operation => operation.tensorflow.zeros(outputShape(operation)),
  gatherRows: ({ tensorflow, inputs }) => tensorflow.gather(inputs[0]!, inputs[1]!, 0),
  scatterAddRows: operation => {
    const { tensorflow, inputs } = operation;
    const [base, indices, updates] = inputs;
    const column = tensorflow.reshape(indices!, [indices!.shape[0]!, 1]);
    return tensorflow.add(base!, tensorflow.scatterND(column, updates!, outputShape(operation)));
  },
  gatherColumns: operation => {
    const { tensorflow, inputs } = operation;
    const picked = tensorflow.gatherND(inputs[0]!, places(tensorflow, inputs[1]!));
    return tensorflow.reshape(picked, outputShape(operation));
  },
  decrementColumns: operation => {
    const { tensorflow, inputs } = operation;
    const [values, columns, decrements] = inputs;
    const updates = tensorflow.reshape(decrements!, [columns!.shape[0]!]);
    const change = tensorflow.scatterND(places(tensorflow, columns!), updates, outputShape(operation));
    return tensorflow.add(values!, change);
  },
  sum: reduction('sum'),
  mean: reduction('mean'),
  layerNorm,
};

/** Computes one node; whatever it needs on the way is freed. */
export function compute<Kind extends TensorFlowOperator>(
  tensorflow: TensorFlow,
  { node, inputs }: { node: GraphNode<Kind>; inputs: readonly TensorFlowTensor[] },
): TensorFlowTensor[] {
  const rule: Rule<Kind> = rules[node.operator];
  const { outputs, attributes } = node;
  const kept: TensorFlowTensor[] = [];
  tensorflow.tidy(() => {
    const result = rule({ tensorflow, inputs, outputs, attributes });
    for (const tensor of 'dtype' in result ? [result] : result) kept.push(tensorflow.keep(tensor));
  });
  return kept;
}
