import type { Plan } from '../accounting/plan.ts';
import { drawSeed } from '../selection/chunks.ts';
import { packUnits, type PackOptions, type UnitRows } from './batches.ts';
import { ClippedSums, type ClippedSum, type GradientSource } from './clip.ts';
import { drawRecords, type UserTokens } from './data.ts';
import { addGaussianNoise } from './noise.ts';
import { openBits } from './randomness.ts';
import { poissonSampler } from './sampler.ts';

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
  const sums = new ClippedSums(gradients, plan);
  return {
    sample: () => sampler.draw(),
    async clippedSum(drawn, step): Promise<ClippedSum> {
      const rows = Array.from(drawn, unit => units.rowsAt(unit, step));
      const packed = packUnits(rows, packing);
      sums.clear();
      for (const batch of packed.batches) await sums.add(batch);
      for (const parts of packed.oversized) await sums.addOversized(parts);
      return sums.result();
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
