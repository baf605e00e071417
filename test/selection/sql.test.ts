import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import * as fc from 'fast-check';
import parsers from 'node-sql-parser';
import { describe, expect, it } from 'vitest';
import { DpError } from '../../accounting/check.ts';
import {
  contributionsSql,
  defectsSql,
  duplicateCheckSql,
  maximumPerUserSql,
  selectionSql,
  type SelectionSqlOptions,
  type SqlDialect,
  sqlDialects,
} from '../../selection/sql/index.ts';
import { strategies } from './fixtures.ts';

const columns = { user: 'sender', id: 'message', text: 'body', score: 'loss', tokens: 'size', order: 'sent' };
const rule = { strategy: 'random', seed: '42', recordsPerUser: 10 } as const;

function statement(dialect: SqlDialect, options: Partial<SelectionSqlOptions> = {}): string {
  return selectionSql({ dialect, table: 'mail.records', columns, rule, ...options });
}

function refusal(dialect: SqlDialect, options: Partial<SelectionSqlOptions>): string {
  try {
    return `no refusal: ${statement(dialect, options)}`;
  } catch (error) {
    if (error instanceof DpError) return `${error.code} ${error.message}`;
    throw error;
  }
}

interface Validator {
  validate(sql: string): unknown[];
}

/** The package's modules import folders, which Node refuses: it is bundled first. */
async function grammars(): Promise<{ spark: Validator; trino: Validator }> {
  const outfile = join(mkdtempSync(join(tmpdir(), 'grammars-')), 'grammars.mjs');
  const contents = "export { SparkSQL, TrinoSQL } from 'dt-sql-parser';";
  await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile,
    logLevel: 'error',
  });
  const module: { SparkSQL: new () => Validator; TrinoSQL: new () => Validator } = await import(outfile);
  return { spark: new module.SparkSQL(), trino: new module.TrinoSQL() };
}

const { spark, trino } = await grammars();
const parser = new parsers.Parser();

function parsedBy(database: string): (sql: string) => unknown[] {
  return sql => {
    try {
      parser.astify(sql, { database });
      return [];
    } catch (error) {
      return [error];
    }
  };
}

/**
 * Faults that a grammar finds; DuckDB, PostgreSQL and ClickHouse run their statements in other tests. The Trino grammar of
 * node-sql-parser lacks expressions after PARTITION BY, which Trino has.
 */
const checks: [SqlDialect, string, (sql: string) => unknown[]][] = [
  ['spark', 'dt-sql-parser', sql => spark.validate(sql)],
  ['trino', 'dt-sql-parser', sql => trino.validate(sql)],
  ['bigquery', 'node-sql-parser', parsedBy('BigQuery')],
  ['snowflake', 'node-sql-parser', parsedBy('Snowflake')],
];

describe('statements pass a grammar of their dialect', () => {
  it.each(checks)('%s by %s', (dialect, _, faults) => {
    expect(faults('SELECT FROM WHERE ((')).not.toEqual([]);
    const source = { dialect, table: 'mail.records', columns } as const;
    const statements = strategies.flatMap(strategy => [
      statement(dialect, { rule: { ...rule, strategy }, isOrdered: true }),
      statement(dialect, { rule: { ...rule, strategy }, nullUsers: 'drop', lengthUnit: 'codepoints' }),
      statement(dialect, { rule: { ...rule, strategy, tokensPerUser: 500 }, lengthUnit: 'tokens' }),
    ]);
    const others = [duplicateCheckSql, contributionsSql, maximumPerUserSql, defectsSql].map(write =>
      write(source),
    );
    for (const sql of [...statements, ...others]) expect(faults(sql), sql).toEqual([]);
  });

  it.each(checks.filter(([, name]) => name === 'dt-sql-parser'))(
    '%s by %s, whatever seeds and names hold',
    (dialect, _, faults) => {
      fc.assert(
        fc.property(hostile, hostile, (seed, name) => {
          const sql = statement(dialect, {
            rule: { ...rule, seed },
            table: [name],
            columns: { user: `${name}1`, id: `${name}2` },
          });
          expect(faults(sql), sql).toEqual([]);
        }),
        { numRuns: 60 },
      );
    },
  );
});

