import type { Interval } from './accountant.ts';
import {
  checkCount,
  checkDelta,
  checkNonNegative,
  checkPositive,
  checkProbability,
  DpError,
  invalid,
  type CheckContext,
} from './check.ts';
import { relations, type BoundsByAccountant } from './epsilon.ts';
import { poissonGroupEvent, type DpEvent, type Neighbours } from './event.ts';
import { belowOne, listOf, objectOf, oneOf, orNull, readText } from './fields.ts';
import { convertGroup, groupEpsilon, type BoundsByConversion, type GroupOptions } from './group.ts';
import { totalSpent, type PrivacySpent } from './spent.ts';

/** The two mechanisms of arXiv 2406.14322. */
export type Mechanism = 'group-privacy' | 'user-wise';

/** How a record-level guarantee is turned into one for users with up to `recordsPerUser` records. */
export type GroupConversion = 'none' | 'lemma' | 'rdp' | 'mixture';

/** The strategies of the selection contract, v1. */
export type SelectionStrategy =
  | 'random'
  | 'longest'
  | 'shortest'
  | 'highest-perplexity'
  | 'lowest-perplexity'
  | 'random-chunk'
  | 'random-window'
  | 'first';

/** Which of a user's records may be used, and when they are drawn. */
export interface SelectionRule {
  readonly strategy: SelectionStrategy;
  /** Public seed of the selection contract; it plays no part in the guarantee. */
  readonly seed: string;
  /** Most tokens per user beside the cap in records, or null for none. */
  readonly tokensPerUser: number | null;
  /** Length of a block in tokens for `random-chunk`, null for the other strategies. */
  readonly chunkTokens: number | null;
  /** `once` before training, or afresh `per-draw` each time the user is sampled (user-wise only). */
  readonly when: 'once' | 'per-draw';
}

/** A plan's rule with what it cost. */
export interface PlannedSelection extends SelectionRule {
  /**
   * Private releases that the rule rests on, such as a cap that was chosen privately. Part of the plan's guarantee, so
   * stated under its neighbours. Plans of earlier releases lack the list, and had nothing to put in it.
   */
  readonly privacyCost: readonly PrivacySpent[];
}

/** Who is sampled each step and with what probability. The probability is written once, here. */
export interface SamplerPlan {
  readonly kind: 'poisson';
  readonly over: 'records' | 'users';
  readonly samplingProbability: number;
  /** The fixed denominator: samplingProbability × units planned for. Never the realised batch size. */
  readonly expectedBatchSize: number;
}

/**
 * Everything on which the guarantee rests, in one plain JSON object. Selection, trainer,
 * accountant and statement read it; nobody computes a field anew.
 */
export interface Plan {
  readonly format: 'privacy-unit/plan';
  readonly version: 1;
  readonly mechanism: Mechanism;
  readonly neighbours: Neighbours;
  readonly unit: { readonly protection: 'user'; readonly recordsPerUser: number };
  /** Training users and the records that training may touch (after the cap where selection is `once`); public constants. */
  readonly population: { readonly users: number; readonly records: number };
  readonly sampler: SamplerPlan;
  readonly clipNorm: number;
  /** Standard deviation of the noise ÷ clipNorm. */
  readonly noiseMultiplier: number;
  readonly steps: number;
  readonly delta: number;
  /** What run and selection together were calibrated to, or null where the noise was given. */
  readonly targetEpsilon: number | null;
  readonly groupConversion: GroupConversion;
  readonly selection: PlannedSelection;
  /** Users kept out of training for evaluation, chosen by a keyed hash of their id (user-local). */
  readonly heldOut: { readonly fraction: number; readonly seed: string };
}

const verb = 'read the plan';

