import { DpError } from '../../accounting/check.ts';
import type { Graph } from '../graph/graph.ts';
import { parametersOf, type ModelSpec } from '../model/gpt.ts';
import { buildStepGraph } from '../model/step.ts';
import type { DeviceTensor, Engine, Program } from './engine.ts';
import { productError } from './probe-product.ts';

/** What a step of the probe gives. */
export interface ProbeNumbers {
  readonly losses: readonly number[];
  /** Of the units' gradients, before clipping. */
  readonly norms: readonly number[];
  /** Sums of the clipped sums under weights of different wave lengths: what a wrong value anywhere changes. */
  readonly projections: readonly number[];
}

/** A small model whose step has every operator that training has. */
export const probeSpec: ModelSpec = {
  config: { vocabularySize: 11, contextLength: 6, layers: 2, width: 8, heads: 2 },
  lora: null,
};

const batch = { units: 2, rowsPerUnit: 2, tokens: 5 } as const;
const tokens = batch.units * batch.rowsPerUnit * batch.tokens;
const clipNorm = 0.5;

/** Exact values, by the float64 interpreter of the tests. */
export const probeExpected: ProbeNumbers = {
  losses: [4.813478353037049, 5.334619617937795],
  norms: [1.4230998068429093, 2.2325319937904626],
  projections: [-1.0514299058042103, -0.3964156198925565, -0.022464965866390907],
};

/** The projections of the first unit's part alone, as the second unit is dropped. */
export const probeProjectionsOfFirst: readonly number[] = [
  -0.45398452982262627, -0.2241884409805175, 0.02038306810670841,
];

/** Float32 keeps to 1e-6 here; products in a shorter format, such as TF32, miss by 1e-4. */
const tolerance = 2e-5;

/** Of a long product, relative to the lengths of its factors. */
const productTolerance = 1e-6;

function wave(size: number, { pace, shift }: { pace: number; shift: number }): Float32Array {
  return Float32Array.from({ length: size }, (_, index) => Math.sin(pace * (index + 1) + shift));
}

/** Values of the probe's inputs; the second unit's loss overflows where it is to be dropped. */
export function probeFeeds({
  dropSecond,
}: {
  dropSecond: boolean;
}): Record<string, Float32Array | Int32Array> {
  const parameters = parametersOf(probeSpec).map(({ name, shape }, index) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return [name, wave(size, { pace: 0.7 + 0.01 * index, shift: index }).map(value => 0.6 * value)] as const;
  });
  const ids = (step: number): Int32Array =>
    Int32Array.from({ length: tokens }, (_, index) => (index * step) % 11);
  const tokenWeights = Float32Array.from({ length: tokens }, (_, index) => 0.1 + (index % 3) / 10);
  if (dropSecond) tokenWeights[tokens - 1] = Infinity;
  return {
    ...Object.fromEntries(parameters),
    inputIds: ids(3),
    targetIds: ids(7),
    tokenWeights,
    clipNorm: Float32Array.of(clipNorm),
  };
}

/** The probe's step as a graph. */
export function probeGraph(): Graph {
  return buildStepGraph(probeSpec, batch);
}

/** The numbers of a probe from the outputs of its graph. */
export function probeNumbers(outputs: Readonly<Record<string, ArrayLike<number>>>): ProbeNumbers {
  const projections = [0.31, 1.7, 2.9].map(pace => {
    let total = 0;
    let place = 0;
    for (const { name } of parametersOf(probeSpec)) {
      const sums = outputs[`clipped:${name}`]!;
      for (let index = 0; index < sums.length; index++) total += sums[index]! * Math.cos(pace * place++);
    }
    return total;
  });
  return {
    losses: Array.from(outputs['unitLoss']!),
    norms: Array.from(outputs['unitNorm']!),
    projections,
  };
}

async function runProbe(
  engine: Engine,
  options: { program: Program; graph: Graph; dropSecond: boolean },
): Promise<ProbeNumbers> {
  const feeds: Record<string, DeviceTensor> = {};
  const values = probeFeeds(options);
  for (const { name, tensor } of options.graph.inputs) {
    feeds[name] = engine.upload({ data: values[name]!, shape: tensor.shape });
  }
  const outputs = await options.program.run(feeds);
  const read: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of Object.entries(outputs)) read[name] = (await engine.read(tensor)).data;
  for (const tensor of [...Object.values(feeds), ...Object.values(outputs)]) tensor.dispose();
  return probeNumbers(read);
}

/** Largest difference, relative to the expected value where that is large; NaN counts as Infinity. */
function difference(actual: readonly number[], expected: readonly number[]): number {
  const errors = expected.map(
    (value, index) => Math.abs(actual[index]! - value) / Math.max(1, Math.abs(value)),
  );
  return errors.some(Number.isNaN) ? Infinity : Math.max(...errors);
}

function checkNumbers(
  engine: Engine,
  { what, error, limit = tolerance }: { what: string; error: number; limit?: number },
): number {
  if (error <= limit) return error;
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot trust ${engine.name}: its ${what} are off by ${error.toExponential(1)}. Use another engine.`,
  );
}

async function compareAll(
  engine: Engine,
  run: (dropSecond: boolean) => Promise<ProbeNumbers>,
): Promise<number> {
  const { losses, norms, projections } = await run(false);
  const dropped = await run(true);
  const isDropped = !Number.isFinite(dropped.norms[1]);
  const errors = [
    { what: 'losses', error: difference(losses, probeExpected.losses) },
    { what: 'gradient norms', error: difference(norms, probeExpected.norms) },
    { what: 'clipped sums', error: difference(projections, probeExpected.projections) },
    { what: 'norms of a unit to be dropped', error: isDropped ? 0 : Infinity },
    {
      what: 'clipped sums beside a dropped unit',
      error: difference(dropped.projections, probeProjectionsOfFirst),
    },
  ];
  return Math.max(...errors.map(error => checkNumbers(engine, error)));
}

/**
 * Runs a product of matrices and a small training step on an engine and holds them against exact numbers: losses,
 * norms, clipped sums, and that a unit without a finite norm adds nothing.
 *
 * @returns the largest relative error seen
 * @throws DpError `ENGINE_FAILED` where a number is off by more than 2e-5, a product by more than 1e-6, or the engine fails
 */
export async function checkEngine(engine: Engine): Promise<number> {
  const error = await productError(engine);
  checkNumbers(engine, { what: 'products of matrices', error, limit: productTolerance });
  const graph = probeGraph();
  const program = await engine.compile(graph);
  try {
    return await compareAll(engine, dropSecond => runProbe(engine, { program, graph, dropSecond }));
  } finally {
    await program.dispose();
  }
}
