import { DataType as Types } from 'apache-arrow';
import { DpError } from '../../accounting/check.ts';
import {
  contributionsSql,
  defectsSql,
  duplicateCheckSql,
  selectionSql,
  type SqlSource,
} from '../sql/index.ts';
import { dialectOf } from '../sql/dialects.ts';
import { isIntegerType, isTextType } from '../tables/cells.ts';
import { openSink } from '../tables/table-sink.ts';
import { type ClickhouseColumn, columnsFrom, gatherRows, schemaOf } from './clickhouse-rows.ts';
import { type Clickhouse, ClickhouseSession, type Settings } from './clickhouse-session.ts';
import { keepsUsersTogether, shardByShard, withinShards } from './clickhouse-shards.ts';
import { parseClickhouseUrl } from './clickhouse-url.ts';
import {
  cannotSelect,
  checkNoTokens,
  enterStage,
  keptCount,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
  type SelectionStage,
} from './engine.ts';
import { loadOptional } from './optional.ts';

/** 18.x to today's versions take this form. */
const dialectName = 'clickhouse-limit-by';
const dialect = dialectOf(dialectName);

interface Work {
  readonly session: ClickhouseSession;
  readonly request: SelectionRequest;
  readonly source: SqlSource;
  readonly columns: readonly ClickhouseColumn[];
  /** Whether all rows of a user are on one shard. */
  readonly isTogether: boolean;
}

function enter({ session, request }: Work, stage: SelectionStage): void {
  session.stage = stage;
  enterStage(request, stage);
}

function checkRequest(request: SelectionRequest): { url: string; id: string } {
  const { source, columns, rule, duplicates } = request;
  if (!('url' in source))
    throw cannotSelect('clickhouse reads tables of a database, not files', 'Give a URL');
  checkNoTokens(request, 'clickhouse');
  if (columns.id === null)
    throw cannotSelect('a table of a database has no rows to number', 'Name the id column');
  if (duplicates === 'keep-first' || rule.strategy === 'first')
    throw cannotSelect('a table of a database has no first record', 'Use another rule');
  return { url: source.url, id: columns.id };
}

/** Columns that `SELECT *` leaves out. */
const computed = new Set(['ALIAS', 'MATERIALIZED', 'EPHEMERAL']);

async function describe(session: ClickhouseSession): Promise<ClickhouseColumn[]> {
  const { database, table, shown } = session.table;
  const rows = await session.rows(`DESCRIBE TABLE ${dialect.name(database)}.${dialect.name(table)}`);
  const stored = rows.filter(({ default_type: kind }) => !computed.has(String(kind)));
  return columnsFrom(
    stored.map(({ name, type }) => ({ name: String(name), type: String(type) })),
    shown,
  );
}

function checkRole(
  columns: readonly ClickhouseColumn[],
  name: string | undefined,
  expected: { role: string; shown: string; fits: (column: ClickhouseColumn) => boolean },
): void {
  if (name === undefined) return;
  const { role, shown, fits } = expected;
  const found = columns.find(column => column.name === name);
  if (found === undefined) {
    const available = columns.map(column => JSON.stringify(column.name)).join(', ');
    throw new DpError(
      'MISSING_COLUMN',
      `Cannot read ${shown}: there is no ${role} column ${JSON.stringify(name)}. Choose from ${available}.`,
    );
  }
  if (fits(found)) return;
  throw new DpError(
    'INVALID_DATA',
    `Cannot read ${shown}: ${role} column ${JSON.stringify(name)} is of type ${found.shown}. Name another column.`,
  );
}

