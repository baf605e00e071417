import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clickhouse, ClickhouseSession } from '../../selection/engines/clickhouse-session.ts';
import { keepsUsersTogether } from '../../selection/engines/clickhouse-shards.ts';
import { parseClickhouseUrl } from '../../selection/engines/clickhouse-url.ts';
import { openClickhouse } from '../../selection/engines/clickhouse.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { loadOptional } from '../../selection/engines/optional.ts';
import { serverProgram, startCluster, type TestCluster } from './clickhouse-cluster.ts';
import { cap, freeOutput, outputOf, pairsOf, requestOn } from './engine-checks.ts';
import { failureOf, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const names = { user: 'user', id: 'id' };
const program = serverProgram();
const suite = program === undefined ? describe.skip : describe;

/** 40 users of up to 40 records; on a server, the users that its share of the hash says. */
function rowsSql(table: string, where: string, firstId = 0): string {
  return `INSERT INTO ${table} SELECT concat('user ', toString(number % 40)), number + ${firstId}, substring('xxxxxxx', 1, number % 7)
FROM numbers(1600) WHERE intDiv(number, 40) <= number % 40 AND ${where}`;
}

const shareOf = (shard: number): string =>
  `cityHash64(concat('user ', toString(number % 40))) % 2 = ${shard}`;

suite('clickhouse where users keep to their shards', () => {
  let cluster: TestCluster;

  const onBoth = async (sql: string): Promise<void> => {
    for (const server of cluster.servers) await server.run(sql);
  };
  const table = async (name: string, key: string): Promise<void> => {
    await onBoth(
      `CREATE TABLE part_${name} (user String, id UInt64, text String) ENGINE = MergeTree ORDER BY id`,
    );
    await onBoth(
      `CREATE TABLE ${name} AS part_${name} ENGINE = Distributed(shards, default, part_${name}${key})`,
    );
    for (const [shard, server] of cluster.servers.entries())
      await server.run(rowsSql(`part_${name}`, shareOf(shard)));
  };

  beforeAll(async () => {
    const place = join(folder, 'shards');
    mkdirSync(place);
    cluster = await startCluster(program!, place);
    await table('together', ', cityHash64(user)');
    await table('strays', ', cityHash64(user)');
    for (const [shard, server] of cluster.servers.entries())
      await server.run(rowsSql('part_strays', 'number % 40 = 37', 5000 + 5000 * shard));
    await table('unkeyed', '');
    await table('scattered', ', rand()');
    await table('by_record', ', cityHash64(user, id)');
    await table('other_key', ', sipHash64(user)');
    await table('whole', ', cityHash64(user)');
    await cluster.servers[0]!.run(
      'CREATE TABLE all_rows (user String, id UInt64, text String) ENGINE = Memory',
    );
    await cluster.servers[0]!.run(rowsSql('all_rows', '1'));
  });
  afterAll(async () => {
    await cluster.stop();
  });

  const requestFor = (name: string, options: Partial<SelectionRequest> = {}): SelectionRequest =>
    requestOn(
      { url: cluster.urlOf(name) },
      { folder, columns: { ...names, text: 'text' }, rule: { ...cap, recordsPerUser: 3 }, ...options },
    );

  const isTogether = async (name: string, user = 'user'): Promise<boolean> => {
    const clickhouse = await loadOptional<Clickhouse>('@clickhouse/client', 'clickhouse');
    const place = parseClickhouseUrl(cluster.urlOf(name), {});
    const session = new ClickhouseSession(clickhouse, place, requestFor(name));
    const source = {
      dialect: 'clickhouse-limit-by',
      table: ['default', name],
      columns: { user, id: 'id' },
    } as const;
    try {
      return await keepsUsersTogether(session, source);
    } finally {
      await session.close();
    }
  };

  it('tells by the key and by the rows', async () => {
    expect(await isTogether('together')).toBe(true);
    for (const name of ['strays', 'unkeyed', 'scattered', 'by_record', 'other_key', 'all_rows'])
      expect([name, await isTogether(name)]).toEqual([name, false]);
    expect(await isTogether('together', 'text')).toBe(false);
  });

  it.each(['random', 'longest', 'shortest'] as const)('keeps by %s what one server keeps', async strategy => {
    const engine = await openClickhouse();
    const options = { rule: { ...cap, strategy, recordsPerUser: 3 } };
    const expected = pairsOf(await outputOf(engine, requestFor('all_rows', options)), names);
    expect(expected.length).toBeGreaterThan(100);
    for (const name of ['together', 'unkeyed', 'scattered', 'by_record', 'other_key'])
      expect(pairsOf(await outputOf(engine, requestFor(name, options)), names)).toEqual(expected);
    const counts = await engine.survey(requestFor('all_rows', options));
    expect(await engine.survey(requestFor('together', options))).toEqual(counts);
  });

  it('caps a user whose rows are on both shards against the key', async () => {
    const engine = await openClickhouse();
    const kept = pairsOf(await outputOf(engine, requestFor('strays')), names);
    expect(kept.filter(pair => pair.includes('"user 37"'))).toHaveLength(3);
    const { contributions } = await engine.survey(requestFor('strays'));
    expect(contributions.get(114)).toBe(1);
  });

  it('finds records that repeat within a shard', async () => {
    await cluster.servers[1]!.run(rowsSql('part_whole', `${shareOf(1)} AND number < 80`));
    expect(await isTogether('whole')).toBe(true);
    const failure = await failureOf(async () =>
      (await openClickhouse()).select(requestFor('whole'), freeOutput(folder, 'parquet')),
    );
    expect([failure.code, failure.message]).toEqual([
      'DUPLICATE_RECORD',
      expect.stringMatching(/[1-9]\d* rows repeat/),
    ]);
  });

  it('drops null users as one server does', async () => {
    const columns = 'user Nullable(String), id UInt64';
    await onBoth(`CREATE TABLE part_gaps (${columns}) ENGINE = MergeTree ORDER BY id`);
    await onBoth(
      'CREATE TABLE gaps AS part_gaps ENGINE = Distributed(shards, default, part_gaps, cityHash64(assumeNotNull(user)))',
    );
    for (const [shard, server] of cluster.servers.entries()) {
      const own = "cityHash64(concat('u', toString(number % 9))) % 2";
      await server.run(
        `INSERT INTO part_gaps SELECT concat('u', toString(number % 9)), number FROM numbers(90) WHERE ${own} = ${shard}`,
      );
      await server.run(`INSERT INTO part_gaps VALUES (NULL, ${shard}), ('', ${shard})`);
    }
    expect(await isTogether('gaps')).toBe(true);
    const own = requestFor('gaps', { columns: names, nullUsers: 'drop' });
    const kept = await outputOf(await openClickhouse(), own);
    expect(kept.numRows).toBe(27);
    expect((await (await openClickhouse()).survey(own)).dropped).toEqual({ nullUsers: 4, duplicates: 0 });
  });
});
