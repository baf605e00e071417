import { describe, expect, it } from 'vitest';
import { openEngine } from '../../../trainer/engines/open.ts';
import { backward } from '../../../trainer/graph/backward.ts';
import { clipByUnit } from '../../../trainer/graph/clip.ts';
import { GraphBuilder } from '../../../trainer/graph/graph.ts';
import { keepByUnit } from '../../../trainer/graph/kept.ts';
import { toOnnx } from '../../../trainer/graph/onnx.ts';
import { add, multiply, scale } from '../../../trainer/graph/operations.ts';
import { ProtobufWriter } from '../../../trainer/graph/protobuf.ts';
import { runOnce } from '../../support/differences.ts';
import { smallValues } from '../../support/random-values.ts';
import { interpret } from '../../support/interpreter.ts';

describe('ProtobufWriter', () => {
  it('writes the examples of the format description', () => {
    expect([...new ProtobufWriter().integer(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
    expect([...new ProtobufWriter().text(2, 'testing').finish()]).toEqual([
      0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67,
    ]);
    const inner = new ProtobufWriter().integer(1, 150);
    expect([...new ProtobufWriter().message(3, inner).finish()]).toEqual([0x1a, 0x03, 0x08, 0x96, 0x01]);
  });

  it('writes negative numbers as ten bytes and floats little-endian', () => {
    expect([...new ProtobufWriter().integer(1, -1).finish()]).toEqual([8, ...Array(9).fill(0xff), 1]);
    expect([...new ProtobufWriter().float(2, 1).finish()]).toEqual([0x15, 0, 0, 0x80, 0x3f]);
  });
});

describe('GraphBuilder', () => {
  it('build() drops what no output depends on', () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [2] });
    scale(builder, { input, factor: 3 });
    builder.output('double', scale(builder, { input, factor: 2 }));
    const graph = builder.build();
    expect(graph.nodes.length).toBe(1);
    expect(graph.constants.map(({ data }) => [...data])).toEqual([[2]]);
  });

  it('constant() keeps equal data once, and apart by shape and type', () => {
    const builder = new GraphBuilder();
    const one = builder.constant(Float32Array.of(1), []);
    expect(builder.constant(Float32Array.of(1), [])).toBe(one);
    expect(builder.constant(Float32Array.of(1), [1])).not.toBe(one);
    expect(builder.constant(Int32Array.of(1), [])).not.toBe(one);
  });
});

describe('backward()', () => {
  it('adds up the gradients of a tensor that is used twice', () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [3], differentiable: true });
    const root = add(builder, [multiply(builder, [input, input]), scale(builder, { input, factor: 5 })]);
    builder.output('gradient', backward(builder, root).of(input));
    expect([...interpret(builder.build(), { input: [1, 2, -4] })['gradient']!]).toEqual([7, 9, -3]);
  });

  it('refuses a tensor that the root does not depend on', () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [3], differentiable: true });
    const other = builder.input('other', { shape: [4], differentiable: true });
    const gradients = backward(builder, scale(builder, { input, factor: 2 }));
    expect(() => gradients.of(other)).toThrow('nothing leads to the tensor of shape [4]');
  });
});

describe('toOnnx()', () => {
  it('names one tensor twice, and an input as an output', async () => {
    const builder = new GraphBuilder();
    const input = builder.input('input', { shape: [2] });
    const double = scale(builder, { input, factor: 2 });
    for (const name of ['first', 'second']) builder.output(name, double);
    builder.output('same', input);
    builder.output('fixed', builder.constant(Float32Array.of(7), [1]));
    const outputs = await runOnce(await openEngine(), builder.build(), { input: Float32Array.of(1, 2) });
    const values = Object.entries(outputs).map(([name, { data }]) => [name, [...data]]);
    expect(Object.fromEntries(values)).toEqual({ first: [2, 4], second: [2, 4], same: [1, 2], fixed: [7] });
  });

  it('is a pure function of the graph', () => {
    const build = (): Uint8Array => {
      const builder = new GraphBuilder();
      const input = builder.input('input', { shape: [2] });
      builder.output('output', scale(builder, { input, factor: 2 }));
      return toOnnx(builder.build());
    };
    expect(build()).toEqual(build());
  });
});

