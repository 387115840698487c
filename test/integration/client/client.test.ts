/** The client against the real server, over real HTTP. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createListenClient, type ListenClient, type ListenClientOptions, type Refresh } from 'notify-listen/client';
import { createNotifier, type Notifier } from 'notify-listen/server';
import { nodeListener } from 'notify-listen/server/node';
import { expect, onTestFinished, test, vi } from 'vitest';
import { RIGHTS, SECRET, serve } from '../../kit/server.js';

/** Nobody is slowed down: these tests open thousands of streams as one user. */
const LIMITS = { openingsBurst: 1e6, openingsPerSecond: 1e6, channelsPerConnection: 1e5 };
const WAIT = { interval: 5 };

/** Lets the server know its log for a moment: what began to load before that is refreshed, and rightly so. */
async function warm(notifier: Pick<Notifier, 'position'>): Promise<void> {
  await notifier.position();
  await new Promise((done) => setTimeout(done, 100));
}

function connect(url: string, options: ListenClientOptions = {}): ListenClient {
  const client = createListenClient({ url, headers: { 'x-user': 'ann' }, onError: () => {}, ...options });
  onTestFinished(() => client.close());
  return client;
}

test('10,000 rounds: notified at the moment ready resolves, none is lost', async () => {
  const server = await serve('node:http', { limits: LIMITS });
  const client = connect(server.url);
  let ran = 0;
  for (let batch = 0; batch < 100; batch++) {
    const rounds = Array.from({ length: 100 }, async (_, index) => {
      const object = { entity: 'Order', id: `${batch}-${index}` };
      let heard: () => void = () => {};
      const refreshed = new Promise<void>((resolve) => {
        heard = resolve;
      });
      let notified = false;
      const listening = client.listen(object, { updated: () => notified && heard() }, { loadedAt: Date.now() });
      await listening.ready;
      notified = true;
      void server.notifier.notify('updated', object);
      await refreshed;
      ran += 1;
      listening.close();
    });
    await Promise.all(rounds);
  }
  expect(ran).toBe(10_000);
}, 120_000);

test('two listeners on one object mounted apart, a notification between, during and after each load', async () => {
  const server = await serve('node:http', { limits: LIMITS });
  const client = connect(server.url);
  for (let round = 0; round < 100; round++) {
    const object = { entity: 'Order', id: round };
    let version = 0;
    const shown = [-1, -1];
    const change = () => {
      version += 1;
      void server.notifier.notify('updated', object);
    };
    const mount = async (at: number) => {
      const load = async () => {
        const read = version;
        await new Promise((done) => setTimeout(done, Math.random() * 4));
        shown[at] = read;
      };
      const loadedAt = Date.now();
      await load();
      return client.listen(object, { updated: load }, { loadedAt });
    };
    const mounting = [mount(0)];
    change();
    await new Promise((done) => setTimeout(done, Math.random() * 10));
    mounting.push(mount(1));
    change();
    const listeners = await Promise.all(mounting);
    change();
    await vi.waitFor(() => expect(shown).toEqual([version, version]), WAIT);
    for (const listening of listeners) listening.close();
  }
});

test('no refetch without a cause when loadedAt or a position is given', async () => {
  const server = await serve('node:http', { limits: LIMITS });
  await server.notifier.notify('updated', { entity: 'Order', id: 1 });
  await new Promise((done) => setTimeout(done, 50));
  const position = await server.notifier.position();
  const client = connect(server.url);
  const runs: Refresh[] = [];
  const options = [{ loadedAt: Date.now() }, { position }, { position, loadedAt: 0 }];
  const listeners = options.map((option) =>
    client.listen({ entity: 'Order', id: 1 }, { '*': (refresh) => runs.push(refresh) }, option),
  );
  await Promise.all(listeners.map(({ ready }) => ready));
  await new Promise((done) => setTimeout(done, 300));
  expect(runs).toEqual([]);
  await server.notifier.notify('updated', { entity: 'Order', id: 1 });
  await vi.waitFor(() => expect(runs).toHaveLength(3), WAIT);
});

test('a position taken before a change: one refresh', async () => {
  const server = await serve('node:http');
  const position = await server.notifier.position();
  await server.notifier.notify('updated', { entity: 'Order', id: 1 });
  const runs: Refresh[] = [];
  const listening = connect(server.url).listen(
    { entity: 'Order', id: 1 },
    { '*': (refresh) => runs.push(refresh) },
    { position },
  );
  await listening.ready;
  await new Promise((done) => setTimeout(done, 300));
  expect(runs).toMatchObject([{ reason: 'load', notification: { action: 'updated' } }]);
});

