import type { Engine, Program } from '../../trainer/engines/engine.ts';
import type { ClipRule } from '../../trainer/graph/gradient-parts.ts';
import type { Graph } from '../../trainer/graph/graph.ts';
import {
  initialiseParameters,
  linearLayers,
  parametersOf,
  type Model,
  type ModelSpec,
} from '../../trainer/model/gpt.ts';
import { buildStepGraph, type BatchShape } from '../../trainer/model/step.ts';
import { runProgram } from './differences.ts';
import { smallCounts, smallValues, uniformValues } from './random-values.ts';

const config = { vocabularySize: 11, contextLength: 7, layers: 2, width: 8, heads: 2 };

/** A model of a few thousand operations, trained whole. */
export const tinyFull: ModelSpec = { config, lora: null };

/** The same with adapters on every linear layer. */
export const tinyLora: ModelSpec = { config, lora: { rank: 3, alpha: 5, targets: linearLayers } };

/** Seeded parameters away from the start: no zero adapters, no identity norms, so that every path carries gradient. */
export function livelyModel(spec: ModelSpec, seed: number): Model {
  const parameters = initialiseParameters(spec, { seed });
  let stream = seed;
  for (const values of parameters.values()) {
    const noise = smallValues((stream += 1), values.length);
    values.forEach((value, index) => (values[index] = value + 0.4 * noise[index]!));
  }
  return { spec, parameters };
}

/** What a step graph is fed besides the parameters. */
export interface TestBatch {
  readonly shape: BatchShape;
  readonly inputIds: Int32Array;
  readonly targetIds: Int32Array;
  readonly tokenWeights: Float32Array;
}

/** Seeded texts of ragged lengths; weights are uneven, and 0 on the padding after a text. */
export function raggedBatch(shape: BatchShape, seed: number): TestBatch {
  const count = shape.units * shape.rowsPerUnit * shape.tokens;
  const uniform = uniformValues(seed);
  const lengths = Array.from(
    { length: count / shape.tokens },
    () => 1 + Math.floor(uniform() * shape.tokens),
  );
  const tokenWeights = Float32Array.from({ length: count }, (_, index) =>
    index % shape.tokens < lengths[Math.floor(index / shape.tokens)]! ? 0.1 + uniform() : 0,
  );
  const limit = config.vocabularySize;
  return {
    shape,
    inputIds: smallCounts(seed + 1, { count, limit }),
    targetIds: smallCounts(seed + 2, { count, limit }),
    tokenWeights,
  };
}

/** The rows of one unit as a batch of their own. */
export function unitOf({ shape, ...arrays }: TestBatch, unit: number): TestBatch {
  const part = shape.rowsPerUnit * shape.tokens;
  return {
    shape: { ...shape, units: 1 },
    inputIds: arrays.inputIds.slice(unit * part, (unit + 1) * part),
    targetIds: arrays.targetIds.slice(unit * part, (unit + 1) * part),
    tokenWeights: arrays.tokenWeights.slice(unit * part, (unit + 1) * part),
  };
}

/** The units of a batch in another order. */
export function reordered(batch: TestBatch, order: readonly number[]): TestBatch {
  const units = order.map(unit => unitOf(batch, unit));
  return {
    shape: { ...batch.shape, units: order.length },
    inputIds: Int32Array.from(units.flatMap(unit => Array.from(unit.inputIds))),
    targetIds: Int32Array.from(units.flatMap(unit => Array.from(unit.targetIds))),
    tokenWeights: Float32Array.from(units.flatMap(unit => Array.from(unit.tokenWeights))),
  };
}

/** One row of a batch, for the reference. */
export function rowOf(
  batch: TestBatch,
  row: number,
): { ids: number[]; targets: number[]; weights: number[] } {
  const [start, end] = [row * batch.shape.tokens, (row + 1) * batch.shape.tokens];
  return {
    ids: Array.from(batch.inputIds.slice(start, end)),
    targets: Array.from(batch.targetIds.slice(start, end)),
    weights: Array.from(batch.tokenWeights.slice(start, end)),
  };
}

/** Everything that a graph of a model reads. */
export function feedsOf(
  model: Model,
  { batch, clipNorm }: { batch: TestBatch; clipNorm: number },
): Record<string, Float32Array | Int32Array> {
  const { inputIds, targetIds, tokenWeights } = batch;
  const clip = Float32Array.of(clipNorm);
  return { ...Object.fromEntries(model.parameters), inputIds, targetIds, tokenWeights, clipNorm: clip };
}

/** What a step gives, with the clipped sums in one vector. */
export interface StepResult {
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly sum: Float64Array;
}

/** Names of the trainable parameters, in the order of the model. */
export function trainableNames(spec: ModelSpec): string[] {
  return parametersOf(spec)
    .filter(parameter => parameter.trainable)
    .map(parameter => parameter.name);
}

function collect(spec: ModelSpec, outputs: Readonly<Record<string, ArrayLike<number>>>): StepResult {
  const sums = trainableNames(spec).map(name => Array.from(outputs[`clipped:${name}`]!));
  return {
    losses: Array.from(outputs['unitLoss']!),
    norms: Array.from(outputs['unitNorm']!),
    sum: Float64Array.from(sums.flat()),
  };
}

/** Whatever runs graphs. */
export type Runner = (
  graph: Graph,
  feeds: Record<string, Float32Array | Int32Array>,
) => Promise<Record<string, ArrayLike<number>>>;

const graphs = new Map<string, Graph>();

function stepGraph(spec: ModelSpec, shape: BatchShape, rule: { rule?: ClipRule }): Graph {
  const key = JSON.stringify([spec, shape, rule]);
  const graph = graphs.get(key) ?? buildStepGraph(spec, shape, rule);
  graphs.set(key, graph);
  return graph;
}

/** Runs one step; every matrix is clipped by `rule` where one is given. */
export async function step(
  model: Model,
  options: { batch: TestBatch; clipNorm: number; run: Runner; rule?: ClipRule },
): Promise<StepResult> {
  const rule = options.rule === undefined ? {} : { rule: options.rule };
  const graph = stepGraph(model.spec, options.batch.shape, rule);
  return collect(model.spec, await options.run(graph, feedsOf(model, options)));
}

const programs = new WeakMap<Engine, WeakMap<Graph, Promise<Program>>>();

/** Runs graphs on an engine; compiled ones are kept. */
export function onEngine(engine: Engine): Runner {
  const known = programs.get(engine) ?? new WeakMap<Graph, Promise<Program>>();
  programs.set(engine, known);
  return async (graph, feeds) => {
    const program = known.get(graph) ?? engine.compile(graph);
    known.set(graph, program);
    const outputs = await runProgram(await program, { engine, graph, feeds });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
  };
}

/** The same sum one unit after the other, clipped and added in float64. */
export async function loopOverUnits(
  model: Model,
  { batch, clipNorm, engine }: { batch: TestBatch; clipNorm: number; engine: Engine },
): Promise<StepResult> {
  const losses: number[] = [];
  const norms: number[] = [];
  let total: Float64Array | undefined;
  for (let unit = 0; unit < batch.shape.units; unit++) {
    const alone = { batch: unitOf(batch, unit), clipNorm: 3e38, run: onEngine(engine) };
    const {
      losses: [loss],
      sum,
    } = await step(model, alone);
    const norm = Math.hypot(...sum);
    const factor = norm > clipNorm ? clipNorm / norm : 1;
    total = Float64Array.from(sum, (value, index) => (total?.[index] ?? 0) + factor * value);
    losses.push(loss!);
    norms.push(norm);
  }
  return { losses, norms, sum: total! };
}
