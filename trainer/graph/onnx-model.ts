import type { DataType, GraphNode, Tensor } from './graph.ts';
import { ProtobufWriter } from './protobuf.ts';

/** Numbers of `TensorProto.DataType`. */
export const elementTypes: Record<DataType | 'int64', number> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/** Numbers of `AttributeProto.AttributeType`. */
const attributeTypes = { float: 1, integer: 2, text: 3, graph: 5, integers: 7 } as const;

/** What the runtime that will read the model is able to do; what it lacks is written with other operators. */
export interface OnnxCapabilities {
  /** Has `FusedMatMul`, which transposes batched operands while it multiplies. */
  readonly fusedMatMul: boolean;
  readonly logSoftmax: boolean;
  /** Computes with infinities; elsewhere a constant of -∞ becomes the largest negative float32. */
  readonly infinities: boolean;
}

/** ONNX Runtime on a processor, native or as WebAssembly, and on CUDA. */
export const processorCapabilities: OnnxCapabilities = {
  fusedMatMul: true,
  logSoftmax: true,
  infinities: true,
};

/** ONNX Runtime on WebGPU, whose shading language allows an implementation to have no infinities. */
export const webgpuCapabilities: OnnxCapabilities = {
  fusedMatMul: false,
  logSoftmax: false,
  infinities: false,
};

const largestFloat = 3.4028234663852886e38;

function withoutInfinities(data: Float32Array): Float32Array {
  return data.map(value => Math.max(-largestFloat, Math.min(largestFloat, value)));
}

type AttributeValue = number | string | readonly number[] | ProtobufWriter | { readonly float: number };

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly domain?: string;
}

/** Collects the nodes and constants that the operators of our graph become. */
export class OnnxModel {
  readonly nodes: OnnxNode[] = [];
  readonly initialisers: ProtobufWriter[];
  readonly capabilities: OnnxCapabilities;
  readonly #names: ReadonlyMap<number, string>;
  readonly #constants: Map<string, string>;

  constructor(
    names: ReadonlyMap<number, string>,
    { capabilities, outer }: { capabilities: OnnxCapabilities; outer?: OnnxModel },
  ) {
    this.#names = names;
    this.capabilities = capabilities;
    this.initialisers = outer ? outer.initialisers : [];
    this.#constants = outer ? outer.#constants : new Map<string, string>();
  }

  /** A list of nodes of its own whose constants lie with the whole. */
  branch(): OnnxModel {
    return new OnnxModel(this.#names, { capabilities: this.capabilities, outer: this });
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
    return this.#own(`integers:${values.join()}`, name => {
      const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      return tensorMessage({ name, shape: [values.length], type: 'int64', bytes });
    });
  }

  /** Name of a float32 constant of shape []. */
  number(value: number): string {
    return this.#own(`number:${value}`, name => {
      const bytes = new Uint8Array(Float32Array.of(value).buffer);
      return tensorMessage({ name, shape: [], type: 'float32', bytes });
    });
  }

  /** A constant that our graph doesn't name. */
  #own(key: string, write: (name: string) => ProtobufWriter): string {
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `own:${key}`;
    this.initialisers.push(write(name));
    this.#constants.set(key, name);
    return name;
  }

  constant(tensor: Tensor, data: Float32Array | Int32Array): void {
    const exact = this.capabilities.infinities || data instanceof Int32Array;
    const { buffer, byteOffset, byteLength } = exact ? data : withoutInfinities(data);
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
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

function attributeMessage(name: string, value: AttributeValue): ProtobufWriter {
  const message = new ProtobufWriter().text(1, name);
  if (typeof value === 'number') return message.integer(3, value).integer(20, attributeTypes.integer);
  if (typeof value === 'string') return message.text(4, value).integer(20, attributeTypes.text);
  if (value instanceof ProtobufWriter) return message.message(6, value).integer(20, attributeTypes.graph);
  if ('float' in value) return message.float(2, value.float).integer(20, attributeTypes.float);
  return message.integers(8, value).integer(20, attributeTypes.integers);
}

export function nodeMessage({
  operator,
  inputs,
  outputs,
  attributes = {},
  domain = '',
}: OnnxNode): ProtobufWriter {
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

export function valueMessage(name: string, tensor: Tensor): ProtobufWriter {
  const extents = tensor.shape.map(extent => new ProtobufWriter().integer(1, extent));
  const shape = new ProtobufWriter().messages(1, extents);
  const type = new ProtobufWriter().integer(1, elementTypes[tensor.type]).message(2, shape);
  return new ProtobufWriter().text(1, name).message(2, new ProtobufWriter().message(1, type));
}
