import type { Cut } from '../../accounting/audit/scores/thresholds.ts';
import { checkCount, DpError } from '../../accounting/check.ts';
import { epsilonOfPlan } from '../../accounting/plan-epsilon.ts';
import { parsePlan, type Plan } from '../../accounting/plan.ts';
import type { UserTokens } from '../data.ts';
import type { LanguageModel } from '../language-model.ts';
import { freshKey, openBits, type RandomBits } from '../randomness.ts';

/** Canaries to make. */
export interface CanaryRequest {
  /** Made-up users, at least 20. About half of them are trained on. */
  readonly count: number;
  /** Records of each, up to the plan's cap; default: 1 where users are clipped, the cap where records are. */
  readonly recordsPerCanary?: number | undefined;
  /** How the audit will tell them apart, fixed before training; default: by rank, a quarter of them on each side. */
  readonly cut?: Cut | undefined;
}

/** A made-up user with one random text in all records. */
export interface Canary {
  readonly name: string;
  /** How its own fair coin fell. Secret until the training is over. */
  readonly isIncluded: boolean;
  /** Of each of its records; end-of-text is the last. */
  readonly tokens: Int32Array;
}

/** Canaries with everything that has to be fixed before training. */
export interface CanarySet {
  readonly recordsPerCanary: number;
  readonly cut: Cut;
  /** 32 random bytes in hexadecimal, so that a digest of the set tells nothing about it. */
  readonly salt: string;
  readonly canaries: readonly Canary[];
}

/** Fewer could refute next to nothing, and might all fall on one side. */
export const fewestCanaries = 20;
const fewestTokens = 8;
const verb = 'plant canaries';

