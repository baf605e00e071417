import type { DpEvent, Neighbours } from './event.ts';

/** Certified bounds on one privacy parameter: the truth lies in [lower, upper]. Infinity is allowed, NaN never. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * What a number says: bounds on both sides, on one alone, or no bound at all.
 * A `lower` bound proves how bad a guarantee is and never how good; an `estimate` proves nothing.
 */
export type Side = 'interval' | 'upper' | 'lower' | 'estimate';

/** What an accountant answers. */
export interface Bound {
  readonly lower?: number;
  /** Infinity where no upper bound is known. */
  readonly upper: number;
  /** Best knowledge of the truth; within the bounds where there are any. */
  readonly value?: number;
  /** How it was got and how wide its error is, for the statement ("order 12.3", "grid 1e-4, tail mass 1e-20"). */
  readonly detail: string;
}

/**
 * Which side a bound is on.
 *
 * @example
 * ```ts
 * sideOf({ upper: 2, detail: '' }); // 'upper'
 * sideOf({ lower: 1, upper: Infinity, detail: '' }); // 'lower'
 * sideOf({ upper: Infinity, value: 3, detail: '' }); // 'estimate'
 * ```
 */
export function sideOf({ lower, upper, value }: Bound): Side {
  if (upper < Infinity) return lower === undefined ? 'upper' : 'interval';
  if (lower !== undefined && lower < Infinity) return 'lower';
  return value === undefined ? 'interval' : 'estimate';
}

/** Turns an event into a guarantee. Accountants know nothing of plans or users. */
export interface Accountant {
  readonly name: 'rdp' | 'pld' | 'exact' | 'gdp';
  /** The part of the event that this accountant can't interpret under these neighbours, or undefined where it can. */
  unsupported(event: DpEvent, neighbours: Neighbours): string | undefined;
  /** ε at δ. Throws `UNSUPPORTED_EVENT`, naming the offending part. */
  epsilon(event: DpEvent, options: AccountantQuestion & { readonly delta: number }): Bound;
  /** δ at ε. */
  delta(event: DpEvent, options: AccountantQuestion & { readonly epsilon: number }): Bound;
}

/** What every question states. */
export interface AccountantQuestion {
  readonly neighbours: Neighbours;
  /** Wanted (upper - lower) / ε of a numeric accountant, > 0; each has its own default. */
  readonly relativeGap?: number | undefined;
}
