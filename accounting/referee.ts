import { DpError } from './check.ts';
import type { BasicEvent, CountedEvent, DpEvent, Neighbours } from './event.ts';
import { big, enclosing, largest, one, sum, zero, type Big } from './referee/big.ts';
import { exactProfiles, type Accuracy, type Exact } from './referee/exact.ts';
import { divergences } from './referee/moments.ts';
import { solve } from './referee/solve.ts';

/** A number of the referee: the nearest double, and 20 digits of it (15 where it comes from quadrature). */
export interface Verdict {
  readonly value: number;
  readonly digits: string;
  readonly detail: string;
}

/** What the referee says of somebody's bounds on ε. */
export interface Check {
  /** Whether it knows the truth, only a bound from above, or nothing. */
  readonly method: 'exact' | 'rdp' | 'none';
  /** Its own bounds; `lower` only where it knows the truth. */
  readonly epsilon: { readonly lower?: number; readonly upper: number };
  /** exact: the truth is within; rdp: the lower bound is not above the referee's upper one; none: always, for nothing contradicts. */
  readonly agrees: boolean;
  readonly digits: string;
  readonly detail: string;
}

/** Bounds to be checked, and what they are bounds for. */
export interface CheckOptions {
  readonly delta: number;
  readonly neighbours: Neighbours;
  readonly epsilon: { readonly lower?: number; readonly upper: number };
}

interface DeltaOptions {
  readonly delta: number;
  readonly neighbours: Neighbours;
}

const mostOrder = 256;
const leastDelta = 1e-30;
const epsilonWidth = 1e-24;

/**
 * δ at ε in decimal arithmetic of 50 digits, by closed forms, exact sums and, for two steps, quadrature: a second opinion that
 * shares no line with the accountants.
 *
 * Numbers mean exactly their double (0.1 is 0.1000000000000000055…). Reference: Zhu, Dong and Wang (arXiv 2106.08567) for the pairs.
 *
 * @param event - one step, a small composition of discrete losses, any number of bare Gaussians, or two Gaussian steps
 * @param options - epsilon: in nats, >= 0
 * @returns the larger of both directions of the relation, right to the digits given but for what `detail` says is left out
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` for any other composition
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * refereeDelta(event, { epsilon: 1, neighbours: 'add-or-remove' }).digits; // '0.1269367375066439458'
 * ```
 */
export function refereeDelta(
  event: DpEvent,
  { epsilon, neighbours }: { epsilon: number; neighbours: Neighbours },
): Verdict {
  if (!(epsilon >= 0 && epsilon < 1e6)) throw invalid('epsilon', epsilon, 'a number from 0 to 1e6');
  const exact = exactly(event, neighbours);
  const ratio = big(epsilon).exp();
  const delta = largest(exact.profiles.map(profile => profile(ratio)));
  const found = verdict(delta, exact);
  const { relativeError, absoluteError } = exact;
  if (delta.times(relativeError).gte(absoluteError)) return found;
  return { ...found, detail: `${found.detail}; masses of ${absoluteError} are left out` };
}

/**
 * The least ε at δ, by secants and bisection on `refereeDelta`.
 *
 * @param options - delta: from 1e-30 to 1, both excluded
 * @returns Infinity where δ is less than the probability of an unbounded loss; right to the digits given
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` as `refereeDelta`
 * @example
 * ```ts
 * const event = { kind: 'laplace', noiseMultiplier: 1 } as const;
 * refereeEpsilon(event, { delta: 1e-3, neighbours: 'zero-out' }).value; // ~0.99799899933283
 * ```
 */
export function refereeEpsilon(event: DpEvent, { delta, neighbours }: DeltaOptions): Verdict {
  checkDelta(delta);
  const exact = exactly(event, neighbours);
  return verdict(epsilonOf(exact, { delta }), exact);
}

/**
 * Rényi divergence at a whole order: exact sums, and quadrature to 16 digits where there are none.
 *
 * @param options - order: whole, 2 to 256
 * @returns the larger of both directions, times the counts of a composition
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` where no formula is at hand or it takes too long
 * @example
 * ```ts
 * const event = { kind: 'poisson-subsampled-gaussian', noiseMultiplier: 1, samplingProbability: 0.01 } as const;
 * refereeRdp(event, { order: 8, neighbours: 'add-or-remove' }).value; // ~0.000893643907606
 * ```
 */
export function refereeRdp(
  event: DpEvent,
  { order, neighbours }: { order: number; neighbours: Neighbours },
): Verdict {
  if (!(Number.isInteger(order) && order >= 2 && order <= mostOrder))
    throw invalid('order', order, `a whole number from 2 to ${mostOrder}`);
  const curve = composedOrders(event, { neighbours, most: order });
  if ('reason' in curve) throw unsupported(curve.reason);
  const found = curve.orders[order - 2];
  if (found === undefined) throw unsupported(`order ${order} takes too long`);
  return verdict(found, { how: 'exact sums', relativeError: 1e-15 });
}

/**
 * An upper bound on ε from the whole orders 2 to 256 (Canonne, Kamath and Steinke, arXiv 2004.00010, Proposition 12).
 *
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT` where a part has no Rényi divergence here
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 2 } as const;
 * refereeUpper(event, { delta: 1e-9, neighbours: 'add-or-remove' }).value; // ~3.0582
 * ```
 */
export function refereeUpper(event: DpEvent, { delta, neighbours }: DeltaOptions): Verdict {
  checkDelta(delta);
  const bound = upperOf(event, { delta, neighbours });
  if ('reason' in bound) throw unsupported(bound.reason);
  return bound;
}