test('one refusal among five; four work; a list; an addressed notification', async () => {
  const server = await serve('node:http');
  await warm(server.notifier);
  const client = connect(server.url);
  const runs: string[] = [];
  const listen = (entity: string, id?: string) => {
    const object = id === undefined ? { entity } : { entity, id };
    return client.listen(
      object,
      { '*': ({ notification }) => runs.push(`${entity}/${id}: ${notification?.action}`) },
      { loadedAt: Date.now() },
    );
  };
  const listeners = [
    listen('Order', '1'),
    listen('Order', 'hidden'),
    listen('Order', '2'),
    listen('Order'),
    listen('Report', 'ann-1'),
  ];
  const fates = await Promise.allSettled(listeners.map(({ ready }) => ready));
  expect(fates.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  expect(listeners[1]?.error?.code).toBe('refused');
  await server.notifier.notify('shipped', { entity: 'Order', id: 1 });
  await server.notifier.notify('done', { entity: 'Report', id: 'ann-1' }, { to: { users: ['ann'] } });
  await server.notifier.notify('done', { entity: 'Report', id: 'ann-1' }, { to: { users: ['bob'] } });
  await vi.waitFor(
    () => expect(runs.sort()).toEqual(['Order/1: shipped', 'Order/undefined: shipped', 'Report/ann-1: done']),
    WAIT,
  );
});

test('only refused objects: connected all the same, and addressed notifications arrive', async () => {
  const server = await serve('node:http');
  await warm(server.notifier);
  const client = connect(server.url);
  const runs: Refresh[] = [];
  const listening = client.listen(
    { entity: 'Invoice', id: 1 },
    { done: (refresh) => runs.push(refresh) },
    { loadedAt: Date.now() },
  );
  await expect(listening.ready).rejects.toMatchObject({ code: 'refused' });
  await vi.waitFor(() => expect(client.status().state).toBe('connected'), WAIT);
  await server.notifier.notify('done', { entity: 'Invoice', id: 1 }, { to: { users: ['ann'] } });
  await vi.waitFor(() => expect(runs).toHaveLength(1), WAIT);
});

test('a revoked right ends the listener, and one that comes back revives it', async () => {
  let allowed = true;
  const server = await serve('node:http', { canListen: { Order: { one: () => allowed } } });
  await warm(server.notifier);
  const client = connect(server.url);
  const runs: Refresh[] = [];
  const listening = client.listen(
    { entity: 'Order', id: 1 },
    { '*': (refresh) => runs.push(refresh) },
    { loadedAt: Date.now() },
  );
  await listening.ready;
  allowed = false;
  await server.notifier.revoke('ann', { entity: 'Order', id: 1 });
  await vi.waitFor(() => expect(listening.error?.code).toBe('refused'), WAIT);
  await server.notifier.notify('updated', { entity: 'Order', id: 1 });
  await new Promise((done) => setTimeout(done, 200));
  expect(runs).toEqual([]);
  allowed = true;
  client.reconnect();
  // What it was not told while it had no right, it is told now.
  await vi.waitFor(() => expect(runs).toHaveLength(1), WAIT);
  expect(listening.error).toBeUndefined();
});

test('own changes: skipped for ignoreOwn when the request succeeds, run when it fails, run for others', async () => {
  let status = 200;
  let notifier: Notifier | undefined;
  const server = await serve('Express 5', {
    before: [
      async (request, response, next) => {
        if (request.path !== '/change') return next();
        // The echo overtakes the answer.
        await notifier?.notify('updated', { entity: 'Order', id: 1 }, { request });
        setTimeout(() => response.status(status).end(), 50);
      },
    ],
  });
  notifier = server.notifier;
  await warm(notifier);
  const client = connect(server.url);
  const runs: Record<string, number> = { ignoring: 0, all: 0 };
  const object = { entity: 'Order', id: 1 };
  const count = (name: string) => () => {
    runs[name] = (runs[name] ?? 0) + 1;
  };
  const listeners = [
    client.listen(object, { updated: count('ignoring') }, { loadedAt: Date.now(), ignoreOwn: true }),
    client.listen(object, { updated: count('all') }, { loadedAt: Date.now() }),
  ];
  await Promise.all(listeners.map(({ ready }) => ready));
  const change = () => client.fetch(`http://127.0.0.1:${server.port}/change`, { method: 'POST' });
  await change();
  await vi.waitFor(() => expect(runs.all).toBe(1), WAIT);
  await new Promise((done) => setTimeout(done, 200));
  expect(runs.ignoring).toBe(0);
  status = 500;
  await change();
  await vi.waitFor(() => expect(runs).toEqual({ ignoring: 1, all: 2 }), WAIT);
  await fetch(`http://127.0.0.1:${server.port}/change`, { method: 'POST' });
  await vi.waitFor(() => expect(runs).toEqual({ ignoring: 2, all: 3 }), WAIT);
});

/** A server that can be killed and started again on its port, with an empty log each time. */
async function fragileServer() {
  let server: Server;
  let notifier: Notifier;
  let port = 0;
  const sockets = new Set<Socket>();
  async function start(): Promise<void> {
    notifier = createNotifier({
      user: (request) => request.headers['x-user'],
      canListen: RIGHTS,
      env: { NOTIFY_LISTEN_SECRET: SECRET },
      limits: LIMITS,
      logger: () => {},
      onError: () => {},
    });
    const handle = nodeListener(notifier);
    server = createServer((request, response) => void handle(request, response));
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    await warm(notifier);
    ({ port } = server.address() as AddressInfo);
  }
  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }
  async function stop(): Promise<void> {
    const gone = new Promise((resolve) => server.close(resolve));
    cut();
    await gone;
    await notifier.close({ within: 0 });
  }
  await start();
  onTestFinished(stop);
  return {
    url: `http://127.0.0.1:${port}/notify-listen`,
    notify: (action: string, object: { entity: string; id: string | number }) => notifier.notify(action, object),
    sockets,
    cut,
    start,
    stop,
  };
}

