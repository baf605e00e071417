import {
  defectsSql,
  duplicateCheckSql,
  maximumPerUserSql,
  selectionSql,
  type SelectionSqlOptions,
  type SqlColumns,
} from '../../selection/index.ts';
import { DpError } from '../../accounting/check.ts';
import { required } from '../arguments.ts';
import type { Answer } from '../output.ts';
import type { SelectCommandOptions } from './select-options.ts';
import { capRuleOf } from './select-rule.ts';

const verb = 'write SQL';

/** A table in a database has no columns that could be looked up, so the usual names stand in. */
function columnsOf(options: SelectCommandOptions): SqlColumns {
  const { user = 'user', id = 'record_id', strategy, lengthUnit, score } = options;
  if (id === 'auto') {
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot write SQL: --id is auto but a table of a database has no rows to number. Name the id column.',
    );
  }
  const isByText = (strategy === 'longest' || strategy === 'shortest') && lengthUnit !== 'tokens';
  const text = options.text ?? (isByText ? 'text' : undefined);
  return { user, id, text, score, tokens: options.tokensColumn, order: options.orderColumn };
}

/** Prints the contract as a statement of another engine; nothing is read. */
export function emitSql(options: SelectCommandOptions): Answer {
  const { lengthUnit, nullUsers, duplicates, owners } = options;
  if (owners !== undefined) {
    throw new DpError(
      'INVALID_ARGUMENT',
      'Cannot write SQL: --owners names several users a record, which no statement of ours can go through. Give --user.',
    );
  }
  const table = required(options.tableName, { verb, name: '--table-name', example: 'mail.records' });
  const dialect = required(options.emitSql, { verb, name: '--emit-sql', example: 'spark' });
  const source = { dialect, table, columns: columnsOf(options), nullUsers };
  const asked: SelectionSqlOptions = {
    ...source,
    rule: capRuleOf(options),
    lengthUnit,
    duplicates,
    isOrdered: true,
  };
  const sql = selectionSql(asked);
  const checks = {
    defects: defectsSql(source),
    duplicates: duplicateCheckSql(source),
    maximumPerUser: maximumPerUserSql(source),
  };
  return { json: { dialect, sql, checks }, text: `${sql};` };
}
