/** What proxies, portals and broken servers answer: retried, told, never fatal, and over as soon as the fault is. */
import { expect, test } from 'vitest';
import { MAX_TEXT } from '../../../adapters/body.js';
import { createBench, fateOf } from '../../kit/client.js';
import { errorAnswer } from '../../kit/scripted-server.js';
import type { TestWorld } from '../../kit/world.js';

const order = { entity: 'Order', id: 42 };
const fresh = (world: { now(): number }) => ({ loadedAt: world.now() });
const LOGIN = '<!doctype html><title>Please log in</title>';
const html = (status: number, headers: Record<string, string> = {}) =>
  new Response(LOGIN, { status, headers: { 'content-type': 'text/html', ...headers } });
/** A body that fails where it cannot be decoded. */
const undecodable = (type: string) =>
  new Response(
    new ReadableStream({
      pull(controller) {
        controller.error(new TypeError('net::ERR_CONTENT_DECODING_FAILED'));
      },
    }),
    { headers: { 'content-type': type } },
  );
const rejects = () => Promise.reject(new TypeError('Failed to fetch'));

type Answer = () => Response | Promise<Response>;

/** Answers by `fault` for as long as it is set, whatever the route. */
function breakNetwork(world: TestWorld, fault: Answer): { over(): void; readonly asked: number } {
  const { network } = world;
  let asked = 0;
  world.network = async () => {
    asked += 1;
    return fault();
  };
  return {
    over() {
      world.network = network;
    },
    get asked() {
      return asked;
    },
  };
}

test.each<[string, Answer, string]>([
  ['a login page with 200', () => html(200), 'protocol'],
  ['an empty 200', () => new Response(null), 'protocol'],
  ['204', () => new Response(null, { status: 204 }), 'protocol'],
  ['bad JSON', () => new Response('{"events": nothing}'), 'protocol'],
  ['half a JSON', () => new Response('{"protocol":1,"epoch":"e1","hear'), 'protocol'],
  ['JSON of something else', () => Response.json({ ok: true }), 'protocol'],
  ['JSON null', () => Response.json(null), 'protocol'],
  ['a list', () => Response.json([]), 'protocol'],
  [
    'the wrong content type',
    () => new Response('event: hello', { headers: { 'content-type': 'text/plain' } }),
    'protocol',
  ],
  ['a body that cannot be decoded', () => undecodable('application/json'), 'protocol'],
  ['400 with HTML', () => html(400), 'protocol'],
  ["401 of a proxy, which is no word of the server's on the login", () => html(401), 'protocol'],
  ['401 with an empty body', () => new Response(null, { status: 401 }), 'protocol'],
  ["403 of a firewall, which is no word of the server's on the right", () => html(403), 'protocol'],
  ['403 with a number for a code', () => Response.json({ error: { code: 403 } }, { status: 403 }), 'protocol'],
  ['403 with a text for an error', () => Response.json({ error: 'forbidden' }, { status: 403 }), 'protocol'],
  ['404', () => html(404), 'protocol'],
  ['408', () => html(408), 'protocol'],
  ['413', () => html(413), 'protocol'],
  ['413 of ours', () => errorAnswer(413, 'too-large'), 'too-large'],
  ['429', () => html(429), 'protocol'],
  ['431', () => html(431), 'protocol'],
  ['500', () => html(500), 'unavailable'],
  ['502 with HTML', () => html(502), 'unavailable'],
  ['503 with an empty body', () => new Response(null, { status: 503 }), 'unavailable'],
  ['504', () => html(504), 'unavailable'],
  ['a redirect to another origin', rejects, 'network'],
])('%s, from everything that is asked: visible, told once, and over within the backoff', async (_name, fault, code) => {
  const { server, world, client, recorder, errors } = createBench({
    onUnauthenticated: () => expect.unreachable('nobody said that nobody is logged in'),
  });
  const broken = breakNetwork(world, fault);
  const ready = fateOf(client.listen(order, { updated: recorder() }, fresh(world)).ready);
  await world.until(() => client.status().state === 'reconnecting');
  for (let minute = 0; minute < 5; minute++) {
    await world.advance(60_000);
    expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code }, retryAt: expect.any(Number) });
  }
  expect(ready.fate).toBe('pending');
  // `/config` and `/auth` fail, and each is told once. An object without the results is an answer that answers nothing.
  expect(errors).toHaveLength(2);
  expect(errors).toContainEqual(expect.objectContaining({ code }));
  expect(broken.asked).toBeLessThan(70);
  broken.over();
  await world.until(() => ready.fate === 'resolved', 60_500);
  expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
  expect(server.live()).toHaveLength(1);
});

