import { bisect } from '../numerics/bisect.ts';
import { chebyshevCoefficients, powersOf } from '../numerics/chebyshev.ts';
import type { Atom, LossLaw } from './law.ts';
import type { LossCurve } from './loss-curve.ts';

/** A stretch of the line on which the loss is a polynomial, in powers of (place - centre) / radius. */
export interface Panel {
  readonly curve: LossCurve;
  readonly centre: number;
  readonly radius: number;
  readonly coefficients: Float64Array;
}

/** A law between two places on each of its curves, in stretches short enough for polynomials and for quadrature. */
export interface TabulatedLoss {
  readonly panels: readonly Panel[];
  readonly atoms: readonly Atom[];
  /** At most this much of P lies in the tails that were cut. */
  readonly outside: number;
  readonly infinite: number;
  readonly highest: number;
}

const degree = 13;
const nodes = Float64Array.from({ length: degree + 1 }, (_, j) =>
  Math.cos((Math.PI * (j + 0.5)) / (degree + 1)),
);

/**
 * A law whose tails are cut where they weigh at most exp(logTail) each, as polynomials of degree 13 that are right to rounding.
 *
 * @param logTail - natural logarithm of the mass that may be left out on each side of each curve
 * @example
 * ```ts
 * import { gaussianLaws } from 'accounting/laws/gaussian.ts';
 * const { dominating } = gaussianLaws({ kind: 'gaussian', noiseMultiplier: 1 }, 'add-or-remove');
 * tabulate(dominating.add, Math.log(1e-20)).outside < 2.1e-20; // true
 * ```
 */
export function tabulate({ curves, atoms, infinite, highest }: LossLaw, logTail: number): TabulatedLoss {
  const panels: Panel[] = [];
  let outside = 0;
  for (const curve of curves) {
    const { first, last } = ends(curve, logTail);
    const count = Math.ceil(last - first);
    const width = (last - first) / count;
    for (let index = 0; index < count; index += 1)
      addPanels(curve, first + width * (index + 0.5), width / 2, panels);
    outside += Math.exp(curve.logBelow(first)) + Math.exp(curve.logAbove(last));
  }
  // Atoms are many where tails are long; those of the tails weigh nothing.
  const lightest = logTail - Math.log(atoms.length + 1);
  const kept = atoms.filter(({ logMass }) => logMass >= lightest);
  if (kept.length < atoms.length)
    for (const { logMass } of atoms) outside += logMass < lightest ? Math.exp(logMass) : 0;
  return { panels, atoms: kept, outside: outside * (1 + 1e-9), infinite, highest };
}

/** Between which places a table reaches; nowhere where the curve weighs less than its tails may. */
function ends(curve: LossCurve, logTail: number): { first: number; last: number } {
  const low = -tailPlace(x => curve.logBelow(-x), logTail, curve.steepest);
  const high = tailPlace(x => curve.logAbove(x), logTail, curve.steepest);
  const first = Math.max(low, curve.from ?? -Infinity);
  return { first, last: Math.max(first, Math.min(high, curve.to ?? Infinity)) };
}

/**
 * Nats between the ends of the longest table that `tabulate` would make; it has about one panel a nat.
 *
 * @example
 * ```ts
 * import { gaussianLaws } from 'accounting/laws/gaussian.ts';
 * const { dominating } = gaussianLaws({ kind: 'gaussian', noiseMultiplier: 0.001 }, 'add-or-remove');
 * lossRange(dominating.remove, Math.log(1e-20)) > 10_000; // true
 * ```
 */
export function lossRange({ curves }: LossLaw, logTail: number): number {
  return curves.reduce((widest, curve) => {
    const { first, last } = ends(curve, logTail);
    return Math.max(widest, curve.loss(last) - curve.loss(first));
  }, 0);
}

/** The least x, nearly, with logTailAt(x) <= logTail. */
function tailPlace(logTailAt: (x: number) => number, logTail: number, steepest: number): number {
  const reach = Math.sqrt(-2 * logTail) + steepest + 1;
  return bisect(-reach, reach, x => logTailAt(x) <= logTail, { width: 1e-3 }).outer;
}

function addPanels(curve: LossCurve, centre: number, radius: number, panels: Panel[]): void {
  const values = nodes.map(node => curve.loss(centre + radius * node));
  // Differences are transformed, so that rounding is relative to them where the loss is nearly flat.
  const middle = curve.loss(centre);
  const chebyshev = chebyshevCoefficients(values.map(value => value - middle));
  chebyshev[0] = chebyshev[0]! + middle;
  const steepness = 4 * Math.abs(chebyshev[1]!) * ((1 + Math.abs(centre)) / radius);
  if (radius < 2e-4 || (isSmooth(chebyshev, values, steepness) && isShort(centre, radius, chebyshev))) {
    panels.push({ curve, centre, radius, coefficients: powersOf(chebyshev) });
    return;
  }
  addPanels(curve, centre - radius / 2, radius / 2, panels);
  addPanels(curve, centre + radius / 2, radius / 2, panels);
}

/** @param steepness - what the rounding of a place makes of the loss, in units of rounding; no polynomial is better than that */
function isSmooth(chebyshev: Float64Array, values: Float64Array, steepness: number): boolean {
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), steepness);
  const [a, b] = [Math.abs(chebyshev[degree]!), Math.abs(chebyshev[degree - 1]!)];
  return Math.max(a, b / 16) <= 4e-16 * scale;
}

/** Whether the density changes by less than a factor of about e to each side, so that quadrature is right to rounding. */
function isShort(centre: number, radius: number, chebyshev: Float64Array): boolean {
  return Math.abs(centre) * radius + Math.abs(chebyshev[1]!) <= 1 && radius <= 0.5;
}
