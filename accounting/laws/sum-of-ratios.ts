import { gaussLegendre } from '../numerics/gauss-legendre.ts';
import { logNormalTail } from '../numerics/special.ts';

/**
 * The law under Q of a likelihood ratio: masses at ascending ratios, and the mass that P has where the ratio is infinite.
 *
 * `massError` bounds the error of every log mass, `ratioError` that of the ratios it stands for.
 */
export interface RatioLaw {
  readonly ratios: Float64Array;
  readonly masses: Float64Array;
  readonly infinite: number;
  readonly massError: number;
  readonly ratioError: number;
}

/**
 * A law of ratios sorted into cells [0, e_0), [e_0, e_1), … [e_n, ∞): the mass in each, and that mass times its mean place
 * in the cell, 0 at the lower end and 1 at the upper one (the last cell counts in units of e_n).
 */
export interface RatioCells {
  readonly edges: Float64Array;
  readonly masses: Float64Array;
  readonly shares: Float64Array;
  readonly infinite: number;
  /** Relative error of what this sorting added up. */
  readonly rounding: number;
  readonly massError: number;
  readonly ratioError: number;
}

const unit = 2 ** -53;
const rule = gaussLegendre(16);

// Sums of products that underflow lose less than this, beside masses and shares of at most 1.
const underflow = 1e-300;
const leastKept = 1e-280;

/**
 * One ratio dN(1/σ, 1)/dN(0, 1) of a place with law N(0, 1), sorted into cells.
 *
 * Inside, quadrature of positive integrands; the two outer cells are normal tails.
 *
 * @param places - ascending places; their ratios are the edges
 * @returns masses and shares within `rounding`; that of the last cell within `rounding` of its mass
 * @example
 * ```ts
 * const cells = ratioCells(new Float64Array([0, 0.5, 1]), 1);
 * cells.masses[1]; // ~0.19146246127401
 * ```
 */
export function ratioCells(places: Float64Array, noiseMultiplier: number): RatioCells {
  const shift = 1 / noiseMultiplier;
  const count = places.length;
  const [first, last] = [places[0]!, places[count - 1]!];
  const edges = places.map(place => Math.exp(shift * (place - shift / 2)));
  const masses = new Float64Array(count + 1);
  const shares = new Float64Array(count + 1);
  masses[0] = Math.exp(logNormalTail(-first));
  shares[0] = Math.exp(logNormalTail(shift - first) - shift * (first - shift / 2));
  for (let k = 1; k < count; k += 1) {
    const cell = normalCell(places[k - 1]!, places[k]!, shift);
    masses[k] = cell.mass;
    shares[k] = cell.share;
  }
  masses[count] = Math.exp(logNormalTail(last));
  const above = Math.exp(logNormalTail(last - shift) - shift * (last - shift / 2));
  shares[count] = Math.max(0, above - masses[count]);
  const furthest = Math.max(shift - first, last);
  // Logarithms of tails are within 4e-15 relative; the quadrature's exponents are no larger, and are better.
  const rounding = 4e-15 * (16 + furthest ** 2 / 2);
  const ratioError = 4 * unit * (2 + shift * furthest) + 4 * rounding * coarsest(edges);
  return { edges, masses, shares, infinite: 0, rounding, massError: rounding, ratioError };
}

function normalCell(from: number, to: number, shift: number): { mass: number; share: number } {
  const half = (to - from) / 2;
  const whole = Math.expm1(shift * (to - from));
  let mass = 0;
  let share = 0;
  for (let node = 0; node < rule.nodes.length; node += 1) {
    const offset = half * (1 + rule.nodes[node]!);
    const place = from + offset;
    const weight = Math.exp((-place * place) / 2) * rule.weights[node]!;
    mass += weight;
    share += weight * Math.expm1(shift * offset);
  }
  const scale = half / Math.sqrt(2 * Math.PI);
  return { mass: mass * scale, share: Math.min(mass, share / whole) * scale };
}

