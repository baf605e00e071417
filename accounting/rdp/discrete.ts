import type { DiscreteGaussianEvent, GuaranteeEvent, Neighbours, RandomisedResponseEvent } from '../event.ts';
import { ConvexPart, LogSum, logOnePlusExp } from './convex-part.ts';
import type { RenyiCurve } from './conversion.ts';

// More than the rounding of a few dozen positive terms.
const raised = 1e-12;

/**
 * RDP of k-ary randomised response under `replace`: true answer with 1 - p + p/k, each other one with p/k.
 *
 * Closed form in two positive terms; raised by 1e-12 of the moment minus 1 against rounding.
 *
 * @returns Infinity where the true answer is always given
 * @example
 * ```ts
 * const event = { kind: 'randomised-response', randomProbability: 0.5, buckets: 2 } as const;
 * randomisedResponseCurve(event)(2); // ~0.8473
 * ```
 */
export function randomisedResponseCurve(event: RandomisedResponseEvent): RenyiCurve {
  const { randomProbability, buckets } = event;
  if (buckets === 1 || randomProbability === 1) return () => 0;
  const loss = Math.log1p(((1 - randomProbability) / randomProbability) * buckets);
  return twoPointCurve(loss, Math.log(randomProbability / buckets));
}

/**
 * RDP of anything that is (epsilon, 0)-DP: that of randomised response with the losses ±epsilon.
 *
 * Kairouz, Oh, Viswanath (arXiv 1311.0776), Theorem 3.4, for the dominating pair. Whoever asks has set a delta above 0 aside.
 *
 * @returns Infinity where delta is above 0
 * @example
 * ```ts
 * guaranteeCurve({ kind: 'guarantee', epsilon: 1, delta: 0 })(2); // ~0.7353
 * ```
 */
export function guaranteeCurve({ epsilon, delta }: GuaranteeEvent): RenyiCurve {
  if (delta > 0) return () => Infinity;
  return twoPointCurve(epsilon, -logOnePlusExp(epsilon));
}

/** P / Q = exp(±loss), where Q has exp(logMass) at the larger ratio, and P at the smaller one. */
function twoPointCurve(loss: number, logMass: number): RenyiCurve {
  if (loss === 0) return () => 0;
  if (!(loss < Infinity)) return () => Infinity;
  return order => {
    const part = new ConvexPart(order);
    const sum = new LogSum();
    sum.add(logMass + part.logAt(loss, Math.expm1(loss)));
    sum.add(logMass + loss + part.logAt(-loss, Math.expm1(-loss)));
    const bound = logOnePlusExp(sum.value + raised) / (order - 1);
    return Math.min(bound * (1 + raised), loss * (1 + raised));
  };
}

// Where noise this wide meets the integers, sums over them are integrals to rounding.
const smoothScale = 1.5;

/**
 * RDP of discrete Gaussian noise on a whole number.
 *
 * With θ(c) = Σ exp(-(k - c)² / (2·scale²)) the moment is exp(a(a-1)Δ²/(2·scale²)) θ(aΔ) / θ(0), at most that of the Gaussian
 * (Canonne, Kamath, Steinke, arXiv 2004.00010, Proposition 5), which it is to rounding from scale 1.5. Below, small moments
 * are summed over the integers in positive terms, tails bounded. Both directions are equal. Raised by 1e-12 against rounding.
 *
 * @example
 * ```ts
 * const event = { kind: 'discrete-gaussian', scale: 0.3, sensitivity: 1 } as const;
 * discreteGaussianCurve(event, 'add-or-remove')(1.5) < 1.5 / 2 / 0.3 ** 2; // true
 * discreteGaussianCurve({ ...event, scale: 5 }, 'replace')(2); // ~0.16000000
 * ```
 */
export function discreteGaussianCurve(event: DiscreteGaussianEvent, neighbours: Neighbours): RenyiCurve {
  const { scale } = event;
  const shift = event.sensitivity * (neighbours === 'replace' ? 2 : 1);
  return order => {
    const plain = (order * (shift / scale) ** 2) / 2;
    if (scale >= smoothScale) return plain * (1 + raised);
    const growth = (order - 1) * plain;
    const logMoment =
      growth > 50
        ? growth + logTheta(order * shift, scale) - logTheta(0, scale)
        : logOnePlusExp(logExcessOnLattice(order, shift, scale) + raised);
    return Math.min(plain, logMoment / (order - 1)) * (1 + raised);
  };
}

function reachOf(scale: number): number {
  return Math.ceil(14.2 * scale) + 1;
}

function logTheta(centre: number, scale: number): number {
  const sum = new LogSum();
  const nearest = Math.round(centre);
  for (let k = nearest - reachOf(scale); k <= nearest + reachOf(scale); k += 1)
    sum.add(-(((k - centre) / scale) ** 2) / 2);
  return sum.value;
}

/** log of Σ Q(k) φ(r(k)) over the integers near both peaks, where Q(k) φ(r) <= Q(k) (r^a + a - 1), and of the rest. */
function logExcessOnLattice(order: number, shift: number, scale: number): number {
  const part = new ConvexPart(order);
  const growth = (order * (order - 1) * (shift / scale) ** 2) / 2;
  const logTotal = logTheta(0, scale);
  const reach = reachOf(scale);
  const sum = new LogSum();
  const addNear = (first: number, last: number): void => {
    for (let k = first; k <= last; k += 1) {
      const loss = (shift / scale) * ((k - shift / 2) / scale);
      const logTerm =
        order * loss > 600
          ? growth - ((k - order * shift) / scale) ** 2 / 2
          : -((k / scale) ** 2) / 2 + part.logAt(loss, Math.expm1(loss));
      sum.add(logTerm - logTotal);
    }
  };
  const peak = Math.round(order * shift);
  if (peak - reach <= reach) addNear(-reach, peak + reach);
  else {
    addNear(-reach, reach);
    addNear(peak - reach, peak + reach);
  }
  const logTail = Math.LN2 - ((reach - 0.5) / scale) ** 2 / 2 - logTotal;
  sum.add(logTail + 1 + logOnePlusExp(growth + Math.log(order)));
  return sum.value;
}
