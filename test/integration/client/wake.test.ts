/** A page that was hidden, left, or asleep while its connection died: real sockets, no event that tells. */
import { createListenClient, type Refresh } from 'notify-listen/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { faultProxy } from '../../kit/fault-proxy.js';
import { pacedWorld } from '../../kit/paced.js';
import { serve } from '../../kit/server.js';
import { createTestLifecycle } from '../../kit/world.js';

const WAIT = { timeout: 10_000, interval: 5 };
const ORDER = { entity: 'Order', id: '1' };

async function desk() {
  const server = await serve('node:http');
  const proxy = await faultProxy({ target: server.port });
  onTestFinished(proxy.close);
  const lifecycle = createTestLifecycle();
  const world = pacedWorld();
  const runs: Refresh[] = [];
  // A server that has just started does not know what was before it, and says so by a refresh.
  const hear = (refresh: Refresh): unknown => refresh.reason === 'load' || runs.push(refresh);
  const client = createListenClient({
    url: `${proxy.url}/notify-listen`,
    headers: { 'x-user': 'ann' },
    onError: () => {},
    lifecycle,
    world,
  });
  onTestFinished(() => client.close());
  const listening = client.listen(ORDER, { '*': hear }, { loadedAt: Date.now() });
  await listening.ready;
  const connections = () => server.notifier.metrics().connections;
  const hears = (...actions: string[]) =>
    vi.waitFor(() => expect(runs.map(({ notification }) => notification?.action)).toEqual(actions), WAIT);
  return { server, proxy, lifecycle, world, runs, client, connections, hears };
}

test.each(['show', 'wake'] as const)(
  'a socket that died without an event: on %s it is asked at once, beside it, and what was missed comes',
  async (event) => {
    const { server, proxy, lifecycle, world, runs, client, hears, connections } = await desk();
    lifecycle.hide();
    proxy.set('both', { stall: 'swallow' });
    await server.notifier.notify('shipped', ORDER);
    // Its bytes are lost; and the connection stays half-open for good.
    await vi.waitFor(() => expect(server.notifier.metrics().connections).toBe(1), WAIT);
    proxy.set('both', {});
    expect(runs).toEqual([]);
    expect(client.status().state).toBe('connected');
    // Long enough for the link to be doubted, too short for the watchdog.
    world.skip(10_000);
    const states: string[] = [];
    client.onStatus(() => states.push(client.status().state));
    lifecycle[event]();
    if (event === 'wake') lifecycle.show();
    await hears('shipped');
    expect(states).toEqual([]);
    await server.notifier.notify('delivered', ORDER);
    await hears('shipped', 'delivered');
    expect(connections()).toBeGreaterThan(0);
  },
);

test('a page in the back/forward cache holds no connection, and reads on from its position', async () => {
  const { server, lifecycle, hears, connections, runs } = await desk();
  await server.notifier.notify('packed', ORDER);
  await hears('packed');
  lifecycle.hide();
  lifecycle.leave();
  await vi.waitFor(() => expect(connections()).toBe(0), WAIT);
  await server.notifier.notify('shipped', ORDER);
  lifecycle.wake();
  lifecycle.show();
  await hears('packed', 'shipped');
  await vi.waitFor(() => expect(connections()).toBe(1), WAIT);
  expect(runs.every(({ reason }) => reason === 'notification')).toBe(true);
});
