import { cumulantAt, panelLoss, repeatedLoss, stepCumulant, type RepeatedLoss } from '../laws/cumulants.ts';
import { carefulCumulant } from '../laws/nodes.ts';
import type { Profile } from './profile.ts';
import { highestWeight } from './composer.ts';

/*
 * Runs in which some step's loss lies far above ε. All others together hardly ever bring the sum L back below ε, so that
 * (1 - exp(ε - L))+ is 1 - exp(ε - L), whose mean over these runs is P - exp(ε) Q: closed forms, however heavy the tail is.
 * It is a lower bound; what is missing, E(exp(ε - L) - 1)+, has a bound by moments of negative order.
 */

/** The losses beyond a threshold split off: their δ, and the laws without them. */
export interface FarSplit {
  readonly profile: Profile;
  readonly near: readonly RepeatedLoss[];
}

/** Thresholds that are tried, in multiples of ε. */
const multiples = [1.1, 1.3, 1.7, 2.5, 4, 8, 16];
/** log of the share of δ that may be missing. */
const logNegligible = -30;

/**
 * Splits off the losses beyond the smallest multiple of ε where the closed form is right.
 *
 * @param at - logDelta: about what δ is at ε
 * @returns undefined where there is no such multiple, or nothing beyond it
 */
export function splitFar(
  parts: readonly RepeatedLoss[],
  at: { readonly epsilon: number; readonly logDelta: number },
): FarSplit | undefined {
  for (const multiple of multiples) {
    const threshold = multiple * at.epsilon;
    const far = parts.map(part => subLaw(part, loss => loss > threshold));
    if (far.every(({ losses }) => losses.length === 0)) return undefined;
    const order = lowestOrder(parts, far, at);
    if (order === undefined) continue;
    const missing = logMissing(parts, far, order) + 1e-6;
    const near = parts.map((part, index) => withoutLosses(part, far[index]!, loss => loss <= threshold));
    // Up to there what is missing stays negligible.
    const last = Math.min(threshold, at.epsilon + 10 / order);
    return { near, profile: farProfile(parts, far, { order, missing, last }) };
  }
  return undefined;
}

/** One step's losses in a range: the panels whose middle lies there, and the atoms. */
export function subLaw({ table }: RepeatedLoss, isInside: (loss: number) => boolean): RepeatedLoss {
  const panels = table.panels.filter(panel => isInside(panelLoss(panel, 0)));
  const atoms = table.atoms.filter(({ loss }) => isInside(loss));
  return { ...repeatedLoss({ ...table, panels, atoms, outside: 0, infinite: 0 }, 1), isWhole: false };
}

/** The law that is left when some losses are taken for infinite ones. */
export function withoutLosses(
  whole: RepeatedLoss,
  taken: RepeatedLoss,
  isLeft: (loss: number) => boolean,
): RepeatedLoss {
  if (taken.losses.length === 0) return whole;
  const left = subLaw(whole, isLeft);
  const infinite = whole.table.infinite + massOf(taken);
  return {
    ...left,
    table: { ...left.table, infinite },
    count: whole.count,
    isWhole: whole.isWhole,
  };
}

export function massOf({ weights }: RepeatedLoss): number {
  return weights.reduce((sum, weight) => sum + weight, 0);
}

/** Share of either term that quadrature and exponentials may be wrong by. */
const rounding = 4e-12;

/** P - exp(ε) Q, as D - Q (exp(ε) - 1) with D = P - Q, in which nothing cancels for small losses. */
function farProfile(
  parts: readonly RepeatedLoss[],
  far: readonly RepeatedLoss[],
  { order, missing, last }: { readonly order: number; readonly missing: number; readonly last: number },
): Profile {
  const { underQ, difference } = farMasses(parts, far);
  const logScale = Math.log(difference);
  const share = underQ / difference;
  return {
    tilt: 0,
    logScale,
    valueAt: epsilon => Math.max(0, 1 - share * Math.expm1(epsilon)),
    last,
    relativeError: 0,
    errorAt: epsilon =>
      rounding * (1 + share * Math.expm1(epsilon)) + Math.exp(missing + order * epsilon - logScale),
    outside: 0,
    infinite: 0,
    deviation: 0,
  };
}

