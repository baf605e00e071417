import { DpError } from '../accounting/check.ts';
import type { Plan } from '../accounting/plan.ts';
import { drawSeed } from '../selection/chunks.ts';
import { packUnits, type MicroBatch, type PackOptions, type UnitRows } from './batches.ts';
import { drawRecords, type UserTokens } from './data.ts';
import { addGaussianNoise } from './noise.ts';
import { openBits } from './randomness.ts';
import { poissonSampler } from './sampler.ts';

/** What one run of the step graph gives back. */
export interface BatchGradients {
  /** Loss and gradient norm of each unit, padding units included. */
  readonly losses: Float32Array;
  readonly norms: Float32Array;
  /** Sum over units of the clipped gradients, one array a trainable parameter. */
  readonly sums: readonly Float32Array[];
}

/** Computes clipped sums at the current parameters. */
export interface GradientSource {
  /** Trainable values in all. */
  readonly size: number;
  run(batch: MicroBatch, clipNorm: number): Promise<BatchGradients>;
}

/** The sum over a step's units of their clipped gradients, before any noise. */
export interface ClippedSum {
  /** Shape [trainable values]; the same memory every step. */
  readonly sum: Float64Array;
  /** Mean loss of the units drawn, null where none was; not private. */
  readonly meanLoss: number | null;
  /** Units whose gradient was longer than the clip; not private. */
  readonly clipped: number;
  /** Units left out because their gradient was not finite; not private. */
  readonly notFinite: number;
}

/** The randomised part of a step, in the order in which it happens. */
export interface Mechanism {
  /** Positions of the units that take part in this step. */
  sample(): Int32Array;
  /** Clips each unit once and adds them up. `step` seeds the selection where it is per draw. */
  clippedSum(drawn: Int32Array, step: number): Promise<ClippedSum>;
  /** Adds N(0, (noiseMultiplier × clipNorm)²) to every coordinate of the sum. */
  addNoise(sum: Float64Array): void;
  /** Divides by the plan's expected batch size, whatever number of units was drawn. */
  average(sum: Float64Array): void;
  /** Draws made so far, for the checkpoint. */
  readonly draws: number;
}

/** What a mechanism works on. */
export interface MechanismOptions {
  readonly plan: Plan;
  readonly users: readonly UserTokens[];
  readonly gradients: GradientSource;
  readonly packing: PackOptions;
  /** Secret key of this stretch of the run. */
  readonly key: Uint8Array;
}

/** A clip that no gradient reaches in float32: the raw gradient comes out. */
export const noClip = 3e38;

// Sensitivity is claimed for real numbers, clipping is done in float32: a norm summed over millions
// of values and a scaled copy are off by parts in 1e-6. Clipping this much lower keeps every unit's
// contribution at or below clipNorm.
const roundingMargin = 1e-5;

/** The clip that units are really held to: just below the planned one, so that rounding can't exceed the sensitivity. */
export function graphClip(clipNorm: number): number {
  return clipNorm * (1 - roundingMargin);
}

/**
 * Units of protection of the sampler: records under Group Privacy, users under User-wise DP-SGD.
 * Returns the rows of a unit at a step; only per-draw selection depends on the step.
 */
export function unitsOf(
  plan: Plan,
  users: readonly UserTokens[],
): { count: number; rowsAt: (unit: number, step: number) => UnitRows } {
  if (plan.sampler.over === 'records') {
    const records = users.flatMap(user => user.records.map(record => [record.tokens]));
    return { count: records.length, rowsAt: unit => records[unit]! };
  }
  const { selection, unit } = plan;
  if (selection.when === 'once') {
    const rows = users.map(user => user.records.map(record => record.tokens));
    return { count: rows.length, rowsAt: user => rows[user]! };
  }
  const rule = { ...selection, recordsPerUser: unit.recordsPerUser };
  return {
    count: users.length,
    rowsAt: (user, step) =>
      drawRecords(users[user]!, { ...rule, seed: drawSeed(selection.seed, step) }).map(
        record => record.tokens,
      ),
  };
}

/**
 * The randomised part of both mechanisms of arXiv 2406.14322: Poisson sampling over units,
 * one clip per unit (a user's gradient is the mean over its records, taken before the clip),
 * noise on the sum, a fixed denominator.
 */
export function openMechanism(options: MechanismOptions): Mechanism {
  const { plan, gradients, packing, key } = options;
  const { samplingProbability, expectedBatchSize } = plan.sampler;
  const units = unitsOf(plan, options.users);
  const sampler = poissonSampler(units.count, { samplingProbability, bits: openBits(key, 'sampling') });
  const noiseBits = openBits(key, 'noise');
  const accumulator = openAccumulator(gradients, graphClip(plan.clipNorm));
  return {
    sample: () => sampler.draw(),
    async clippedSum(drawn, step): Promise<ClippedSum> {
      const rows = Array.from(drawn, unit => units.rowsAt(unit, step));
      const packed = packUnits(rows, packing);
      accumulator.clear();
      for (const batch of packed.batches) await accumulator.add(batch);
      for (const parts of packed.oversized) await accumulator.addOversized(parts);
      return accumulator.result();
    },
    addNoise(sum): void {
      addGaussianNoise(sum, { standardDeviation: plan.noiseMultiplier * plan.clipNorm, bits: noiseBits });
    },
    average(sum): void {
      for (let index = 0; index < sum.length; index += 1) sum[index]! /= expectedBatchSize;
    },
    get draws(): number {
      return sampler.draws;
    },
  };
}

