import type { Engine, HostTensor, Program } from '../../trainer/engines/engine.ts';
import { backward } from '../../trainer/graph/backward.ts';
import { GraphBuilder, type Graph, type Shape, type Tensor } from '../../trainer/graph/graph.ts';
import { multiply } from '../../trainer/graph/operations.ts';
import { interpret } from './interpreter.ts';
import { smallCounts, smallValues } from './random-values.ts';

/** One input of an operation under test. */
export interface CaseInput {
  readonly shape: Shape;
  /** Exclusive upper limit of whole numbers; such an input is not differentiated by. */
  readonly limit?: number;
  /** A parameter: its gradient is kept apart for each unit. */
  readonly parameter?: boolean;
}

/** An operation under test, built from its inputs in their order. */
export interface OperationCase {
  readonly name: string;
  readonly units?: number;
  readonly inputs: readonly CaseInput[];
  readonly build: (builder: GraphBuilder, inputs: readonly Tensor[]) => Tensor;
}

type Feeds = Record<string, Float32Array | Int32Array>;

function size(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function isSmooth({ limit }: CaseInput): boolean {
  return limit === undefined;
}

/** The operation times `direction`, and the gradients of the sum of that by every input: `gradient:0`, … */
export function caseGraph({ units = 1, inputs, build }: OperationCase): Graph {
  const builder = new GraphBuilder({ units });
  const tensors = inputs.map((input, index) =>
    builder.input(`${index}`, {
      shape: input.shape,
      type: isSmooth(input) ? 'float32' : 'int32',
      differentiable: isSmooth(input),
    }),
  );
  const output = build(builder, tensors);
  const root = multiply(builder, [output, builder.input('direction', { shape: output.shape })]);
  const gradients = backward(builder, root);
  builder.output('root', root);
  tensors.forEach((tensor, index) => {
    if (tensor.differentiable) builder.output(`gradient:${index}`, gradients.of(tensor));
  });
  return builder.build();
}

/** Seeded inputs of a case. */
export function caseFeeds(graph: Graph, { inputs }: OperationCase, seed: number): Feeds {
  const feeds = Object.fromEntries(
    inputs.map(({ shape, limit }, index) => {
      const count = size(shape);
      const values =
        limit === undefined ? smallValues(seed + index, count) : smallCounts(seed + index, { count, limit });
      return [`${index}`, values];
    }),
  );
  const direction = graph.inputs.find(({ name }) => name === 'direction')!.tensor;
  return { ...feeds, direction: smallValues(seed + 99, size(direction.shape)) };
}

/** `direction` with everything but the rows of one unit struck out. */
function onlyUnit(
  direction: ArrayLike<number>,
  { unit, units }: { unit: number; units: number },
): Float64Array {
  const part = direction.length / units;
  return Float64Array.from(direction, (value, index) => (Math.floor(index / part) === unit ? value : 0));
}

/**
 * Central differences of Σ root by every input, in float64: shaped like the gradients, so those of
 * parameters are taken unit by unit.
 */
export function differences(
  graph: Graph,
  { inputs, units = 1 }: OperationCase,
  feeds: Feeds,
): Record<string, number[]> {
  const results: Record<string, number[]> = {};
  inputs.forEach((input, index) => {
    if (!isSmooth(input)) return;
    const wholes = [feeds['direction']!];
    const parts = Array.from({ length: units }, (_, unit) => onlyUnit(feeds['direction']!, { unit, units }));
    results[`gradient:${index}`] = (input.parameter ? parts : wholes).flatMap(direction =>
      differencesBy(graph, { ...feeds, direction }, `${index}`),
    );
  });
  return results;
}

function differencesBy(graph: Graph, feeds: Record<string, ArrayLike<number>>, name: string): number[] {
  const step = 1e-5;
  const total = (position: number, shift: number): number => {
    const values = Float64Array.from(feeds[name]!);
    values[position]! += shift;
    return interpret(graph, { ...feeds, [name]: values })['root']!.reduce((sum, value) => sum + value, 0);
  };
  return Array.from(
    { length: feeds[name]!.length },
    (_, position) => (total(position, step) - total(position, -step)) / (2 * step),
  );
}

/** Runs a compiled graph; everything is read back. */
export async function runProgram(
  program: Program,
  { engine, graph, feeds }: { engine: Engine; graph: Graph; feeds: Feeds },
): Promise<Record<string, HostTensor>> {
  const uploaded = graph.inputs.map(({ name, tensor }) => {
    return [name, engine.upload({ data: feeds[name]!, shape: tensor.shape })] as const;
  });
  const outputs = await program.run(Object.fromEntries(uploaded));
  const read: Record<string, HostTensor> = {};
  for (const [name, tensor] of Object.entries(outputs)) read[name] = await engine.read(tensor);
  return read;
}

/** Compiles and runs a graph once on an engine. */
export async function runOnce(
  engine: Engine,
  graph: Graph,
  feeds: Feeds,
): Promise<Record<string, HostTensor>> {
  const program = await engine.compile(graph);
  const outputs = await runProgram(program, { engine, graph, feeds });
  await program.dispose();
  return outputs;
}

/** Largest difference, relative to the largest value of `expected`; Infinity where anything is not a number. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  const scale = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = Array.from(actual).reduce((most, value, index) => {
    const difference = Math.abs(value - expected[index]!);
    return difference <= most ? most : Number.isNaN(difference) ? Infinity : difference;
  }, 0);
  return error === 0 ? 0 : error / scale;
}