/** Chances under P and Q that some loss is far, and their difference without what it would lose by being taken. */
interface FarMasses {
  readonly underQ: number;
  readonly difference: number;
}

/** With f and a the finite masses of a step under P and Q, and p and q those of its far losses. */
function farMasses(parts: readonly RepeatedLoss[], far: readonly RepeatedLoss[]): FarMasses {
  let [logF, logA, noneUnderP, noneUnderQ, apart] = [0, 0, 0, 0, 0];
  parts.forEach((part, index) => {
    const { infinite } = part.table;
    const { count } = part;
    const [f, excess] = [1 - infinite, excessUnderQ(part) - infinite];
    const a = 1 + excess;
    const [p, lost] = [massOf(far[index]!), -excessUnderQ(far[index]!)];
    const q = p - lost;
    // p/f - q/a
    const gap = lost / f + (q * (excess + infinite)) / (f * a);
    logF += count * Math.log1p(-infinite);
    logA += count * Math.log1p(excess);
    noneUnderP += count * Math.log1p(-p / f);
    noneUnderQ += count * Math.log1p(-q / a);
    apart += count * Math.log1p(gap / (1 - p / f));
  });
  const someUnderQ = -Math.expm1(noneUnderQ);
  const difference = Math.exp(noneUnderP) * Math.expm1(apart) - Math.expm1(logA - logF) * someUnderQ;
  return { underQ: Math.exp(logA) * someUnderQ, difference: Math.exp(logF) * difference };
}

/** What the mass under Q has more than that under P. */
function excessUnderQ({ losses, weights, logWeights }: RepeatedLoss): number {
  let sum = 0;
  for (let k = 0; k < losses.length; k += 1) {
    const loss = losses[k]!;
    sum += loss > -1 ? weights[k]! * Math.expm1(-loss) : Math.exp(logWeights[k]! - loss) - weights[k]!;
  }
  return sum;
}

/** The lowest order, nearly, at which the bound on what is missing at ε is negligible, by the cheaper quadrature. */
function lowestOrder(
  parts: readonly RepeatedLoss[],
  far: readonly RepeatedLoss[],
  { epsilon, logDelta }: { readonly epsilon: number; readonly logDelta: number },
): number | undefined {
  for (let power = 0; power <= 26; power += 1) {
    const order = 1 + 2 ** (power / 2) / epsilon;
    const moment = logFar(parts, far, order) + cumulantAt(parts, -order).value;
    if (moment + Math.log(highestWeight(order - 1)) + order * epsilon <= logDelta + logNegligible)
      return order;
  }
  return undefined;
}

/**
 * log of the least c, nearly, with E(exp(ε - L) - 1)+ <= c·exp(order·ε) over the runs with a far loss: (exp(x) - 1)+ is at most
 * highestWeight(order - 1) exp(order·x), and the mean over these runs at most the sum over the step whose loss is far.
 */
function logMissing(parts: readonly RepeatedLoss[], far: readonly RepeatedLoss[], order: number): number {
  const logs = far.flatMap((law, jumping) => {
    if (law.losses.length === 0) return [];
    const others = parts.map((part, index) => ({ ...part, count: part.count - (index === jumping ? 1 : 0) }));
    const moment = carefulCumulant([law, ...others.filter(({ count }) => count > 0)], -order, 'above');
    return [moment + Math.log(parts[jumping]!.count)];
  });
  return logSum(logs) + Math.log(highestWeight(order - 1));
}

function logSum(logs: readonly number[]): number {
  const most = Math.max(...logs);
  return most + Math.log(logs.reduce((sum, log) => sum + Math.exp(log - most), 0));
}

/** log of Σ count × E(exp(-order·loss); far) ÷ E exp(-order·loss). */
function logFar(parts: readonly RepeatedLoss[], far: readonly RepeatedLoss[], order: number): number {
  const logs = far.flatMap((law, index) => {
    if (law.losses.length === 0) return [];
    const { value } = stepCumulant(law, -order);
    return [value - stepCumulant(parts[index]!, -order).value + Math.log(parts[index]!.count)];
  });
  return logSum(logs);
}
