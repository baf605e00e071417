export { contributionsSql, defectsSql, duplicateCheckSql, maximumPerUserSql } from './checks.ts';
export { type SqlDialect, sqlDialects } from './dialects.ts';
export type { SqlColumns, SqlSource } from './relation.ts';
export { selectionSql, type SelectionSqlOptions } from './select.ts';
