/** Unit-variance Gaussians at `shifts` (ascending, >= 0) with `weights` (sum 1); the other side is N(0, 1). */
export interface Mixture {
  readonly shifts: readonly number[];
  readonly weights: readonly number[];
}

/** Which side of the dominating pair is the mixture; under `replace` both are, mirrored. */
export type Direction = 'remove' | 'add' | 'replace';

/** log E_Q[(P/Q)^order], an upper bound; Infinity where it would take too many nodes. */
export type LossMoments = (order: number) => number;

const mostNodes = 400_000;

// Beyond this many standard deviations past the last peak an integrand is below 1e-37 of it.
const reach = 13;

// Rounding of the nodes' terms and of their sum, generously.
const rounding = 1e-11;

/**
 * Rényi moments of a pair of Gaussian mixtures by the trapezoidal rule, with a proof of the error.
 *
 * With r = P/Q, the moment is 1 + ∫ Q φ(r), φ(r) = r^a - 1 - a(r - 1) >= 0: every term is positive, so moments
 * that differ from 1 by 1e-30 keep their digits. In the strip |Im x| < y, y·(largest shift) = θ < π/2, the
 * integrand is analytic with |r(x + iy)| between cos θ·r(x) and r(x), hence the rule with step h errs by at most
 * 2 e^{y²/2} ((cos θ)^{-b} moment + 1 + 2a) / (e^{2πy/h} - 1), where b counts negative powers
 * (Trefethen and Weideman, SIAM Review 2014, Theorem 5.1). The error and both tails are added.
 *
 * @example
 * ```ts
 * const logMoment = lossIntegral({ shifts: [0, 1], weights: [0.5, 0.5] }, 'remove');
 * logMoment(2); // ~0.35737
 * ```
 */
export function lossIntegral(mixture: Mixture, direction: Direction): LossMoments {
  const excess = secondMomentExcess(mixture);
  if (!(excess > 0)) return () => 0;
  const digits = 50 + Math.max(0, -Math.log(excess));
  let nodes = new Nodes(mixture, direction, stepFor(digits, largestShift(mixture)));
  return order => {
    let answer = integrate(nodes, order);
    for (let tries = 0; tries < 4 && !answer.sharp; tries += 1) {
      nodes = new Nodes(mixture, direction, nodes.step / 2);
      answer = integrate(nodes, order);
    }
    return answer.logMoment;
  };
}

function largestShift({ shifts }: Mixture): number {
  return shifts[shifts.length - 1]!;
}

/** E[(P/Q - 1)²], which says how small the moments are that need digits. */
function secondMomentExcess({ shifts, weights }: Mixture): number {
  let total = 0;
  for (const [i, first] of shifts.entries()) {
    for (const [j, second] of shifts.entries()) {
      total += weights[i]! * weights[j]! * Math.expm1(Math.min(700, first * second));
    }
  }
  return total;
}

/** The step at which the error is about e^-digits with θ at most 1. */
function stepFor(digits: number, shift: number): number {
  const free = Math.sqrt(2 * digits);
  if (free * shift <= 1) return (2 * Math.PI) / free;
  return (2 * Math.PI) / shift / (digits + 1 / (2 * shift * shift));
}

/** Log density ratios at multiples of the step, computed once and reused by every order. */
class Nodes {
  readonly direction: Direction;
  readonly step: number;
  readonly shift: number;
  private readonly mixture: Mixture;
  private readonly right: [number[], number[]] = [[], []];
  private readonly left: [number[], number[]] = [[], []];

  constructor(mixture: Mixture, direction: Direction, step: number) {
    this.mixture = mixture;
    this.direction = direction;
    this.step = step;
    this.shift = largestShift(mixture);
  }

  /** Log weight (of h·Q) and log ratio at the node. */
  at(index: number): [logWeight: number, loss: number] {
    const side = index >= 0 ? this.right : this.left;
    const place = index >= 0 ? index : -1 - index;
    while (side[0].length <= place) {
      const next = side[0].length;
      const [logWeight, loss] = this.compute((index >= 0 ? next : -1 - next) * this.step);
      side[0].push(logWeight);
      side[1].push(loss);
    }
    return [side[0][place]!, side[1][place]!];
  }

  private compute(x: number): [logWeight: number, loss: number] {
    const base = Math.log(this.step) - 0.5 * Math.log(2 * Math.PI) - (x * x) / 2;
    const loss = logRatio(this.mixture, x);
    if (this.direction !== 'replace') return [base, loss];
    const mirrored = logRatio(this.mixture, -x);
    return [base + mirrored, loss - mirrored];
  }
}

/** log of the mixture's density over that of N(0, 1), relative digits kept near zero. */
function logRatio({ shifts, weights }: Mixture, x: number): number {
  let largest = -Infinity;
  let excess = 0;
  for (let j = 0; j < shifts.length; j += 1) {
    const exponent = shifts[j]! * (x - shifts[j]! / 2);
    largest = Math.max(largest, exponent);
    excess += weights[j]! * Math.expm1(exponent);
  }
  if (largest < 30 && excess > -0.5) return Math.log1p(excess);
  let total = 0;
  for (let j = 0; j < shifts.length; j += 1) {
    total += weights[j]! * Math.exp(shifts[j]! * (x - shifts[j]! / 2) - largest);
  }
  return largest + Math.log(total);
}

