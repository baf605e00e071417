import type { Neighbours } from '../event.ts';
import type { LossCurve } from './loss-curve.ts';

/** Probability `exp(logMass)` under P of a privacy loss of exactly `loss` nats. */
export interface Atom {
  readonly loss: number;
  readonly logMass: number;
}

/**
 * The law of a privacy loss log(dP/dQ) under P: stretches of densities, atoms, and what is lost for good.
 * All masses together are 1.
 */
export interface LossLaw {
  readonly curves: readonly LossCurve[];
  readonly atoms: readonly Atom[];
  /** Mass of an infinite loss: it adds to every δ. */
  readonly infinite: number;
  /** No finite loss exceeds this; Infinity where there is no limit. */
  readonly highest: number;
}

/** A law for each direction: P belongs to the larger table in `remove`, to the smaller one in `add`. */
export interface DirectedLaws {
  readonly remove: LossLaw;
  readonly add: LossLaw;
}

/**
 * What is known of a mechanism under a neighbouring relation.
 *
 * Dominating laws have a δ at least as large as that of any two neighbouring tables, so bounds from above come from them;
 * attained laws belong to two actual tables or to less, so bounds from below come from them. Where one is missing there is no bound.
 */
export interface EventLaws {
  readonly dominating?: DirectedLaws;
  readonly attained?: DirectedLaws;
}

/** Laws of one kind of basic event; undefined where the relation has no meaning for it or nothing is proven. */
export type LawMaker<Event> = (event: Event, neighbours: Neighbours) => EventLaws | undefined;

/** Laws that a pair of tables attains and no other exceeds. */
export function tight(remove: LossLaw, add: LossLaw): EventLaws {
  const laws = { remove, add };
  return { dominating: laws, attained: laws };
}

/** A law of atoms alone; atoms without mass are left out. */
export function discreteLaw(atoms: readonly Atom[], infinite = 0): LossLaw {
  const kept = atoms.filter(({ logMass }) => logMass > -Infinity);
  const highest = kept.reduce((most, { loss }) => Math.max(most, loss), -Infinity);
  return { curves: [], atoms: kept, infinite, highest };
}
