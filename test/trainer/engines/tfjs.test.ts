import * as tensorflow from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../../trainer/engines/engine.ts';
import { probeFeeds, probeGraph } from '../../../trainer/engines/probe.ts';
import { tfjsEngine } from '../../../trainer/engines/tfjs.ts';
import { GraphBuilder, type Graph } from '../../../trainer/graph/graph.ts';
import { add, scale } from '../../../trainer/graph/operations.ts';
import { runOnce } from '../../support/differences.ts';

let engine: Engine;
beforeAll(async () => {
  await tensorflow.ready();
  engine = tfjsEngine(tensorflow);
});

/** Adds up its inputs, or hands them on, as `large` says; two outputs are one tensor. */
function choosingGraph(): Graph {
  const builder = new GraphBuilder();
  const input = builder.input('input', { shape: [2] });
  const limit = builder.input('limit', { shape: [] });
  const double = scale(builder, { input, factor: 2 });
  const first = builder.node({ operator: 'head', inputs: [input], shape: [1], attributes: {} });
  const size = builder.node({
    operator: 'sum',
    inputs: [first],
    shape: [],
    attributes: { axes: [0], keepAxes: false },
  });
  const large = builder.node({
    operator: 'greater',
    inputs: [size, limit],
    shape: [],
    attributes: {},
    type: 'bool',
  });
  const [one, other] = builder.choose(large, {
    first: () => [add(builder, [double, double]), double],
    second: () => [double, double],
  });
  builder.output('one', one!);
  builder.output('other', other!);
  builder.output('again', one!);
  builder.output('input too', input);
  builder.output('double', double);
  return builder.build();
}

describe('tfjsEngine()', () => {
  it('takes any package of the family and says which backend it runs on', () => {
    expect(engine.name).toBe('tfjs:cpu');
  });

  it.each([
    [0, { one: [4, 8], other: [2, 4], again: [4, 8], 'input too': [1, 2], double: [2, 4] }],
    [5, { one: [2, 4], other: [2, 4], again: [2, 4], 'input too': [1, 2], double: [2, 4] }],
  ])('runs the branch that the condition asks for, limit %d', async (limit, expected) => {
    const feeds = { input: Float32Array.of(1, 2), limit: Float32Array.of(limit) };
    const outputs = await runOnce(engine, choosingGraph(), feeds);
    const values = Object.entries(outputs).map(([name, { data }]) => [name, [...data]]);
    expect(Object.fromEntries(values)).toEqual(expected);
  });

  it('lets every output be freed without the others', async () => {
    const program = await engine.compile(choosingGraph());
    const input = engine.upload({ data: Float32Array.of(1, 2), shape: [2] });
    const limit = engine.upload({ data: Float32Array.of(5), shape: [] });
    const { one, ...rest } = await program.run({ input, limit });
    for (const tensor of Object.values(rest)) tensor.dispose();
    expect([...(await engine.read(one!)).data]).toEqual([2, 4]);
    expect([...(await engine.read(input)).data]).toEqual([1, 2]);
  });

  it('frees everything that a step needs on the way', async () => {
    const before = tensorflow.memory().numTensors;
    const graph = probeGraph();
    const program = await engine.compile(graph);
    const values = probeFeeds({ dropSecond: true });
    const feeds = Object.fromEntries(
      graph.inputs.map(({ name, tensor }) => [
        name,
        engine.upload({ data: values[name]!, shape: tensor.shape }),
      ]),
    );
    for (let repeat = 0; repeat < 2; repeat++) {
      const outputs = await program.run(feeds);
      for (const tensor of Object.values(outputs)) tensor.dispose();
    }
    for (const tensor of Object.values(feeds)) tensor.dispose();
    await program.dispose();
    expect(tensorflow.memory().numTensors).toBe(before);
  });

  it('frees the rest of a run that fails, and says what failed', async () => {
    const graph = choosingGraph();
    const failing = tfjsEngine({
      ...tensorflow,
      greater: () => {
        throw new Error('no such kernel');
      },
    });
    const program = await failing.compile(graph);
    const feeds = {
      input: failing.upload({ data: Float32Array.of(1, 2), shape: [2] }),
      limit: failing.upload({ data: Float32Array.of(0), shape: [] }),
    };
    const before = tensorflow.memory().numTensors;
    await expect(program.run(feeds)).rejects.toThrow(
      'Cannot run the graph: tfjs:cpu says "no such kernel". Try another engine',
    );
    expect(tensorflow.memory().numTensors).toBe(before);
  });

  it('refuses an input that is missing', async () => {
    const program = await engine.compile(choosingGraph());
    await expect(program.run({})).rejects.toThrow('the input input is missing');
  });

  it('refuses to read a tensor that holds no numbers', async () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [1] });
    builder.output(
      'same',
      builder.node({ operator: 'greater', inputs: [input, input], shape: [1], attributes: {}, type: 'bool' }),
    );
    await expect(runOnce(engine, builder.build(), { input: Float32Array.of(1) })).rejects.toThrow(
      'its values are bool',
    );
  });
});

describe("openEngine({ prefer: 'tfjs' })", () => {
  it('says what to install where no package of TensorFlow.js loads', async () => {
    vi.resetModules();
    vi.doMock('@tensorflow/tfjs-core', () => {
      throw new Error('no such package');
    });
    const { openEngine } = await import('../../../trainer/engines/open.ts');
    await expect(openEngine({ prefer: 'tfjs' })).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringContaining('Run "npm install @tensorflow/tfjs-node-gpu"'),
    });
    vi.doUnmock('@tensorflow/tfjs-core');
  });
});
