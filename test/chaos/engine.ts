/** The engines of shared logs in a chaos run: killed, frozen, and made to lose what they have acknowledged. */
import { setTimeout as wait } from 'node:timers/promises';
import { deleteStream, missingNats, startNats } from '../kit/engines/nats.js';
import { missingPostgres, startPostgres } from '../kit/engines/postgres.js';
import { missingRedis, startRedis } from '../kit/engines/redis.js';
import { faultProxy } from '../kit/fault-proxy.js';
import type { Chance } from './random.js';

/** The namespace of all logs here. */
export const NAMESPACE = 'chaos';
/** How long a replica may take to follow its master, in milliseconds. It takes tens. */
const FOLLOWS_MS = 20_000;

/** What only this engine suffers, or only in its own way. */
export interface Loss {
  readonly name: string;
  strike(chance: Chance): Promise<string>;
}

export interface ChaosEngine {
  /** What it is, in a few words. */
  readonly what: string;
  /** Where it is now. */
  port(): number;
  /** As `NOTIFY_LISTEN_LOG` takes it, on the way through this port. */
  url(port: number): string;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  readonly losses: readonly Loss[];
  close(): Promise<void>;
}

export type EngineName = 'redis' | 'postgres' | 'nats';

/** @param moved the engine is somewhere else: new connections are to go there */
type Start = (chance: Chance, moved: (port: number) => void) => Promise<ChaosEngine>;

const redis: Start = async (chance, moved) => {
  const [what, config] = chance.pick([
    ['keeps nothing on disk', []],
    ['appendfsync everysec', [['appendonly', 'yes']]],
    ['appendfsync always', [['appendonly', 'yes'] as const, ['appendfsync', 'always']]],
  ] satisfies (readonly [string, readonly (readonly [string, string])[]])[]);
  let server = await startRedis({ config });
  let promoted = false;

  /** A replica that has not got the last entries becomes the master. */
  async function failOver(own: Chance): Promise<string> {
    const former = server;
    const way = await faultProxy({ target: former.port });
    const replica = await startRedis({ config, replicaOf: way.port });
    const late = Date.now() + FOLLOWS_MS;
    while (!/master_link_status:up/.test(String(await replica.command('INFO', 'replication')))) {
      if (Date.now() > late) throw new Error('the replica does not follow');
      await wait(20);
    }
    way.set('both', { stall: 'swallow' });
    const ms = own.between(200, 2_000);
    await wait(ms);
    await replica.command('REPLICAOF', 'NO', 'ONE');
    server = replica;
    promoted = true;
    moved(replica.port);
    // Whoever is still connected to the former master is served by it.
    const both = own.between(0, 1_000);
    await wait(both);
    await former.remove();
    await way.close();
    return `a replica that was ${ms} ms behind, and two masters for ${both} ms`;
  }

  return {
    what,
    port: () => server.port,
    url: (port) => `redis://127.0.0.1:${port}`,
    kill: () => server.kill(),
    async start() {
      await server.start();
      // Its configuration still says that it is a replica.
      if (promoted) await server.command('REPLICAOF', 'NO', 'ONE');
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    losses: [
      {
        name: 'FLUSHALL',
        async strike() {
          await server.command('FLUSHALL');
          return '';
        },
      },
      { name: 'failover that loses entries', strike: failOver },
    ],
    close: () => server.remove(),
  };
};

const postgres: Start = async () => {
  const server = await startPostgres();
  return {
    what: 'one server',
    port: () => server.port,
    url: (port) => server.at({ port }),
    kill: server.kill,
    start: server.start,
    freeze: () => server.signal('SIGSTOP'),
    thaw: () => server.signal('SIGCONT'),
    losses: [
      {
        name: 'all sessions ended by the administrator',
        async strike() {
          const ended = await server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
          );
          return `${ended.length} sessions`;
        },
      },
      {
        name: 'an older copy of its files restored',
        async strike(chance) {
          await server.kill();
          const copy = server.files.save();
          await server.start();
          const ms = chance.between(1_000, 4_000);
          await wait(ms);
          await server.kill();
          server.files.restore(copy);
          await server.start();
          return `of ${ms} ms before`;
        },
      },
    ],
    close: server.close,
  };
};

const nats: Start = async () => {
  const server = await startNats();
  return {
    what: 'one server',
    port: () => server.port,
    url: (port) => `nats://127.0.0.1:${port}`,
    kill: server.kill,
    start: server.start,
    freeze: server.pause,
    thaw: server.resume,
    losses: [
      {
        name: 'the log deleted',
        async strike() {
          await deleteStream(server.url, `notify-listen-log-${NAMESPACE}`);
          return '';
        },
      },
      {
        name: 'its store wiped',
        async strike() {
          await server.kill();
          server.wipe();
          await server.start();
          return '';
        },
      },
    ],
    close: server.stop,
  };
};

export const CHAOS_ENGINES: Readonly<Record<EngineName, { missing(): string; readonly start: Start }>> = {
  redis: { missing: missingRedis, start: redis },
  postgres: { missing: missingPostgres, start: postgres },
  nats: { missing: missingNats, start: nats },
};
