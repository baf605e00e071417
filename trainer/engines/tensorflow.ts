/** A tensor of TensorFlow.js, as far as the trainer uses it. */
export interface TensorFlowTensor {
  readonly shape: number[];
  readonly dtype: string;
  data(): Promise<Float32Array | Int32Array | Uint8Array>;
  dispose(): void;
}

type Operand = TensorFlowTensor;

/**
 * The part of TensorFlow.js that the trainer uses; every package of the family has it: `@tensorflow/tfjs`,
 * `tfjs-node`, `tfjs-node-gpu`, and `tfjs-core` with any backend.
 */
export interface TensorFlow {
  getBackend(): string;
  ready(): Promise<unknown>;
  /** Runs a function and frees all tensors made in it but those that were kept. */
  tidy(run: () => void): unknown;
  keep(tensor: Operand): TensorFlowTensor;
  tensor(data: Float32Array | Int32Array, shape: number[], type: 'float32' | 'int32'): TensorFlowTensor;
  zeros(shape: number[]): TensorFlowTensor;
  range(start: number, stop: number, step: number, type: 'int32'): TensorFlowTensor;
  add(left: Operand, right: Operand): TensorFlowTensor;
  sub(left: Operand, right: Operand): TensorFlowTensor;
  mul(left: Operand, right: Operand | number): TensorFlowTensor;
  div(left: Operand, right: Operand): TensorFlowTensor;
  sqrt(input: Operand): TensorFlowTensor;
  square(input: Operand): TensorFlowTensor;
  reciprocal(input: Operand): TensorFlowTensor;
  sigmoid(input: Operand): TensorFlowTensor;
  exp(input: Operand): TensorFlowTensor;
  greater(left: Operand, right: Operand): TensorFlowTensor;
  lessEqual(left: Operand, right: Operand): TensorFlowTensor;
  where(condition: Operand, first: Operand, second: Operand): TensorFlowTensor;
  matMul(left: Operand, right: Operand, transposeLeft: boolean, transposeRight: boolean): TensorFlowTensor;
  reshape(input: Operand, shape: number[]): TensorFlowTensor;
  transpose(input: Operand, permutation: number[]): TensorFlowTensor;
  split(input: Operand, parts: number, axis: number): TensorFlowTensor[];
  concat(inputs: TensorFlowTensor[], axis: number): TensorFlowTensor;
  stack(inputs: TensorFlowTensor[], axis: number): TensorFlowTensor;
  slice(input: Operand, begin: number[], size: number[]): TensorFlowTensor;
  pad(input: Operand, paddings: [number, number][]): TensorFlowTensor;
  gather(input: Operand, indices: Operand, axis: number): TensorFlowTensor;
  gatherND(input: Operand, indices: Operand): TensorFlowTensor;
  /** Zeros with updates added at indices; duplicates add up. */
  scatterND(indices: Operand, updates: Operand, shape: number[]): TensorFlowTensor;
  softmax(input: Operand): TensorFlowTensor;
  logSoftmax(input: Operand): TensorFlowTensor;
  sum(input: Operand, axes: number[], keepAxes: boolean): TensorFlowTensor;
  mean(input: Operand, axes: number[], keepAxes: boolean): TensorFlowTensor;
}

/** A package of the TensorFlow.js family, whose tensors are of a class of its own. */
export type TensorFlowPackage = { readonly [Name in keyof TensorFlow]: (...values: never[]) => unknown };
