import type { Interval } from './accountant.ts';
import { calibrateNoise } from './calibrate.ts';
import { checkCount, checkPositive, DpError, invalid } from './check.ts';
import { adaptiveClipping, sumNoiseMultiplier, type AdaptiveClippingQuestion } from './clipping.ts';
import type { Neighbours } from './event.ts';
import type { Conversion } from './group.ts';
import {
  deltaWarnings,
  parsePlan,
  type Mechanism,
  type Plan,
  type SamplerKind,
  type SamplerPlan,
  type SelectionRule,
} from './plan.ts';
import { epsilonCurve, samplingScheme } from './plan-epsilon.ts';
import type { PrivacySpent } from './spent.ts';

/** A table's users, a budget, and the compute to spend: what both mechanisms are compared at. */
export interface PlanningQuestion {
  /** Records (blocks under `random-chunk`) of every training user; users without any don't count. */
  readonly contributions: readonly number[];
  /** Target ε per user for run and selection together, > 0; left out where the noise is given. */
  readonly epsilon?: number | undefined;
  /** The noise, where no target is given: shuffled sampling has no upper bound to calibrate. */
  readonly noiseMultiplier?: number | undefined;
  /** How a step gets its units; `poisson` where left out. */
  readonly sampler?: SamplerKind | undefined;
  /** Most record gradients of a step, for `truncated-poisson` alone. */
  readonly batchLimit?: number | undefined;
  readonly delta: number;
  /** Caps to compare, each a whole number >= 1. */
  readonly recordsPerUser: readonly number[];
  /** Expected record gradients a step, equal for all options. */
  readonly batchSize: number;
  readonly steps: number;
  readonly clipNorm: number;
  /** Lets the clip follow a quantile of the gradient norms from `clipNorm` on; fixed where left out. */
  readonly adaptiveClip?: AdaptiveClippingQuestion | undefined;
  readonly neighbours: Neighbours;
  /** `when` is `once` where left out; Group Privacy selects once whatever it says. */
  readonly selection: Omit<SelectionRule, 'when'> & {
    readonly when?: SelectionRule['when'] | undefined;
    /** What selection spends under `neighbours`; nothing where left out. The noise is calibrated to what that leaves. */
    readonly privacyCost?: readonly PrivacySpent[] | undefined;
  };
  readonly heldOut: Plan['heldOut'];
  /** How records become users under Group Privacy; where left out `mixture`, or `lemma` for groups that are not sampled by Poisson. */
  readonly conversion?: Conversion | undefined;
}

/** A calibrated plan and how it compares. */
export interface PlanOption {
  readonly mechanism: Mechanism;
  readonly recordsPerUser: number;
  readonly plan: Plan;
  /** Certified; the upper end is at most the target, Infinity for shuffled sampling. */
  readonly epsilon: Interval;
  /** Standard deviation of the noise on the averaged gradient, per coordinate, in units of the gradient; at the first clip. */
  readonly noiseOnAverage: number;
  /**
   * Clip norm for users ÷ clip norm for records below which User-wise DP-SGD has less noise on the averaged
   * gradient than Group Privacy with the same cap (Charles et al., arXiv 2407.07737, eq. 7, solved for the ratio).
   * Null where Group Privacy has no bound.
   */
  readonly breakEvenClipRatio: number | null;
  /** What a reader of the option has to know. */
  readonly notes: readonly string[];
}

/**
 * Calibrated plans for both mechanisms at every cap, at equal expected record gradients a step.
 *
 * Group Privacy samples records with batchSize ÷ records kept; User-wise DP-SGD samples users with
 * batchSize ÷ cap ÷ users. A probability above 1 becomes 1, with a note. Samplers with epochs round the number of their steps.
 *
 * @returns for each cap group-privacy, then user-wise; under `truncated-poisson` nothing is proved of groups, so a cap above 1
 *   leaves user-wise alone
 * @throws DpError `INVALID_ARGUMENT`; `BUDGET_UNREACHABLE`
 * @example
 * ```ts
 * const options = compareMechanisms({
 *   contributions: Array.from({ length: 1000 }, () => 3), epsilon: 8, delta: 1e-5, recordsPerUser: [1],
 *   batchSize: 50, steps: 100, clipNorm: 1, neighbours: 'add-or-remove',
 *   selection: { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null },
 *   heldOut: { fraction: 0.1, seed: '1' },
 * });
 * options.map(option => option.plan.sampler.samplingProbability); // [0.05, 0.05]
 * options[0].breakEvenClipRatio; // ~1.000
 * ```
 */
