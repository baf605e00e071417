import { DpError } from '../accounting/check.ts';
import type { Plan, SelectionRule } from '../accounting/plan.ts';
import type { Records } from '../selection/index.ts';
import { selectOnce, splitHeldOut, tokeniseRows, type Tokenizer, type UserTokens } from '../trainer/index.ts';
import { textRows, trainingContributions, type HeldOutRule } from './table.ts';

/** What a plan lets training see, and whom it keeps for evaluation. */
export interface PlannedUsers {
  readonly users: readonly UserTokens[];
  readonly heldOut: readonly UserTokens[];
}

type Rule = Omit<SelectionRule, 'when'>;

/** True where a rule looks at tokens, so that counting a user's records is not enough. */
export function looksAtTokens({
  strategy,
  tokensPerUser,
}: Pick<Rule, 'strategy' | 'tokensPerUser'>): boolean {
  return strategy === 'random-chunk' || tokensPerUser !== null;
}

function checkScored(user: UserTokens, { strategy }: Rule, recordsPerUser: number): void {
  if (!strategy.endsWith('perplexity')) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot select by ${strategy} in training: a user has ${user.records.length} records, above ${recordsPerUser} or up for a token cap. ` +
      'Select into a table of its own first, with `privacy-unit select --scorer`.',
  );
}

/** Applies a rule before training; users whom no cap touches stay as they are, users left without records drop out. */
function applyRule(users: readonly UserTokens[], rule: Rule & { recordsPerUser: number }): UserTokens[] {
  const chosen = users.flatMap(user => {
    if (!looksAtTokens(rule) && user.records.length <= rule.recordsPerUser) return [user];
    checkScored(user, rule, rule.recordsPerUser);
    return selectOnce([user], rule);
  });
  return chosen.filter(user => user.records.length > 0);
}

/** Keeps at most `records` of every held-out user, drawn by the selection contract. */
function forEvaluation(heldOut: readonly UserTokens[], plan: Plan, records: number): readonly UserTokens[] {
  const rule = {
    strategy: 'random',
    seed: plan.heldOut.seed,
    tokensPerUser: null,
    chunkTokens: null,
  } as const;
  return applyRule(heldOut, { ...rule, recordsPerUser: records });
}

/** Tokenises a table, keeps the plan's held-out users apart, and selects where the plan selects once. */
export function usersForPlan(
  records: Records,
  options: { plan: Plan; tokenizer: Tokenizer; evaluationRecords: number },
): PlannedUsers {
  const { plan, tokenizer, evaluationRecords } = options;
  const { training, heldOut } = splitHeldOut(tokeniseRows(textRows(records), tokenizer), plan.heldOut);
  const rule = { ...plan.selection, recordsPerUser: plan.unit.recordsPerUser };
  return {
    users: plan.selection.when === 'once' ? applyRule(training, rule) : training,
    heldOut: forEvaluation(heldOut, plan, evaluationRecords),
  };
}

/**
 * Records of each training user as a plan counts them: rows, blocks under `random-chunk`, and under a token cap
 * only the rows that fit it. A cap in records takes the first of these, so one count serves every k.
 */
export function plannedContributions(
  records: Records,
  options: { selection: Rule; heldOut: HeldOutRule; tokenizer: Tokenizer },
): { contributions: readonly number[]; heldOutUsers: number } {
  const { selection, heldOut, tokenizer } = options;
  const counted = trainingContributions(records, heldOut);
  if (!looksAtTokens(selection)) return counted;
  const { training } = splitHeldOut(tokeniseRows(textRows(records), tokenizer), heldOut);
  const capped = applyRule(training, { ...selection, recordsPerUser: Number.MAX_SAFE_INTEGER });
  return { ...counted, contributions: capped.map(user => user.records.length) };
}
