import type { LaplaceEvent, Neighbours, SubsampledLaplaceEvent } from '../event.ts';
import { tight, type EventLaws, type LossLaw } from './law.ts';
import type { LossCurve } from './loss-curve.ts';

/** Shares of Laplace noise around this place and around the other one; together 1. */
interface Shares {
  readonly here: number;
  readonly there: number;
}

interface Step {
  /** Between the two places, in units of the noise's scale. */
  readonly distance: number;
  readonly samplingProbability: number;
  readonly direction: 'remove' | 'add';
}

const logRootTwoPi = Math.log(2 * Math.PI) / 2;

/**
 * Laws of the Laplace mechanism, bare or Poisson-subsampled; all are tight.
 *
 * With sampling, remove is (1 - q) Lap(0) + q Lap(1) against Lap(0) and add the reverse (Zhu, Dong and Wang, arXiv 2106.08567,
 * Theorem 11). The loss is constant outside [0, 1], so each law has an atom at either end, and between them a curve from each
 * end to the middle; their places are distances from that end in units of the scale.
 * Replace doubles the sensitivity; with sampling nothing is proven for it.
 *
 * @param event - noiseMultiplier: scale of the noise ÷ L1 sensitivity
 * @returns undefined for `replace` with sampling
 * @example
 * ```ts
 * const laws = laplaceLaws({ kind: 'laplace', noiseMultiplier: 0.5 }, 'add-or-remove');
 * laws.dominating.remove.highest; // 2
 * laws.dominating.remove.atoms.map(({ loss }) => loss); // [-2, 2]
 * ```
 */
export function laplaceLaws(
  event: LaplaceEvent | SubsampledLaplaceEvent,
  neighbours: Neighbours,
): EventLaws | undefined {
  const samplingProbability = event.kind === 'laplace' ? 1 : event.samplingProbability;
  const step = { distance: 1 / event.noiseMultiplier, samplingProbability };
  if (samplingProbability === 1) {
    const distance = step.distance * (neighbours === 'replace' ? 2 : 1);
    const law = laplaceLaw({ ...step, distance, direction: 'remove' });
    return tight(law, law);
  }
  if (neighbours === 'replace') return undefined;
  return tight(laplaceLaw({ ...step, direction: 'remove' }), laplaceLaw({ ...step, direction: 'add' }));
}

function laplaceLaw(step: Step): LossLaw {
  const { distance } = step;
  const still = sharesOfP(step);
  const [atStill, atMoved] = [lossAt(step, -distance), lossAt(step, distance)];
  const atoms = [
    { loss: atStill, logMass: logBlend(still, -distance) - Math.LN2 },
    { loss: atMoved, logMass: logBlend(reversed(still), -distance) - Math.LN2 },
  ];
  const curves = [halfCurve(step, 'still'), halfCurve(step, 'moved')];
  return { curves, atoms, infinite: 0, highest: Math.max(atStill, atMoved) };
}

/** As seen from the noise that is still. */
function sharesOfP({ direction, samplingProbability }: Step): Shares {
  return direction === 'remove' ? sampledShares(samplingProbability) : { here: 1, there: 0 };
}

function sampledShares(samplingProbability: number): Shares {
  return { here: 1 - samplingProbability, there: samplingProbability };
}

/** The loss where the moved noise is e^logRatio times as likely as the still one. */
function lossAt({ direction, samplingProbability }: Step, logRatio: number): number {
  const loss = logBlend(sampledShares(samplingProbability), logRatio);
  return direction === 'remove' ? loss : -loss;
}

/** From one end to the middle; places are negative where the loss falls on the way. */
function halfCurve(step: Step, end: 'still' | 'moved'): LossCurve {
  const { distance, direction } = step;
  const middle = distance / 2;
  const side = end === 'still' ? 1 : -1;
  const isOutward = (end === 'still') === (direction === 'remove');
  const shares = end === 'still' ? sharesOfP(step) : reversed(sharesOfP(step));
  const lossAway = (away: number): number => lossAt(step, side * (2 * away - distance));
  const logDensity = (away: number): number =>
    logBlend(shares, 2 * away - distance) - away - Math.LN2 + logRootTwoPi;
  const inner = (away: number): number =>
    logMassIn(shares, { from: 0, to: Math.min(away, middle), distance });
  const outer = (away: number): number =>
    logMassIn(shares, { from: Math.max(away, 0), to: middle, distance });
  // Tails are searched for at least that far, so to the middle if need be.
  const steepest = 2 + middle;
  if (isOutward)
    return { from: 0, to: middle, steepest, loss: lossAway, logDensity, logBelow: inner, logAbove: outer };
  return {
    from: -middle,
    to: 0,
    steepest,
    loss: place => lossAway(-place),
    logDensity: place => logDensity(-place),
    logBelow: x => outer(-x),
    logAbove: x => inner(-x),
  };
}

/** log of the mass between two distances from this end; -Infinity where there is nothing between them. */
function logMassIn(
  shares: Shares,
  { from, to, distance }: { from: number; to: number; distance: number },
): number {
  if (to <= from) return -Infinity;
  return Math.log(-Math.expm1(from - to) / 2) - from + logBlend(shares, from + to - distance);
}

function reversed({ here, there }: Shares): Shares {
  return { here: there, there: here };
}

/** log(here + there·e^t), without cancellation where it is near 0 and without overflow. */
function logBlend({ here, there }: Shares, t: number): number {
  if (here === 0) return t + Math.log(there);
  const excess = there * Math.expm1(t);
  if (excess > -0.5 && excess < 1e300) return Math.log1p(excess);
  return t > 0 ? t + Math.log(there + here * Math.exp(-t)) : Math.log(here + there * Math.exp(t));
}
