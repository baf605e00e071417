/**
 * What the README claims about speed, in one JSON object: `npm run --silent bench`.
 * Ratios are measured side by side in one process.
 */
import { calibrateNoise, epsilonOf, poissonEvent, poissonGroupEvent } from '../accounting/index.ts';
import { openEngine } from '../trainer/engines/open.ts';
import type { DeviceTensor, Program } from '../trainer/engines/engine.ts';
import { initialiseParameters, parametersOf, type LoraConfig, type ModelSpec } from '../trainer/model/gpt.ts';
import { buildStepGraph, type BatchShape } from '../trainer/model/step.ts';
import { machine, sideBySide, timed } from './measure.ts';

const neighbours = 'add-or-remove';

async function accountingRows(): Promise<object> {
  const record = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 10_000 });
  const group = poissonGroupEvent({
    noiseMultiplier: 2,
    samplingProbability: 0.01,
    steps: 1000,
    groupSize: 8,
  });
  const question = { delta: 1e-6, neighbours, accountant: 'pld' } as const;
  const target = { epsilon: 1, delta: 1e-6, samplingProbability: 0.01, steps: 10_000, neighbours } as const;
  return {
    'epsilon, 10^4 steps': {
      ...epsilonOf(record, question).epsilon,
      ...(await timed(() => epsilonOf(record, question), { repeats: 5 })),
    },
    'epsilon, group of 8, 10^3 steps': {
      ...epsilonOf(group, question).epsilon,
      ...(await timed(() => epsilonOf(group, question), { repeats: 5 })),
    },
    'calibration to epsilon 1': {
      ...calibrateNoise(target),
      ...(await timed(() => calibrateNoise(target), { repeats: 3 })),
    },
  };
}

const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
const adapters: LoraConfig = { rank: 8, alpha: 16, targets: ['attn.c_attn', 'mlp.c_fc'] };

/** Feeds of a batch of random bytes; what the tokens are doesn't change the time. */
function feedsOf(
  upload: (data: Float32Array | Int32Array, shape: number[]) => DeviceTensor,
  spec: ModelSpec,
  rows: number,
): Record<string, DeviceTensor> {
  const tokens = rows * config.contextLength;
  const ids = Int32Array.from({ length: tokens }, (_, index) => (index * 31) % 256);
  const parameters = initialiseParameters(spec, { seed: 1 });
  const shapes = parametersOf(spec).map(
    ({ name, shape }) => [name, upload(parameters.get(name)!, [...shape])] as const,
  );
  return {
    ...Object.fromEntries(shapes),
    inputIds: upload(ids, [tokens]),
    targetIds: upload(ids, [tokens]),
    tokenWeights: upload(new Float32Array(tokens).fill(1 / config.contextLength), [tokens]),
    clipNorm: upload(Float32Array.of(1), []),
  };
}

async function stepRatio(lora: LoraConfig | null): Promise<object> {
  const engine = await openEngine({ threads: 1 });
  const spec: ModelSpec = { config, lora };
  const rows = 16;
  const feeds = feedsOf((data, shape) => engine.upload({ data, shape }), spec, rows);
  const compile = (shape: BatchShape): Promise<Program> => engine.compile(buildStepGraph(spec, shape));
  const clipped = await compile({ units: rows, rowsPerUnit: 1, tokens: config.contextLength });
  const plain = await compile({ units: 1, rowsPerUnit: rows, tokens: config.contextLength });
  const { one, other, ratio } = await sideBySide(
    { one: () => clipped.run(feeds), other: () => plain.run(feeds) },
    { repeats: 30 },
  );
  return { engine: engine.name, clippedSeconds: one, plainSeconds: other, ratio };
}

const result = {
  machine: machine(),
  accounting: await accountingRows(),
  'clipped step against plain step, 16 records': {
    lora: await stepRatio(adapters),
    full: await stepRatio(null),
  },
};
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
