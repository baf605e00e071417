import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../trainer/engines/engine.ts';
import { openEngine } from '../../../trainer/engines/open.ts';
import { backward } from '../../../trainer/graph/backward.ts';
import { clipByUnit } from '../../../trainer/graph/clip.ts';
import { cheaperRule, gradientParts, type ClipRule } from '../../../trainer/graph/gradient-parts.ts';
import { GraphBuilder, type Graph } from '../../../trainer/graph/graph.ts';
import { embed, headLoss, project } from '../../../trainer/graph/layers.ts';
import { gelu, multiply, scale } from '../../../trainer/graph/operations.ts';
import { interpret } from '../../support/interpreter.ts';
import { relativeError, runOnce } from '../../support/differences.ts';
import { smallCounts, smallValues } from '../../support/random-values.ts';

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ prefer: 'onnxruntime-node', threads: 1 });
});

interface TableCase {
  readonly units: number;
  /** Rows of a unit. */
  readonly rows: number;
  readonly vocabulary: number;
  readonly width: number;
}

/** A table that is looked up in twice and multiplied by once, all in one gradient. */
function tableGraph({ units, rows, vocabulary, width }: TableCase, rule: ClipRule): Graph {
  const builder = new GraphBuilder({ units });
  const count = units * rows;
  const table = builder.input('table', { shape: [vocabulary, width], differentiable: true });
  const first = embed(builder, { table, indices: builder.input('first', { shape: [count], type: 'int32' }) });
  const second = embed(builder, {
    table,
    indices: builder.input('second', { shape: [count], type: 'int32' }),
  });
  const mixed = gelu(builder, multiply(builder, [first, second]));
  const output = project(builder, { input: mixed, weight: table });
  const root = multiply(builder, [output, builder.input('direction', { shape: [count, vocabulary] })]);
  const gradients = [{ name: 'table', shape: table.shape, uses: backward(builder, root).usesOf(table) }];
  const { norm, sums } = clipByUnit(builder, {
    parts: gradientParts(builder, { gradients, rows: count, rule }),
    clipNorm: builder.input('clipNorm', { shape: [] }),
  });
  builder.output('norm', norm);
  builder.output('sum', sums[0]!.sum);
  return builder.build();
}

function tableFeeds(
  { units, rows, vocabulary, width }: TableCase,
  seed: number,
): Record<string, Float32Array | Int32Array> {
  const count = units * rows;
  return {
    table: smallValues(seed, vocabulary * width),
    first: smallCounts(seed + 1, { count, limit: vocabulary }),
    second: smallCounts(seed + 2, { count, limit: vocabulary }),
    direction: smallValues(seed + 3, count * vocabulary),
    clipNorm: Float32Array.of(0.5),
  };
}

const tables = fc.record({
  units: fc.integer({ min: 1, max: 4 }),
  rows: fc.integer({ min: 1, max: 6 }),
  vocabulary: fc.integer({ min: 3, max: 6 }),
  width: fc.integer({ min: 3, max: 5 }),
});

describe('ghost norms', () => {
  it('of a table with two look-ups and a product are those of its kept gradient, never smaller', () => {
    const property = fc.property(tables, fc.nat(1000), (table, seed) => {
      const feeds = tableFeeds(table, seed);
      const kept = interpret(tableGraph(table, 'keep'), feeds);
      const ghost = interpret(tableGraph(table, 'ghost'), feeds);
      expect(relativeError(ghost['norm']!, kept['norm']!)).toBeLessThan(1e-5);
      ghost['sum']!.forEach((value, place) =>
        expect(Math.abs(value - kept['sum']![place]!)).toBeLessThan(5e-6),
      );
      ghost['norm']!.forEach((norm, unit) =>
        expect(norm).toBeGreaterThanOrEqual(kept['norm']![unit]! * (1 - 1e-12)),
      );
    });
    fc.assert(property, { numRuns: 60, seed: 3 });
  });

  it('are not too small in float32 where the rows of a unit cancel', async () => {
    const [units, rows, width] = [8, 64, 32];
    const feeds = cancellingRows({ units, rows, width, rest: 1e-3 });
    const norms = async (rule: ClipRule): Promise<ArrayLike<number>> =>
      (await runOnce(engine, productGraph({ units, rows, width, rule }), feeds))['norm']!.data;
    const exact = interpret(productGraph({ units, rows, width, rule: 'keep' }), feeds)['norm']!;
    const ghost = Array.from(await norms('ghost'));
    const lengths = (values: Float32Array): number[] =>
      Array.from({ length: units * rows }, (_, row) =>
        Math.hypot(...values.subarray(row * width, (row + 1) * width)),
      );
    const [left, right] = [lengths(feeds['left']!), lengths(feeds['right']!)];
    ghost.forEach((norm, unit) => {
      const outer = left.map((length, row) => (Math.floor(row / rows) === unit ? length * right[row]! : 0));
      const whole = outer.reduce((sum, length) => sum + length, 0);
      expect(norm).toBeGreaterThanOrEqual(exact[unit]!);
      expect(norm).toBeLessThan(Math.hypot(exact[unit]!, 2 ** -10.5 * whole));
    });
  });

  it('with a clip, no unit adds more than the clip although its rows cancel', async () => {
    const [units, rows, width] = [1, 64, 32];
    for (const rest of [1e-2, 1e-3, 1e-4, 1e-5]) {
      const graph = productGraph({ units, rows, width, rule: 'ghost' });
      const { sum } = await runOnce(engine, graph, cancellingRows({ units, rows, width, rest }));
      expect(Math.hypot(...sum!.data)).toBeLessThanOrEqual(0.001 * (1 + 1e-5));
    }
  });
});

