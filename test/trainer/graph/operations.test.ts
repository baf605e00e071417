import { describe, expect, it } from 'vitest';
import { openEngine } from '../../../trainer/engines/open.ts';
import {
  addPositions,
  affine,
  crossEntropy,
  embed,
  layerNorm,
  project,
} from '../../../trainer/graph/layers.ts';
import {
  add,
  broadcastShape,
  gelu,
  matmul,
  multiply,
  reshape,
  scale,
  softmax,
  split,
  transpose,
} from '../../../trainer/graph/operations.ts';
import {
  caseFeeds,
  caseGraph,
  differences,
  relativeError,
  runOnce,
  type CaseInput,
  type OperationCase,
} from '../../support/differences.ts';
import { interpret } from '../../support/interpreter.ts';

const of = (...shape: number[]): CaseInput => ({ shape });
const parameter = (...shape: number[]): CaseInput => ({ shape, parameter: true });
const indices = (count: number, limit: number): CaseInput => ({ shape: [count], limit });

const products = [false, true].flatMap(transposeLeft =>
  [false, true].flatMap(transposeRight =>
    [[], [3]].map((batch): OperationCase => {
      const left = of(...batch, ...(transposeLeft ? [4, 2] : [2, 4]));
      const right = of(...batch, ...(transposeRight ? [5, 4] : [4, 5]));
      return {
        name: `matmul ${transposeLeft ? 'transposed' : 'plain'} by ${transposeRight ? 'transposed' : 'plain'}, ${batch.length} batch axes`,
        inputs: [left, right],
        build: (builder, [first, second]) =>
          matmul(builder, { left: first!, right: second!, transposeLeft, transposeRight, scale: 0.3 }),
      };
    }),
  ),
);

/** Operations that read parameters, for one unit and for three. */
const layers = [1, 3].flatMap((units): OperationCase[] => [
  {
    name: 'affine',
    units,
    inputs: [of(6, 4), parameter(4, 5), parameter(5)],
    build: (builder, [input, weight, bias]) =>
      affine(builder, { input: input!, weight: weight!, bias: bias! }),
  },
  {
    name: 'project',
    units,
    inputs: [of(6, 4), parameter(5, 4)],
    build: (builder, [input, weight]) => project(builder, { input: input!, weight: weight! }),
  },
  {
    name: 'layerNorm',
    units,
    inputs: [of(6, 5), parameter(5), parameter(5)],
    build: (builder, [input, gain, bias]) => layerNorm(builder, { input: input!, gain: gain!, bias: bias! }),
  },
  {
    name: 'embed, indices repeated',
    units,
    inputs: [parameter(4, 3), indices(12, 4)],
    build: (builder, [table, tokens]) => embed(builder, { table: table!, indices: tokens! }),
  },
  {
    name: 'embed and project by one table',
    units,
    inputs: [parameter(4, 3), indices(6, 4)],
    build: (builder, [table, tokens]) =>
      project(builder, {
        input: gelu(builder, embed(builder, { table: table!, indices: tokens! })),
        weight: table!,
      }),
  },
  {
    name: 'addPositions, several texts a unit, fewer tokens than positions',
    units,
    inputs: [of(12, 3), parameter(5, 3)],
    build: (builder, [input, table]) => addPositions(builder, { input: input!, table: table!, tokens: 2 }),
  },
  {
    name: 'addPositions, every position',
    units,
    inputs: [of(12, 3), parameter(4, 3)],
    build: (builder, [input, table]) => addPositions(builder, { input: input!, table: table!, tokens: 4 }),
  },
]);

