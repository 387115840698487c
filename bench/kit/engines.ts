/** The logs that are measured, each with a private engine, and what its entries take there. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manage, missingNats, startNats } from '../../test/kit/engines/nats.js';
import { missingPostgres, startPostgres } from '../../test/kit/engines/postgres.js';
import { missingRedis, startRedis } from '../../test/kit/engines/redis.js';

export interface Place {
  readonly name: string;
  /** Other processes share it. */
  readonly shared: boolean;
  /** As `NOTIFY_LISTEN_LOG` takes it; a file log has a file for each namespace. */
  address(namespace: string): string;
  /** Bytes that the engine has for the log of this namespace; none where the node's own memory is the engine. */
  size?(namespace: string): Promise<number>;
  close(): Promise<void>;
}

/** Those whose servers are found; of the others it says so. */
export async function openPlaces(): Promise<Place[]> {
  const places: Place[] = [{ name: 'memory', shared: false, address: () => 'memory:', close: async () => {} }];
  const folder = mkdtempSync(join(tmpdir(), 'notify-listen-bench-'));
  const path = (namespace: string): string => join(folder, `${namespace}.log`);
  places.push({
    name: 'file',
    shared: false,
    address: (namespace) => `file:${path(namespace)}`,
    size: async (namespace) => statSync(path(namespace)).size,
    close: async () => rmSync(folder, { recursive: true, force: true }),
  });
  for (const [missing, open] of [
    [missingRedis(), redis],
    [missingPostgres(), postgres],
    [missingNats(), nats],
  ] as const) {
    if (missing) console.log(missing);
    else places.push(await open());
  }
  return places;
}

async function redis(): Promise<Place> {
  const server = await startRedis();
  const keys = ['meta', 'entries', 'copies', 'leases', 'nodes'];
  return {
    name: 'redis',
    shared: true,
    address: () => server.url,
    async size(namespace) {
      const sizes = keys.map((key) =>
        server.command('MEMORY', 'USAGE', `{notify-listen:${namespace}}:${key}`, 'SAMPLES', 0),
      );
      return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + Number(size ?? 0), 0);
    },
    close: server.remove,
  };
}

async function postgres(): Promise<Place> {
  // As it is installed: a commit waits for the disk.
  const server = await startPostgres({ config: ['fsync = on', 'shared_buffers = 128MB'] });
  return {
    name: 'postgres',
    shared: true,
    address: () => server.url,
    // All namespaces are in one table: their part of it by the length of their rows.
    async size(namespace) {
      const [row] = await server.sql(
        `SELECT pg_total_relation_size('notify_listen.log') * sum(pg_column_size(l)) FILTER (WHERE namespace = $1)
           / sum(pg_column_size(l)) AS bytes FROM notify_listen.log l`,
        [namespace],
      );
      return Number(row?.bytes ?? 0);
    },
    close: server.close,
  };
}

async function nats(): Promise<Place> {
  const server = await startNats();
  return {
    name: 'nats',
    shared: true,
    address: () => server.url,
    async size(namespace) {
      let bytes = 0;
      await manage(server.url, async (manager) => {
        ({ bytes } = (await manager.streams.info(`notify-listen-log-${namespace}`)).state);
      });
      return bytes;
    },
    close: server.stop,
  };
}
