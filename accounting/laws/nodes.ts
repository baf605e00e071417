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

/**
 * A step's tilted law as masses so dense that sums of mass·exp(iy·loss) are right to `quadratureError` for |y| <= `highest`.
 *
 * @param logScale - log of about what the tilted masses sum to
 * @returns the share of the tilted law that was left out because it isn't worth its nodes
 */
export function visitTilted(
  step: RepeatedLoss,
  { tilt, logScale, highest }: { readonly tilt: number; readonly logScale: number; readonly highest: number },
  visit: MassVisitor,
): number {
  const { panels, atoms } = step.table;
  let leftOut = 0;
  for (const panel of panels) {
    const most = heaviest(panel, tilt) - logScale;
    if (most < Math.log(lightShare / (step.count * panels.length))) leftOut += Math.exp(most);
    else visitPanel(panel, { tilt, logScale, highest }, visit);
  }
  for (const { loss, logMass } of atoms)
    visit(loss, Math.exp(logMass + tilt * loss - logScale), Math.abs(loss));
  return leftOut;
}

export const quadratureError = 2e-15;

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
 */
export function carefulCumulant(parts: readonly RepeatedLoss[], z: number): number {
  return parts.reduce((total, step) => {
    const logScale = stepCumulant(step, z).value;
    let mass = 0;
    const visit: MassVisitor = (_, share) => {
      mass += share;
    };
    const leftOut = visitTilted(step, { tilt: z, logScale, highest: 0 }, visit);
    return total + step.count * (logScale + Math.log(mass + leftOut));
  }, 0);
}

function visitPanel(
  panel: Panel,
  { tilt, logScale, highest }: { readonly tilt: number; readonly logScale: number; readonly highest: number },
  visit: MassVisitor,
): void {
  const rise = panelLoss(panel, 1) - panelLoss(panel, -1);
  const pieces = Math.ceil((rise * (highest + Math.abs(tilt)) + 2) / (2 * longestPhase));
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
      visit(loss, Math.exp(log) * rule.weights[node]!, size);
    }
  }
}
