import { beforeAll, describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import type { Engine } from '../../../trainer/engines/engine.ts';
import { openEngine } from '../../../trainer/engines/open.ts';
import type { GraphNode, Tensor } from '../../../trainer/graph/graph.ts';
import { parametersOf, type ModelSpec } from '../../../trainer/model/gpt.ts';
import { buildEvaluationGraph, buildGradientGraph, buildStepGraph } from '../../../trainer/model/step.ts';
import { relativeError, runOnce } from '../../support/differences.ts';
import { interpret } from '../../support/interpreter.ts';
import {
  feedsOf,
  livelyModel,
  loopOverUnits,
  onEngine,
  raggedBatch,
  reordered,
  rowOf,
  step,
  tinyFull,
  tinyLora,
  trainableNames,
} from '../../support/model-batches.ts';
import { referenceLogits, referenceLoss, wideParameters } from '../../support/reference-gpt.ts';

const specs: readonly (readonly [string, ModelSpec])[] = [
  ['full', tinyFull],
  ['LoRA', tinyLora],
];

/** What is trained, and by which rule its matrices are clipped. */
const clipped = specs.flatMap(([name, spec]) =>
  (['keep', 'ghost'] as const).map(rule => [`${name}, ${rule}`, spec, rule] as const),
);

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ prefer: 'onnxruntime-node', threads: 1 });
});

const interpreted = async (
  ...[graph, feeds]: Parameters<typeof interpret>
): Promise<Record<string, Float64Array>> => interpret(graph, feeds);

/** Every tensor that a graph computes, in branches too. */
function tensorsOf(nodes: readonly GraphNode[]): readonly Tensor[] {
  return nodes.flatMap(node => [
    ...node.outputs,
    ...(node.operator === 'choose'
      ? node.attributes.branches.flatMap(branch => tensorsOf(branch.nodes))
      : []),
  ]);
}