/** Texts made of what ends quotes and comments. */
const hostile: fc.Arbitrary<string> = fc
  .array(
    fc.constantFrom(
      "'",
      '"',
      '`',
      '\\',
      '\n',
      '\r',
      ';',
      '--',
      '/*',
      '*/',
      '$',
      '}',
      '?',
      ':a',
      'é',
      '\u{1f600}',
      '\u2028',
      'x',
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map(parts => parts.join(''))
  .filter(text => text.trim() !== '');

interface Quoting {
  readonly name: string;
  readonly isNameBackslashed: boolean;
  readonly isTextBackslashed: boolean;
}

const quotings: Record<SqlDialect, Quoting> = {
  duckdb: { name: '"', isNameBackslashed: false, isTextBackslashed: false },
  clickhouse: { name: '`', isNameBackslashed: true, isTextBackslashed: true },
  'clickhouse-limit-by': { name: '`', isNameBackslashed: true, isTextBackslashed: true },
  postgres: { name: '"', isNameBackslashed: false, isTextBackslashed: false },
  spark: { name: '`', isNameBackslashed: false, isTextBackslashed: true },
  trino: { name: '"', isNameBackslashed: false, isTextBackslashed: false },
  bigquery: { name: '`', isNameBackslashed: true, isTextBackslashed: true },
  snowflake: { name: '"', isNameBackslashed: false, isTextBackslashed: true },
};

const escapes: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

/** Reads a statement as a scanner of its dialect does: what is inside quotes is taken out and collected. */
function scan(sql: string, dialect: SqlDialect): { skeleton: string; quoted: Set<string> } {
  const { name, isNameBackslashed, isTextBackslashed } = quotings[dialect];
  const quoted = new Set<string>();
  let skeleton = '';
  for (let at = 0; at < sql.length; at++) {
    const quote = sql[at]!;
    if (quote !== "'" && quote !== name) {
      skeleton += quote;
      continue;
    }
    const isEscapeText = dialect === 'postgres' && quote === "'" && sql[at - 1] === 'E';
    const isBackslashed = quote === "'" ? isTextBackslashed || isEscapeText : isNameBackslashed;
    let inside = '';
    for (at++; at < sql.length; at++) {
      if (sql[at] === '\\' && isBackslashed) inside += escapes[sql[++at]!] ?? sql[at];
      else if (sql[at] !== quote) inside += sql[at];
      else if (sql[at + 1] === quote && dialect !== 'bigquery') inside += sql[++at];
      else break;
    }
    quoted.add(inside);
    skeleton += '<>';
  }
  return { skeleton, quoted };
}

describe('quoting', () => {
  it.each(sqlDialects)(
    '%s: a scanner finds every name and seed as it was, and nothing outside of quotes',
    dialect => {
      const plain = scan(
        statement(dialect, { table: ['t'], columns: { user: 'u', id: 'i' } }),
        dialect,
      ).skeleton;
      fc.assert(
        fc.property(hostile, hostile, (seed, name) => {
          const user = `${name}1`;
          const id = `${name}2`;
          const sql = statement(dialect, { rule: { ...rule, seed }, table: [name], columns: { user, id } });
          const { skeleton, quoted } = scan(sql, dialect);
          for (const text of [name, user, id]) expect(quoted).toContain(text);
          if (dialect !== 'spark') {
            expect(quoted).toContain(`${seed}:`);
            expect(skeleton.replaceAll(' E<>', '<>')).toBe(plain);
            return;
          }
          const bytes = Buffer.from(`${seed}:`).toString('hex').toUpperCase();
          expect(quoted.has(`${seed}:`) || quoted.has(bytes)).toBe(true);
          expect(skeleton.replace('CAST(X<> AS STRING)', '<>')).toBe(plain);
        }),
        { numRuns: 300 },
      );
    },
  );

  it('refuses names that no quoting carries', () => {
    expect(refusal('trino', { table: '' })).toMatch(/^INVALID_ARGUMENT .*is empty/);
    expect(refusal('trino', { table: [] })).toMatch(/^INVALID_ARGUMENT .*no name/);
    expect(refusal('trino', { columns: { user: 'a\0', id: 'b' } })).toMatch(/^INVALID_ARGUMENT .*NUL/);
    expect(refusal('trino', { columns: { user: 'a\ud800', id: 'b' } })).toMatch(
      /^INVALID_ARGUMENT .*surrogate/,
    );
    expect(refusal('trino', { rule: { ...rule, seed: '\0' } })).toMatch(/^INVALID_ARGUMENT .*NUL/);
    expect(refusal('spark', { table: 'a${b}' })).toMatch(/^INVALID_ARGUMENT .*Spark/);
    expect(refusal('trino', { allColumns: ['Privacy_Unit_Rank'] })).toMatch(/^INVALID_ARGUMENT .*Rename/);
  });
});

describe('selectionSql()', () => {
  it.each(sqlDialects)('%s: names the columns of the result, user and id always among them', dialect => {
    const { name } = quotings[dialect];
    const own = statement(dialect, { allColumns: ['extra'] });
    expect(
      own.startsWith(`SELECT ${['sender', 'message', 'extra'].map(x => name + x + name).join(', ')}\n`),
    ).toBe(true);
  });

  it('cuts table names at dots, save in a list', () => {
    expect(statement('duckdb')).toContain('FROM "mail"."records"');
    expect(statement('bigquery', { table: ['my-project', 'a.b'] })).toContain('FROM `my-project`.`a.b`');
  });

  it('has one form without and one with windows for ClickHouse', () => {
    expect(statement('clickhouse-limit-by')).toContain('LIMIT 10 BY toString(`sender`)');
    expect(statement('clickhouse-limit-by')).not.toContain('OVER');
    expect(statement('clickhouse')).toContain('ROW_NUMBER() OVER (PARTITION BY toString(`sender`)');
  });

  it('never says QUALIFY, which Spark and Trino lack', () => {
    for (const dialect of sqlDialects) expect(statement(dialect)).not.toContain('QUALIFY');
  });

  const refused: [string, Partial<SelectionSqlOptions>, RegExp][] = [
    ['random-chunk', { rule: { ...rule, strategy: 'random-chunk' } }, /random-chunk/],
    ['truncate', { rule: { ...rule, tokensPerUser: 5, tokenPolicy: 'truncate' } }, /truncate/],
    ['keep-first', { duplicates: 'keep-first' }, /keep-first/],
    [
      'first without an order',
      { rule: { ...rule, strategy: 'first' }, columns: { user: 'u', id: 'i' } },
      /order/,
    ],
    [
      'a length without a text',
      { rule: { ...rule, strategy: 'longest' }, columns: { user: 'u', id: 'i' } },
      /text/,
    ],
    [
      'a score without a column',
      { rule: { ...rule, strategy: 'lowest-perplexity' }, columns: { user: 'u', id: 'i' } },
      /score/,
    ],
    [
      'tokens without a column',
      { rule: { ...rule, tokensPerUser: 5 }, columns: { user: 'u', id: 'i' } },
      /tokens column|window/,
    ],
    ['a rule without a cap', { rule: { ...rule, recordsPerUser: null } }, /at least one cap/],
    ['a cap that is no number', { rule: { ...rule, recordsPerUser: NaN } }, /recordsPerUser is NaN/],
  ];
  it.each(refused)('refuses %s', (_, options, reason) => {
    for (const dialect of sqlDialects) {
      expect(refusal(dialect, options)).toMatch(/^INVALID_ARGUMENT Cannot write SQL: /);
      expect(refusal(dialect, options)).toMatch(reason);
    }
  });

  it('refuses token caps where there are no windows', () => {
    expect(refusal('clickhouse-limit-by', { rule: { ...rule, tokensPerUser: 5 } })).toMatch(
      /window functions/,
    );
  });
});
