import type { Bound } from '../accountant.ts';
import { minimise } from '../numerics/minimise.ts';

/** Rényi differential privacy as a function: order > 1 in, ε in nats out, an upper bound, never NaN. */
export type RenyiCurve = (order: number) => number;

/**
 * The least ε that an RDP curve gives at `delta`, never below 0.
 *
 * Canonne, Kamath, Steinke (arXiv 2004.00010), Proposition 12, at the best real order.
 *
 * @param delta - below 1; at 0 or less the answer is Infinity
 * @example
 * ```ts
 * epsilonOfCurve(order => order / 2, 1e-6).upper; // ~5.2215
 * ```
 */
export function epsilonOfCurve(curve: RenyiCurve, delta: number): Bound {
  if (!(delta > 0)) return { upper: Infinity, detail: 'no delta is left' };
  const best = minimise(logExcess => {
    const { order, excess } = orderAt(logExcess);
    if (excess === 0) return Infinity;
    return curve(order) - Math.log1p(1 / excess) - (Math.log(delta) + Math.log(order)) / excess;
  });
  return { upper: Math.max(0, best.value * raise), detail: orderDetail(best.at) };
}

/**
 * The least δ that an RDP curve gives at `epsilon`, at most 1.
 *
 * @param epsilon - >= 0
 * @example
 * ```ts
 * deltaOfCurve(order => order / 2, 5.2215).upper; // ~1.00e-6
 * ```
 */
export function deltaOfCurve(curve: RenyiCurve, epsilon: number): Bound {
  const best = minimise(logExcess => {
    const { order, excess } = orderAt(logExcess);
    if (excess === 0) return 0;
    return excess * (curve(order) - epsilon - Math.log1p(1 / excess)) - Math.log(order);
  });
  const logDelta = best.value + (raise - 1) * (1 + Math.abs(best.value));
  return { upper: Math.min(1, Math.exp(logDelta)), detail: orderDetail(best.at) };
}

// Far more than the rounding of the two conversions.
const raise = 1 + 1e-12;

/**
 * The order as a number and its exact distance from 1.
 *
 * @example
 * ```ts
 * orderAt(0).order; // 2
 * ```
 */
export function orderAt(logExcess: number): { order: number; excess: number } {
  const order = 1 + Math.exp(logExcess);
  return { order, excess: order - 1 };
}

function orderDetail(logExcess: number): string {
  return `Rényi order ${(1 + Math.exp(logExcess)).toPrecision(4)}`;
}