export function compareMechanisms(question: PlanningQuestion): PlanOption[] {
  const contributions = checkContributions(question.contributions);
  checkPositive(question.batchSize, { verb, name: 'batchSize' });
  checkUnused(question);
  return question.recordsPerUser.flatMap(recordsPerUser => {
    checkCount(recordsPerUser, { verb, name: 'recordsPerUser' });
    const isUnproved = question.sampler === 'truncated-poisson' && recordsPerUser > 1;
    const options = (isUnproved ? ['user-wise' as const] : mechanisms).map(mechanism =>
      optionOf({ ...question, contributions }, mechanism, recordsPerUser),
    );
    const [records, users] = options.map(option => option.noiseOnAverage);
    const breakEvenClipRatio = users === undefined ? null : records! / users;
    return options.map(option => ({ ...option, breakEvenClipRatio }));
  });
}

const verb = 'plan';
const mechanisms: readonly Mechanism[] = ['group-privacy', 'user-wise'];

function checkUnused({ sampler = 'poisson', batchLimit, epsilon, noiseMultiplier }: PlanningQuestion): void {
  if (batchLimit !== undefined && sampler !== 'truncated-poisson')
    throw invalid(batchLimit, `none with ${sampler} sampling`, { verb, name: 'batchLimit' });
  if (epsilon !== undefined && noiseMultiplier !== undefined)
    throw invalid(epsilon, 'none beside noiseMultiplier', { verb, name: 'epsilon' });
}

