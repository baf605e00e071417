import type { BallsInBinsGaussianEvent } from '../event.ts';
import { gaussianLaw } from './gaussian.ts';
import { discreteLaw, type DirectedLaws, type LossLaw } from './law.ts';
import { shiftedNoise } from './loss-curve.ts';
import { gridPlaces, gridPlanner, type GridOptions } from './ratio-grid.ts';
import {
  averageCells,
  contract,
  ratioCells,
  spread,
  type RatioCells,
  type RatioLaw,
} from './sum-of-ratios.ts';

/** Points of each grid, and about the log of the mass that may leave it at either end. */
export interface AllocationOptions {
  readonly points?: number;
  readonly logTail?: number;
}

/** Laws above and below that of an epoch. */
export interface AllocationLaws {
  readonly dominating: DirectedLaws;
  readonly attained: DirectedLaws;
}

/**
 * Laws of one epoch in which each unit takes part in exactly one of the steps, chosen at random for itself (balls in bins,
 * random allocation), with the Gaussian mechanism; add-or-remove and zero-out neighbours.
 *
 * Chua et al. (arXiv 2412.16802): the pair P = Σ N(e_t, σ²I) ÷ T, Q = N(0, σ²I) dominates and is attained. Its likelihood
 * ratio is the average of T independent ratios of one Gaussian step, and δ(ε) in both directions is an expectation of
 * a convex function of it. Averages are built up by halves; on the way every law is spread over a grid for the dominating
 * laws and contracted into means for the attained ones, which moves every δ up and down respectively. The gap falls
 * with the square of `points`, the time rises with it (and with log T).
 *
 * Rounding: all sums have positive terms; masses are raised (lowered) by the bound on their relative error, which grows
 * with T from about 1e-12, losses by that on the ratios', both at the expense of the lowest losses. All masses of
 * a dominating law add up to 1 + 1e-12 at most, up to rounding those of an attained one to 1.
 *
 * Outside of noise 0.05 to 1e8, neighbours in noise stand in, as more noise never costs more privacy: below, the attained
 * laws are those of 0.05 and the dominating ones those of the plain Gaussian, which no mixture of it exceeds; above,
 * the dominating ones are those of 1e8 and the attained ones lose nothing. More steps never cost more either (an average of
 * more ratios is smaller in convex order), so the dominating laws of more than 1e9 steps are those of 1e9.
 *
 * @param options - points of each grid, 1500 unless given, at least 100; logTail: about the log of the mass that leaves
 *   a grid, which becomes infinite loss, -60 unless given, at least -100
 * @example
 * ```ts
 * const { dominating, attained } = allocationLaws({ noiseMultiplier: 1, stepsPerEpoch: 2 }, { points: 200 });
 * dominating.remove.infinite < 1e-24; // true
 * dominating.remove.atoms.length <= 200; // true
 * attained.remove.infinite; // 0
 * ```
 */
export function allocationLaws(
  { noiseMultiplier, stepsPerEpoch }: Omit<BallsInBinsGaussianEvent, 'kind'>,
  { points = 1500, logTail = -60 }: AllocationOptions = {},
): AllocationLaws {
  const covered = Math.min(Math.max(noiseMultiplier, leastNoise), mostNoise);
  const cells = cellsOf({ noiseMultiplier: covered, points, logTail });
  const bothSides = (settle: (cells: RatioCells) => RatioLaw, side: Side): DirectedLaws => {
    const steps = side.sign > 0 ? Math.min(stepsPerEpoch, mostSteps) : stepsPerEpoch;
    const law = averageLaw(steps, settle, cells);
    return { remove: lossLaw(law, 'remove', side), add: lossLaw(law, 'add', side) };
  };
  return {
    dominating: noiseMultiplier < leastNoise ? plainLaws(noiseMultiplier) : bothSides(spread, upperSide),
    attained: noiseMultiplier > mostNoise ? lossless : bothSides(contract, lowerSide),
  };
}

const leastNoise = 0.05;
const mostNoise = 1e8;
const mostSteps = 1e9;
const unit = 2 ** -53;

const certainty = discreteLaw([{ loss: 0, logMass: 0 }]);
const lossless: DirectedLaws = { remove: certainty, add: certainty };

function plainLaws(noiseMultiplier: number): DirectedLaws {
  const noise = shiftedNoise({ kind: 'gaussian', noiseMultiplier });
  return { remove: gaussianLaw(noise, 'remove'), add: gaussianLaw(noise, 'add') };
}

