import type { Plan } from '../accounting/plan.ts';
import type { Records } from '../selection/index.ts';
import { selectOnce, splitHeldOut, tokeniseRows, type Tokenizer, type UserTokens } from '../trainer/index.ts';
import { textRows } from './table.ts';

/** What a plan lets training see, and whom it keeps for evaluation. */
export interface PlannedUsers {
  readonly users: readonly UserTokens[];
  readonly heldOut: readonly UserTokens[];
}

/** Keeps at most `records` of every held-out user, drawn by the selection contract. */
function forEvaluation(heldOut: readonly UserTokens[], plan: Plan, records: number): readonly UserTokens[] {
  return selectOnce(heldOut, {
    strategy: 'random',
    seed: plan.heldOut.seed,
    recordsPerUser: records,
    tokensPerUser: null,
    chunkTokens: null,
  });
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
    users: plan.selection.when === 'once' ? selectOnce(training, rule) : training,
    heldOut: forEvaluation(heldOut, plan, evaluationRecords),
  };
}