const cases: readonly OperationCase[] = [
  { name: 'add', inputs: [of(3, 4), of(3, 4)], build: (builder, [a, b]) => add(builder, [a!, b!]) },
  {
    name: 'add to every row',
    inputs: [of(2, 3, 4), of(4)],
    build: (builder, [a, b]) => add(builder, [a!, b!]),
  },
  {
    name: 'add to every column',
    inputs: [of(3, 1), of(3, 4)],
    build: (builder, [a, b]) => add(builder, [a!, b!]),
  },
  { name: 'multiply', inputs: [of(3, 4), of(3, 4)], build: (builder, [a, b]) => multiply(builder, [a!, b!]) },
  {
    name: 'multiply rows',
    inputs: [of(3, 4), of(3, 1)],
    build: (builder, [a, b]) => multiply(builder, [a!, b!]),
  },
  {
    name: 'multiply by a number',
    inputs: [of(3, 4), of()],
    build: (builder, [a, b]) => multiply(builder, [a!, b!]),
  },
  { name: 'square', inputs: [of(3, 4)], build: (builder, [a]) => multiply(builder, [a!, a!]) },
  { name: 'scale', inputs: [of(3, 4)], build: (builder, [a]) => scale(builder, { input: a!, factor: -2.5 }) },
  {
    name: 'reshape',
    inputs: [of(3, 4)],
    build: (builder, [a]) => reshape(builder, { input: a!, shape: [2, 6] }),
  },
  {
    name: 'transpose',
    inputs: [of(2, 3, 4)],
    build: (builder, [a]) => transpose(builder, { input: a!, permutation: [1, 2, 0] }),
  },
  {
    name: 'split, one part unused',
    inputs: [of(6, 2)],
    build: (builder, [a]) => {
      const [first, , third] = split(builder, { input: a!, parts: 3 });
      return multiply(builder, [first!, third!]);
    },
  },
  { name: 'softmax', inputs: [of(2, 3, 4)], build: (builder, [a]) => softmax(builder, a!) },
  {
    name: 'gelu',
    inputs: [of(3, 4)],
    build: (builder, [a]) => gelu(builder, scale(builder, { input: a!, factor: 3 })),
  },
  {
    name: 'crossEntropy',
    inputs: [of(5, 4), indices(5, 4)],
    build: (builder, [logits, targets]) => {
      const weights = builder.constant(Float32Array.of(0.5, 0, 1, 2, 0.25), [5]);
      return crossEntropy(builder, { logits: logits!, targets: targets!, weights });
    },
  },
  ...products,
  ...layers,
];

describe('reverse rules', () => {
  for (const operation of cases) {
    const title = `${operation.name}${operation.units ? `, ${operation.units} units` : ''}`;
    it(`${title}: gradients equal central differences`, () => {
      const graph = caseGraph(operation);
      for (const seed of [1, 2, 3]) {
        const feeds = caseFeeds(graph, operation, seed);
        const actual = interpret(graph, feeds);
        const expected = differences(graph, operation, feeds);
        expect(Object.keys(expected).length).toBeGreaterThan(0);
        for (const [name, values] of Object.entries(expected)) {
          expect(relativeError(actual[name]!, values), `${name}, seed ${seed}`).toBeLessThan(1e-8);
        }
      }
    });
  }
});

describe('engines', async () => {
  const engines = [
    await openEngine({ prefer: 'onnxruntime-node' }),
    await openEngine({ prefer: 'onnxruntime-web' }),
  ];
  for (const engine of engines) {
    it(`${engine.name} agrees with the float64 interpreter on every operation`, async () => {
      for (const operation of cases) {
        const graph = caseGraph(operation);
        const feeds = caseFeeds(graph, operation, 4);
        const expected = interpret(graph, feeds);
        const actual = await runOnce(engine, graph, feeds);
        for (const [name, values] of Object.entries(expected)) {
          expect(relativeError(actual[name]!.data, values), `${operation.name}: ${name}`).toBeLessThan(2e-6);
        }
      }
    });
  }
});

describe('broadcastShape()', () => {
  it('stretches axes of 1 and missing axes', () => {
    expect(broadcastShape([2, 1, 4], [3, 1])).toEqual([2, 3, 4]);
    expect(broadcastShape([], [5])).toEqual([5]);
  });

  it('refuses axes that differ', () => {
    expect(() => broadcastShape([2, 3], [2, 4])).toThrow("[2,3] and [2,4] don't broadcast");
  });
});