test('a server that starts again has another log: each listener refreshes once, then hears again', async () => {
  const server = await fragileServer();
  const client = connect(server.url);
  const runs: Refresh[] = [];
  const listening = client.listen(
    { entity: 'Order', id: 1 },
    { '*': (refresh) => runs.push(refresh) },
    { loadedAt: Date.now() },
  );
  await listening.ready;
  await server.notify('updated', { entity: 'Order', id: 1 });
  await vi.waitFor(() => expect(runs).toHaveLength(1), WAIT);
  await server.stop();
  await vi.waitFor(() => expect(client.status().state).toBe('reconnecting'), WAIT);
  await server.start();
  await vi.waitFor(() => expect(runs.map(({ reason }) => reason)).toEqual(['notification', 'resync']), WAIT);
  await vi.waitFor(() => expect(client.status().state).toBe('connected'), WAIT);
  await server.notify('updated', { entity: 'Order', id: 1 });
  await vi.waitFor(() => expect(runs).toHaveLength(3), WAIT);
  expect(runs[2]?.reason).toBe('notification');
});

test('sockets cut at random points: after the last notification of each object, a run starts', async () => {
  const server = await fragileServer();
  // Short waits, so that a second holds many cuts.
  const client = connect(server.url, { world: { random: () => Math.random() * 0.1 } });
  const objects = Array.from({ length: 20 }, (_, id) => ({ entity: 'Order', id }));
  const notified = new Map<number, number>();
  const ran = new Map<number, number>();
  let clock = 0;
  const listeners = objects.map((object) =>
    client.listen(object, { '*': () => void ran.set(object.id, ++clock) }, { loadedAt: Date.now() }),
  );
  await Promise.all(listeners.map(({ ready }) => ready));
  for (let step = 0; step < 1_500; step++) {
    const object = objects[Math.floor(Math.random() * objects.length)] as { entity: string; id: number };
    notified.set(object.id, ++clock);
    await server.notify('updated', object);
    if (Math.random() < 0.05) server.cut();
    if (Math.random() < 0.3) await new Promise((done) => setTimeout(done, Math.random() * 5));
  }
  await vi.waitFor(() => {
    for (const [id, at] of notified) expect([id, (ran.get(id) ?? 0) > at]).toEqual([id, true]);
  }, WAIT);
  await vi.waitFor(() => expect(client.status().state).toBe('connected'), WAIT);
});

test('a proxy that holds streams back: long polls, and nothing is lost', async () => {
  const server = await serve('node:http');
  await warm(server.notifier);
  const client = connect(server.url, {
    world: {
      // Buffers event streams for ever; lets everything else through.
      fetch: (input, init) =>
        String(init?.body).includes('"wait":"stream"')
          ? new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
          : fetch(input, init),
    },
  });
  const runs: Refresh[] = [];
  const listening = client.listen(
    { entity: 'Order', id: 1 },
    { '*': (refresh) => runs.push(refresh) },
    { loadedAt: Date.now() },
  );
  await listening.ready;
  expect(client.status()).toEqual({ state: 'connected', via: 'poll', degraded: true });
  for (let round = 1; round <= 5; round++) {
    await server.notifier.notify('updated', { entity: 'Order', id: 1 });
    await vi.waitFor(() => expect(runs).toHaveLength(round), WAIT);
  }
});