/** Powers and extents that differ between the directions. */
interface Shape {
  /** φ(r) = r^power - 1 - power·(r - 1). */
  readonly power: number;
  /** Largest power of 1/r in the integrand. */
  readonly negative: number;
  /** Steepest rise of the log integrand's bound towards either end, before the Gaussian's fall. */
  readonly slopes: readonly [left: number, right: number];
  /** The bound at either end: factor · weight · r^power. */
  readonly ends: readonly [left: readonly [factor: number, power: number], right: readonly [number, number]];
}

function shapeOf(direction: Direction, order: number, shift: number): Shape {
  // φ(r) <= curvature·(r - 1)² for r <= 1.
  const curvature = (order - 1) * Math.max(1, order / 2);
  if (direction === 'remove') {
    const ends = [
      [curvature, 0],
      [1, order],
    ] as const;
    return { power: order, negative: 0, slopes: [0, order * shift], ends };
  }
  if (direction === 'replace') {
    const ends = [
      [curvature, 0],
      [1, order],
    ] as const;
    return { power: order, negative: order - 1, slopes: [shift, (2 * order - 1) * shift], ends };
  }
  const power = 1 - order;
  const ends = [
    [1, power],
    [order - 1, 1],
  ] as const;
  return { power, negative: order - 1, slopes: [(order - 1) * shift, shift], ends };
}

function integrate(nodes: Nodes, order: number): { logMoment: number; sharp: boolean } {
  const shape = shapeOf(nodes.direction, order, nodes.shift);
  const first = -Math.ceil((shape.slopes[0] + reach) / nodes.step);
  const last = Math.ceil((shape.slopes[1] + reach) / nodes.step);
  if (!(last - first < mostNodes)) return { logMoment: Infinity, sharp: true };
  const sum = new LogSum();
  for (let index = first; index <= last; index += 1) {
    const [logWeight, loss] = nodes.at(index);
    sum.add(logWeight + logConvexPart(loss, shape.power));
  }
  const clean = sum.value;
  sum.add(logTail(nodes, shape, 0, first));
  sum.add(logTail(nodes, shape, 1, last));
  sum.add(logRuleError(nodes, shape, logOnePlusExp(clean)));
  const raised = sum.value + rounding + Math.abs(clean) * 2 ** -48;
  return { logMoment: logOnePlusExp(raised), sharp: sum.value - clean < 1e-9 };
}

/** Everything beyond an end node: a geometric series from the bound at that node. */
function logTail(nodes: Nodes, { ends, slopes }: Shape, side: 0 | 1, index: number): number {
  const [factor, power] = ends[side];
  const [logWeight, loss] = nodes.at(index);
  const fall = nodes.step * (Math.abs(index) * nodes.step - slopes[side]);
  return Math.log(factor) + logWeight + power * loss - Math.log(-Math.expm1(-fall));
}

/** The proven error of the trapezoidal rule at the best of a few strip widths. */
function logRuleError(nodes: Nodes, { power, negative }: Shape, logMoment: number): number {
  const logConstant = Math.log(1 + 2 * Math.max(power, 1 - power));
  let least = Infinity;
  for (const angle of [1.5, 1.2, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05]) {
    const height = Math.min(angle / nodes.shift, (2 * Math.PI) / nodes.step);
    const growth = logMoment - negative * Math.log(Math.cos(height * nodes.shift));
    const logMass = (height * height) / 2 + logOnePlusExp(growth - logConstant) + logConstant;
    least = Math.min(
      least,
      Math.LN2 + logMass - Math.log(Math.expm1(Math.min(700, (2 * Math.PI * height) / nodes.step))),
    );
  }
  return least;
}

/** log(r^power - 1 - power·(r - 1)) with log r given; -Infinity at r = 1. */
function logConvexPart(loss: number, power: number): number {
  const exponent = power * loss;
  if (exponent > 600) return exponent;
  const excess = Math.expm1(loss);
  if (Math.abs(excess) * Math.max(2, Math.abs(power)) < 0.1) return Math.log(convexSeries(excess, power));
  if (power > 0 && power < 2)
    return Math.log(Math.exp(loss) * Math.expm1((power - 1) * loss) - (power - 1) * excess);
  return Math.log(Math.expm1(exponent) - power * excess);
}

/** The binomial series from its second term; the terms fall at least twentyfold each. */
function convexSeries(excess: number, power: number): number {
  let term = ((power * (power - 1)) / 2) * excess * excess;
  let total = 0;
  for (let i = 2; i < 40 && Math.abs(term) > total * 1e-18; i += 1) {
    total += term;
    term *= ((power - i) / (i + 1)) * excess;
  }
  return total;
}

function logOnePlusExp(value: number): number {
  return value > 0 ? value + Math.log1p(Math.exp(-value)) : Math.log1p(Math.exp(value));
}

/** Sum of positive numbers given by their logs. */
class LogSum {
  private largest = -Infinity;
  private scaled = 0;

  get value(): number {
    return this.scaled === 0 ? -Infinity : this.largest + Math.log(this.scaled);
  }

  add(log: number): void {
    if (log === -Infinity) return;
    if (log > this.largest) {
      this.scaled *= Math.exp(this.largest - log);
      this.largest = log;
    }
    this.scaled += Math.exp(log - this.largest);
  }
}
