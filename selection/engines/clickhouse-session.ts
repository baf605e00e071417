import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { DpError } from '../../accounting/check.ts';
import type { ClickhouseTable } from './clickhouse-url.ts';
import { interrupted, type SelectionRequest, type SelectionStage } from './engine.ts';

/** Settings of ClickHouse by name. */
export type Settings = Readonly<Record<string, string | number>>;

interface QueryOptions {
  readonly query: string;
  readonly query_id?: string;
  readonly clickhouse_settings?: Settings;
  readonly abort_signal?: AbortSignal;
}

/** What we use of a client of `@clickhouse/client`. */
interface ClickhouseClient {
  query(options: QueryOptions & { format: 'JSON' }): Promise<{ json(): Promise<unknown> }>;
  exec(options: QueryOptions): Promise<{ stream: Readable }>;
  close(): Promise<void>;
}

/** What we use of the package `@clickhouse/client`. */
export interface Clickhouse {
  createClient(options: {
    url: string;
    username: string;
    password: string;
    request_timeout: number;
    clickhouse_settings: Settings;
    log?: { level: number };
  }): ClickhouseClient;
}

/** A day: a selection over a large table takes its time, and is stopped by the signal. */
const longestRequest = 86_400_000;

/** `OFF` of the client's log levels: it writes what servers answer, which may quote data. */
const noLog = { level: 127 };

function settingsOf({ memoryLimit, threads }: SelectionRequest): Settings {
  const half = Math.floor(memoryLimit / 2);
  return {
    max_memory_usage: memoryLimit,
    max_bytes_before_external_sort: half,
    max_bytes_before_external_group_by: half,
    output_format_json_quote_64bit_integers: 1,
    ...(threads === undefined ? {} : { max_threads: threads }),
  };
}

function unavailable(table: ClickhouseTable, reason: string, advice: string): DpError {
  return new DpError('ENGINE_UNAVAILABLE', `Cannot open ${table.shown}: ${reason}. ${advice}.`);
}

/** Numbers of ClickHouse's errors that have a cause of their own. */
const causes: Readonly<Record<string, (table: ClickhouseTable) => DpError>> = {
  60: table => unavailable(table, 'there is no such table', 'Check its name'),
  81: table => unavailable(table, 'there is no such database', 'Check its name'),
  192: table => unavailable(table, 'the server does not know the user', 'Set CLICKHOUSE_USER'),
  193: table => unavailable(table, 'the server refused the password', 'Set CLICKHOUSE_PASSWORD'),
  194: table => unavailable(table, 'the server wants a password', 'Set CLICKHOUSE_PASSWORD'),
  516: table => unavailable(table, 'the server refused user and password', 'Set CLICKHOUSE_PASSWORD'),
};

/** The number of a server's error or the name of a system's; the client does not find the number in what 18.x says. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = 'code' in error ? String(error.code) : '';
  return code === '' ? (/^\s*Code: (\d+)/.exec(error.message)?.[1] ?? '') : code;
}

/** In our one form: by the number of the error alone, because the server's own words may quote data. */
export function explain(error: unknown, table: ClickhouseTable, stage: SelectionStage): DpError {
  const code = codeOf(error);
  if (Object.hasOwn(causes, code)) return causes[code]!(table);
  if (/^E[A-Z_]+$/.test(code)) return unavailable(table, code, 'Check the address and that the server runs');
  const isFull = code === '241';
  const reason = isFull ? 'clickhouse needs more memory' : `clickhouse reported error ${code || 'unknown'}`;
  const advice = isFull ? 'Allow more' : "See the server's log";
  return new DpError('ENGINE_FAILED', `Cannot select: ${reason} at "${stage}". ${advice}.`);
}

function rowsIn(result: unknown): Record<string, unknown>[] {
  const hasData = typeof result === 'object' && result !== null && 'data' in result;
  return hasData && Array.isArray(result.data) ? result.data : [];
}

/** Asks one server for one request. */
export class ClickhouseSession {
  readonly table: ClickhouseTable;
  readonly #client: ClickhouseClient;
  readonly #signal: AbortSignal | undefined;
  stage: SelectionStage = 'read';

  constructor(clickhouse: Clickhouse, table: ClickhouseTable, request: SelectionRequest) {
    this.table = table;
    this.#signal = request.signal;
    this.#client = clickhouse.createClient({
      url: table.address,
      username: table.user,
      password: table.password,
      request_timeout: longestRequest,
      clickhouse_settings: settingsOf(request),
      log: noLog,
    });
  }

  /** @throws DpError, never the server's own words */
  async rows(sql: string, settings: Settings = {}): Promise<Record<string, unknown>[]> {
    return this.#guarded(async options => {
      const result = await this.#client.query({
        ...options,
        query: sql,
        format: 'JSON',
        clickhouse_settings: settings,
      });
      return rowsIn(await result.json());
    });
  }

  /** The one row of a result whose values are whole numbers. */
  async numbers(sql: string, settings: Settings = {}): Promise<Record<string, number>> {
    const [row = {}] = await this.rows(sql, settings);
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));
  }

  /**
   * Hands the rows of a result to `consume`, as bytes in the format RowBinary. The server ends its work before it
   * answers, because a failure later on would be written into the bytes.
   */
  async binary(
    sql: string,
    settings: Settings,
    consume: (pieces: AsyncIterable<Buffer>) => Promise<void>,
  ): Promise<void> {
    await this.#guarded(async options => {
      const { stream } = await this.#client.exec({
        ...options,
        query: `${sql}\nFORMAT RowBinary`,
        clickhouse_settings: { ...settings, wait_end_of_query: 1 },
      });
      await consume(stream);
    });
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #guarded<T>(action: (options: Omit<QueryOptions, 'query'>) => Promise<T>): Promise<T> {
    const signal = this.#signal;
    if (this.#isAborted()) throw interrupted(this.stage);
    const id = randomUUID();
    try {
      return await action({ query_id: id, ...(signal && { abort_signal: signal }) });
    } catch (error) {
      if (this.#isAborted()) {
        await this.#kill(id);
        throw interrupted(this.stage);
      }
      throw error instanceof DpError ? error : explain(error, this.table, this.stage);
    }
  }

  #isAborted(): boolean {
    return this.#signal?.aborted === true;
  }

  /** Servers go on with a query whose client has left. */
  async #kill(id: string): Promise<void> {
    await this.#client.exec({ query: `KILL QUERY WHERE query_id = '${id}' ASYNC` }).then(
      ({ stream }) => stream.resume(),
      () => undefined,
    );
  }
}
