import { DpError } from '../../accounting/check.ts';
import { dialectOf } from '../sql/dialects.ts';
import { relationOf, type SqlSource } from '../sql/relation.ts';
import type { ClickhouseSession } from './clickhouse-session.ts';
import { splitArguments, typeNameOf, unquoted } from './clickhouse-type-names.ts';

/** Functions of sharding keys whose value depends on their arguments and nothing else. */
const pureFunctions = new Set(
  (
    'cityHash64 farmHash64 metroHash64 sipHash64 halfMD5 xxHash32 xxHash64 javaHash hiveHash CRC32 CRC64 ' +
    'murmurHash2_32 murmurHash2_64 murmurHash3_32 murmurHash3_64 intHash32 intHash64 jumpConsistentHash ' +
    'modulo positiveModulo abs lower upper lowerUTF8 upperUTF8 toString assumeNotNull ' +
    'toUInt8 toUInt16 toUInt32 toUInt64 toInt8 toInt16 toInt32 toInt64'
  ).split(' '),
);

/** More shares than this are no cluster's. */
const mostShares = 65_536;

const dialect = dialectOf('clickhouse-limit-by');

/** The expression again, part by part; undefined where it may depend on more than the user column. */
function ofUserAlone(expression: string, user: string): string | undefined {
  if (/^\d+$/.test(expression)) return expression;
  const isQuoted = /^`(?:[^`\\]|\\.)*`$/s.test(expression);
  if ((isQuoted ? unquoted(expression) : expression) === user) return dialect.name(user);
  const { name, parts } = typeNameOf(expression);
  if (parts.length === 0 || !pureFunctions.has(name)) return undefined;
  const values = parts.map(part => ofUserAlone(part, user));
  return values.includes(undefined) ? undefined : `${name}(${values.join(', ')})`;
}

/** The cluster and the sharding key of a table by its definition; undefined unless the key depends on users alone. */
export function shardingOf(
  definition: string,
  user: string,
): { readonly cluster: string; readonly key: string } | undefined {
  const inside = /^Distributed\((.*)\)(?: SETTINGS .*)?$/s.exec(definition)?.[1];
  const [cluster = '', , , expression] = inside === undefined ? [] : splitArguments(inside);
  const key = expression === undefined ? undefined : ofUserAlone(expression, user);
  if (key === undefined) return undefined;
  return { cluster: cluster.startsWith("'") ? unquoted(cluster) : cluster, key };
}

/** Makes every shard answer by itself; the answers are put one after another. */
export const shardByShard = { distributed_group_by_no_merge: 1 };

/** Makes a sub-query read the shard that it runs on. */
export const withinShards = { distributed_product_mode: 'local' };

async function definitionOf(session: ClickhouseSession): Promise<string> {
  const { table } = session;
  const [row] = await session.rows(
    `SELECT engine_full AS definition FROM system.tables
WHERE database = ${dialect.text(table.database)} AND name = ${dialect.text(table.table)}`,
  );
  const definition = row?.['definition'];
  return typeof definition === 'string' ? definition : '';
}

/** True where no list has an entry of another. */
function areApart(lists: readonly unknown[]): boolean {
  const all: unknown[] = [];
  for (const list of lists) {
    if (!Array.isArray(list)) return false;
    all.push(...new Set(list));
  }
  return new Set(all).size === all.length;
}

async function check(session: ClickhouseSession, source: SqlSource): Promise<boolean> {
  const sharding = shardingOf(await definitionOf(session), source.columns.user);
  if (sharding === undefined) return false;
  const { shards = 0, shares = 0 } = await session.numbers(
    `SELECT COUNT(*) AS shards, SUM(weight) AS shares FROM (
SELECT shard_num, any(shard_weight) AS weight FROM system.clusters
WHERE cluster = ${dialect.text(sharding.cluster)} GROUP BY shard_num)`,
  );
  if (shards < 2 || shares < 2 || shares > mostShares) return false;
  const { from, hasUser } = relationOf(source);
  const share = `ifNull(toString(${sharding.key} % ${shares}), '')`;
  const found = await session.rows(
    `SELECT groupUniqArray(${share}) AS shares FROM ${from} WHERE ${hasUser}`,
    shardByShard,
  );
  return found.length === shards && areApart(found.map(row => row['shares']));
}

/**
 * True where all rows of a user are on one shard, so that shards can rank by themselves.
 *
 * A sharding key says where rows should be, not where they are: rows may be written to a shard directly, and the key
 * may have changed. So the definition only names the function of the user to look at, modulo the number of shares; it
 * is the rows that show that no two shards hold users of one share. A server that does not let a shard answer by itself
 * gives too few answers, and one that refuses to tell leaves it open: both count as false.
 */
export async function keepsUsersTogether(session: ClickhouseSession, source: SqlSource): Promise<boolean> {
  try {
    return await check(session, source);
  } catch (error) {
    if (error instanceof DpError && error.code === 'ENGINE_FAILED') return false;
    throw error;
  }
}
