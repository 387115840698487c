/**
 * Private Redis servers for tests: on free ports of this machine, with a configuration that the test says, so that they can
 * be killed, stopped, flushed and failed over. Without `redis-server` the tests are skipped with its name; in CI that is an
 * error.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** How long a server may take until it answers, in milliseconds. It takes some tens. */
const START_MS = 15_000;
/** A port that was free a moment ago may be taken: then another one is. */
const TRIES = 5;

function find(): string | undefined {
  const named = process.env.REDIS_SERVER_PATH;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/sbin', '/usr/local/bin'];
  return (named ? [named] : folders.map((folder) => join(folder, 'redis-server'))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** For `describe.skipIf`: the reason, or `''` when it is there. Throws it in CI, where nothing is skipped. */
export function missingRedis(): string {
  const reason =
    find() === undefined ? 'not found: redis-server (REDIS_SERVER_PATH, or apt-get install redis-server)' : '';
  if (reason && process.env.CI === 'true') throw new Error(reason);
  return reason;
}

type Config = readonly (readonly [name: string, value: string])[];

export interface RedisOptions {
  /** Lines of its configuration, as `['maxmemory', '2mb']`; a function is told the folder that it will have. */
  readonly config?: Config | ((folder: string) => Config);
  /** Follows the server on this port. */
  readonly replicaOf?: number;
  /** It is a sentinel by itself, of the master on this port, which it calls `main`. */
  readonly sentinelOf?: number;
  /** Its port, as a configuration may need it beforehand. Default: one that is free. */
  readonly port?: number;
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** Where its files are. */
  readonly folder: string;
  /** Sends a command of the test's own. */
  command(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** `kill -9`. */
  kill(): Promise<void>;
  /** It stands still, and its connections stay open. */
  freeze(): void;
  thaw(): void;
  /** Starts it again, with the files that it left. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

/** The rules of the user in docs/redis.md, which is for the namespace `shop`, as they stand there. */
export function rulesOf(what: 'server' | 'cluster'): string[] {
  const guide = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
  const [, rules] = /^ACL SETUSER notify on >password (.*)$/m.exec(guide) ?? [];
  const [, more] = /^In a cluster also `(.*?)`/m.exec(guide) ?? [];
  if (!rules || !more) throw new Error('docs/redis.md has no rules');
  return `${rules}${what === 'cluster' ? ` ${more}` : ''}`.split(' ');
}

/** A self-signed certificate for `127.0.0.1` in this folder, `certificate.pem` and `key.pem`. */
export function selfSigned(folder: string): { certificate: string; key: string } {
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -out ${certificate} -keyout ${key}`;
  const { status, stderr, error } = spawnSync('openssl', args.split(' '), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`no certificate\n${stderr}`, { cause: error });
  return { certificate, key };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a server that keeps nothing on disk but what its configuration says. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tryToStart(options, options.port ?? (await freePort()));
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

async function tryToStart({ config = [], replicaOf, sentinelOf }: RedisOptions, port: number): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const given = new Map<string, string>([
    ['port', String(port)],
    ['bind', '127.0.0.1'],
    ['dir', folder],
    ['save', ''],
    ['loglevel', 'warning'],
    // Whatever is slow is a fault that a test made.
    ['repl-diskless-sync-delay', '0'],
    ...(replicaOf === undefined ? [] : [['replicaof', `127.0.0.1 ${replicaOf}`] as const]),
    ...(typeof config === 'function' ? config(folder) : config),
  ]);
  const args = [...given].flatMap(([name, value]) => [`--${name}`, ...words(value)]);
  if (sentinelOf !== undefined) {
    const file = join(folder, 'sentinel.conf'); // it writes into it
    writeFileSync(
      file,
      `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor main 127.0.0.1 ${sentinelOf} 1
sentinel down-after-milliseconds main 300
sentinel failover-timeout main 3000
`,
    );
    args.splice(0, args.length, file, '--sentinel');
  }
  let child: ChildProcess | undefined;
  let printed = '';
  let admin: Redis | undefined;

  const abandoned = (): void => void child?.kill('SIGKILL');
  process.once('exit', abandoned);

  async function end(): Promise<void> {
    admin?.disconnect();
    admin = undefined;
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = once(ending, 'exit');
    ending.kill('SIGKILL');
    await exit;
  }

  const server: RedisServer = {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    async command(name, ...rest) {
      admin ??= quiet(
        new Redis({ host: '127.0.0.1', port, protocol: 2, username: 'default', maxRetriesPerRequest: 1 }),
      );
      return admin.call(name, ...rest.map(String));
    },
    kill: end,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async start() {
      const path = find();
      if (!path) throw new Error(missingRedis());
      const started = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      const read = (chunk: Buffer): void => {
        printed = (printed + chunk).slice(-10_000);
      };
      started.stdout.on('data', read);
      started.stderr.on('data', read);
      await answering(started, port, () => printed);
    },
    async remove() {
      await end();
      process.off('exit', abandoned);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await server.remove();
    throw error;
  }
  return server;
}

/** Arguments of one line of a configuration; an empty one is one too. */
function words(value: string): string[] {
  return value === '' ? [''] : value.split(' ');
}

function quiet(client: Redis): Redis {
  return client.on('error', () => {}); // the command that failed says it
}

async function answering(child: ChildProcess, port: number, printed: () => string): Promise<void> {
  const late = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > late) throw new Error(`redis-server did not start\n${printed()}`);
    const client = quiet(
      new Redis({ host: '127.0.0.1', port, protocol: 2, lazyConnect: true, retryStrategy: () => null }),
    );
    try {
      await client.connect();
      return;
    } catch {
      await wait(10);
    } finally {
      client.disconnect();
    }
  }
}
