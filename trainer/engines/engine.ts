import { DpError } from '../../accounting/check.ts';
import type { Graph } from '../graph/graph.ts';

/** A dense tensor in host memory, row-major. Token ids are Int32, everything else Float32. */
export interface HostTensor {
  readonly data: Float32Array | Int32Array;
  readonly shape: readonly number[];
}

/** A tensor wherever the engine keeps it; opaque to everyone but its engine. */
export interface DeviceTensor {
  readonly engine: string;
  readonly shape: readonly number[];
  dispose(): void;
}

/** A compiled graph: feeds by input name, results by output name. */
export interface Program {
  run(feeds: Readonly<Record<string, DeviceTensor>>): Promise<Record<string, DeviceTensor>>;
  dispose(): Promise<void>;
}

/** The plug of the trainer: compile, upload, run, read. Every engine gives the same clipped sums on the same graph. */
export interface Engine {
  /** `onnxruntime-node:cpu`, `onnxruntime-node:webgpu`, `onnxruntime-web:wasm`, `tfjs:cpu`, … */
  readonly name: string;
  compile(graph: Graph): Promise<Program>;
  /** May wrap the array without a copy: leave it alone while the tensor is in use. */
  upload(tensor: HostTensor): DeviceTensor;
  read(tensor: DeviceTensor): Promise<HostTensor>;
}

/** The refusal of a tensor that lies with another engine. */
export function foreignTensor(tensor: DeviceTensor, engine: string): DpError {
  return new DpError(
    'ENGINE_FAILED',
    `Cannot use the tensor: it lies with ${tensor.engine}, not with ${engine}. Upload it again.`,
  );
}

/** What an engine read, if it is of a type that leaves graphs; `type` is the engine's name for it. */
export function hostTensor(
  data: unknown,
  { shape, type }: { readonly shape: readonly number[]; readonly type: string },
): HostTensor {
  if (data instanceof Float32Array || data instanceof Int32Array) return { data, shape };
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot read the tensor: its values are ${type}. Name float32 or int32 outputs.`,
  );
}
