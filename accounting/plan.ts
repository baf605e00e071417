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
import { checkClipping, readClipping, type AdaptiveClipping } from './clipping.ts';
import { relations } from './epsilon.ts';
import type { Neighbours } from './event.ts';
import { belowOne, kindOf, listOf, objectOf, oneOf, orNull, readText, type Reader } from './fields.ts';
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

/** Who is sampled each step and with what probability, and how. The probability is written once, here. */
export type SamplerPlan = {
  readonly over: 'records' | 'users';
  readonly samplingProbability: number;
  /** The fixed denominator: samplingProbability × units planned for. Never the realised batch size. */
  readonly expectedBatchSize: number;
} & (
  | { readonly kind: 'poisson' }
  /** Poisson, but of a larger draw only `batchLimit` units at random are used. */
  | { readonly kind: 'truncated-poisson'; readonly batchLimit: number }
  /**
   * Each unit in one step of each epoch of `stepsPerEpoch` = 1/samplingProbability steps: chosen for itself (balls in bins), or
   * by shuffling all units and cutting them into batches, of which no upper bound is proved.
   */
  | { readonly kind: 'balls-in-bins' | 'shuffled'; readonly stepsPerEpoch: number }
);

/** The samplers that a plan can ask for. */
export type SamplerKind = SamplerPlan['kind'];

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
  /** The clip, or the first one where it adapts. */
  readonly clipNorm: number;
  /** How the clip adapts; a fixed one where left out. */
  readonly clipping?: AdaptiveClipping | undefined;
  /**
   * Standard deviation of the noise ÷ clip of the step. With an adaptive clip that of clipped sum and count as one release: the
   * noise on either is larger.
   */
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

const sampled = {
  kind: oneOf<SamplerKind>('poisson', 'truncated-poisson', 'balls-in-bins', 'shuffled'),
  over: oneOf('records', 'users'),
  samplingProbability: checkProbability,
  expectedBatchSize: checkPositive,
};
const readEpochs = objectOf({ ...sampled, stepsPerEpoch: checkCount });
const samplerReaders: Readonly<Partial<Record<string, Reader<object>>>> = {
  'truncated-poisson': objectOf({ ...sampled, batchLimit: checkCount }),
  'balls-in-bins': readEpochs,
  shuffled: readEpochs,
};
const readPoisson = objectOf(sampled);

const readSampler: Reader<SamplerPlan> = (value, context) => {
  const read = samplerReaders[String(kindOf(value))] ?? readPoisson;
  // oxlint-disable-next-line no-unsafe-type-assertion -- the reader was looked up by the sampler's own kind
  return read(value, context) as SamplerPlan;
};

const planReaders: { readonly [K in keyof Plan]-?: Reader<Plan[K]> } = {
  format: oneOf('privacy-unit/plan'),
  version: readVersion,
  mechanism: oneOf('group-privacy', 'user-wise'),
  neighbours: oneOf(...relations),
  unit: objectOf<Plan['unit']>({ protection: oneOf('user'), recordsPerUser: checkCount }),
  population: objectOf<Plan['population']>({ users: checkCount, records: checkCount }),
  sampler: readSampler,
  clipNorm: checkPositive,
  clipping: readClipping,
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
};
const readPlan = objectOf<Plan>(planReaders, { clipping: undefined });

/**
 * Takes a value from outside as a plan, or says which field is wrong and what it holds.
 *
 * Nothing is repaired and, but for an absent `selection.privacyCost`, nothing filled in: a missing key, an unknown one
 * and a contradiction between fields are errors. `clipping` may be left out, which is the same as `{ kind: 'fixed' }`.
 *
 * @param json - parsed JSON
 * @returns a plan that serialises to the same JSON, `selection.privacyCost` always written and a fixed `clipping` never
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
  checkClipping(plan, { verb });
  checkSampler(plan);
  checkSelection(plan);
}

function refuseIf(isWrong: boolean, what: string, change: string): void {
  if (isWrong) throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${what}. ${change}.`);
}

function checkSampler(plan: Plan): void {
  const { mechanism, sampler, unit, population, groupConversion } = plan;
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
  if (sampler.kind !== 'poisson') checkScheme(plan, sampler);
  const isPoisson = sampler.kind === 'poisson';
  refuseIf(
    isGroup(plan) && (isPoisson ? groupConversion === 'none' : groupConversion !== 'lemma'),
    `${conversion} with ${unit.recordsPerUser} records per user and ${sampler.kind} sampling`,
    isPoisson ? 'Give lemma, rdp or mixture' : 'Give lemma: nothing else is proved',
  );
}

/**
 * Whether a user's records are sampled apart, so that one record's guarantee is not yet the user's.
 */
export function isGroup({ mechanism, unit }: Plan): boolean {
  return mechanism === 'group-privacy' && unit.recordsPerUser > 1;
}

function checkScheme(plan: Plan, sampler: SamplerPlan): void {
  const { kind, samplingProbability } = sampler;
  const given = `sampler.kind is ${kind}`;
  refuseIf(
    kind === 'truncated-poisson' && isGroup(plan),
    `${given} for groups of ${plan.unit.recordsPerUser} records, of which nothing is proved`,
    'Sample users, or give poisson',
  );
  refuseIf(
    kind === 'balls-in-bins' && plan.neighbours === 'replace',
    `${given} under replace, of which nothing is proved`,
    'Use add-or-remove or zero-out neighbours',
  );
  if (!('stepsPerEpoch' in sampler)) return;
  const { stepsPerEpoch } = sampler;
  refuseIf(
    !(Math.abs(samplingProbability * stepsPerEpoch - 1) <= 1e-9),
    `sampler.samplingProbability is ${samplingProbability} with ${stepsPerEpoch} steps per epoch`,
    `Give 1/stepsPerEpoch = ${1 / stepsPerEpoch}`,
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
