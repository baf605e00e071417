import type { Engine } from '../../../trainer/engines/engine.ts';
import { onnxRuntimeEngine, type OnnxRuntime } from '../../../trainer/engines/onnxruntime.ts';
import { openEngine } from '../../../trainer/engines/open.ts';
import { webgpuCapabilities } from '../../../trainer/graph/onnx-model.ts';

/** The native engine on the processor, with graphs written as for WebGPU. */
export async function asForWebgpu(): Promise<Engine> {
  const specifier = 'onnxruntime-node';
  const { default: runtime }: { default: OnnxRuntime } = await import(specifier);
  return onnxRuntimeEngine({
    name: 'onnxruntime-node:cpu, written for webgpu',
    runtime,
    executionProvider: 'cpu',
    threads: 1,
    capabilities: webgpuCapabilities,
  });
}

/** Every engine that a machine without a GPU can run; the first is the default. */
export async function everyEngine(): Promise<Engine[]> {
  return [
    await openEngine({ prefer: 'onnxruntime-node', threads: 1 }),
    await asForWebgpu(),
    await openEngine({ prefer: 'onnxruntime-web', threads: 1 }),
    await openEngine({ prefer: 'tfjs' }),
  ];
}
