import type { Bound, Interval } from './accountant.ts';
import { checkCount, DpError } from './check.ts';
import { sumNoiseMultiplier } from './clipping.ts';
import type { BoundsByAccountant } from './epsilon.ts';
import type { BoundsByConversion } from './group.ts';
import { deltaWarnings, type Plan } from './plan.ts';
import { epsilonOfPlan, type PlanEpsilon } from './plan-epsilon.ts';

// A browser has no package.json to ask; a test holds the two together.
const release = 'privacy-unit 0.1.0';

/** What is known only after the run, or from the accountants. */
export interface StatementFacts {
  /** ε after all steps counted, such as `epsilonOfPlan` answers it. */
  readonly epsilon: Interval;
  /** Noised steps that may have been released; a resumed run may count more than planned. */
  readonly steps: number;
  /** The answers behind ε; asked for anew where left out. */
  readonly answers?: Omit<PlanEpsilon, 'epsilon'> | undefined;
  /** Name, version and hash of the code that ran; this release where left out. */
  readonly code?: string | undefined;
  /** The sampling as it was performed, where that is known better than from the plan. */
  readonly samplingPerformed?: string | undefined;
  /** How many of the plan's users are made up, to be found or not in the trained model; none where left out. */
  readonly canaries?: number | undefined;
}

/** A privacy guarantee with everything that it depends on, as plain data. */
export interface Statement {
  readonly format: 'privacy-unit/statement';
  readonly version: 1;
  readonly epsilon: Interval;
  readonly delta: number;
  readonly unit: { readonly protection: 'user'; readonly recordsPerUser: number };
  readonly neighbours: Plan['neighbours'];
  readonly mechanism: Plan['mechanism'];
  readonly clipNorm: number;
  readonly clipping?: Plan['clipping'];
  readonly noiseMultiplier: number;
  readonly sampling: Plan['sampler'] & { readonly performed: string };
  readonly steps: { readonly planned: number; readonly counted: number };
  readonly groupConversion: Plan['groupConversion'];
  readonly byAccountant: BoundsByAccountant;
  readonly byConversion: BoundsByConversion | null;
  readonly selection: Plan['selection'];
  readonly heldOut: Plan['heldOut'];
  /** Constants that the analysis takes as known to everybody. */
  readonly publicConstants: Plan['population'] & { readonly recordsPerUser: number };
  readonly assumptions: readonly string[];
  readonly warnings: readonly string[];
  readonly code: string;
}

/**
 * The guarantee of a run in one object; text, JSON and HTML show the same one.
 *
 * @throws DpError `INVALID_ARGUMENT` where ε is no interval or steps is no count
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const statement = statementOf(plan, { epsilon: { lower: 7, upper: 8 }, steps: 12 });
 * statement.steps; // { planned: 10, counted: 12 }
 * statement.unit; // { protection: 'user', recordsPerUser: 2 }
 * ```
 */
export function statementOf(plan: Plan, facts: StatementFacts): Statement {
  const epsilon = checkInterval(facts.epsilon);
  const counted = checkCount(facts.steps, { verb: 'state the guarantee', name: 'steps', least: 0 });
  const { byAccountant, byConversion } = facts.answers ?? epsilonOfPlan(plan, { steps: counted });
  const { format: _, version, population, sampler, steps, targetEpsilon: __, ...kept } = plan;
  return {
    ...kept,
    format: 'privacy-unit/statement',
    version,
    epsilon,
    sampling: { ...sampler, performed: facts.samplingPerformed ?? samplingInWords(plan) },
    steps: { planned: steps, counted },
    byAccountant,
    byConversion: byConversion ?? null,
    publicConstants: { ...population, recordsPerUser: plan.unit.recordsPerUser },
    assumptions: [...assumptionsOf(plan), ...canaryAssumptions(facts)],
    warnings: warningsOf(plan, epsilon, counted),
    code: facts.code ?? release,
  };
}