/**
 * Holds somebody's bounds on ε against the referee's own: the truth where it can be had, else an upper bound by RDP, else nothing.
 *
 * `agrees` proves the bounds right only with the method `exact`; with `rdp` it says that the lower bound is possible, and with
 * `none` that nothing was compared.
 *
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const options = { delta: 1e-6, neighbours: 'add-or-remove', epsilon: { lower: 4.88, upper: 4.89 } } as const;
 * checkWithReferee(event, options).agrees; // true
 * ```
 */
export function checkWithReferee(event: DpEvent, options: CheckOptions): Check {
  checkDelta(options.delta);
  const exact = exactProfiles(flattened(event), options.neighbours);
  let reason = 'reason' in exact ? exact.reason : '';
  try {
    if (!('reason' in exact)) return checkExact(exact, options);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    reason = error.message;
  }
  const bound = upperOf(event, options);
  if ('reason' in bound) return notChecked(`not checked: ${reason}; ${bound.reason}`);
  const { upper } = enclosing(big(bound.value));
  return {
    method: 'rdp',
    epsilon: { upper },
    agrees: (options.epsilon.lower ?? 0) <= upper,
    digits: bound.digits,
    detail: `only bounded from above, ${bound.detail}: ${reason}`,
  };
}

function checkExact(exact: Solved, { delta, epsilon }: CheckOptions): Check {
  const near = { lower: big(epsilon.lower ?? 0), upper: big(epsilon.upper) };
  const truth = epsilonOf(exact, { delta, near });
  const slack = truth.isFinite() ? truth.times(exact.relativeError + epsilonWidth) : zero;
  const isWithin = near.lower.lte(truth.plus(slack)) && near.upper.gte(truth.minus(slack));
  const { digits, detail } = verdict(truth, exact);
  return { method: 'exact', epsilon: enclosing(truth), agrees: isWithin, digits, detail };
}

function notChecked(detail: string): Check {
  return { method: 'none', epsilon: { upper: Infinity }, agrees: true, digits: '', detail };
}

type Solved = Exclude<Exact, { reason: string }>;

function exactly(event: DpEvent, neighbours: Neighbours): Solved {
  const exact = exactProfiles(flattened(event), neighbours);
  if ('reason' in exact) throw unsupported(exact.reason);
  return exact;
}

/** Another direction is only solved where it is the worse one. */
function epsilonOf(
  { profiles, relativeError }: Solved,
  options: { delta: number; near?: { lower: Big; upper: Big } },
): Big {
  const delta = big(options.delta);
  const width = Math.max(epsilonWidth, relativeError / 10);
  let worst: Big | undefined;
  for (const profile of profiles) {
    if (worst !== undefined && (!worst.isFinite() || profile(worst.exp()).lte(delta))) continue;
    worst = solve(profile, { delta, width, near: options.near });
  }
  return worst ?? zero;
}

function upperOf(event: DpEvent, options: DeltaOptions): Verdict | { reason: string } {
  const curve = composedOrders(event, { neighbours: options.neighbours, most: mostOrder });
  if ('reason' in curve) return curve;
  const logDelta = big(options.delta).ln();
  const bounds = curve.orders.map((divergence, index) => {
    const order = big(index + 2);
    const gain = one.minus(one.div(order)).ln();
    return divergence.plus(gain).minus(logDelta.plus(order.ln()).div(order.minus(1)));
  });
  const best = bounds.reduce((least, bound) => (bound.lt(least) ? bound : least));
  const detail = `by RDP at order ${bounds.indexOf(best) + 2}`;
  return { ...verdict(best.isNegative() ? zero : best, { how: detail, relativeError: 1e-15 }), detail };
}

function composedOrders(
  event: DpEvent,
  options: { neighbours: Neighbours; most: number },
): { orders: readonly Big[] } | { reason: string } {
  const totals: (readonly Big[])[] = [];
  for (const part of flattened(event)) {
    const found = divergences(part.event, options);
    if ('reason' in found) return found;
    totals.push(found.orders.map(order => order.times(part.count)));
  }
  const length = Math.min(...totals.map(orders => orders.length));
  return {
    orders: Array.from({ length }, (_, index) => sum(totals.map(orders => orders[index]!))),
  };
}

function verdict(value: Big, { how, relativeError }: Omit<Accuracy, 'absoluteError'>): Verdict {
  const count = relativeError < 1e-20 ? 20 : 15;
  return { value: value.toNumber(), digits: value.toSignificantDigits(count).toString(), detail: how };
}

/** Equal events together; written anew so that a fault in the library's own can't go unseen. */
function flattened(event: DpEvent): CountedEvent[] {
  const counts = new Map<string, { event: BasicEvent; count: number }>();
  const visit = (inner: DpEvent, times: number): void => {
    if (inner.kind === 'repeated') return visit(inner.event, times * inner.count);
    if (inner.kind === 'sequence') return inner.events.forEach(each => visit(each, times));
    const key = JSON.stringify(inner);
    const known = counts.get(key);
    counts.set(key, { event: inner, count: (known?.count ?? 0) + times });
  };
  visit(event, 1);
  return [...counts.values()];
}

function checkDelta(delta: number): void {
  if (!(delta >= leastDelta && delta < 1))
    throw invalid('delta', delta, `a number from ${leastDelta} to below 1`);
}

function invalid(name: string, value: number, expected: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot referee: ${name} is ${value}. Give ${expected}.`);
}

function unsupported(reason: string): DpError {
  return new DpError('UNSUPPORTED_EVENT', `Cannot referee: ${reason}. Give fewer or other steps.`);
}
