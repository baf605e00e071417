import { checkDelta, checkNonNegative, DpError } from '../../check.ts';
import { privacyCurve } from '../../curve.ts';
import { epsilonOf } from '../../epsilon.ts';
import type { DpEvent, Neighbours } from '../../event.ts';
import { normalCdf, normalQuantile } from '../../numerics/normal.ts';
import type { ProfilePoint } from '../claim.ts';
import { checkAuditDelta, verb } from './arguments.ts';

/**
 * A symmetric trade-off curve f by what tests need of it: the least false positive rate of an attacker with a true positive rate x,
 * f(1 - x). Between 0 and x, never falls in x.
 */
export type Tradeoff = (truePositiveRate: number) => number;

/**
 * The curve of a Gaussian mechanism with sensitivity ÷ noise `mu` (Dong, Roth and Su, arXiv 1905.02383, section 2.2).
 *
 * @param mu - >= 0
 * @example
 * ```ts
 * gaussianTradeoff(1)(0.5); // ~0.158655254
 * ```
 */
export function gaussianTradeoff(mu: number): Tradeoff {
  return rate => normalCdf(normalQuantile(rate) - mu);
}

/**
 * The curve that an (ε, δ) promise bounds from below, or several promises that hold at once: the largest of their lines
 * (arXiv 1905.02383, Proposition 2.12). Straight pieces, and a valid lower bound for every mechanism that keeps the promises.
 *
 * @param points - epsilon: in nats, >= 0; delta: in [0, 1), from above
 * @throws DpError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * tradeoffOfProfile([{ epsilon: 1, delta: 0.1 }])(0.5); // ~0.147151776
 * ```
 */
export function tradeoffOfProfile(points: readonly ProfilePoint[]): Tradeoff {
  if (points.length === 0) {
    throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: there are 0 points. Give at least one.`);
  }
  const slopes = points.map(({ epsilon }) => Math.exp(checkNonNegative(epsilon, { verb, name: 'epsilon' })));
  const deltas = points.map(({ delta }) => checkAuditDelta(delta));
  const lines = slopes.flatMap((slope, index) => [
    { slope, offset: 1 - deltas[index]! - slope },
    { slope: 1 / slope, offset: -deltas[index]! / slope },
  ]);
  return upperEnvelope([...lines, { slope: 0, offset: 0 }]);
}

/** The same for one promise, without a search. */
export function tradeoffOfPromise({ epsilon, delta }: ProfilePoint): Tradeoff {
  const slope = Math.exp(checkNonNegative(epsilon, { verb, name: 'epsilon' }));
  const [offset, lowOffset] = [1 - checkAuditDelta(delta) - slope, -delta / slope];
  return rate => Math.max(0, slope * rate + offset, rate / slope + lowOffset);
}

interface Line {
  readonly slope: number;
  readonly offset: number;
}

/** The largest of some lines, found by halving among those that are the largest anywhere. */
function upperEnvelope(lines: readonly Line[]): Tradeoff {
  const hull = hullOf(lines);
  const slopes = Float64Array.from(hull, ({ slope }) => slope);
  const offsets = Float64Array.from(hull, ({ offset }) => offset);
  const starts = Float64Array.from(hull, (line, index) =>
    index === 0 ? -Infinity : crossing(hull[index - 1]!, line),
  );
  return rate => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= rate) low = middle;
      else high = middle;
    }
    return Math.max(0, slopes[low]! * rate + offsets[low]!);
  };
}

/** Lines by ascending slope, each the largest from its crossing with the one before on. */
function hullOf(lines: readonly Line[]): readonly Line[] {
  const hull: Line[] = [];
  for (const line of [...lines].sort((a, b) => a.slope - b.slope || a.offset - b.offset)) {
    while (hull.length > 0 && isCovered(hull, line)) hull.pop();
    hull.push(line);
  }
  return hull;
}

function isCovered(hull: readonly Line[], next: Line): boolean {
  const last = hull.at(-1)!;
  if (last.slope === next.slope) return true;
  const before = hull.at(-2);
  return before !== undefined && crossing(last, next) <= crossing(before, last);
}

function crossing(a: Line, b: Line): number {
  return (a.offset - b.offset) / (b.slope - a.slope);
}

/** Lines of a mechanism's curve, evenly spaced in ε, and the width of their δ relative to itself. */
const [lineCount, relativeGap] = [48, 0.01];
/** The last line has a δ so much smaller than the least rate that lines beyond it say nothing. */
const beyond = 0.01;

/**
 * A lower bound of a mechanism's own trade-off curve, by lines from upper bounds of its privacy profile.
 *
 * @param options - neighbours; leastRate: the smallest rate that matters, in (0, 1)
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`, also where only lower bounds are known
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const least = tradeoffOfEvent(event, { neighbours: 'add-or-remove', leastRate: 1e-4 })(0.5);
 * least <= gaussianTradeoff(1)(0.5) && least > 0.157; // true
 * ```
 */
export function tradeoffOfEvent(
  event: DpEvent,
  options: { readonly neighbours: Neighbours; readonly leastRate: number },
): Tradeoff {
  const { neighbours } = options;
  const delta = checkDelta(options.leastRate, { verb, name: 'leastRate' }) * beyond;
  const { upper } = epsilonOf(event, { neighbours, delta, accountant: 'exact', relativeGap: 0.05 }).epsilon;
  if (upper === Infinity)
    throw new DpError(
      'UNSUPPORTED_EVENT',
      `Cannot ${verb}: the event's epsilon has no upper bound below ${upper}. Test the claimed epsilon alone.`,
    );
  const epsilons = Array.from({ length: lineCount + 1 }, (_, index) => (index * upper) / lineCount);
  const curve = privacyCurve(event, { epsilons, neighbours, relativeGap });
  const points = curve.map(({ epsilon, delta: { upper: most } }) => ({ epsilon, delta: most }));
  return tradeoffOfProfile(points.filter(({ delta: most }) => most < 1));
}