function checkInterval({ lower, upper }: Interval): Interval {
  if (lower >= 0 && lower <= upper) return { lower, upper };
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot state the guarantee: epsilon is [${lower}, ${upper}]. Give an interval with 0 <= lower <= upper.`,
  );
}

function samplingInWords({ sampler, population }: Plan): string {
  const { kind, over } = sampler;
  const poisson = `Poisson: in every step each of the ${over} takes part independently; empty batches are noised and counted`;
  if (kind === 'poisson') return poisson;
  if (kind === 'truncated-poisson')
    return `Truncated ${poisson}; of more than ${sampler.batchLimit}, that many at random are used (in tables of at most ${population[over]} ${over})`;
  const epoch = `every ${sampler.stepsPerEpoch} steps`;
  return kind === 'shuffled'
    ? `Shuffled: all ${over} are put into a new random order ${epoch} and cut into batches`
    : `Balls in bins: each of the ${over} takes part once in ${epoch}, in a step chosen at random for itself; an epoch cut short counts whole`;
}

function assumptionsOf(plan: Plan): string[] {
  const { selection, mechanism, heldOut } = plan;
  const beside = selection.privacyCost.length > 0 ? ' beyond what was spent on it' : '';
  const assumptions = [
    'Every record belongs to exactly one user, and no text of one user repeats that of another.',
    'Users, records and the cap are public: they set the sampling probability and the denominator.',
    `Selection (${selection.strategy}) looks at one user's records at a time and at nothing private of others${beside}.`,
    'The noise comes from a generator that nobody can predict; the model and all intermediate models may be released.',
    'The secret key of the run stays secret: whoever learns it can take the noise off.',
  ];
  if (selection.strategy.endsWith('perplexity'))
    assumptions.push('The scores that selection ranks by come from a model that never saw private data.');
  if (mechanism === 'user-wise')
    assumptions.push('A user is clipped once a step, after averaging their records.');
  if (heldOut.fraction > 0) assumptions.push('Held-out users are chosen by a hash of their own id.');
  return assumptions;
}

function canaryAssumptions({ canaries = 0 }: StatementFacts): string[] {
  return canaries === 0
    ? []
    : [
        `${canaries} of the users are canaries, made up and put in or left out by a fair coin each. They count as users, so the guarantee of everybody else holds whichever way the coins fell.`,
      ];
}

function warningsOf(plan: Plan, { upper }: Interval, counted: number): string[] {
  const { steps } = plan;
  const warnings = deltaWarnings(plan);
  if (upper === Infinity)
    warnings.push(
      'epsilon has no proved upper bound: the lower one says how bad the guarantee is at least, not how good.',
    );
  else if (upper > 10) warnings.push(`epsilon ${upward(upper)} is above 10: it has little formal meaning.`);
  if (counted > steps)
    warnings.push(`${counted} steps were counted where ${steps} were planned: epsilon is for all of them.`);
  warnings.push('Tuning on the same users (several runs of which the best is kept) is not covered.');
  warnings.push(
    'Losses, perplexities and counts measured on private users are not covered; only the trained model is.',
  );
  return warnings;
}

/** A labelled fact of a statement; some have several lines. */
export type StatementRow = readonly [label: string, ...lines: string[]];

/**
 * The statement as labelled lines, for text and HTML alike. Upper bounds are rounded up, lower ones down.
 *
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const rows = statementRows(statementOf(plan, { epsilon: { lower: 7, upper: 8 }, steps: 10 }));
 * rows[0]; // ['Guarantee', 'epsilon at most 8.000 (and at least 7.000) at delta 0.01']
 * ```
 */
export function statementRows(statement: Statement): StatementRow[] {
  const { epsilon, delta, unit, neighbours, sampling, steps, publicConstants, selection } = statement;
  const rows: StatementRow[] = [
    ['Guarantee', guaranteeInWords(epsilon, delta)],
    [
      'Unit of protection',
      `one user with all of their text; at most ${unit.recordsPerUser} of their records are used${selection.when === 'per-draw' ? ' each time they are drawn' : ''}`,
    ],
    ['Neighbours', neighbours],
    ['Mechanism', ...mechanismInWords(statement)],
    [
      'Sampling',
      sampling.performed,
      `probability ${atMost(sampling.samplingProbability)} a step, fixed denominator ${Number(sampling.expectedBatchSize.toPrecision(6))}`,
    ],
    ['Steps', `${steps.counted} counted, ${steps.planned} planned`],
    ['Accountant', ...boundLines(statement.byAccountant)],
    ['Group conversion', ...conversionLines(statement)],
    [
      'Spent on selection',
      ...selection.privacyCost.map(
        ({ epsilon: spent, delta: at, what }) =>
          `epsilon ${upward(spent)} at delta ${at}, counted in the guarantee: ${what}`,
      ),
    ],
    ['Selection', `${selection.strategy}, ${selection.when}, seed ${JSON.stringify(selection.seed)}`],
    [
      'Treated as public',
      `${publicConstants.users} users, ${publicConstants.records} records, ${publicConstants.recordsPerUser} records per user`,
    ],
    ['Assumptions', ...statement.assumptions],
    ['Warnings', ...statement.warnings],
    ['Code', statement.code],
  ];
  return rows.filter(row => row.length > 1);
}