/** The cells of an average of `count` ratios, given the laws of its two halves. */
type CellMaker = (count: number, halfLaw: (count: number) => RatioLaw) => RatioCells;

function cellsOf(options: GridOptions): CellMaker {
  const one = ratioCells(gridPlaces(options), options.noiseMultiplier);
  const plan = gridPlanner(options);
  const edges = new Map<number, Float64Array>();
  return (count, halfLaw) => {
    if (count === 1) return one;
    if (!edges.has(count)) edges.set(count, plan(count));
    const less = Math.floor(count / 2);
    const [first, second] = [less, count - less].map(size => ({ law: halfLaw(size), weight: size / count }));
    return averageCells(first!, second!, edges.get(count)!);
  };
}

/** Halving leaves at most two different numbers on each level. */
function averageLaw(count: number, settle: (cells: RatioCells) => RatioLaw, cells: CellMaker): RatioLaw {
  const known = new Map<number, RatioLaw>();
  const average = (size: number): RatioLaw => {
    const law = known.get(size) ?? settle(cells(size, average));
    known.set(size, law);
    return law;
  };
  return average(count);
}

/** Which way errors may go, and what the sum of thousands of masses near 1 may be off by: it's given or kept back. */
interface Side {
  readonly sign: 1 | -1;
  readonly available: number;
  readonly extra: number;
}

const sumError = 1e-12;
const upperSide: Side = { sign: 1, available: 1, extra: sumError };
const lowerSide: Side = { sign: -1, available: 1 - sumError, extra: 0 };

type Way = 'remove' | 'add';

/** A loss, its mass under the side that it is seen from, and its mass under the other. */
interface Outcome {
  readonly loss: number;
  readonly mass: number;
  readonly other: number;
}

function lossLaw(law: RatioLaw, way: Way, side: Side): LossLaw {
  const factor = Math.exp(1.1 * side.sign * law.massError);
  const outcomes = outcomesOf(law, way);
  const lost = way === 'remove' ? law.infinite : massAtZero(law);
  const infinite = Math.min(1, lost * factor);
  const kept = side.sign > 0 ? outcomes : mergeLowest(outcomes, 1000 * law.massError);
  const masses = fillFromAbove(kept, { factor, available: side.available - infinite, extra: side.extra });
  const atoms = kept.map(({ loss }, index) => ({
    loss: loss + side.sign * (law.ratioError + 4 * unit * (1 + Math.abs(loss))),
    logMass: Math.log(masses[index]!),
  }));
  return discreteLaw(atoms, infinite);
}

function massAtZero({ ratios, masses }: RatioLaw): number {
  return ratios[0] === 0 ? masses[0]! : 0;
}

/** The finite losses of a law of ratios, from the highest down. */
function outcomesOf({ ratios, masses }: RatioLaw, way: Way): Outcome[] {
  const outcomes = Array.from(ratios, (ratio, index) => {
    const [larger, smaller] = [ratio * masses[index]!, masses[index]!];
    return way === 'remove'
      ? { loss: Math.log(ratio), mass: larger, other: smaller }
      : { loss: -Math.log(ratio), mass: smaller, other: larger };
  });
  if (way === 'remove') outcomes.reverse();
  return outcomes.filter(({ loss, mass }) => mass > 0 && Number.isFinite(loss));
}

/** The lowest losses as one of at least `least`, so that no mass that is moved down later outweighs what is there. */
function mergeLowest(outcomes: readonly Outcome[], least: number): Outcome[] {
  let [mass, other] = [0, 0];
  let kept = outcomes.length;
  while (kept > 0 && mass <= least) {
    kept -= 1;
    mass += outcomes[kept]!.mass;
    other += outcomes[kept]!.other;
  }
  return [...outcomes.slice(0, kept), { loss: Math.log(mass / other), mass, other }];
}

/**
 * Hands out what is available from the highest loss down, to each its mass times `factor`; the last one gets the rest.
 * What is extra goes to the heaviest, where it weighs least on either side.
 */
function fillFromAbove(
  outcomes: readonly Outcome[],
  { factor, available, extra }: { factor: number; available: number; extra: number },
): number[] {
  let left = available;
  const masses = outcomes.map(({ mass }) => {
    const share = Math.min(left, mass * factor);
    left -= share;
    return share;
  });
  masses[masses.length - 1]! += left;
  masses[masses.indexOf(Math.max(...masses))]! += extra;
  return masses;
}
