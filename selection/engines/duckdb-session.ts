import { DpError } from '../../accounting/check.ts';
import { interrupted, type SelectionRequest, type SelectionStage } from './engine.ts';

/** What we use of a result of `@duckdb/node-api`. */
interface DuckdbResult {
  getRowObjectsJS(): Record<string, unknown>[];
}

interface DuckdbConnection {
  runAndReadAll(sql: string): Promise<DuckdbResult>;
  interrupt(): void;
  closeSync(): void;
}

interface DuckdbDatabase {
  connect(): Promise<DuckdbConnection>;
  closeSync(): void;
}

/** What we use of the package `@duckdb/node-api`. */
export interface Duckdb {
  /** Of the library, such as `v1.5.6`. */
  version(): string;
  readonly DuckDBInstance: {
    create(path: string, options: Readonly<Record<string, string>>): Promise<DuckdbDatabase>;
  };
}

/** Nothing may be fetched from the network, and memory and threads are what the caller allows. */
function settingsOf({ memoryLimit, temporaryFolder, threads }: SelectionRequest): Record<string, string> {
  return {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    memory_limit: `${memoryLimit}B`,
    temp_directory: temporaryFolder,
    ...(threads === undefined ? {} : { threads: String(threads) }),
  };
}

/** The class that DuckDB's messages start with; the rest may quote data and is dropped. */
function errorClass(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  return /^([A-Z][A-Za-z ]* Error):/.exec(message)?.[1] ?? 'unknown error';
}

/** A failure inside DuckDB that is not ours to explain yet. */
export class DuckdbFailure extends Error {
  readonly kind: string;
  readonly stage: SelectionStage;

  constructor(kind: string, stage: SelectionStage) {
    super(kind);
    this.kind = kind;
    this.stage = stage;
  }

  /** In our one form. */
  explain(memoryLimit: number): DpError {
    if (this.kind === 'INTERRUPT Error') return interrupted(this.stage);
    const isFull = this.kind === 'Out of Memory Error';
    const reason = isFull ? `duckdb needs more than ${memoryLimit} bytes` : `duckdb reported "${this.kind}"`;
    const advice = isFull
      ? 'Allow more memory or fewer threads, or check that the temporary folder has room'
      : 'Use the builtin engine, which names the row at fault';
    return new DpError('ENGINE_FAILED', `Cannot select: ${reason} at "${this.stage}". ${advice}.`);
  }
}

/** One database in memory that spills to the temporary folder, for one request. */
export class DuckdbSession {
  readonly #database: DuckdbDatabase;
  readonly #connection: DuckdbConnection;
  readonly #signal: AbortSignal | undefined;
  readonly #interrupt: () => void;
  stage: SelectionStage = 'read';

  private constructor(
    database: DuckdbDatabase,
    connection: DuckdbConnection,
    signal: AbortSignal | undefined,
  ) {
    this.#database = database;
    this.#connection = connection;
    this.#signal = signal;
    this.#interrupt = () => connection.interrupt();
    signal?.addEventListener('abort', this.#interrupt);
  }

  static async open(duckdb: Duckdb, request: SelectionRequest): Promise<DuckdbSession> {
    try {
      const database = await duckdb.DuckDBInstance.create(':memory:', settingsOf(request));
      return new DuckdbSession(database, await database.connect(), request.signal);
    } catch (error) {
      throw new DuckdbFailure(errorClass(error), 'read');
    }
  }

  /** @throws DuckdbFailure, never DuckDB's own error, whose message may quote data */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    if (this.#signal?.aborted === true) throw interrupted(this.stage);
    try {
      return (await this.#connection.runAndReadAll(sql)).getRowObjectsJS();
    } catch (error) {
      throw new DuckdbFailure(errorClass(error), this.stage);
    }
  }

  /** The one row of a result whose values are whole numbers. */
  async numbers(sql: string): Promise<Record<string, number>> {
    const [row = {}] = await this.rows(sql);
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#interrupt);
    this.#connection.closeSync();
    this.#database.closeSync();
  }
}
