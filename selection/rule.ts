import { checkChoice, checkCount, DpError } from '../accounting/check.ts';
import type { SelectionStrategy } from '../accounting/plan.ts';

export type { SelectionStrategy } from '../accounting/plan.ts';

/** Strategies that keep whole records; `random-chunk` keeps blocks of tokens instead (`chunksOfUser`). */
export type RecordStrategy = Exclude<SelectionStrategy, 'random-chunk'>;

/** What happens to the first record that would pass the token cap: left out with all after it, or cut to fit. */
export type TokenPolicy = 'stop' | 'truncate';

/** A per-user cap under the selection contract, v1. At least one of the two caps must be set. */
export interface CapRule {
  readonly strategy: SelectionStrategy;
  /** Public text that enters every key; it plays no part in the guarantee. */
  readonly seed: string;
  /** Most records a user keeps, at least 1, or null for no cap in records. */
  readonly recordsPerUser: number | null;
  /** Most tokens a user keeps, at least 1, or null for no cap in tokens. */
  readonly tokensPerUser?: number | null;
  /** Default `stop`. */
  readonly tokenPolicy?: TokenPolicy;
}

export const recordStrategies: readonly RecordStrategy[] = [
  'random',
  'longest',
  'shortest',
  'highest-perplexity',
  'lowest-perplexity',
  'random-window',
  'first',
];

export const allStrategies: readonly SelectionStrategy[] = [...recordStrategies, 'random-chunk'];

/**
 * True where the records that parts of a user keep are enough to tell what the user keeps. A `random-window` starts where
 * the number of all records says.
 */
export function isMergeable(strategy: SelectionStrategy): boolean {
  return strategy !== 'random-window';
}

/** True where the strategy orders by a score of each record. */
export function usesScores(strategy: SelectionStrategy): boolean {
  return strategy === 'highest-perplexity' || strategy === 'lowest-perplexity';
}

/** True where the strategy orders by length. */
export function usesLengths(strategy: SelectionStrategy): boolean {
  return strategy === 'longest' || strategy === 'shortest';
}

const surrogate = /\p{Surrogate}/u;

/** False where a string holds a lone surrogate and so has no UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !surrogate.test(text);
}

/** Refuses a seed that is not well-formed text. */
export function checkSeed(seed: unknown, verb: string): string {
  if (typeof seed === 'string' && isWellFormed(seed)) return seed;
  const shown = typeof seed === 'string' ? 'text with a lone surrogate' : `a ${typeof seed}`;
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: seed is ${shown}. Give well-formed text.`);
}

/** Checks caps, strategy and seed once, at the public door. */
export function checkCapRule(rule: CapRule, verb: string): void {
  checkChoice(rule.strategy, { verb, name: 'strategy', choices: allStrategies });
  checkSeed(rule.seed, verb);
  checkChoice(rule.tokenPolicy ?? 'stop', { verb, name: 'tokenPolicy', choices: ['stop', 'truncate'] });
  if (rule.recordsPerUser !== null) checkCount(rule.recordsPerUser, { verb, name: 'recordsPerUser' });
  const tokens = rule.tokensPerUser ?? null;
  if (tokens !== null) checkCount(tokens, { verb, name: 'tokensPerUser' });
  if (rule.recordsPerUser === null && tokens === null) {
    throw new DpError(
      'INVALID_ARGUMENT',
      `Cannot ${verb}: recordsPerUser and tokensPerUser are both null. Set at least one cap.`,
    );
  }
}
