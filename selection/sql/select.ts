import { checkChoice } from '../../accounting/check.ts';
import { type LengthUnit, lengthUnits } from '../lengths.ts';
import type { DuplicatePolicy } from '../records.ts';
import { type CapRule, checkCapRule } from '../rule.ts';
import { keyOf, orderOf, type SqlOrder } from './order.ts';
import { type Relation, relationOf, type SqlSource, unwritable } from './relation.ts';

/** What `selectionSql` writes down. */
export interface SelectionSqlOptions extends SqlSource {
  readonly rule: CapRule;
  /** What longest and shortest compare; default bytes. */
  readonly lengthUnit?: LengthUnit | undefined;
  /** Only `error` (default), which leaves the check to `duplicateCheckSql`. */
  readonly duplicates?: DuplicatePolicy | undefined;
  /** Columns of the result, which always holds user and id; default those that have a role. */
  readonly allColumns?: readonly string[] | undefined;
  /** Sorts the result by user and record id, by bytes; default false. */
  readonly isOrdered?: boolean | undefined;
}

const rank = 'privacy_unit_rank';
const tokenSum = 'privacy_unit_tokens';

function checkRule({ rule, dialect, duplicates, lengthUnit }: SelectionSqlOptions): void {
  checkCapRule(rule, 'write SQL');
  checkChoice(lengthUnit ?? 'bytes', { verb: 'write SQL', name: 'lengthUnit', choices: lengthUnits });
  const hasTokenCap = (rule.tokensPerUser ?? null) !== null;
  if (rule.strategy === 'random-chunk')
    throw unwritable('random-chunk cuts token streams, which no engine can', 'Use the builtin engine');
  if (hasTokenCap && rule.tokenPolicy === 'truncate')
    throw unwritable('tokenPolicy truncate cuts texts by tokens, which no engine can', 'Use stop');
  if (hasTokenCap && dialect === 'clickhouse-limit-by')
    throw unwritable('a token cap needs window functions', 'Use clickhouse, from version 21 on');
  if (duplicates === 'keep-first')
    throw unwritable('duplicates is keep-first but a table has no order', 'Run duplicateCheckSql() first');
}

function resultColumns({ columns, allColumns }: SelectionSqlOptions): string[] {
  const { user, id, text, score, tokens, order } = columns;
  const wanted = allColumns ?? [text, score, tokens, order].filter(name => name !== undefined);
  const names = [
    ...new Set(allColumns?.includes(user) && allColumns.includes(id) ? wanted : [user, id, ...wanted]),
  ];
  const taken = names.find(name => [rank, tokenSum].includes(name.toLowerCase()));
  if (taken !== undefined) throw unwritable(`a column is named ${taken}`, 'Rename it');
  return names;
}

/** A record that the contract refuses, wherever it is. */
function defectOf(relation: Relation, order: SqlOrder, options: SelectionSqlOptions): string {
  const { isNullId, isNullUser, hasUser } = relation;
  const defects = [isNullId, ...order.defects].join(' OR ');
  return options.nullUsers === 'drop' ? `(${hasUser} AND (${defects}))` : `(${isNullUser} OR ${defects})`;
}

const refusal = 'privacy-unit: a user, record id or value to select by is null, empty or not a number';

interface Parts {
  readonly relation: Relation;
  readonly names: readonly string[];
  readonly order: string;
  readonly where: string;
  readonly tokens: string | undefined;
}

/** K, or the end of the statement where a record is at fault. */
function guardedKey(relation: Relation, key: string, defect: string): string {
  const { dialect, id } = relation;
  const failure = dialect.fail?.(dialect.text(refusal), id);
  return failure === undefined ? key : `CASE WHEN ${defect} THEN ${failure} ELSE ${key} END`;
}