test.each<[string, Answer]>([
  ['a body that never begins', () => new Promise(() => {})],
  ['a body that never ends', () => new Response(new ReadableStream({}))],
  [
    'half a body, and nothing more',
    () => new Response(new ReadableStream({ start: (at) => at.enqueue(new TextEncoder().encode('{"epoch":')) })),
  ],
  ['502 whose body never ends', () => new Response(new ReadableStream({}), { status: 502 })],
])('%s: given up in time, and tried again', async (_name, fault) => {
  const { world, client, recorder } = createBench();
  const broken = breakNetwork(world, fault);
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.advance(14_900);
  expect(client.status().state).toBe('connecting');
  await world.advance(200);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'network' } });
  expect(broken.asked).toBe(2);
  broken.over();
  await world.until(() => client.status().state === 'connected', 1_000);
});

test("headers of the application's that never come are given up in time", async () => {
  let answers = false;
  const { world, client, recorder } = createBench({
    headers: () => (answers ? {} : new Promise<HeadersInit>(() => {})),
  });
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.advance(15_100);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'network' } });
  answers = true;
  await world.until(() => client.status().state === 'connected', 20_000);
});

test('an answer without an end in size is not read to the end', async () => {
  const { world, client, recorder } = createBench();
  const piece = new TextEncoder().encode('"'.padEnd(1_000_000));
  let sent = 0;
  const broken = breakNetwork(
    world,
    () =>
      new Response(
        new ReadableStream({
          pull(at) {
            sent += piece.length;
            at.enqueue(piece);
          },
        }),
      ),
  );
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'reconnecting', 1_000);
  expect(client.status().error?.code).toBe('protocol');
  expect(sent).toBeLessThan(2 * (MAX_TEXT + 3_000_000));
  broken.over();
  await world.until(() => client.status().state === 'connected');
});

test('an event without an end ends the link', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.write(`data: ${' '.repeat(MAX_TEXT)}`);
  await world.until(() => client.status().state === 'reconnecting', 1_000);
  expect(client.status().error?.code).toBe('protocol');
  expect(server.streams[0]?.closed).toBe(true);
  await world.until(() => client.status().state === 'connected');
});

test('a stream that cannot be decoded is a passing fault', async () => {
  const { server, world, client, recorder } = createBench();
  server.instead.stream = [() => undecodable('text/event-stream')];
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'reconnecting');
  expect(client.status().error?.code).toBe('network');
  await world.until(() => client.status().state === 'connected');
  expect(client.status().via).toBe('sse');
});

test('a byte order mark and carriage returns, as a gateway writes them', async () => {
  const { server, world, client, recorder } = createBench();
  server.instead.config = [() => new Response(`\uFEFF${JSON.stringify(server.config)}`)];
  server.accepts = false;
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => server.streams.length === 1);
  const hello = { protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 0 };
  const ready = { position: 'e1:10', known: 400_000, latest: {} };
  server.streams[0]?.write(`\uFEFFevent: hello\r\ndata: ${JSON.stringify(hello)}\r\n\r\n`);
  server.streams[0]?.write(`id: e1:10\r\nevent: ready\r\ndata: ${JSON.stringify(ready)}\r\n\r\n`);
  await world.advance(10);
  expect(client.status().state).toBe('connected');
});

test('429 of a proxy: its Retry-After is a lower bound, for the stream and for what is asked before', async () => {
  for (const route of ['config', 'auth', 'stream']) {
    const { server, world, client, recorder } = createBench();
    server.instead[route] = [() => html(429, { 'retry-after': '20' })];
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.advance(19_900);
    expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'protocol' } });
    await world.until(() => client.status().state === 'connected', 1_000);
    client.close();
  }
});

