import type { Interval } from './accountant.ts';
import { calibrateNoise } from './calibrate.ts';
import { checkCount, checkPositive, DpError } from './check.ts';
import type { Neighbours } from './event.ts';
import type { Conversion } from './group.ts';
import { parsePlan, type Mechanism, type Plan, type SelectionRule } from './plan.ts';

/** A table's users, a budget, and the compute to spend: what both mechanisms are compared at. */
export interface PlanningQuestion {
  /** Records (blocks under `random-chunk`) of every training user; users without any don't count. */
  readonly contributions: readonly number[];
  /** Target ε per user, > 0. */
  readonly epsilon: number;
  readonly delta: number;
  /** Caps to compare, each a whole number >= 1. */
  readonly recordsPerUser: readonly number[];
  /** Expected record gradients a step, equal for all options. */
  readonly batchSize: number;
  readonly steps: number;
  readonly clipNorm: number;
  readonly neighbours: Neighbours;
  /** `when` is `once` where left out; Group Privacy selects once whatever it says. */
  readonly selection: Omit<SelectionRule, 'when'> & { readonly when?: SelectionRule['when'] | undefined };
  readonly heldOut: Plan['heldOut'];
  /** How records become users under Group Privacy; `mixture` where left out. */
  readonly conversion?: Conversion | undefined;
}

/** A calibrated plan and how it compares. */
export interface PlanOption {
  readonly mechanism: Mechanism;
  readonly recordsPerUser: number;
  readonly plan: Plan;
  /** Certified; the upper end is at most the target. */
  readonly epsilon: Interval;
  /** Standard deviation of the noise on the averaged gradient, per coordinate, in units of the gradient. */
  readonly noiseOnAverage: number;
  /**
   * Clip norm for users ÷ clip norm for records below which User-wise DP-SGD has less noise on the averaged
   * gradient than Group Privacy with the same cap (Charles et al., arXiv 2407.07737, eq. 7, solved for the ratio).
   */
  readonly breakEvenClipRatio: number;
  /** What a reader of the option has to know. */
  readonly notes: readonly string[];
}

/**
 * Calibrated plans for both mechanisms at every cap, at equal expected record gradients a step.
 *
 * Group Privacy samples records with batchSize ÷ records kept; User-wise DP-SGD samples users with
 * batchSize ÷ cap ÷ users. A probability above 1 becomes 1, with a note.
 *
 * @returns for each cap group-privacy, then user-wise
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
  return question.recordsPerUser.flatMap(recordsPerUser => {
    checkCount(recordsPerUser, { verb, name: 'recordsPerUser' });
    const both = mechanisms.map(mechanism =>
      optionOf({ ...question, contributions }, mechanism, recordsPerUser),
    );
    const [records, users] = both.map(option => option.noiseOnAverage);
    const breakEvenClipRatio = records! / users!;
    return both.map(option => ({ ...option, breakEvenClipRatio }));
  });
}

const verb = 'plan';
const mechanisms: readonly Mechanism[] = ['group-privacy', 'user-wise'];

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
  const population = populationOf(question, mechanism, recordsPerUser);
  const { sampler, notes } = samplerOf(question, mechanism, { recordsPerUser, population });
  const { noiseMultiplier, epsilon } = calibrateNoise({
    ...question,
    samplingProbability: sampler.samplingProbability,
    groupSize: mechanism === 'group-privacy' ? recordsPerUser : 1,
  });
  const plan = planOf(question, mechanism, { recordsPerUser, population, sampler, noiseMultiplier });
  const noiseOnAverage = (noiseMultiplier * question.clipNorm) / sampler.expectedBatchSize;
  const allNotes = [...notes, ...generalNotes(question, recordsPerUser)];
  return { mechanism, recordsPerUser, plan, epsilon, noiseOnAverage, notes: allNotes };
}

function drawnWhen({ selection }: PlanningQuestion, mechanism: Mechanism): SelectionRule['when'] {
  return mechanism === 'user-wise' ? (selection.when ?? 'once') : 'once';
}

function populationOf(
  question: PlanningQuestion,
  mechanism: Mechanism,
  recordsPerUser: number,
): Plan['population'] {
  const cap = drawnWhen(question, mechanism) === 'once' ? recordsPerUser : Infinity;
  const records = question.contributions.reduce((sum, count) => sum + Math.min(count, cap), 0);
  return { users: question.contributions.length, records };
}

type Sized = Pick<Plan, 'population'> & { readonly recordsPerUser: number };

function samplerOf(
  { batchSize }: PlanningQuestion,
  mechanism: Mechanism,
  { recordsPerUser, population }: Sized,
): { sampler: Plan['sampler']; notes: string[] } {
  const over = mechanism === 'group-privacy' ? 'records' : 'users';
  const wanted = (mechanism === 'group-privacy' ? batchSize : batchSize / recordsPerUser) / population[over];
  const samplingProbability = Math.min(1, wanted);
  const expectedBatchSize = samplingProbability * population[over];
  const notes: string[] = [];
  if (wanted > 1)
    notes.push(
      `${mechanism}, ${recordsPerUser} records per user: all ${population[over]} ${over} take part in every step, because a batch of ${batchSize} record gradients asks for more.`,
    );
  if (expectedBatchSize < 1)
    notes.push(
      `${mechanism}, ${recordsPerUser} records per user: ${expectedBatchSize.toPrecision(2)} ${over} expected in a step; most steps are noise alone.`,
    );
  return { sampler: { kind: 'poisson', over, samplingProbability, expectedBatchSize }, notes };
}

function planOf(
  question: PlanningQuestion,
  mechanism: Mechanism,
  sized: Sized & Pick<Plan, 'sampler' | 'noiseMultiplier'>,
): Plan {
  const { recordsPerUser, population, sampler, noiseMultiplier } = sized;
  const { neighbours, clipNorm, steps, delta, epsilon, selection, heldOut } = question;
  const groupConversion = mechanism === 'group-privacy' ? (question.conversion ?? 'mixture') : 'none';
  return parsePlan({
    format: 'privacy-unit/plan',
    version: 1,
    mechanism,
    neighbours,
    unit: { protection: 'user', recordsPerUser },
    population,
    sampler,
    clipNorm,
    noiseMultiplier,
    steps,
    delta,
    targetEpsilon: epsilon,
    groupConversion,
    selection: { ...selection, when: drawnWhen(question, mechanism) },
    heldOut,
  });
}

function generalNotes({ contributions, delta }: PlanningQuestion, recordsPerUser: number): string[] {
  const users = contributions.length;
  const most = contributions.reduce((a, b) => Math.max(a, b), 0);
  const notes: string[] = [];
  if (delta >= 1 / users)
    notes.push(
      `delta ${delta} is not below 1/users = ${(1 / users).toPrecision(3)}: publishing one user outright could satisfy it.`,
    );
  if (recordsPerUser > most)
    notes.push(
      `no user has more than ${most} records: a cap of ${recordsPerUser} keeps nothing more and costs as if it did.`,
    );
  return notes;
}