describe.each(clipped)('buildStepGraph(), %s', (_, spec, rule) => {
  const shape = { units: 2, rowsPerUnit: 2, tokens: 5 };
  const model = livelyModel(spec, 3);
  const batch = raggedBatch(shape, 5);

  it('gives the losses of a plain GPT-2 in float64', async () => {
    const { losses } = await step(model, { batch, clipNorm: 1, run: interpreted, rule });
    // The graph holds its constants, those of GELU among them, in float32.
    const texts = [0, 1, 2, 3].map(row => referenceLoss(model, rowOf(batch, row)));
    expect(relativeError(losses, [texts[0]! + texts[1]!, texts[2]! + texts[3]!])).toBeLessThan(2e-8);
  });

  it('gives gradients that equal central differences of the plain GPT-2', async () => {
    const whole = { ...batch, shape: { units: 1, rowsPerUnit: 4, tokens: 5 } };
    const graph = buildStepGraph(spec, whole.shape, { rule });
    const outputs = interpret(graph, feedsOf(model, { batch: whole, clipNorm: 3e38 }));
    const parameters = wideParameters(model.parameters);
    const loss = (): number =>
      [0, 1, 2, 3].reduce((sum, row) => sum + referenceLoss({ spec, parameters }, rowOf(batch, row)), 0);
    const nudge = (values: Float64Array, { position, by }: { position: number; by: number }): number => {
      values[position]! += by;
      const nudged = loss();
      values[position]! -= by;
      return nudged;
    };
    for (const name of trainableNames(spec)) {
      const values = parameters.get(name)!;
      const positions = [0, 3, 7].map(position => (position * 31) % values.length);
      const differences = positions.map(
        position => (nudge(values, { position, by: 1e-5 }) - nudge(values, { position, by: -1e-5 })) / 2e-5,
      );
      const gradients = positions.map(position => outputs[`clipped:${name}`]![position]!);
      const scale = Math.max(...outputs[`clipped:${name}`]!.map(Math.abs));
      positions.forEach((_, index) => {
        expect(Math.abs(gradients[index]! - differences[index]!) / scale, name).toBeLessThan(1e-7);
      });
    }
  });

  it('runs on ONNX Runtime as in float64', async () => {
    const expected = await step(model, { batch, clipNorm: 0.7, run: interpreted, rule });
    const actual = await step(model, { batch, clipNorm: 0.7, run: onEngine(engine), rule });
    expect(relativeError(actual.losses, expected.losses)).toBeLessThan(1e-6);
    expect(relativeError(actual.norms, expected.norms)).toBeLessThan(2e-6);
    expect(relativeError(actual.sum, expected.sum)).toBeLessThan(5e-6);
  });

  it('equals the loop over units: clipped sums, norms, losses', async () => {
    const shapes = fc.record({
      units: fc.integer({ min: 1, max: 5 }),
      rowsPerUnit: fc.integer({ min: 1, max: 3 }),
      tokens: fc.integer({ min: 1, max: 7 }),
    });
    const clips = fc.constantFrom(1e-3, 0.3, 1, 4, 3e38);
    const property = fc.asyncProperty(shapes, clips, fc.nat(1000), async (shape, clipNorm, seed) => {
      const lively = livelyModel(spec, seed);
      const ragged = raggedBatch(shape, seed + 50);
      const expected = await loopOverUnits(lively, { batch: ragged, clipNorm, engine });
      const actual = await step(lively, { batch: ragged, clipNorm, run: onEngine(engine), rule });
      expect(relativeError(actual.sum, expected.sum)).toBeLessThan(1e-5);
      expect(relativeError(actual.norms, expected.norms)).toBeLessThan(1e-5);
      expect(relativeError(actual.losses, expected.losses)).toBeLessThan(1e-5);
    });
    await fc.assert(property, { numRuns: 15, seed: 7 });
  });

  it('clips: no unit adds more than clipNorm, and one below it adds its gradient', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const alone = raggedBatch({ units: 1, rowsPerUnit: 2, tokens: 7 }, seed);
      const free = await step(model, { batch: alone, clipNorm: 3e38, run: onEngine(engine), rule });
      const norm = Math.hypot(...free.sum);
      const clipped = await step(model, { batch: alone, clipNorm: norm / 3, run: onEngine(engine), rule });
      expect(Math.hypot(...clipped.sum)).toBeLessThanOrEqual((norm / 3) * (1 + 1e-6));
      expect(Math.hypot(...clipped.sum)).toBeGreaterThan((norm / 3) * (1 - 1e-5));
      const loose = await step(model, { batch: alone, clipNorm: norm * 1.01, run: onEngine(engine), rule });
      expect(loose.sum).toEqual(free.sum);
    }
  });

  it('does not depend on the order of the units', async () => {
    const four = raggedBatch({ units: 4, rowsPerUnit: 2, tokens: 6 }, 11);
    const options = { clipNorm: 0.5, run: onEngine(engine), rule };
    const before = await step(model, { batch: four, ...options });
    const order = [2, 0, 3, 1];
    const after = await step(model, { batch: reordered(four, order), ...options });
    expect(
      relativeError(
        after.norms,
        order.map(unit => before.norms[unit]!),
      ),
    ).toBeLessThan(1e-6);
    expect(relativeError(after.sum, before.sum)).toBeLessThan(1e-6);
  });

  it('units of weight 0 add exactly nothing', async () => {
    const full = raggedBatch({ units: 3, rowsPerUnit: 2, tokens: 5 }, 13);
    full.tokenWeights.fill(0, 10, 20);
    const options = { clipNorm: 0.5, run: onEngine(engine), rule };
    const { losses, norms, sum } = await step(model, { batch: full, ...options });
    expect([losses[1], norms[1]]).toEqual([0, 0]);
    const without = await step(model, { batch: reordered(full, [0, 2]), ...options });
    expect(relativeError(sum, without.sum)).toBeLessThan(1e-6);
    const empty = await step(model, { batch: { ...full, tokenWeights: new Float32Array(30) }, ...options });
    expect(empty.sum.every(value => value === 0)).toBe(true);
  });

  it.each([
    ['not a number', NaN],
    ['infinite', Infinity],
    ['too large to be squared', 1e30],
  ])('drops a unit whose gradient is %s, and only that unit', async (_, weight) => {
    const poisoned = raggedBatch({ units: 3, rowsPerUnit: 2, tokens: 5 }, 17);
    poisoned.tokenWeights[11] = weight;
    const options = { clipNorm: 0.5, run: onEngine(engine), rule };
    const { norms, sum } = await step(model, { batch: poisoned, ...options });
    expect(norms.map(Number.isFinite)).toEqual([true, false, true]);
    const healthy = await step(model, { batch: reordered(poisoned, [0, 2]), ...options });
    expect(relativeError(sum, healthy.sum)).toBeLessThan(1e-6);
    const alone = await step(model, { batch: reordered(poisoned, [1]), ...options });
    expect(alone.sum.every(value => value === 0)).toBe(true);
  });

  it('what follows a text does not touch it', async () => {
    const padded = raggedBatch({ units: 2, rowsPerUnit: 2, tokens: 7 }, 19);
    const changed = padded.inputIds.map((id, index) =>
      padded.tokenWeights[index] === 0 ? (id + 1) % 11 : id,
    );
    expect(changed).not.toEqual(padded.inputIds);
    const options = { clipNorm: 0.5, run: onEngine(engine), rule };
    const before = await step(model, { batch: padded, ...options });
    const after = await step(model, { batch: { ...padded, inputIds: changed }, ...options });
    expect(after).toEqual(before);
  });

  it('holds the gradient of every unit by a matrix exactly where the rule is to keep them', () => {
    const kept = (units: number): number => {
      const graph = buildStepGraph(spec, { units, rowsPerUnit: 4, tokens: 5 }, { rule });
      const matrices = parametersOf(spec).filter(({ shape, trainable }) => trainable && shape.length === 2);
      const shapes = new Set(matrices.map(matrix => [units, ...matrix.shape].join()));
      return tensorsOf(graph.nodes).filter(({ shape }) => shapes.has(shape.join())).length;
    };
    expect(kept(1)).toBe(0);
    if (rule === 'ghost') expect(kept(3)).toBe(0);
    else expect(kept(3)).toBeGreaterThan(0);
  });

  it('the WebAssembly engine gives the same', async () => {
    const web = await openEngine({ prefer: 'onnxruntime-web', threads: 1 });
    const native = await step(model, { batch, clipNorm: 0.7, run: onEngine(engine), rule });
    const wasm = await step(model, { batch, clipNorm: 0.7, run: onEngine(web), rule });
    expect(relativeError(wasm.sum, native.sum)).toBeLessThan(1e-5);
    expect(relativeError(wasm.norms, native.norms)).toBeLessThan(1e-5);
  });
});

