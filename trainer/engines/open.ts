import util from 'node:util';
import { checkCount, DpError } from '../../accounting/check.ts';
import type { Engine } from './engine.ts';
import { findGpus, hasHardwareVulkan, type Gpus } from './hardware.ts';
import { onnxRuntimeEngine, type OnnxRuntime } from './onnxruntime.ts';
import { checkEngine } from './probe.ts';
import type { TensorFlow } from './tensorflow.ts';
import { tfjsEngine } from './tfjs.ts';

/**
 * Whatever can run graphs: a package, or a part of `onnxruntime-node` that computes on a GPU.
 *
 * `onnxruntime-node` and `onnxruntime-web` compute on the processor, native and as WebAssembly.
 */
export const engineNames = ['cuda', 'webgpu', 'onnxruntime-node', 'onnxruntime-web', 'tfjs'] as const;

/** One of {@link engineNames}. */
export type EngineName = (typeof engineNames)[number];

/**
 * `prefer`: this engine and no other; without it GPUs are tried where the machine has one, then the processor.
 * `threads`: within one operation, 2 unless given.
 */
export interface EngineOptions {
  readonly prefer?: EngineName | undefined;
  readonly threads?: number;
}

/** What makes an engine available, as a sentence without its full stop. */
export function installAdvice(name: EngineName): string {
  return installSentences[name];
}

const installSentences: Readonly<Record<EngineName, string>> = {
  cuda: 'With an NVIDIA driver, CUDA 12 and cuDNN 9, run "ONNXRUNTIME_NODE_INSTALL=cuda12 npm install onnxruntime-node"',
  webgpu:
    'With a GPU, its Vulkan driver and libvulkan1, run "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node"',
  'onnxruntime-node': 'Run "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node"',
  'onnxruntime-web': 'Run "npm install onnxruntime-web"',
  tfjs: 'Run "npm install @tensorflow/tfjs-node-gpu", or the same for @tensorflow/tfjs-node or @tensorflow/tfjs',
};

/** The packages are optional: a specifier that the compiler doesn't follow lets the build pass without them. */
async function load<Module extends object>(specifier: string): Promise<Module> {
  const module: Module & { readonly default?: Module } = await import(specifier);
  return module.default ?? module;
}

type Provider = 'cpu' | 'cuda' | 'webgpu';

async function openNative(executionProvider: Provider, threads: number): Promise<Engine> {
  const runtime = await load<OnnxRuntime>('onnxruntime-node');
  const name = `onnxruntime-node:${executionProvider}`;
  return onnxRuntimeEngine({ name, runtime, executionProvider, threads });
}

async function openWebAssembly(threads: number): Promise<Engine> {
  const { env, InferenceSession, Tensor } = await import('onnxruntime-web');
  env.wasm.numThreads = threads;
  const runtime = { InferenceSession, Tensor };
  return onnxRuntimeEngine({ name: 'onnxruntime-web:wasm', runtime, executionProvider: 'wasm', threads });
}

/** TF32 cuts products to 10 bits; the provider has it on and no option of the binding turns it off. */
function openCuda(threads: number): Promise<Engine> {
  process.env['NVIDIA_TF32_OVERRIDE'] = '0';
  return openNative('cuda', threads);
}

/** Packages of TensorFlow.js with a backend, fastest first, each with what must be loaded beside it. */
const tensorFlowPackages: readonly (readonly [string, ...string[]])[] = [
  ['@tensorflow/tfjs-node-gpu'],
  ['@tensorflow/tfjs-node'],
  ['@tensorflow/tfjs'],
  ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-cpu'],
];

/** Functions that `tfjs-node` 4.22 calls and Node 23 no longer has. */
function restoreNodeUtilities(): void {
  const isNullOrUndefined = (value: unknown): boolean => value === null || value === undefined;
  const missing = { isNullOrUndefined, isArray: Array.isArray };
  for (const [name, value] of Object.entries(missing)) {
    if (!(name in util)) Object.defineProperty(util, name, { value, configurable: true });
  }
}

