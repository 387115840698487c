/**
 * Readers that are slow, stuck or gone without a word, in front of a real server: what the server holds for one of them is
 * bounded, it is dropped within a stated time, and the others do not notice. More of it, with clients that stop reading,
 * is in test/integration/connections.test.ts.
 */
import type { Socket } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type FaultProxy, faultProxy } from '../kit/fault-proxy.js';
import { type ServeOptions, serve, type TestServer } from '../kit/server.js';
import { AT_ONCE, connected, SOON, watch } from './desk.js';

const OBJECTS = 300;
const PADDING = 'x'.repeat(700);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface House {
  readonly server: TestServer;
  /** In front of the reader in question only. */
  readonly proxy: FaultProxy;
  /** Bytes that wait in the process for any one socket. */
  waiting(): number;
  /** Connections on which something was asked. */
  sockets(): number;
}

async function house(options: ServeOptions = {}): Promise<House> {
  const server = await serve('node:http', options);
  const sockets = new Set<Socket>();
  server.server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const proxy = await faultProxy({ target: server.port });
  onTestFinished(proxy.close);
  return {
    server,
    proxy,
    waiting: () => Math.max(0, ...[...sockets].map(({ writableLength }) => writableLength)),
    sockets: () => [...sockets].filter(({ bytesRead }) => bytesRead > 0).length,
  };
}

/** Changes every object until the slow reader has fallen far behind; tells how often, and the most that waited for it. */
async function storm({ server, waiting }: House): Promise<readonly [rounds: number, most: number]> {
  let most = 0;
  for (let n = 1; n <= 500; n += 1) {
    const objects = Array.from({ length: OBJECTS }, (_, id) => ({ entity: 'Order', id, changedDate: n }));
    await server.notifier.notify('updated', objects, { notifier: PADDING });
    await turn();
    most = Math.max(most, waiting());
    if (server.notifier.metrics().conflated > 3 * OBJECTS) return [n, most];
  }
  throw new Error('the reader was never blocked');
}

/** Frames of one round for one reader: what may wait for it, and be written at once when it reads again. */
const ROUND = OBJECTS * (PADDING.length + 300);

test.each([
  ['drips', { drip: { bytes: 2_000, every: 20 } }],
  ['is stuck', { stall: 'hold' }],
] as const)(
  'a reader that %s costs a bounded number of bytes; another one gets everything at once',
  async (_how, faults) => {
    const desk = await house();
    const channels = Array.from({ length: OBJECTS }, (_, id) => `Order/${id}`);
    const slow = watch(desk.proxy.url, 0);
    for (let id = 1; id < OBJECTS; id += 1) slow.client.listen({ entity: 'Order', id }, { '*': () => {} });
    await connected(slow, 'sse');
    const fast = await desk.server.listen({ user: 'bob' }, channels);
    await fast.next('ready');
    desk.proxy.set('down', faults);
    const [rounds, most] = await storm(desk);
    // Two rounds: one that was written as the socket filled up, one written when it had drained.
    expect(most).toBeLessThan(2 * ROUND);
    await fast.until(({ data }) => data.changedDate === rounds && data.id === String(OBJECTS - 1));
    await desk.server.notifier.notify('marker', { entity: 'Order', id: 1 });
    const begun = performance.now();
    await fast.until(({ data }) => data.action === 'marker');
    expect(performance.now() - begun).toBeLessThan(AT_ONCE);
  },
  40_000,
);

test('a half-open reader is dropped when its grants end, and its connection soon after', async () => {
  const grantLife = 3_000;
  const desk = await house({ grantLife });
  const { metrics } = desk.server.notifier;
  const other = watch(desk.server.url.replace('/notify-listen', ''), 2, { headers: { 'x-user': 'bob' } });
  await connected(other, 'sse');
  const gone = watch(desk.proxy.url, 1);
  await connected(gone, 'sse');
  await vi.waitFor(() => expect(metrics()).toMatchObject({ users: 2, connections: 2 }), SOON);
  desk.proxy.set('both', { stall: 'swallow' });
  gone.client.close();
  // Nobody tells the server. It keeps the stream no longer than a grant lives, which is at most 5 min unless set.
  await vi.waitFor(() => expect(metrics()).toMatchObject({ users: 1, connections: 1 }), { timeout: grantLife + 5_000 });
  expect(other.losses()).toBe(0);
  other.client.close();
  // Node's own limit for an idle connection, `keepAliveTimeout`, is 5 s.
  await vi.waitFor(() => expect(desk.sockets()).toBe(0), SOON);
});