/** Points of a step at which a run may be cut off; the line in the ledger is on the disk after `logged`. */
export type StepPhase = 'sampled' | 'summed' | 'logged' | 'noised' | 'updated' | 'saved';

/** One private gradient and what is known of the step that made it. */
export interface PrivateGradient {
  /** Shape [trainable values]: what the optimizer may see. The same memory every step. */
  readonly gradient: Float64Array;
  readonly drawSize: number;
  readonly summed: ClippedSum;
}

/**
 * One step of either mechanism: sample, clip and sum, log, add noise, divide. A step that draws
 * nobody goes the same way and is noise alone.
 *
 * @param options - beforeNoise: writes the step into the ledger; it returns before any noise is drawn
 */
export async function privateGradient(
  mechanism: Mechanism,
  options: {
    step: number;
    beforeNoise: (drawSize: number) => void;
    onPhase?: ((phase: StepPhase, step: number) => void) | undefined;
  },
): Promise<PrivateGradient> {
  const { step, beforeNoise, onPhase } = options;
  const drawn = mechanism.sample();
  onPhase?.('sampled', step);
  const summed = await mechanism.clippedSum(drawn, step);
  onPhase?.('summed', step);
  beforeNoise(drawn.length);
  onPhase?.('logged', step);
  mechanism.addNoise(summed.sum);
  onPhase?.('noised', step);
  mechanism.average(summed.sum);
  return { gradient: summed.sum, drawSize: drawn.length, summed };
}

/** Adds up clipped gradients in float64. */
interface Accumulator {
  clear(): void;
  add(batch: MicroBatch): Promise<void>;
  addOversized(parts: readonly MicroBatch[]): Promise<void>;
  result(): ClippedSum;
}

function openAccumulator(gradients: GradientSource, clipNorm: number): Accumulator {
  const sum = new Float64Array(gradients.size);
  let whole: Float64Array | undefined;
  let totals = { finite: 0, loss: 0, clipped: 0, notFinite: 0 };
  const note = (loss: number, norm: number): void => {
    const finite = Number.isFinite(norm) && Number.isFinite(loss);
    totals.finite += finite ? 1 : 0;
    totals.loss += finite ? loss : 0;
    totals.clipped += finite && norm > clipNorm ? 1 : 0;
    totals.notFinite += finite ? 0 : 1;
  };
  return {
    clear(): void {
      sum.fill(0);
      totals = { finite: 0, loss: 0, clipped: 0, notFinite: 0 };
    },
    async add(batch): Promise<void> {
      const { losses, norms, sums } = await gradients.run(batch, clipNorm);
      checkLength(sums, batch.unitsFilled * clipNorm);
      addScaled(sum, { sums, scale: 1 });
      for (let unit = 0; unit < batch.unitsFilled; unit += 1) note(losses[unit]!, norms[unit]!);
    },
    async addOversized(parts): Promise<void> {
      whole ??= new Float64Array(gradients.size);
      whole.fill(0);
      let loss = 0;
      let finite = true;
      for (const part of parts) {
        const { losses, norms, sums } = await gradients.run(part, noClip);
        loss += losses[0]!;
        finite &&= Number.isFinite(norms[0]!);
        addScaled(whole, { sums, scale: 1 });
      }
      const norm = finite ? lengthOf([whole]) : NaN;
      note(loss, norm);
      if (Number.isFinite(norm)) addScaled(sum, { sums: [whole], scale: Math.min(1, clipNorm / norm) });
    },
    result: () => ({
      sum,
      meanLoss: totals.finite === 0 ? null : totals.loss / totals.finite,
      clipped: totals.clipped,
      notFinite: totals.notFinite,
    }),
  };
}

function addScaled(
  target: Float64Array,
  source: { sums: readonly (Float32Array | Float64Array)[]; scale: number },
): void {
  let start = 0;
  for (const values of source.sums) {
    for (let index = 0; index < values.length; index += 1)
      target[start + index]! += source.scale * values[index]!;
    start += values.length;
  }
}

function lengthOf(arrays: readonly (Float32Array | Float64Array)[]): number {
  let squares = 0;
  for (const values of arrays)
    for (let index = 0; index < values.length; index += 1) squares += values[index]! ** 2;
  return Math.sqrt(squares);
}

/** The engine is trusted with the clip but not blindly: a sum of u clipped gradients is at most u clips long. */
function checkLength(sums: readonly Float32Array[], longest: number): void {
  const length = lengthOf(sums);
  if (length <= longest * (1 + roundingMargin)) return;
  throw new DpError(
    'ENGINE_FAILED',
    `Cannot trust the engine: a clipped sum has length ${length}, its clips allow ${longest}. Use another engine.`,
  );
}
