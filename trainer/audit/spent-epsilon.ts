import type { Interval } from '../../accounting/accountant.ts';
import { DpError } from '../../accounting/check.ts';
import {
  epsilonCurve,
  epsilonOfPlan,
  statementOf,
  statementRows,
  type Plan,
} from '../../accounting/plan-entry.ts';
import { EpsilonAlong } from '../so-far.ts';
import { finding, type Finding } from './finding.ts';
import type { KeyedStep } from './course.ts';

/** What is said of a run's ε, from outside of its ledger. */
export interface LedgerClaim {
  /** What the printed digits stand for: "3.0" is [2.95, 3.05], "at most 3" is [0, 3]. */
  readonly epsilon: Interval;
  /** That of the plan where left out. */
  readonly delta?: number | undefined;
}

/** ε of the steps that a ledger counts, by the certified accountants. */
export interface SpentEpsilon {
  readonly epsilon: Interval;
  readonly delta: number;
  /** By accountant and conversion, for charts. */
  readonly recomputed: Readonly<Record<string, Interval>>;
  /** The guarantee in one sentence. */
  readonly statement: string;
}

const agreement = 0.02;
/** Machines differ in the last digits of a claim that is the upper bound itself. */
const rounding = 1e-9;

/**
 * Recomputes ε from the plan and the counted steps. Where lines state other noise than the plan, the upper end is that of the least
 * noise stated, the lower end that of the most.
 *
 * @param options - steps: counted; noise: multipliers that lines state
 */
export function spentEpsilon(
  plan: Plan,
  options: { steps: number; noise: readonly number[]; delta?: number | undefined },
): SpentEpsilon {
  const { steps, noise, delta = plan.delta } = options;
  const at = (noiseMultiplier: number): Plan => ({ ...plan, delta, noiseMultiplier });
  const [most, least] = noise.reduce(
    ([high, low], next) => [Math.max(high, next), Math.min(low, next)],
    [plan.noiseMultiplier, plan.noiseMultiplier],
  );
  const answers = epsilonOfPlan(at(least), { steps });
  const lower = most === least ? answers.epsilon.lower : epsilonOfPlan(at(most), { steps }).epsilon.lower;
  const epsilon = { lower, upper: answers.epsilon.upper };
  const bounds = Object.entries({ ...answers.byAccountant, ...answers.byConversion });
  const recomputed = bounds.map(([name, bound]) => [name, { lower: bound.lower ?? 0, upper: bound.upper }]);
  const facts = { epsilon, steps, answers };
  return {
    epsilon,
    delta,
    recomputed: Object.fromEntries(recomputed),
    statement: inOneSentence(at(least), facts),
  };
}

function inOneSentence(plan: Plan, facts: Parameters<typeof statementOf>[1]): string {
  const rows = new Map(
    statementRows(statementOf(plan, facts)).map(([label, ...lines]) => [label, lines.join('; ')]),
  );
  const parts = ['Guarantee', 'Unit of protection', 'Neighbours', 'Sampling', 'Steps'].map(label =>
    rows.get(label),
  );
  return parts.filter(part => part !== undefined).join('. ');
}

/**
 * Holds a claim against the recomputed interval. `consistent` where the upper bound is within the claim and reaches 98 % of it;
 * further below, the claim is larger than it had to be.
 */
export function compareClaim({ epsilon }: LedgerClaim, spent: SpentEpsilon): Finding {
  const { lower, upper } = spent.epsilon;
  const facts = { epsilon: spent.epsilon };
  const claimed = `The claim is epsilon ${epsilon.upper} at delta ${spent.delta}`;
  if (lower > epsilon.upper)
    return finding('claim-too-small', `${claimed}; the steps counted cost at least ${lower}.`, {
      ...facts,
      detail: 'privacy_overstated',
    });
  if (upper > epsilon.upper * (1 + rounding))
    return finding('claim-unproved', `${claimed}; the steps counted cost between ${lower} and ${upper}.`, {
      ...facts,
      level: 'warning',
      detail: 'borderline',
    });
  const detail = upper < (1 - agreement) * epsilon.lower ? 'privacy_understated' : 'consistent';
  const text = `${claimed}; the steps counted cost at most ${upper}.`;
  return finding('claim-holds', text, { ...facts, level: 'note', detail });
}

/** What lines say of ε along the way, against the accountants: each number of steps once. */
export function checkEpsilonAlong(steps: readonly KeyedStep[], plan: Plan): Finding[] {
  const stated = new Map<number, { value: number | null; line: number }>();
  const findings: Finding[] = [];
  for (const { entry, line } of steps) {
    const { soFar } = entry;
    if (soFar === undefined) continue;
    const known = stated.get(soFar.steps);
    if (known === undefined) stated.set(soFar.steps, { value: soFar.epsilonUpper, line });
    else if (known.value !== soFar.epsilonUpper) findings.push(twoValues(line, known.line));
  }
  const along = new EpsilonAlong(plan);
  for (const [count, { value, line }] of stated) findings.push(...checkPoint(count, { value, line, along }));
  return findings;
}

function twoValues(line: number, earlier: number): Finding {
  return finding(
    'epsilon-differs',
    `Lines ${earlier} and ${line} state two values of epsilon for the same number of steps.`,
    {
      level: 'warning',
    },
  );
}

function checkPoint(
  count: number,
  point: { value: number | null; line: number; along: EpsilonAlong },
): Finding[] {
  const { value, line, along } = point;
  const epsilon = along.at(count);
  const isAgreed =
    value === null ? epsilon.upper === Infinity : Math.abs(value - epsilon.upper) <= 1e-3 * value;
  if (isAgreed) return [];
  const text = `Line ${line} states epsilon ${value ?? 'without a bound'} after ${count} steps; it is between ${epsilon.lower} and ${epsilon.upper}.`;
  const isTooSmall = value !== null && value < epsilon.lower;
  return [
    isTooSmall
      ? finding('stated-too-small', text, { epsilon, detail: 'privacy_overstated' })
      : finding('epsilon-differs', text, { epsilon, level: 'warning' }),
  ];
}

/** What the run would have cost at least had its batches been shuffled; null where nothing is proved for that. */
export function lowerBoundIfShuffled(plan: Plan, { steps }: { steps: number }): Interval | null {
  const stepsPerEpoch = Math.ceil(1 / plan.sampler.samplingProbability);
  const { over, expectedBatchSize } = plan.sampler;
  const samplingProbability = 1 / stepsPerEpoch;
  const sampler = { kind: 'shuffled', over, samplingProbability, expectedBatchSize, stepsPerEpoch } as const;
  try {
    return epsilonCurve({ ...plan, sampler }, [steps])[0]!;
  } catch (error) {
    if (error instanceof DpError) return null;
    throw error;
  }
}
