import { deltaWords } from '../../accounting/audit/claim-statement.ts';
import type { Interval } from '../../accounting/accountant.ts';
import { DpError } from '../../accounting/check.ts';
import { epsilonCurve, epsilonOfPlan, type Plan } from '../../accounting/plan-entry.ts';
import { EpsilonAlong } from '../so-far.ts';
import { finding, type Finding } from './finding.ts';
import { ledgerStatement } from './ledger-statement.ts';
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
  /** The guarantee in sentences. */
  readonly statement: string;
}

const agreement = 0.02;
/** Machines differ in the last digits of a claim that is the upper bound itself. */
const rounding = 1e-9;

/**
 * Recomputes ε from the plan and the counted steps. Where lines state other noise than the plan, the upper end is that of the least
 * noise stated, the lower end that of the most.
 *
 * @param options - steps: counted; noise: the least and the most that the plan or a line states
 */
export function spentEpsilon(
  plan: Plan,
  options: { steps: number; noise: readonly [least: number, most: number]; delta?: number | undefined },
): SpentEpsilon {
  const { steps, noise, delta = plan.delta } = options;
  const at = (noiseMultiplier: number): Plan => ({ ...plan, delta, noiseMultiplier });
  const [least, most] = noise;
  const answers = epsilonOfPlan(at(least), { steps });
  const lower = most === least ? answers.epsilon.lower : epsilonOfPlan(at(most), { steps }).epsilon.lower;
  const epsilon = { lower, upper: answers.epsilon.upper };
  const bounds = Object.entries({ ...answers.byAccountant, ...answers.byConversion });
  const recomputed = bounds.map(([name, bound]) => [name, { lower: bound.lower ?? 0, upper: bound.upper }]);
  return {
    epsilon,
    delta,
    recomputed: Object.fromEntries(recomputed),
    statement: ledgerStatement(at(least), { epsilon, counted: steps }),
  };
}

/**
 * Holds a claim against the recomputed interval. `consistent` where the upper bound is within the claim and reaches 98 % of it;
 * further below, the claim is larger than it had to be.
 */
export function compareClaim(claim: LedgerClaim, spent: SpentEpsilon): Finding {
  const claimed = claim.epsilon;
  const { lower, upper } = spent.epsilon;
  const facts = { epsilon: spent.epsilon };
  const said = claimInWords(claim, spent.delta);
  if (lower > claimed.upper)
    return finding('claim-too-small', `${said} The steps counted cost at least ${inDigits(lower)}.`, {
      ...facts,
      detail: 'privacy_overstated',
    });
  if (upper > claimed.upper * (1 + rounding)) {
    const most = upper === Infinity ? 'and no upper bound is proved' : `and at most ${inDigits(upper)}`;
    return finding('claim-unproved', `${said} The steps counted cost at least ${inDigits(lower)}, ${most}.`, {
      ...facts,
      level: 'warning',
      detail: 'borderline',
    });
  }
  const detail = upper < (1 - agreement) * claimed.lower ? 'privacy_understated' : 'consistent';
  const text = `${said} The steps counted cost at most ${inDigits(upper)}.`;
  return finding('claim-holds', text, { ...facts, level: 'note', detail });
}

function claimInWords({ epsilon: { lower, upper } }: LedgerClaim, delta: number): string {
  const limit = lower === upper ? '' : 'at most ';
  return `The claim is an epsilon of ${limit}${inDigits(upper)} at delta ${deltaWords(delta)}.`;
}

/** Enough digits to tell a claim and what it is compared with apart. */
function inDigits(value: number): string {
  return String(Number(value.toPrecision(10)));
}

/** What lines say of ε along the way, against the accountants: each number of steps once. */
export class EpsilonCheck {
  readonly #stated = new Map<number, { value: number | null; line: number }>();
  readonly #findings: Finding[] = [];

  add({ entry: { soFar }, line }: KeyedStep): void {
    if (soFar === undefined) return;
    const known = this.#stated.get(soFar.steps);
    if (known === undefined) this.#stated.set(soFar.steps, { value: soFar.epsilonUpper, line });
    else if (known.value !== soFar.epsilonUpper) this.#findings.push(twoValues(line, known.line));
  }

  findings(plan: Plan): Finding[] {
    const along = new EpsilonAlong(plan);
    const points = [...this.#stated].flatMap(([count, { value, line }]) =>
      checkPoint(count, { value, line, along }),
    );
    return [...this.#findings, ...points];
  }
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
