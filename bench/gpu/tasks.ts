import type { DeviceTensor, Engine, Program } from '../../trainer/engines/engine.ts';
import { GraphBuilder, type Graph } from '../../trainer/graph/graph.ts';
import { matmul, sum } from '../../trainer/graph/operations.ts';
import { initialiseParameters, parametersOf, type ModelSpec } from '../../trainer/model/gpt.ts';
import { buildGradientGraph, buildStepGraph, type BatchShape } from '../../trainer/model/step.ts';
import { median, secondsOf, sideBySide } from '../measure.ts';

type Values = Readonly<Record<string, Float32Array | Int32Array>>;
type Feeds = Record<string, DeviceTensor>;

function wave(size: number, pace: number): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => Math.sin(pace * (index + 1)));
}

/** Everything a step graph reads; adapters away from zero, so that all gradients are there. */
function stepValues(spec: ModelSpec, { units, rowsPerUnit, tokens }: BatchShape): Values {
  const parameters = initialiseParameters(spec, { seed: 'bench' });
  for (const [name, values] of parameters) {
    if (name.includes('lora_B')) values.set(wave(values.length, 0.3).map(value => 0.02 * value));
  }
  const count = units * rowsPerUnit * tokens;
  const ids = (step: number): Int32Array =>
    Int32Array.from({ length: count }, (_, index) => (index * step) % spec.config.vocabularySize);
  const tokenWeights = new Float32Array(count).fill(1 / tokens);
  const clipNorm = Float32Array.of(0.1);
  return { ...Object.fromEntries(parameters), inputIds: ids(31), targetIds: ids(37), tokenWeights, clipNorm };
}

function uploadAll(engine: Engine, { graph, values }: { graph: Graph; values: Values }): Feeds {
  const feeds: Feeds = {};
  for (const { name, tensor } of graph.inputs) {
    feeds[name] = engine.upload({ data: values[name]!, shape: tensor.shape });
  }
  return feeds;
}

async function readAll(engine: Engine, outputs: Feeds): Promise<Record<string, ArrayLike<number>>> {
  const read: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    read[name] = (await engine.read(tensor)).data;
    tensor.dispose();
  }
  return read;
}

async function runOnce(engine: Engine, { graph, values }: { graph: Graph; values: Values }): Promise<Values> {
  const program = await engine.compile(graph);
  const feeds = uploadAll(engine, { graph, values });
  const read = await readAll(engine, await program.run(feeds));
  for (const tensor of Object.values(feeds)) tensor.dispose();
  await program.dispose();
  return Object.fromEntries(Object.entries(read).map(([name, data]) => [name, Float32Array.from(data)]));
}

/** Largest difference of any clipped sum, relative to the largest value of that sum. */
export async function gradientError(
  engines: { one: Engine; other: Engine },
  { spec, shape }: { spec: ModelSpec; shape: BatchShape },
): Promise<number> {
  const task = { graph: buildStepGraph(spec, shape), values: stepValues(spec, shape) };
  const [one, other] = [await runOnce(engines.one, task), await runOnce(engines.other, task)];
  const errors = Object.entries(other).map(([name, expected]) => {
    let [scale, worst] = [0, 0];
    expected.forEach((value, index) => {
      scale = Math.max(scale, Math.abs(value));
      worst = Math.max(worst, Math.abs(value - one[name]![index]!));
    });
    return Number.isNaN(worst) ? Infinity : worst / (scale || 1);
  });
  return Math.max(...errors);
}

/** Products in one run, so that reading the result weighs little. */
const products = 8;

function productGraph(size: number): Graph {
  const builder = new GraphBuilder();
  const left = builder.input('left', { shape: [size, size] });
  const right = builder.input('right', { shape: [size, size] });
  let chain = left;
  for (let index = 0; index < products; index++) {
    chain = matmul(builder, { left: chain, right, transposeRight: true, scale: 2 / size });
  }
  builder.output('sum', sum(builder, { input: chain, axes: [0, 1] }));
  return builder.build();
}

/** Best and median rate of float32 products of square matrices, in GFLOP/s. */
export async function productRate(
  engine: Engine,
  { size, repeats }: { size: number; repeats: number },
): Promise<{ size: number; best: number; median: number }> {
  const graph = productGraph(size);
  const program = await engine.compile(graph);
  const values = { left: wave(size * size, 0.7), right: wave(size * size, 1.3) };
  const feeds = uploadAll(engine, { graph, values });
  const once = async (): Promise<unknown> => readAll(engine, await program.run(feeds));
  // Compiles shaders, and leaves the matrices with the GPU.
  for (let index = 0; index < 3; index++) await once();
  const seconds: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) seconds.push(await secondsOf(once));
  for (const tensor of Object.values(feeds)) tensor.dispose();
  await program.dispose();
  const rate = (time: number): number => (2 * products * size ** 3) / time / 1e9;
  return { size, best: rate(Math.min(...seconds)), median: rate(median(seconds)) };
}

async function preparedRun(
  engine: Engine,
  { graph, values }: { graph: Graph; values: Values },
): Promise<{ once: () => Promise<unknown>; program: Program; feeds: Feeds }> {
  const program = await engine.compile(graph);
  const feeds = uploadAll(engine, { graph, values });
  const once = async (): Promise<unknown> => readAll(engine, await program.run(feeds));
  for (let index = 0; index < 2; index++) await once();
  return { once, program, feeds };
}

/** Seconds of a step with each record clipped and of a plain one, in turn; results are read back each time. */
export async function stepTimes(
  engine: Engine,
  { spec, shape, repeats }: { spec: ModelSpec; shape: BatchShape; repeats: number },
): Promise<{ privateSeconds: number; plainSeconds: number; ratio: number; tokensPerSecond: number }> {
  const values = stepValues(spec, shape);
  const rows = shape.units * shape.rowsPerUnit;
  const clipped = await preparedRun(engine, { graph: buildStepGraph(spec, shape), values });
  const plainGraph = buildGradientGraph(spec, { rows, tokens: shape.tokens });
  const plain = await preparedRun(engine, { graph: plainGraph, values });
  const { one, other, ratio } = await sideBySide({ one: clipped.once, other: plain.once }, { repeats });
  for (const { program, feeds } of [clipped, plain]) {
    for (const tensor of Object.values(feeds)) tensor.dispose();
    await program.dispose();
  }
  return { privateSeconds: one, plainSeconds: other, ratio, tokensPerSecond: (rows * shape.tokens) / one };
}

/** Number of values of a model. */
export function modelSize(spec: ModelSpec): number {
  return parametersOf(spec).reduce(
    (total, { shape }) => total + shape.reduce((size, extent) => size * extent, 1),
    0,
  );
}