describe.each(specs)('buildGradientGraph(), %s', (_, spec) => {
  it('gives the gradient of all rows together, and their losses', async () => {
    const model = livelyModel(spec, 37);
    const batch = raggedBatch({ units: 1, rowsPerUnit: 4, tokens: 6 }, 41);
    const graph = buildGradientGraph(spec, { rows: 4, tokens: 6 });
    const { clipNorm: _unused, ...feeds } = feedsOf(model, { batch, clipNorm: 1 });
    const outputs = await runOnce(engine, graph, feeds);
    const whole = await step(model, { batch, clipNorm: 3e38, run: onEngine(engine) });
    const gradient = trainableNames(spec).flatMap(name => Array.from(outputs[`gradient:${name}`]!.data));
    expect(relativeError(gradient, whole.sum)).toBeLessThan(1e-6);
    const losses = [0, 1, 2, 3].map(row => referenceLoss(model, rowOf(batch, row)));
    expect(relativeError(outputs['rowLoss']!.data, losses)).toBeLessThan(1e-6);
  });
});

describe('buildEvaluationGraph()', () => {
  it.each(specs)('gives the loss of each row of a plain GPT-2, %s', async (_, spec) => {
    const model = livelyModel(spec, 23);
    const batch = raggedBatch({ units: 3, rowsPerUnit: 1, tokens: 7 }, 29);
    const graph = buildEvaluationGraph(spec, { rows: 3, tokens: 7 });
    const { clipNorm: _unused, ...feeds } = feedsOf(model, { batch, clipNorm: 1 });
    const { rowLoss } = await runOnce(engine, graph, feeds);
    const expected = [0, 1, 2].map(row => referenceLoss(model, rowOf(batch, row)));
    expect(relativeError(rowLoss!.data, expected)).toBeLessThan(1e-6);
  });

  it('a fresh adapter changes nothing', () => {
    const model = livelyModel(tinyFull, 31);
    const spec = { config: tinyFull.config, lora: tinyLora.lora };
    const parameters = new Map(model.parameters);
    for (const [name, values] of livelyModel(spec, 31).parameters) {
      if (name.endsWith('lora_A.weight')) parameters.set(name, values);
      if (name.endsWith('lora_B.weight')) parameters.set(name, new Float32Array(values.length));
    }
    expect(referenceLogits({ spec, parameters }, [1, 2, 3])).toEqual(referenceLogits(model, [1, 2, 3]));
  });

  it.each([
    [{ rows: 0, tokens: 5 }, 'rows is 0'],
    [{ rows: 1, tokens: 8 }, 'rows of 8 tokens exceed the context of 7'],
  ])('refuses %j', (shape, reason) => {
    expect(() => buildEvaluationGraph(tinyFull, shape)).toThrow(reason);
  });
});
