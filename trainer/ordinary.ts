import { setImmediate } from 'node:timers/promises';
import { checkCount, DpError } from '../accounting/check.ts';
import { packRows, physicalLimits } from './batches.ts';
import { addScaled } from './clip.ts';
import { openDeviceModel, type DeviceModel } from './device.ts';
import { sha256 } from './digest.ts';
import type { Engine } from './engines/engine.ts';
import type { LanguageModel } from './language-model.ts';
import { applyUpdate, openOptimizer } from './optimizer.ts';
import { checkFinite, flattenTrainable } from './parameters.ts';
import { openBits, type RandomBits } from './randomness.ts';
import { learningRateAt } from './schedule.ts';
import { resolveSettings, type LossPoint, type TrainingSettings } from './settings.ts';

/** Settings of training without privacy. */
export interface OrdinarySettings extends TrainingSettings {
  readonly steps: number;
  /** Records a step; all of them count alike, token by token. */
  readonly batchSize: number;
  /** Seed of the shuffling. */
  readonly seed?: string;
}

/** Where ordinary training stands. */
export interface OrdinaryProgress {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
}

/** What ordinary training works on. */
export interface OrdinaryOptions {
  readonly model: LanguageModel;
  readonly sequences: readonly Int32Array[];
  readonly settings: OrdinarySettings;
  readonly engine: Engine;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: OrdinaryProgress) => void) | undefined;
}

/** Trained values and the loss on the way. */
export interface OrdinaryResult {
  readonly parameters: Float32Array;
  readonly lossCurve: readonly LossPoint[];
}

/** Batches are cut from stretches of up to so many batches, sorted by length, so that rows of a batch need little padding. */
const longestStretch = 8;

/**
 * Ordinary training: shuffled epochs, the mean over a batch's tokens, no clip, no noise.
 *
 * @returns values for the model's trainable parameters
 * @throws `INVALID_DATA` where there is nothing to train on; `INVALID_ARGUMENT` where the learning rate drives
 *   parameters to infinity; `INTERRUPTED` after `signal`
 */
export async function trainOrdinarily(options: OrdinaryOptions): Promise<OrdinaryResult> {
  const { model, engine, settings, sequences } = options;
  checkCount(settings.steps, { verb: 'train', name: 'steps' });
  checkCount(settings.batchSize, { verb: 'train', name: 'batchSize' });
  if (sequences.length === 0) {
    throw new DpError('INVALID_DATA', 'Cannot train: there are 0 records. Give at least one.');
  }
  const device = openDeviceModel(model, engine);
  try {
    return await descend(device, options);
  } finally {
    device.dispose();
  }
}

async function descend(device: DeviceModel, options: OrdinaryOptions): Promise<OrdinaryResult> {
  const { model, settings, signal, onProgress } = options;
  const { steps, batchSize } = settings;
  const { schedule, optimizer } = resolveSettings(settings, { steps, spec: model.spec });
  const parameters = flattenTrainable(model);
  const state = openOptimizer(parameters.length, optimizer);
  const gradient = new Float64Array(parameters.length);
  const bits = openBits(Buffer.from(sha256(settings.seed ?? 'ordinary'), 'hex'), 'sampling');
  const batches = shuffledBatches(options.sequences, { batchSize, bits });
  const meanLength =
    tokensRead(options.sequences, model.spec.config.contextLength) / options.sequences.length;
  const expectedTokens = batchSize * meanLength;
  const lossCurve: LossPoint[] = [];
  for (let step = 0; step < steps; step += 1) {
    await setImmediate();
    if (signal?.aborted === true) {
      throw new DpError(
        'INTERRUPTED',
        `Cannot finish training: interrupted after step ${step} of ${steps}. Start again.`,
      );
    }
    const loss = await meanGradient(gradient, { batch: batches.next().value, expectedTokens, device, model });
    const learningRate = learningRateAt(step, schedule);
    applyUpdate(parameters, { gradient, learningRate, settings: optimizer, state });
    device.setTrainable(parameters);
    lossCurve.push({ step: step + 1, loss });
    onProgress?.({ step: step + 1, steps, loss });
  }
  checkFinite(parameters, { step: steps, learningRate: schedule.learningRate });
  return { parameters, lossCurve };
}

/**
 * Batches of like lengths hold more tokens or fewer; all are divided by the same expected number,
 * so that over an epoch every token counts alike. Returns the batch's own mean loss.
 */
async function meanGradient(
  gradient: Float64Array,
  options: {
    batch: readonly Int32Array[];
    expectedTokens: number;
    device: DeviceModel;
    model: LanguageModel;
  },
): Promise<number> {
  const { batch, expectedTokens, device, model } = options;
  const { contextLength, vocabularySize } = model.spec.config;
  const limits = physicalLimits({ contextLength, vocabularySize });
  const weightOf = (): number => 1 / expectedTokens;
  const packing = { contextLength, endOfText: model.tokenizer.endOfText, limits, weightOf };
  gradient.fill(0);
  let loss = 0;
  for (const part of packRows(batch, packing)) {
    const { rowLosses, sums } = await device.gradient(part);
    loss += rowLosses.reduce((sum, rowLoss) => sum + rowLoss, 0);
    addScaled(gradient, { sums, scale: 1 });
  }
  return (loss * expectedTokens) / tokensRead(batch, contextLength);
}

function tokensRead(rows: readonly Int32Array[], contextLength: number): number {
  return rows.reduce((sum, row) => sum + Math.min(row.length, contextLength), 0);
}

function shuffle<Item>(items: Item[], bits: RandomBits): Item[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = bits.next53() % (last + 1);
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}

/** Endless batches over shuffled epochs; the batch that an epoch ends in is filled from the next one. */
function* shuffledBatches(
  sequences: readonly Int32Array[],
  options: { batchSize: number; bits: RandomBits },
): Generator<readonly Int32Array[], never> {
  const { batchSize, bits } = options;
  const stretch = Math.max(1, Math.min(longestStretch, Math.floor(sequences.length / batchSize)));
  let waiting: Int32Array[] = [];
  for (;;) {
    while (waiting.length < stretch * batchSize) waiting = [...waiting, ...shuffle([...sequences], bits)];
    const sorted = waiting.splice(0, stretch * batchSize).sort((a, b) => a.length - b.length);
    const batches = Array.from({ length: stretch }, (_, index) =>
      sorted.slice(index * batchSize, (index + 1) * batchSize),
    );
    yield* shuffle(batches, bits);
  }
}
