import { bisect } from '../numerics/bisect.ts';
import { gaussLegendre } from '../numerics/gauss-legendre.ts';
import type { Panel, TabulatedLoss } from './table.ts';

/** The same step `count` times: its law, and that again as quadrature nodes: those of the panels, then the atoms. */
export interface RepeatedLoss {
  readonly table: TabulatedLoss;
  readonly count: number;
  readonly losses: Float64Array;
  readonly weights: Float64Array;
  readonly logWeights: Float64Array;
  /** Whether the masses and the infinite loss are a whole probability, not a piece of one. */
  readonly isWhole: boolean;
}

/** log E_P[exp(z·loss)] with its first two derivatives in z. */
export interface Cumulant {
  readonly value: number;
  readonly slope: number;
  readonly curvature: number;
}

const rule = gaussLegendre(8);
/** Nodes that a panel has among those of its step. */
export const nodesPerPanel: number = rule.nodes.length;
const logRootTwoPi = Math.log(2 * Math.PI) / 2;

/** Value of a panel's polynomial at s in [-1, 1]. */
export function panelLoss({ coefficients }: Panel, s: number): number {
  let value = 0;
  for (let k = coefficients.length - 1; k >= 0; k -= 1) value = value * s + coefficients[k]!;
  return value;
}

/**
 * A tabulated step with the quadrature nodes of its loss.
 *
 * @example
 * ```ts
 * import { gaussianLaws } from 'accounting/laws/gaussian.ts';
 * import { tabulate } from 'accounting/laws/table.ts';
 * const { dominating } = gaussianLaws({ kind: 'gaussian', noiseMultiplier: 1 }, 'add-or-remove');
 * const step = repeatedLoss(tabulate(dominating.remove, -80), 5);
 * cumulantAt([step], 2).value; // ~15.00000
 * ```
 */
export function repeatedLoss(table: TabulatedLoss, count: number): RepeatedLoss {
  const inPanels = table.panels.length * nodesPerPanel;
  const losses = new Float64Array(inPanels + table.atoms.length);
  const logWeights = new Float64Array(losses.length);
  table.panels.forEach((panel, index) => {
    for (let node = 0; node < nodesPerPanel; node += 1) {
      const at = index * nodesPerPanel + node;
      const loss = panelLoss(panel, rule.nodes[node]!);
      const place = panel.centre + panel.radius * rule.nodes[node]!;
      losses[at] = loss;
      logWeights[at] =
        panel.curve.logDensity(place, loss) - logRootTwoPi + Math.log(panel.radius * rule.weights[node]!);
    }
  });
  table.atoms.forEach(({ loss, logMass }, index) => {
    losses[inPanels + index] = loss;
    logWeights[inPanels + index] = logMass;
  });
  return { table, count, losses, weights: logWeights.map(Math.exp), logWeights, isWhole: true };
}

/** Cumulant of the whole composition at one z. */
export function cumulantAt(parts: readonly RepeatedLoss[], z: number): Cumulant {
  const total = { value: 0, slope: 0, curvature: 0 };
  for (const part of parts) {
    const { value, slope, curvature } = stepCumulant(part, z);
    total.value += part.count * value;
    total.slope += part.count * slope;
    total.curvature += part.count * curvature;
  }
  return total;
}

/**
 * Cumulant of one step at one z.
 *
 * Where all exponents are small, exp(z·loss) - 1 is averaged instead, so that nothing cancels for tiny losses.
 */
export function stepCumulant({ losses, weights, logWeights, isWhole }: RepeatedLoss, z: number): Cumulant {
  let most = -Infinity;
  for (let k = 0; k < losses.length; k += 1) most = Math.max(most, logWeights[k]! + z * losses[k]!);
  // Around 0 nothing is scaled, so that 1 can be taken away without loss.
  if (isWhole && most < 0 && most > -600) most = 0;
  let mass = 0;
  let excess = 0;
  let first = 0;
  let second = 0;
  for (let k = 0; k < losses.length; k += 1) {
    const loss = losses[k]!;
    const exponent = z * loss;
    const weight = Math.exp(logWeights[k]! + exponent - most);
    if (most === 0)
      excess += Math.abs(exponent) < 1 ? weights[k]! * Math.expm1(exponent) : weight - weights[k]!;
    mass += weight;
    first += weight * loss;
    second += weight * loss * loss;
  }
  const slope = first / mass;
  const curvature = Math.max(0, second / mass - slope * slope);
  // Far below 1 nothing is gained by taking 1 away, and all digits are lost.
  const isNearOne = isWhole && most === 0 && excess > -0.5;
  return { value: isNearOne ? Math.log1p(excess) : most + Math.log(mass), slope, curvature };
}

/** Where the contour integral for δ(ε) has its saddle point, and what the saddle-point approximation says there. */
export interface Saddle {
  readonly tilt: number;
  readonly epsilon: number;
  readonly logDelta: number;
}

/**
 * ε and δ that belong to a tilt by the saddle-point approximation (Alghamdi et al., ICML 2023): a guess to choose a grid by,
 * never part of an answer.
 */
export function saddleAt(parts: readonly RepeatedLoss[], tilt: number): Saddle {
  const { value, slope, curvature } = cumulantAt(parts, tilt);
  const epsilon = slope - 1 / tilt - 1 / (1 + tilt);
  const spread = curvature + 1 / (tilt * tilt) + 1 / ((1 + tilt) * (1 + tilt));
  const logDelta =
    value - tilt * epsilon - Math.log(tilt) - Math.log1p(tilt) - Math.log(2 * Math.PI * spread) / 2;
  return { tilt, epsilon, logDelta };
}

/** The saddle for δ, or for ε = 0 where the approximation says that δ needs no ε. */
export function saddleForDelta(parts: readonly RepeatedLoss[], logDelta: number): Saddle {
  const found = searchTilt(parts, saddle => saddle.logDelta < logDelta);
  return found.epsilon >= 0 ? found : saddleForEpsilon(parts, 0);
}

/** The saddle for ε. */
export function saddleForEpsilon(parts: readonly RepeatedLoss[], epsilon: number): Saddle {
  return searchTilt(parts, saddle => saddle.epsilon > epsilon);
}

/** Bisection in the logarithm; both ε and -log δ grow with the tilt. */
function searchTilt(parts: readonly RepeatedLoss[], isBeyond: (saddle: Saddle) => boolean): Saddle {
  const beyond = (log: number): boolean => isBeyond(saddleAt(parts, Math.exp(log)));
  return saddleAt(parts, Math.exp(bisect(Math.log(1e-9), Math.log(1e15), beyond, { width: 1e-3 }).inner));
}
