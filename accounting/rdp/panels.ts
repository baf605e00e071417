import { gaussLegendre } from '../numerics/gauss-legendre.ts';
import type { LogSum } from './convex-part.ts';

/** A positive integrand by its logarithm, with what is known of it between two places. */
export interface PanelRule {
  logIntegrand(place: number): number;
  /** log of an upper bound of the integral. */
  logBound(from: number, to: number): number;
  /** A width at which 16 nodes are right to rounding, valid on all of the stretch. */
  longest(from: number, to: number): number;
}

const { nodes, weights } = gaussLegendre(16);

/**
 * Adds a positive integral to `sum`: by halves, until a stretch is negligible, when its bound is added instead, or short
 * enough for Gauss-Legendre quadrature.
 *
 * @param logFloor - a stretch whose bound is below exp(logFloor) is negligible
 * @example
 * ```ts
 * import { LogSum } from 'accounting/rdp/convex-part.ts';
 * const sum = new LogSum();
 * const rule = { logIntegrand: x => -x, logBound: (a, b) => Math.log(b - a) - a, longest: () => 2 };
 * addIntegral(sum, rule, { from: 0, to: 1, logFloor: -60 });
 * sum.value; // ~-0.45867514539
 * ```
 */
export function addIntegral(
  sum: LogSum,
  rule: PanelRule,
  stretch: { readonly from: number; readonly to: number; readonly logFloor: number },
): void {
  const { from, to, logFloor } = stretch;
  const logBound = rule.logBound(from, to);
  if (!(logBound > logFloor)) return sum.add(logBound);
  const middle = from + (to - from) / 2;
  if (to - from <= rule.longest(from, to) || middle === from || middle === to)
    return addPanel(sum, rule, middle, (to - from) / 2);
  addIntegral(sum, rule, { from, to: middle, logFloor });
  addIntegral(sum, rule, { from: middle, to, logFloor });
}

function addPanel(sum: LogSum, rule: PanelRule, centre: number, radius: number): void {
  const logRadius = Math.log(radius);
  for (let index = 0; index < nodes.length; index += 1)
    sum.add(rule.logIntegrand(centre + radius * nodes[index]!) + logRadius + Math.log(weights[index]!));
}
