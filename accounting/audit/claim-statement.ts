import type { Claim } from './claim.ts';
import type { Judgement } from './claim-judge.ts';
import { isGroup, type RunSettings } from './claim-settings.ts';
import { inWords } from './findings-context.ts';

/**
 * The claim as it should have read, in one sentence: epsilon and its side, delta, unit and cap, neighbours, batches.
 */
export function statementOf(claim: Claim, { best, range, missing }: Judgement): string {
  const { delta } = claim.guarantee;
  const atDelta = delta === null ? 'at a delta that is not stated' : `at delta ${deltaWords(delta)}`;
  const unit = unitWords(claim);
  const epsilon = best?.epsilon ?? range;
  const isNothing = epsilon === null || (epsilon.lower === 0 && epsilon.upper === Infinity);
  if (isNothing) return `Nothing follows from what is stated for ${unit} ${atDelta}.`;
  const open = missing.length > 0 ? ', over all that is not stated' : '';
  const how = best === undefined ? '' : `, ${samplingWords(best.settings.runs)}`;
  return `Epsilon is ${inWords(epsilon)} ${atDelta} for ${unit}, under ${adjacencyWords(claim)}${how}${open}.`;
}

/**
 * A delta in few digits.
 *
 * @example
 * ```ts
 * deltaWords(0.00001); // '1e-5'
 * ```
 */
export function deltaWords(delta: number): string {
  return delta === 0 ? '0' : Number(delta.toPrecision(4)).toExponential();
}

function unitWords({ unit }: Claim): string {
  if (unit.kind === null) return 'a unit that is not stated';
  const cap = unit.max_records_per_unit;
  const holdsSeveral = isGroup(unit.kind) || unit.kind === 'document' || unit.kind === 'other';
  const capped =
    holdsSeveral && cap !== null ? ` with at most ${cap} ${cap === 1 ? 'record' : 'records'}` : '';
  return `one ${unit.kind}${capped}`;
}

function adjacencyWords({ adjacency }: Claim): string {
  if (adjacency === null) return 'neighbours that are not stated';
  return { add_remove: 'add-or-remove', replace_one: 'replace-one', zero_out: 'zero-out' }[adjacency];
}

const samplings: Readonly<Record<RunSettings['sampling'], string>> = {
  none: 'without sampling',
  poisson: 'if batches are Poisson sampled',
  without_replacement: 'with batches of fixed size drawn without replacement',
  balls_in_bins: 'with each unit in one random batch of each epoch',
  shuffle_each_epoch: 'with batches cut from a table shuffled for each epoch',
  shuffle_once: 'with batches cut from a table shuffled once',
  fixed_order: 'with batches in a fixed order',
};

function samplingWords(runs: readonly RunSettings[]): string {
  return samplings[runs.findLast(({ sampling }) => sampling !== 'none')?.sampling ?? 'none'];
}
