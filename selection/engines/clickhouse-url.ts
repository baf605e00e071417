import { cannotSelect } from './engine.ts';

/** A table of a ClickHouse server, and who asks. */
export interface ClickhouseTable {
  /** Address for HTTP, without a name or password. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly table: string;
  /** `host/database/table`: the only form that messages show. */
  readonly shown: string;
}

function partsOf(url: URL): string[] {
  return url.pathname.split('/').slice(1).map(decodeURIComponent);
}

/**
 * Reads `clickhouse://user@host:8123/database/table`, or `clickhouses://` for TLS (port 8443). User and password may
 * stand in the URL, or better in `CLICKHOUSE_USER` and `CLICKHOUSE_PASSWORD`; the user is `default` otherwise.
 *
 * @throws DpError `INVALID_ARGUMENT` for another form; the message does not repeat the URL, which may hold a password
 * @example
 * ```ts
 * parseClickhouseUrl('clickhouse://ada@db.example:8123/mail/records', {}).shown; // 'db.example:8123/mail/records'
 * ```
 */
export function parseClickhouseUrl(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
): ClickhouseTable {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSecure = url?.protocol === 'clickhouses:';
  const [database, table, ...rest] = url === undefined ? [] : partsOf(url);
  const isRight = (isSecure || url?.protocol === 'clickhouse:') && rest.length === 0 && url?.hostname !== '';
  if (url === undefined || !isRight || !database || !table) {
    throw cannotSelect(
      'the source is no ClickHouse URL',
      'Give clickhouse://user@host:8123/database/table, with the password in CLICKHOUSE_PASSWORD',
    );
  }
  const host = `${url.hostname}:${url.port || (isSecure ? 8443 : 8123)}`;
  return {
    address: `${isSecure ? 'https' : 'http'}://${host}`,
    user: decodeURIComponent(url.username) || (environment['CLICKHOUSE_USER'] ?? 'default'),
    password: decodeURIComponent(url.password) || (environment['CLICKHOUSE_PASSWORD'] ?? ''),
    database,
    table,
    shown: `${host}/${database}/${table}`,
  };
}
