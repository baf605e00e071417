import { DpError } from '../../accounting/check.ts';
import type { Branch, Graph, GraphNode, Tensor } from '../graph/graph.ts';
import {
  foreignTensor,
  hostTensor,
  type DeviceTensor,
  type Engine,
  type HostTensor,
  type Program,
} from './engine.ts';
import type { TensorFlow, TensorFlowPackage, TensorFlowTensor } from './tensorflow.ts';
import { compute } from './tfjs-operations.ts';

class TfjsTensor implements DeviceTensor {
  readonly engine: string;
  readonly tensor: TensorFlowTensor;

  constructor(engine: string, tensor: TensorFlowTensor) {
    this.engine = engine;
    this.tensor = tensor;
  }

  get shape(): readonly number[] {
    return this.tensor.shape;
  }

  dispose(): void {
    this.tensor.dispose();
  }
}

/**
 * An engine on TensorFlow.js: interprets the trainer's graphs operator by operator on whichever backend is set.
 *
 * The package is handed in, so that any of the family will do: `tfjsEngine(await import('@tensorflow/tfjs-core'))`
 * after a backend was imported and `ready()` awaited. `openEngine({ prefer: 'tfjs' })` looks for a package by
 * itself and checks its numbers; check those of a backend of your own, for one that computes in 16 bits gives
 * norms that are too far off.
 */
export function tfjsEngine(family: TensorFlowPackage): Engine {
  // oxlint-disable-next-line no-unsafe-type-assertion -- the same functions; their parameters are one package's class
  const tensorflow = family as TensorFlow;
  const name = `tfjs:${tensorflow.getBackend()}`;
  return {
    name,
    compile: graph => Promise.resolve(programOf(tensorflow, { graph, name })),
    upload: ({ data, shape }) => {
      const type = data instanceof Int32Array ? 'int32' : 'float32';
      return new TfjsTensor(name, tensorflow.tensor(data, [...shape], type));
    },
    read: async tensor => read(unwrap(tensor, name)),
  };
}

function unwrap(tensor: DeviceTensor, engine: string): TensorFlowTensor {
  if (tensor instanceof TfjsTensor && tensor.engine === engine) return tensor.tensor;
  throw foreignTensor(tensor, engine);
}

async function read(tensor: TensorFlowTensor): Promise<HostTensor> {
  return hostTensor(await tensor.data(), { shape: tensor.shape, type: tensor.dtype });
}

/** Tensors of the graph that are read for the last time by each of some nodes, in their order. */
function lastReads(nodes: readonly GraphNode[], kept: ReadonlySet<number>): readonly (readonly number[])[] {
  const seen = new Set(kept);
  const reads = nodes.toReversed().map(({ inputs, outputs }) => {
    const last = [...inputs, ...outputs].map(({ id }) => id).filter(id => !seen.has(id));
    for (const id of last) seen.add(id);
    return [...new Set(last)];
  });
  return reads.reverse();
}

/** Nodes with what can be freed after each of them. */
interface Stretch {
  readonly nodes: readonly GraphNode[];
  readonly frees: readonly (readonly number[])[];
}

function stretchOf(nodes: readonly GraphNode[], kept: Iterable<Tensor>): Stretch {
  return { nodes, frees: lastReads(nodes, new Set(Array.from(kept, ({ id }) => id))) };
}

/** Everything of a branch is freed there, but its results and what it reads from outside. */
function branchStretch({ nodes, outputs }: Branch): Stretch {
  const made = new Set(nodes.flatMap(node => node.outputs));
  const outside = nodes.flatMap(node => node.inputs).filter(tensor => !made.has(tensor));
  return stretchOf(nodes, [...outputs, ...outside]);
}

/** Values of a run by the ids of their tensors. */
type Memory = Map<number, TensorFlowTensor>;

interface Compiled {
  readonly tensorflow: TensorFlow;
  readonly branches: ReadonlyMap<Branch, Stretch>;
}

async function runStretch({ nodes, frees }: Stretch, memory: Memory, compiled: Compiled): Promise<void> {
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index]!;
    if (node.operator === 'choose') await choose(node, memory, compiled);
    else runNode(node, memory, compiled.tensorflow);
    for (const id of frees[index]!) {
      memory.get(id)?.dispose();
      memory.delete(id);
    }
  }
}

