import { compareMechanisms, type Plan, type PlanOption } from '../accounting/plan-entry.ts';
import { DpError } from '../accounting/check.ts';
import { downward, number, renderInterval, renderTable } from './output.ts';

/** What all plans of one table have in common. */
export type PlanningOptions = Parameters<typeof compareMechanisms>[0];

/** 1/users^1.1, rounded down to two digits: below 1/users for every number of users. */
export function defaultDelta(users: number): number {
  if (users < 2) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot choose delta: there are ${users} users for training. Give --delta, or a table with more users.`,
    );
  }
  const [mantissa = '', exponent = ''] = (users ** -1.1).toExponential(6).split('e');
  return Number(`${Math.floor(Number(mantissa) * 10) / 10}e${exponent}`);
}

/** Name of the plan file of an option: `group-privacy-k10.json`. */
export function planFileName({ mechanism, recordsPerUser }: PlanOption): string {
  return `${mechanism}-k${recordsPerUser}.json`;
}

/** The mechanism in words, as tables and statements print it. */
export function mechanismName(mechanism: Plan['mechanism']): string {
  return mechanism === 'group-privacy' ? 'Group Privacy' : 'User-wise DP-SGD';
}

/** An option as the `plan` command prints it for programs. */
export function optionObject(option: PlanOption): Record<string, unknown> {
  const { mechanism, recordsPerUser, plan, epsilon, notes, breakEvenClipRatio } = option;
  return {
    mechanism,
    k: recordsPerUser,
    sampler: plan.sampler.kind,
    samplingProbability: plan.sampler.samplingProbability,
    expectedBatchSize: plan.sampler.expectedBatchSize,
    noiseMultiplier: plan.noiseMultiplier,
    epsilon,
    breakEvenClipRatio,
    records: plan.population.records,
    notes,
    plan,
  };
}

function batchInWords(sampler: Plan['sampler']): string {
  const most = 'batchLimit' in sampler ? `, at most ${sampler.batchLimit}` : '';
  return `${number(sampler.expectedBatchSize)} ${sampler.over}${most}`;
}

/** The options as a table for people, with their notes below. */
export function renderOptions(options: readonly PlanOption[]): string {
  const right = 'right' as const;
  const columns = [
    { title: 'mechanism' },
    { title: 'k', align: right },
    { title: 'records', align: right },
    { title: 'sampling probability', align: right },
    { title: 'batch', align: right },
    { title: 'noise multiplier', align: right },
    { title: 'epsilon' },
    { title: 'break-even clip ratio', align: right },
  ];
  const rows = options.map(({ mechanism, recordsPerUser, plan, epsilon, breakEvenClipRatio }) => [
    mechanism,
    String(recordsPerUser),
    String(plan.population.records),
    number(plan.sampler.samplingProbability),
    batchInWords(plan.sampler),
    downward(plan.noiseMultiplier),
    epsilon.upper === Infinity
      ? `at least ${downward(epsilon.lower)}, no proved upper bound`
      : renderInterval(epsilon),
    breakEvenClipRatio === null ? '-' : number(breakEvenClipRatio),
  ]);
  const notes = [...new Set(options.flatMap(option => option.notes))].map(note => `Note: ${note}`);
  return [renderTable(columns, rows), ...notes].join('\n');
}
