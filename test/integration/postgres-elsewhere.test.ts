/** A transaction that the log would never read: another database's, or one without the right to the outbox. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { LogEntry } from '../../adapters/contract.js';
import { createPostgresLog } from '../../server/log/postgres.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';

const reason = missingPostgres();
const entry: LogEntry = {
  kind: 'notification',
  notification: { entity: 'Order', id: '1', action: 'shipped', changedDate: 1 },
};

describe.skipIf(reason)(`a transaction of somewhere else${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  const inDatabase = (name: string): string => server.url.replace(/\/[^/?]*(?=\?|$)/, `/${name}`);
  const logIn = (name: string) => {
    const log = createPostgresLog({ url: inDatabase(name), logger: () => {} });
    onTestFinished(() => log.close());
    return log;
  };
  async function begun(name: string, role?: string): Promise<pg.Client> {
    const client = new pg.Client(inDatabase(name));
    await client.connect();
    onTestFinished(() => client.end());
    if (role) await client.query(`SET ROLE ${role}`);
    await client.query('BEGIN');
    return client;
  }

  beforeAll(async () => {
    server = await startPostgres();
    for (const name of ['home', 'copy', 'bare']) await server.sql(`CREATE DATABASE ${name}`);
    await server.sql('CREATE ROLE poor');
  });
  afterAll(() => server?.close());

  test('another database, with an outbox of its own or without: an error, and nothing waits there for ever', async () => {
    const log = logIn('home');
    await log.append([entry]);
    // As a copied dump has it: the schema is there, and nobody looks at it.
    await logIn('copy').append([entry]);
    for (const name of ['copy', 'bare']) {
      const client = await begun(name);
      await expect(log.appendWithin?.(client, [entry])).rejects.toThrow('not in the database of NOTIFY_LISTEN_LOG');
      await client.query('ROLLBACK');
    }
    const home = await begun('home');
    await log.appendWithin?.(home, [entry]);
    await home.query('COMMIT');
  });

  test('a role without the right: an error that says which one is missing', async () => {
    const log = logIn('home');
    await log.append([entry]);
    const client = await begun('home', 'poor');
    await expect(log.appendWithin?.(client, [entry])).rejects.toThrow(
      'GRANT USAGE ON SCHEMA "notify_listen", INSERT ON',
    );
    await client.query('ROLLBACK');
  });
});
