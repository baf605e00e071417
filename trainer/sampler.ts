import { checkProbability, checkCount } from '../accounting/check.ts';
import type { SamplerPlan } from '../accounting/plan.ts';
import type { RandomBits } from './randomness.ts';

/** Draws the units of one step. */
export interface Sampler {
  /** Positions of the units drawn, ascending; often fewer or more than expected, sometimes none. */
  draw(): Int32Array;
  /** Draws made so far. */
  readonly draws: number;
}

/**
 * The sampler that a plan asks for, with the numbers that its guarantee was computed from.
 *
 * @param plan - `sampler` of a plan
 * @param options - population: number of units, >= 0; bits: a stream used by nothing else
 * @example
 * ```ts
 * const plan = { kind: 'balls-in-bins', over: 'users', samplingProbability: 0.5, expectedBatchSize: 1, stepsPerEpoch: 2 } as const;
 * const sampler = openSampler(plan, { population: 2, bits: { next53: () => 1 } });
 * [...sampler.draw()]; // []
 * [...sampler.draw()]; // [0, 1]
 * ```
 */
export function openSampler(
  plan: SamplerPlan,
  { population, bits }: { population: number; bits: RandomBits },
): Sampler {
  if (plan.kind === 'poisson') return poissonSampler(population, { ...plan, bits });
  if (plan.kind === 'truncated-poisson') return truncatedPoissonSampler(population, { ...plan, bits });
  const open = plan.kind === 'shuffled' ? shuffledSampler : ballsInBinsSampler;
  return open(population, { ...plan, bits });
}

/**
 * Poisson sampling: every unit enters every step independently with `samplingProbability`.
 *
 * Each unit takes one 53-bit uniform a step and enters when it lies below
 * floor(samplingProbability × 2^53). The realised probability is therefore never above the
 * stated one and less than 2^-53 below it: the side on which the accounting stays an upper bound.
 *
 * @param population - number of units (records for Group Privacy, users for User-wise DP-SGD), >= 0
 * @param options - samplingProbability: per unit and step, in (0, 1]; bits: a stream used by nothing else
 * @example
 * ```ts
 * const always = poissonSampler(3, { samplingProbability: 1, bits: { next53: () => 2 ** 53 - 1 } });
 * [...always.draw()]; // [0, 1, 2]
 * ```
 */
export function poissonSampler(
  population: number,
  options: { samplingProbability: number; bits: RandomBits },
): Sampler {
  checkCount(population, { verb: 'sample', name: 'population', least: 0 });
  const { samplingProbability, bits } = options;
  checkProbability(samplingProbability, { verb: 'sample', name: 'samplingProbability' });
  const threshold = Math.floor(samplingProbability * 2 ** 53);
  const drawn = new Int32Array(population);
  let draws = 0;
  return {
    draw(): Int32Array {
      let count = 0;
      for (let unit = 0; unit < population; unit += 1) {
        if (bits.next53() < threshold) drawn[count++] = unit;
      }
      draws += 1;
      return drawn.slice(0, count);
    },
    get draws(): number {
      return draws;
    },
  };
}

/**
 * Poisson sampling of which at most `batchLimit` units are used: of a larger draw a uniformly random
 * part of that size stays, whoever is in it. Batches fit memory of a fixed size.
 *
 * @param options - batchLimit: whole, >= 1; the rest as for `poissonSampler`
 * @example
 * ```ts
 * const bits = { next53: () => 0 };
 * truncatedPoissonSampler(3, { samplingProbability: 1, batchLimit: 2, bits }).draw().length; // 2
 * ```
 */
export function truncatedPoissonSampler(
  population: number,
  options: { samplingProbability: number; batchLimit: number; bits: RandomBits },
): Sampler {
  const { batchLimit, bits } = options;
  checkCount(batchLimit, { verb: 'sample', name: 'batchLimit' });
  const poisson = poissonSampler(population, options);
  return {
    draw: () => keepRandom(poisson.draw(), { most: batchLimit, bits }),
    get draws(): number {
      return poisson.draws;
    },
  };
}

/** A uniformly random part of `most` units, ascending; all of them where there are no more. */
function keepRandom(units: Int32Array, options: { most: number; bits: RandomBits }): Int32Array {
  const { most, bits } = options;
  if (units.length <= most) return units;
  shuffleStart(units, { count: most, bits });
  return units.subarray(0, most).sort();
}

