import { checkCount, DpError } from '../../accounting/check.ts';
import type { Engine } from './engine.ts';
import { onnxRuntimeEngine, type OnnxRuntime } from './onnxruntime.ts';

/** The packages that can run graphs, fastest first. */
export type EngineName = 'onnxruntime-node' | 'onnxruntime-web';

/** `prefer`: only this package; otherwise the first that loads. `threads`: within one operation, 2 unless given. */
export interface EngineOptions {
  readonly prefer?: EngineName;
  readonly threads?: number;
}

const openers: Record<EngineName, (threads: number) => Promise<Engine>> = {
  'onnxruntime-node': openNative,
  'onnxruntime-web': openWebAssembly,
};

/** The package is optional: a specifier that the compiler doesn't follow lets the build pass without it. */
async function load(specifier: string): Promise<OnnxRuntime> {
  const module: OnnxRuntime & { readonly default?: OnnxRuntime } = await import(specifier);
  return module.default ?? module;
}

async function openNative(threads: number): Promise<Engine> {
  const runtime = await load('onnxruntime-node');
  return onnxRuntimeEngine({ name: 'onnxruntime-node:cpu', runtime, executionProvider: 'cpu', threads });
}

async function openWebAssembly(threads: number): Promise<Engine> {
  const { env, InferenceSession, Tensor } = await import('onnxruntime-web');
  env.wasm.numThreads = threads;
  const runtime = { InferenceSession, Tensor };
  return onnxRuntimeEngine({ name: 'onnxruntime-web:wasm', runtime, executionProvider: 'wasm', threads });
}

/**
 * Opens the engine that runs the trainer's graphs: the native ONNX Runtime where its package is installed,
 * the WebAssembly one elsewhere. Both give the same numbers to float32 rounding.
 *
 * @throws DpError `ENGINE_UNAVAILABLE` where no package loads
 * @example
 * ```ts
 * (await openEngine({ prefer: 'onnxruntime-web', threads: 1 })).name; // 'onnxruntime-web:wasm'
 * ```
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const threads = checkCount(options.threads ?? 2, { verb: 'open the engine', name: 'threads' });
  const names: EngineName[] = options.prefer ? [options.prefer] : ['onnxruntime-node', 'onnxruntime-web'];
  const failures: string[] = [];
  for (const name of names) {
    try {
      return await openers[name](threads);
    } catch (error) {
      failures.push(`${name} (${error instanceof Error ? error.message.split('\n')[0] : String(error)})`);
    }
  }
  throw new DpError(
    'ENGINE_UNAVAILABLE',
    `Cannot open an engine: ${failures.join(', ')} did not load. ` +
      `Run "npm install ${names[0]}", with ONNXRUNTIME_NODE_INSTALL=skip set where there is only the npm registry.`,
  );
}