function checkRoles(columns: readonly ClickhouseColumn[], request: SelectionRequest, shown: string): void {
  const isKey = ({ type }: ClickhouseColumn): boolean => isTextType(type) || isIntegerType(type);
  const { user, id, text, score } = request.columns;
  checkRole(columns, user, { role: 'user', shown, fits: isKey });
  checkRole(columns, id ?? undefined, { role: 'id', shown, fits: isKey });
  checkRole(columns, text, { role: 'text', shown, fits: ({ isString }) => isString });
  const isNumber = ({ type }: ClickhouseColumn): boolean => Types.isInt(type) || Types.isFloat(type);
  checkRole(columns, score, { role: 'score', shown, fits: isNumber });
}

/** Counts rows of text columns that hold NUL, which the contract refuses. */
function nulSql({ session, columns, request }: Work): string {
  const { user, id, text } = request.columns;
  const names = columns
    .filter(({ name, type }) => [user, id, text].includes(name) && isTextType(type))
    .map(({ name }) => `ifNull(position(toString(${dialect.name(name)}), unhex('00')) > 0, 0)`);
  const { database, table } = session.table;
  const condition = names.length === 0 ? '0' : names.join(' OR ');
  return `SELECT countIf(${condition}) AS nul FROM ${dialect.name(database)}.${dialect.name(table)}`;
}

/** For statements that group by user. */
function byShards({ isTogether }: Work): Settings {
  return isTogether ? shardByShard : {};
}

/** Refuses what `readRecords` refuses; a table has no row numbers, so messages count. */
async function refuseDefects(work: Work): Promise<{ records: number; nullUsers: number }> {
  const { session, source, request } = work;
  const { shown } = session.table;
  const refuse = (
    code: 'NULL_USER' | 'DUPLICATE_RECORD' | 'INVALID_DATA',
    reason: string,
    advice: string,
  ): DpError => new DpError(code, `Cannot read ${shown}: ${reason}. ${advice}.`);
  const found = await session.numbers(defectsSql(source));
  const { records = 0, null_users: nullUsers = 0 } = found;
  if (records === 0) throw refuse('INVALID_DATA', 'it holds 0 rows', 'Give a table with at least one record');
  if (nullUsers > 0 && request.nullUsers === 'error')
    throw refuse(
      'NULL_USER',
      `the user of ${nullUsers} rows is null or empty`,
      'Mend them, or drop such rows by policy',
    );
  const others: [string, number | undefined][] = [
    ['the id of %n rows is null or empty', found['null_ids']],
    ['the text of %n rows is null', found['null_texts']],
    ['the score of %n rows is null or NaN', found['bad_scores']],
    ['%n rows hold a NUL character', (await session.numbers(nulSql(work)))['nul']],
  ];
  for (const [reason, count = 0] of others) {
    if (count > 0) throw refuse('INVALID_DATA', reason.replace('%n', String(count)), 'Mend or remove them');
  }
  const { records: repeats = 0 } = await session.numbers(duplicateCheckSql(source), byShards(work));
  if (repeats > 0)
    throw refuse('DUPLICATE_RECORD', `${repeats} rows repeat a record id of their user`, 'Make ids unique');
  return { records, nullUsers };
}

async function countRecords(work: Work): Promise<SelectionCounts> {
  enter(work, 'validate');
  const { records, nullUsers } = await refuseDefects(work);
  const rows = await work.session.rows(contributionsSql(work.source), byShards(work));
  return {
    recordsIn: records,
    dropped: { nullUsers, duplicates: 0 },
    contributions: new Map(rows.map(row => [Number(row['records']), Number(row['users'])])),
  };
}

/**
 * Ranks narrow columns first. Where users keep to their shards, each shard ranks its own and sends the whole rows kept;
 * elsewhere the pairs kept travel to every shard (`GLOBAL`), and where rows lie makes no difference.
 */
