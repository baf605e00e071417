import type { BasicEvent, Neighbours } from '../event.ts';
import { big, largest, one, sum, two, zero, type Big } from './big.ts';
import { stepOf, type NormalStep } from './steps.ts';
import { gridPoints, integrate, type Points, type Range } from './trapezoid.ts';
import { pointAt, type Point } from './two-steps.ts';

/** Rényi divergences of a basic event at the whole orders from 2 on; or why there are none. */
export type Divergences = { readonly orders: readonly Big[] } | { readonly reason: string };

// Products of an order and a number of records, beyond which a power has too many terms.
const mostTerms = 2048;
const deviations = 14;

/**
 * Rényi divergences at the orders 2, 3, … up to `most` or as far as they can be had, the larger of both directions.
 *
 * - Gaussian and discrete Gaussian: order·(sensitivity/scale)²/2; at whole orders the discrete sum is the shifted one.
 * - Subsampled Gaussian: an exact binomial sum for removal, never the smaller (Mironov, Talwar and Zhang, arXiv 1908.10530,
 *   Theorem 5); under replace by quadrature. Mixtures: an exact multinomial sum for removal, quadrature for addition.
 * - Laplace (Mironov, arXiv 1702.07476, Table II), randomised response and pure guarantees in closed form.
 *
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 2 } as const;
 * divergences(event, { neighbours: 'replace', most: 3 }).orders.map(Number); // [1, 1.5]
 * ```
 */
export function divergences(
  event: BasicEvent,
  { neighbours, most }: { neighbours: Neighbours; most: number },
): Divergences {
  const replace = neighbours === 'replace';
  const unknown = { reason: `no Rényi divergence of ${event.kind} under ${neighbours} is at hand` };
  switch (event.kind) {
    case 'gaussian':
      return gaussianOrders({ sensitivity: replace ? 2 : 1, scale: event.noiseMultiplier, most });
    case 'discrete-gaussian':
      return gaussianOrders({ ...event, sensitivity: event.sensitivity * (replace ? 2 : 1), most });
    case 'laplace':
      return byOrder(most, laplaceMoment(big(replace ? 2 : 1).div(big(event.noiseMultiplier))));
    case 'guarantee':
      return event.delta > 0 ? unknown : byOrder(most, responseMoment(big(event.epsilon).exp(), 2));
    case 'randomised-response':
      if (!replace || event.randomProbability === 0) return unknown;
      return byOrder(most, responseMoment(odds(event), event.buckets));
    default:
      return normalOrders(event, { neighbours, most }) ?? unknown;
  }
}

function byOrder(most: number, moment: (order: number) => Big): Divergences {
  const orders = Array.from({ length: most - 1 }, (_, index) =>
    moment(index + 2)
      .ln()
      .div(index + 1),
  );
  return { orders };
}

function gaussianOrders(options: { sensitivity: number; scale: number; most: number }): Divergences {
  const { sensitivity, scale, most } = options;
  const half = big(sensitivity).div(big(scale)).pow(2).div(two);
  return { orders: Array.from({ length: most - 1 }, (_, index) => half.times(index + 2)) };
}

function laplaceMoment(epsilon: Big): (order: number) => Big {
  return order => {
    const high = epsilon
      .times(order - 1)
      .exp()
      .times(order);
    const low = epsilon
      .times(-order)
      .exp()
      .times(order - 1);
    return high.plus(low).div(2 * order - 1);
  };
}

function odds(event: { randomProbability: number; buckets: number }): Big {
  const random = big(event.randomProbability);
  return one.minus(random).times(event.buckets).div(random).plus(one);
}

function responseMoment(ratio: Big, buckets: number): (order: number) => Big {
  const other = one.div(ratio.plus(buckets - 1));
  return order =>
    other.times(
      ratio
        .pow(order)
        .plus(ratio.pow(1 - order))
        .plus(buckets - 2),
    );
}

function normalOrders(
  event: BasicEvent,
  { neighbours, most }: { neighbours: Neighbours; most: number },
): Divergences | undefined {
  const step = stepOf(event);
  if (step?.kind !== 'normal') return undefined;
  if (neighbours === 'replace')
    return event.kind === 'poisson-subsampled-gaussian'
      ? byQuadrature(step, { direction: 'replace', most })
      : undefined;
  if (neighbours === 'zero-out' && event.kind === 'fixed-size-gaussian') return undefined;
  const remove = removeOrders(step, most);
  if ('reason' in remove || step.moved.length === 1) return remove;
  const add = byQuadrature(step, { direction: 'add', most: remove.orders.length + 1 });
  if ('reason' in add) return add;
  return { orders: add.orders.map((order, index) => largest([order, remove.orders[index]!])) };
}

