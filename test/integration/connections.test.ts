/** The hub over real sockets: slow, stalled, many and vanished readers. */
import { createConnection, type Socket } from 'node:net';
import type { Position } from 'notify-listen/server';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { comparePositions } from '../../adapters/position.js';
import type { EventStream, SeenEvent } from '../kit/event-stream.js';
import { SERVERS, serve, type TestServer } from '../kit/server.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Objects of which one notification each fills what a socket and the kernel hold within some rounds. */
const OBJECTS = Array.from({ length: 500 }, (_, n) => String(n));
const PADDING = 'x'.repeat(700);

/** One server for each way in which frames are written: to the socket, through HTTP/2, through a web stream. */
const SINKS = ['Express 5', 'node:http2', 'fetch'] as const;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function round(server: TestServer, changedDate: number, options: object = {}): Promise<void> {
  await server.notifier.notify(
    'updated',
    OBJECTS.map((id) => ({ entity: 'Order', id, changedDate })),
    { notifier: PADDING, ...options },
  );
  await turn();
}

/** Notifies until a reader that does not read is blocked: then newer notifications replace older ones. */
async function fill(server: TestServer, options: object = {}): Promise<number> {
  for (let n = 1; n <= 200; n += 1) {
    await round(server, n, options);
    if (server.notifier.metrics().conflated > OBJECTS.length) return n;
  }
  throw new Error('the reader was never blocked');
}

const notifications = (stream: EventStream): SeenEvent[] => stream.events.filter(({ type }) => type === 'notification');

describe('a reader that does not read (row 56)', () => {
  const channels = OBJECTS.map((id) => `Order/${id}`);

  test('gets the newest of each object, ascending, once it reads; others are not affected', async () => {
    const server = await serve('Express 5');
    const [slow, fast] = [
      await server.listen({ user: 'ann' }, channels),
      await server.listen({ user: 'bob' }, channels),
    ];
    await Promise.all([slow.next('ready'), fast.next('ready')]);
    slow.pause();
    const rounds = await fill(server);
    const start = performance.now();
    await round(server, rounds + 1);
    await fast.until(({ data }) => data.changedDate === rounds + 1 && data.id === OBJECTS.at(-1));
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(notifications(fast)).toHaveLength((rounds + 1) * OBJECTS.length);

    slow.resume();
    await slow.until(({ data }) => data.changedDate === rounds + 1 && data.id === OBJECTS.at(-1));
    const seen = notifications(slow);
    expect(seen.length).toBeLessThan((rounds + 1) * OBJECTS.length);
    const newest = new Map(seen.map(({ data }) => [data.id, data.changedDate]));
    expect([...newest]).toEqual(OBJECTS.map((id) => [id, rounds + 1]));
    for (const [index, { id }] of seen.entries())
      if (index > 0) expect(comparePositions(id as Position, seen[index - 1]?.id as Position)).toBeGreaterThan(0);
    expect(slow.events.some(({ type }) => type === 'resync')).toBe(false);
  });

  test('row 65: is revoked meanwhile: what waits is purged, and reauthorise comes ahead of it', async () => {
    const server = await serve('Express 5');
    const stream = await server.listen({ user: 'ann' }, [...channels, 'Report/ann-1']);
    await stream.next('ready');
    stream.pause();
    const rounds = await fill(server);
    await round(server, rounds + 1);
    await server.notifier.notify('marker', { entity: 'Report', id: 'ann-1' });
    await server.notifier.revoke('ann', { entity: 'Order' });
    stream.resume();
    const told = await stream.next('reauthorise');
    expect(told.data.channels).toHaveLength(OBJECTS.length);
    await stream.until(({ data }) => data.action === 'marker');
    expect(stream.events.slice(stream.events.indexOf(told) + 1).map(({ data }) => data.entity)).toEqual(['Report']);
    expect(notifications(stream).some(({ data }) => data.changedDate === rounds + 1)).toBe(false);
  });

  test('row 15: more than twice what it may hold: exactly one resync', async () => {
    const server = await serve('Express 5');
    const stream = await server.listen({ user: 'ann' }, ['Order/marker']);
    await stream.next('ready');
    stream.pause();
    const to = { users: ['ann'] };
    await fill(server, { to });
    for (let n = 0; n < 5; n += 1) {
      await server.notifier.notify(
        'many',
        Array.from({ length: 1_000 }, (_, id) => ({ entity: 'Order', id: n * 1_000 + id })),
        { to },
      );
      await turn();
    }
    await server.notifier.notify('marker', { entity: 'Order', id: 'marker' });
    await turn();
    stream.resume();
    await stream.until(({ data }) => data.action === 'marker');
    expect(stream.events.filter(({ type }) => type === 'resync').map(({ data }) => data)).toEqual([{ channels: null }]);
    expect(notifications(stream).filter(({ data }) => data.action === 'many').length).toBeLessThan(5_000);
  });

  test.each(SINKS)('is cut when its socket took nothing for longer than the limit: %s', async (kind) => {
    const server = await serve(kind, { heartbeat: 30 });
    const stream = await server.listen({ user: 'ann' }, channels);
    const other = await server.listen({ user: 'bob' }, ['Order/marker']);
    await Promise.all([stream.next('ready'), other.next('ready')]);
    stream.pause();
    await fill(server);
    expect(server.notifier.metrics()).toMatchObject({ connections: 2, stalled: 0 });
    const real = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 31_000);
    await vi.waitFor(() => expect(server.notifier.metrics()).toMatchObject({ connections: 1, stalled: 1 }));
    await server.notifier.notify('marker', { entity: 'Order', id: 'marker' });
    await other.until(({ data }) => data.action === 'marker');
    stream.resume();
    // HTTP/2 resets the stream without an error, which its client takes for an end.
    expect(await stream.ended).toBe(kind === 'node:http2' ? 'ended' : 'cut');
  });

  test.each(SINKS)('does not keep close() from ending: %s', async (kind) => {
    const server = await serve(kind);
    const stream = await server.listen({ user: 'ann' }, channels);
    await stream.next('ready');
    stream.pause();
    await fill(server);
    await server.notifier.close();
    if (kind === 'node:http2') stream.resume(); // its session is the client's to close
    await new Promise((resolve) => server.server.close(resolve)); // ends when the last connection has
    expect(server.notifier.metrics().connections).toBe(0);
  });
});