function keptSql({ session, source, request, columns, isTogether }: Work): string {
  const { user, id } = source.columns;
  const key = (name: string): string => `assumeNotNull(toString(${dialect.name(name)}))`;
  const pair = `${key(user)}, ${key(id)}`;
  const { rule, lengthUnit, nullUsers } = request;
  const kept = selectionSql({ ...source, rule, lengthUnit, nullUsers, allColumns: [user, id] });
  const { database, table } = session.table;
  return `SELECT ${columns.map(({ name }) => dialect.name(name)).join(', ')}
FROM ${dialect.name(database)}.${dialect.name(table)}
WHERE ${nullUsers === 'drop' ? `NOT ${dialect.isNullOr(user, `toString(${dialect.name(user)}) = ''`)} AND ` : ''}(${pair}) ${isTogether ? 'IN' : 'GLOBAL IN'} (
SELECT ${pair} FROM (
${kept}))
ORDER BY ${pair}`;
}

async function writeKept(work: Work, output: SelectionOutput): Promise<number> {
  const { session, columns, isTogether } = work;
  const schema = schemaOf(columns);
  const { path, format, isStream } = output;
  const sink = await openSink(path, { schema, format, isStream });
  try {
    await session.binary(keptSql(work), isTogether ? withinShards : {}, async pieces => {
      enter(work, 'write');
      await gatherRows(pieces, columns, { schema, sink, shown: session.table.shown });
    });
    await sink.finish();
    return sink.rows;
  } finally {
    await sink.abort();
  }
}

async function within<T>(
  clickhouse: Clickhouse,
  request: SelectionRequest,
  action: (work: Work) => Promise<T>,
): Promise<T> {
  const { url, id } = checkRequest(request);
  const table = parseClickhouseUrl(url, process.env);
  enterStage(request, 'read');
  const session = new ClickhouseSession(clickhouse, table, request);
  try {
    const columns = await describe(session);
    checkRoles(columns, request, table.shown);
    const source = {
      dialect: dialectName,
      table: [table.database, table.table],
      columns: { ...request.columns, id },
    } as const;
    const isTogether = await keepsUsersTogether(session, source);
    return await action({ session, request, columns, source, isTogether });
  } finally {
    await session.close();
  }
}

class ClickhouseEngine implements SelectionEngine {
  readonly name = 'clickhouse';
  readonly #clickhouse: Clickhouse;
  #version = 'unknown';

  constructor(clickhouse: Clickhouse) {
    this.#clickhouse = clickhouse;
  }

  /** Of the server asked last; `unknown` before. */
  async version(): Promise<string> {
    return this.#version;
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return within(this.#clickhouse, request, async work => this.#count(work));
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    return within(this.#clickhouse, request, async work => {
      const counts = await this.#count(work);
      enter(work, 'select');
      const rows = await writeKept(work, output);
      const expected = keptCount(counts.contributions, request.rule.recordsPerUser);
      if (rows === expected) return counts;
      throw new DpError(
        'ENGINE_FAILED',
        `Cannot select: ${rows} records came back, not ${expected}. Start again when nothing writes to the table.`,
      );
    });
  }

  async #count(work: Work): Promise<SelectionCounts> {
    const [row] = await work.session.rows('SELECT version() AS version');
    this.#version = String(row?.['version']);
    return countRecords(work);
  }
}

/**
 * ClickHouse as an engine, from 18.16 to today: the servers rank and fetch, this process writes the file. The source is a
 * table named by a URL, on one server or `Distributed` over many; how rows lie on shards makes no difference, but where
 * the sharding key is of the user alone and rows lie by it, shards rank by themselves. Users and ids are text (`Enum`
 * and `UUID` count as text) or whole numbers; a table has no rows to number and no order, so `first` and `keep-first` are
 * refused, as are token caps and `random-chunk`.
 *
 * @throws DpError `ENGINE_UNAVAILABLE` where the package `@clickhouse/client` does not load
 * @example
 * ```ts
 * (await openClickhouse()).name; // 'clickhouse'
 * ```
 */
export async function openClickhouse(): Promise<SelectionEngine> {
  return new ClickhouseEngine(await loadOptional<Clickhouse>('@clickhouse/client', 'clickhouse'));
}
