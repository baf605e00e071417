import type { Interval } from './accountant.ts';
import { checkProbability, DpError } from './check.ts';
import { exactDeltas } from './contour/contour.ts';
import type { QuestionOptions } from './epsilon.ts';
import type { DpEvent } from './event.ts';

/** For which attackers the risk is asked. */
export interface RiskOptions extends Pick<QuestionOptions, 'neighbours' | 'relativeGap'> {
  /** Shares of non-members that the attacker may accuse, each in (0, 1). */
  readonly falsePositiveRates: readonly number[];
  /** What the attacker believes beforehand of membership, in (0, 1); 1/2 where left out. */
  readonly prior?: number | undefined;
}

/** What the best attacker who sees everything that is released can achieve in telling neighbouring tables apart. */
export interface AttackRisk {
  /** True minus false positive rate of the best test: the total variation, δ at ε = 0. */
  readonly advantage: Interval;
  /** For each false positive rate asked: no test finds a larger share of members. Upper bounds. */
  readonly truePositiveRates: readonly { readonly falsePositiveRate: number; readonly upper: number }[];
  /** Probability of the best guess about membership being wrong, at the prior. */
  readonly bayesError: Interval;
  readonly prior: number;
}

const verb = 'compute the attack risk';
/** ε in nats between neighbouring lines that bound the trade-off curve. */
const [coarse, fine] = [0.25, 1 / 64];
/** Width of the coarse lines' δ, relative to it: they only tell where to look. */
const coarseGap = 0.05;

/**
 * What a guarantee means for an attacker who tests whether one unit took part: advantage, detection rates and Bayes error.
 *
 * Every δ(ε) is a line above the attacker's trade-off curve, TPR <= e^ε FPR + δ(ε), and with the tables' roles exchanged
 * TPR <= 1 - e^-ε (1 - δ(ε) - FPR) (Dong, Roth and Su, arXiv 1905.02383, Proposition 2.12); the least of many lines is answered, so each rate is an
 * upper bound. Bayes error at prior π <= 1/2 is π (1 - δ(log((1 - π) / π))).
 *
 * @throws DpError `INVALID_ARGUMENT`; `UNSUPPORTED_EVENT`
 * @example
 * ```ts
 * const event = { kind: 'gaussian', noiseMultiplier: 1 } as const;
 * const risk = attackRisk(event, { falsePositiveRates: [0.01], neighbours: 'add-or-remove' });
 * risk.advantage.upper; // ~0.38292
 * risk.truePositiveRates[0].upper; // ~0.0924
 * risk.bayesError.lower; // ~0.30854
 * ```
 */
export function attackRisk(event: DpEvent, options: RiskOptions): AttackRisk {
  const { neighbours, relativeGap, prior = 0.5 } = options;
  const rates = options.falsePositiveRates.map(rate =>
    checkProbability(rate, { verb, name: 'a false positive rate' }),
  );
  const rarer = checkPrior(prior);
  const deltas = (epsilons: readonly number[], gap = relativeGap): readonly Interval[] =>
    exactDeltas(event, { epsilons, neighbours, relativeGap: gap });
  const [advantage, atPrior] = deltas([0, Math.log((1 - rarer) / rarer)]);
  const grid = epsilonGrid(rates);
  const rough = deltas(grid, coarseGap);
  const lines = grid.map((epsilon, index) => ({ epsilon, delta: rough[index]!.upper }));
  return {
    advantage: { lower: advantage!.lower, upper: advantage!.upper },
    truePositiveRates: rates.map(falsePositiveRate => ({
      falsePositiveRate,
      upper: refinedRate(lines, falsePositiveRate, epsilons => deltas(epsilons).map(({ upper }) => upper)),
    })),
    bayesError: { lower: rarer * (1 - atPrior!.upper), upper: rarer * (1 - atPrior!.lower) },
    prior,
  };
}

/** The probability of the less likely of both, membership or not. */
function checkPrior(prior: number): number {
  const rarer = Math.min(checkProbability(prior, { verb, name: 'prior' }), 1 - prior);
  if (rarer >= 1e-300) return rarer;
  const remedy = 'Give a probability of at least 1e-300 and below 1';
  throw new DpError('INVALID_ARGUMENT', `Cannot ${verb}: prior is ${prior}. ${remedy}.`);
}

interface Line {
  readonly epsilon: number;
  readonly delta: number;
}

/** ε up to where e^ε × the smallest rate exceeds 1, beyond which no line says anything of use. */
function epsilonGrid(rates: readonly number[]): number[] {
  const least = rates.reduce((a, b) => Math.min(a, b), 1);
  const count = Math.ceil(-Math.log(least) / coarse) + 1;
  return Array.from({ length: count }, (_, index) => index * coarse);
}

/** The least bound of the coarse lines, and of finer ones around the best of them. */
function refinedRate(
  lines: readonly Line[],
  rate: number,
  deltas: (epsilons: readonly number[]) => readonly number[],
): number {
  const best = lines.reduce((a, b) => (boundBy(b, rate) < boundBy(a, rate) ? b : a));
  const count = Math.round((2 * coarse) / fine) + 1;
  const epsilons = Array.from({ length: count }, (_, index) =>
    Math.max(0, best.epsilon - coarse + index * fine),
  );
  const finer = deltas(epsilons).map((delta, index) => ({ epsilon: epsilons[index]!, delta }));
  return [best, ...finer].reduce((least, line) => Math.min(least, boundBy(line, rate)), 1);
}

function boundBy({ epsilon, delta }: Line, rate: number): number {
  const direct = Math.exp(epsilon) * rate + delta;
  const mirrored = 1 - Math.exp(-epsilon) * (1 - delta - rate);
  // A few roundings up; a rate is at most 1.
  return Math.min(1, Math.min(direct, mirrored) * (1 + 1e-15));
}
