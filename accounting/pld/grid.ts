import { gaussLegendre, type QuadratureRule } from '../numerics/gauss-legendre.ts';
import { nodesPerPanel, panelLoss, type RepeatedLoss } from '../laws/cumulants.ts';
import type { Atom } from '../laws/law.ts';
import type { Panel } from '../laws/table.ts';
import type { LossWindow } from './window.ts';

/** The loss of one step on a grid, tilted and normalised, laid cyclically over the window. */
export interface GridLoss {
  /** masses[i mod size] belongs to loss i × spacing and sums to 1. */
  readonly masses: Float64Array;
  /** log of what the tilted masses summed to before they were normalised. */
  readonly logMass: number;
  /** Relative error of every mass: quadrature, exponentials. */
  readonly relativeError: number;
  /** Bound on Σ |error| of the masses: places of losses in their cells, shares of a cell, panels left out. */
  readonly placementError: number;
}

/** How a grid is laid. */
export interface GridOptions {
  readonly window: LossWindow;
  readonly tilt: number;
  /** log of about what the tilted masses sum to. */
  readonly logScale: number;
}

const [rule2, rule3, rule5, rule10] = [
  gaussLegendre(2),
  gaussLegendre(3),
  gaussLegendre(5),
  gaussLegendre(10),
];

/** The rule that is right to about 1e-14 on a piece of this width, in units of the panel's radius. */
function ruleFor(width: number): QuadratureRule {
  if (width < 1e-3) return rule2;
  if (width < 0.026) return rule3;
  return width < 0.35 ? rule5 : rule10;
}

/** Share of the tilted law, over all steps, that panels may lose because it isn't worth its cells. */
const lightShare = 1e-13;

/** Rounding of a loss, relative to the size of the loss and of its change within a panel. */
const lossError = 4e-15;

interface Deposit extends GridOptions {
  readonly step: RepeatedLoss;
  readonly masses: Float64Array;
  /** exp(tilt × spacing), what a mass gains by one cell. */
  readonly gain: number;
  readonly shrink: number;
  /** Index of the grid point at or below the loss reached so far. */
  cell: number;
  placement: number;
  largestExponent: number;
}

/**
 * One step on the grid by connecting the dots (Doroshenko et al., arXiv 2207.04380): each loss between two grid points is
 * split between them so that its masses under P and under Q stay what they are. The result dominates the step.
 *
 * The masses are integrals of positive functions over the cells, so none is a difference of large numbers.
 * P outside the table is left out; its mass is `table.outside`.
 */
export function gridLoss(step: RepeatedLoss, options: GridOptions): GridLoss {
  const { spacing, size } = options.window;
  const { panels } = step.table;
  const deposit: Deposit = {
    ...options,
    step,
    masses: new Float64Array(size),
    gain: Math.exp(options.tilt * spacing),
    shrink: -Math.expm1(-spacing),
    cell: 0,
    placement: 0,
    largestExponent: 0,
  };
  const light = lightPanels(step, options);
  panels.forEach((panel, index) => {
    if (light.has(index)) return;
    const before = panels[index - 1];
    const goesOn = before?.curve === panel.curve && !light.has(index - 1);
    if (!goesOn) deposit.cell = Math.floor(panelLoss(panel, -1) / spacing);
    depositPanel(deposit, panel);
  });
  for (const atom of step.table.atoms) depositAtom(deposit, atom);
  const { masses, placement, largestExponent } = deposit;
  const mass = masses.reduce((sum, value) => sum + value, 0);
  for (let index = 0; index < size; index += 1) masses[index] = masses[index]! / mass;
  return {
    masses,
    logMass: Math.log(mass) + options.logScale,
    relativeError: 4e-13 + largestExponent * 2 ** -51,
    placementError: (2 * placement * lossError) / (mass * spacing) + (2 * lightShare) / step.count + 2 ** -50,
  };
}

/** Panels whose tilted mass is too small to matter: the grid need not reach to them. */
function lightPanels(
  { table, losses, logWeights, count }: RepeatedLoss,
  { tilt, logScale }: GridOptions,
): Set<number> {
  const most = lightShare / (count * table.panels.length);
  const massOf = (index: number): number => {
    let mass = 0;
    for (let node = index * nodesPerPanel; node < (index + 1) * nodesPerPanel; node += 1) {
      mass += Math.exp(logWeights[node]! + tilt * losses[node]! - logScale);
    }
    return mass;
  };
  return new Set(table.panels.map((_, index) => index).filter(index => massOf(index) < most));
}

