import type { SamplerPlan } from '../accounting/plan.ts';
import type { PointStream, StepPoint } from './randomness.ts';
import { openSampler, type Sampler } from './sampler.ts';

/** Draws the units of any step of a run, in any order of steps. */
export interface PointSampler {
  /** Positions of the units drawn, ascending: a function of the key of the bits and the point alone. */
  draw(point: StepPoint): Int32Array;
}

/** Steps that one choice of the sampler decides together: an epoch, or a single step. */
export function stepsDecidedTogether(plan: SamplerPlan): number {
  return 'stepsPerEpoch' in plan ? plan.stepsPerEpoch : 1;
}

/**
 * The sampler of a plan, drawn from at points. Bits are sought at the first step of an epoch, so that a
 * resumed run finds the epoch it was in, and an attempt that departs from it has choices of its own.
 *
 * @param options - population: number of units; bits: a stream used by nothing else
 * @example
 * ```ts
 * const plan = { kind: 'poisson', over: 'users', samplingProbability: 1, expectedBatchSize: 2 } as const;
 * const bits = { seek: () => undefined, next53: () => 0, fillWords: () => undefined };
 * const sampler = openPointSampler(plan, { population: 2, bits });
 * [...sampler.draw({ step: 7, attempt: 0 })]; // [0, 1]
 * ```
 */
export function openPointSampler(
  plan: SamplerPlan,
  options: { population: number; bits: PointStream },
): PointSampler {
  const { bits } = options;
  const length = stepsDecidedTogether(plan);
  let sampler: Sampler | undefined;
  let next: StepPoint | undefined;
  const begin = (point: StepPoint): Sampler => {
    const within = point.step % length;
    bits.seek({ ...point, step: point.step - within });
    const fresh = openSampler(plan, options);
    for (let skipped = 0; skipped < within; skipped += 1) fresh.draw();
    return fresh;
  };
  return {
    draw(point): Int32Array {
      const goesOn = next?.step === point.step && next.attempt === point.attempt && point.step % length !== 0;
      sampler = sampler !== undefined && goesOn ? sampler : begin(point);
      next = { ...point, step: point.step + 1 };
      return sampler.draw();
    },
  };
}
