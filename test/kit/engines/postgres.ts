/**
 * Private throw-away Postgres servers on free ports of this machine. Where no binaries are found the tests are skipped with
 * one line; in CI that is an error.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../proxies.js';
import { type Binaries, findPostgres, identity, own, run } from './postgres-binaries.js';

export { missingPostgres } from './postgres-binaries.js';

/** How long a server may take until it answers, in milliseconds. It takes some hundreds. */
const START_MS = 20_000;

export interface PostgresServer {
  readonly port: number;
  /** Its superuser, without a password. */
  readonly url: string;
  /** The address in another form: another port (a proxy's), role, database, or parameters. */
  at(change: { readonly port?: number; readonly role?: string; readonly query?: string }): string;
  /** An administrator's statements, in a connection of their own. */
  sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** An open connection, ended with the server. */
  client(role?: string): Promise<pg.Client>;
  /** Sends a signal to the postmaster and all its children. */
  signal(signal: NodeJS.Signals): void;
  /** `kill -9` of all of it. Its files stay. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and files. */
  start(): Promise<void>;
  /** Ends it in order. Its files stay. */
  stop(): Promise<void>;
  /** Its files, while it is not running: as they are now, or as they were. */
  readonly files: { save(): string; restore(saved: string): void };
  /** A standby that follows it, on a port of its own. It is made of a copy, for which the server stops for a moment. */
  standby(): Promise<PostgresServer>;
  promote(): Promise<void>;
  /** Ends it and removes its files. */
  close(): Promise<void>;
}

export interface PostgresServerOptions {
  /** Lines of postgresql.conf. */
  readonly config?: readonly string[];
}

/** A new cluster, running. It takes about a second. */
export async function startPostgres({ config = [] }: PostgresServerOptions = {}): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'nl-postgres-'));
  own(folder);
  const data = join(folder, 'data');
  // The password of nobody is asked: it listens on the loopback only, and for the length of a test.
  try {
    run('initdb', ['-D', data, '-U', 'admin', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const lines = [
    "listen_addresses = '127.0.0.1'",
    'fsync = off',
    'max_connections = 60',
    'shared_buffers = 16MB',
    'log_min_messages = fatal',
    `unix_socket_directories = '${folder}'`,
    'max_wal_senders = 3',
    ...config,
  ];
  writeFileSync(join(data, 'postgresql.conf'), `${lines.join('\n')}\n`, { flag: 'a' });
  return serve(folder, data);
}

async function serve(folder: string, data: string): Promise<PostgresServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  let printed = '';
  const clients = new Set<pg.Client>();
  const standbys: PostgresServer[] = [];

  const at: PostgresServer['at'] = ({ port: other = port, role = 'admin', query = '' }) =>
    `postgres://${role}@127.0.0.1:${other}/postgres${query && `?${query}`}`;

  async function connect(role?: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: at(role === undefined ? {} : { role }) });
    client.on('error', () => {}); // servers are killed here
    await client.connect();
    return client;
  }

  async function sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]> {
    const client = await connect();
    try {
      return (await client.query(text, values)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  async function start(): Promise<void> {
    const { folder: bin, env } = findPostgres() as Binaries;
    const started = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port)], {
      env,
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...identity(),
    });
    child = started;
    started.stderr?.on('data', (chunk: Buffer) => {
      printed = (printed + chunk).slice(-10_000);
    });
    process.once('exit', abandoned);
    const late = Date.now() + START_MS;
    for (;;) {
      if (started.exitCode !== null || Date.now() > late) throw new Error(`Postgres did not start\n${printed}`);
      try {
        await sql('SELECT 1');
        return;
      } catch {
        await wait(20);
      }
    }
  }

  function abandoned(): void {
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }

  const pids = (): number[] => {
    const parent = child?.pid;
    if (parent === undefined) return [];
    const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'utf8').trim().split(' ').filter(Boolean);
    return [parent, ...children.map(Number)];
  };

  function signal(name: NodeJS.Signals): void {
    for (const pid of pids()) process.kill(pid, name);
  }

  async function gone(name: NodeJS.Signals, all: boolean): Promise<void> {
    const ended = child;
    if (!ended || ended.exitCode !== null || ended.signalCode !== null) return;
    const exited = once(ended, 'exit');
    if (all) signal(name);
    else ended.kill(name);
    await exited;
    process.off('exit', abandoned);
  }

  await start();
  const server: PostgresServer = {
    port,
    url: at({}),
    at,
    sql,
    async client(role) {
      const client = await connect(role);
      clients.add(client);
      return client;
    },
    signal,
    async kill() {
      await gone('SIGKILL', true);
      rmSync(join(data, 'postmaster.pid'), { force: true });
    },
    start,
    async stop() {
      for (const client of clients) await client.end().catch(() => {});
      clients.clear();
      await gone('SIGINT', false); // "fast": without waiting for clients
    },
    files: {
      save() {
        const saved = mkdtempSync(join(folder, 'saved-'));
        execFileSync('cp', ['-a', `${data}/.`, saved]);
        return saved;
      },
      restore(saved) {
        rmSync(data, { recursive: true });
        execFileSync('cp', ['-a', saved, data]);
      },
    },
    async standby() {
      const place = mkdtempSync(join(tmpdir(), 'nl-postgres-'));
      own(place);
      const copy = join(place, 'data');
      await gone('SIGINT', false);
      execFileSync('cp', ['-a', data, copy]);
      await start();
      writeFileSync(join(copy, 'standby.signal'), '');
      const follows = `primary_conninfo = 'host=127.0.0.1 port=${port} user=admin'`;
      writeFileSync(join(copy, 'postgresql.conf'), `unix_socket_directories = '${place}'\n${follows}\n`, { flag: 'a' });
      const made = await serve(place, copy);
      standbys.push(made);
      return made;
    },
    async promote() {
      await sql('SELECT pg_promote(true, 30)');
    },
    async close() {
      for (const standby of standbys) await standby.close();
      for (const client of clients) client.end().catch(() => {});
      await gone('SIGQUIT', false); // "immediate": nothing of it is wanted any more
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return server;
}
