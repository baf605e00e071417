import { minimise } from '../numerics/minimise.ts';
import { logSumExp } from '../numerics/special.ts';
import { ratioCells, spread, type RatioLaw } from './sum-of-ratios.ts';

/** How finely the law of a likelihood ratio is kept, and the log mass that may lie outside the grid. */
export interface GridOptions {
  readonly noiseMultiplier: number;
  readonly points: number;
  readonly logTail: number;
}

/**
 * Places of a N(0, 1) between which all but exp(logTail) of it lies, before and after it moves up by 1/σ.
 *
 * @example
 * ```ts
 * [...gridPlaces({ noiseMultiplier: 1, points: 3, logTail: -50 })]; // [-10, 0.5, 11]
 * ```
 */
export function gridPlaces({ noiseMultiplier, points, logTail }: GridOptions): Float64Array {
  const reach = Math.sqrt(-2 * logTail);
  const spacing = (2 * reach + 1 / noiseMultiplier) / (points - 1);
  return Float64Array.from({ length: points }, (_, index) => index * spacing - reach);
}

/**
 * Chooses edges for the average of a number of independent ratios. Where they lie decides how tight a law is, not whether it's right.
 *
 * Spacing of the logarithms: a fixed part of the width of the bulk around it, growing with the distance up to a part of 1/σ.
 * The ends are Chernoff's bounds on the tails, by a coarse law of one ratio.
 *
 * @returns ascending edges by number of ratios, at least 2
 * @example
 * ```ts
 * const edges = gridPlanner({ noiseMultiplier: 1, points: 100, logTail: -50 })(1000);
 * edges[0] < 1 && edges[99] > 1; // true
 * ```
 */
export function gridPlanner(options: GridOptions): (count: number) => Float64Array {
  const pilot = pilotLaw(options);
  const coarsest = coarsestShare / options.noiseMultiplier;
  return count => {
    const [lowest, highest] = [
      logLowEnd(pilot, count, options.logTail),
      logHighEnd(pilot, count, options.logTail),
    ];
    const bulk = bulkOf(pilot, count);
    const scale = new LogScale(bulk, coarsest);
    const [from, to] = [scale.position(lowest), scale.position(highest)];
    const spacing = (to - from) / (options.points - 1);
    const edges = Float64Array.from({ length: options.points }, (_, index) =>
      Math.exp(scale.logRatio(from + index * spacing)),
    );
    return edges.filter((edge, index) => index === 0 || edge > edges[index - 1]!);
  };
}

// Of the spacing of logarithms, beside the common factor; by trial over noise 0.2 to 3 and 7 to 100,000 ratios.
const growth = 0.2;
const coarsestShare = 0.4;
const bulkShare = 0.7;
const rarity = 0.25;

interface Pilot {
  readonly ratios: Float64Array;
  readonly masses: Float64Array;
  readonly logMasses: Float64Array;
  readonly logRatios: Float64Array;
}

function pilotLaw(options: GridOptions): Pilot {
  const places = gridPlaces({ ...options, points: 200 });
  const { ratios, masses }: RatioLaw = spread(ratioCells(places, options.noiseMultiplier));
  const [kept, weights] = [ratios.slice(1), masses.slice(1)];
  return { ratios: kept, masses: weights, logMasses: weights.map(Math.log), logRatios: kept.map(Math.log) };
}

// Room for rounding where all ratios are nearly equal.
const margin = 1e-11;

/** s with log Q[average ≤ s] ≤ logTail: the largest of (logTail ÷ count - log E e^(-θY)) ÷ θ. */
function logLowEnd({ ratios, logMasses }: Pilot, count: number, logTail: number): number {
  const { value } = minimise(logTheta => {
    const theta = Math.exp(logTheta);
    return (logSumExp(logMasses.map((mass, k) => mass - theta * (ratios[k]! - 1))) - logTail / count) / theta;
  });
  return Math.log(Math.max(ratios[0]!, 1 - value)) - margin;
}

/** s with log P[average ≥ s] ≤ logTail; under P one of the ratios is biased by its size. */
function logHighEnd({ ratios, logMasses, logRatios }: Pilot, count: number, logTail: number): number {
  const { value } = minimise(logTheta => {
    const theta = Math.exp(logTheta);
    const terms = logMasses.map((mass, k) => mass + theta * (ratios[k]! - 1));
    const biased = logSumExp(terms.map((term, k) => term + logRatios[k]!));
    return (biased + (count - 1) * logSumExp(terms) - logTail) / (theta * count);
  });
  return Math.log1p(value) + margin;
}

/** Centre and width of the logarithm of an average, without the ratios so large that they're rare among so many. */
interface Bulk {
  readonly centre: number;
  readonly width: number;
}

function bulkOf({ ratios, masses }: Pilot, count: number): Bulk {
  let last = ratios.length - 1;
  for (let above = masses[last]!; last > 0 && above < rarity / count; above += masses[last]!) last -= 1;
  let [mean, square] = [0, 0];
  for (let k = 0; k <= last; k += 1) {
    mean += masses[k]! * ratios[k]!;
    square += masses[k]! * (ratios[k]! - 1) ** 2;
  }
  return { centre: Math.log(mean), width: (bulkShare * Math.sqrt(square / count)) / mean };
}

/** Distances on the logarithm of ratios, measured in the spacing wanted: hypot(width, growth·distance from the centre), but at most `coarsest`. */
class LogScale {
  readonly #centre: number;
  readonly #width: number;
  readonly #coarsest: number;
  /** Where the growth ends: as distance on the logarithm and on the scale. */
  readonly #turn: number;
  readonly #turnPosition: number;

  constructor({ centre, width }: Bulk, coarsest: number) {
    this.#centre = centre;
    this.#width = width;
    this.#coarsest = coarsest;
    this.#turn = width < coarsest ? Math.sqrt(coarsest ** 2 - width ** 2) / growth : 0;
    this.#turnPosition = Math.asinh((growth * this.#turn) / width) / growth;
  }

  position(logRatio: number): number {
    const distance = Math.abs(logRatio - this.#centre);
    const near = Math.asinh((growth * Math.min(distance, this.#turn)) / this.#width) / growth;
    return Math.sign(logRatio - this.#centre) * (near + Math.max(0, distance - this.#turn) / this.#coarsest);
  }

  logRatio(position: number): number {
    const size = Math.abs(position);
    const near = (this.#width * Math.sinh(growth * Math.min(size, this.#turnPosition))) / growth;
    const far = Math.max(0, size - this.#turnPosition) * this.#coarsest;
    return this.#centre + Math.sign(position) * (near + far);
  }
}
