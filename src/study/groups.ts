import type { Records } from '../../selection/index.ts';
import type { LanguageModel, UserTokens } from '../../trainer/index.ts';
import { openDeviceModel } from '../../trainer/device.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import { lossesOf, perplexityOf, type RecordLoss } from '../../trainer/evaluate.ts';
import type { StudyPerplexity } from './results.ts';

/** Held-out users in the order of the records that the table has of them, fewest first. */
export function byContribution(users: readonly UserTokens[], records: Records): UserTokens[] {
  const counts = new Map<string, number>();
  for (const user of records.userOf) {
    if (user < 0) continue;
    const name = records.users[user]!;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const countOf = ({ user }: UserTokens): number => counts.get(user) ?? 0;
  return [...users].sort((a, b) => countOf(a) - countOf(b) || (a.user < b.user ? -1 : 1));
}

function lossesByUser(users: readonly UserTokens[], losses: readonly RecordLoss[]): RecordLoss[][] {
  let next = 0;
  return users.map(({ records }) => losses.slice(next, (next += records.length)));
}

/**
 * Perplexities over all users and over the quarters with the fewest and the most records.
 *
 * @param users - record losses of each user, users with fewest records first
 */
export function perplexityOfGroups(users: readonly (readonly RecordLoss[])[]): StudyPerplexity {
  const quarter = Math.max(1, Math.ceil(users.length / 4));
  return {
    ...perplexityOf(users),
    fewestRecords: perplexityOf(users.slice(0, quarter)).byUser,
    mostRecords: perplexityOf(users.slice(-quarter)).byUser,
  };
}

/** Evaluates a model once on all held-out users; `users` as {@link byContribution} orders them. */
export async function evaluateStudy(
  model: LanguageModel,
  { users, engine }: { users: readonly UserTokens[]; engine: Engine },
): Promise<StudyPerplexity> {
  const sequences = users.flatMap(user => user.records.map(record => record.tokens));
  const device = openDeviceModel(model, engine);
  try {
    return perplexityOfGroups(lossesByUser(users, await lossesOf(sequences, { model, device })));
  } finally {
    device.dispose();
  }
}
