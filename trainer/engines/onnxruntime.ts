import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { DpError } from '../../accounting/check.ts';
import type { Graph } from '../graph/graph.ts';
import { toOnnx } from '../graph/onnx.ts';
import type { DeviceTensor, Engine, HostTensor, Program } from './engine.ts';

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
  readonly executionProvider: 'cpu' | 'wasm';
  /** Threads within one operation. */
  readonly threads: number;
}

/** A tensor in the memory that ONNX Runtime reads; on a CPU that is the array it was made from. */
class OnnxTensor implements DeviceTensor {
  readonly engine: string;
  readonly tensor: Tensor;

  constructor(engine: string, tensor: Tensor) {
    this.engine = engine;
    this.tensor = tensor;
  }

  get shape(): readonly number[] {
    return this.tensor.dims;
  }

  dispose(): void {
    this.tensor.dispose();
  }
}

/**
 * An engine on a loaded ONNX Runtime package.
 *
 * `upload` wraps the array without a copy: change it only after the run. A run is a synchronous native call
 * behind a promise, so it blocks the event loop for its duration.
 */
export function onnxRuntimeEngine(options: OnnxRuntimeOptions): Engine {
  const { name, runtime } = options;
  return {
    name,
    compile: graph => compile(graph, options),
    upload: ({ data, shape }) => {
      const type = data instanceof Int32Array ? 'int32' : 'float32';
      return new OnnxTensor(name, new runtime.Tensor(type, data, shape));
    },
    read: tensor => read(unwrap(tensor, name)),
  };
}

function unwrap(tensor: DeviceTensor, engine: string): Tensor {
  if (tensor instanceof OnnxTensor && tensor.engine === engine) return tensor.tensor;
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot use the tensor: it lies with ${tensor.engine}, not with ${engine}. Upload it again.`,
  );
}

async function read(tensor: Tensor): Promise<HostTensor> {
  const data = await tensor.getData();
  if (data instanceof Float32Array || data instanceof Int32Array) return { data, shape: tensor.dims };
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot read the tensor: its values are ${tensor.type}. Name float32 or int32 outputs.`,
  );
}

/** Spinning thread pools slow everyone down on shared cores, so idle threads sleep. */
function sessionOptions({ executionProvider, threads }: OnnxRuntimeOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [executionProvider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

async function compile(graph: Graph, options: OnnxRuntimeOptions): Promise<Program> {
  const session = await attempt('compile the graph', options, () =>
    options.runtime.InferenceSession.create(toOnnx(graph), sessionOptions(options)),
  );
  return {
    run: async feeds => {
      const inputs: Record<string, Tensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) inputs[name] = unwrap(tensor, options.name);
      const results = await attempt('run the graph', options, () => session.run(inputs));
      const outputs: Record<string, DeviceTensor> = {};
      for (const [name, tensor] of Object.entries(results))
        outputs[name] = new OnnxTensor(options.name, tensor);
      return outputs;
    },
    dispose: () => session.release(),
  };
}

async function attempt<Result>(
  action: string,
  { name }: OnnxRuntimeOptions,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DpError(
      'ENGINE_FAILED',
      `Cannot ${action}: ${name} says "${reason}". Try the other engine, or less memory at a time.`,
      { cause },
    );
  }
}
