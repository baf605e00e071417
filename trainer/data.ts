import { createHash } from 'node:crypto';
import type { SelectionRule } from '../accounting/plan.ts';
import { chunksOfUser } from '../selection/chunks.ts';
import { selectForUser } from '../selection/contract.ts';
import { isHeldOut } from '../selection/held-out.ts';
import { bytesOf } from './digest.ts';
import type { Tokenizer } from './model/tokenizer.ts';

/** One record as the model reads it. */
export interface RecordTokens {
  readonly id: string;
  /** Whole and uncut: the text's tokens, then end-of-text; a chunk ends without it. */
  readonly tokens: Int32Array;
  /** Perplexity under a public model, for the strategies that rank by it. */
  readonly score?: number;
}

/** One user with all the records that training may see. */
export interface UserTokens {
  readonly user: string;
  readonly records: readonly RecordTokens[];
}

/** One row of a table of users' text. */
export interface TextRow {
  readonly user: string;
  readonly id: string;
  readonly text: string;
  readonly score?: number;
}

/**
 * Turns rows into users with tokens. Each record is its text's tokens followed by end-of-text,
 * which teaches the model where texts stop; an empty text is end-of-text alone and stays a record.
 * Nothing is cut here: training and evaluation read the first `contextLength` tokens of a record
 * and predict each of them, the first from end-of-text (`truncationOf` says how much that leaves out).
 *
 * @param rows - in any order; users come out in the order of their first row
 * @example
 * ```ts
 * const tokenizer = { endOfText: 256, encode: (text: string) => Int32Array.from(Buffer.from(text)) };
 * const [user] = tokeniseRows([{ user: 'ada', id: '1', text: 'A' }, { user: 'ada', id: '2', text: '' }], tokenizer);
 * user!.records.map(record => [...record.tokens]); // [[65, 256], [256]]
 * ```
 */
export function tokeniseRows(
  rows: Iterable<TextRow>,
  tokenizer: Pick<Tokenizer, 'encode' | 'endOfText'>,
): UserTokens[] {
  const users = new Map<string, RecordTokens[]>();
  for (const { user, id, text, score } of rows) {
    const tokens = encodeText(text, tokenizer);
    const records = users.get(user) ?? [];
    records.push(score === undefined ? { id, tokens } : { id, tokens, score });
    users.set(user, records);
  }
  return [...users].map(([user, records]) => ({ user, records }));
}

/** A text's tokens followed by end-of-text. */
export function encodeText(text: string, tokenizer: Pick<Tokenizer, 'encode' | 'endOfText'>): Int32Array {
  const encoded = tokenizer.encode(text);
  const tokens = new Int32Array(encoded.length + 1);
  tokens.set(encoded);
  tokens[encoded.length] = tokenizer.endOfText;
  return tokens;
}

/** How much text lies beyond the model's context and is never read. */
export interface Truncation {
  readonly records: number;
  readonly recordsCut: number;
  readonly tokens: number;
  readonly tokensCut: number;
}

/**
 * What reading only the first `contextLength` tokens of each record leaves out.
 *
 * @example
 * ```ts
 * truncationOf([{ user: 'ada', records: [{ id: '1', tokens: new Int32Array(10) }] }], 8); // { records: 1, recordsCut: 1, tokens: 10, tokensCut: 2 }
 * ```
 */
export function truncationOf(users: readonly UserTokens[], contextLength: number): Truncation {
  const lengths = users.flatMap(({ records }) => records.map(({ tokens }) => tokens.length));
  const beyond = lengths.filter(length => length > contextLength);
  const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  return {
    records: lengths.length,
    recordsCut: beyond.length,
    tokens: total(lengths),
    tokensCut: total(beyond) - beyond.length * contextLength,
  };
}

/** A plan's selection rule together with its cap. */
export interface DrawRule extends Omit<SelectionRule, 'when'> {
  readonly recordsPerUser: number;
}

/** Tokens of the text itself, the unit in which the selection contract measures length and caps. */
export function textLength(record: RecordTokens): number {
  return Math.max(0, record.tokens.length - 1);
}

/**
 * The records of one user that a rule keeps, in key order: whole records, or blocks of
 * `chunkTokens` tokens for `random-chunk`. Depends on this user's data and the public seed alone.
 */
export function drawRecords(user: UserTokens, rule: DrawRule): readonly RecordTokens[] {
  const { records } = user;
  const ids = records.map(record => record.id);
  if (rule.strategy === 'random-chunk') {
    return chunksOfUser(
      { user: user.user, ids, tokens: records.map(record => record.tokens) },
      { ...rule, chunkTokens: rule.chunkTokens! },
    );
  }
  const scored = rule.strategy === 'highest-perplexity' || rule.strategy === 'lowest-perplexity';
  const scores = scored ? { scores: records.map(record => record.score ?? NaN) } : {};
  const kept = selectForUser({ user: user.user, ids, lengths: records.map(textLength), ...scores }, rule);
  return Array.from(kept, position => records[position]!);
}

/** Applies a rule of `when: 'once'` to every user, before training. */
export function selectOnce(users: readonly UserTokens[], rule: DrawRule): UserTokens[] {
  return users.map(user => ({ user: user.user, records: drawRecords(user, rule) }));
}

/** Keeps users apart for evaluation by the keyed hash of their id: who they are depends on nobody else. */
export function splitHeldOut(
  users: readonly UserTokens[],
  rule: { fraction: number; seed: string },
): { training: UserTokens[]; heldOut: UserTokens[] } {
  const training: UserTokens[] = [];
  const heldOut: UserTokens[] = [];
  for (const user of users) (isHeldOut(user.user, rule) ? heldOut : training).push(user);
  return { training, heldOut };
}

/** SHA-256 over every user, record id and token, in order: the table as training sees it. */
export function tableDigest(users: readonly UserTokens[]): string {
  const hash = createHash('sha256');
  for (const { user, records } of users) {
    hash.update(`${JSON.stringify(user)}:${records.length}\n`);
    for (const { id, tokens } of records)
      hash.update(`${JSON.stringify(id)}:${tokens.length}\n`).update(bytesOf(tokens));
  }
  return hash.digest('hex');
}