/**
 * Balls in bins: in every epoch of `stepsPerEpoch` draws each unit takes part exactly once, at a draw that is
 * chosen uniformly for itself, whatever the others do (Chua et al., arXiv 2412.16802). The choices of an epoch are made
 * at its first draw; a new sampler starts a new epoch.
 *
 * @param options - stepsPerEpoch: whole, >= 1; bits: a stream used by nothing else
 * @example
 * ```ts
 * const sampler = ballsInBinsSampler(2, { stepsPerEpoch: 3, bits: { next53: () => 4 } });
 * [0, 1, 2].map(() => sampler.draw().length); // [0, 2, 0]
 * ```
 */
export function ballsInBinsSampler(population: number, options: EpochOptions): Sampler {
  return epochSampler(population, options, (order, { ends, bits }) => {
    const bins = new Int32Array(population);
    for (let unit = 0; unit < population; unit += 1) {
      const bin = uniformBelow(ends.length, bits);
      bins[unit] = bin;
      ends[bin]! += 1;
    }
    sortIntoBins(order, { bins, ends });
  });
}

/** Turns counts into ends and lists the units bin by bin, ascending in each. */
function sortIntoBins(order: Int32Array, { bins, ends }: { bins: Int32Array; ends: Int32Array }): void {
  let total = 0;
  for (let bin = 0; bin < ends.length; bin += 1) {
    const count = ends[bin]!;
    ends[bin] = total;
    total += count;
  }
  for (let unit = 0; unit < bins.length; unit += 1) order[ends[bins[unit]!]!++] = unit;
}

/**
 * Shuffling: every epoch puts all units into a new random order and cuts it into `stepsPerEpoch` batches whose sizes differ by
 * one at most. No upper bound on what that costs is proved, and the known lower bounds are far above those of Poisson sampling.
 *
 * @param options - stepsPerEpoch: whole, >= 1; bits: a stream used by nothing else
 * @example
 * ```ts
 * const sampler = shuffledSampler(5, { stepsPerEpoch: 2, bits: { next53: () => 0 } });
 * [sampler.draw().length, sampler.draw().length]; // [2, 3]
 * ```
 */
export function shuffledSampler(population: number, options: EpochOptions): Sampler {
  return epochSampler(population, options, (order, { ends, bits }) => {
    for (let unit = 0; unit < population; unit += 1) order[unit] = unit;
    shuffleStart(order, { count: population, bits });
    for (let step = 0; step < ends.length; step += 1)
      ends[step] = Math.floor(((step + 1) * population) / ends.length);
  });
}

/** How an epoch is cut, and the chance in it. */
export interface EpochOptions {
  readonly stepsPerEpoch: number;
  readonly bits: RandomBits;
}

/** Fills the order of an epoch's units and, where they start at 0, the end of each step in it. */
type Arrange = (order: Int32Array, options: { ends: Int32Array; bits: RandomBits }) => void;

function epochSampler(population: number, { stepsPerEpoch, bits }: EpochOptions, arrange: Arrange): Sampler {
  checkCount(population, { verb: 'sample', name: 'population', least: 0 });
  checkCount(stepsPerEpoch, { verb: 'sample', name: 'stepsPerEpoch' });
  const order = new Int32Array(population);
  const ends = new Int32Array(stepsPerEpoch);
  let draws = 0;
  return {
    draw(): Int32Array {
      const step = draws % stepsPerEpoch;
      if (step === 0) arrange(order, { ends: ends.fill(0), bits });
      draws += 1;
      return order.slice(step === 0 ? 0 : ends[step - 1], ends[step]).sort();
    },
    get draws(): number {
      return draws;
    },
  };
}

/** Fisher and Yates: the first `count` places become a uniformly random ordered choice of all. */
function shuffleStart(units: Int32Array, { count, bits }: { count: number; bits: RandomBits }): void {
  for (let place = 0; place < count; place += 1) {
    const other = place + uniformBelow(units.length - place, bits);
    const unit = units[other]!;
    units[other] = units[place]!;
    units[place] = unit;
  }
}

/** A whole number, exactly uniform over 0 .. count - 1: numbers beyond the last whole multiple are drawn again. */
function uniformBelow(count: number, bits: RandomBits): number {
  const beyond = 2 ** 53 - (2 ** 53 % count);
  for (;;) {
    const value = bits.next53();
    if (value < beyond) return value % count;
  }
}
