import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { selectCapped } from '../../selection/cap.ts';
import { textLengths } from '../../selection/lengths.ts';
import { compareUtf8 } from '../../selection/key.ts';
import { readRecords } from '../../selection/records.ts';
import { isRecord } from '../../selection/tables/build.ts';
import {
  contributionsSql,
  defectsSql,
  duplicateCheckSql,
  maximumPerUserSql,
  selectionSql,
  type SelectionSqlOptions,
} from '../../selection/sql/index.ts';
import { bytes, type PlainRecord, recordsTable, someRecords, strategies } from './fixtures.ts';
import { postgresPrograms, startPostgres } from './postgres-server.ts';

/** Where statements of a dialect are run; each text cell of the answer as text. */
interface Database {
  readonly dialect: 'duckdb' | 'postgres';
  run(sql: string): Promise<string[][]>;
}

const database = await DuckDBInstance.create(':memory:');
const connection = await database.connect();

const duckdb: Database = {
  dialect: 'duckdb',
  run: async sql => {
    const result = await connection.runAndReadAll(sql);
    return result.getRowsJson().map(row => row.map(String));
  },
};

const programs = postgresPrograms();
if (programs === undefined)
  console.log(
    'The PostgreSQL tests are skipped: no server is installed. Install Debian’s package postgresql.',
  );

/** Not in the folder of the run: the server's own user must be able to walk there. */
function openPostgres(): Database {
  const parent = mkdtempSync('/tmp/privacy-unit-pg-');
  chmodSync(parent, 0o755);
  const server = startPostgres(programs!, join(parent, 'pg'));
  afterAll(() => {
    server.stop();
    rmSync(parent, { recursive: true, force: true });
  });
  const run = async (sql: string): Promise<string[][]> => {
    const rows = JSON.stringify(sql).includes('SELECT') ? `SELECT row_to_json(r) FROM (${sql}) r` : sql;
    const lines = server
      .run(`${rows};`)
      .trim()
      .split('\n')
      .filter(line => line !== '');
    return lines.map(line => {
      const row: unknown = JSON.parse(line);
      return isRecord(row) ? Object.values(row).map(String) : [];
    });
  };
  return { dialect: 'postgres', run };
}

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

async function load(target: Database, rows: readonly PlainRecord[], table: string): Promise<void> {
  const float = 'DOUBLE PRECISION';
  await target.run(`DROP TABLE IF EXISTS ${table}`);
  await target.run(
    `CREATE TABLE ${table} ("user" TEXT, id TEXT, text TEXT, score ${float}, tokens INTEGER, place INTEGER)`,
  );
  const values = rows.map(
    ({ user, id, text, score }, place) =>
      `(${literal(user)}, ${literal(id)}, ${literal(text)}, ${score}, ${bytes(text)}, ${place})`,
  );
  await target.run(`INSERT INTO ${table} VALUES ${values.join(', ')}`);
}

const columns = { user: 'user', id: 'id', text: 'text', score: 'score', tokens: 'tokens', order: 'place' };

function expected(rows: readonly PlainRecord[], options: SelectionSqlOptions): string[][] {
  const { rule, lengthUnit = 'bytes' } = options;
  const roles = { user: 'user', id: 'id', text: 'text', score: 'score' };
  const records = readRecords(recordsTable(rows), { ...roles, file: 'x' });
  const tokens = textLengths(records, { unit: 'bytes' });
  const lengths = lengthUnit === 'tokens' ? tokens : textLengths(records, { unit: lengthUnit });
  const kept = selectCapped(records, rule, { lengths, tokens }).rows;
  return Array.from(kept, row => [rows[row]!.user, rows[row]!.id]);
}

const rules = fc
  .record({
    strategy: fc.constantFrom(...strategies),
    seed: fc.oneof(fc.constant('42'), fc.string({ unit: 'binary' }).filter(isPlainText)),
    recordsPerUser: fc.option(fc.integer({ min: 1, max: 5 })),
    tokensPerUser: fc.option(fc.integer({ min: 1, max: 20 })),
  })
  .filter(({ recordsPerUser, tokensPerUser }) => recordsPerUser !== null || tokensPerUser !== null);

function isPlainText(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}

const databases: [string, () => Database, boolean][] = [
  ['duckdb', () => duckdb, true],
  ['postgres', openPostgres, programs !== undefined],
];

