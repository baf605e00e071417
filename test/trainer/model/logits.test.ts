import * as fc from 'fast-check';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../../trainer/engines/engine.ts';
import { openEngine } from '../../../trainer/engines/open.ts';
import { GraphBuilder } from '../../../trainer/graph/graph.ts';
import { project } from '../../../trainer/graph/layers.ts';
import { forward, tokenTable } from '../../../trainer/model/forward.ts';
import { linearLayers, parametersOf, type Model, type ModelSpec } from '../../../trainer/model/gpt.ts';
import { withLora } from '../../../trainer/model/lora.ts';
import { loadModel, saveModel, type Provenance, type SaveOptions } from '../../../trainer/model/weights.ts';
import { rawParameters, writeCheckpoint } from '../../support/checkpoints.ts';
import { runOnce } from '../../support/differences.ts';
import { livelyModel } from '../../support/model-batches.ts';
import { smallCounts } from '../../support/random-values.ts';
import { referenceLogits } from '../../support/reference-gpt.ts';

const provenance: Provenance = { trainedOn: 'public', tokenizer: 'bytes' };
const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));

let engine: Engine;
beforeAll(async () => {
  engine = await openEngine({ prefer: 'onnxruntime-node', threads: 1 });
});

/** Logits of one text by the graph that training runs. */
async function logitsOf({ spec, parameters }: Model, ids: Int32Array): Promise<ArrayLike<number>> {
  const builder = new GraphBuilder();
  const bound = new Map(
    parametersOf(spec).map(({ name, shape }) => [
      name,
      builder.input(name, { shape, differentiable: false }),
    ]),
  );
  const inputs = builder.input('inputIds', { shape: [ids.length], type: 'int32' });
  const states = forward(builder, { spec, parameters: bound, rows: 1, tokens: ids.length, inputs });
  builder.output('logits', project(builder, { input: states, weight: bound.get(tokenTable)! }));
  const outputs = await runOnce(engine, builder.build(), {
    ...Object.fromEntries(parameters),
    inputIds: ids,
  });
  return outputs['logits']!.data;
}

function largestDifference(left: ArrayLike<number>, right: readonly number[]): number {
  expect(left.length).toBe(right.length);
  return right.reduce((most, value, index) => Math.max(most, Math.abs(value - left[index]!)), 0);
}

const specs: fc.Arbitrary<ModelSpec> = fc
  .record({
    vocabularySize: fc.integer({ min: 2, max: 40 }),
    contextLength: fc.integer({ min: 1, max: 24 }),
    layers: fc.integer({ min: 1, max: 3 }),
    heads: fc.constantFrom(1, 2, 4),
    size: fc.integer({ min: 1, max: 8 }),
    lora: fc.option(
      fc.record({
        rank: fc.integer({ min: 1, max: 4 }),
        alpha: fc.integer({ min: 1, max: 16 }),
        targets: fc.subarray([...linearLayers], { minLength: 1 }),
      }),
    ),
  })
  .map(({ size, lora, ...config }) => ({ config: { ...config, width: size * config.heads }, lora }));

describe('logits', () => {
  it('are those of a plain GPT-2 in float64, for models of any shape', async () => {
    const property = fc.asyncProperty(specs, fc.nat(1000), async (spec, seed) => {
      const model = livelyModel(spec, seed);
      const { contextLength: count, vocabularySize: limit } = spec.config;
      const ids = smallCounts(seed, { count, limit });
      const expected = referenceLogits(model, [...ids]).flat();
      expect(largestDifference(await logitsOf(model, ids), expected)).toBeLessThan(1e-4);
    });
    await fc.assert(property, { numRuns: 25, seed: 11 });
  });

  const config = { vocabularySize: 23, contextLength: 12, layers: 2, width: 16, heads: 4 };
  const ids = smallCounts(3, { count: 12, limit: 23 });

  it('of a checkpoint of Hugging Face are those of the reference', async () => {
    const model = livelyModel({ config, lora: null }, 5);
    writeCheckpoint(join(folder, 'checkpoint'), model, { tensors: rawParameters(model, '') });
    const loaded = await loadModel(join(folder, 'checkpoint'), { provenance });
    const expected = referenceLogits(model, [...ids]).flat();
    expect(largestDifference(await logitsOf(loaded, ids), expected)).toBeLessThan(1e-4);
  });

  const layouts: [string, SaveOptions, number][] = [
    ['in full', { layout: 'full' }, 0],
    ['as adapter', { layout: 'adapter' }, 0],
    ['merged', { layout: 'merged' }, 1e-4],
    ['in full, as float16', { layout: 'full', type: 'float16' }, 0.05],
    ['in full, as bfloat16', { layout: 'full', type: 'bfloat16' }, 0.4],
  ];

  it.each(layouts)(
    'stay the same when a model with adapters is saved %s',
    async (name, options, tolerance) => {
      const base = join(folder, `${name} base`);
      await saveModel(base, { ...livelyModel({ config, lora: null }, 6), provenance });
      const start = await loadModel(base);
      const lora = { rank: 2, alpha: 3, targets: linearLayers };
      const lively = livelyModel({ config, lora }, 7).parameters;
      const adapted = { ...start, ...withLora(start, { lora, seed: 1 }) };
      for (const [key, values] of lively) if (key.includes('lora_')) adapted.parameters.set(key, values);
      await saveModel(join(folder, name), adapted, options);
      const before = await logitsOf(adapted, ids);
      const after = await logitsOf(await loadModel(join(folder, name)), ids);
      const difference = largestDifference(after, Array.from(before));
      expect(difference).toBeLessThanOrEqual(tolerance);
      if (tolerance > 0) expect(difference).toBeGreaterThan(0);
    },
  );
});