function productGraph(options: {
  units: number;
  rows: number;
  width: number;
  rule: ClipRule | undefined;
}): Graph {
  const { units, rows, width, rule } = options;
  const builder = new GraphBuilder({ units });
  const shape = [units * rows, width];
  const [left, right] = ['left', 'right'].map(name => builder.input(name, { shape }));
  const uses = [{ use: 'product', left: left!, right: right! }] as const;
  const { norm, sums } = clipByUnit(builder, {
    parts: gradientParts(builder, {
      gradients: [{ name: 'weight', shape: [width, width], uses }],
      rows: units * rows,
      rule,
    }),
    clipNorm: builder.constant(Float32Array.of(0.001), []),
  });
  builder.output('norm', norm);
  builder.output('sum', sums[0]!.sum);
  return builder.build();
}

/** Rows in pairs: the second takes away what the first adds, but for a part `rest` of it. */
function cancellingRows(options: {
  units: number;
  rows: number;
  width: number;
  rest: number;
}): Record<string, Float32Array> {
  const { units, rows, width, rest } = options;
  const size = units * rows * width;
  const [left, right] = [smallValues(1, size), smallValues(2, size)];
  for (let row = 1; row < units * rows; row += 2) {
    for (let column = 0; column < width; column += 1) {
      left[row * width + column] = left[(row - 1) * width + column]!;
      right[row * width + column] = -right[(row - 1) * width + column]! * (1 - rest);
    }
  }
  return { left, right };
}

describe('cheaperRule()', () => {
  it.each([
    ['short texts by a wide matrix', { units: 8, rowsPerUnit: 16, shape: [256, 1024] }, 'ghost'],
    ['long texts by a narrow matrix', { units: 8, rowsPerUnit: 128, shape: [128, 512] }, 'keep'],
    ['an adapter', { units: 8, rowsPerUnit: 16, shape: [8, 768] }, 'keep'],
    ['a bias', { units: 8, rowsPerUnit: 1, shape: [768] }, 'keep'],
    ['one unit', { units: 1, rowsPerUnit: 16, shape: [256, 1024] }, 'keep'],
  ] as const)('%s', (_, question, expected) => {
    expect(cheaperRule(question)).toBe(expected);
  });

  it('memory decides for ghost norms where too much would be kept', () => {
    const options = { units: 64, rows: 128, width: 1024 };
    const question = { units: 64, rowsPerUnit: 128, shape: [1024, 1024] };
    expect(cheaperRule(question)).toBe('keep');
    const kept = (units: number): boolean =>
      productGraph({ ...options, units, rule: undefined }).nodes.some(node =>
        node.outputs.some(({ shape }) => shape.join() === `${units},1024,1024`),
      );
    expect([kept(2), kept(64)]).toEqual([true, false]);
  });
});

describe('headLoss()', () => {
  const build = (frozen: boolean, vocabulary: number): Graph => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [6, 3], differentiable: true });
    const loss = headLoss(builder, {
      input: scale(builder, { input, factor: 2 }),
      table: builder.input('table', { shape: [vocabulary, 3], differentiable: !frozen }),
      targets: builder.input('targets', { shape: [6], type: 'int32' }),
      weights: builder.input('weights', { shape: [6] }),
    });
    builder.output('loss', loss);
    builder.output('gradient', backward(builder, loss).of(input));
    return builder.build();
  };

  it.each([5, 2_100_000])('of a frozen table is that of a trained one, vocabulary %i', async vocabulary => {
    const feeds = {
      input: smallValues(5, 18),
      table: smallValues(6, vocabulary * 3),
      targets: smallCounts(7, { count: 6, limit: vocabulary }),
      weights: Float32Array.of(0.5, 0, 1, 2, 0.25, 1),
    };
    const frozen = await runOnce(engine, build(true, vocabulary), feeds);
    const trained = await runOnce(engine, build(false, vocabulary), feeds);
    expect(relativeError(frozen['loss']!.data, trained['loss']!.data)).toBeLessThan(1e-6);
    expect(relativeError(frozen['gradient']!.data, trained['gradient']!.data)).toBeLessThan(1e-5);
  });

  it('holds no more than a few rows of logits at a time', () => {
    const logits = build(true, 2_100_000).nodes.flatMap(node =>
      node.operator === 'logSoftmax' ? node.outputs.map(({ shape }) => shape[0]) : [],
    );
    expect(logits).toEqual([3, 3]);
  });
});
