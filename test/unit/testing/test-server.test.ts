/** The test double: what its hands do, beside what the adapter's contract proves of it. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type AuthAnswer, CAUSE_HEADER, type ConfigAnswer, type StreamAnswer } from '../../../adapters/protocol.js';
import { createTestServer, type TestServer } from '../../../adapters/testing/index.js';
import { createListenClient, type ListenClient, type ListenClientOptions } from '../../../widget/client/index.js';

const ORDER = { entity: 'Order', id: 42 } as const;
const CHANNEL = 'Order/42';
const clients: ListenClient[] = [];

function open(options: ListenClientOptions): ListenClient {
  const client = createListenClient({ onError: () => {}, ...options });
  clients.push(client);
  return client;
}

afterEach(() => {
  vi.unstubAllGlobals();
  for (const client of clients.splice(0)) client.close();
});

/** A request as a page makes it, without a client. */
async function ask(server: TestServer, route: string, body?: object): Promise<Response> {
  const fetch = server.options().world?.fetch as NonNullable<NonNullable<ListenClientOptions['world']>['fetch']>;
  return fetch(
    `/notify-listen/${route}`,
    body ? { method: 'POST', body: JSON.stringify({ protocol: 1, ...body }) } : {},
  );
}

async function grantFor(server: TestServer, ...objects: { entity: string; id: string }[]): Promise<string> {
  const answer = (await (await ask(server, 'auth', { objects })).json()) as AuthAnswer;
  return answer.grant as string;
}

describe('the routes', () => {
  test('config tells who is asking, and the adapter', async () => {
    const config = (await (await ask(createTestServer({ user: 'ann' }), 'config')).json()) as ConfigAnswer;
    expect(config).toMatchObject({ protocol: 1, provider: 'sse', user: 'user-ann' });
    expect(config.epoch).toMatch(/^[0-9a-f]{16}$/);
  });

  test('auth answers in the order of the objects', async () => {
    const server = createTestServer();
    server.refuse({ entity: 'Order', id: 2 });
    const objects = [1, 2, 3].map((id) => ({ entity: 'Order', id: String(id) }));
    const answer = (await (await ask(server, 'auth', { objects })).json()) as AuthAnswer;
    expect(answer.results).toEqual(['granted', 'refused', 'granted']);
    const none = (await (await ask(server, 'auth', { objects: [objects[1]] })).json()) as AuthAnswer;
    expect(none.results).toEqual(['refused']);
    expect(none).not.toHaveProperty('grant');
  });

  test('a catch-up read answers at once what came after a position', async () => {
    const server = createTestServer();
    const before = await server.position();
    const grants = [await grantFor(server, { entity: 'Order', id: '42' })];
    await server.notify('shipped', ORDER);
    const answer = await ask(server, 'stream', { wait: 'once', grants, channels: { [CHANNEL]: before }, own: null });
    const { events } = (await answer.json()) as StreamAnswer;
    expect(events.map(({ type }) => type)).toEqual(['hello', 'notification', 'ready']);
  });

  test('a long poll waits for news', async () => {
    const server = createTestServer();
    const grants = [await grantFor(server, { entity: 'Order', id: '42' })];
    const polled = ask(server, 'stream', { wait: 'poll', grants, channels: { [CHANNEL]: null }, own: null });
    await vi.waitFor(() => expect(server.listening()).toEqual([{ entity: 'Order', id: '42' }]));
    await server.notify('shipped', ORDER);
    const { events } = (await (await polled).json()) as StreamAnswer;
    expect(events.map(({ type }) => type)).toEqual(['hello', 'ready', 'notification']);
    expect(server.listening()).toEqual([]);
  });

  test('a grant of somebody else, or none, covers nothing', async () => {
    const server = createTestServer({ user: 'ann' });
    const grants = [await grantFor(server, { entity: 'Order', id: '42' }), 'grant-forged'];
    server.login('bob');
    const answer = await ask(server, 'stream', { wait: 'once', grants, channels: { [CHANNEL]: null }, own: null });
    expect(((await answer.json()) as StreamAnswer).events[1]).toEqual({ type: 'reauthorise', channels: [CHANNEL] });
  });

  test('a route that is none is 404; an address of somebody else goes to the page’s own fetch', async () => {
    const server = createTestServer();
    expect((await ask(server, 'nothing')).status).toBe(404);
    const own = vi.fn(async () => new Response('mine'));
    vi.stubGlobal('fetch', own);
    const { world } = server.options();
    for (const address of ['/api/orders', '/notify-listening', 'http://other.example/notify-listen/config']) {
      expect(await (await world?.fetch?.(address, {}))?.text()).toBe('mine');
    }
    expect(own).toHaveBeenCalledTimes(3);
    expect(server.requests).toEqual([]);
  });

  test('another base, as a path or as an address', async () => {
    for (const url of ['/live/', 'https://api.example/live']) {
      const server = createTestServer({ url });
      const listening = open(server.options()).listen(ORDER, { '*': () => {} });
      await listening.ready;
      expect(server.listening()).toEqual([{ entity: 'Order', id: '42' }]);
    }
  });

  test('disconnected, a request is no answer at all; logged out, it is 401', async () => {
    const server = createTestServer();
    server.disconnect();
    await expect(ask(server, 'config')).rejects.toThrow(TypeError);
    server.connect();
    server.logout();
    expect((await ask(server, 'config')).status).toBe(401);
    expect(await (await ask(server, 'config')).json()).toMatchObject({ error: { code: 'unauthenticated' } });
    server.login();
    expect((await ask(server, 'config')).status).toBe(200);
  });

  test('a request that was given up is not answered', async () => {
    const { world } = createTestServer().options();
    const life = new AbortController();
    life.abort();
    await expect(world?.fetch?.('/notify-listen/config', { signal: life.signal })).rejects.toThrow();
  });
});

