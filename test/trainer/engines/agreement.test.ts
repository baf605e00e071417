import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backward } from '../../../trainer/graph/backward.ts';
import { GraphBuilder, type Graph } from '../../../trainer/graph/graph.ts';
import { embed, headLoss } from '../../../trainer/graph/layers.ts';
import { matmul } from '../../../trainer/graph/operations.ts';
import { relativeError, runOnce } from '../../support/differences.ts';
import { interpret } from '../../support/interpreter.ts';
import {
  feedsOf,
  livelyModel,
  onEngine,
  raggedBatch,
  step,
  tinyFull,
  tinyLora,
} from '../../support/model-batches.ts';
import { smallValues } from '../../support/random-values.ts';
import { buildEvaluationGraph, buildStepGraph } from '../../../trainer/model/step.ts';
import { everyEngine } from './every-engine.ts';

const engines = await everyEngine();

function productGraph(options: { transposeLeft: boolean; transposeRight: boolean; scale: number }): Graph {
  const builder = new GraphBuilder();
  const left = builder.input('left', { shape: options.transposeLeft ? [2, 5, 3] : [2, 3, 5] });
  const right = builder.input('right', { shape: options.transposeRight ? [2, 4, 5] : [2, 5, 4] });
  builder.output('product', matmul(builder, { left, right, ...options }));
  return builder.build();
}

describe.each(engines.map(engine => [engine.name, engine] as const))('%s', (_, engine) => {
  it.each([
    [false, false, 1],
    [true, false, 1],
    [false, true, 0.25],
    [true, true, -3],
    [false, false, 7],
  ])('multiplies batches, transposed %s %s, times %d', async (transposeLeft, transposeRight, scale) => {
    const graph = productGraph({ transposeLeft, transposeRight, scale });
    const feeds = { left: smallValues(1, 30), right: smallValues(2, 40) };
    const { product } = await runOnce(engine, graph, feeds);
    expect(relativeError(product!.data, interpret(graph, feeds)['product']!)).toBeLessThan(1e-6);
  });

  it('keeps losses of logits that would overflow an exponential', async () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [3, 2] });
    const table = builder.input('table', { shape: [4, 2] });
    const targets = builder.input('targets', { shape: [3], type: 'int32' });
    const weights = builder.input('weights', { shape: [3] });
    builder.output('loss', headLoss(builder, { input, table, targets, weights }));
    const feeds = {
      input: Float32Array.of(100, 0, -100, 1, 3, 100),
      table: Float32Array.of(2, 1, -1, 5, 0.5, 0, 1, -1),
      targets: Int32Array.of(0, 1, 2),
      weights: Float32Array.of(1, 1, 1),
    };
    const graph = builder.build();
    const { loss } = await runOnce(engine, graph, feeds);
    expect(relativeError(loss!.data, interpret(graph, feeds)['loss']!)).toBeLessThan(1e-6);
  });

  it('adds up the rows of a table that are looked up twice', async () => {
    const builder = new GraphBuilder({ units: 2 });
    const table = builder.input('table', { shape: [3, 2], differentiable: true });
    const indices = builder.input('indices', { shape: [4], type: 'int32' });
    const rows = embed(builder, { table, indices });
    builder.output('gradient', backward(builder, rows).of(table));
    const feeds = { table: smallValues(3, 6), indices: Int32Array.of(2, 2, 0, 2) };
    const { gradient } = await runOnce(engine, builder.build(), feeds);
    expect([...gradient!.data]).toEqual([0, 0, 0, 0, 2, 2, 1, 1, 0, 0, 1, 1]);
  });

  it('refuses an input of another shape', async () => {
    const program = await engine.compile(
      productGraph({ transposeLeft: false, transposeRight: false, scale: 1 }),
    );
    const left = engine.upload({ data: smallValues(1, 15), shape: [1, 3, 5] });
    const right = engine.upload({ data: smallValues(2, 40), shape: [2, 5, 4] });
    await expect(program.run({ left, right })).rejects.toMatchObject({ code: 'ENGINE_FAILED' });
    await program.dispose();
  });

  it('evaluates as the float64 interpreter does', async () => {
    const model = livelyModel(tinyFull, 9);
    const batch = raggedBatch({ units: 3, rowsPerUnit: 1, tokens: 6 }, 2);
    const graph = buildEvaluationGraph(tinyFull, { rows: 3, tokens: 6 });
    const feeds = feedsOf(model, { batch, clipNorm: 1 });
    const { rowLoss } = await runOnce(engine, graph, feeds);
    expect(relativeError(rowLoss!.data, interpret(graph, feeds)['rowLoss']!)).toBeLessThan(1e-6);
  });
});

describe('clipped sums', () => {
  const shapes = fc.record({
    units: fc.integer({ min: 1, max: 4 }),
    rowsPerUnit: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 7 }),
  });
  const cases = fc.record({
    shape: shapes,
    spec: fc.constantFrom(tinyFull, tinyLora),
    seed: fc.integer({ min: 1, max: 1e6 }),
    clipNorm: fc.double({ min: 1e-3, max: 10, noNaN: true }),
  });

  it('are the same on every engine to 1e-4', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ shape, spec, seed, clipNorm }) => {
        const model = livelyModel(spec, seed);
        const batch = raggedBatch(shape, seed);
        const run = async (graph: Graph, feeds: Parameters<typeof interpret>[1]) => interpret(graph, feeds);
        const exact = await step(model, { batch, clipNorm, run });
        for (const engine of engines) {
          const { losses, norms, sum } = await step(model, { batch, clipNorm, run: onEngine(engine) });
          expect(relativeError(losses, exact.losses), engine.name).toBeLessThan(1e-4);
          expect(relativeError(norms, exact.norms), engine.name).toBeLessThan(1e-4);
          expect(relativeError(sum, exact.sum), engine.name).toBeLessThan(1e-4);
        }
      }),
      { numRuns: 6 },
    );
  });

  it.each(['keep', 'ghost'] as const)('by the rule %s leave a unit without a finite norm out', async rule => {
    const model = livelyModel(tinyFull, 4);
    const batch = raggedBatch({ units: 3, rowsPerUnit: 1, tokens: 5 }, 8);
    batch.tokenWeights[5] = Infinity;
    const graph = buildStepGraph(tinyFull, batch.shape, { rule });
    const others = raggedBatch(batch.shape, 8);
    others.tokenWeights.fill(0, 5, 10);
    const expected = interpret(graph, feedsOf(model, { batch: others, clipNorm: 0.3 }));
    for (const engine of engines) {
      const outputs = await runOnce(engine, graph, feedsOf(model, { batch, clipNorm: 0.3 }));
      expect(Number.isFinite(outputs['unitNorm']!.data[1]), engine.name).toBe(false);
      for (const name of Object.keys(expected).filter(output => output.startsWith('clipped:'))) {
        const error = relativeError(outputs[name]!.data, expected[name]!);
        expect(error, `${engine.name} ${name}`).toBeLessThan(1e-4);
      }
    }
  });
});