/** The largest width of an inner cell relative to its lower end. */
function coarsest(edges: Float64Array): number {
  let most = 0;
  for (let k = 1; k < edges.length; k += 1) most = Math.max(most, edges[k]! / edges[k - 1]! - 1);
  return most;
}

/** A law and its weight in an average. */
export interface Weighted {
  readonly law: RatioLaw;
  readonly weight: number;
}

/**
 * The average of two independent ratios, sorted into cells; the weights sum to 1.
 *
 * An average is infinite where either is: the masses that P has there add up by weight, with none under Q.
 *
 * @example
 * ```ts
 * const exact = { infinite: 0, massError: 0, ratioError: 0 };
 * const law = { ratios: new Float64Array([0, 2]), masses: new Float64Array([0.5, 0.5]), ...exact };
 * const half = { law, weight: 0.5 };
 * [...averageCells(half, half, new Float64Array([0.5, 1.5])).masses]; // [0.25, 0.5, 0.25]
 * ```
 */
export function averageCells(first: Weighted, second: Weighted, edges: Float64Array): RatioCells {
  const cells = new CellSums(edges);
  if (first.law === second.law && first.weight === second.weight) addSquare(cells, first);
  else addProduct(cells, first, second);
  // A cell adds up a run of one row's products, and then one such sum a row.
  const rounding = (first.law.masses.length + second.law.masses.length + 16) * unit;
  return {
    edges,
    masses: cells.masses,
    shares: cells.shares,
    infinite: first.weight * first.law.infinite + second.weight * second.law.infinite,
    rounding,
    massError: first.law.massError + second.law.massError + rounding,
    ratioError:
      Math.max(first.law.ratioError, second.law.ratioError) + 8 * unit + 4 * rounding * coarsest(edges),
  };
}

/** One atom of an average's first half, to be met by the second half's atoms `from` on. */
interface Row {
  readonly shift: number;
  /** Factor of the masses, and that of the first one. */
  readonly factor: number;
  readonly firstFactor: number;
  readonly from: number;
  /** A cell that isn't above the first atom's. */
  readonly cell: number;
}

/** Cells with what the inner loop needs of them at hand. */
class CellSums {
  readonly lows: Float64Array;
  readonly highs: Float64Array;
  readonly inverseWidths: Float64Array;
  readonly masses: Float64Array;
  readonly shares: Float64Array;

  constructor(edges: Float64Array) {
    this.lows = Float64Array.of(0, ...edges);
    this.highs = Float64Array.of(...edges, Infinity);
    this.inverseWidths = this.lows.map((low, k) => 1 / (k < edges.length ? edges[k]! - low : low));
    this.masses = new Float64Array(edges.length + 1);
    this.shares = new Float64Array(edges.length + 1);
  }

  /** Adds the law of shift + weight·ratio; ratios ascend, so the cell only moves up. Returns the first atom's cell. */
  addRow({ shift, factor, firstFactor, from, cell }: Row, { law, weight }: Weighted): number {
    const { lows, highs, inverseWidths, masses, shares } = this;
    const { ratios, masses: weights } = law;
    const start = firstAbove(highs, shift + weight * ratios[from]!, cell);
    let k = start;
    let [low, high, inverseWidth] = [lows[k]!, highs[k]!, inverseWidths[k]!];
    let mass = firstFactor * weights[from]!;
    let share = mass * ((shift + weight * ratios[from]! - low) * inverseWidth);
    for (let j = from + 1; j < ratios.length; j += 1) {
      const ratio = shift + weight * ratios[j]!;
      if (ratio >= high) {
        masses[k]! += mass;
        shares[k]! += share;
        mass = 0;
        share = 0;
        k = firstAbove(highs, ratio, k + 1);
        low = lows[k]!;
        high = highs[k]!;
        inverseWidth = inverseWidths[k]!;
      }
      const product = factor * weights[j]!;
      mass += product;
      share += product * ((ratio - low) * inverseWidth);
    }
    masses[k]! += mass;
    shares[k]! += share;
    return start;
  }
}

