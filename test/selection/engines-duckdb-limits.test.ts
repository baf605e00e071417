import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Table } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { checkVersion, openDuckdb } from '../../selection/engines/duckdb.ts';
import type { SelectionRequest } from '../../selection/engines/engine.ts';
import { openOptionalEngine } from '../../selection/engines/open.ts';
import { loadOptional } from '../../selection/engines/optional.ts';
import { writeTable } from '../../selection/tables/index.ts';
import { cap, freeOutput, openOne, requestOn } from './engine-checks.ts';
import { failureOf, recordsTable, temporaryFolder } from './fixtures.ts';

const folder = temporaryFolder();
const engine = await openDuckdb();
const names = { user: 'user', id: 'id' };
let files = 0;

async function written(table: Table): Promise<string> {
  const path = join(folder, `table-${files++}.parquet`);
  await writeTable(table, path);
  return path;
}

const three = recordsTable([
  { user: 'bo', id: '2', text: 'né', score: 2 },
  { user: 'ada', id: '1', text: 'x', score: 1 },
  { user: 'bo', id: '1', text: '', score: 3 },
]);

describe('duckdb limits', () => {
  const unsupported: Partial<SelectionRequest>[] = [
    { rule: { ...cap, strategy: 'random-chunk', chunkTokens: 3 } },
    { rule: { ...cap, tokensPerUser: 3 } },
    { rule: { ...cap, strategy: 'longest' }, lengthUnit: 'tokens' },
    { source: { url: 'clickhouse://localhost/default/records' } },
    { rule: { ...cap, strategy: 'longest' }, columns: names },
    { rule: { ...cap, strategy: 'lowest-perplexity' }, columns: names },
    { rule: { ...cap, recordsPerUser: null } },
  ];
  it.each(unsupported)('refuses what it cannot do: %j', async options => {
    const source = await openOne(await written(three));
    const failure = await failureOf(() => engine.survey(requestOn(source, { folder, ...options })));
    expect(failure.code).toBe('INVALID_ARGUMENT');
  });

  it('stops when interrupted and leaves nothing in the temporary folder', async () => {
    const empty = temporaryFolder();
    const source = await openOne(await written(three));
    const controller = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage === 'select') controller.abort();
    };
    const request = requestOn(source, { folder: empty, signal: controller.signal, onProgress });
    const failure = await failureOf(() => engine.select(request, freeOutput(folder, 'parquet')));
    expect(failure.code).toBe('INTERRUPTED');
    expect(readdirSync(empty)).toEqual([]);
  });

  it('is interrupted in the middle of a statement', async () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => {
      return { user: `u${i % 9}`, id: `${i}`, text: 'some text', score: 0 };
    });
    const source = await openOne(await written(recordsTable(rows)));
    const controller = new AbortController();
    const onProgress = (stage: string): void => {
      if (stage === 'validate') setTimeout(() => controller.abort(), 5);
    };
    const request = requestOn(source, { folder, signal: controller.signal, onProgress });
    const failure = await failureOf(() => engine.select(request, freeOutput(folder, 'parquet')));
    expect(failure.code).toBe('INTERRUPTED');
  });

  it.each(['read', 'validate', 'select', 'write'])('refuses a file that changes at "%s"', async changeAt => {
    const path = await written(three);
    const source = await openOne(path);
    const onProgress = (stage: string): void => {
      if (stage === changeAt) writeFileSync(path, readFileSync(path));
    };
    const request = requestOn(source, { folder, onProgress });
    const failure = await failureOf(() => engine.select(request, freeOutput(folder, 'parquet')));
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining(`${basename(path)}: it changed while it was read`),
    ]);
  });

  it('says that a file changed where DuckDB stumbles over it', async () => {
    const path = await written(three);
    const source = await openOne(path);
    const onProgress = (stage: string): void => {
      if (stage === 'write') writeFileSync(path, 'no Parquet any more');
    };
    const request = requestOn(source, { folder, onProgress });
    const failure = await failureOf(() => engine.select(request, freeOutput(folder, 'arrow')));
    expect([failure.code, failure.message]).toEqual([
      'INVALID_DATA',
      expect.stringContaining('it changed while it was read'),
    ]);
  });

  it.each(['v1.5.5', 'v1.4.9', 'v0.10.9', 'v2.0.0', 'unknown'])('refuses DuckDB %s', async version => {
    const failure = await failureOf(() => checkVersion(version));
    expect([failure.code, failure.message]).toEqual([
      'ENGINE_UNAVAILABLE',
      expect.stringContaining(`holds DuckDB ${version}. Install 1.5.6`),
    ]);
  });

  it.each(['v1.5.6', 'v1.5.10', 'v1.6.0', 'v1.10.0-dev3'])('takes DuckDB %s', version => {
    expect(() => checkVersion(version)).not.toThrow();
  });

  it('names the package and how to install it where it is missing', async () => {
    const failure = await failureOf(() => loadOptional('@duckdb/absent', 'duckdb'));
    expect([failure.code, failure.message]).toEqual([
      'ENGINE_UNAVAILABLE',
      expect.stringContaining('Run "npm install @duckdb/node-api@'),
    ]);
    expect((await openOptionalEngine('duckdb')).name).toBe('duckdb');
  });
});
