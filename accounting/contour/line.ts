import { cumulantAt, type RepeatedLoss } from '../laws/cumulants.ts';
import { carefulCumulant } from '../laws/nodes.ts';
import { highestWeight, type ProfileRequest } from '../profiles/composer.ts';

/** A vertical line through the tilt and the terms on it. */
export interface Line {
  /** Deviation of the Gaussian that is composed in. */
  readonly deviation: number;
  /** Distance of the terms. */
  readonly spacing: number;
  /** Index of the last term. */
  readonly terms: number;
  /** Range of ε for which `missing` holds. */
  readonly first: number;
  readonly last: number;
  /** Bound on what the sum lacks or has too much, scaled like the profile's values. */
  readonly missing: number;
  readonly isFinest: boolean;
}

/** Log of what may be missing, relative to the value. */
const logNegligible = -34;
const mostTerms = 2 ** 20;
const mostNodes = 8e6;
/** The gap between upper and lower bound is about this × deviation² × (1 + tilt); see profiles/profile.ts. */
const gapFactor = 1.35;
/** The lower bound's chords are straight in exp(ε), so it says little where they span more than a nat. */
const widest = 0.5;
/** Deviations around ε that the lower bound looks at. */
const margin = 40;

/** The cheapest line that promises the wanted gap, or the finest that is allowed. */
export function layLine(parts: readonly RepeatedLoss[], request: ProfileRequest): Line {
  const { tilt, gap } = request;
  const wanted = Math.min(widest, Math.sqrt(gap / (gapFactor * (1 + tilt))));
  const line = lineWith(parts, request, wanted);
  const rise = Math.max(1e-9, ...parts.map(riseOf));
  if (2 * rise * tilt > mostNodes) return nothingSeen(line);
  const nodes = 2 * rise * line.spacing * line.terms;
  const excess = Math.max(line.terms / mostTerms, nodes / mostNodes);
  if (excess <= 1) return line;
  const coarse = lineWith(parts, request, wanted * excess * 1.05);
  return coarse.terms <= 2 * mostTerms ? { ...coarse, isFinest: true } : nothingSeen(coarse);
}

/** Where no line of allowed length shows anything: a profile that claims nothing. */
function nothingSeen(line: Line): Line {
  return { ...line, terms: 1, missing: Infinity, isFinest: true };
}

/** Nats between the lowest and the highest loss in the panels of a step. */
function riseOf({ table, losses }: RepeatedLoss): number {
  if (table.panels.length === 0) return 0;
  const [least, most] = losses.reduce(
    ([a, b], loss) => [Math.min(a, loss), Math.max(b, loss)],
    [Infinity, -Infinity],
  );
  return most - least;
}

function lineWith(
  parts: readonly RepeatedLoss[],
  { tilt, epsilon }: ProfileRequest,
  deviation: number,
): Line {
  const { value, curvature } = cumulantAt(parts, tilt);
  const spread = Math.sqrt(curvature);
  const first = Math.max(0, epsilon - 2 * spread) - margin * deviation;
  const last = epsilon + 2 * spread + margin * deviation;
  const logValue = logSaddle(curvature, tilt);
  const floor = logValue + logNegligible;
  const scale = value + (deviation ** 2 * tilt * (tilt + 1)) / 2;
  // Below: δ is at most the mass at ε - 2π/h.
  const logMass = logMassOf(parts);
  const below = (tilt * last + logMass - scale - floor) / tilt;
  const above = aliasAbove(parts, { tilt, deviation, first, floor });
  const period = Math.max(below, above.period, last - first);
  const spacing = (2 * Math.PI) / period;
  const reach = reachFor(deviation, floor);
  const alias = Math.exp(tilt * (last - period) + logMass - scale) + Math.exp(above.logAt(period));
  return {
    deviation,
    spacing,
    terms: Math.ceil(reach / spacing),
    first,
    last,
    missing: alias * 1.01 + Math.exp(logUnsummed(reach, deviation)),
    isFinest: false,
  };
}

/** log of the mass of all losses together, 0 but for pieces of a law. */
function logMassOf(parts: readonly RepeatedLoss[]): number {
  return parts.reduce((sum, { weights, count, isWhole }) => {
    if (isWhole) return sum;
    return sum + count * (Math.log(weights.reduce((mass, weight) => mass + weight, 0)) + 1e-9);
  }, 0);
}

/** Log of the profile's value at the saddle, by the saddle-point approximation; only a guide. */
function logSaddle(curvature: number, tilt: number): number {
  const spread = curvature + 1 / (tilt * tilt) + 1 / ((1 + tilt) * (1 + tilt));
  return -Math.log(tilt) - Math.log1p(tilt) - Math.log(2 * Math.PI * spread) / 2;
}

/** Chernoff's bound on what the periods above `first` add, at the rate that needs the shortest period. */
function aliasAbove(
  parts: readonly RepeatedLoss[],
  options: {
    readonly tilt: number;
    readonly deviation: number;
    readonly first: number;
    readonly floor: number;
  },
): { period: number; logAt: (period: number) => number } {
  const { tilt, deviation, first, floor } = options;
  const { value, curvature } = cumulantAt(parts, tilt);
  const usual = Math.sqrt(68 / Math.max(curvature, (0.01 / (1 + tilt)) ** 2));
  let best = { period: Infinity, rate: usual, log: 0 };
  for (let power = -20; power <= 12; power += 1) {
    const rate = usual * 2 ** (power / 4);
    const far = tilt + rate;
    const damping = (deviation ** 2 / 2) * (far * (far + 1) - tilt * (tilt + 1));
    const log =
      Math.log(highestWeight(far)) + cumulantAt(parts, far).value - value + damping - rate * first + 0.01;
    const period = (log - floor) / rate;
    if (period < best.period) best = { period, rate, log };
  }
  const careful = carefulCumulant(parts, tilt + best.rate, 'above') - carefulCumulant(parts, tilt, 'below');
  const cheap = cumulantAt(parts, tilt + best.rate).value - value;
  best = { ...best, log: best.log + careful - cheap, period: best.period + (careful - cheap) / best.rate };
  return { period: Math.max(best.period, 1 / best.rate), logAt: period => best.log - best.rate * period };
}

/** The least |y|, nearly, beyond which the sum is below exp(floor). */
function reachFor(deviation: number, floor: number): number {
  let reach = 1 / deviation;
  while (logUnsummed(reach, deviation) > floor) reach *= 1.02;
  return reach;
}

/** Log of (1/π) ∫ exp(-deviation²y²/2) / y² dy beyond `reach`, a bound on the terms left out: |z (1 + z)| >= y². */
function logUnsummed(reach: number, deviation: number): number {
  const turns = deviation * reach;
  return -(turns * turns) / 2 - Math.log(Math.PI * turns * turns * reach);
}