function firstAbove(highs: Float64Array, ratio: number, from: number): number {
  let k = from;
  while (ratio >= highs[k]!) k += 1;
  return k;
}

function addProduct(cells: CellSums, first: Weighted, second: Weighted): void {
  const { ratios, masses } = first.law;
  let cell = 0;
  for (let i = 0; i < ratios.length; i += 1) {
    const factor = masses[i]!;
    const row = { shift: first.weight * ratios[i]!, factor, firstFactor: factor, from: 0, cell };
    cell = cells.addRow(row, second);
  }
}

/** Two halves of one law: every unequal pair stands for both of its orders. */
function addSquare(cells: CellSums, half: Weighted): void {
  const { ratios, masses } = half.law;
  let cell = 0;
  for (let i = 0; i < ratios.length; i += 1) {
    const firstFactor = masses[i]!;
    const row = { shift: half.weight * ratios[i]!, factor: 2 * firstFactor, firstFactor, from: i, cell };
    cell = cells.addRow(row, half);
  }
}

/**
 * A law that dominates the cells: every mass moves to both ends of its cell, the mean kept. The last cell's upper end is infinity.
 *
 * A mean-preserving spread raises the expectation of every convex function of the ratio, and so of every sum with others;
 * both directions' δ(ε) are such expectations. What rounding or underflow may have taken from the outermost atoms is added.
 *
 * @example
 * ```ts
 * const exact = { infinite: 0, rounding: 0, massError: 0, ratioError: 0 };
 * const halves = new Float64Array([0, 0.5, 0.5]);
 * const cells = { edges: new Float64Array([1, 3]), masses: halves, shares: halves.map(x => x / 4), ...exact };
 * const law = spread(cells);
 * law.masses[1]; // ~0.375
 * law.infinite; // ~0.375
 * ```
 */
export function spread({ edges, masses, shares, ...rest }: RatioCells): RatioLaw {
  const count = edges.length;
  const spreadMasses = new Float64Array(count + 1);
  const guard = 4 * rest.rounding;
  spreadMasses[0] = Math.max(0, masses[0]! - shares[0]!) + guard * masses[0]! + underflow;
  for (let k = 1; k <= count; k += 1) {
    const staying = k < count ? Math.max(0, masses[k]! - shares[k]!) : masses[k]!;
    spreadMasses[k] = shares[k - 1]! + staying;
  }
  const beyond = shares[count]! + guard * masses[count]! + underflow;
  return {
    ratios: Float64Array.of(0, ...edges),
    masses: spreadMasses,
    infinite: rest.infinite + beyond * edges[count - 1]!,
    massError: rest.massError + 2 * unit,
    ratioError: rest.ratioError,
  };
}

/**
 * A law that the cells dominate: every cell's mass sits at its mean, by the same theorem turned around. Cells that
 * underflow may have robbed of digits are left out, which lowers every δ too.
 *
 * @example
 * ```ts
 * const exact = { infinite: 0, rounding: 0, massError: 0, ratioError: 0 };
 * const halves = new Float64Array([0, 0.5, 0.5]);
 * const law = contract({ edges: new Float64Array([1, 3]), masses: halves, shares: halves.map(x => x / 4), ...exact });
 * [...law.ratios]; // [1.5, 3.75]
 * ```
 */
export function contract({ edges, masses, shares, ...rest }: RatioCells): RatioLaw {
  const kept = [...masses.keys()].filter(k => masses[k]! > leastKept);
  const mean = (k: number): number => {
    const low = k > 0 ? edges[k - 1]! : 0;
    const width = k < edges.length ? edges[k]! - low : low;
    return low + width * (shares[k]! / masses[k]!);
  };
  return {
    ratios: Float64Array.from(kept, mean),
    masses: Float64Array.from(kept, k => masses[k]!),
    infinite: 0,
    massError: rest.massError + 2 * unit,
    // Means of the outer cells have no edge close by to measure them from.
    ratioError: rest.ratioError + 4 * unit + 4 * rest.rounding,
  };
}
