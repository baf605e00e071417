import { panelLoss, stepCumulant, type RepeatedLoss } from './cumulants.ts';
import type { Panel } from './table.ts';
import { gaussLegendre } from '../numerics/gauss-legendre.ts';

/** What is done with every loss of a tilted law, its mass, and what its loss may be wrong by, in units of rounding. */
export type MassVisitor = (loss: number, mass: number, size: number) => void;

const rule = gaussLegendre(12);
const logRootTwoPi = Math.log(2 * Math.PI) / 2;
/** With a phase of this to each side the rule is right to 1e-15. */
const longestPhase = 3;

/** Tilted panels lighter than this share of their step, in all of its repetitions together, are left out. */
const lightShare = 1e-17;

/** Where and how finely a tilted law is wanted. */
export interface TiltOptions {
  readonly tilt: number;
  /** log of about what the tilted masses sum to. */
  readonly logScale: number;
  /** Largest |y| for which exp(iy·loss) will be summed. */
  readonly highest: number;
}

/** What the masses of a tilted law lack. */
export interface TiltErrors {
  /** Share of the tilted law that was left out because it isn't worth its nodes. */
  readonly leftOut: number;
  /** Bound on the error of any sum of mass·exp(iy·loss). */
  readonly quadrature: number;
}

/**
 * A step's tilted law as masses so dense that sums of mass·exp(iy·loss) are right for |y| <= `highest`.
 *
 * @example
 * ```ts
 * import { gaussianLaws } from 'accounting/laws/gaussian.ts';
 * import { repeatedLoss } from 'accounting/laws/cumulants.ts';
 * import { tabulate } from 'accounting/laws/table.ts';
 * const { dominating } = gaussianLaws({ kind: 'gaussian', noiseMultiplier: 1 }, 'add-or-remove');
 * const step = repeatedLoss(tabulate(dominating.remove, -80), 1);
 * let sum = 0;
 * visitTilted(step, { tilt: 2, logScale: 3, highest: 10 }, (loss, mass) => { sum += mass; });
 * sum; // ~1.0000000000000
 * ```
 */
export function visitTilted(step: RepeatedLoss, options: TiltOptions, visit: MassVisitor): TiltErrors {
  const { panels, atoms } = step.table;
  const { tilt, logScale } = options;
  let [leftOut, rough] = [0, 0];
  for (const panel of panels) {
    const most = heaviest(panel, tilt) - logScale;
    if (most < Math.log(lightShare / (step.count * panels.length))) leftOut += Math.exp(most);
    else rough += visitPanel(panel, options, visit);
  }
  for (const { loss, logMass } of atoms)
    visit(loss, Math.exp(logMass + tilt * loss - logScale), Math.abs(loss));
  return { leftOut, quadrature: quadratureError * rough };
}

/** Error of the rule relative to the mass of pieces whose phase is as long as it may be. */
const quadratureError = 2e-15;
/** A piece with half the phase has an error 2^24 times as small. */
const negligiblePhase = longestPhase / 2;

/** Bound on the log of a panel's tilted mass: the largest density times the width. */
function heaviest({ curve, centre, radius }: Panel, tilt: number): number {
  // The density changes by a factor of at most about e to each side of the centre.
  const middle = curve.loss(centre);
  const ends = [curve.loss(centre - radius), middle, curve.loss(centre + radius)];
  const steepest = Math.max(...ends.map(loss => tilt * loss));
  return curve.logDensity(centre, middle) + 2 + steepest + Math.log(2 * radius);
}

/**
 * log E exp(z·loss) of a composition by a quadrature that is fine enough for any z: what tail bounds are made of.
 * `cumulantAt` is cheaper and only good where exp(z·loss) changes little within a panel.
 *
 * @param side - on which side it may be wrong where z is so large that panels would need more than 1000 pieces: above, such a panel counts with
 *   its largest density; below, with the sum of 1000 pieces, which for an exponential is too small
 */
export function carefulCumulant(parts: readonly RepeatedLoss[], z: number, side: 'above' | 'below'): number {
  return parts.reduce((total, step) => {
    const logScale = stepCumulant(step, z).value;
    let mass = 0;
    const visit: MassVisitor = (_, share) => {
      mass += share;
    };
    const coarse = side === 'above' ? step.table.panels.filter(panel => isSteep(panel, z)) : [];
    const panels =
      coarse.length === 0 ? step.table.panels : step.table.panels.filter(panel => !isSteep(panel, z));
    const rest = { ...step, table: { ...step.table, panels } };
    const { leftOut } = visitTilted(rest, { tilt: z, logScale, highest: 0 }, visit);
    const bounds = coarse.reduce((sum, panel) => sum + Math.exp(heaviest(panel, z) - logScale), 0);
    return total + step.count * (logScale + Math.log(mass + leftOut + bounds));
  }, 0);
}

const mostPieces = 1000;

function isSteep(panel: Panel, z: number): boolean {
  return phaseOf(panel, Math.abs(z)) > mostPieces * longestPhase;
}

/** By how much the exponent may change to each side of a panel's centre. */
function phaseOf(panel: Panel, rate: number): number {
  return ((panelLoss(panel, 1) - panelLoss(panel, -1)) * rate + 2) / 2;
}

/** @returns the mass of the panel where the rule's error counts */
function visitPanel(panel: Panel, { tilt, logScale, highest }: TiltOptions, visit: MassVisitor): number {
  const phase = phaseOf(panel, highest + Math.abs(tilt));
  const most = highest === 0 ? mostPieces : Infinity;
  const pieces = Math.min(most, Math.ceil(phase / longestPhase));
  let total = 0;
  const { curve, centre, radius, coefficients } = panel;
  const size =
    Math.abs(coefficients[0]!) + Math.abs(coefficients[1]!) * (2 + (1 + Math.abs(centre)) / radius);
  const scale = Math.log(radius / pieces) - logRootTwoPi - logScale;
  for (let piece = 0; piece < pieces; piece += 1) {
    const middle = (2 * piece + 1) / pieces - 1;
    for (let node = 0; node < rule.nodes.length; node += 1) {
      const s = middle + rule.nodes[node]! / pieces;
      const loss = panelLoss(panel, s);
      const log = curve.logDensity(centre + radius * s, loss) + tilt * loss + scale;
      const mass = Math.exp(log) * rule.weights[node]!;
      total += mass;
      visit(loss, mass, size);
    }
  }
  return phase / pieces > negligiblePhase ? total : 0;
}
