import { panelLoss, type RepeatedLoss } from '../laws/cumulants.ts';
import type { Panel } from '../laws/table.ts';
import { gaussLegendre } from '../numerics/gauss-legendre.ts';

/** What is done with every loss of a tilted law and its mass. */
export type MassVisitor = (loss: number, mass: number) => void;

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
  for (const { loss, logMass } of atoms) visit(loss, Math.exp(logMass + tilt * loss - logScale));
  return leftOut;
}

export const quadratureError = 2e-15;

/** Bound on the log of a panel's tilted mass: the largest density times the width. */
function heaviest({ curve, centre, radius }: Panel, tilt: number): number {
  // The density changes by a factor of at most about e to each side of the centre.
  const loss = curve.loss(centre + radius);
  const middle = curve.loss(centre);
  return curve.logDensity(centre, middle) + 2 + tilt * Math.max(loss, middle) + Math.log(2 * radius);
}

function visitPanel(
  panel: Panel,
  { tilt, logScale, highest }: { readonly tilt: number; readonly logScale: number; readonly highest: number },
  visit: MassVisitor,
): void {
  const rise = panelLoss(panel, 1) - panelLoss(panel, -1);
  const pieces = Math.ceil((rise * (highest + tilt) + 2) / (2 * longestPhase));
  const { curve, centre, radius } = panel;
  const scale = Math.log(radius / pieces) - logRootTwoPi - logScale;
  for (let piece = 0; piece < pieces; piece += 1) {
    const middle = (2 * piece + 1) / pieces - 1;
    for (let node = 0; node < rule.nodes.length; node += 1) {
      const s = middle + rule.nodes[node]! / pieces;
      const loss = panelLoss(panel, s);
      const log = curve.logDensity(centre + radius * s, loss) + tilt * loss + scale;
      visit(loss, Math.exp(log) * rule.weights[node]!);
    }
  }
}