/** Cuts a panel where the loss crosses grid points and deposits each piece in its cell. */
function depositPanel(deposit: Deposit, panel: Panel): void {
  const { spacing } = deposit.window;
  const high = panelLoss(panel, 1);
  const { coefficients, centre, radius } = panel;
  const size =
    Math.abs(coefficients[0]!) + Math.abs(coefficients[1]!) * (2 + (1 + Math.abs(centre)) / radius);
  let from = -1;
  let mass = 0;
  for (let target = (deposit.cell + 1) * spacing; target < high; target = (deposit.cell + 1) * spacing) {
    const to = solvePanel(panel, target, from);
    mass += depositPiece(deposit, panel, from, to);
    from = to;
    deposit.cell += 1;
  }
  mass += depositPiece(deposit, panel, from, 1);
  deposit.placement += mass * size;
}

/** An atom is split like any other loss; one that lies on a grid point up to rounding stays there whole. */
function depositAtom(deposit: Deposit, { loss, logMass }: Atom): void {
  const { window, tilt, logScale, masses, shrink } = deposit;
  const mask = window.size - 1;
  const mass = Math.exp(logMass + tilt * loss - logScale);
  const nearest = Math.round(loss / window.spacing);
  deposit.placement += mass * Math.abs(loss);
  if (Math.abs(loss - nearest * window.spacing) <= lossError * Math.abs(loss)) {
    masses[nearest & mask] = masses[nearest & mask]! + mass;
    return;
  }
  const cell = Math.floor(loss / window.spacing);
  const walked = loss - cell * window.spacing;
  const share = -Math.expm1(-walked) / shrink;
  const [left, right] = [cell & mask, (cell + 1) & mask];
  masses[left] = masses[left]! + mass * (1 - share) * Math.exp(-tilt * walked);
  masses[right] = masses[right]! + mass * share * Math.exp(tilt * (window.spacing - walked));
}

/** The s >= from in the panel at which the loss is `target`, by Newton's iteration kept inside its bracket. */
function solvePanel({ coefficients }: Panel, target: number, from: number): number {
  let low = from;
  let high = 1;
  let s = from;
  for (let round = 0; round < 60; round += 1) {
    let value = 0;
    let slope = 0;
    for (let k = coefficients.length - 1; k >= 0; k -= 1) {
      slope = slope * s + value;
      value = value * s + coefficients[k]!;
    }
    if (value < target) low = s;
    else high = s;
    const guess = s - (value - target) / slope;
    const next = guess >= low && guess <= high ? guess : (low + high) / 2;
    // The error left by a Newton step is of second order, so a step of 1e-4 of what was walked is the last.
    if (Math.abs(next - s) <= 1e-4 * (next - from)) return next;
    s = next;
  }
  return s;
}

function depositPiece(deposit: Deposit, panel: Panel, from: number, to: number): number {
  const half = (to - from) / 2;
  const { nodes, weights } = ruleFor(2 * half);
  const { window, tilt, logScale, masses, cell } = deposit;
  const floor = cell * window.spacing;
  const base = tilt * floor - logScale;
  let left = 0;
  let right = 0;
  for (let node = 0; node < nodes.length; node += 1) {
    const s = from + half * (1 + nodes[node]!);
    const loss = panelLoss(panel, s);
    const place = panel.centre + panel.radius * s;
    const mass = Math.exp(panel.curve.logDensity(place, loss) + base) * weights[node]!;
    const share = -Math.expm1(floor - loss) / deposit.shrink;
    left += mass * (1 - share);
    right += mass * share;
  }
  const scale = (half * panel.radius) / Math.sqrt(2 * Math.PI);
  const mask = window.size - 1;
  masses[cell & mask] = masses[cell & mask]! + left * scale;
  masses[(cell + 1) & mask] = masses[(cell + 1) & mask]! + right * scale * deposit.gain;
  if (left + right > 1e-30) deposit.largestExponent = Math.max(deposit.largestExponent, Math.abs(base));
  return (left + right) * scale;
}
