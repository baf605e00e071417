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
