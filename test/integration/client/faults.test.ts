/** Between a page and its server: filters, portals, gateways, redirects. Real HTTP, real sockets, the real server. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createListenClient, type ListenClient, type ListenClientOptions, type Refresh } from 'notify-listen/client';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CANNED } from '../../kit/canned.js';
import { faultProxy } from '../../kit/fault-proxy.js';
import { pacedWorld } from '../../kit/paced.js';
import { serve, type TestServer } from '../../kit/server.js';

const WAIT = { timeout: 10_000, interval: 5 };
const ORDER = { entity: 'Order', id: '1' };

interface Desk {
  readonly client: ListenClient;
  readonly runs: Refresh[];
  readonly errors: unknown[];
  /** Waits until a notification has come that carries this action. */
  hears(action: string): Promise<void>;
  is(state: string): Promise<void>;
}

function listen(url: string, options: ListenClientOptions = {}): Desk {
  const runs: Refresh[] = [];
  const errors: unknown[] = [];
  const client = createListenClient({
    url,
    headers: { 'x-user': 'ann' },
    onError: (error) => errors.push(error),
    world: pacedWorld(),
    ...options,
  });
  onTestFinished(() => client.close());
  // A server that has just started does not know what was before it, and says so by a refresh.
  const hear = (refresh: Refresh): unknown => refresh.reason === 'load' || runs.push(refresh);
  client.listen(ORDER, [{ on: '*', run: hear, window: 0 }], { loadedAt: Date.now() });
  return {
    client,
    runs,
    errors,
    hears: (action) =>
      vi.waitFor(() => expect(runs.map(({ notification }) => notification?.action)).toContain(action), WAIT),
    is: (state) => vi.waitFor(() => expect(client.status().state).toBe(state), WAIT),
  };
}

/** What the front does with a request; `pass` hands it to the server. */
type Rule = (request: IncomingMessage, response: ServerResponse, pass: () => void) => void;

interface Front {
  readonly url: string;
  rule: Rule;
  /** How each request waits for its answer: `stream`, `poll`, `once`, or the route. */
  readonly asked: string[];
  /** Streams get neither their head nor a byte. */
  held: boolean;
  cut(): void;
}

