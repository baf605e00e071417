import type { DeviceTensor, Engine, Program } from '../trainer/engines/engine.ts';
import {
  initialiseParameters,
  parametersOf,
  sizeOf,
  type GptConfig,
  type LoraConfig,
  type ModelSpec,
} from '../trainer/model/gpt.ts';
import { buildGradientGraph, buildStepGraph } from '../trainer/model/step.ts';

/** A model with the batch it is measured on. */
export interface BenchModel {
  readonly config: GptConfig;
  readonly rows: number;
  readonly tokens: number;
}

export type ModelName = 'tiny' | 'gpt2-small';

export const models: Record<ModelName, BenchModel> = {
  tiny: {
    config: { vocabularySize: 4096, contextLength: 128, layers: 4, width: 128, heads: 4 },
    rows: 8,
    tokens: 128,
  },
  'gpt2-small': {
    config: { vocabularySize: 50_257, contextLength: 1024, layers: 12, width: 768, heads: 12 },
    rows: 4,
    tokens: 128,
  },
};

/** Adapters as GPT-2 mostly gets them: rank 8 on the joint projection of queries, keys and values. */
export const adapters: LoraConfig = { rank: 8, alpha: 16, targets: ['attn.c_attn'] };

/** A step without privacy, one clipped by record, one clipped by user with two records each. */
export type StepKind = 'plain' | 'record' | 'user';

/** Trainable values of a model. */
export function trainableCount(spec: ModelSpec): number {
  return parametersOf(spec).reduce((sum, { shape, trainable }) => sum + (trainable ? sizeOf(shape) : 0), 0);
}

/** A model on an engine, ready to run any kind of step. */
export interface BenchSteps {
  /** Runs a step and reads what it gives. */
  run(kind: StepKind): Promise<void>;
}

function feedsOf(
  engine: Engine,
  { spec, model }: { spec: ModelSpec; model: BenchModel },
): Record<string, DeviceTensor> {
  const count = model.rows * model.tokens;
  const { vocabularySize } = model.config;
  const ids = Int32Array.from({ length: count }, (_, index) => (index * 7919) % vocabularySize);
  const parameters = initialiseParameters(spec, { seed: 1 });
  const feeds: Record<string, DeviceTensor> = {};
  for (const { name, shape } of parametersOf(spec)) {
    const data = parameters.get(name)!;
    // Fresh adapters are half zeros, which would leave half of the gradient at zero.
    if (name.endsWith('lora_B.weight')) data.forEach((_, index) => (data[index] = Math.sin(index) / 100));
    feeds[name] = engine.upload({ data, shape });
  }
  const targets = ids.map((_, index) => ids[(index + 1) % count]!);
  const weights = new Float32Array(count).fill(1 / model.tokens);
  return {
    ...feeds,
    inputIds: engine.upload({ data: ids, shape: [count] }),
    targetIds: engine.upload({ data: targets, shape: [count] }),
    tokenWeights: engine.upload({ data: weights, shape: [count] }),
  };
}

/** Compiles the kinds of step asked for; weights are uploaded once for all of them. */
export async function openSteps(
  engine: Engine,
  options: { model: BenchModel; lora: LoraConfig | null; kinds: readonly StepKind[] },
): Promise<BenchSteps> {
  const { model, lora, kinds } = options;
  const { rows, tokens } = model;
  const spec: ModelSpec = { config: model.config, lora };
  const graphs = {
    plain: () => buildGradientGraph(spec, { rows, tokens }),
    record: () => buildStepGraph(spec, { units: rows, rowsPerUnit: 1, tokens }),
    user: () => buildStepGraph(spec, { units: rows / 2, rowsPerUnit: 2, tokens }),
  };
  const programs = new Map<StepKind, Program>();
  for (const kind of kinds) programs.set(kind, await engine.compile(graphs[kind]()));
  const feeds = feedsOf(engine, { spec, model });
  const clipNorm = engine.upload({ data: Float32Array.of(0.1), shape: [] });
  return {
    async run(kind): Promise<void> {
      const inputs = kind === 'plain' ? feeds : { ...feeds, clipNorm };
      const outputs = await programs.get(kind)!.run(inputs);
      for (const tensor of Object.values(outputs)) {
        await engine.read(tensor);
        tensor.dispose();
      }
    },
  };
}
