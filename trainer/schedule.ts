import { checkCount, checkPositive } from '../accounting/check.ts';

/** How the learning rate goes over a run. */
export interface Schedule {
  /** The highest learning rate, > 0. */
  readonly learningRate: number;
  /** Steps in the whole run, >= 1. */
  readonly steps: number;
  /** Steps in which the rate climbs from near zero to its highest, >= 0. */
  readonly warmupSteps: number;
  /** What follows the warm-up: the same rate to the end, or a half cosine down to a tenth of it. */
  readonly decay: 'constant' | 'cosine';
}

const floorFraction = 0.1;

/**
 * The learning rate of one step: linear warm-up, then constant or half-cosine decay to a tenth
 * (Loshchilov and Hutter, arXiv 1608.03983, one cycle).
 *
 * @param step - from 0; steps beyond the schedule keep its last rate
 * @returns learning rate, > 0
 * @example
 * ```ts
 * const schedule: Schedule = { learningRate: 1, steps: 10, warmupSteps: 2, decay: 'cosine' };
 * learningRateAt(0, schedule); // 0.5
 * learningRateAt(1, schedule); // 1
 * learningRateAt(10, schedule); // ~0.10
 * ```
 */
export function learningRateAt(step: number, schedule: Schedule): number {
  const { learningRate, steps, warmupSteps, decay } = schedule;
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (decay === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  return learningRate * (floorFraction + (1 - floorFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/** Throws `INVALID_ARGUMENT` where a schedule cannot be followed; returns it as it came. */
export function checkSchedule(schedule: Schedule): Schedule {
  checkPositive(schedule.learningRate, { verb: 'train', name: 'learningRate' });
  checkCount(schedule.steps, { verb: 'train', name: 'steps' });
  checkCount(schedule.warmupSteps, { verb: 'train', name: 'warmupSteps', least: 0 });
  return schedule;
}
