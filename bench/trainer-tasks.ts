import { openEngine } from '../trainer/engines/open.ts';
import { inTurn, type Call, type Seconds } from './measure.ts';
import { openTorch, torchSteps } from './torch.ts';
import { inputSide } from './trainer-input.ts';
import { longRun } from './trainer-memory.ts';
import { openRelease, ratiosWithRelease } from './trainer-release.ts';
import {
  adapters,
  models,
  openSteps,
  trainableCount,
  type BenchSteps,
  type ModelName,
  type StepKind,
} from './trainer-models.ts';

/** One measurement, in a process of its own. */
export interface Task {
  readonly about: string;
  /** Left out unless asked for by name. */
  readonly onRequest?: boolean;
  readonly run: () => Promise<object>;
}

const megabyte = 2 ** 20;

function ratio<Name extends string>(
  seconds: ReadonlyMap<Name, Seconds>,
  [one, other]: readonly [Name, Name],
): number {
  return Number((seconds.get(one)!.cpu / seconds.get(other)!.cpu).toFixed(3));
}

function callsOf<Kind extends StepKind>(steps: BenchSteps, kinds: readonly Kind[]): [Kind, Call][] {
  return kinds.map(kind => [kind, () => steps.run(kind)]);
}

function compared(options: { model: ModelName; full: boolean; repeats: number }): () => Promise<object> {
  return async () => {
    const model = models[options.model];
    const lora = options.full ? null : adapters;
    const engine = await openEngine({ threads: 1 });
    const kinds = ['plain', 'record', 'user'] as const;
    const steps = await openSteps(engine, { model, lora, kinds });
    const trainable = trainableCount({ config: model.config, lora });
    const release = openRelease(trainable);
    const calls = new Map<StepKind | 'release', Call>(callsOf(steps, kinds)).set('release', () =>
      release.run(),
    );
    const taken = await inTurn(calls, options);
    release.close();
    const of = (kind: StepKind | 'release'): Seconds => taken.get(kind)!;
    const ofKinds = { plain: of('plain'), record: of('record'), user: of('user') };
    return {
      engine: engine.name,
      trainable,
      seconds: Object.fromEntries(taken),
      ratios: { record: ratio(taken, ['record', 'plain']), user: ratio(taken, ['user', 'plain']) },
      bars: options.full ? { record: 1.15, user: 1.15 } : { record: 1.03, user: 1.05 },
      'ratios with noise, digest and ledger': ratiosWithRelease(ofKinds, of('release')),
    };
  };
}

async function besideTorch(): Promise<object> {
  const torch = await openTorch(models.tiny);
  if (torch === null) return { skipped: 'Python has no torch' };
  const engine = await openEngine({ threads: 1 });
  const kinds = ['plain', 'record'] as const;
  const steps = await openSteps(engine, { model: models.tiny, lora: adapters, kinds });
  const theirs = torchSteps.map((step): [`torch ${typeof step}`, Call] => [
    `torch ${step}`,
    () => torch.run(step),
  ]);
  const seconds = await inTurn(new Map([...callsOf(steps, kinds), ...theirs]), { repeats: 15 });
  torch.close();
  const record = Math.max(
    ratio(seconds, ['record', 'torch batch-axis']),
    ratio(seconds, ['record', 'torch vmap']),
  );
  return {
    torch: torch.version,
    seconds: Object.fromEntries(seconds),
    ratios: { record },
    bars: { record: 1 },
  };
}

/** Resident memory of one process with one kind of step. */
async function memory(): Promise<object> {
  const model = models['gpt2-small'];
  const engine = await openEngine({ threads: 1 });
  const steps = await openSteps(engine, { model, lora: adapters, kinds: ['record'] });
  const resident: number[] = [];
  for (let step = 0; step < 6; step += 1) {
    await steps.run('record');
    resident.push(Math.round(process.memoryUsage.rss() / megabyte));
  }
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  return { 'resident after each step, MB': resident, 'peak, MB': peak, bars: { 'peak, MB': 2048 } };
}

export const tasks: Record<string, Task> = {
  'tiny-lora': {
    about: '4 layers of width 128, 8 rows of 128 tokens: clipped step against plain step, LoRA r = 8',
    run: compared({ model: 'tiny', full: false, repeats: 21 }),
  },
  'tiny-full': {
    about: 'the same, full fine-tuning with tied embeddings of 4,096 tokens',
    run: compared({ model: 'tiny', full: true, repeats: 21 }),
  },
  'gpt2-small-lora': {
    about: '12 layers of width 768, 4 rows of 128 tokens: clipped step against plain step, LoRA r = 8',
    run: compared({ model: 'gpt2-small', full: false, repeats: 5 }),
  },
  'gpt2-small-full': {
    about: 'the same, full fine-tuning of 124 M values; takes about 8 GB',
    onRequest: true,
    run: compared({ model: 'gpt2-small', full: true, repeats: 3 }),
  },
  torch: {
    about: 'tiny-lora beside PyTorch: the clipped step against its fastest per-example method',
    run: besideTorch,
  },
  memory: { about: 'gpt2-small-lora, clipped by record: resident memory', run: memory },
  input: {
    about: 'reading, selecting and laying out a step of tiny-lora, as a share of the step',
    run: inputSide,
  },
  'long-run': {
    about: 'resident memory over 2,000 steps of a small run with texts of all lengths',
    run: longRun,
  },
};
