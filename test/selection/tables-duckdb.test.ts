import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSink } from '../../selection/tables/table-sink.ts';
import { openTables } from '../../selection/tables/table-source.ts';
import { temporaryFolder } from './fixtures.ts';
import { fixture, fixtureColumns } from './tables-support.ts';

const folder = temporaryFolder();
const duckdb = await import('@duckdb/node-api').catch(() => undefined);

if (duckdb === undefined)
  console.warn('Skipped: @duckdb/node-api is not installed, so DuckDB reads nothing back.');

describe.skipIf(duckdb === undefined)('Parquet that DuckDB reads', () => {
  it.each(['plain.arrow', 'dictionary.arrow', 'view.arrow', 'groups.parquet'])(
    'holds what %s holds, nested columns included',
    async name => {
      const source = await openTables([fixture(folder, name)]);
      const path = join(folder, `${name}.out.parquet`);
      const sink = await openSink(path, { schema: source.schema, format: 'parquet' });
      for await (const { batch } of source.batches()) await sink.write(batch);
      await sink.finish();
      const connection = await (await duckdb!.DuckDBInstance.create(':memory:')).connect();
      try {
        const reader = await connection.runAndReadAll(`SELECT * FROM '${path}'`);
        const columns = reader.getColumnsObjectJS();
        expect(JSON.parse(JSON.stringify(columns, bigintAsNumber))).toEqual(
          JSON.parse(JSON.stringify(fixtureColumns, bigintAsNumber)),
        );
      } finally {
        connection.closeSync();
      }
    },
  );
});

function bigintAsNumber(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
