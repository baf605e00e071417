import type { LengthUnit } from '../lengths.ts';
import { type CapRule, isMergeable, usesLengths } from '../rule.ts';
import { type Relation, type SqlColumns, unwritable } from './relation.ts';

/** What a rule orders by, and what must not be in the columns that it looks at. */
export interface SqlOrder {
  /** Ascending or descending expressions, best first; K is last. */
  readonly terms: readonly string[];
  /** Tokens of a record, where there is a token cap. */
  readonly tokens?: string | undefined;
  /** Conditions under which the contract refuses a record of a user. */
  readonly defects: readonly string[];
}

interface OrderOptions {
  readonly rule: CapRule;
  readonly lengthUnit: LengthUnit;
}

function columnNamed(relation: Relation, role: keyof SqlColumns, neededFor: string): string {
  const name = relation.columns[role];
  if (name === undefined || name === '') {
    throw unwritable(`${neededFor} needs a ${role} column, which is not named`, 'Name it');
  }
  return relation.dialect.name(name);
}

function tokensOf(relation: Relation, neededFor: string): { value: string; defect: string } {
  const value = columnNamed(relation, 'tokens', neededFor);
  return { value, defect: relation.dialect.isNullOr(value, `${value} < 0`) };
}

function lengthOf(relation: Relation, { rule, lengthUnit }: OrderOptions): { value: string; defect: string } {
  if (lengthUnit === 'tokens') return tokensOf(relation, `${rule.strategy} by tokens`);
  const text = columnNamed(relation, 'text', rule.strategy);
  const { byteLength, codepoints } = relation.dialect;
  const value = lengthUnit === 'bytes' ? byteLength(text) : codepoints(text);
  return { value, defect: `${text} IS NULL` };
}

function scoreOf(relation: Relation, { rule }: OrderOptions): { value: string; defect: string } {
  const score = columnNamed(relation, 'score', rule.strategy);
  const value = relation.dialect.asNumber(score);
  return { value, defect: relation.dialect.isNullOr(score, relation.dialect.isNaN(value)) };
}

function placeOf(relation: Relation): { value: string; defect: string } {
  const value = columnNamed(relation, 'order', 'first');
  return { value, defect: `${value} IS NULL` };
}

/** The number that a strategy compares before K. */
function primaryOf(relation: Relation, options: OrderOptions): { value: string; defect: string } | undefined {
  const { strategy } = options.rule;
  if (strategy === 'random') return undefined;
  if (!isMergeable(strategy))
    throw unwritable(
      `${strategy} starts where a user's number of records says, which a rank does not know`,
      'Use the builtin engine',
    );
  if (strategy === 'first') return placeOf(relation);
  return usesLengths(strategy) ? lengthOf(relation, options) : scoreOf(relation, options);
}

/** K, see `recordKey`. */
export function keyOf({ dialect, user, id }: Relation, seed: string): string {
  const length = dialect.asText(dialect.byteLength(user));
  const parts = [dialect.text(`${seed}:`), length, dialect.text(':'), user, dialect.text(':'), id];
  return dialect.sha256(dialect.concat(parts));
}

/** The order of a rule, K not among the terms yet. */
export function orderOf(relation: Relation, options: OrderOptions): SqlOrder {
  const { rule } = options;
  const primary = primaryOf(relation, options);
  const isDescending = rule.strategy === 'longest' || rule.strategy === 'highest-perplexity';
  const tokens = (rule.tokensPerUser ?? null) === null ? undefined : tokensOf(relation, 'a token cap');
  const found = [primary, tokens].filter(part => part !== undefined);
  return {
    terms: primary === undefined ? [] : [`${primary.value} ${isDescending ? 'DESC' : 'ASC'}`],
    tokens: tokens?.value,
    defects: [...new Set(found.map(({ defect }) => defect))],
  };
}