function guaranteeInWords({ lower, upper }: Interval, delta: number): string {
  const least = `at least ${downward(lower)}`;
  return upper === Infinity
    ? `epsilon ${least} at delta ${delta}; no proved upper bound`
    : `epsilon at most ${upward(upper)} (and ${least}) at delta ${delta}`;
}

function mechanismInWords(statement: Statement): string[] {
  const { mechanism, noiseMultiplier, clipNorm, clipping } = statement;
  const unit =
    mechanism === 'user-wise' ? 'User-wise DP-SGD: user averages' : 'Group Privacy: record gradients';
  const noise = `Gaussian noise of ${atLeast(sumNoiseMultiplier(statement))} × that`;
  if (clipping === undefined) return [`${unit} clipped to ${clipNorm}, ${noise}`];
  const { targetQuantile, learningRate, minimum, maximum } = clipping;
  const units = mechanism === 'user-wise' ? 'users' : 'records';
  return [
    `${unit} clipped to an adaptive clip, at first ${clipNorm}, ${noise}`,
    `the clip follows quantile ${targetQuantile} of the gradient norms at rate ${learningRate}, from ${minimum} to ${maximum}: each step also releases the number of ${units} within it, with Gaussian noise of ${atLeast(clipping.countNoise)}`,
    `sum and number together have noise multiplier ${atLeast(noiseMultiplier)}, which is what the accountant counts`,
  ];
}

function boundLines(bounds: Readonly<Record<string, Bound | undefined>>): string[] {
  return Object.entries(bounds).flatMap(([name, bound]) =>
    bound === undefined ? [] : [boundLine(name, bound)],
  );
}

function boundLine(name: string, { lower, upper, detail }: Bound): string {
  const most = upper === Infinity ? 'no upper bound' : `at most ${upward(upper)}`;
  const least = lower === undefined ? '' : `, at least ${downward(lower)}`;
  return `${name}: ${most}${least} (${detail})`;
}

function conversionLines({ groupConversion, byConversion }: Statement): string[] {
  if (byConversion === null) return groupConversion === 'none' ? [] : [groupConversion];
  return Object.entries(byConversion).map(
    ([name, bound]) =>
      `${boundLine(name, bound)}, ${name === groupConversion ? 'the one stated' : 'for comparison'}`,
  );
}

/** Four significant digits, never less than the value. */
function upward(value: number): string {
  return rounded(value, Math.ceil);
}

function downward(value: number): string {
  return rounded(value, Math.floor);
}

/** Six digits of a probability, never less than it; the statement's object holds all of them. */
function atMost(probability: number): number {
  return Math.min(1, Number(rounded(probability, Math.ceil, 6)));
}

/** Six digits of a noise multiplier, never more than there was. */
function atLeast(noiseMultiplier: number): number {
  return Number(rounded(noiseMultiplier, Math.floor, 6));
}

function rounded(value: number, round: (value: number) => number, digits = 4): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const places = digits - 1 - Math.floor(Math.log10(value));
  if (places < 0) return String(round(value));
  return (round(value * 10 ** places) / 10 ** places).toFixed(Math.min(100, places));
}

/**
 * The statement as plain text, one fact a line.
 *
 * @example
 * ```ts
 * import { compareMechanisms } from 'privacy-unit/accounting/plan';
 * const selection = { strategy: 'random', seed: '1', tokensPerUser: null, chunkTokens: null } as const;
 * const [, { plan }] = compareMechanisms({
 *   contributions: [1, 2, 3, 4], epsilon: 8, delta: 0.01, recordsPerUser: [2], batchSize: 4, steps: 10, clipNorm: 1,
 *   neighbours: 'add-or-remove', selection, heldOut: { fraction: 0, seed: '1' },
 * });
 * const text = renderStatement(statementOf(plan, { epsilon: { lower: 1, upper: 1.23456 }, steps: 10 }));
 * text.split('\n')[0]; // 'Guarantee           epsilon at most 1.235 (and at least 1.000) at delta 0.01'
 * ```
 */
export function renderStatement(statement: Statement): string {
  const rows = statementRows(statement);
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  return rows
    .map(([label, ...lines]) => label.padEnd(width) + lines.join(`\n${' '.repeat(width)}`))
    .join('\n');
}