/** E over N(0) of the ratio's power: a polynomial in exp(unit·x/variance) whose powers have means in closed form. */
function removeOrders({ deviation, idle, moved }: NormalStep, most: number): Divergences {
  const unit = moved[0]!.shift;
  const multiples = moved.map(({ shift }) => shift.div(unit).toNumber());
  if (!multiples.every(Number.isInteger)) return { reason: 'sensitivities are no multiples of the smallest' };
  const highest = Math.min(most, Math.floor(mostTerms / multiples.at(-1)!));
  const growth = unit.div(deviation).pow(2).div(two).exp();
  const factor = [
    { multiple: 0, weight: idle },
    ...moved.map(({ weight }, j) => ({
      multiple: multiples[j]!,
      weight: weight.div(growth.pow(multiples[j]! ** 2)),
    })),
  ].filter(({ weight }) => weight.gt(0));
  const means = squaresOf(growth, highest * multiples.at(-1)!);
  let power = [one];
  return byOrderFrom(highest, () => {
    power = timesFactor(power, factor);
    return sum(power.map((term, k) => term.times(means[k]!)));
  });
}

/** Divergences from a function that gives the moments of order 1, 2, … one after the other. */
function byOrderFrom(highest: number, next: () => Big): Divergences {
  if (highest < 2) return { reason: 'a power of the mixture has too many terms' };
  const moments = Array.from({ length: highest }, next);
  return { orders: moments.slice(1).map((moment, index) => moment.ln().div(index + 1)) };
}

/** base^(k²) for k = 0, 1, … */
function squaresOf(base: Big, most: number): Big[] {
  const square = base.times(base);
  const powers = [one];
  let ratio = base;
  for (let k = 0; k < most; k += 1, ratio = ratio.times(square)) powers.push(powers[k]!.times(ratio));
  return powers;
}

function timesFactor(power: readonly Big[], factor: readonly { multiple: number; weight: Big }[]): Big[] {
  const result: Big[] = Array.from({ length: power.length + factor.at(-1)!.multiple }, () => zero);
  for (const { multiple, weight } of factor)
    power.forEach((term, k) => {
      result[k + multiple] = result[k + multiple]!.plus(term.times(weight));
    });
  return result;
}

/** E over P of exp(loss·(order - 1)); as many orders from 2 on as the points suffice for. */
function byQuadrature(step: NormalStep, to: { direction: 'add' | 'replace'; most: number }): Divergences {
  const { direction } = to;
  const orders: Big[] = [];
  for (let most = to.most; most >= 2 && orders.length === 0; most = Math.floor(most / 4)) {
    const range = tiltedRange(step, { direction, most });
    const points = gridPoints(range, place => pointAt(step, { direction, place }));
    orders.push(...integrals(points, { spacing: range.spacing, most }));
  }
  return orders.length > 0 ? { orders } : { reason: 'the integral of a power takes too many points' };
}

function integrals(points: Points<Point>, { spacing, most }: { spacing: number; most: number }): Big[] {
  const last = new Map<Point, { order: number; value: Big }>();
  const orders: Big[] = [];
  for (let order = 2; order <= most; order += 1) {
    const moment = integrate(points, { spacing, value: point => powered(point, { order, last }) });
    if (moment === undefined) break;
    orders.push(moment.ln().div(order - 1));
  }
  return orders;
}

/** density·loss^(order - 1), from the order before where that was asked for. */
function powered(
  point: Point,
  { order, last }: { order: number; last: Map<Point, { order: number; value: Big }> },
): Big {
  const before = last.get(point);
  const value =
    before?.order === order - 1
      ? before.value.times(point.loss)
      : point.density.times(point.loss.pow(order - 1));
  last.set(point, { order, value });
  return value;
}

/** Where the integrand lives at the highest order: its centre moves by the order, but under `add` no further than the idle mass lets it. */
function tiltedRange(
  step: NormalStep,
  { direction, most }: { direction: 'add' | 'replace'; most: number },
): Range {
  const width = step.deviation.toNumber();
  const shift = step.moved.at(-1)!.shift.toNumber();
  const spacing = Math.min(width / 2, (width * width) / shift / 2);
  if (direction === 'replace')
    return { from: -deviations * width - shift, to: (2 * most - 1) * shift + deviations * width, spacing };
  const tilt = (most - 1) * shift + deviations * width;
  const lift = step.idle.isZero() ? Infinity : -2 * (most - 1) * step.idle.ln().toNumber();
  return {
    from: -Math.min(tilt, Math.sqrt(deviations ** 2 + lift) * width),
    to: deviations * width,
    spacing,
  };
}
