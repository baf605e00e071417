import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine, HostTensor } from '../../../trainer/engines/engine.ts';
import { openEngine } from '../../../trainer/engines/open.ts';
import {
  checkEngine,
  probeExpected,
  probeFeeds,
  probeGraph,
  probeNumbers,
  probeProjectionsOfFirst,
} from '../../../trainer/engines/probe.ts';
import { productError } from '../../../trainer/engines/probe-product.ts';
import type { GraphNode, Operator } from '../../../trainer/graph/graph.ts';
import { relativeError } from '../../support/differences.ts';
import { interpret } from '../../support/interpreter.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ prefer: 'onnxruntime-node', threads: 1 });
});

/** The engine with everything that is read from it changed. */
function reading(change: (data: Float32Array) => Float32Array): Engine {
  return {
    ...engine,
    read: async (tensor): Promise<HostTensor> => {
      const { data, shape } = await engine.read(tensor);
      return { data: change(Float32Array.from(data)), shape };
    },
  };
}

function operatorsOf(nodes: readonly GraphNode[]): Operator[] {
  return nodes.flatMap(node => [
    node.operator,
    ...(node.operator === 'choose'
      ? node.attributes.branches.flatMap(branch => operatorsOf(branch.nodes))
      : []),
  ]);
}

/** Values with the ten bits that TF32 keeps of them. */
function shortened(data: Float32Array | Int32Array): Float32Array | Int32Array {
  if (data instanceof Int32Array) return data;
  const copy = Float32Array.from(data);
  const bits = new Int32Array(copy.buffer);
  for (let index = 0; index < bits.length; index++) bits[index] = (bits[index]! + 0x1000) & ~0x1fff;
  return copy;
}

describe('checkEngine()', () => {
  it('holds engines against the numbers of the float64 interpreter', () => {
    // The graph may round norms up a little; that is no more than float32 loses.
    const numbers = (dropSecond: boolean): ReturnType<typeof probeNumbers> =>
      probeNumbers(interpret(probeGraph(), probeFeeds({ dropSecond })));
    const { losses, norms, projections } = numbers(false);
    expect(relativeError(losses, probeExpected.losses)).toBeLessThan(2e-6);
    expect(relativeError(norms, probeExpected.norms)).toBeLessThan(2e-6);
    expect(relativeError(projections, probeExpected.projections)).toBeLessThan(2e-6);
    const dropped = numbers(true);
    expect(dropped.norms[1]).not.toSatisfy(Number.isFinite);
    expect(relativeError(dropped.projections, probeProjectionsOfFirst)).toBeLessThan(2e-6);
  });

  it('asks for the operators that training asks for', () => {
    const asked = new Set(operatorsOf(probeGraph().nodes));
    const expected: Operator[] = [
      'affine',
      'choose',
      'gatherRows',
      'layerNorm',
      'matmul',
      'scatterAddRows',
      'where',
    ];
    for (const operator of expected) expect(asked).toContain(operator);
  });

  it('is content with the processor', async () => {
    expect(await checkEngine(engine)).toBeLessThan(3e-6);
  });

  it('refuses numbers with the ten bits of TF32', async () => {
    const cut = (data: Float32Array): Float32Array => {
      const bits = new Int32Array(data.buffer);
      for (let index = 0; index < bits.length; index++) bits[index]! &= ~0x1fff;
      return data;
    };
    await expect(checkEngine(reading(cut))).rejects.toThrow(
      /Cannot trust onnxruntime-node:cpu: its .* are off by/,
    );
  });

  it('sees TF32 in products of matrices alone, which small models may not get', async () => {
    const exact = await productError(engine);
    expect(exact).toBeLessThan(3e-7);
    const cut = {
      ...engine,
      upload: ({ data, shape }: HostTensor) => engine.upload({ data: shortened(data), shape }),
    };
    expect(await productError(cut)).toBeGreaterThan(3e-6);
    await expect(checkEngine(cut)).rejects.toThrow('its products of matrices are off by');
  });

  it('refuses a unit that should have been dropped', async () => {
    const finite = (data: Float32Array): Float32Array =>
      data.map(value => (Number.isFinite(value) ? value : 1));
    await expect(checkEngine(reading(finite))).rejects.toThrow('norms of a unit to be dropped');
  });

  it('refuses sums that a dropped unit has spoilt', async () => {
    const spoilt = {
      ...engine,
      compile: async (graph: Parameters<Engine['compile']>[0]) => {
        const program = await engine.compile(graph);
        const clean = probeFeeds({ dropSecond: false })['tokenWeights']!;
        return {
          ...program,
          run: async (feeds: Parameters<typeof program.run>[0]) => {
            const tokenWeights = engine.upload({ data: clean, shape: [clean.length] });
            const outputs = await program.run({ ...feeds, tokenWeights });
            const norm = (await program.run(feeds))['unitNorm']!;
            return { ...outputs, unitNorm: norm };
          },
        };
      },
    };
    await expect(checkEngine(spoilt)).rejects.toThrow('clipped sums beside a dropped unit');
  });
});
