/** Links as networks make them: idle cuts, half-open connections, two pages of one person. Real HTTP, real sockets. */
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { createListenClient, type ListenClient, type ListenClientOptions, type Refresh } from 'notify-listen/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { serve } from '../../kit/server.js';

const WAIT = { interval: 5 };
const ORDER = { entity: 'Order', id: '1' };

function connect(url: string, options: ListenClientOptions = {}): ListenClient {
  const client = createListenClient({ url, headers: { 'x-user': 'ann' }, onError: () => {}, ...options });
  onTestFinished(() => client.close());
  return client;
}

interface Proxy {
  readonly url: string;
  /** How many connections were cut for being idle. */
  cuts(): number;
  /** Goes on accepting bytes and passes none on: what a vanished network looks like. */
  swallow: boolean;
}

/** A TCP proxy that cuts a connection on which nothing came from the server for `idle` milliseconds. */
async function proxyTo(target: string, idle: number): Promise<Proxy> {
  const { hostname, port, pathname } = new URL(target);
  const sockets = new Set<Socket>();
  let cut = 0;
  const server = createServer((near) => {
    const far = dial(Number(port), hostname);
    const ends = [near, far];
    for (const end of ends) {
      sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        for (const other of ends) other.destroy();
      });
    }
    let timer: NodeJS.Timeout | undefined;
    const restart = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        cut += 1;
        near.destroy();
      }, idle);
    };
    far.on('data', (bytes) => {
      if (proxy.swallow) return;
      restart();
      near.write(bytes);
    });
    near.on('data', (bytes) => {
      if (!proxy.swallow) far.write(bytes);
    });
    near.on('close', () => clearTimeout(timer));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const proxy: Proxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    cuts: () => cut,
    swallow: false,
  };
  return proxy;
}

test('row 45: heartbeats keep an idle stream open through a proxy that cuts what is quiet', async () => {
  const server = await serve('node:http', { heartbeat: 100 });
  const proxy = await proxyTo(server.url, 400);
  const client = connect(proxy.url);
  const runs: Refresh[] = [];
  await client.listen(ORDER, { '*': (refresh) => runs.push(refresh) }, { loadedAt: Date.now() }).ready;
  const stream = server.notifier.metrics().connections;
  // The connections of /config and /auth are idle and are cut; their cut is the proof that the proxy does it.
  await vi.waitFor(() => expect(proxy.cuts()).toBeGreaterThan(0), WAIT);
  await new Promise((done) => setTimeout(done, 1_000));
  expect(client.status().state).toBe('connected');
  expect(server.notifier.metrics().connections).toBe(stream);
  await server.notifier.notify('updated', ORDER);
  await vi.waitFor(() => expect(runs.some(({ reason }) => reason === 'notification')).toBe(true), WAIT);
});

test('row 46: a half-open connection is noticed in bounded time, and what was missed meanwhile is caught up', async () => {
  const server = await serve('node:http', { heartbeat: 100 });
  const proxy = await proxyTo(server.url, 60_000);
  const runs: Refresh[] = [];
  // The watchdog allows 2 heartbeats and 5 s: time runs ten times as fast for it, for its timers and its clocks.
  const began = performance.now();
  const fast = (): number => began + (performance.now() - began) * 10;
  const client = connect(proxy.url, {
    world: {
      monotonic: fast,
      now: () => performance.timeOrigin + fast(),
      setTimeout: (run, ms) => setTimeout(run, ms / 10),
    },
  });
  await client.listen(ORDER, { updated: (refresh) => runs.push(refresh) }).ready;
  await vi.waitFor(() => expect(client.status().state).toBe('connected'), WAIT);
  const heard = () => runs.filter(({ reason }) => reason === 'notification').length;
  proxy.swallow = true;
  await server.notifier.notify('updated', ORDER);
  await vi.waitFor(() => expect(client.status().state).toBe('reconnecting'), WAIT);
  expect(heard()).toBe(0);
  proxy.swallow = false;
  await vi.waitFor(() => expect(heard()).toBe(1), WAIT);
  expect(client.status().state).toBe('connected');
});

test('row 43: two pages of one person and one login session stay connected side by side, neither ousts the other', async () => {
  const server = await serve('node:http');
  const pages = [0, 1].map(() => ({
    client: connect(server.url, { headers: { 'x-user': 'ann', 'x-session': 'one' } }),
    runs: [] as Refresh[],
    states: [] as string[],
  }));
  for (const page of pages) {
    await page.client.listen(ORDER, { updated: (refresh) => page.runs.push(refresh) }, { loadedAt: Date.now() }).ready;
    page.client.onStatus(() => page.states.push(page.client.status().state));
  }
  for (let round = 1; round <= 3; round++) {
    await server.notifier.notify('updated', ORDER);
    for (const { runs } of pages) {
      await vi.waitFor(() => expect(runs.filter(({ reason }) => reason === 'notification')).toHaveLength(round), WAIT);
    }
  }
  expect(pages.map(({ states }) => states)).toEqual([[], []]);
  expect(server.notifier.metrics().connections).toBe(2);
});

test('row 64: the refresh reads with the rights of the listener: what travels holds nothing to show', async () => {
  const server = await serve('node:http');
  const order = { number: 1, price: 100 };
  // The application's own API: who may see the price is decided there, for each reader.
  const read = (user: string) => (user === 'ann' ? order : { number: order.number });
  const shown = new Map<string, object>();
  for (const user of ['ann', 'bob']) {
    const client = connect(server.url, { headers: { 'x-user': user } });
    const run = ({ notification }: Refresh): void => {
      expect(JSON.stringify(notification ?? {})).not.toContain('250');
      shown.set(user, read(user));
    };
    await client.listen(ORDER, { updated: run }, { loadedAt: Date.now() }).ready;
  }
  order.price = 250;
  await server.notifier.notify('updated', ORDER);
  await vi.waitFor(
    () => expect(Object.fromEntries(shown)).toEqual({ ann: { number: 1, price: 250 }, bob: { number: 1 } }),
    WAIT,
  );
});
