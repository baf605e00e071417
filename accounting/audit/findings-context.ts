import type { Interval } from '../accountant.ts';
import type { Claim } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import type { Judgement } from './claim-judge.ts';
import type { PrintedNumber } from './claim-printed.ts';
import type { Explanation } from './explain.ts';
import { downwardDigits, upwardDigits } from './safe-digits.ts';
import type { Reason } from './verdict.ts';

/** What the rules look at. */
export interface FindingContext {
  readonly claim: Claim;
  readonly claimed: PrintedNumber | null;
  readonly judgement: Judgement;
  readonly explanation: Explanation | undefined;
  readonly epsilon: EpsilonOfSettings;
}

/**
 * Whether the settings alone contradict the claim, in every reading of what is open.
 *
 * @example
 * ```ts
 * isAccusation({ detail: 'borderline' }); // false
 * ```
 */
export function isAccusation({ detail }: Pick<Judgement, 'detail'>): boolean {
  return detail === 'privacy_overstated' || detail === 'refuted_for_sampler';
}

/** One rule of the catalogue; it finds nothing, one thing, or several. */
export type FindingRule = (context: FindingContext) => readonly Reason[];

/**
 * An interval in words, to four digits, rounded so that what is said still holds.
 *
 * @example
 * ```ts
 * inWords({ lower: 0.86439, upper: 0.86442 }); // '0.8645'
 * inWords({ lower: 3.2394, upper: Infinity }); // 'at least 3.239'
 * ```
 */
export function inWords({ lower, upper }: Interval): string {
  if (lower === Infinity) return 'infinite';
  if (upper === Infinity) return lower > 0 ? `at least ${downwardDigits(lower)}` : 'unknown';
  if (upper === 0 || upper - lower <= 1e-3 * upper) return String(upper === 0 ? 0 : upwardDigits(upper));
  return lower > 0
    ? `between ${downwardDigits(lower)} and ${upwardDigits(upper)}`
    : `at most ${upwardDigits(upper)}`;
}
