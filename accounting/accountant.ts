import type { DpEvent, Neighbours } from './event.ts';

/** Certified bounds on one privacy parameter: the truth lies in [lower, upper]. Infinity is allowed, NaN never. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** What an accountant answers: an upper bound always, a lower one where it can prove one. */
export interface Bound {
  readonly lower?: number;
  readonly upper: number;
  /** How the bound was got and how wide its error is, for the statement ("order 12.3", "grid 1e-4, tail mass 1e-20"). */
  readonly detail: string;
}

/** Turns an event into a guarantee. Accountants know nothing of plans or users. */
export interface Accountant {
  readonly name: 'rdp' | 'pld';
  /** The part of the event that this accountant can't interpret under these neighbours, or undefined where it can. */
  unsupported(event: DpEvent, neighbours: Neighbours): string | undefined;
  /** ε at δ. Throws `UNSUPPORTED_EVENT`, naming the offending part. */
  epsilon(event: DpEvent, options: { delta: number; neighbours: Neighbours }): Bound;
  /** δ at ε. */
  delta(event: DpEvent, options: { epsilon: number; neighbours: Neighbours }): Bound;
}
