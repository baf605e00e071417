import { checkCount } from '../accounting/check.ts';
import type { ModelSpec } from './model/gpt.ts';
import { defaultOptimizer, type OptimizerSettings } from './optimizer.ts';
import { checkSchedule, type Schedule } from './schedule.ts';

/**
 * What can be tuned without touching the guarantee: everything here works on noised gradients
 * only. Tuning on private data by looking at the results is not free all the same; the plan
 * accounts for one run.
 */
export interface TrainingSettings {
  /** Highest learning rate; by default 0.4 ÷ width for adapters and 0.1 ÷ width for full training, at most 0.01. */
  readonly learningRate?: number;
  readonly optimizer?: OptimizerSettings;
  /** Default: a twentieth of the steps. */
  readonly warmupSteps?: number;
  /** Default `cosine`. */
  readonly decay?: Schedule['decay'];
  /** Steps between checkpoints; default 10. */
  readonly checkpointEvery?: number;
}

/** Settings with every default filled in. */
export interface ResolvedSettings {
  readonly schedule: Schedule;
  readonly optimizer: OptimizerSettings;
  readonly checkpointEvery: number;
}

/** Settings that decide what a noised sum makes of the model. */
export type UpdateSettings = Pick<ResolvedSettings, 'schedule' | 'optimizer'>;

/** The most telling ones in words. */
export function settingsInWords({ schedule, optimizer }: UpdateSettings): string {
  const { learningRate, warmupSteps, decay } = schedule;
  return `${optimizer.kind} at a learning rate of ${learningRate}, ${warmupSteps} steps of warm-up and ${decay} decay`;
}

/** One point of a training curve. */
export interface LossPoint {
  /** Finished steps. */
  readonly step: number;
  /** In nats a token. */
  readonly loss: number;
}

function defaultLearningRate({ config, lora }: ModelSpec): number {
  return Math.min(0.01, (lora === null ? 0.1 : 0.4) / config.width);
}

/**
 * Fills in defaults and checks them.
 *
 * @throws `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const config = { vocabularySize: 257, contextLength: 64, layers: 2, width: 64, heads: 4 };
 * const { schedule } = resolveSettings({}, { steps: 100, spec: { config, lora: null } });
 * schedule; // { learningRate: 0.0015625, steps: 100, warmupSteps: 5, decay: 'cosine' }
 * ```
 */
export function resolveSettings(
  settings: TrainingSettings,
  run: { steps: number; spec: ModelSpec },
): ResolvedSettings {
  const { checkpointEvery = 10, optimizer = defaultOptimizer } = settings;
  const schedule: Schedule = {
    learningRate: settings.learningRate ?? defaultLearningRate(run.spec),
    steps: run.steps,
    warmupSteps: settings.warmupSteps ?? Math.round(run.steps / 20),
    decay: settings.decay ?? 'cosine',
  };
  checkCount(checkpointEvery, { verb: 'train', name: 'checkpointEvery' });
  return { schedule: checkSchedule(schedule), optimizer, checkpointEvery };
}
