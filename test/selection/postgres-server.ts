import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const versions = '/usr/lib/postgresql';

/** Folder of a PostgreSQL's programs; undefined where none is installed. */
export function postgresPrograms(): string | undefined {
  if (!existsSync(versions)) return undefined;
  const found = readdirSync(versions).map(version => join(versions, version, 'bin'));
  return found.find(folder => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'psql')));
}

/** A PostgreSQL that listens on a socket in a folder of the test alone. */
export interface PostgresServer {
  /** Runs statements; the rows, cells cut by tabs, without a header. */
  run(sql: string): string;
  stop(): void;
}

/** The server refuses to run as root; `nobody` exists everywhere. */
function ownerOf(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
}

/** Starts a server; `folder` must be short, for sockets have paths of at most 107 bytes. */
export function startPostgres(programs: string, folder: string): PostgresServer {
  const owner = ownerOf();
  mkdirSync(folder);
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid!);
  const data = join(folder, 'data');
  const call = (name: string, options: readonly string[], input = ''): string => {
    const done = spawnSync(join(programs, name), options, {
      ...owner,
      cwd: folder,
      input,
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (done.status !== 0) throw new Error(`${name}: ${done.stderr}`);
    return done.stdout;
  };
  call('initdb', [
    '-D',
    data,
    '-U',
    'test',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C.UTF-8',
    '--no-sync',
  ]);
  const settings = `-c listen_addresses= -c fsync=off -k ${folder}`;
  call('pg_ctl', ['-D', data, '-o', settings, '-l', join(folder, 'log'), '-w', 'start']);
  return {
    run: sql =>
      call(
        'psql',
        [
          '-h',
          folder,
          '-U',
          'test',
          '-d',
          'postgres',
          '-X',
          '-q',
          '-At',
          '-F',
          '\t',
          '-v',
          'ON_ERROR_STOP=1',
        ],
        sql,
      ),
    stop: () => call('pg_ctl', ['-D', data, '-m', 'immediate', '-w', 'stop']),
  };
}
