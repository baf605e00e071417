import { DpError } from '../check.ts';
import type { DiscreteGaussianEvent, GuaranteeEvent, Neighbours, RandomisedResponseEvent } from '../event.ts';
import { discreteLaw, tight, type Atom, type EventLaws } from './law.ts';

/** How much of a law on all whole numbers may be cut. */
export interface CutOptions {
  /** Natural logarithm of the mass that may be cut from both tails together; at most -1. */
  readonly logTail?: number;
}

const widestScale = 1e4;
const negligibleLogTail = -720;

/**
 * Laws of the discrete Gaussian mechanism on whole numbers (Canonne, Kamath and Steinke, arXiv 2004.00010).
 *
 * The pair is the noise around the sensitivity against the noise around 0: of all shifts the largest dominates, since it only
 * raises every upper tail. `replace` doubles the sensitivity. Both directions are the same by symmetry.
 * The tails that are cut, in total at most exp(logTail), count as infinite losses; exp(-720) is less than any bound resolves, so
 * both laws are the same then. With a larger `logTail` the attained law goes without them.
 *
 * @param event - scale: at most 10,000, for the law has 76 atoms per unit of scale; sensitivity: whole, >= 1
 * @throws DpError `INVALID_ARGUMENT` for a wider scale
 * @example
 * ```ts
 * const event = { kind: 'discrete-gaussian', scale: 2, sensitivity: 1 } as const;
 * const { atoms } = discreteGaussianLaws(event, 'add-or-remove').dominating.remove;
 * atoms.length; // 153
 * atoms[76].loss; // 0.125
 * Math.exp(atoms[76].logMass); // ~0.199471140
 * ```
 */
export function discreteGaussianLaws(
  event: DiscreteGaussianEvent,
  neighbours: Neighbours,
  { logTail = negligibleLogTail }: CutOptions = {},
): EventLaws {
  const { scale } = event;
  if (scale > widestScale) {
    const reason = `scale is ${scale}, which needs too many atoms. Give at most ${widestScale}`;
    throw new DpError('INVALID_ARGUMENT', `Cannot bound the discrete Gaussian: ${reason}.`);
  }
  const sensitivity = event.sensitivity * (neighbours === 'replace' ? 2 : 1);
  const atoms = gaussianAtoms({ scale, sensitivity, logTail });
  const above = discreteLaw(atoms, Math.exp(logTail));
  if (logTail <= negligibleLogTail) return tight(above, above);
  const below = discreteLaw(atoms);
  return { dominating: { remove: above, add: above }, attained: { remove: below, add: below } };
}

function gaussianAtoms(cut: { scale: number; sensitivity: number; logTail: number }): Atom[] {
  const { scale, sensitivity, logTail } = cut;
  // Beyond k the discrete law has at most the mass of N(0, scale²) beyond k (ibid., Proposition 25), at most exp(-x²/2) / 2.
  const reach = Math.ceil(scale * Math.sqrt(-2 * logTail));
  const logTotal = logGaussianSum(scale);
  return Array.from({ length: 2 * reach + 1 }, (_, index) => {
    const away = index - reach;
    return {
      loss: ((sensitivity / scale) * (2 * away + sensitivity)) / (2 * scale),
      logMass: -((away / scale) ** 2) / 2 - logTotal,
    };
  });
}

/** log Σ exp(-k²/(2·scale²)) over all whole k; from scale 2 up Poisson's formula differs from the integral by 1e-33. */
function logGaussianSum(scale: number): number {
  if (scale >= 2) return Math.log(scale) + Math.log(2 * Math.PI) / 2;
  let oneSide = 0;
  for (let k = Math.ceil(40 * scale); k > 0; k -= 1) oneSide += Math.exp(-((k / scale) ** 2) / 2);
  return Math.log1p(2 * oneSide);
}

/**
 * Laws of randomised response with `buckets` answers (Warner 1965; k-ary as in Kairouz, Bonawitz and Ramage, arXiv 1602.07387).
 *
 * @param event - randomProbability: of a uniformly random answer; 0 gives the truth away
 * @returns undefined but for `replace`: an answer can be exchanged, not be missing
 * @example
 * ```ts
 * const event = { kind: 'randomised-response', randomProbability: 0.5, buckets: 2 } as const;
 * const { highest } = randomisedResponseLaws(event, 'replace').dominating.remove;
 * highest; // ~1.09861229
 * ```
 */
export function randomisedResponseLaws(
  event: RandomisedResponseEvent,
  neighbours: Neighbours,
): EventLaws | undefined {
  if (neighbours !== 'replace') return undefined;
  const { randomProbability, buckets } = event;
  if (randomProbability === 0) {
    const revealed = discreteLaw([], 1);
    return tight(revealed, revealed);
  }
  const loss = Math.log1p((buckets * (1 - randomProbability)) / randomProbability);
  const logOther = Math.log(randomProbability) - Math.log(buckets);
  const law = discreteLaw([
    { loss, logMass: logTruth(event) },
    { loss: 0, logMass: logOther + Math.log(buckets - 2) },
    { loss: 0 - loss, logMass: logOther },
  ]);
  return tight(law, law);
}

function logTruth({ randomProbability, buckets }: RandomisedResponseEvent): number {
  const share = randomProbability / buckets;
  return randomProbability < 0.5
    ? Math.log1p(-share * (buckets - 1))
    : Math.log(1 - randomProbability + share);
}

/**
 * The law that dominates every mechanism with an (ε, δ) guarantee (Kairouz, Oh and Viswanath, arXiv 1311.0776, Theorem 3.3).
 *
 * Attained by the worst of them, a randomised response, which is what the event stands for: the bounds are on the best
 * statement that follows from the guarantee alone, whatever mechanism is behind it.
 *
 * @param event - epsilon: in nats, >= 0; delta: in [0, 1]
 * @example
 * ```ts
 * const { remove } = guaranteeLaws({ kind: 'guarantee', epsilon: 1, delta: 1e-6 }).dominating;
 * remove.infinite; // 0.000001
 * remove.atoms.map(({ loss }) => loss); // [1, -1]
 * ```
 */
export function guaranteeLaws({ epsilon, delta }: GuaranteeEvent): EventLaws {
  const logKept = Math.log1p(-delta);
  const logMass = logKept - Math.log1p(Math.exp(-epsilon));
  const atoms =
    epsilon === 0
      ? [{ loss: 0, logMass: logKept }]
      : [
          { loss: epsilon, logMass },
          { loss: -epsilon, logMass: logMass - epsilon },
        ];
  const law = discreteLaw(atoms, delta);
  return tight(law, law);
}
