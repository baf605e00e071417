import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { DpError } from '../../accounting/check.ts';
import type { Graph } from '../graph/graph.ts';
import { identityModel, toOnnx } from '../graph/onnx.ts';
import { processorCapabilities, webgpuCapabilities, type OnnxCapabilities } from '../graph/onnx-model.ts';
import {
  foreignTensor,
  hostTensor,
  type DeviceTensor,
  type Engine,
  type HostTensor,
  type Program,
} from './engine.ts';

/** The part of the ONNX Runtime interface that its native and its WebAssembly package share. */
export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    type: 'float32' | 'int32',
    data: Float32Array | Int32Array,
    shape: readonly number[],
  ) => Tensor;
}

/** Which package runs the graphs, and how. */
export interface OnnxRuntimeOptions {
  /** Name of the engine, such as `onnxruntime-node:cpu`. */
  readonly name: string;
  readonly runtime: OnnxRuntime;
  readonly executionProvider: 'cpu' | 'wasm' | 'webgpu' | 'cuda';
  /** Threads within one operation. */
  readonly threads: number;
  /** What graphs may be written with; what the provider is known to have unless given. */
  readonly capabilities?: OnnxCapabilities;
}

/** Copies tensors into the memory of a GPU. */
type Placer = (tensor: Tensor) => Promise<Tensor>;

/**
 * A tensor in the memory that ONNX Runtime reads; on a CPU that is the array it was made from.
 *
 * A GPU gets a copy with every run, until the second run of the same tensor: from then on it keeps the copy, so
 * that parameters cross to it once and batches, which are read once, don't take its memory.
 */
class OnnxTensor implements DeviceTensor {
  readonly engine: string;
  readonly tensor: Tensor;
  #runs = 0;
  #placed: Promise<Tensor> | undefined;

  constructor(engine: string, tensor: Tensor) {
    this.engine = engine;
    this.tensor = tensor;
  }

  get shape(): readonly number[] {
    return this.tensor.dims;
  }

  placed(place: Placer): Promise<Tensor> | Tensor {
    this.#runs += 1;
    if (this.#runs === 1 || this.tensor.type !== 'float32') return this.tensor;
    this.#placed ??= place(this.tensor);
    return this.#placed;
  }

  dispose(): void {
    this.tensor.dispose();
    // A copy that failed has thrown at its run already.
    this.#placed?.then(
      tensor => tensor.dispose(),
      () => undefined,
    );
  }
}

/** Places tensors by a graph that hands its input on and leaves its output with the GPU. */
function openPlacer({ runtime, executionProvider }: OnnxRuntimeOptions): Placer | undefined {
  if (executionProvider !== 'webgpu') return undefined;
  let session: Promise<InferenceSession> | undefined;
  return async tensor => {
    session ??= runtime.InferenceSession.create(identityModel(), {
      executionProviders: ['webgpu'],
      preferredOutputLocation: 'gpu-buffer',
    });
    const { output } = await (await session).run({ input: tensor });
    return output!;
  };
}

/**
 * An engine on a loaded ONNX Runtime package.
 *
 * `upload` wraps the array without a copy: leave it alone while the tensor is in use. A run is a synchronous native call
 * behind a promise, so it blocks the event loop for its duration.
 */
export function onnxRuntimeEngine(options: OnnxRuntimeOptions): Engine {
  const { name, runtime } = options;
  const place = openPlacer(options);
  return {
    name,
    compile: graph => compile(graph, options, place),
    upload: ({ data, shape }) => {
      const type = data instanceof Int32Array ? 'int32' : 'float32';
      return new OnnxTensor(name, new runtime.Tensor(type, data, shape));
    },
    read: async tensor => read(unwrap(tensor, name).tensor),
  };
}

function unwrap(tensor: DeviceTensor, engine: string): OnnxTensor {
  if (tensor instanceof OnnxTensor && tensor.engine === engine) return tensor;
  throw foreignTensor(tensor, engine);
}

async function read(tensor: Tensor): Promise<HostTensor> {
  return hostTensor(await tensor.getData(), { shape: tensor.dims, type: tensor.type });
}

/** Spinning thread pools slow everyone down on shared cores, so idle threads sleep. */
function sessionOptions({ executionProvider, threads }: OnnxRuntimeOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [executionProvider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // A pattern is a second copy of a run's memory beside the first; without it runs are as fast.
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

async function compile(
  graph: Graph,
  options: OnnxRuntimeOptions,
  place: Placer | undefined,
): Promise<Program> {
  const { name, runtime, executionProvider } = options;
  const byProvider = executionProvider === 'webgpu' ? webgpuCapabilities : processorCapabilities;
  const model = toOnnx(graph, options.capabilities ?? byProvider);
  const session = await attempt('compile the graph', options, () =>
    runtime.InferenceSession.create(model, sessionOptions(options)),
  );
  return {
    run: feeds =>
      attempt('run the graph', options, async () => {
        const inputs: Record<string, Tensor> = {};
        for (const [input, tensor] of Object.entries(feeds)) {
          const own = unwrap(tensor, name);
          inputs[input] = place === undefined ? own.tensor : await own.placed(place);
        }
        return wrapAll(await session.run(inputs), name);
      }),
    dispose: () => session.release(),
  };
}

function wrapAll(results: Readonly<Record<string, Tensor>>, engine: string): Record<string, DeviceTensor> {
  const outputs: Record<string, DeviceTensor> = {};
  for (const [name, tensor] of Object.entries(results)) outputs[name] = new OnnxTensor(engine, tensor);
  return outputs;
}

async function attempt<Result>(
  action: string,
  { name }: OnnxRuntimeOptions,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof DpError) throw cause;
    const reason = reasonOf(cause);
    throw new DpError(
      'ENGINE_FAILED',
      `Cannot ${action}: ${name} says "${reason}". Try another engine, or less memory at a time.`,
      { cause },
    );
  }
}

/** What ONNX Runtime says, without the place in its source and the condition that failed there. */
function reasonOf(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.replace(/^\/onnxruntime_src\/.* was false\. /s, '').trim();
}