function partsOf(options: SelectionSqlOptions): Parts {
  const { rule, lengthUnit = 'bytes', nullUsers } = options;
  const relation = relationOf(options);
  const { dialect } = relation;
  const order = orderOf(relation, { rule, lengthUnit });
  const defect = defectOf(relation, order, options);
  const conditions = [
    ...(nullUsers === 'drop' ? [relation.hasUser] : []),
    ...(dialect.failIf === undefined ? [] : [dialect.failIf(defect, dialect.text(refusal))]),
  ];
  const key = guardedKey(relation, keyOf(relation, rule.seed), defect);
  return {
    relation,
    names: resultColumns(options).map(name => dialect.name(name)),
    order: [...order.terms, key].join(', '),
    where: conditions.length === 0 ? '' : `\n  WHERE ${conditions.join(' AND ')}`,
    tokens: order.tokens,
  };
}

function canonical({ relation }: Parts): string {
  const { byBytes } = relation.dialect;
  return `\nORDER BY ${byBytes(relation.user)}, ${byBytes(relation.id)}`;
}

function windowStatement(parts: Parts, options: SelectionSqlOptions): string {
  const { relation, names, order, where, tokens } = parts;
  const { recordsPerUser, tokensPerUser } = options.rule;
  const window = `PARTITION BY ${relation.dialect.byBytes(relation.user)} ORDER BY ${order}`;
  const computed = [`ROW_NUMBER() OVER (${window}) AS ${rank}`];
  const caps = recordsPerUser === null ? [] : [`${rank} <= ${recordsPerUser}`];
  if (tokens !== undefined) {
    computed.push(`SUM(${tokens}) OVER (${window} ROWS UNBOUNDED PRECEDING) AS ${tokenSum}`);
    caps.push(`${tokenSum} <= ${tokensPerUser}`);
  }
  const inner = `SELECT ${[...names, ...computed].join(',\n    ')}\n  FROM ${relation.from}${where}`;
  return `SELECT ${names.join(', ')}\nFROM (\n  ${inner}\n) ranked\nWHERE ${caps.join(' AND ')}`;
}

function limitByStatement(parts: Parts, options: SelectionSqlOptions): string {
  const { relation, names, order, where } = parts;
  const { from, user } = relation;
  const limit = `LIMIT ${options.rule.recordsPerUser} BY ${user}`;
  const inner = `SELECT ${names.join(', ')}\n  FROM ${from}${where}\n  ORDER BY ${user}, ${order}\n  ${limit}`;
  return options.isOrdered ? `SELECT ${names.join(', ')}\nFROM (\n  ${inner}\n)` : inner;
}

/**
 * The selection contract, v1, as one SQL statement: it returns the records that every user keeps, the same as
 * `selectRows` keeps.
 *
 * Names and texts are quoted and escaped, whatever they hold. Columns of users and ids must be text or whole numbers
 * (the text of other types differs by engine) without a collation of their own. A null or empty id, a null or empty
 * user (unless dropped), a null text or place, a null or negative token count and a null or NaN score stop the
 * statement. Two records of a user with one id are not noticed: run `duplicateCheckSql` before.
 *
 * @param options - `rule.tokensPerUser` counts the tokens column, under `stop` only
 * @throws DpError `INVALID_ARGUMENT` for what SQL cannot do: `random-chunk`, `random-window`, `truncate`, `keep-first`, `first` without
 *   an order column, lengths without their column; for names that are empty or hold NUL
 * @example
 * ```ts
 * const sql = selectionSql({
 *   dialect: 'spark',
 *   table: 'mail.records',
 *   columns: { user: 'sender', id: 'message', text: 'body' },
 *   rule: { strategy: 'longest', recordsPerUser: 10, seed: '42' },
 * });
 * sql.includes('octet_length(`body`) DESC'); // true
 * sql.endsWith('WHERE privacy_unit_rank <= 10'); // true
 * ```
 */
export function selectionSql(options: SelectionSqlOptions): string {
  checkRule(options);
  const parts = partsOf(options);
  const statement = parts.relation.dialect.hasLimitBy
    ? limitByStatement(parts, options)
    : windowStatement(parts, options);
  return options.isOrdered ? statement + canonical(parts) : statement;
}
