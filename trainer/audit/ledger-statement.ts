import { deltaWords } from '../../accounting/audit/claim-statement.ts';
import { downwardDigits, upwardDigits } from '../../accounting/audit/safe-digits.ts';
import type { Interval } from '../../accounting/accountant.ts';
import type { Plan } from '../../accounting/plan.ts';

/** What a ledger proves of a run's guarantee. */
export interface LedgerFacts {
  readonly epsilon: Interval;
  readonly counted: number;
}

/** The guarantee of the steps that a ledger counts, in two sentences: epsilon with its side, delta, unit, neighbours, sampling; steps. */
export function ledgerStatement(plan: Plan, { epsilon, counted }: LedgerFacts): string {
  const guarantee = `Epsilon is ${epsilonInWords(epsilon)} at delta ${deltaWords(plan.delta)}`;
  return `${guarantee} for ${unitInWords(plan)}, under ${plan.neighbours}, with ${samplingInWords(plan)}. ${stepsInWords(plan, counted)}`;
}

function epsilonInWords({ lower, upper }: Interval): string {
  const least = lower > 0 ? `at least ${downwardDigits(lower)}` : '';
  if (upper === Infinity) return `${least || 'without a lower bound'}, and has no proved upper bound,`;
  const most = `at most ${upper > 0 ? upwardDigits(upper) : 0}`;
  return least === '' ? most : `${most} and ${least}`;
}

function unitInWords({ unit, selection }: Plan): string {
  const when = selection.when === 'per-draw' ? ' each time that they are drawn' : '';
  return `one user with all of their text (at most ${unit.recordsPerUser} of their records are used${when})`;
}

function samplingInWords({ sampler, population }: Plan): string {
  const { kind, over } = sampler;
  const units = `${population[over]} ${over}`;
  if (kind === 'poisson') return `Poisson sampling of ${units}`;
  if (kind === 'truncated-poisson')
    return `Poisson sampling of ${units}, cut to ${sampler.batchLimit} at random`;
  return kind === 'balls-in-bins'
    ? `each of ${units} in one random step of every ${sampler.stepsPerEpoch}`
    : `batches cut from ${units} shuffled every ${sampler.stepsPerEpoch} steps`;
}

function stepsInWords({ steps }: Plan, counted: number): string {
  if (counted === steps) return `All ${steps} planned steps are counted.`;
  return `It is for the ${counted} steps counted, where ${steps} were planned.`;
}