describe('clipByUnit()', () => {
  function clip(gradients: Record<string, number[][]>, clipNorm: number): Record<string, Float64Array> {
    const units = Object.values(gradients)[0]!.length;
    const builder = new GraphBuilder({ units });
    const entries = Object.entries(gradients).map(([name, rows]) => {
      const shape = [rows[0]!.length];
      const gradient = builder.input(name, { shape: units === 1 ? shape : [units, ...shape] });
      return keepByUnit(builder, { name, shape, gradient });
    });
    const clipTensor = builder.constant(Float32Array.of(clipNorm), []);
    const { norm, sums } = clipByUnit(builder, { parts: entries, clipNorm: clipTensor });
    builder.output('norm', norm);
    for (const { name, sum } of sums) builder.output(`sum:${name}`, sum);
    const feeds = Object.entries(gradients).map(([name, rows]) => [name, rows.flat()]);
    return interpret(builder.build(), Object.fromEntries(feeds));
  }

  it('takes one norm over all parameters', () => {
    const {
      norm,
      'sum:a': a,
      'sum:b': b,
    } = clip(
      {
        a: [
          [3, 0],
          [0, 0],
        ],
        b: [[4], [2]],
      },
      2.5,
    );
    expect([...norm!]).toEqual([5, 2]);
    expect([...a!]).toEqual([1.5, 0]);
    expect([...b!]).toEqual([4]);
  });

  it('leaves a gradient of exactly clipNorm alone', () => {
    expect([...clip({ a: [[3, 4]] }, 5)['sum:a']!]).toEqual([3, 4]);
  });

  it.each([1, 4])('adds squares in stretches, as exactly, %i units', units => {
    const rows = Array.from({ length: units }, (_, unit) =>
      Array.from({ length: 3 * 16_384 }, (_, index) => ((index * (unit + 7)) % 5) - 2),
    );
    const { norm } = clip({ a: rows }, 1);
    rows.forEach((row, unit) => expect(Math.abs(norm![unit]! / Math.hypot(...row) - 1)).toBeLessThan(1e-12));
  });

  it('loses less than a millionth of a long norm to float32', async () => {
    const size = 48 * 48 * 997;
    const builder = new GraphBuilder();
    const gradient = builder.input('gradient', { shape: [size] });
    const clipNorm = builder.constant(Float32Array.of(1), []);
    const { norm, sums } = clipByUnit(builder, {
      parts: [keepByUnit(builder, { name: 'a', shape: [size], gradient })],
      clipNorm,
    });
    builder.output('norm', norm);
    builder.output('sum', sums[0]!.sum);
    const values = smallValues(5, size);
    const exact = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    const outputs = await runOnce(await openEngine({ threads: 1 }), builder.build(), { gradient: values });
    expect(Math.abs(outputs['norm']!.data[0]! / exact - 1)).toBeLessThan(1e-6);
    const clipped = Float64Array.from(outputs['sum']!.data);
    expect(Math.sqrt(clipped.reduce((sum, value) => sum + value * value, 0))).toBeLessThan(1 + 1e-6);
  });

  it.each([
    [[[NaN, 1]], [0, 0]],
    [
      [
        [NaN, 1],
        [3, 4],
      ],
      [3, 4],
    ],
    [
      [
        [Infinity, 1],
        [-Infinity, NaN],
      ],
      [0, 0],
    ],
    [
      [
        [0, 0],
        [0, 0],
      ],
      [0, 0],
    ],
  ])('of %j adds up to %j', (rows, expected) => {
    expect([...clip({ a: rows }, 5)['sum:a']!]).toEqual(expected);
  });
});
