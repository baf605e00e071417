import { DpError } from '../../accounting/check.ts';
import type { NullUserPolicy } from '../records.ts';
import { type Dialect, dialectOf, type SqlDialect } from './dialects.ts';

/** Which columns of a table in a database mean what; names are always quoted, so spelt as they are stored. */
export interface SqlColumns {
  /** Text or whole numbers. */
  readonly user: string;
  /** Text or whole numbers, unique per user; a table has no rows to number. */
  readonly id: string;
  readonly text?: string | undefined;
  /** Numbers. */
  readonly score?: string | undefined;
  /** Tokens of each record, counted by the tokenizer of the training: needed for token caps and lengths in tokens. */
  readonly tokens?: string | undefined;
  /** What `first` orders by: a table has no order of its own. */
  readonly order?: string | undefined;
}

/** A table and its columns in one dialect. */
export interface SqlSource {
  readonly dialect: SqlDialect;
  /** Name, cut at dots into catalogue, schema and table; a list is taken part by part. */
  readonly table: string | readonly string[];
  readonly columns: SqlColumns;
  /** `error` (default) stops the statement at a null or empty user; `drop` leaves such rows out. */
  readonly nullUsers?: NullUserPolicy | undefined;
}

/** The same, ready to be put into statements. */
export interface Relation {
  readonly dialect: Dialect;
  readonly from: string;
  readonly columns: SqlColumns;
  /** User and id as text. */
  readonly user: string;
  readonly id: string;
  /** Conditions, never null: null or empty. */
  readonly isNullId: string;
  readonly isNullUser: string;
  readonly hasUser: string;
}

/** An `INVALID_ARGUMENT` of a statement that cannot be written. */
export function unwritable(reason: string, advice: string): DpError {
  return new DpError('INVALID_ARGUMENT', `Cannot write SQL: ${reason}. ${advice}.`);
}

/** Resolves names and the two expressions that every statement needs. */
export function relationOf({ dialect: name, table, columns }: SqlSource): Relation {
  const dialect = dialectOf(name);
  const parts = typeof table === 'string' ? table.split('.') : table;
  if (parts.length === 0) throw unwritable('the table has no name', 'Name it');
  const user = dialect.asText(dialect.name(columns.user));
  const id = dialect.asText(dialect.name(columns.id));
  const isNullUser = dialect.isNullOr(user, `${user} = ''`);
  return {
    dialect,
    from: parts.map(part => dialect.name(part)).join('.'),
    columns,
    user,
    id,
    isNullId: dialect.isNullOr(id, `${id} = ''`),
    isNullUser,
    hasUser: `NOT ${isNullUser}`,
  };
}
