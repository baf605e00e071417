import { DpError } from '../accounting/check.ts';
import type { Plan } from '../accounting/plan.ts';
import { textLength, type UserTokens } from './data.ts';

/** What `checkFit` holds against the plan. */
export interface FitOptions {
  readonly users: readonly UserTokens[];
  readonly heldOut: readonly UserTokens[];
  readonly vocabularySize: number;
  readonly contextLength: number;
}

function checkPopulation(plan: Plan, users: readonly UserTokens[]): void {
  const records = users.reduce((sum, user) => sum + user.records.length, 0);
  const { population, selection } = plan;
  // A draw caps a user's records, or blocks of them, anew: only users were counted for the sampler.
  const sameRecords = selection.when === 'per-draw' || records === population.records;
  if (users.length === population.users && sameRecords) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot train: the plan is for ${population.users} users with ${population.records} records, ` +
      `the table has ${users.length} with ${records}. Plan again for this table.`,
  );
}

function checkCap(plan: Plan, users: readonly UserTokens[]): void {
  if (plan.selection.when === 'per-draw') return;
  const most = users.reduce((max, user) => Math.max(max, user.records.length), 0);
  if (most > plan.unit.recordsPerUser) {
    throw new DpError(
      'CHECK_FAILED',
      `Cannot train: a user has ${most} records, the plan's guarantee holds for at most ` +
        `${plan.unit.recordsPerUser}. Select before training.`,
    );
  }
}

function checkTokenCap(plan: Plan, users: readonly UserTokens[]): void {
  const { tokensPerUser, when } = plan.selection;
  if (tokensPerUser === null || when === 'per-draw') return;
  const totals = users.map(user => user.records.reduce((sum, record) => sum + textLength(record), 0));
  const most = totals.reduce((max, total) => Math.max(max, total), 0);
  if (most > tokensPerUser) {
    throw new DpError(
      'CHECK_FAILED',
      `Cannot train: a user has ${most} tokens, the plan caps them at ${tokensPerUser}. Select before training.`,
    );
  }
}

function checkUsers(users: readonly UserTokens[], heldOut: readonly UserTokens[]): void {
  const seen = new Set(users.map(user => user.user));
  if (seen.size !== users.length) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot train: ${users.length - seen.size} users occur more than once. Put all records of a user into one entry.`,
    );
  }
  const shared = heldOut.filter(user => seen.has(user.user)).length;
  if (shared > 0) {
    throw new DpError(
      'INVALID_DATA',
      `Cannot evaluate: ${shared} held-out users are training users too. Keep the two apart.`,
    );
  }
}

/** A token id outside the vocabulary is refused: the graph would read another row of memory or fail late. */
export function checkTokens(users: readonly UserTokens[], vocabularySize: number): void {
  for (const { records } of users) {
    for (const { tokens } of records) {
      if (tokens.length === 0) {
        throw new DpError(
          'INVALID_DATA',
          'Cannot train: a record has 0 tokens. End every record with end-of-text.',
        );
      }
      const stray = tokens.find(token => token < 0 || token >= vocabularySize);
      if (stray === undefined) continue;
      throw new DpError(
        'INVALID_DATA',
        `Cannot train: token ${stray} lies outside the vocabulary of ${vocabularySize}. ` +
          "Tokenise with the model's own tokenizer.",
      );
    }
  }
}

function checkChunks(plan: Plan, contextLength: number): void {
  const { chunkTokens } = plan.selection;
  if (chunkTokens === null || chunkTokens <= contextLength) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    `Cannot train: chunks of ${chunkTokens} tokens exceed the context of ${contextLength}. Plan shorter chunks.`,
  );
}

/**
 * Checks, before the first step, that the data are those that the plan was made for.
 *
 * @throws `CHECK_FAILED` where a cap is exceeded; `INVALID_DATA` where users or records are others
 *   than planned for, a user is both trained on and held out, or a token is outside the vocabulary;
 *   `INVALID_ARGUMENT` where the planned chunks are longer than the model's context
 */
export function checkFit(plan: Plan, options: FitOptions): void {
  checkCap(plan, options.users);
  checkTokenCap(plan, options.users);
  checkPopulation(plan, options.users);
  checkUsers(options.users, options.heldOut);
  checkChunks(plan, options.contextLength);
  checkTokens(options.users, options.vocabularySize);
  checkTokens(options.heldOut, options.vocabularySize);
}