test('a stream of comments only: alive, never ready, and given up after a minute', async () => {
  const { server, world, client, recorder } = createBench();
  server.accepts = false;
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => server.streams.length === 1);
  server.streams[0]?.hello();
  for (let second = 0; second < 58; second++) {
    server.streams[0]?.write(':\n\n');
    await world.advance(1_000);
  }
  expect(server.streams[0]?.closed).toBe(false);
  expect(client.status().state).toBe('connecting');
  server.accepts = true;
  for (let second = 0; second < 10; second++) {
    server.streams[0]?.write(':\n\n');
    await world.advance(1_000);
  }
  expect(server.streams[0]?.closed).toBe(true);
  expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
});

test('a large opening over a slow network: bytes keep it, although no event is whole for a while', async () => {
  const { server, world, client, recorder } = createBench();
  server.accepts = false;
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => server.streams.length === 1);
  const [stream] = server.streams;
  stream?.hello();
  stream?.write('id: e1:10\nevent: ready\ndata: {"position":"e1:10","known":400000,"latest":{"Order/43":{');
  for (let second = 0; second < 50; second++) {
    await world.advance(1_000);
    stream?.write(`"a${second}":{"position":"e1:9","age":1},`);
  }
  stream?.write('"z":{"position":"e1:9","age":1}}}}\n\n');
  await world.advance(10);
  expect(server.streams).toHaveLength(1);
  expect(client.status().state).toBe('connected');
});

test.each([
  ['at 30 s', 30_000, 5_000],
  ['at every 10 s', 10_000, 5_000],
  ['at every second', 1_000, 500],
])(
  'a proxy that cuts %s: nothing is lost or doubled, and it is back within the first wait',
  async (_name, every, at) => {
    const { server, world, client, recorder } = createBench();
    const seen = recorder();
    server.grantLife = 3_600_000;
    client.listen(order, { updated: seen }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    for (let round = 1; round <= 10; round++) {
      await world.advance(at);
      const position = `e1:${10 + round}` as const;
      // Every other one comes while there is no link, and is replayed.
      if (round % 2) server.streams.at(-1)?.notify({ id: '42', position });
      await world.advance(every - at);
      server.accepts = false;
      server.streams.at(-1)?.cut();
      await world.until(() => server.live().length === 1, 300);
      server.top = position;
      const stream = server.streams.at(-1);
      expect(stream?.request.channels).toEqual({ 'Order/42': round % 2 ? position : `e1:${9 + round}` });
      stream?.hello();
      if (round % 2 === 0) stream?.notify({ id: '42', position });
      stream?.ready();
      await world.advance(1);
      expect(client.status().state).toBe('connected');
    }
    await world.advance(1_000);
    expect(seen.runs.map(({ notification }) => notification?.position)).toEqual(
      Array.from({ length: 10 }, (_, index) => `e1:${11 + index}`),
    );
  },
);

test('nodes with different secrets name one user differently: tried at growing distances, and said', async () => {
  const { server, world, client, recorder, errors } = createBench();
  const { network } = world;
  let nodes = ['user-1', 'user-2'];
  let asked = 0;
  world.network = (input, init) => {
    asked += 1;
    server.config.user = nodes[String(input).includes('/config') ? 0 : 1] as string;
    return network(input, init);
  };
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.advance(60_000);
  expect(asked).toBeLessThan(50);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'protocol' } });
  expect(errors).toMatchObject([{ code: 'protocol', message: expect.stringContaining('secrets') }]);
  nodes = ['user-2', 'user-2'];
  await world.until(() => client.status().state === 'connected', 31_000);
});

test('a goodbye, or a Retry-After, of a day is ten minutes', async () => {
  const { server, world, client, recorder } = createBench();
  world.chance = 0.9;
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.send({ type: 'goodbye', within: 86_400_000 });
  await world.advance(599_000);
  expect(server.streams).toHaveLength(1);
  await world.advance(1_100);
  expect(server.streams).toHaveLength(2);
});