function checkContributions(contributions: readonly number[]): number[] {
  for (const count of contributions) checkCount(count, { verb, name: 'a number of records', least: 0 });
  const kept = contributions.filter(count => count > 0);
  if (kept.length > 0) return kept;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: 0 users have records. Give a table with users.`);
}

function optionOf(
  question: PlanningQuestion,
  mechanism: Mechanism,
  recordsPerUser: number,
): Omit<PlanOption, 'breakEvenClipRatio'> {
  const { clipNorm, neighbours, steps, delta, heldOut } = question;
  const { when = 'once', privacyCost = [] } = question.selection;
  const isByUser = mechanism === 'user-wise';
  const selection = { ...question.selection, when: isByUser ? when : 'once', privacyCost } as const;
  const population = populationOf(question, selection.when === 'once' ? recordsPerUser : Infinity);
  const over = isByUser ? 'users' : 'records';
  const sampler = samplerOf(question, {
    over,
    units: population[over],
    perUnit: isByUser ? recordsPerUser : 1,
  });
  const { samplingProbability, expectedBatchSize } = sampler;
  const isPoisson = sampler.kind === 'poisson';
  const conversion = question.conversion ?? (isPoisson || recordsPerUser === 1 ? 'mixture' : 'lemma');
  const given = question.noiseMultiplier;
  const calibrated =
    given === undefined
      ? calibrateNoise({
          ...question,
          epsilon: checkPositive(question.epsilon, { verb, name: 'epsilon' }),
          samplingProbability,
          sampling: samplingScheme(sampler, population),
          groupSize: isByUser ? 1 : recordsPerUser,
          conversion: isByUser && !isPoisson ? 'mixture' : conversion,
          spent: privacyCost,
        })
      : undefined;
  const noiseMultiplier = calibrated?.noiseMultiplier ?? given!;
  const clipping =
    question.adaptiveClip === undefined
      ? undefined
      : adaptiveClipping(question.adaptiveClip, { clipNorm, noiseMultiplier, expectedBatchSize });
  const plan = parsePlan({
    format: 'privacy-unit/plan',
    version: 1,
    mechanism,
    neighbours,
    unit: { protection: 'user', recordsPerUser },
    population,
    sampler,
    clipNorm,
    clipping,
    noiseMultiplier,
    steps,
    delta,
    targetEpsilon: calibrated === undefined ? null : question.epsilon,
    groupConversion: isByUser ? 'none' : conversion,
    selection,
    heldOut,
  });
  // A last epoch that is cut short counts below as if it were not there.
  const epsilon =
    calibrated === undefined || 'stepsPerEpoch' in sampler
      ? epsilonCurve(plan, [steps])[0]!
      : calibrated.epsilon;
  const noiseOnAverage = (sumNoiseMultiplier(plan) * clipNorm) / expectedBatchSize;
  return { mechanism, recordsPerUser, plan, epsilon, noiseOnAverage, notes: notesOf(question, plan) };
}

/** The sampler whose batches come closest to the wanted ones. */
function samplerOf(
  { sampler: kind = 'poisson', batchSize, batchLimit }: PlanningQuestion,
  { over, units, perUnit }: { over: SamplerPlan['over']; units: number; perUnit: number },
): SamplerPlan {
  const sized = (samplingProbability: number): Omit<SamplerPlan, 'kind'> => ({
    over,
    samplingProbability,
    expectedBatchSize: samplingProbability * units,
  });
  const wanted = Math.min(1, batchSize / perUnit / units);
  if (kind === 'poisson') return { kind, ...sized(wanted) };
  if (kind === 'truncated-poisson') {
    const most = checkCount(batchLimit, { verb, name: 'batchLimit', least: perUnit });
    return { kind, ...sized(wanted), batchLimit: Math.floor(most / perUnit) };
  }
  const stepsPerEpoch = Math.round(1 / wanted);
  return { kind, ...sized(1 / stepsPerEpoch), stepsPerEpoch };
}

function populationOf({ contributions }: PlanningQuestion, cap: number): Plan['population'] {
  const records = contributions.reduce((sum, count) => sum + Math.min(count, cap), 0);
  return { users: contributions.length, records };
}

function notesOf({ contributions, batchSize }: PlanningQuestion, plan: Plan): string[] {
  const { mechanism, sampler, population, steps } = plan;
  const { over, expectedBatchSize } = sampler;
  const { recordsPerUser } = plan.unit;
  const wanted = batchSize / (over === 'users' ? recordsPerUser : 1) / population[over];
  const option = `${mechanism}, ${recordsPerUser} records per user:`;
  const most = contributions.reduce((a, b) => Math.max(a, b), 0);
  const notes: string[] = [];
  if (wanted > 1)
    notes.push(
      `${option} all ${population[over]} ${over} take part in every step, because a batch of ${batchSize} record gradients asks for more.`,
    );
  if (expectedBatchSize < 1)
    notes.push(
      `${option} ${expectedBatchSize.toPrecision(2)} ${over} expected in a step; most steps are noise alone.`,
    );
  if ('stepsPerEpoch' in sampler && steps % sampler.stepsPerEpoch > 0)
    notes.push(
      `${option} the last of the epochs of ${sampler.stepsPerEpoch} steps is cut short and costs a whole one.`,
    );
  if (sampler.kind === 'truncated-poisson' && recordsPerUser > 1)
    notes.push(
      `group-privacy, ${recordsPerUser} records per user: left out, as nothing is proved of groups under ${sampler.kind} sampling.`,
    );
  if (plan.clipping !== undefined)
    notes.push(
      `${option} noise on the sum is ${sumNoiseMultiplier(plan).toPrecision(4)} × the clip of a step, which pays for the count of ${over} within it.`,
    );
  notes.push(...deltaWarnings(plan));
  if (recordsPerUser > most)
    notes.push(
      `no user has more than ${most} records: a cap of ${recordsPerUser} keeps nothing more and costs as if it did.`,
    );
  return notes;
}
