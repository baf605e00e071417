import type { Interval } from '../accountant.ts';
import type { Plan, SamplerPlan } from '../plan.ts';
import type { Claim, ClaimSampler, StatedClaim, StatedMechanism } from './claim.ts';
import { upwardDigits } from './safe-digits.ts';

/** What is known only after the run. */
export interface PlanClaimFacts {
  /** ε after all steps counted, such as `epsilonOfPlan` answers it. */
  readonly epsilon: Interval;
  /** Noised steps that may have been released; the plan's where left out. */
  readonly steps?: number;
  /** What the claim is about. */
  readonly name?: string | undefined;
  readonly digest?: Readonly<Record<string, string>> | undefined;
}

/** The neighbouring relation of a plan in words of a claim. */
export const adjacencies: Readonly<Record<Plan['neighbours'], NonNullable<Claim['adjacency']>>> = {
  'add-or-remove': 'add_remove',
  replace: 'replace_one',
  'zero-out': 'zero_out',
};

/**
 * What a run of a plan may claim, with every fact that somebody else needs to recompute it: the form of {@link auditClaim}.
 *
 * The number is the upper end of ε in four digits, and a limit. Of shuffled batches no upper end is proved, so nothing is claimed of them. How many
 * other runs there were no plan knows; that is left out.
 *
 * @param plan - of the run
 * @example
 * ```ts
 * import { auditClaim, claimOf } from 'privacy-unit/accounting/audit';
 * import { compareMechanisms, epsilonOfPlan } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const stated = claimOfPlan(plan, epsilonOfPlan(plan));
 * stated.unit; // { kind: 'user', max_records_per_unit: 2, enforced_by: 'selected by random with seed 1, once before training' }
 * auditClaim(claimOf(stated)).verdict === 'refuted'; // false
 * ```
 */
export function claimOfPlan(plan: Plan, facts: PlanClaimFacts): StatedClaim {
  const { upper } = facts.epsilon;
  const { unit, neighbours, delta, selection } = plan;
  return {
    subject: { name: facts.name ?? null, digest: facts.digest ?? null },
    guarantee: { epsilon: printed(upper), delta, relation: '<=' },
    unit: {
      kind: unit.protection,
      max_records_per_unit: unit.recordsPerUser,
      enforced_by: enforcementOf(selection),
    },
    adjacency: adjacencies[neighbours],
    release: {
      what: 'every intermediate model',
      other_outputs: selection.privacyCost.map(({ what }) => what),
    },
    mechanisms: [mechanismOf(plan, facts.steps ?? plan.steps)],
    accounting: { library: 'privacy-unit', sampler: samplerKinds[plan.sampler.kind] },
  };
}

/** In few digits, never below; null where nothing is proved. */
function printed(upper: number): string | null {
  if (!Number.isFinite(upper)) return null;
  return upper > 0 ? String(upwardDigits(upper)) : '0';
}

function enforcementOf({ strategy, seed, when }: Plan['selection']): string {
  const time = when === 'once' ? 'once before training' : 'anew for each draw';
  return `selected by ${strategy} with seed ${seed}, ${time}`;
}

function mechanismOf(plan: Plan, steps: number): StatedMechanism {
  const { sampler, population, clipNorm, clipping, noiseMultiplier } = plan;
  return {
    kind: 'dp_sgd',
    n_units: population[sampler.over],
    sampler: samplerOf(sampler),
    steps,
    clip: {
      norm: clipNorm,
      per: sampler.over === 'users' ? 'unit' : 'example',
      adaptive: clipping === undefined ? 'none' : 'noised',
    },
    noise: { multiplier: noiseMultiplier, relative_to: 'clip', applied_to: 'sum', per: 'logical_batch' },
    normalise_by: 'expected_public',
    settings: 'exact',
  };
}

const samplerKinds = {
  poisson: 'poisson',
  'truncated-poisson': 'poisson',
  'balls-in-bins': 'balls_in_bins',
  shuffled: 'shuffle_each_epoch',
} as const satisfies Record<SamplerPlan['kind'], ClaimSampler['kind']>;

/** A plan's batches go into epochs without a rest. */
function samplerOf(sampler: SamplerPlan): Partial<ClaimSampler> {
  const { kind, samplingProbability: rate, expectedBatchSize } = sampler;
  return {
    kind: samplerKinds[kind],
    rate,
    batch_size: expectedBatchSize,
    ...(kind === 'truncated-poisson' && { physical_cap: sampler.batchLimit }),
    ...('stepsPerEpoch' in sampler && { partial_last: 'none' }),
  };
}
