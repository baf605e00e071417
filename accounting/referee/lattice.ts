import type { BasicEvent, Neighbours } from '../event.ts';
import { big, one, sum, two, zero, type Big } from './big.ts';
import type { Profile } from './single.ts';

/** Losses first, first + spacing, … with their masses, and the mass of an infinite loss. */
interface Lattice {
  readonly first: Big;
  readonly spacing: Big;
  readonly masses: readonly Big[];
  readonly infinite: Big;
}

/** exp(loss), descending, and its mass; what is left to 1 has an infinite loss. */
export interface AtomLaw {
  readonly atoms: readonly { readonly ratio: Big; readonly mass: Big }[];
  readonly infinite: Big;
}

/** The law of a step that is not there. */
export const nothing: AtomLaw = { atoms: [{ ratio: one, mass: one }], infinite: zero };

// Fixed-point digits of composed masses, and how many atoms are still composed.
const bits = 440n;
const scale = two.pow(Number(bits));
const slot = 222;
const mostAtoms = 40_000;

/**
 * The law of a discrete loss after `count` steps, exact but for masses below 1e-120; or undefined where the event has none under the
 * relation or too many atoms.
 *
 * The same for both directions: all these laws are symmetric.
 *
 * - Discrete Gaussian: every whole number is an atom; replace doubles the sensitivity.
 * - Randomised response: only under replace.
 * - Guarantee: an infinite loss with probability δ, else ±ε with odds e^ε (Kairouz, Oh and Viswanath, arXiv 1311.0776).
 *
 * @example
 * ```ts
 * const law = atomsOf({ kind: 'guarantee', epsilon: 1, delta: 0 }, { count: 2, neighbours: 'replace' });
 * law.atoms.map(({ ratio }) => Math.round(ratio.ln().toNumber())); // [2, 0, -2]
 * ```
 */
export function atomsOf(
  event: BasicEvent,
  { count, neighbours }: { count: number; neighbours: Neighbours },
): AtomLaw | undefined {
  const single = latticeOf(event, neighbours);
  if (single === undefined) return undefined;
  const masses = count === 1 ? { values: single.masses, skipped: 0 } : power(single.masses, count);
  if (masses === undefined) return undefined;
  const first = single.first.times(count).plus(single.spacing.times(masses.skipped));
  const step = single.spacing.exp();
  let ratio = first.exp();
  const atoms = masses.values.map(mass => {
    const atom = { ratio, mass };
    ratio = ratio.times(step);
    return atom;
  });
  return { atoms: atoms.reverse(), infinite: one.minus(one.minus(single.infinite).pow(count)) };
}

function latticeOf(event: BasicEvent, neighbours: Neighbours): Lattice | undefined {
  if (event.kind === 'guarantee') return guaranteeLattice(event);
  if (event.kind === 'randomised-response' && neighbours === 'replace') return responseLattice(event);
  if (event.kind === 'discrete-gaussian')
    return gaussianLattice({
      scale: event.scale,
      sensitivity: event.sensitivity * (neighbours === 'replace' ? 2 : 1),
    });
  return undefined;
}

function guaranteeLattice({ epsilon, delta }: { epsilon: number; delta: number }): Lattice {
  const loss = big(epsilon);
  const [odds, infinite] = [loss.exp(), big(delta)];
  const lower = one.minus(infinite).div(odds.plus(one));
  return { first: loss.neg(), spacing: loss.times(two), masses: [lower, lower.times(odds)], infinite };
}

function responseLattice(event: { randomProbability: number; buckets: number }): Lattice {
  const random = big(event.randomProbability);
  if (random.isZero()) return { first: zero, spacing: zero, masses: [zero], infinite: one };
  const other = random.div(event.buckets);
  const truth = one.minus(random).plus(other);
  const loss = truth.div(other).ln();
  const masses = [other, other.times(event.buckets - 2), truth];
  return { first: loss.neg(), spacing: loss, masses, infinite: zero };
}

