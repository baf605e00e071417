import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { addedIdColumn } from '../curate-options.ts';
import { contributionsSql } from '../sql/index.ts';
import { standardName, standardText } from '../sql/quote.ts';
import { invalidFile } from '../tables/source.ts';
import { openSink } from '../tables/table-sink.ts';
import { openTables, type TableSource } from '../tables/table-source.ts';
import { stripStatistics } from './duckdb-footer.ts';
import { narrowColumns } from './duckdb-narrow.ts';
import { rankKept } from './duckdb-rank.ts';
import { type Duckdb, DuckdbFailure, DuckdbSession } from './duckdb-session.ts';
import { duckdbSource, refuseChanges } from './duckdb-source.ts';
import { dropRepeats, refuseDefects, refuseInvalidText } from './duckdb-validate.ts';
import {
  cannotSelect,
  checkNoTokens,
  enterStage,
  type SelectionCounts,
  type SelectionEngine,
  type SelectionOutput,
  type SelectionRequest,
  type SelectionStage,
} from './engine.ts';
import { loadOptional } from './optional.ts';

/** What one request works on. */
interface Work {
  readonly session: DuckdbSession;
  readonly request: SelectionRequest;
  readonly source: TableSource;
  /** Table function of the source. */
  readonly from: string;
  /** A folder of this request alone. */
  readonly folder: string;
}

function enter({ session, request }: Work, stage: SelectionStage): void {
  session.stage = stage;
  enterStage(request, stage);
}

function filesOf({ source }: SelectionRequest): TableSource {
  if ('url' in source) throw cannotSelect('duckdb reads files, not tables of a database', 'Give files');
  return source;
}

async function readNarrow(work: Work): Promise<number> {
  const { session, source, request, from } = work;
  const { user, id, measure, defect } = narrowColumns(source, request);
  await session.rows(
    `CREATE TEMP TABLE narrow AS SELECT file_index AS file, file_row_number AS place,
       ${user} AS u, ${id} AS i, ${measure} AS m, ${defect} AS defect FROM ${from}`,
  );
  await refuseChanges(source);
  const { records } = await session.numbers('SELECT COUNT(*) AS records FROM narrow');
  if (records === 0)
    throw invalidFile(source.files[0]!.path, 'it holds 0 rows', 'Give a table with at least one record');
  return records!;
}

async function contributionsOf({ session }: Work): Promise<Map<number, number>> {
  const sql = contributionsSql({ dialect: 'duckdb', table: 'narrow', columns: { user: 'u', id: 'i' } });
  const rows = await session.rows(sql);
  return new Map(rows.map(({ records, users }) => [Number(records), Number(users)]));
}

async function countRecords(work: Work): Promise<SelectionCounts> {
  const { session, source, request } = work;
  const recordsIn = await readNarrow(work);
  enter(work, 'validate');
  await refuseDefects(session, source, request);
  const { n: nullUsers } = await session.numbers('SELECT COUNT(*) AS n FROM narrow WHERE u IS NULL');
  if (nullUsers! > 0) await session.rows('DELETE FROM narrow WHERE u IS NULL');
  const duplicates = await dropRepeats(session, source, request);
  return {
    recordsIn,
    dropped: { nullUsers: nullUsers!, duplicates },
    contributions: await contributionsOf(work),
  };
}

/** Joins the ranked places back to the whole rows; sorting them makes the bytes depend on nothing but the rows. */
async function writeKept({ session, request, source, from }: Work, path: string): Promise<void> {
  const names = source.schema.fields.map(({ name }) => `s.${standardName(name)}`);
  const added = request.columns.id === null ? [`kept.i AS ${standardName(addedIdColumn)}`] : [];
  await session.rows(
    `COPY (SELECT ${[...names, ...added].join(', ')} FROM ${from} s
       JOIN kept ON s.file_index = kept.file AND s.file_row_number = kept.place ORDER BY kept.u, kept.i)
     TO ${standardText(path)} (FORMAT parquet, COMPRESSION snappy, WRITE_BLOOM_FILTER false)`,
  );
  await refuseChanges(source);
}