function refused(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot ${verb}: ${reason}. ${advice}.`);
}

/** A request with its defaults, checked against the plan of the table without canaries. */
export type SettledRequest = { readonly [Key in keyof CanaryRequest]-?: NonNullable<CanaryRequest[Key]> };

/**
 * Checks a request and fills in its defaults.
 *
 * @param users - of the table, canaries not counted
 * @throws DpError `INVALID_ARGUMENT`
 */
export function settledRequest(
  request: CanaryRequest,
  { plan, users }: { plan: Plan; users: number },
): SettledRequest {
  const { count } = request;
  const { sampler, unit } = plan;
  checkCount(count, { verb, name: 'canaries', least: fewestCanaries });
  if (count > users) throw refused(`${count} are asked for beside ${users} users`, `Plant at most ${users}`);
  if (sampler.kind === 'shuffled')
    throw refused(
      'sampling is shuffled, of which no upper bound is proved that scores could refute',
      'Plan with another sampler',
    );
  const usual = sampler.over === 'users' ? 1 : unit.recordsPerUser;
  const quarter = Math.floor(count / 4);
  const { recordsPerCanary = usual, cut = { highest: quarter, lowest: quarter } } = request;
  checkCount(recordsPerCanary, { verb, name: 'records of a canary' });
  if (recordsPerCanary > unit.recordsPerUser)
    throw refused(
      `a canary is to have ${recordsPerCanary} records, the plan caps users at ${unit.recordsPerUser}`,
      `Give at most ${unit.recordsPerUser}`,
    );
  checkCut(cut, count);
  return { count, recordsPerCanary, cut };
}

function checkCut(cut: Cut, count: number): void {
  if ('threshold' in cut) {
    if (Number.isFinite(cut.threshold)) return;
    throw refused(`the threshold is ${cut.threshold}`, 'Give a finite number');
  }
  checkCount(cut.highest, { verb, name: 'k_plus', least: 0 });
  checkCount(cut.lowest, { verb, name: 'k_minus', least: 0 });
  const guesses = cut.highest + cut.lowest;
  if (guesses === 0) throw refused('0 guesses are to be made', 'Guess at least one of them');
  if (guesses > count)
    throw refused(`${guesses} guesses are to be made about ${count}`, `Guess at most ${count} of them`);
}

/** Tokens of a canary's record, end-of-text included: what context, blocks and caps leave room for. */
function recordLength(
  plan: Plan,
  { contextLength, records }: { contextLength: number; records: number },
): number {
  const { chunkTokens, tokensPerUser } = plan.selection;
  const share = tokensPerUser === null ? Infinity : Math.floor(tokensPerUser / records);
  const length = Math.min(contextLength, chunkTokens ?? Infinity, share);
  if (length >= fewestTokens) return length;
  throw refused(
    `context, blocks and the cap of ${tokensPerUser ?? 'no'} tokens leave ${length} tokens to each of ${records} records`,
    `Give fewer records a canary, so that each has room for ${fewestTokens}`,
  );
}

/**
 * Makes canaries: users with random text, each with a fair coin of its own that says whether it is trained on.
 *
 * All records of a canary have the same text, the strongest that a user can be within the cap. Text and coins come from a cryptographic
 * generator with a fresh key.
 *
 * @param options - users: of the table, canaries not counted; bits: for tests, a stream used by nothing else
 * @throws DpError `INVALID_ARGUMENT` where there are too few or too many, or no room for their records
 */
export function makeCanaries(
  request: CanaryRequest,
  options: { plan: Plan; users: number; model: LanguageModel; bits?: RandomBits },
): CanarySet {
  const { plan, model, bits = openBits(freshKey(), 'sampling') } = options;
  const { count, recordsPerCanary, cut } = settledRequest(request, options);
  const { contextLength } = model.spec.config;
  const length = recordLength(plan, { contextLength, records: recordsPerCanary });
  const canaries = Array.from({ length: count }, (_, index) => ({
    name: `canary:${index}`,
    isIncluded: bits.next53() < 2 ** 52,
    tokens: randomTokens(length, { tokenizer: model.tokenizer, bits }),
  }));
  return { recordsPerCanary, cut, salt: Buffer.from(freshKey()).toString('hex'), canaries };
}

/** Tokens uniform over the vocabulary but for end-of-text, which comes last. */
function randomTokens(
  length: number,
  { tokenizer, bits }: { tokenizer: LanguageModel['tokenizer']; bits: RandomBits },
): Int32Array {
  const { vocabularySize, endOfText } = tokenizer;
  const tokens = new Int32Array(length).fill(endOfText);
  for (let place = 0; place < length - 1; place += 1) {
    const token = Math.floor((bits.next53() / 2 ** 53) * (vocabularySize - 1));
    tokens[place] = token < endOfText ? token : token + 1;
  }
  return tokens;
}

/** Canaries as users with their records, those that are left out included. */
export function canaryUsers({ canaries, recordsPerCanary }: CanarySet): UserTokens[] {
  return canaries.map(({ name, tokens }) => ({
    user: name,
    records: Array.from({ length: recordsPerCanary }, (_, record) => ({ id: `${record}`, tokens, score: 1 })),
  }));
}

/**
 * Names of the canaries that are left out. Their units are drawn and add nothing: with the same draws, a coin moves a step's sum by
 * one clipped unit and no other's, so the law of a step under one coin and the other is the pair that ε is computed from, under
 * every sampler that canaries are planted with. A unit that is drawn for nothing may push another out of a batch with a physical
 * limit; that pair is within the form for `replace` that those batches are counted in.
 */
export function absentCanaries({ canaries }: CanarySet): Set<string> {
  return new Set(canaries.filter(({ isIncluded }) => !isIncluded).map(({ name }) => name));
}

/**
 * The plan of a table once canaries are in it: population and denominator grow by all of them, whichever way their coins
 * will fall. Sampling probability, noise, clip, steps and δ stay, so ε does too; where a batch has a physical limit, it is computed anew.
 *
 * @throws DpError `INVALID_ARGUMENT` where the request does not fit, or ε comes out above the plan's target
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: Array.from({ length: 50 }, () => 2), epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 5, steps: 10,
 *   clipNorm: 1, neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const planted = planWithCanaries(plan, { count: 20 });
 * planted.population; // { users: 70, records: 120 }
 * planted.sampler.samplingProbability === plan.sampler.samplingProbability; // true
 * ```
 */
export function planWithCanaries(plan: Plan, request: CanaryRequest): Plan {
  const { population, sampler } = plan;
  const { count, recordsPerCanary } = settledRequest(request, { plan, users: population.users });
  const grown = { users: population.users + count, records: population.records + count * recordsPerCanary };
  const expectedBatchSize = sampler.samplingProbability * grown[sampler.over];
  const planted = parsePlan({ ...plan, population: grown, sampler: { ...sampler, expectedBatchSize } });
  checkTarget(planted, count);
  return planted;
}

/** Only the law of a physical limit depends on how many there are. */
function checkTarget(plan: Plan, count: number): void {
  const { targetEpsilon, sampler } = plan;
  if (targetEpsilon === null || sampler.kind !== 'truncated-poisson') return;
  const { upper } = epsilonOfPlan(plan).epsilon;
  if (upper <= targetEpsilon) return;
  throw refused(
    `with ${count} of them the limit of ${sampler.batchLimit} cuts batches so often that epsilon is ${upper}, above the target of ${targetEpsilon}`,
    'Plan with a larger limit, or plant fewer',
  );
}
