/**
 * The per-user cap on 10M records of 1M users: `npm run --silent bench:selection` makes its own tables, runs every task in a process of
 * its own, DuckDB beside ours, and prints one JSON table of CPU seconds and peak memory. `--rows N` for another size.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openBuiltin, rankTable } from '../selection/engines/builtin.ts';
import type { SelectionRequest } from '../selection/engines/engine.ts';
import { openTables } from '../selection/tables/table-source.ts';
import { selectionSql } from '../selection/sql/index.ts';
import { machine, secondsOf } from './measure.ts';
import { type BenchTables, makeTables, tablesIn } from './selection-data.ts';

const rule = { seed: '42', recordsPerUser: 10 } as const;
const narrowColumns = { user: 'user', id: 'record_id', score: 'length' } as const;

async function requestOn(
  path: string,
  options: Partial<SelectionRequest> & Pick<SelectionRequest, 'rule' | 'columns'>,
): Promise<SelectionRequest> {
  return {
    source: await openTables([path]),
    lengthUnit: 'bytes',
    nullUsers: 'error',
    duplicates: 'error',
    memoryLimit: 2 ** 31,
    temporaryFolder: tmpdir(),
    ...options,
  };
}

/** By a column of lengths, descending: what `longest` does once it has measured the texts. */
const longest = { ...rule, strategy: 'highest-perplexity' } as const;
const random = { ...rule, strategy: 'random' } as const;

type Task = (tables: BenchTables) => Promise<number>;

function ranking(path: keyof BenchTables, by: SelectionRequest['rule'], memoryLimit: number): Task {
  return async tables => {
    const request = await requestOn(String(tables[path]), { rule: by, columns: narrowColumns, memoryLimit });
    return (await rankTable(request)).kept.rows.length;
  };
}

/** By length alone, ties as they fall: not the contract, but the least that DuckDB can do. */
const byLengthAlone = `SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY "user" ORDER BY length DESC) AS place FROM records)
  WHERE place <= ${rule.recordsPerUser}`;

function duckdb(by: typeof longest | typeof random | undefined): Task {
  return async tables => {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const table = `read_parquet('${tables.parquet}')`;
    await connection.run(`CREATE VIEW records AS SELECT "user", record_id, length FROM ${table}`);
    const contract = (chosen: SelectionRequest['rule']): string =>
      selectionSql({ dialect: 'duckdb', table: 'records', columns: narrowColumns, rule: chosen });
    const sql = by === undefined ? byLengthAlone : contract(by);
    const counted = await connection.runAndReadAll(`SELECT COUNT(*) FROM (${sql.replace(/;\s*$/, '')})`);
    return Number(counted.getRows()[0]![0]);
  };
}

async function endToEnd(tables: BenchTables): Promise<number> {
  const columns = { user: 'user', id: 'record_id', text: 'text' };
  const memoryLimit = 2 ** 28;
  const request = await requestOn(tables.wide, {
    rule: { ...rule, strategy: 'longest' },
    columns,
    memoryLimit,
  });
  const path = join(tables.wide, '..', 'out.arrow');
  await openBuiltin().select(request, { path, format: 'arrow', isStream: false });
  const { size } = statSync(path);
  rmSync(path);
  return size;
}

const plenty = 2 ** 31;
const tasks: Readonly<Record<string, Task>> = {
  'longest, narrow Arrow': ranking('narrow', longest, plenty),
  'random, narrow Arrow': ranking('narrow', random, plenty),
  'longest, Parquet': ranking('parquet', longest, plenty),
  'random, Parquet': ranking('parquet', random, plenty),
  'longest, DuckDB window on Parquet': duckdb(longest),
  'longest, DuckDB window on Parquet without the tie key': duckdb(undefined),
  'random, DuckDB window on Parquet': duckdb(random),
  'longest, wide Arrow in and out, 256 MB': endToEnd,
  'longest, a user with half of all rows, 256 MB': ranking('hot', longest, 2 ** 28),
  'random, a user with half of all rows, 256 MB': ranking('hot', random, 2 ** 28),
};

interface Row {
  readonly task: string;
  readonly cpu_s: number;
  readonly wall_s: number;
  readonly peak_mb: number;
  /** Rows kept, or bytes written. */
  readonly result: number;
}

async function measure(name: string, tables: BenchTables): Promise<Row> {
  let result = 0;
  const wall = await secondsOf(async () => {
    result = await tasks[name]!(tables);
  });
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const cpu = (userCPUTime + systemCPUTime) / 1e6;
  return { task: name, cpu_s: cpu, wall_s: wall, peak_mb: maxRSS / 1024, result };
}

const { values } = parseArgs({
  options: {
    task: { type: 'string' },
    rows: { type: 'string', default: '10000000' },
    folder: { type: 'string' },
    reps: { type: 'string', default: '2' },
  },
});
const rows = Number(values.rows);

function run(name: string, folder: string): Row {
  const args = [
    ...process.execArgv,
    fileURLToPath(import.meta.url),
    '--task',
    name,
    '--folder',
    folder,
    '--rows',
    String(rows),
  ];
  const row: Row = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  return row;
}

if (values.task === 'make') await makeTables(tablesIn(values.folder!, rows));
else if (values.task !== undefined)
  process.stdout.write(`${JSON.stringify(await measure(values.task, tablesIn(values.folder!, rows)))}\n`);
else {
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'privacy-unit-bench-'));
  try {
    if (values.folder === undefined) {
      const args = [
        ...process.execArgv,
        fileURLToPath(import.meta.url),
        '--task',
        'make',
        '--folder',
        folder,
        '--rows',
        String(rows),
      ];
      execFileSync(process.execPath, args);
    }
    const table = Object.keys(tasks).map(name => {
      const runs = Array.from({ length: Number(values.reps) }, () => run(name, folder));
      return runs.reduce((best, each) => (each.cpu_s < best.cpu_s ? each : best));
    });
    process.stdout.write(`${JSON.stringify({ machine: machine(), rows, table }, null, 2)}\n`);
  } finally {
    if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