test('row 57: 2,000 idle connections, of which half are killed: the gauge returns', async () => {
  const server = await serve('node:http', { heartbeat: 500 });
  const sockets: Socket[] = [];
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  async function connect(n: number): Promise<Socket> {
    const socket = createConnection(server.port, '127.0.0.1');
    sockets.push(socket);
    socket.write(`GET /notify-listen/stream?object=Order/${n % 10} HTTP/1.1\r\nHost: x\r\nx-user: user${n}\r\n\r\n`);
    await new Promise<void>((resolve, reject) => {
      let text = '';
      socket.on('error', reject);
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.includes('event: ready')) resolve();
      });
    });
    return socket;
  }
  for (let n = 0; n < 2_000; n += 100) await Promise.all(Array.from({ length: 100 }, (_, index) => connect(n + index)));
  // With its own user's channel each, and ten objects, and Order/* once.
  expect(server.notifier.metrics()).toMatchObject({ connections: 2_000, users: 2_000, channels: 2_011 });
  for (const socket of sockets.slice(0, 1_000)) socket.destroy();
  await vi.waitFor(() => expect(server.notifier.metrics()).toMatchObject({ connections: 1_000, channels: 1_011 }));
  const stream = await server.listen({ user: 'ann' }, ['Order/1']);
  await stream.next('ready');
  await server.notifier.notify('updated', { entity: 'Order', id: 1 });
  expect((await stream.next('notification')).data.spread).toBe(Math.round((101 / 30) * 1_000));
});

describe.each(SERVERS)('a client that leaves early: %s', (kind) => {
  test('while it is asked who it is: nothing is left of it', async () => {
    const asked: (() => void)[] = [];
    let arrived: () => void = () => {};
    const server = await serve(kind, {
      user: (request: { headers: Headers | Record<string, string> }) => {
        const user = request.headers instanceof Headers ? request.headers.get('x-user') : request.headers['x-user'];
        if (user !== 'slow') return user;
        return new Promise<string>((resolve) => {
          asked.push(() => resolve('slow'));
          arrived();
        });
      },
    });
    const gone: Promise<void>[] = [];
    server.server.on('connection', (socket) => {
      gone.push(new Promise((resolve) => socket.on('close', () => resolve())));
    });
    for (const request of [
      { path: '/stream?object=Order/1' },
      { path: '/stream', body: { protocol: 1, wait: 'stream', grants: [], channels: {}, own: null } },
      { path: '/stream', body: { protocol: 1, wait: 'poll', grants: [], channels: {}, own: null } },
    ]) {
      const came = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const leave = server.start(request.path, { user: 'slow', ...request });
      await came;
      leave();
    }
    await Promise.all(gone);
    for (const answer of asked) answer();
    const stream = await server.listen({ user: 'ann' }, []); // what was answered before has been opened by now
    await stream.next('ready');
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(1));
    expect(server.errors).toEqual([]);
  });

  test('while it polls: the connection is freed', async () => {
    const server = await serve(kind);
    const leave = server.start('/stream', {
      user: 'ann',
      body: { protocol: 1, wait: 'poll', grants: [], channels: {}, own: null },
    });
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(1));
    leave();
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(0));
  });
});

describe('long poll', () => {
  const body = { protocol: 1, wait: 'poll', grants: [], channels: {}, own: null };

  test('without news it answers after 25 s, with the position up to which there was none', async () => {
    const server = await serve('Express 5', { heartbeat: 60_000 });
    await server.notifier.position();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const polled = server.ask('/stream', { user: 'ann', body });
    while (server.notifier.metrics().connections === 0) await turn();
    vi.advanceTimersByTime(24_999);
    expect(server.notifier.metrics().connections).toBe(1);
    vi.advanceTimersByTime(1);
    const { events } = (await polled).json<{ events: object[] }>();
    const position = await server.notifier.position();
    expect(events).toMatchObject([{ type: 'hello' }, { type: 'ready' }, { type: 'heartbeat', position, spread: 0 }]);
  });

  test('a heartbeat to everybody does not end it: all pollers would come back in the same moment', async () => {
    const server = await serve('Express 5', { heartbeat: 100 });
    const other = await server.listen({ user: 'bob' }, []);
    const polled = server.ask('/stream', { user: 'ann', body });
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(2));
    for (let beats = 0; beats < 3; beats += 1) await other.next('heartbeat');
    await server.notifier.notify('updated', { entity: 'Order', id: 1 }, { to: { users: ['ann'] } });
    const { events } = (await polled).json<{ events: { type: string }[] }>();
    expect(events.map(({ type }) => type)).toEqual(['hello', 'ready', 'notification']);
  });
});
