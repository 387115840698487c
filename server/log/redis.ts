/**
 * The log in Redis, for any number of processes on any number of machines. See docs/redis.md. The official client
 * `ioredis` is loaded with the first use.
 */
import type { ConnectionOptions } from 'node:tls';
import type { Cluster, Redis } from 'ioredis';
import type { Log } from '../../adapters/contract.js';
import { consoleLogger, unbreakable } from '../reporting.js';
import type { LogLine } from '../types.js';
import type { RedisConnection } from './redis/connection.js';
import { createRedisDriver } from './redis/driver.js';
import { parseRedisUrl, type RedisAddress } from './redis/url.js';
import { createSharedLog } from './shared/log.js';
import { RETENTION } from './window.js';

export { isRedisUrl, mistakesInRedisUrl } from './redis/url.js';

export interface RedisLogOptions {
  /**
   * `redis://user:password@host:6379/0`; `rediss://…` over TLS; `redis+sentinel://host:26379,host:26379/master/0`;
   * `redis+cluster://host:6379,host:6379`. See docs/redis.md.
   */
  readonly url: string;
  /** Environments with different ones do not hear each other. Default `default`, as that of `NOTIFY_LISTEN_NAMESPACE`. */
  readonly namespace?: string;
  /** How long an entry is kept, in milliseconds. All nodes should have the same. Default 7 min. */
  readonly retention?: number;
  /** How many entries are kept. All nodes should have the same. Default 100,000. */
  readonly cap?: number;
  /** For `rediss://`: a certificate authority of one's own, a client certificate. Default: what Node trusts. */
  readonly tls?: ConnectionOptions;
  /** Gets what the operator should know: an epoch that had to change, a server that evicts. Default: `console`. */
  readonly logger?: (line: LogLine) => void;
}

/** 30 to 45 MB of usual ones: 240 a second for 7 min. */
const MOST_ENTRIES = 100_000;
/** How long a connection may take to be opened, in milliseconds: less than a call may take. */
const CONNECT_TIMEOUT = 2_000;
/** How long a sentinel may take, connection included, in milliseconds: within what a call may take, several are asked. */
const SENTINEL_TIMEOUT = 500;

/**
 * Opens the log. Nothing is loaded and nobody is asked before it is used; a server that cannot be reached makes calls
 * reject.
 *
 * @throws Error for a URL that is wrong, with every mistake and without its password.
 */
export function createRedisLog(options: RedisLogOptions): Log {
  const {
    url,
    namespace = 'default',
    retention = RETENTION,
    cap = MOST_ENTRIES,
    tls,
    logger = consoleLogger,
  } = options;
  const address = parseRedisUrl(url);
  let opened = 0;
  return createSharedLog(
    createRedisDriver({
      connect: () => connect(beginningAt(address, opened++), tls),
      namespace,
      db: address.db,
      retention,
      cap,
      logger: unbreakable(logger),
    }),
  );
}

/** Each connection asks another sentinel first: one that hangs, or knows an old master, is not the first for good. */
function beginningAt(address: RedisAddress, turn: number): RedisAddress {
  const at = turn % address.hosts.length;
  return { ...address, hosts: [...address.hosts.slice(at), ...address.hosts.slice(0, at)] };
}

async function load(): Promise<{ Redis: typeof Redis; Cluster: typeof Cluster }> {
  try {
    return await import('ioredis');
  } catch (cause) {
    throw new Error('NOTIFY_LISTEN_LOG=redis: needs the package "ioredis": npm install ioredis', { cause });
  }
}

async function createClient(address: RedisAddress, tls: ConnectionOptions | undefined): Promise<Redis | Cluster> {
  const ioredis = await load();
  const { kind, hosts, db, username, password, master, sentinelUsername, sentinelPassword } = address;
  const secure = address.tls ? { tls: { ...tls } } : {};
  // A client that opens a connection again by itself sends what was under way a second time, and hides that it was away.
  const common = {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    disableClientInfo: true,
    protocol: 2 as const,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...secure,
  };
  if (kind === 'cluster')
    return new ioredis.Cluster(
      hosts.map((host) => ({ ...host })),
      {
        lazyConnect: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: () => null,
        redisOptions: common,
        // A certificate names the host, not its address.
        ...(address.tls && { dnsLookup: (name, found) => found(null, name) }),
      },
    );
  const never = { enableOfflineQueue: false, retryStrategy: () => null };
  if (kind === 'single') return new ioredis.Redis({ ...common, ...never, ...hosts[0], db });
  return new ioredis.Redis({
    ...common,
    ...never,
    db,
    sentinels: hosts.map((host) => ({ ...host })),
    name: master as string,
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: SENTINEL_TIMEOUT,
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(address.tls && { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } }),
  });
}

/** What the server answers is thrown as it is, anything else as what it is: nobody knows what became of the call. */
async function told<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof Error && error.name === 'ReplyError' ? error : lost(error);
  }
}

function lost(cause: unknown): Error {
  return new Error('the connection to Redis was lost', { cause });
}

function connect(address: RedisAddress, tls: ConnectionOptions | undefined): RedisConnection {
  let client: Redis | Cluster | undefined;
  let over = false;
  let fault: unknown;
  let end: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    end = () => {
      over = true;
      resolve();
    };
  });

  async function open(): Promise<void> {
    const made = await createClient(address, tls);
    // The first one says why; what follows says only that it is closed.
    made.on('error', (error: unknown) => {
      fault ??= error;
    });
    made.on('end', end);
    if (over) return made.disconnect();
    client = made;
    await made.connect();
    // The client chooses it too, and goes on in database 0 when there is none of that number.
    if (address.db > 0) await made.call('SELECT', String(address.db));
  }
  const gone = ended.then(() => {
    throw new Error('the connection to Redis was closed', { cause: fault });
  });
  const ready = Promise.race([open(), gone]).catch((error: unknown) => {
    destroy();
    throw fault instanceof Error ? new Error(`Redis cannot be reached: ${fault.message}`, { cause: fault }) : error;
  });
  ready.catch(() => {}); // also told to those who call

  function destroy(): void {
    end();
    if (!client) return;
    client.disconnect();
    // It would wait two seconds for the other side to agree.
    for (const one of client.isCluster ? (client as Cluster).nodes('all') : [client as Redis]) one.stream?.destroy();
  }

  return {
    ready,
    ended,
    call: (command, args) => told((client as Redis | Cluster).call(command, args.map(String))),
    async all(commands) {
      const sent = (client as Redis | Cluster).pipeline();
      for (const [name, ...args] of commands) sent.call(name, ...args.map(String));
      const answers = (await told(sent.exec())) ?? [];
      return answers.map(([error, answer]) => {
        if (error) throw error.name === 'ReplyError' ? error : lost(error);
        return answer;
      });
    },
    async subscribe(channels, heard) {
      client?.on('message', heard);
      await client?.subscribe(...channels);
    },
    destroy,
  };
}
