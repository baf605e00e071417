import { relationOf, type SqlSource } from './relation.ts';

/**
 * A statement that counts what the contract refuses as duplicates: `pairs`, the (user, id) pairs that occur more than
 * once, and `records`, the records beyond the first of each. Both must be 0 before a selection.
 *
 * @example
 * ```ts
 * const source = { dialect: 'trino', table: 'records', columns: { user: 'sender', id: 'message' } };
 * duplicateCheckSql(source).includes('HAVING COUNT(*) > 1'); // true
 * ```
 */
export function duplicateCheckSql(source: SqlSource): string {
  const { dialect, from, user, id, hasUser } = relationOf(source);
  const keys = `${dialect.byBytes(user)}, ${dialect.byBytes(id)}`;
  return `SELECT COUNT(*) AS pairs, COALESCE(SUM(repeats), 0) AS records
FROM (
  SELECT COUNT(*) - 1 AS repeats
  FROM ${from}
  WHERE ${hasUser}
  GROUP BY ${keys}
  HAVING COUNT(*) > 1
) repeated`;
}

function countsOf(source: SqlSource): string {
  const { dialect, from, user, hasUser } = relationOf(source);
  return `(
  SELECT COUNT(*) AS records
  FROM ${from}
  WHERE ${hasUser}
  GROUP BY ${dialect.byBytes(user)}
) counts`;
}

/**
 * A statement for the contribution histogram: `records` of a user, and `users` with so many; null and empty users are
 * left out. Raw values, not private.
 *
 * @example
 * ```ts
 * const source = { dialect: 'trino', table: 'records', columns: { user: 'sender', id: 'message' } };
 * contributionsSql(source).endsWith('GROUP BY records\nORDER BY records'); // true
 * ```
 */
export function contributionsSql(source: SqlSource): string {
  return `SELECT records, COUNT(*) AS users\nFROM ${countsOf(source)}\nGROUP BY records\nORDER BY records`;
}

/**
 * A statement for the most records that any user has, `maximum`: what a cap promises of the selected table. Raw value,
 * not private.
 *
 * @example
 * ```ts
 * const source = { dialect: 'trino', table: 'kept', columns: { user: 'sender', id: 'message' } };
 * maximumPerUserSql(source).startsWith('SELECT MAX(records) AS maximum'); // true
 * ```
 */
export function maximumPerUserSql(source: SqlSource): string {
  return `SELECT MAX(records) AS maximum\nFROM ${countsOf(source)}`;
}

/**
 * A statement that counts rows that the contract refuses or drops: `records` in all, `null_users` (null or empty) and,
 * among rows with a user, `null_ids` (null or empty), `null_texts` and `bad_scores` (null or NaN); the last two are 0
 * where the column is not named.
 *
 * @example
 * ```ts
 * const source = { dialect: 'trino', table: 'records', columns: { user: 'sender', id: 'message', score: 'loss' } };
 * defectsSql(source).includes('is_nan(CAST("loss" AS DOUBLE))'); // true
 * ```
 */
export function defectsSql(source: SqlSource): string {
  const { dialect, from, isNullId, isNullUser, hasUser, columns } = relationOf(source);
  const count = (condition: string): string => `COUNT(CASE WHEN ${condition} THEN 1 END)`;
  const text = columns.text === undefined ? undefined : dialect.name(columns.text);
  const score = columns.score === undefined ? undefined : dialect.name(columns.score);
  const badText = text && count(`${hasUser} AND ${text} IS NULL`);
  const badScore =
    score && count(`${hasUser} AND ${dialect.isNullOr(score, dialect.isNaN(dialect.asNumber(score)))}`);
  return `SELECT COUNT(*) AS records,
  ${count(isNullUser)} AS null_users,
  ${count(`${hasUser} AND ${isNullId}`)} AS null_ids,
  ${badText ?? '0'} AS null_texts,
  ${badScore ?? '0'} AS bad_scores
FROM ${from}`;
}
