import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A ClickHouse server on loopback with its own folder. */
export interface TestServer {
  readonly httpPort: number;
  readonly tcpPort: number;
  /** Runs a statement over HTTP, with data after it where given; the answer as text. */
  run(sql: string, data?: string): Promise<string>;
}

export interface TestCluster {
  readonly servers: readonly TestServer[];
  /** URL of a table of the first server, as the engine takes it. */
  urlOf(table: string): string;
  stop(): Promise<void>;
}

/** Path of the server's program; undefined where it is not installed. */
export function serverProgram(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin'];
  return folders.map(folder => join(folder, 'clickhouse-server')).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = servers.map(async server => {
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  const found = await Promise.all(ports);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return found;
}

const users = `<yandex>
  <profiles><default><allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type></default></profiles><quotas><default/></quotas>
  <users>
    <default><password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default>
    <guarded><password>pass:w/rd</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></guarded>
  </users>
</yandex>`;

interface Ports {
  readonly http: number;
  readonly tcp: number;
}

function configuration(folder: string, own: Ports, all: readonly Ports[]): string {
  const shards = all.map(
    ({ tcp }) => `<shard><replica><host>127.0.0.1</host><port>${tcp}</port></replica></shard>`,
  );
  return `<yandex>
  <logger><level>warning</level><log>${folder}/log</log><errorlog>${folder}/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host><http_port>${own.http}</http_port><tcp_port>${own.tcp}</tcp_port>
  <path>${folder}/data/</path><tmp_path>${folder}/tmp/</tmp_path>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
  <remote_servers><shards>${shards.join('')}</shards></remote_servers>
</yandex>`;
}

async function post(port: number, sql: string, data?: string): Promise<string> {
  const query = data === undefined ? '' : `?query=${encodeURIComponent(sql)}`;
  const response = await fetch(`http://127.0.0.1:${port}/${query}`, {
    method: 'POST',
    body: data ?? sql,
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`ClickHouse: ${text.slice(0, 500)}`);
  return text;
}

async function startServer(program: string, folder: string, ports: readonly Ports[]): Promise<ChildProcess> {
  const own = ports[Number(folder.at(-1))]!;
  mkdirSync(folder);
  writeFileSync(join(folder, 'users.xml'), users);
  writeFileSync(join(folder, 'config.xml'), configuration(folder, own, ports));
  const child = spawn(program, [`--config-file=${join(folder, 'config.xml')}`], {
    stdio: 'ignore',
    cwd: folder,
  });
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`clickhouse-server ended with code ${child.exitCode}`);
    const answer = await post(own.http, 'SELECT 1').catch(() => '');
    if (answer === '1\n') return child;
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error('clickhouse-server did not answer within 30 seconds');
}

async function stopProcess(child: ChildProcess): Promise<void> {
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  const inTime = await Promise.race([ended.then(() => true), sleep(10_000, false, { ref: false })]);
  if (!inTime) child.kill('SIGKILL');
}

/**
 * Starts two servers that know each other as the cluster `shards`. No service manager is asked; everything lies in a
 * folder of the test.
 */
export async function startCluster(program: string, folder: string): Promise<TestCluster> {
  const numbers = await freePorts(4);
  const ports = [0, 1].map(i => ({ http: numbers[2 * i]!, tcp: numbers[2 * i + 1]! }));
  const started = await Promise.allSettled(
    ports.map((_, i) => startServer(program, join(folder, `server-${i}`), ports)),
  );
  const children = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(stopProcess));
  };
  const failure = started.find(result => result.status === 'rejected');
  if (failure !== undefined) {
    await stop();
    throw failure.reason;
  }
  return {
    servers: ports.map(({ http, tcp }) => ({
      httpPort: http,
      tcpPort: tcp,
      run: (sql, data) => post(http, sql, data),
    })),
    urlOf: table => `clickhouse://127.0.0.1:${ports[0]!.http}/default/${encodeURIComponent(table)}`,
    stop,
  };
}
