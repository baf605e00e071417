import { usesLengths, usesScores } from '../rule.ts';
import { selectionSql } from '../sql/index.ts';
import { leadingBits } from './duckdb-narrow.ts';
import type { DuckdbSession } from './duckdb-session.ts';
import type { SelectionRequest } from './engine.ts';

/** Up to this cap, heaps of the best values per user cost less than sorting; DuckDB allows no larger ones either. */
const mostInHeap = 10_000;

/** The statement of the contract over a table like `narrow`, whose column `m` is what the rule orders by. */
function contractOver(table: string, { rule }: SelectionRequest): string {
  const byLength = usesLengths(rule.strategy);
  const roles = {
    ...(byLength && { tokens: 'm' }),
    ...(usesScores(rule.strategy) && { score: 'm' }),
    ...(rule.strategy === 'first' && { order: 'm' }),
  };
  return selectionSql({
    dialect: 'duckdb',
    table,
    columns: { user: 'u', id: 'i', ...roles },
    rule,
    lengthUnit: byLength ? 'tokens' : 'bytes',
    allColumns: ['u', 'i', 'file', 'place'],
  });
}

/**
 * Leaves out records of the users above the cap that cannot be among the k best: those beyond the k-th value of `m`, and
 * of those that tie with it, those beyond the k-th of the leading bits of K. What stays holds every record that is kept
 * and hardly more, so that ranking it fits into memory even where one user has most of the table.
 */
async function makeCandidates(session: DuckdbSession, { rule }: SelectionRequest): Promise<void> {
  const k = rule.recordsPerUser!;
  const isDescending = rule.strategy === 'longest' || rule.strategy === 'highest-perplexity';
  const best = isDescending ? 'max' : 'min';
  await session.rows(
    `CREATE TEMP TABLE cut AS SELECT u, list_last(${best}(m, ${k})) AS t FROM narrow SEMI JOIN big USING (u) GROUP BY u`,
  );
  await session.rows(
    `CREATE TEMP TABLE tied AS SELECT file, place, u, i, m, ${leadingBits(rule.seed, { user: 'u', id: 'i' })} AS h
     FROM narrow JOIN cut USING (u) WHERE m = t`,
  );
  await session.rows(
    `CREATE TEMP TABLE candidates AS
     WITH tied_cut AS (SELECT u, list_last(min(h, ${k})) AS t FROM tied GROUP BY u)
     SELECT file, place, u, i, m FROM tied JOIN tied_cut USING (u) WHERE h <= t
     UNION ALL SELECT file, place, u, i, m FROM narrow JOIN cut USING (u) WHERE m ${isDescending ? '>' : '<'} t`,
  );
}

/** Users of a table who have more records than the cap. */
function usersAbove(recordsPerUser: number, table: string): string {
  return `SELECT u FROM ${table} GROUP BY u HAVING COUNT(*) > ${recordsPerUser}`;
}

/**
 * Makes the table `kept` (`u`, `i`, `file`, `place`) out of `narrow`. Users with no more records, or candidates, than the
 * cap keep them all; only the others are ranked.
 */
export async function rankKept(session: DuckdbSession, request: SelectionRequest): Promise<void> {
  const k = request.rule.recordsPerUser!;
  await session.rows(`CREATE TEMP TABLE big AS ${usersAbove(k, 'narrow')}`);
  if (k <= mostInHeap) await makeCandidates(session, request);
  else await session.rows('CREATE TEMP VIEW candidates AS SELECT * FROM narrow SEMI JOIN big USING (u)');
  await session.rows(`CREATE TEMP TABLE undecided AS ${usersAbove(k, 'candidates')}`);
  await session.rows('CREATE TEMP VIEW contested AS SELECT * FROM candidates SEMI JOIN undecided USING (u)');
  await session.rows(
    `CREATE TEMP TABLE kept AS
     SELECT u, i, file, place FROM narrow ANTI JOIN big USING (u)
     UNION ALL SELECT u, i, file, place FROM candidates ANTI JOIN undecided USING (u)
     UNION ALL SELECT * FROM (${contractOver('contested', request)})`,
  );
}
