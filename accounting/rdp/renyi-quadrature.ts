import { ConvexPart, LogSum, logOnePlusExp } from './convex-part.ts';

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
  const digits = 46 + Math.max(0, -Math.log(excess));
  let nodes = new Nodes(mixture, direction, stepFor(digits, largestShift(mixture), direction));
  return order => {
    let answer = integrate(nodes, order);
    for (let tries = 0; tries < 4 && !answer.sharp; tries += 1) {
      const finer = new Nodes(mixture, direction, nodes.step / 2);
      const next = integrate(finer, order);
      if (!(next.logMoment < answer.logMoment)) break;
      [nodes, answer] = [finer, next];
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

/** The step at which the error is about e^-digits; θ goes furthest where no negative power grows with it. */
function stepFor(digits: number, shift: number, direction: Direction): number {
  const height = Math.min(Math.sqrt(2 * digits), (direction === 'remove' ? 1.5 : 1) / shift);
  return (2 * Math.PI * height) / (digits + (height * height) / 2);
}

/** Log weights, weights, log ratios and ratios minus 1 at the multiples of the step on one side of 0. */
class Side {
  readonly logWeights: number[] = [];
  readonly losses: number[] = [];
  readonly #weights: number[] = [];
  readonly #excesses: number[] = [];

  push(logWeight: number, loss: number): void {
    this.logWeights.push(logWeight);
    this.#weights.push(Math.exp(logWeight));
    this.losses.push(loss);
    this.#excesses.push(Math.expm1(loss));
  }

  /** Far from the middle first, so that small terms come first. */
  total(part: ConvexPart, last: number): number {
    const { logWeights, losses } = this;
    const [weights, excesses] = [this.#weights, this.#excesses];
    let total = 0;
    for (let place = last; place >= 0; place -= 1) {
      const loss = losses[place]!;
      const excess = excesses[place]!;
      if (part.power * loss < 600 && loss < 600 && logWeights[place]! > -690)
        total += weights[place]! * part.at(loss, excess);
      else total += Math.exp(logWeights[place]! + part.logAt(loss, excess));
    }
    return total;
  }

  addTo(sum: LogSum, part: ConvexPart, last: number): void {
    for (let place = last; place >= 0; place -= 1)
      sum.add(this.logWeights[place]! + part.logAt(this.losses[place]!, this.#excesses[place]!));
  }
}

/** Nodes are computed once and reused by every order. */
class Nodes {
  readonly direction: Direction;
  readonly step: number;
  readonly shift: number;
  readonly #mixture: Mixture;
  readonly #right = new Side();
  readonly #left = new Side();
  readonly #strips: Strip[];

  constructor(mixture: Mixture, direction: Direction, step: number) {
    this.#mixture = mixture;
    this.direction = direction;
    this.step = step;
    this.shift = largestShift(mixture);
    this.#strips = angles.map(angle => stripAt(angle, this));
  }

  /** log of the rule's sum over nodes `first` < 0 to `last` >= 0, none of whose terms is above exp(logMost). */
  logTotal(part: ConvexPart, [first, last]: readonly [number, number], logMost: number): number {
    this.#reach(first, last);
    // Small moments are summed as they are, which takes a third of the time.
    if (logMost < 600) return Math.log(this.#left.total(part, -1 - first) + this.#right.total(part, last));
    const sum = new LogSum();
    this.#left.addTo(sum, part, -1 - first);
    this.#right.addTo(sum, part, last);
    return sum.value;
  }

  /** Log weight (of h·Q) and log ratio at a node within reach. */
  at(index: number): [logWeight: number, loss: number] {
    const side = index >= 0 ? this.#right : this.#left;
    const place = index >= 0 ? index : -1 - index;
    return [side.logWeights[place]!, side.losses[place]!];
  }

  /** The proven error of the trapezoidal rule at the best of a few strip widths. */
  logRuleError({ power, negative }: Shape, logMoment: number): number {
    const logConstant = Math.log(1 + 2 * Math.max(power, 1 - power));
    let least = Infinity;
    for (const { height, logCosine, logDecay } of this.#strips) {
      const growth = logMoment - negative * logCosine;
      const logMass = (height * height) / 2 + logOnePlusExp(growth - logConstant) + logConstant;
      least = Math.min(least, Math.LN2 + logMass - logDecay);
    }
    return least;
  }

  #reach(first: number, last: number): void {
    for (let next = this.#right.losses.length; next <= last; next += 1) this.#compute(this.#right, next);
    for (let next = this.#left.losses.length; next <= -1 - first; next += 1)
      this.#compute(this.#left, -1 - next);
  }

  #compute(side: Side, index: number): void {
    const x = index * this.step;
    const base = Math.log(this.step) - 0.5 * Math.log(2 * Math.PI) - (x * x) / 2;
    const loss = logRatio(this.#mixture, x);
    if (this.direction !== 'replace') return side.push(base, loss);
    const mirrored = logRatio(this.#mixture, -x);
    side.push(base + mirrored, loss - mirrored);
  }
}

const angles = [1.5, 1.2, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05];

/** A strip around the real line and what the error bound needs of it. */
interface Strip {
  readonly height: number;
  readonly logCosine: number;
  /** log(exp(2π·height/step) - 1). */
  readonly logDecay: number;
}

function stripAt(angle: number, { shift, step }: { shift: number; step: number }): Strip {
  const height = Math.min(angle / shift, (2 * Math.PI) / step);
  const logDecay = Math.log(Math.expm1(Math.min(700, (2 * Math.PI * height) / step)));
  return { height, logCosine: Math.log(Math.cos(height * shift)), logDecay };
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
  const steepest = Math.max(...shape.slopes);
  const clean = nodes.logTotal(new ConvexPart(shape.power), [first, last], (steepest * steepest) / 2);
  sum.add(clean);
  sum.add(logTail(nodes, shape, 0, first));
  sum.add(logTail(nodes, shape, 1, last));
  sum.add(nodes.logRuleError(shape, logOnePlusExp(clean)));
  const raised = sum.value + rounding + Math.abs(clean) * 2 ** -48;
  const sharp = sum.value - clean < Math.max(1e-11, Math.abs(clean) * 2 ** -50);
  return { logMoment: logOnePlusExp(raised), sharp };
}

/** Everything beyond an end node: a geometric series from the bound at that node. */
function logTail(nodes: Nodes, { ends, slopes }: Shape, side: 0 | 1, index: number): number {
  const [factor, power] = ends[side];
  const [logWeight, loss] = nodes.at(index);
  const fall = nodes.step * (Math.abs(index) * nodes.step - slopes[side]);
  return Math.log(factor) + logWeight + power * loss - Math.log(-Math.expm1(-fall));
}