/** A gateway that speaks HTTP, in front of the server. It passes on what is written at once, unless it holds streams. */
async function front(server: TestServer): Promise<Front> {
  const gateway = createServer(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const route = new URL(incoming.url ?? '/', 'http://front').pathname.split('/').at(-1) as string;
    // A redirect may have taken the body away.
    state.asked.push(
      route === 'stream' && body.length > 0 ? (JSON.parse(body.toString()) as { wait: string }).wait : route,
    );
    const pass = (): void => {
      const { method, url, headers } = incoming;
      const onward = request({ port: server.port, host: '127.0.0.1', method, path: url, headers }, (answer) => {
        const holds = state.held && answer.headers['content-type']?.startsWith('text/event-stream');
        response.on('close', () => onward.destroy());
        if (!holds) {
          response.writeHead(answer.statusCode ?? 500, answer.headers);
          response.flushHeaders();
          answer.pipe(response);
        } else answer.resume();
      });
      onward.on('error', () => response.destroy());
      onward.end(body);
    };
    state.rule(incoming, response, pass);
  });
  await new Promise<void>((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    gateway.closeAllConnections();
    gateway.close();
  });
  const state: Front = {
    url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}/notify-listen`,
    rule: (_request, _response, pass) => pass(),
    asked: [],
    held: false,
    cut: () => gateway.closeAllConnections(),
  };
  return state;
}

const html = (response: ServerResponse, status: number, text: string): void => {
  response.writeHead(status, { 'content-type': 'text/html' }).end(text);
};

describe('row 52: what does not let streams through', () => {
  test('a proxy that holds them: long polls, each notification at once, and a stream again when it lets go', async () => {
    const server = await serve('node:http');
    const gateway = await front(server);
    gateway.held = true;
    const world = pacedWorld(10);
    const desk = listen(gateway.url, { world });
    await vi.waitFor(() => expect(desk.client.status()).toMatchObject({ via: 'poll', degraded: true }), WAIT);
    world.pace = 1;
    for (const action of ['packed', 'shipped']) {
      await server.notifier.notify(action, ORDER);
      await desk.hears(action);
    }
    gateway.held = false;
    world.skip(90_000);
    await server.notifier.notify('delivered', ORDER);
    await vi.waitFor(
      () => expect(desk.client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false }),
      WAIT,
    );
    await server.notifier.notify('returned', ORDER);
    await desk.hears('returned');
    // Each once, in their order, over two ways and the change between them.
    expect(desk.runs.map(({ notification }) => notification?.action)).toEqual([
      'packed',
      'shipped',
      'delivered',
      'returned',
    ]);
    expect(desk.errors).toEqual([]);
  });

  test.each<[string, Rule]>([
    ['a filter that refuses them with a page of its own', (_request, response) => html(response, 403, 'Blocked')],
    ['a filter that answers 200 and HTML', (_request, response) => html(response, 200, 'Blocked')],
    ['a filter that cuts them', (incoming) => incoming.socket.destroy()],
  ])('%s: long polls, and no stream that is tried in a loop', async (_name, block) => {
    const server = await serve('node:http');
    const gateway = await front(server);
    gateway.rule = (incoming, response, pass) => {
      if (gateway.asked.at(-1) === 'stream') block(incoming, response, pass);
      else pass();
    };
    const desk = listen(gateway.url);
    await vi.waitFor(() => expect(desk.client.status().via).toBe('poll'), WAIT);
    await server.notifier.notify('shipped', ORDER);
    await desk.hears('shipped');
    expect(gateway.asked.filter((wait) => wait === 'stream')).toHaveLength(4);
  });

  test('while streams carry, nobody polls', async () => {
    const server = await serve('node:http');
    const gateway = await front(server);
    const desk = listen(gateway.url);
    for (const action of ['packed', 'shipped', 'delivered']) {
      await desk.is('connected');
      await server.notifier.notify(action, ORDER);
      await desk.hears(action);
    }
    expect([...gateway.asked].sort()).toEqual(['auth', 'config', 'stream']);
  });
});

describe('answers that are not ours', () => {
  test.each([301, 302, 303, 307, 308])(
    '%i to a login page of this site: a fault, and no request for a login',
    async (status) => {
      const server = await serve('node:http');
      const gateway = await front(server);
      let logins = 0;
      const toLogin: Rule = (incoming, response) => {
        if (incoming.url === '/login') html(response, 200, 'Please log in');
        else response.writeHead(status, { location: '/login' }).end();
      };
      const desk = listen(gateway.url, {
        onUnauthenticated: () => {
          logins += 1;
        },
      });
      await desk.is('connected');
      // A redirected request for a stream has no body that could be read.
      gateway.asked.push = (...asked) => asked.length;
      gateway.rule = toLogin;
      gateway.cut();
      await desk.is('reconnecting');
      await server.notifier.notify('shipped', ORDER);
      await vi.waitFor(() => expect(desk.client.status().error?.code).toBe('protocol'), WAIT);
      gateway.rule = (_request, _response, pass) => pass();
      await desk.hears('shipped');
      expect(logins).toBe(0);
    },
  );

  test.each(Object.entries(CANNED))(
    '%s, until it is over: what happened meanwhile comes then',
    async (_name, canned) => {
      const server = await serve('node:http');
      const proxy = await faultProxy({ target: server.port });
      onTestFinished(proxy.close);
      const desk = listen(`${proxy.url}/notify-listen`);
      await desk.is('connected');
      await proxy.door({ answer: canned });
      proxy.cut('rst');
      await desk.is('reconnecting');
      await server.notifier.notify('shipped', ORDER);
      const { accepted } = proxy.counts();
      await vi.waitFor(() => expect(proxy.counts().accepted).toBeGreaterThan(accepted + 2), WAIT);
      expect(desk.client.status()).toMatchObject({ state: 'reconnecting', error: { code: expect.any(String) } });
      await proxy.heal();
      await desk.hears('shipped');
      await desk.is('connected');
    },
  );

  test('a portal that answers everything from the start, and goes away', async () => {
    const server = await serve('node:http');
    const proxy = await faultProxy({ target: server.port });
    onTestFinished(proxy.close);
    await proxy.door({ answer: CANNED.login });
    const desk = listen(`${proxy.url}/notify-listen`);
    await vi.waitFor(() => expect(desk.errors.length).toBeGreaterThan(0), WAIT);
    expect(desk.client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'protocol' } });
    await proxy.heal();
    await desk.is('connected');
    await server.notifier.notify('shipped', ORDER);
    await desk.hears('shipped');
  });

  test.each(['gzip', 'br'])('a body that is not %s, although its head says so', async (encoding) => {
    const server = await serve('node:http');
    const gateway = await front(server);
    gateway.rule = (_request, response) => {
      response.writeHead(200, { 'content-encoding': encoding, 'content-type': 'application/json' }).end('{"a":1}');
    };
    const desk = listen(gateway.url);
    await desk.is('reconnecting');
    gateway.rule = (_request, _response, pass) => pass();
    await desk.is('connected');
  });

  test('answers that never begin are given up in time', async () => {
    const server = await serve('node:http');
    const proxy = await faultProxy({ target: server.port });
    onTestFinished(proxy.close);
    await proxy.door('mute');
    const world = pacedWorld(20);
    const desk = listen(`${proxy.url}/notify-listen`, { world });
    await desk.is('reconnecting');
    expect(desk.client.status().error?.code).toBe('network');
    await proxy.heal();
    // What was accepted before stays mute, and Node's fetch may have another such connection in reserve.
    proxy.cut('rst');
    world.pace = 1;
    await desk.is('connected');
  });
});

describe('connections that do not last', () => {
  test.each([
    ['that cuts each one after a while', { life: 250 }, {}],
    ['that passes one byte at a time', {}, { split: 1 }],
  ])('a proxy %s: nothing is lost, nothing comes twice', async (_name, options, faults) => {
    const server = await serve('node:http');
    const proxy = await faultProxy({ target: server.port, ...options });
    onTestFinished(proxy.close);
    proxy.set('both', faults);
    const desk = listen(`${proxy.url}/notify-listen`);
    await desk.is('connected');
    for (let count = 0; count < 20; count++) {
      await server.notifier.notify(`step-${count}`, ORDER);
      await desk.hears(`step-${count}`);
    }
    expect(desk.runs.map(({ notification }) => notification?.action)).toEqual(
      Array.from({ length: 20 }, (_, count) => `step-${count}`),
    );
  });
});