function runNode(
  node: Exclude<GraphNode, { operator: 'choose' }>,
  memory: Memory,
  tensorflow: TensorFlow,
): void {
  const inputs = node.inputs.map(({ id }) => memory.get(id)!);
  const results = compute(tensorflow, { node, inputs });
  node.outputs.forEach(({ id }, index) => memory.set(id, results[index]!));
  for (const unused of results.slice(node.outputs.length)) unused.dispose();
}

/** The condition is read back, so that the other branch costs nothing. */
async function choose(node: GraphNode<'choose'>, memory: Memory, compiled: Compiled): Promise<void> {
  const condition = await memory.get(node.inputs[0]!.id)!.data();
  const [first, second] = node.attributes.branches;
  const branch = condition[0] === 1 ? first : second;
  await runStretch(compiled.branches.get(branch)!, memory, compiled);
  const made = new Set(branch.nodes.flatMap(inner => inner.outputs.map(({ id }) => id)));
  branch.outputs.forEach((output, index) => {
    const value = memory.get(output.id)!;
    const isOwn = made.delete(output.id);
    memory.set(node.outputs[index]!.id, isOwn ? value : copyOf(value, compiled.tensorflow));
  });
}

/** The same values under a name of their own: each can be freed without the other. */
function copyOf(value: TensorFlowTensor, tensorflow: TensorFlow): TensorFlowTensor {
  return tensorflow.reshape(value, value.shape);
}

function branchesOf(nodes: readonly GraphNode[]): readonly Branch[] {
  return nodes.flatMap(node => {
    if (node.operator !== 'choose') return [];
    const { branches } = node.attributes;
    return [...branches, ...branches.flatMap(branch => branchesOf(branch.nodes))];
  });
}

function programOf(tensorflow: TensorFlow, { graph, name }: { graph: Graph; name: string }): Program {
  const constants = graph.constants.map(({ tensor, data }) => {
    const type = data instanceof Int32Array ? 'int32' : 'float32';
    return [tensor.id, tensorflow.tensor(data, [...tensor.shape], type)] as const;
  });
  const named = [...graph.inputs, ...graph.outputs].map(({ tensor }) => tensor);
  const whole = stretchOf(graph.nodes, [...named, ...graph.constants.map(({ tensor }) => tensor)]);
  const branches = new Map(branchesOf(graph.nodes).map(branch => [branch, branchStretch(branch)]));
  return {
    run: async feeds => {
      const memory: Memory = new Map(constants);
      for (const { name: input, tensor } of graph.inputs) {
        memory.set(tensor.id, checkShape(unwrap(given(feeds, input), name), { tensor, input }));
      }
      const shared = new Set(memory.values());
      try {
        await runStretch(whole, memory, { tensorflow, branches });
      } catch (cause) {
        for (const tensor of memory.values()) if (!shared.has(tensor)) tensor.dispose();
        throw runFailure(name, cause);
      }
      return results(graph, { memory, tensorflow, name });
    },
    dispose: () => {
      for (const [, tensor] of constants) tensor.dispose();
      return Promise.resolve();
    },
  };
}

function given(feeds: Readonly<Record<string, DeviceTensor>>, input: string): DeviceTensor {
  const tensor = feeds[input];
  if (tensor !== undefined) return tensor;
  throw new DpError('ENGINE_FAILED', `Cannot run the graph: the input ${input} is missing. Feed it.`);
}

/** Without this a wrong shape might broadcast and go unnoticed. */
function checkShape(
  fed: TensorFlowTensor,
  { tensor, input }: { tensor: Tensor; input: string },
): TensorFlowTensor {
  if (fed.shape.join() === tensor.shape.join()) return fed;
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot run the graph: the input ${input} is [${fed.shape.join()}]. Feed [${tensor.shape.join()}].`,
  );
}

function runFailure(name: string, cause: unknown): DpError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DpError(
    'ENGINE_FAILED',
    `Cannot run the graph: ${name} says "${reason}". Try another engine, or less memory at a time.`,
    { cause },
  );
}

/** Each output as a tensor of its own, for two may be one and an input may be an output. */
function results(
  graph: Graph,
  { memory, tensorflow, name }: { memory: Memory; tensorflow: TensorFlow; name: string },
): Record<string, DeviceTensor> {
  const shared = new Set([...graph.inputs, ...graph.constants].map(({ tensor }) => tensor.id));
  const outputs: Record<string, DeviceTensor> = {};
  for (const { name: output, tensor } of graph.outputs) {
    const value = memory.get(tensor.id)!;
    const own = shared.has(tensor.id) ? copyOf(value, tensorflow) : value;
    shared.add(tensor.id);
    outputs[output] = new TfjsTensor(name, own);
  }
  return outputs;
}
