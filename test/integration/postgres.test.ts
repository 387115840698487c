/** The log in Postgres while connections break, poolers stand between, tables are emptied and roles may do little. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { epochOf, type Position } from '../../adapters/position.js';
import { createPostgresLog, postgresMigration } from '../../server/log/postgres.js';
import { startBouncer } from '../kit/engines/pgbouncer.js';
import { missingPostgres, type PostgresServer, startPostgres } from '../kit/engines/postgres.js';
import { type Finished, follow, heard, ids, marked, open } from '../kit/engines/postgres-log.js';
import { note } from '../kit/entries.js';
import { type FaultProxy, faultProxy } from '../kit/fault-proxy.js';
import { SECRET, serve } from '../kit/server.js';

const reason = missingPostgres();
const noBouncer = reason || missingPostgres('pgbouncer');

describe.skipIf(reason)(`the log in Postgres${reason && ` (${reason})`}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.close());

  async function proxied(finished: Finished): Promise<{ proxy: FaultProxy; url: string }> {
    const proxy = await faultProxy({ target: server.port });
    finished(() => proxy.close());
    return { proxy, url: server.at({ port: proxy.port }) };
  }

  /** The backends of an application that listen. */
  const listening = async (name: string): Promise<number[]> =>
    (
      await server.sql(
        `SELECT pid FROM pg_stat_activity WHERE application_name = '${name}' AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')`,
      )
    ).map(({ pid }) => pid as number);

  test('two namespaces in one schema do not hear each other; two schemas neither', async ({ onTestFinished }) => {
    const namespace = randomUUID();
    const logs = [
      open({ url: server.url, namespace }, onTestFinished),
      open({ url: server.url, namespace: `${namespace}'; "` }, onTestFinished),
      open({ url: server.at({ query: 'schema=Other%20"one' }), namespace }, onTestFinished),
    ].map(({ log }) => log);
    const readers = await Promise.all(logs.map(follow));
    await Promise.all(logs.map((log, n) => log.append([note(`from ${n}`)])));
    for (const [n, reader] of readers.entries()) {
      await marked(logs[n] as (typeof logs)[number], reader, 'marker');
      expect(ids(reader)).toEqual([`from ${n}`, 'marker']);
    }
  });

  test('many nodes on an empty database at once: each finds or makes what it needs, in one epoch', async ({
    onTestFinished,
  }) => {
    const schema = `s${randomUUID().slice(0, 8)}`;
    const nodes = Array.from(
      { length: 8 },
      () => open({ url: server.url, schema, namespace: 'x' }, onTestFinished).log,
    );
    const positions = (await Promise.all(nodes.map((log, n) => log.append([note(n)])))).flat();
    expect(new Set(positions).size).toBe(8);
    expect(new Set(positions.map(epochOf)).size).toBe(1);
  });

  test('the LISTEN connection is ended by the server: nothing is lost, and another one listens', async ({
    onTestFinished,
  }) => {
    const { log, namespace } = open({ url: server.at({ query: 'application_name=cut' }) }, onTestFinished);
    const reader = await follow(
      open({ url: server.at({ query: 'application_name=cut' }), namespace }, onTestFinished).log,
    );
    await vi.waitFor(async () => expect(await listening('cut')).not.toEqual([]));
    const before = await listening('cut');
    await server.sql('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [before]);
    await marked(log, reader);
    await vi.waitFor(async () => {
      const now = await listening('cut');
      expect(now.filter((pid) => !before.includes(pid))).toHaveLength(1);
    });
    await marked(log, reader);
    expect(reader.resets).toEqual([]);
  });

  test.concurrent('half-open connections: given up within bounds, and nothing is lost', async ({ onTestFinished }) => {
    const { log, namespace } = open({ url: server.url }, onTestFinished);
    const { proxy, url } = await proxied(onTestFinished);
    const away = open({ url, namespace }, onTestFinished);
    const reader = await follow(away.log);
    await marked(log, reader, 'before');
    proxy.set('both', { stall: 'swallow' });
    await log.append([note('unheard')]);
    // The read, or the next one, is swallowed: all that is open now is dead for ever, while new connections work.
    const asked = away.log.append([note('lost')]);
    await expect(asked).rejects.toThrow(/3000 ms/);
    await proxy.heal();
    await heard(reader, 'unheard');
    await away.log.append([note('again')]);
    await heard(reader, 'again');
    expect(reader.resets).toEqual([]);
  });

  test.concurrent('a server that stands still: appends reject in time, and all goes on when it does', async ({
    onTestFinished,
  }) => {
    const own = await startPostgres();
    onTestFinished(own.close);
    const { log } = open({ url: own.url }, onTestFinished);
    const reader = await follow(log);
    await marked(log, reader, 'before');
    own.signal('SIGSTOP');
    const began = performance.now();
    await Promise.all([
      expect(log.append([note('late')])).rejects.toThrow(),
      expect(log.lease('relay', 1_000)).rejects.toThrow(),
    ]);
    expect(performance.now() - began).toBeLessThan(6_000);
    own.signal('SIGCONT');
    await vi.waitFor(() => log.append([note('after')]));
    await heard(reader, 'after');
    expect(reader.resets).toEqual([]);
  });

  test.concurrent('a writer that waits for the lock of another does not wait for ever, and reads do not wait', async ({
    onTestFinished,
  }) => {
    const { log, namespace } = open({ url: server.url }, onTestFinished);
    const reader = await follow(log);
    await marked(log, reader);
    const holder = await server.client();
    await holder.query('BEGIN');
    await holder.query('SELECT notify_listen.begin_1($1, true)', [namespace]);
    const refused = expect(log.append([note('refused')])).rejects.toThrow(/lock timeout/);
    await reader.tail.prove(2_000);
    await refused;
    await holder.query('COMMIT');
    await marked(log, reader);
  });

  test.skipIf(noBouncer)(
    `through PgBouncer in transaction mode${noBouncer && ` (${noBouncer})`}`,
    async ({ onTestFinished }) => {
      const bouncer = await startBouncer(server);
      onTestFinished(bouncer.close);
      const url = server.at({ port: bouncer.port });
      const { log, namespace, lines } = open({ url }, onTestFinished);
      const other = open({ url, namespace }, onTestFinished);
      const reader = await follow(other.log);
      await Promise.all(Array.from({ length: 50 }, (_, n) => (n % 2 ? log : other.log).append([note(n)])));
      await marked(log, reader);
      expect(ids(reader)).toHaveLength(51);
      const { default: pg } = await import('pg');
      const client = new pg.Client({ connectionString: url });
      onTestFinished(() => client.end());
      await client.connect();
      await client.query('BEGIN');
      await log.appendWithin?.(client, [note('within')]);
      await client.query('COMMIT');
      await heard(reader, 'within');
      await reader.tail.prove(3_000);
      await vi.waitFor(() =>
        expect(other.lines.map(({ message }) => message)).toContainEqual(expect.stringMatching(/polled/)),
      );
      expect(lines).toEqual([]);
      await marked(log, reader);
      expect([reader.resets, reader.faults]).toEqual([[], []]);
    },
  );

  test('tables that are emptied, dropped or written anew: a new epoch, and everybody is told', async ({
    onTestFinished,
  }) => {
    const schema = 'emptied';
    const { log, namespace } = open({ url: server.url, schema }, onTestFinished);
    const other = open({ url: server.url, schema, namespace }, onTestFinished);
    await log.append([note('before')]);
    const losses = [
      'TRUNCATE emptied.log',
      'DELETE FROM emptied.state',
      'DROP TABLE emptied.log',
      'DROP SCHEMA emptied CASCADE',
    ];
    for (const loss of losses) {
      const reader = await follow(log);
      await server.sql(loss);
      const [position] = await vi.waitFor(async () => (await other.log.append([note(loss)])) as [Position]);
      const { top } = await reader.untilReset();
      expect(epochOf(top)).not.toBe(epochOf(reader.tail.start.top));
      expect(epochOf(position)).toBe(epochOf(top));
      await marked(other.log, reader);
      await reader.tail.close();
    }
  });

  test('a role without the right to create: the migration by hand is enough, and without it the error says so', async ({
    onTestFinished,
  }) => {
    const schema = `s${randomUUID().slice(0, 8)}`;
    await server.sql(`CREATE ROLE poor_${schema} LOGIN`);
    const url = server.at({ role: `poor_${schema}` });
    const { log } = open({ url, schema }, onTestFinished);
    await expect(log.append([note(1)])).rejects.toThrow(/postgresMigration\(\)/);
    await expect(
      open({ url: server.at({ query: 'migrate=false' }), schema }, onTestFinished).log.append([note(1)]),
    ).rejects.toThrow(/postgresMigration\(\)/);
    const sql = postgresMigration({ schema });
    await server.sql(sql);
    await server.sql(sql);
    await server.sql(`
      GRANT USAGE ON SCHEMA ${schema} TO poor_${schema};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO poor_${schema};`);
    const reader = await follow(log);
    await marked(log, reader);
    const client = await server.client(`poor_${schema}`);
    await client.query('BEGIN');
    await log.appendWithin?.(client, [note('within')]);
    await client.query('COMMIT');
    await heard(reader, 'within');
    expect(await (await log.lease('relay', 1_000))?.renew()).toBe(true);
    expect(await log.share?.('record', 1_000)).toEqual([]);
  });

  test('roles with other defaults: isolation, read only, no synchronous commit, a time zone, encodings', async ({
    onTestFinished,
  }) => {
    const role = `odd${randomUUID().slice(0, 8)}`;
    await server.sql(`CREATE ROLE ${role} LOGIN SUPERUSER`);
    for (const [name, value] of [
      ['default_transaction_isolation', 'serializable'],
      ['default_transaction_read_only', 'on'],
      ['synchronous_commit', 'off'],
      ['enable_indexscan', 'off'],
      ['search_path', 'nowhere'],
      ['timezone', 'Asia/Kathmandu'],
      ['intervalstyle', 'sql_standard'],
    ])
      await server.sql(`ALTER ROLE ${role} SET ${name} = '${value}'`);
    await server.sql(`CREATE DATABASE ${role} ENCODING 'SQL_ASCII' TEMPLATE template0`);
    const url = server.at({ role }).replace(/postgres$/, role);
    const { log, namespace } = open({ url }, onTestFinished);
    const other = open({ url, namespace }, onTestFinished).log;
    const reader = await follow(other);
    await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 ? log : other).append([note(`ü 👍 ${n}`)])));
    await marked(log, reader);
    expect(ids(reader)).toHaveLength(41);
    const [one, two] = await Promise.all([log.lease('relay', 9_000), other.lease('relay', 9_000)]);
    expect([one, two].filter(Boolean)).toHaveLength(1);
    expect(reader.faults).toEqual([]);
  });

  test('the cap: only the newest entries stay, and the floor is where they begin', async ({ onTestFinished }) => {
    const { log, namespace } = open({ url: server.at({ query: 'cap=10' }) }, onTestFinished);
    const given = await log.append(Array.from({ length: 5_000 }, (_, n) => note(n)));
    const reader = await follow(log);
    expect(ids(reader)).toEqual(Array.from({ length: 10 }, (_, n) => String(4_990 + n)));
    expect(reader.tail.start.floor).toBe(given[4_989]);
    const rows = await server.sql('SELECT count(*) FROM notify_listen.log WHERE namespace = $1', [namespace]);
    expect(rows).toEqual([{ count: '10' }]);
  });

  test('a wrong address is refused at once, without its password', () => {
    for (const url of ['http://x', 'postgres://u:pass word@h/d?cap=0', 'postgres://u:secret@h/d?listen=maybe']) {
      expect(() => createPostgresLog({ url, namespace: 'x' })).toThrow(/^(?!.*(secret|pass word)).*address/);
    }
  });

  test('two notifiers: what commits on one refreshes the listeners of the other, and close leaves no connection', async () => {
    const namespace = `t-${randomUUID().slice(0, 8)}`;
    const logs = [0, 1].map(() => createPostgresLog({ url: server.at({ query: 'application_name=both' }), namespace }));
    const servers = await Promise.all(
      logs.map((log) =>
        serve('node:http', { log, env: { NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_NAMESPACE: namespace } }),
      ),
    );
    const [one, two] = servers as [(typeof servers)[0], (typeof servers)[0]];
    const stream = await two.listen({ user: 'ann' }, ['Order/1']);
    await stream.next('ready');
    const client = await server.client();
    await client.query('BEGIN');
    await one.notifier.notify('undone', { entity: 'Order', id: 1 }, { transaction: client });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await one.notifier.notify('shipped', { entity: 'Order', id: 1 }, { transaction: client });
    await client.query('COMMIT');
    expect(await stream.next('notification')).toMatchObject({ data: { action: 'shipped' } });
    await Promise.all(servers.map((it) => it.close()));
    await Promise.all(logs.map((log) => log.close()));
    await vi.waitFor(async () => {
      const left = await server.sql(`SELECT pid FROM pg_stat_activity WHERE application_name = 'both'`);
      expect(left).toEqual([]);
    });
  });
});
