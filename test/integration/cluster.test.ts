/**
 * Three nodes on one engine, as an application has them behind a load balancer: rows 38, 68 and 70, rights that end,
 * limits and waits that count all nodes. On every engine that is there.
 */
import { randomUUID } from 'node:crypto';
import { createListenClient, type Refresh } from 'notify-listen/client';
import { createPublisher, type NotifierOptions } from 'notify-listen/server';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startBalancer } from '../kit/balancer.js';
import { ENGINES, type Engine } from '../kit/engines/all.js';
import { SECRET, serve, type TestServer } from '../kit/server.js';

const PATIENCE = { timeout: 30_000, interval: 20 };
const order = (id: number | string) => ({ entity: 'Order', id: String(id) }) as const;

/** An engine on a machine with other work may take longer than a page would be let wait. */
async function reached(servers: readonly TestServer[]): Promise<void> {
  for (const { notifier, errors } of servers) {
    const late = (cause: unknown): never => {
      throw new Error(`not reached: ${errors.join('; ')}`, { cause });
    };
    await vi.waitFor(() => notifier.position(), PATIENCE).catch(late);
  }
}

describe.each(ENGINES)('a cluster on $name', ({ name, missing, start }) => {
  describe.skipIf(missing)(missing || 'of three nodes', () => {
    let engine: Engine;
    beforeAll(async () => {
      engine = await start();
    });
    afterAll(() => engine?.close());

    const settings = (namespace: string) => ({
      NOTIFY_LISTEN_SECRET: SECRET,
      NOTIFY_LISTEN_NAMESPACE: namespace,
      NOTIFY_LISTEN_LOG: engine.url,
    });

    /** Nodes that have met each other. */
    async function nodes(
      options: Partial<NotifierOptions> = {},
      namespace = `t-${randomUUID().slice(0, 8)}`,
    ): Promise<[TestServer, TestServer, TestServer]> {
      const three = [1, 2, 3].map(() => serve('node:http', { heartbeat: 1_000, ...options, env: settings(namespace) }));
      const them = (await Promise.all(three)) as [TestServer, TestServer, TestServer];
      await reached(them);
      await vi.waitFor(() => expect(them.map(({ notifier }) => notifier.metrics().nodes)).toEqual([3, 3, 3]), PATIENCE);
      return them;
    }

    test('row 68: a notification made on any node reaches clients on all nodes, once', async () => {
      const namespace = `t-${randomUUID().slice(0, 8)}`;
      const servers = await nodes({}, namespace);
      const heard = await Promise.all(
        servers.map(async (server) => {
          const stream = await server.listen({ user: 'ann' }, ['Order/1', 'Order/2', 'Order/marker']);
          await stream.next('ready');
          return stream;
        }),
      );
      const publisher = createPublisher({ env: settings(namespace), logger: () => {} });
      onTestFinished(() => publisher.close());
      const sent: (string | undefined)[] = [];
      for (let n = 0; n < 30; n++) {
        const from = [...servers.map(({ notifier }) => notifier), publisher][n % 4];
        const result = await from?.notify(`change-${n}`, order(1 + (n % 2)));
        sent.push(result?.positions?.[0]);
      }
      await servers[0].notifier.notify('marker', order('marker'));
      for (const stream of heard) {
        await stream.until(({ data }) => data.action === 'marker', 'the marker');
        const positions = stream.events.flatMap(({ type, data }) =>
          type === 'notification' && data.action !== 'marker' ? [data.position] : [],
        );
        expect(positions).toEqual(sent);
      }
    });

    test('row 70: what every node notifies under one key is one notification', async () => {
      const servers = await nodes();
      const runs: Refresh[] = [];
      const client = createListenClient({ url: servers[2].url, headers: { 'x-user': 'ann' }, tabs: false });
      onTestFinished(() => client.close());
      const marks: Refresh[] = [];
      const actions = {
        expired: (refresh: Refresh) => void runs.push(refresh),
        marker: (refresh: Refresh) => void marks.push(refresh),
      };
      await client.listen(order(1), actions, { loadedAt: Date.now() }).ready;
      const results = await Promise.all(
        servers.map(({ notifier }) => notifier.notify('expired', order(1), { dedupeKey: 'order 1 expired at 12:00' })),
      );
      expect(new Set(results.map(({ positions }) => positions?.[0])).size).toBe(1);
      await servers[1].notifier.notify('marker', order(1));
      await vi.waitFor(() => expect(marks).toHaveLength(1), PATIENCE);
      expect(runs.map(({ reason }) => reason)).toEqual(['notification']);
    });

    test('a right that ends on one node ends on all of them within a second', async () => {
      const servers = await nodes();
      const streams = await Promise.all(
        servers.map(async (server) => {
          const stream = await server.listen({ user: 'ann' }, ['Order/1']);
          await stream.next('ready');
          return stream;
        }),
      );
      const began = performance.now();
      expect(await servers[1].notifier.revoke('ann', order(1))).toMatchObject({ accepted: true });
      const lasted = await Promise.all(
        streams.map(async (stream) => {
          await stream.until(({ type, data }) => type === 'reauthorise' && data.channels?.[0] === 'Order/1');
          return performance.now() - began;
        }),
      );
      expect(Math.max(...lasted)).toBeLessThan(1_000);
      await servers[0].notifier.notify('secret', order(1));
      await servers[0].notifier.notify('marker', { entity: 'Order', id: 'marker' }, { to: { users: ['ann'] } });
      for (const stream of streams) {
        await stream.until(({ data }) => data.action === 'marker', 'the marker');
        expect(stream.events.filter(({ data }) => data.action === 'secret')).toEqual([]);
      }
    });

    test('row 38: a node dies without a word; its page goes on at another one, and is told what it missed', async () => {
      const servers = await nodes();
      const balancer = await startBalancer();
      balancer.targets = [servers[0].port];
      const runs: Refresh[] = [];
      const client = createListenClient({ url: balancer.url, headers: { 'x-user': 'ann' }, tabs: false });
      onTestFinished(() => client.close());
      await client.listen(order(1), { '*': (refresh) => void runs.push(refresh) }, { loadedAt: Date.now() }).ready;
      balancer.targets = [servers[1].port];
      // As a process that is killed: every socket ends, nothing is said.
      (servers[0].server as unknown as { closeAllConnections(): void }).closeAllConnections();
      const { positions } = await servers[2].notifier.notify('shipped', order(1));
      await vi.waitFor(() => expect(runs).toHaveLength(1), PATIENCE);
      expect(runs[0]).toMatchObject({ reason: 'notification' });
      expect(positions).toHaveLength(1);
      expect(servers[1].notifier.metrics()).toMatchObject({ connections: 1, resyncs: 0 });
    });

    test('limits and waits count all nodes', async () => {
      const servers = await nodes({ limits: { connectionsPerUser: 4 } });
      // 99 pages of 99 users: above 90 in all, far below on each node.
      const crowd = servers.flatMap((server, at) =>
        Array.from({ length: 33 }, async (_, n) => {
          const stream = await server.listen({ user: `user${at * 100 + n}` }, ['Order/1']);
          await stream.next('ready');
          return stream;
        }),
      );
      const [first] = await Promise.all(crowd);
      const elsewhere = (): number[] => servers.map(({ notifier }) => notifier.metrics().everywhere);
      await vi.waitFor(() => expect(elsewhere()).toEqual([99, 99, 99]), PATIENCE);
      await servers[2].notifier.notify('shipped', order(1));
      const { data } = (await first?.until((event) => event.data.action === 'shipped')) ?? {};
      expect(data?.spread).toBeGreaterThanOrEqual(3_000);

      // One user asks every node for as many as it gives, for a while.
      let open = 0;
      const wave = async (): Promise<void> => {
        await Promise.all(
          servers.map(async (server) => {
            for (let n = 0; n < 4; n++) {
              const { grant } = await server.authorise({ user: 'greedy' }, 'Order/1');
              const reply = await server.stream({ user: 'greedy' }, { grants: [grant], channels: { 'Order/1': null } });
              if (reply.status === 200) open += 1;
              else reply.cut();
            }
          }),
        );
      };
      await wave();
      await wave();
      expect(open).toBeGreaterThan(0);
      expect(open).toBeLessThanOrEqual(8);
    });

    test(`${name} is killed and comes back: notify answers in time, nodes say that they are degraded, and recover`, async () => {
      const own = await start();
      onTestFinished(() => own.close());
      const env = { ...settings(`t-${randomUUID().slice(0, 8)}`), NOTIFY_LISTEN_LOG: own.url };
      const servers = await Promise.all(
        [1, 2].map(() => serve('node:http', { heartbeat: 500, notifyTimeout: 500, env })),
      );
      const [a, b] = servers as [TestServer, TestServer];
      await reached(servers);
      const runs: Refresh[] = [];
      const client = createListenClient({ url: b.url, headers: { 'x-user': 'ann' }, tabs: false, onError: () => {} });
      onTestFinished(() => client.close());
      await client.listen(order(1), { '*': (refresh) => void runs.push(refresh) }, { loadedAt: Date.now() }).ready;

      await own.kill();
      const began = performance.now();
      expect(await a.notifier.notify('while down', order(1))).toEqual({ accepted: false });
      expect(performance.now() - began).toBeLessThan(3_000);
      await vi.waitFor(
        () => expect(servers.map(({ notifier }) => notifier.metrics().degraded)).toEqual([true, true]),
        PATIENCE,
      );
      expect((await a.ask('/health')).status).toBe(503);
      await own.start();
      await vi.waitFor(
        () => expect(servers.map(({ notifier }) => notifier.metrics().degraded)).toEqual([false, false]),
        PATIENCE,
      );
      await vi.waitFor(() => expect(runs.length).toBeGreaterThan(0), PATIENCE);
      await vi.waitFor(() => expect(a.notifier.metrics().waiting).toBe(0), PATIENCE);
      runs.length = 0;
      await vi.waitFor(
        async () => expect(await a.notifier.notify('after', order(1))).toMatchObject({ accepted: true }),
        PATIENCE,
      );
      await vi.waitFor(() => expect(runs.length).toBeGreaterThan(0), PATIENCE);
    });
  });
});