for (const [name, open, isThere] of databases) {
  (isThere ? describe : describe.skip)(`selectionSql() on ${name}`, () => {
    const target = isThere ? open() : duckdb;
    const { dialect } = target;

    it('keeps what selectRows() keeps, in canonical order', async () => {
      const units = fc.constantFrom('bytes' as const, 'codepoints' as const, 'tokens' as const);
      await fc.assert(
        fc.asyncProperty(someRecords, rules, units, async (rows, rule, lengthUnit) => {
          await load(target, rows, 'records');
          const options = { dialect, table: 'records', columns, rule, lengthUnit } as const;
          const own = { ...options, isOrdered: true, allColumns: ['user', 'id'] };
          expect(await target.run(selectionSql(own))).toEqual(expected(rows, options));
        }),
        { numRuns: dialect === 'duckdb' ? 60 : 25 },
      );
    }, 120_000);

    it('takes names and seeds with quotes, backslashes and line ends', async () => {
      const odd = 'a"b\'c`d\\e\nf${g}';
      const quoted = `"${odd.replaceAll('"', '""')}"`;
      await target.run(`DROP TABLE IF EXISTS ${quoted}`);
      await target.run(`CREATE TABLE ${quoted} (${quoted} TEXT, id BIGINT)`);
      await target.run(`INSERT INTO ${quoted} VALUES ('u', 10), ('u', 9), ('v', 1)`);
      const source = { dialect, table: [odd], columns: { user: odd, id: 'id' } } as const;
      const rule = { strategy: 'random', seed: odd, recordsPerUser: 1 } as const;
      const kept = await target.run(selectionSql({ ...source, rule, isOrdered: true }));
      const records = readRecords(
        recordsTable(['10', '9'].map(id => ({ user: 'u', id, text: '', score: 0 }))),
        { user: 'user', id: 'id', file: 'x' },
      );
      const [best] = selectCapped(records, rule).rows;
      expect(kept).toEqual([
        ['u', records.ids[best!]],
        ['v', '1'],
      ]);
    });

    const bad: [string, string, object][] = [
      ['a null user', "(NULL, '1', 'x', 1, 1, 1)", {}],
      ['an empty user', "('', '1', 'x', 1, 1, 1)", {}],
      ['a null id', "('a', NULL, 'x', 1, 1, 1)", { nullUsers: 'drop' }],
      ['an empty id', "('a', '', 'x', 1, 1, 1)", {}],
      ['a null text', "('a', '1', NULL, 1, 1, 1)", { strategy: 'longest' }],
      ['a null score', "('a', '1', 'x', NULL, 1, 1)", { strategy: 'highest-perplexity' }],
      ['a score that is NaN', "('a', '1', 'x', 'NaN', 1, 1)", { strategy: 'lowest-perplexity' }],
      ['a null place', "('a', '1', 'x', 1, 1, NULL)", { strategy: 'first' }],
      ['null tokens', "('a', '1', 'x', 1, NULL, 1)", { tokensPerUser: 3 }],
      ['negative tokens', "('a', '1', 'x', 1, -1, 1)", { tokensPerUser: 3 }],
    ];
    it.each(bad)('stops at %s', async (_, values, { nullUsers, ...rest }: { nullUsers?: 'drop' }) => {
      await load(target, [{ user: 'ok', id: '1', text: '', score: 0 }], 'records');
      const rule = { strategy: 'random', seed: '42', recordsPerUser: 2, ...rest } as const;
      const sql = selectionSql({ dialect, table: 'records', columns, rule, nullUsers });
      expect(await target.run(sql)).toHaveLength(1);
      await target.run(`INSERT INTO records VALUES ${values}`);
      await expect(async () => target.run(sql)).rejects.toThrow();
    });

    it('drops null and empty users where asked to', async () => {
      await load(target, [{ user: 'ok', id: '1', text: '', score: 0 }], 'records');
      await target.run("INSERT INTO records VALUES (NULL, NULL, 'x', 1, 1, 1), ('', '1', 'x', 1, 1, 1)");
      const rule = { strategy: 'longest', seed: '42', recordsPerUser: 2 } as const;
      const options = { dialect, table: 'records', columns, rule, allColumns: ['user', 'id'] } as const;
      expect(await target.run(selectionSql({ ...options, nullUsers: 'drop' }))).toEqual([['ok', '1']]);
    });

    it('counts duplicates, defects, contributions and the maximum', async () => {
      const row = (user: string, id: string): PlainRecord => ({ user, id, text: '', score: 0 });
      await load(
        target,
        [row('a', '1'), row('a', '1'), row('a', '1'), row('a', '2'), row('b', '1')],
        'records',
      );
      await target.run("INSERT INTO records VALUES (NULL, NULL, 'x', 1, 1, 1), ('', '', NULL, 1, 1, 1)");
      const source = { dialect, table: 'records', columns } as const;
      expect(await target.run(duplicateCheckSql(source))).toEqual([['1', '2']]);
      expect(await target.run(contributionsSql(source))).toEqual([
        ['1', '1'],
        ['4', '1'],
      ]);
      expect(await target.run(maximumPerUserSql(source))).toEqual([['4']]);
      expect(await target.run(defectsSql(source))).toEqual([['7', '2', '0', '0', '0']]);
      await target.run(
        "INSERT INTO records VALUES ('c', NULL, NULL, 'NaN', 1, 1), ('c', '', 'x', NULL, 1, 1)",
      );
      expect(await target.run(defectsSql(source))).toEqual([['9', '2', '2', '1', '2']]);
    });

    it('sorts by UTF-8 bytes', async () => {
      const ids = ['\u{1f600}', '\uff01', 'B', 'a', 'é', 'Z'];
      await load(
        target,
        ids.map(id => ({ user: 'u', id, text: '', score: 0 })),
        'records',
      );
      const rule = { strategy: 'random', seed: '42', recordsPerUser: 9 } as const;
      const rows = await target.run(
        selectionSql({ dialect, table: 'records', columns, rule, isOrdered: true }),
      );
      expect(rows.map(([, id]) => id)).toEqual([...ids].sort(compareUtf8));
    });
  });
}
