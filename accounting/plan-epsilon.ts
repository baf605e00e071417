import type { Bound, Interval } from './accountant.ts';
import { checkCount } from './check.ts';
import type { BoundsByAccountant } from './epsilon.ts';
import { poissonGroupEvent, type DpEvent, type Sampling } from './event.ts';
import { convertGroup, groupEpsilon, type BoundsByConversion, type GroupOptions } from './group.ts';
import { isGroup, type Plan, type SamplerPlan } from './plan.ts';
import { totalSpent } from './spent.ts';

/**
 * What one user's neighbours see of a run of the plan.
 *
 * User-wise: the sampled Gaussian over users. Group Privacy: the mixture of Gaussians of a user with the most records under
 * Poisson sampling, what one record sees under the others. Either is followed by what was spent on selection, where anything was.
 *
 * @param steps - noised steps that may have been released, at least 1; the plan's where left out
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * eventOfPlan(plan, 3).count; // 3
 * ```
 */
export function eventOfPlan(plan: Plan, steps: number = plan.steps): DpEvent {
  const run = samplingOf(plan, steps);
  return poissonGroupEvent(run.sampling === undefined ? run : { ...run, groupSize: 1 });
}

/**
 * A plan's sampler as events describe it; undefined for plain Poisson sampling.
 *
 * @param population - units of the plan
 * @example
 * ```ts
 * const sampler = { kind: 'shuffled', over: 'users', samplingProbability: 0.1, expectedBatchSize: 7, stepsPerEpoch: 10 } as const;
 * samplingScheme(sampler, { users: 70, records: 100 }); // { kind: 'shuffled', stepsPerEpoch: 10 }
 * ```
 */
export function samplingScheme(sampler: SamplerPlan, population: Plan['population']): Sampling | undefined {
  const { kind, over } = sampler;
  if (kind === 'poisson') return undefined;
  if (kind === 'truncated-poisson')
    return { kind, datasetSize: population[over], maximumBatchSize: sampler.batchLimit };
  return { kind, stepsPerEpoch: sampler.stepsPerEpoch };
}

function samplingOf(plan: Plan, steps: number): GroupOptions {
  return {
    noiseMultiplier: plan.noiseMultiplier,
    samplingProbability: plan.sampler.samplingProbability,
    steps: checkCount(steps, { verb: 'account for the plan', name: 'steps' }),
    groupSize: isGroup(plan) ? plan.unit.recordsPerUser : 1,
    sampling: samplingScheme(plan.sampler, plan.population),
    delta: plan.delta,
    neighbours: plan.neighbours,
    spent: plan.selection.privacyCost,
  };
}

/** ε of a plan's run and selection, and the answers behind it. */
export interface PlanEpsilon {
  /** Upper bound by the plan's own conversion. */
  readonly epsilon: Interval;
  readonly byAccountant: BoundsByAccountant;
  /** All three conversions, for Group Privacy with more than one record per user. */
  readonly byConversion?: BoundsByConversion;
}

/**
 * ε of a user after `steps` steps of the plan, at the plan's δ.
 *
 * An epoch that was cut off counts whole above and not at all below; more steps than planned are taken for those of a run that
 * began epochs anew.
 *
 * @param options - steps: noised steps that may have been released, >= 0; the plan's where left out
 * @returns epsilon.upper is Infinity for shuffled sampling, of which no upper bound is proved; for a calibrated plan epsilon.upper is at most the target; no steps cost nothing beside what selection did
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * epsilonOfPlan(plan).epsilon.upper <= 8; // true
 * epsilonOfPlan(plan, { steps: 11 }).epsilon.upper > 8; // true
 * ```
 */
export function epsilonOfPlan(plan: Plan, { steps = plan.steps }: { steps?: number } = {}): PlanEpsilon {
  if (steps === 0 || !isGroup(plan) || plan.sampler.kind !== 'poisson') return statedEpsilon(plan, steps);
  const { byConversion, byAccountant } = groupEpsilon(samplingOf(plan, steps));
  const { upper } = byConversion[conversionOf(plan)];
  return { epsilon: { lower: byConversion.mixture.lower ?? 0, upper }, byAccountant, byConversion };
}

function conversionOf({ groupConversion }: Plan): keyof BoundsByConversion {
  return groupConversion === 'none' ? 'mixture' : groupConversion;
}

/** By the plan's conversion alone. */
function statedEpsilon(plan: Plan, steps: number): PlanEpsilon {
  const { sampler, selection } = plan;
  if (steps === 0)
    return { epsilon: { lower: 0, upper: totalSpent(selection.privacyCost).epsilon }, byAccountant: {} };
  const run = samplingOf(plan, steps);
  // A user with a single record bounds the others from below; above there is nothing to convert.
  const converted =
    sampler.kind === 'shuffled'
      ? convertGroup({ ...run, groupSize: 1 }, 'mixture')
      : convertGroup(run, conversionOf(plan));
  const { bound, byAccountant } = converted;
  const answer = { epsilon: { lower: bound.lower ?? 0, upper: bound.upper }, byAccountant };
  // A conversion without a lower bound has none for fewer steps either.
  const isUpperAlone = bound.lower === undefined && Object.keys(byAccountant).length === 0;
  if (!('stepsPerEpoch' in sampler) || isUpperAlone) return answer;
  const { stepsPerEpoch } = sampler;
  const whole = stepsPerEpoch * wholeEpochs(steps / stepsPerEpoch, plan.steps / stepsPerEpoch);
  return whole === steps ? answer : withLower(answer, statedEpsilon(plan, whole));
}

/** Epochs that were certainly finished; each one begun beyond the planned ones may have cut another off. */
function wholeEpochs(epochs: number, planned: number): number {
  const again = Math.max(0, Math.ceil(epochs) - Math.ceil(planned));
  return Math.max(0, Math.floor(Math.min(epochs, planned)) - again);
}

/** Upper bounds of one answer with the lower bounds of another. */
function withLower({ epsilon, byAccountant }: PlanEpsilon, below: PlanEpsilon): PlanEpsilon {
  const least: Readonly<Record<string, Bound | undefined>> = below.byAccountant;
  const bounds = Object.entries(byAccountant).map(([name, bound]) => [
    name,
    { ...bound, lower: least[name]?.lower ?? 0 },
  ]);
  return {
    epsilon: { lower: below.epsilon.lower, upper: epsilon.upper },
    byAccountant: Object.fromEntries(bounds),
  };
}

/**
 * ε of a user after each of several numbers of steps, by the plan's conversion alone.
 *
 * @param stepsList - each >= 0
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const [before, after] = epsilonCurve(plan, [0, 10]);
 * before; // { lower: 0, upper: 0 }
 * after.upper; // ~8.00
 * ```
 */
export function epsilonCurve(plan: Plan, stepsList: readonly number[]): Interval[] {
  return stepsList.map(steps => statedEpsilon(plan, steps).epsilon);
}
