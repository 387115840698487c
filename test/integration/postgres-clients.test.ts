/** The samples of docs/postgres.md: commit first with pg, Drizzle, Knex and Kysely. Prisma is not installed here. */
import { sql as drizzleSql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import knex, { type Knex } from 'knex';
import { Kysely, PostgresDialect } from 'kysely';
import { createPublisher, type Publisher } from 'notify-listen/server';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Reader } from '../../adapters/testing/reader.js';
import { createPostgresLog } from '../../server/log/postgres.js';
import { shipWithDrizzle } from '../docs/postgres/drizzle.js';
import { shipWithKnex } from '../docs/postgres/knex.js';
import { shipWithKysely } from '../docs/postgres/kysely.js';
import { shipWithPg } from '../docs/postgres/pg.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';
import { follow, heard, ids } from '../kit/engines/postgres-log.js';
import { SECRET } from '../kit/server.js';

const reason = missingPostgres();
const NAMESPACE = 'clients';
/** Its transaction fails at the commit. */
const CURSED = 13;

describe.skipIf(reason)(`the application's own client${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  let query: Knex;
  let publisher: Publisher;
  let reader: Reader;
  const free: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    server = await startPostgres();
    await server.sql(`
      CREATE TABLE orders (id int PRIMARY KEY, state text);
      INSERT INTO orders SELECT n, 'new' FROM generate_series(1, 99) n;
      CREATE FUNCTION curse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.id = ${CURSED} THEN RAISE EXCEPTION 'no order %', NEW.id; END IF;
        RETURN NEW;
      END $$;
      CREATE CONSTRAINT TRIGGER curse AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION curse();`);
    pool = new pg.Pool({ connectionString: server.url, max: 4 });
    query = knex({ client: 'pg', connection: server.url });
    const log = createPostgresLog({ url: server.url, namespace: NAMESPACE });
    const other = createPostgresLog({ url: server.url, namespace: NAMESPACE });
    publisher = createPublisher({ log, env: { NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_NAMESPACE: NAMESPACE } });
    reader = await follow(other);
    free.push(
      publisher.close,
      log.close,
      other.close,
      () => query.destroy(),
      () => pool.end(),
      server.close,
    );
  });
  afterAll(async () => {
    for (const end of free) await end();
  });

  const kysely = () =>
    new Kysely<{ orders: { id: number; state: string } }>({ dialect: new PostgresDialect({ pool }) });

  /** What was heard of orders `from` to `from + 9`. */
  const heardOf = (from: number): number[] =>
    ids(reader)
      .map(Number)
      .filter((id) => id >= from && id < from + 10);

  const WAYS: readonly [name: string, from: number, ship: (id: number) => Promise<void>][] = [
    ['pg', 20, (id) => shipWithPg(pool, publisher, id)],
    ['Drizzle', 30, (id) => shipWithDrizzle(drizzle(pool), publisher, id)],
    ['Knex', 40, (id) => shipWithKnex(query, publisher, id)],
    ['Kysely', 50, (id) => shipWithKysely(kysely(), publisher, id)],
  ];

  test.each(WAYS)('%s: heard after the commit, and not when the commit fails', async (_name, from, ship) => {
    await ship(from);
    await heard(reader, String(from));
    await expect(ship(CURSED)).rejects.toThrow(/no order 13|query: commit/);
    await ship(from + 1);
    await heard(reader, String(from + 1));
    expect(heardOf(from)).toEqual([from, from + 1]);
    expect(ids(reader)).not.toContain(String(CURSED));
  });

  test('transactions within transactions follow the savepoint', async () => {
    const order = (id: number) => ({ entity: 'Order', id });
    await query.transaction(async (outer) => {
      await outer
        .transaction(async (inner) => {
          await publisher.notify('shipped', order(60), { transaction: inner });
          throw new Error('undone');
        })
        .catch(() => {});
      await publisher.notify('shipped', order(61), { transaction: outer });
    });
    await drizzle(pool).transaction(async (outer) => {
      await outer
        .transaction(async (inner) => {
          await publisher.notify('shipped', order(62), { transaction: inner });
          throw new Error('undone');
        })
        .catch(() => {});
      await outer.transaction((inner) => publisher.notify('shipped', order(63), { transaction: inner }));
    });
    const controlled = await kysely().startTransaction().execute();
    await publisher.notify('shipped', order(64), { transaction: controlled });
    const savepoint = await controlled.savepoint('part').execute();
    await publisher.notify('shipped', order(65), { transaction: savepoint });
    await savepoint.rollbackToSavepoint('part').execute();
    await controlled.commit().execute();
    await heard(reader, '64');
    expect(heardOf(60)).toEqual([61, 63, 64]);
  });

  test('what is no transaction is a TypeError, and nothing leaves', async () => {
    const db = kysely();
    for (const transaction of [query, db, drizzle(pool), pool, drizzleSql`SELECT 1`, 'BEGIN']) {
      await expect(publisher.notify('shipped', { entity: 'Order', id: 70 }, { transaction })).rejects.toThrow(
        TypeError,
      );
    }
    await shipWithPg(pool, publisher, 71);
    await heard(reader, '71');
    expect(heardOf(70)).toEqual([71]);
  });
});
