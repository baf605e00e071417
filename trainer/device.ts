import { DpError } from '../accounting/check.ts';
import type { MicroBatch } from './batches.ts';
import type { BatchGradients, GradientSource } from './clip.ts';
import type { DeviceTensor, Engine, HostTensor, Program } from './engines/engine.ts';
import { buildEvaluationGraph, buildGradientGraph, buildStepGraph } from './model/step.ts';
import { parametersOf, type Model, type ModelSpec } from './model/gpt.ts';
import { trainableSize, trainableSlices } from './parameters.ts';

/** What a step without privacy gives back. */
export interface PlainGradient {
  readonly rowLosses: Float32Array;
  readonly sums: readonly Float32Array[];
}

/** A model whose parameters lie with an engine, ready for runs of the step and evaluation graphs. */
export interface DeviceModel extends GradientSource {
  /** Replaces the trainable values; frozen ones were uploaded once. */
  setTrainable(flat: Float32Array): void;
  /** Loss of each row and the gradient of their sum, nothing clipped: one array a trainable parameter. */
  gradient(batch: MicroBatch): Promise<PlainGradient>;
  /** Weighted negative log-likelihood of each row, without gradients. */
  evaluate(batch: MicroBatch): Promise<Float32Array>;
  dispose(): void;
}

/** Compiled graphs of one engine: a shape is compiled when it first occurs and kept for later runs. */
const programs = new WeakMap<Engine, Map<string, Promise<Program>>>();

function programOf(engine: Engine, key: string, compile: () => Promise<Program>): Promise<Program> {
  const known = programs.get(engine) ?? new Map<string, Promise<Program>>();
  programs.set(engine, known);
  const program = known.get(key) ?? compile();
  known.set(key, program);
  return program;
}

/** Frees every graph that was compiled on an engine; later runs compile anew. */
export async function disposePrograms(engine: Engine): Promise<void> {
  const known = programs.get(engine);
  programs.delete(engine);
  for (const program of known?.values() ?? []) await (await program).dispose();
}

function floats({ data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  throw new DpError(
    'ENGINE_FAILED',
    'Cannot read the gradients: the engine gave int32 values. Use another engine.',
  );
}

async function readAll(
  engine: Engine,
  options: { outputs: Readonly<Record<string, DeviceTensor>>; names: readonly string[] },
): Promise<Float32Array[]> {
  const read: Float32Array[] = [];
  for (const name of options.names) read.push(floats(await engine.read(options.outputs[name]!)));
  for (const tensor of Object.values(options.outputs)) tensor.dispose();
  return read;
}

function uploadBatch(engine: Engine, batch: MicroBatch): Record<string, DeviceTensor> {
  const shape = [batch.inputIds.length];
  return {
    inputIds: engine.upload({ data: batch.inputIds, shape }),
    targetIds: engine.upload({ data: batch.targetIds, shape }),
    tokenWeights: engine.upload({ data: batch.tokenWeights, shape }),
  };
}

function compileStep(spec: ModelSpec, options: { engine: Engine; batch: MicroBatch }): Promise<Program> {
  const { engine, batch } = options;
  const key = JSON.stringify(['step', spec, batch.shape]);
  return programOf(engine, key, () => engine.compile(buildStepGraph(spec, batch.shape)));
}

/** Compiles a graph of rows that belong to no unit. */
function compileRows(
  spec: ModelSpec,
  options: { engine: Engine; batch: MicroBatch; kind: 'gradient' | 'evaluation' },
): Promise<Program> {
  const { engine, batch, kind } = options;
  const shape = { rows: batch.shape.units * batch.shape.rowsPerUnit, tokens: batch.shape.tokens };
  const build = kind === 'gradient' ? buildGradientGraph : buildEvaluationGraph;
  const key = JSON.stringify([kind, spec, shape]);
  return programOf(engine, key, () => engine.compile(build(spec, shape)));
}

/** Uploads a model. Its graphs are compiled lazily, one for each shape that occurs. */
export function openDeviceModel(model: Model, engine: Engine): DeviceModel {
  const { spec } = model;
  const slices = trainableSlices(spec);
  const parameters: Record<string, DeviceTensor> = {};
  for (const { name, shape } of parametersOf(spec)) {
    parameters[name] = engine.upload({ data: model.parameters.get(name)!, shape });
  }
  const run = async (
    compiled: Promise<Program>,
    options: { feeds: Record<string, DeviceTensor>; names: readonly string[] },
  ): Promise<Float32Array[]> => {
    const program = await compiled;
    const outputs = await program.run({ ...parameters, ...options.feeds });
    const read = await readAll(engine, { outputs, names: options.names });
    for (const tensor of Object.values(options.feeds)) tensor.dispose();
    return read;
  };
  return {
    size: trainableSize(slices),
    setTrainable(flat): void {
      for (const { name, shape, start, end } of slices) {
        parameters[name]!.dispose();
        parameters[name] = engine.upload({ data: flat.subarray(start, end), shape });
      }
    },
    async run(batch, clipNorm): Promise<BatchGradients> {
      const clip = engine.upload({ data: Float32Array.of(clipNorm), shape: [] });
      const feeds = { ...uploadBatch(engine, batch), clipNorm: clip };
      const names = ['unitLoss', 'unitNorm', ...slices.map(slice => `clipped:${slice.name}`)];
      const [losses, norms, ...sums] = await run(compileStep(spec, { engine, batch }), { feeds, names });
      return { losses: losses!, norms: norms!, sums };
    },
    async gradient(batch): Promise<PlainGradient> {
      const compiled = compileRows(spec, { engine, batch, kind: 'gradient' });
      const names = ['rowLoss', ...slices.map(slice => `gradient:${slice.name}`)];
      const [rowLosses, ...sums] = await run(compiled, { feeds: uploadBatch(engine, batch), names });
      return { rowLosses: rowLosses!, sums };
    },
    async evaluate(batch): Promise<Float32Array> {
      const compiled = compileRows(spec, { engine, batch, kind: 'evaluation' });
      const [rowLoss] = await run(compiled, { feeds: uploadBatch(engine, batch), names: ['rowLoss'] });
      return rowLoss!;
    },
    dispose(): void {
      for (const tensor of Object.values(parameters)) tensor.dispose();
    },
  };
}
