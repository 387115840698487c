/** The log in Postgres while its own statements hang, those that no caller waits for: its connections are given up too. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createConnections } from '../../server/log/postgres/connections.js';
import { createPostgresDriver } from '../../server/log/postgres/driver.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';
import { type Finished, open } from '../kit/engines/postgres-log.js';
import { note } from '../kit/entries.js';
import { faultProxy } from '../kit/fault-proxy.js';

const reason = missingPostgres();

describe.skipIf(reason)(`what hangs in Postgres${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  /** Connections through a proxy, all of which can become half-open. */
  async function proxied(finished: Finished) {
    const proxy = await faultProxy({ target: server.port });
    finished(() => proxy.close());
    const connections = createConnections({
      load: async () => pg,
      url: server.at({ port: proxy.port }),
      schema: 'notify_listen',
      migrate: true,
    });
    /** Resolves when `count` connections have lost bytes; from then on new ones work. */
    async function lose(count: number): Promise<void> {
      expect(proxy.counts().accepted).toBe(count);
      proxy.set('both', { stall: 'swallow' });
      await vi.waitFor(() => expect(proxy.counts().lost).toBe(count), 5_000);
      await proxy.heal();
    }
    return { proxy, connections, lose };
  }

  test.concurrent('a drain and a trim hold both connections: they are dropped in time, without a read', async ({
    onTestFinished,
  }) => {
    const { proxy, connections, lose } = await proxied(onTestFinished);
    const namespace = randomUUID();
    const options = { connections, schema: 'notify_listen', namespace, retention: 200, cap: 100, listen: false };
    const driver = createPostgresDriver({ ...options, logger() {} });
    onTestFinished(() => driver.close());
    await driver.append([note('before')]);
    await Promise.all([1, 2].map(() => connections.query('SELECT pg_sleep(0.1)', [])));
    const client = await server.client();
    await client.query('BEGIN');
    await driver.appendWithin?.(client, [note('within')]); // it drains as long as this is open
    driver.watch(() => {}); // it trims
    await lose(2);
    // Less than until the next of them waits in vain for a connection.
    await vi.waitFor(() => expect(proxy.counts().accepted).toBeGreaterThan(2), 4_800);
    await client.query('COMMIT');
    await driver.read(undefined, 10);
  });

  test.concurrent('no connection becomes free in time: what holds them hangs', async ({ onTestFinished }) => {
    const { connections, lose } = await proxied(onTestFinished);
    onTestFinished(() => connections.close());
    const ask = () => connections.query('SELECT 1', []);
    await Promise.all([1, 2].map(() => connections.query('SELECT pg_sleep(0.1)', [])));
    const losing = lose(2);
    const hung = [expect(ask()).rejects.toThrow(), expect(ask()).rejects.toThrow()];
    await losing;
    await expect(ask()).rejects.toThrow(/timeout/);
    expect(await ask()).toHaveLength(1);
    await Promise.all(hung);
  });

  test.concurrent('connections that are busy are no hung ones: what waited too long for one ends none', async ({
    onTestFinished,
  }) => {
    const { proxy, connections } = await proxied(onTestFinished);
    onTestFinished(() => connections.close());
    const sleep = (seconds: number) => connections.query('SELECT pg_sleep($1)', [seconds]);
    const long = [sleep(2.7), sleep(0.5), sleep(2.3)];
    await expect(connections.query('SELECT 1', [])).rejects.toThrow(/timeout/);
    await Promise.all(long);
    expect(proxy.counts()).toMatchObject({ accepted: 2, open: 2 });
  });

  test.concurrent('a record that cannot be read hides no other', async ({ onTestFinished }) => {
    const { log, namespace } = open({ url: server.url }, onTestFinished);
    const other = open({ url: server.url, namespace }, onTestFinished).log;
    await other.share?.('good', 60_000);
    await log.share?.('own', 60_000);
    await server.sql(
      `INSERT INTO notify_listen.nodes (namespace, node, record, until)
       SELECT $1, n, n, 'infinity' FROM unnest(ARRAY['{', '{}', '1']) n`,
      [namespace],
    );
    expect(await log.share?.('own', 60_000)).toEqual(['good']);
  });
});