function gaussianLattice(noise: { scale: number; sensitivity: number }): Lattice | undefined {
  const reach = Math.ceil(noise.scale * Math.sqrt(2 * 130 * Math.LN10));
  if (2 * reach > mostAtoms) return undefined;
  const variance = big(noise.scale).pow(2);
  const fall = one.div(variance).neg().exp();
  const side = [one];
  let ratio = fall.sqrt();
  for (let k = 0; k < reach; k += 1, ratio = ratio.times(fall)) side.push(side[k]!.times(ratio));
  const all = [...side.slice(1).reverse(), ...side];
  const total = sum(all);
  const spacing = big(noise.sensitivity).div(variance);
  const first = spacing.times(noise.sensitivity).div(two).minus(spacing.times(reach));
  return { first, spacing, masses: all.map(mass => mass.div(total)), infinite: zero };
}

interface Polynomial {
  readonly values: readonly bigint[];
  /** Vanishing coefficients left out at the low end. */
  readonly skipped: number;
}

function power(masses: readonly Big[], count: number): { values: Big[]; skipped: number } | undefined {
  let square = trimmed(
    masses.map(mass => BigInt(mass.times(scale).toFixed(0))),
    0,
  );
  let result: Polynomial = { values: [1n << bits], skipped: 0 };
  for (let left = count; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = product(result, square);
    if (left > 1) square = product(square, square);
    if (Math.max(square.values.length, result.values.length) > mostAtoms) return undefined;
  }
  return {
    values: result.values.map(value => big(value.toString()).div(scale)),
    skipped: result.skipped,
  };
}

/** One multiplication of long integers (Kronecker's substitution); every coefficient has a slot too wide to spill. */
function product(a: Polynomial, b: Polynomial): Polynomial {
  const length = a.values.length + b.values.length - 1;
  const text = (packed(a) * packed(b)).toString(16).padStart(length * slot, '0');
  const values = Array.from({ length }, (_, k) => {
    const end = text.length - k * slot;
    return BigInt(`0x${text.slice(end - slot, end)}`) >> bits;
  });
  return trimmed(values, a.skipped + b.skipped);
}

function packed({ values }: Polynomial): bigint {
  const slots = values.map(value => value.toString(16).padStart(slot, '0'));
  return BigInt(`0x${slots.reverse().join('')}`);
}

function trimmed(values: readonly bigint[], skipped: number): Polynomial {
  const from = values.findIndex(value => value > 0n);
  const to = values.findLastIndex(value => value > 0n);
  return from < 0
    ? { values: [0n], skipped }
    : { values: values.slice(from, to + 1), skipped: skipped + from };
}

/**
 * The law of both, one after the other; undefined where it would have too many atoms.
 *
 * @example
 * ```ts
 * combine(nothing, nothing).atoms.length; // 1
 * ```
 */
export function combine(a: AtomLaw, b: AtomLaw): AtomLaw | undefined {
  if (a.atoms.length * b.atoms.length > mostAtoms) return undefined;
  const atoms = a.atoms.flatMap(left =>
    b.atoms.map(right => ({
      ratio: left.ratio.times(right.ratio),
      mass: left.mass.times(right.mass),
    })),
  );
  return {
    atoms: atoms.sort((left, right) => right.ratio.cmp(left.ratio)),
    infinite: one.minus(one.minus(a.infinite).times(one.minus(b.infinite))),
  };
}

/**
 * Privacy profile of a discrete loss: masses beyond ε, less e^ε times what they are under the other table.
 *
 * @example
 * ```ts
 * import { big } from 'accounting/referee/big.ts';
 * atomProfile(nothing)(big(0.25)).toNumber(); // 0.75
 * ```
 */
export function atomProfile({ atoms, infinite }: AtomLaw): Profile {
  let [ours, theirs] = [infinite, zero];
  const above = [{ ours, theirs }];
  for (const { ratio, mass } of atoms) {
    ours = ours.plus(mass);
    theirs = theirs.plus(mass.div(ratio));
    above.push({ ours, theirs });
  }
  return ratio => {
    const end = above[countAbove(atoms, ratio)]!;
    return end.ours.minus(ratio.times(end.theirs));
  };
}

function countAbove(atoms: AtomLaw['atoms'], ratio: Big): number {
  let [least, most] = [0, atoms.length];
  while (least < most) {
    const middle = (least + most) >> 1;
    if (atoms[middle]!.ratio.gt(ratio)) least = middle + 1;
    else most = middle;
  }
  return least;
}
