import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestPathOf, readManifest } from '../../../selection/index.ts';
import { serverProgram, startCluster, type TestCluster } from '../../selection/clickhouse-cluster.ts';
import { runCli, runJson, sampleRows, temporaryFolder, writeJsonl } from '../support.ts';

const program = serverProgram();
const folder = temporaryFolder();
const rows = sampleRows(200);
const table = writeJsonl(join(folder, 'table.jsonl'), rows);

// Skipped where there is no clickhouse-server; test/selection/cluster.test.ts says so.
(program === undefined ? describe.skip : describe)('select on a cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster(program!, join(folder, '.'));
    for (const [shard, server] of cluster.servers.entries()) {
      await server.run(
        'CREATE TABLE part (user String, record_id String, text String) ENGINE = MergeTree ORDER BY record_id',
      );
      await server.run('CREATE TABLE records AS part ENGINE = Distributed(shards, default, part, rand())');
      const own = rows.filter((_, row) => row % 2 === shard);
      const lines = own.map(({ user, record_id, text }) => `${user}\t${record_id}\t${text}\n`).join('');
      await server.run('INSERT INTO part FORMAT TabSeparated', lines);
    }
  });

  afterAll(async () => {
    await cluster.stop();
  });

  it.each(['random', 'longest'])(
    'keeps by %s what files keep, and names the table in the manifest',
    async strategy => {
      const rule = ['--strategy', strategy, '--k', '2'];
      const files = await runJson('select', table, ...rule, '--out', join(folder, `${strategy}-files.arrow`));
      const out = join(folder, `${strategy}-cluster.arrow`);
      const url = cluster.urlOf('records').replace('//', '//default@');
      const found = await runJson('select', url, ...rule, '--text', 'text', '--out', out);
      expect([found['digest'], found['recordsIn']]).toEqual([files['digest'], files['recordsIn']]);
      const { inputs, engine, commandLine } = await readManifest(manifestPathOf(out));
      expect(engine.name).toBe('clickhouse');
      expect(engine.version).toMatch(/^\d+\.\d+/);
      expect(inputs).toMatchObject([{ kind: 'database', bytes: null, sha256: null, rows: rows.length }]);
      expect(inputs[0]!.path).toMatch(/^clickhouse:\/\/127\.0\.0\.1:\d+\/default\/records$/);
      expect(commandLine!.join(' ')).not.toContain('@');
      expect((await runCli('verify', manifestPathOf(out))).code).toBe(0);
    },
  );

  it('takes --cluster with the table apart, and surveys it', async () => {
    const url = cluster.urlOf('records').replace('/default/records', '');
    const answer = await runJson('select', 'default.records', '--cluster', url, '--dry-run', '--k', '1,2');
    expect(answer).toMatchObject({
      users: 200,
      recordsIn: rows.length,
      statistics: { records: rows.length },
    });
    const secret = await runJson('select', 'default.records', '--cluster', url, '--dp-stats', '1');
    expect(secret['private']).toBe(true);
  });
});