async function loadTensorFlow(): Promise<TensorFlow> {
  restoreNodeUtilities();
  const failures: unknown[] = [];
  for (const [main, ...beside] of tensorFlowPackages) {
    try {
      const tensorflow = await load<TensorFlow>(main);
      for (const name of beside) await load(name);
      await tensorflow.ready();
      return tensorflow;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new Error('no package of TensorFlow.js loads', { cause: failures });
}

const openers: Record<EngineName, (threads: number) => Promise<Engine>> = {
  cuda: openCuda,
  webgpu: threads => openNative('webgpu', threads),
  'onnxruntime-node': threads => openNative('cpu', threads),
  'onnxruntime-web': openWebAssembly,
  tfjs: async () => tfjsEngine(await loadTensorFlow()),
};

/** An engine that gave the right numbers, and the largest relative error among them. */
export interface ProvenEngine {
  readonly engine: Engine;
  readonly largestError: number;
}

/** Opens an engine and has it compute a small training step, whose numbers are known. */
export async function openProven(name: EngineName, { threads }: { threads: number }): Promise<ProvenEngine> {
  const engine = await openers[name](threads);
  const largestError = await checkEngine(engine);
  const inSoftware = name === 'webgpu' && hasHardwareVulkan() === false;
  return { engine: inSoftware ? withName(engine, softwareName) : engine, largestError };
}

const softwareName = 'onnxruntime-node:webgpu (software)';

/** The name says so where WebGPU computes in software, which takes thirty times as long as the processor. */
function withName(engine: Engine, name: string): Engine {
  return { ...engine, name };
}

/** The processor's engines are proven by the tests of every release; the others depend on the machine. */
const provenHere: ReadonlySet<EngineName> = new Set(['cuda', 'webgpu', 'tfjs']);

async function openByName(name: EngineName, { threads, prefer }: OpenOptions): Promise<Engine> {
  if (!provenHere.has(name)) return openers[name](threads);
  const { engine } = await openProven(name, { threads });
  if (prefer !== undefined || engine.name !== softwareName) return engine;
  throw new Error('it would compute in software');
}

interface OpenOptions {
  readonly threads: number;
  readonly prefer: EngineName | undefined;
}

function onGpus({ nvidia, seen }: Gpus): readonly EngineName[] {
  if (nvidia) return ['cuda', 'webgpu'];
  return seen.length > 0 ? ['webgpu'] : [];
}

/** The engines that are tried where none is asked for, in their order. */
export function defaultEngines(gpus: Gpus = findGpus()): readonly EngineName[] {
  return [...onGpus(gpus), 'onnxruntime-node', 'onnxruntime-web'];
}

/** What went wrong, in a line. */
export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}

/**
 * Opens the engine that runs the trainer's graphs. All give the same numbers to float32 rounding; a GPU and
 * TensorFlow.js are held against exact numbers before they are given out.
 *
 * @throws DpError `ENGINE_UNAVAILABLE` where none opens, with the line that installs it
 * @example
 * ```ts
 * (await openEngine({ prefer: 'onnxruntime-web', threads: 1 })).name; // 'onnxruntime-web:wasm'
 * ```
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const threads = checkCount(options.threads ?? 2, { verb: 'open the engine', name: 'threads' });
  const names = options.prefer === undefined ? defaultEngines() : [options.prefer];
  const failures: string[] = [];
  for (const name of names) {
    try {
      return await openByName(name, { threads, prefer: options.prefer });
    } catch (error) {
      failures.push(`${name} (${firstLine(error)})`);
    }
  }
  const wanted = options.prefer ?? 'onnxruntime-node';
  throw new DpError(
    'ENGINE_UNAVAILABLE',
    `Cannot open an engine: ${failures.join(', ')} did not open. ${installAdvice(wanted)}.`,
  );
}