const readPlan = objectOf<Plan>({
  format: oneOf('privacy-unit/plan'),
  version: readVersion,
  mechanism: oneOf('group-privacy', 'user-wise'),
  neighbours: oneOf(...relations),
  unit: objectOf<Plan['unit']>({ protection: oneOf('user'), recordsPerUser: checkCount }),
  population: objectOf<Plan['population']>({ users: checkCount, records: checkCount }),
  sampler: objectOf<SamplerPlan>({
    kind: oneOf('poisson'),
    over: oneOf('records', 'users'),
    samplingProbability: checkProbability,
    expectedBatchSize: checkPositive,
  }),
  clipNorm: checkPositive,
  noiseMultiplier: checkPositive,
  steps: checkCount,
  delta: checkDelta,
  targetEpsilon: orNull(checkPositive),
  groupConversion: oneOf('none', 'lemma', 'rdp', 'mixture'),
  selection: objectOf<PlannedSelection>(
    {
      strategy: oneOf(
        'random',
        'longest',
        'shortest',
        'highest-perplexity',
        'lowest-perplexity',
        'random-chunk',
        'random-window',
        'first',
      ),
      seed: readText,
      tokensPerUser: orNull(checkCount),
      chunkTokens: orNull(checkCount),
      when: oneOf('once', 'per-draw'),
      privacyCost: listOf(
        objectOf<PrivacySpent>({ epsilon: checkNonNegative, delta: belowOne, what: readText }),
      ),
    },
    { privacyCost: [] },
  ),
  heldOut: objectOf<Plan['heldOut']>({ fraction: belowOne, seed: readText }),
});

/**
 * Takes a value from outside as a plan, or says which field is wrong and what it holds.
 *
 * Nothing is repaired and, but for an absent `selection.privacyCost`, nothing filled in: a missing key, an unknown one
 * and a contradiction between fields are errors.
 *
 * @param json - parsed JSON
 * @returns a plan that serialises to the same JSON, `selection.privacyCost` always written
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const plan = parsePlan({
 *   format: 'privacy-unit/plan', version: 1, mechanism: 'user-wise', neighbours: 'add-or-remove',
 *   unit: { protection: 'user', recordsPerUser: 5 }, population: { users: 1000, records: 4000 },
 *   sampler: { kind: 'poisson', over: 'users', samplingProbability: 0.01, expectedBatchSize: 10 },
 *   clipNorm: 1, noiseMultiplier: 1, steps: 100, delta: 1e-4, targetEpsilon: null, groupConversion: 'none',
 *   selection: { strategy: 'random', seed: '42', tokensPerUser: null, chunkTokens: null, when: 'once' },
 *   heldOut: { fraction: 0.1, seed: '42' },
 * });
 * plan.sampler.expectedBatchSize; // 10
 * ```
 */
export function parsePlan(json: unknown): Plan {
  const plan = readPlan(json, { verb, name: 'the plan' });
  checkConsistency(plan);
  return plan;
}

function readVersion(value: unknown, context: CheckContext): 1 {
  if (value === 1) return 1;
  throw invalid(value, '1, or use a release that reads it', context);
}

function checkConsistency(plan: Plan): void {
  checkSampler(plan);
  checkSelection(plan);
}

