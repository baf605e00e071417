import { DpError } from '../accounting/check.ts';
import type { MicroBatch } from './batches.ts';

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
  /**
   * Units within the clip less units beyond it, halved: a unit adds 1/2, or takes 1/2 off where its norm is longer or not
   * finite, or neither with a gradient of zero, as if it were not there. Half counts are exact. Not private before noise.
   */
  readonly balance: number;
  /** Mean loss of the units drawn, null where none was; not private. */
  readonly meanLoss: number | null;
  /** Units whose gradient was longer than the clip; not private. */
  readonly clipped: number;
  /** Units left out because their gradient was not finite; not private. */
  readonly notFinite: number;
}

/** A clip that no gradient reaches in float32: the raw gradient comes out. */
export const noClip = 3e38;

// Sensitivity is claimed for real numbers, clipping is done in float32: a norm summed over millions
// of values and a scaled copy are off by parts in 1e-6. Clipping this much lower keeps every unit's
// contribution at or below clipNorm.
const roundingMargin = 1e-5;

/**
 * The clip that units are really held to: 1e-5 of it below the planned one, so that float32
 * rounding of one unit's norm can't exceed the sensitivity. It does not cover the rounding of the
 * sum over units, which for neighbouring tables may differ in the last place of float32.
 *
 * @example
 * ```ts
 * graphClip(1); // 0.99999
 * ```
 */
export function graphClip(clipNorm: number): number {
  return clipNorm * (1 - roundingMargin);
}

const nothing = { finite: 0, loss: 0, clipped: 0, notFinite: 0, balance: 0 };

function balanceOf(norm: number, clipNorm: number): number {
  if (norm === 0) return 0;
  return norm <= clipNorm ? 0.5 : -0.5;
}

/** Adds up clipped gradients in float64. */
export class ClippedSums {
  readonly #gradients: GradientSource;
  readonly #sum: Float64Array;
  #whole: Float64Array | undefined;
  #clipNorm = 0;
  #totals = { ...nothing };

  constructor(gradients: GradientSource) {
    this.#gradients = gradients;
    this.#sum = new Float64Array(gradients.size);
  }

  /**
   * Begins a new sum.
   *
   * @param clipNorm - of its step, before the margin for rounding
   */
  begin(clipNorm: number): void {
    this.#clipNorm = graphClip(clipNorm);
    this.#sum.fill(0);
    this.#totals = { ...nothing };
  }

  /** Adds whole units, which the engine clips one by one. */
  async add(batch: MicroBatch): Promise<void> {
    const { losses, norms, sums } = await this.#gradients.run(batch, this.#clipNorm);
    checkLength(sums, batch.unitsFilled * this.#clipNorm);
    addScaled(this.#sum, { sums, scale: 1 });
    for (let unit = 0; unit < batch.unitsFilled; unit += 1) this.#note(losses[unit]!, norms[unit]!);
  }

  /** Adds one unit that comes in parts: raw gradients first, one clip at the end. */
  async addOversized(parts: readonly MicroBatch[]): Promise<void> {
    const whole = (this.#whole ??= new Float64Array(this.#gradients.size));
    whole.fill(0);
    let loss = 0;
    let finite = true;
    for (const part of parts) {
      const { losses, norms, sums } = await this.#gradients.run(part, noClip);
      loss += losses[0]!;
      finite &&= Number.isFinite(norms[0]);
      addScaled(whole, { sums, scale: 1 });
    }
    const norm = finite ? lengthOf([whole]) : NaN;
    this.#note(loss, norm);
    if (!Number.isFinite(norm)) return;
    addScaled(this.#sum, { sums: [whole], scale: Math.min(1, this.#clipNorm / norm) });
  }

  /** What was added since `begin()`. */
  result(): ClippedSum {
    const { finite, loss, clipped, notFinite, balance } = this.#totals;
    return { sum: this.#sum, balance, meanLoss: finite === 0 ? null : loss / finite, clipped, notFinite };
  }

  #note(loss: number, norm: number): void {
    const totals = this.#totals;
    const finite = Number.isFinite(norm) && Number.isFinite(loss);
    totals.finite += finite ? 1 : 0;
    totals.loss += finite ? loss : 0;
    totals.clipped += finite && norm > this.#clipNorm ? 1 : 0;
    totals.notFinite += finite ? 0 : 1;
    totals.balance += balanceOf(norm, this.#clipNorm);
  }
}

/** Adds arrays that lie one after the other, times a factor, to a flat vector. */
export function addScaled(
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
  for (const values of arrays) {
    for (let index = 0; index < values.length; index += 1) squares += values[index]! * values[index]!;
  }
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
