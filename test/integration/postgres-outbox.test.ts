/** Commit first: notifications written within the application's own transactions, in whatever order those end. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { comparePositions } from '../../adapters/position.js';
import { executorOf } from '../../server/log/postgres/clients.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';
import { follow, heard, ids, marked, open } from '../kit/engines/postgres-log.js';
import { note } from '../kit/entries.js';

const reason = missingPostgres();

/** Far below what a transaction that is left open would hold up, far above a busy machine. */
const SOON = 2_000;

describe.skipIf(reason)(`transactions on the log in Postgres${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  test('inverted commits: the one that began later commits first, and neither is lost or waits', async () => {
    const { log, namespace } = open({ url: server.url });
    const other = open({ url: server.url, namespace });
    const reader = await follow(other.log);
    const [first, second] = [await server.client(), await server.client()];
    for (let round = 0; round < 10; round++) {
      await first.query('BEGIN');
      await log.appendWithin?.(first, [note(`${round} first`)]);
      await second.query('BEGIN');
      await log.appendWithin?.(second, [note(`${round} second`)]);
      await second.query('COMMIT');
      await heard(reader, `${round} second`);
      expect(ids(reader)).not.toContain(`${round} first`);
      await first.query('COMMIT');
      await heard(reader, `${round} first`);
    }
    await marked(log, reader);
    expect(ids(reader)).toHaveLength(21);
    expect(reader.resets).toEqual([]);
  });

  test('of many transactions at once, those that commit come, each entry once and in its order, and no other', async () => {
    const { log, namespace } = open({ url: server.url });
    const reader = await follow(open({ url: server.url, namespace }).log);
    const clients = await Promise.all(Array.from({ length: 8 }, () => server.client()));
    const committed: string[] = [];
    await Promise.all(
      clients.map(async (client, writer) => {
        for (let round = 0; round < 25; round++) {
          const name = `${writer}.${round}`;
          await client.query('BEGIN');
          await log.appendWithin?.(client, [note(`${name}.0`), note(`${name}.1`)]);
          // Some write again, and plain appends come between.
          await log.appendWithin?.(client, [note(`${name}.2`)]);
          if (round % 5 === 0) await log.append([note(`plain ${name}`)]);
          const rolledBack = (writer + round) % 3 === 0;
          await client.query(rolledBack ? 'ROLLBACK' : 'COMMIT');
          if (!rolledBack) committed.push(name);
        }
      }),
    );
    for (const name of committed) await heard(reader, `${name}.2`);
    await marked(log, reader);
    const come = ids(reader).filter((id) => !/plain|marker/.test(id));
    expect([...come].sort()).toEqual(committed.flatMap((name) => [0, 1, 2].map((n) => `${name}.${n}`)).sort());
    for (const name of committed) {
      const places = [0, 1, 2].map((n) => come.indexOf(`${name}.${n}`));
      expect(places).toEqual([...places].sort((a, b) => a - b));
    }
    for (const [index, { position }] of reader.seen.entries()) {
      const before = reader.seen[index - 1]?.position;
      if (before) expect(comparePositions(position, before)).toBeGreaterThan(0);
    }
    expect(reader.resets).toEqual([]);
  });

  test('nothing of a savepoint that is rolled back, or of a transaction that failed', async () => {
    const { log } = open({ url: server.url });
    const reader = await follow(log);
    const client = await server.client();
    await client.query('BEGIN');
    await log.appendWithin?.(client, [note('kept')]);
    await client.query('SAVEPOINT part');
    await log.appendWithin?.(client, [note('undone')]);
    await client.query('ROLLBACK TO SAVEPOINT part');
    await client.query('SAVEPOINT other');
    await log.appendWithin?.(client, [note('released')]);
    await client.query('RELEASE SAVEPOINT other');
    await client.query('COMMIT');
    await heard(reader, 'released');
    await client.query('BEGIN');
    await log.appendWithin?.(client, [note('failed')]);
    await client.query('SELECT 1 / 0').catch(() => {});
    await client.query('COMMIT'); // Postgres rolls it back
    await client.query('BEGIN');
    await log.appendWithin?.(client, [note('last')]);
    await client.query('COMMIT');
    await heard(reader, 'last');
    expect(ids(reader)).toEqual(['kept', 'released', 'last']);
  });

  test('transactions that are left open elsewhere delay nobody, and make nothing slower', async () => {
    const { log, namespace } = open({ url: server.url });
    const reader = await follow(open({ url: server.url, namespace }).log);
    const [idle, outbox, client] = [await server.client(), await server.client(), await server.client()];
    // One that has written something and sees the past, one that has written to the outbox.
    await idle.query('CREATE TABLE IF NOT EXISTS elsewhere (n int)');
    await idle.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await idle.query('INSERT INTO elsewhere VALUES (1)');
    await outbox.query('BEGIN');
    await log.appendWithin?.(outbox, [note('left open')]);

    let longest = 0;
    for (let round = 0; round < 30; round++) {
      await client.query('BEGIN');
      // Rows that vacuum cannot take away, as of ten minutes of traffic.
      for (let n = 0; n < 20; n++) await log.appendWithin?.(client, [note(`${round} ${n}`)]);
      await client.query('COMMIT');
      const began = performance.now();
      await heard(reader, `${round} 19`);
      longest = Math.max(longest, performance.now() - began);
    }
    expect(longest).toBeLessThan(SOON);
    // How many rows a look at the outbox walks over does not grow with the 600 dead ones.
    await server.sql(
      'UPDATE notify_listen.state SET drained = pg_current_snapshot() WHERE namespace = $1 AND NOT notify_listen.pending_1(namespace, drained)',
      [namespace],
    );
    const counted = async (): Promise<number> => {
      const { rows } = await client.query(
        `SELECT pg_stat_get_xact_tuples_returned('notify_listen.outbox_pkey'::regclass) AS n`,
      );
      return Number((rows[0] as { n: string }).n);
    };
    const walked = async (drained: string): Promise<number> => {
      await client.query('BEGIN');
      const before = await counted();
      await client.query(
        `SELECT notify_listen.pending_1(namespace, ${drained}) FROM notify_listen.state WHERE namespace = '${namespace}'`,
      );
      const walked = (await counted()) - before;
      await client.query('COMMIT');
      return walked;
    };
    expect(await walked('NULL')).toBeGreaterThan(500);
    expect(await walked('drained')).toBeLessThan(5);

    await outbox.query('COMMIT');
    await heard(reader, 'left open');
    await idle.query('COMMIT');
    expect(reader.resets).toEqual([]);
  });

  test('10,000 times: who refetches when a notification arrives never reads the old value', async () => {
    const writing = open({ url: server.url });
    const { namespace } = writing;
    await server.sql('CREATE TABLE orders (id int PRIMARY KEY, version int NOT NULL)');
    await server.sql('INSERT INTO orders SELECT n, 0 FROM generate_series(0, 79) n');
    const fetching = new pg.Pool({ connectionString: server.url, max: 4 });
    onTestFinished(() => fetching.end());
    const stale: string[] = [];
    let refetched = 0;
    let done: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const tail = await open({ url: server.url, namespace }).log.tail({
      entries(batch) {
        void fetching.query('SELECT id, version FROM orders').then(({ rows }) => {
          const now = new Map((rows as { id: number; version: number }[]).map(({ id, version }) => [id, version]));
          for (const { entry } of batch) {
            if (entry.kind !== 'notification') continue;
            const { id, changedDate } = entry.notification;
            if ((now.get(Number(id)) ?? -1) < Number(changedDate)) stale.push(`${id}: ${changedDate}`);
            if (++refetched === 10_000) done();
          }
        });
      },
      reset: () => stale.push('reset'),
      failed: (error) => stale.push(String(error)),
    });
    const WRITERS = 8;
    await Promise.all(
      Array.from({ length: WRITERS }, async (_, writer) => {
        const client = await server.client();
        for (let round = 1; round <= 125; round++) {
          await client.query('BEGIN');
          await client.query('UPDATE orders SET version = $1 WHERE id % $2 = $3', [round, WRITERS, writer]);
          const own = Array.from({ length: 10 }, (_value, n) =>
            note(n * WRITERS + writer, 'updated', { changedDate: round }),
          );
          await writing.log.appendWithin?.(client, own);
          await client.query('COMMIT');
        }
      }),
    );
    await all;
    await tail.close();
    expect(stale).toEqual([]);
    expect(refetched).toBe(10_000);
  });

  test('a process that ends before it looked: its committed rows leave all the same', async () => {
    const { log, namespace } = open({ url: server.url });
    const reader = await follow(log);
    // As a process that was killed after its commit would leave it, or a statement of another language.
    await server.sql(`INSERT INTO notify_listen.outbox (namespace, token, entries) VALUES ($1, 'none', $2)`, [
      namespace,
      JSON.stringify([[null, JSON.stringify(note('orphan'))]]),
    ]);
    await heard(reader, 'orphan');
  });

  test('copies with one key count once, whether they were appended or written within transactions', async () => {
    const { log } = open({ url: server.url });
    const reader = await follow(log);
    const client = await server.client();
    const copy = note('one', 'updated', {}, { dedupeKey: 'ü\u0000'.repeat(2_000) });
    await client.query('BEGIN');
    await log.appendWithin?.(client, [copy, copy]);
    await client.query('COMMIT');
    await heard(reader, 'one');
    await log.append([copy]);
    await marked(log, reader, 'end');
    expect(ids(reader)).toEqual(['one', 'end']);
  });

  test('more rows than one drain moves leave in their order', async () => {
    const { log } = open({ url: server.url });
    const reader = await follow(log);
    const client = await server.client();
    await client.query('BEGIN');
    const all = Array.from({ length: 1_201 }, (_, n) => String(n));
    for (const id of all) await log.appendWithin?.(client, [note(id)]);
    await client.query('COMMIT');
    await heard(reader, '1200');
    expect(ids(reader)).toEqual(all);
  });

  test('what is no transaction is refused by a TypeError that says what is', async () => {
    const { log } = open({ url: server.url });
    const client = await server.client();
    const pool = new pg.Pool({ connectionString: server.url });
    await log.append([note('ready')]);
    for (const wrong of [undefined, null, 'BEGIN', 7, {}, pool, client, () => {}]) {
      await expect(log.appendWithin?.(wrong, [note(1)])).rejects.toThrow(TypeError);
    }
    await pool.end();
    expect(() => executorOf({})).toThrow(/pg.*Knex, Kysely, Drizzle or Prisma/);
  });
});