async function copyToArrow(path: string, output: SelectionOutput): Promise<void> {
  const kept = await openTables([path]);
  const { format, isStream } = output;
  const sink = await openSink(output.path, { schema: kept.schema, format, isStream });
  try {
    for await (const { batch } of kept.batches()) await sink.write(batch);
    await sink.finish();
  } finally {
    await sink.abort();
  }
}

async function writeOutput(work: Work, output: SelectionOutput): Promise<void> {
  if (output.format === 'parquet') {
    await writeKept(work, output.path);
    await stripStatistics(output.path);
    return;
  }
  const path = join(work.folder, 'kept.parquet');
  await writeKept(work, path);
  await copyToArrow(path, output);
}

/** Runs an action in a session and a folder of its own, and words its failures. */
async function within<T>(
  duckdb: Duckdb,
  request: SelectionRequest,
  action: (work: Work) => Promise<T>,
): Promise<T> {
  const source = filesOf(request);
  checkNoTokens(request, 'duckdb');
  enterStage(request, 'read');
  const folder = await mkdtemp(join(request.temporaryFolder, 'privacy-unit-duckdb-'));
  let session: DuckdbSession | undefined;
  try {
    session = await DuckdbSession.open(duckdb, { ...request, temporaryFolder: folder });
    const from = await duckdbSource(source, folder);
    return await action({ session, request, source, from, folder });
  } catch (error) {
    if (!(error instanceof DuckdbFailure)) throw error;
    const isOurs = error.kind === 'INTERRUPT Error' || error.kind === 'Out of Memory Error';
    if (!isOurs) await refuseChanges(source);
    if (!isOurs && error.stage === 'read') await refuseInvalidText(source, request);
    throw error.explain(request.memoryLimit);
  } finally {
    session?.close();
    await rm(folder, { recursive: true, force: true });
  }
}

class DuckdbEngine implements SelectionEngine {
  readonly name = 'duckdb';
  readonly #duckdb: Duckdb;

  constructor(duckdb: Duckdb) {
    this.#duckdb = duckdb;
  }

  async version(): Promise<string> {
    return this.#duckdb.version();
  }

  async survey(request: SelectionRequest): Promise<SelectionCounts> {
    return within(this.#duckdb, request, countRecords);
  }

  async select(request: SelectionRequest, output: SelectionOutput): Promise<SelectionCounts> {
    return within(this.#duckdb, request, async work => {
      const counts = await countRecords(work);
      enter(work, 'select');
      await rankKept(work.session, request);
      enter(work, 'write');
      await writeOutput(work, output);
      return counts;
    });
  }
}

/** The peer range takes any version, because a range of npm leaves out later releases of a package that has only `-r` ones. */
export function checkVersion(version: string): void {
  const [, major, minor, patch] = (/^v(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  if (major === 1 && (minor! > 5 || (minor === 5 && patch! >= 6))) return;
  throw new DpError(
    'ENGINE_UNAVAILABLE',
    `Cannot open the engine duckdb: @duckdb/node-api holds DuckDB ${version}. Install 1.5.6 or a later 1.x.`,
  );
}

/**
 * DuckDB as an engine: Parquet is read as it lies, narrow columns are ranked first, and DuckDB spills by itself past the
 * memory limit. Token caps and `random-chunk` need a tokenizer and are refused.
 *
 * @throws DpError `ENGINE_UNAVAILABLE` where the package `@duckdb/node-api` does not load or is older than 1.5.6
 * @example
 * ```ts
 * const engine = await openDuckdb();
 * /^v\d+\.\d+\.\d+$/.test(await engine.version()); // true
 * ```
 */
export async function openDuckdb(): Promise<SelectionEngine> {
  const duckdb = await loadOptional<Duckdb>('@duckdb/node-api', 'duckdb');
  checkVersion(duckdb.version());
  return new DuckdbEngine(duckdb);
}