describe.each(['sse', 'memory'] as const)('pages through %s', (adapter) => {
  test('via tells how', async () => {
    const client = open(createTestServer({ adapter }).options());
    await client.listen(ORDER, { '*': () => {} }).ready;
    expect(client.status()).toMatchObject({ state: 'connected', via: adapter, degraded: false });
  });

  test('disconnected from the start, a page connects when it can', async () => {
    const server = createTestServer({ adapter });
    server.disconnect();
    const client = open({ ...server.options(), world: { ...server.options().world, random: () => 0.1 } });
    const { ready } = client.listen(ORDER, { '*': () => {} });
    await vi.waitFor(() => expect(client.status().state).toBe('reconnecting'));
    server.connect();
    await ready;
  });

  test('another user after a login: nothing of the former one is left', async () => {
    const server = createTestServer({ adapter, user: 'ann' });
    server.refuse(ORDER, 'bob');
    const client = open({ ...server.options(), onUnauthenticated: () => server.login('bob') });
    const listening = client.listen(ORDER, { '*': () => {} });
    await listening.ready;
    server.logout();
    await vi.waitFor(() => expect(listening.error?.code).toBe('refused'));
    expect(server.listening()).toEqual([]);
  });

  test('a listener that gives nothing but its load refreshes only for what came later', async () => {
    const server = createTestServer({ adapter });
    const runs: unknown[] = [];
    await open(server.options()).listen(ORDER, { '*': (refresh) => runs.push(refresh.reason) }).ready;
    await server.notify('shipped', ORDER);
    await vi.waitFor(() => expect(runs).toEqual(['notification']));
  });

  test('gap names objects; others do not refresh', async () => {
    const server = createTestServer({ adapter });
    const client = open(server.options());
    const runs: string[] = [];
    const one = client.listen(ORDER, { '*': () => runs.push('42') });
    const other = client.listen({ entity: 'Order', id: 43 }, { '*': () => runs.push('43') });
    await Promise.all([one.ready, other.ready]);
    await server.gap([ORDER]);
    await server.notify('shipped', { entity: 'Order', id: 43 });
    await vi.waitFor(() => expect(runs).toEqual(['42', '43']));
  });

  test('close says goodbye: pages come back later', async () => {
    const server = createTestServer({ adapter });
    const client = open(server.options());
    await client.listen(ORDER, { '*': () => {} }).ready;
    await server.close();
    await vi.waitFor(() => expect(client.status().state).not.toBe('connected'));
  });
});

describe('own changes', () => {
  test('an echo is recognised by the request that the fake API got', async () => {
    const server = createTestServer({ url: 'http://app.example/notify-listen' });
    vi.stubGlobal('fetch', async (input: string, init: RequestInit) => {
      const request = new Request(input, init);
      expect(request.headers.get(CAUSE_HEADER)).toMatch(/^[0-9a-f]{32}$/);
      await server.notify('updated', ORDER, { request });
      return new Response('{}');
    });
    const traces: string[] = [];
    const client = open({ ...server.options(), onTrace: ({ fate }) => traces.push(fate) });
    await client.listen(ORDER, { '*': () => {} }, { ignoreOwn: true }).ready;
    await client.fetch('http://app.example/api/orders/42', { method: 'PUT' });
    await vi.waitFor(() => expect(traces).toEqual(['own']));
    await server.notify('updated', ORDER);
    await vi.waitFor(() => expect(traces).toEqual(['own', 'queued', 'ran']));
  });
});

test('notify has the server’s own checks', async () => {
  const server = createTestServer();
  await expect(server.notify('*', ORDER)).rejects.toThrow(/^action: /);
  await expect(server.notify('shipped', { entity: 'Order', id: undefined } as never)).rejects.toThrow(/^object\.id: /);
  await expect(server.notify('shipped', ORDER, { detail: 'x'.repeat(2_000) })).rejects.toThrow(/^detail: /);
  expect(() => server.refuse({ entity: '' })).toThrow(/entity/);
});
