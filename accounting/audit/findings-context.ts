import type { Interval } from '../accountant.ts';
import type { Claim } from './claim.ts';
import type { EpsilonOfSettings } from './claim-bounds.ts';
import type { Judgement } from './claim-judge.ts';
import type { PrintedNumber } from './claim-printed.ts';
import type { Explanation } from './explain.ts';
import type { Reason } from './verdict.ts';

/** What the rules look at. */
export interface FindingContext {
  readonly claim: Claim;
  readonly claimed: PrintedNumber | null;
  readonly judgement: Judgement;
  readonly explanation: Explanation | undefined;
  readonly epsilon: EpsilonOfSettings;
}

/** One rule of the catalogue; it finds nothing, one thing, or several. */
export type FindingRule = (context: FindingContext) => readonly Reason[];

/**
 * An interval in words, to the digits that matter.
 *
 * @example
 * ```ts
 * inWords({ lower: 0.86439, upper: 0.86442 }); // '0.8644'
 * inWords({ lower: 3.2394, upper: Infinity }); // 'at least 3.239'
 * ```
 */
export function inWords({ lower, upper }: Interval): string {
  if (upper === Infinity) return lower > 0 ? `at least ${digits(lower)}` : 'unknown';
  if (upper - lower <= 1e-3 * upper) return digits(upper);
  if (upper - lower <= 1e-2 * upper) return `about ${Number(((lower + upper) / 2).toPrecision(3))}`;
  return lower > 0 ? `between ${digits(lower)} and ${digits(upper)}` : `at most ${digits(upper)}`;
}

function digits(value: number): string {
  return String(Number(value.toPrecision(4)));
}