function refuseIf(isWrong: boolean, what: string, change: string): void {
  if (isWrong) throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${what}. ${change}.`);
}

function checkSampler({ mechanism, sampler, unit, population, groupConversion }: Plan): void {
  const isByUser = mechanism === 'user-wise';
  const over = isByUser ? 'users' : 'records';
  const expected = sampler.samplingProbability * population[over];
  const conversion = `groupConversion is ${groupConversion} under ${mechanism}`;
  refuseIf(sampler.over !== over, `sampler.over is ${sampler.over} under ${mechanism}`, `Sample ${over}`);
  refuseIf(
    !(Math.abs(sampler.expectedBatchSize - expected) <= 1e-9 * expected),
    `sampler.expectedBatchSize is ${sampler.expectedBatchSize}`,
    `Give sampler.samplingProbability × population.${over} = ${expected}`,
  );
  refuseIf(isByUser && groupConversion !== 'none', conversion, 'Give none');
  refuseIf(
    !isByUser && unit.recordsPerUser > 1 && groupConversion === 'none',
    `${conversion} with ${unit.recordsPerUser} records per user`,
    'Give lemma, rdp or mixture',
  );
}

function checkSelection({ mechanism, unit, population, selection, delta }: Plan): void {
  const { when, strategy, chunkTokens, privacyCost } = selection;
  const most = population.users * unit.recordsPerUser;
  const spent = totalSpent(privacyCost).delta;
  const isOnce = when === 'once';
  refuseIf(
    !isOnce && mechanism !== 'user-wise',
    `selection.when is per-draw under ${mechanism}`,
    'Give once',
  );
  refuseIf(
    (chunkTokens !== null) !== (strategy === 'random-chunk'),
    `selection.chunkTokens is ${chunkTokens} for ${strategy}`,
    chunkTokens === null ? 'Give a number of tokens' : 'Give null',
  );
  refuseIf(
    isOnce && population.records > most,
    `population.records is ${population.records} for ${population.users} users with at most ${unit.recordsPerUser} records each`,
    `Give at most ${most}`,
  );
  refuseIf(spent >= delta, `selection.privacyCost spends ${spent} of delta ${delta}`, 'Give a larger delta');
}

/** Says so where publishing one user whole would keep the plan's δ. */
export function deltaWarnings({ delta, population: { users } }: Plan): string[] {
  const least = 1 / users;
  return delta < least
    ? []
    : [
        `delta ${delta} is not below 1/users = ${least.toPrecision(3)}: publishing one user outright could satisfy it.`,
      ];
}

/**
 * What one user's neighbours see of a run of the plan.
 *
 * User-wise: the subsampled Gaussian over users. Group Privacy: the mixture of Gaussians of a user with the most records.
 * Either is followed by what was spent on selection, where anything was.
 *
 * @param steps - noised steps that may have been released, at least 1; the plan's where left out
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * eventOfPlan(plan, 3).count; // 3
 * ```
 */
export function eventOfPlan(plan: Plan, steps: number = plan.steps): DpEvent {
  return poissonGroupEvent(samplingOf(plan, steps));
}

function samplingOf(plan: Plan, steps: number): GroupOptions {
  return {
    noiseMultiplier: plan.noiseMultiplier,
    samplingProbability: plan.sampler.samplingProbability,
    steps: checkCount(steps, { verb: 'account for the plan', name: 'steps' }),
    groupSize: plan.mechanism === 'group-privacy' ? plan.unit.recordsPerUser : 1,
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
 * @param options - steps: noised steps that may have been released, >= 0; the plan's where left out
 * @returns for a calibrated plan epsilon.upper is at most the target; no steps cost nothing beside what selection did
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting';
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
  if (steps === 0 || plan.mechanism === 'user-wise' || plan.unit.recordsPerUser === 1)
    return statedEpsilon(plan, steps);
  const { byConversion, byAccountant } = groupEpsilon(samplingOf(plan, steps));
  const { upper } = byConversion[conversionOf(plan)];
  return { epsilon: { lower: byConversion.mixture.lower ?? 0, upper }, byAccountant, byConversion };
}

function conversionOf({ groupConversion }: Plan): keyof BoundsByConversion {
  return groupConversion === 'none' ? 'mixture' : groupConversion;
}

/** By the plan's conversion alone. */
function statedEpsilon(plan: Plan, steps: number): PlanEpsilon {
  if (steps === 0)
    return { epsilon: { lower: 0, upper: totalSpent(plan.selection.privacyCost).epsilon }, byAccountant: {} };
  const { bound, byAccountant } = convertGroup(samplingOf(plan, steps), conversionOf(plan));
  return { epsilon: { lower: bound.lower ?? 0, upper: bound.upper }, byAccountant };
}

/**
 * ε of a user after each of several numbers of steps, by the plan's conversion alone.
 *
 * @param stepsList - each >= 0
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting';
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
