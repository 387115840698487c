/** The SSE client half: hello in time, long polls where it is not, and the way back. */
import { expect, test } from 'vitest';
import type { Link, LinkHost } from '../../../adapters/contract.js';
import { HELLO_LIMIT, STREAM_AGAIN, sse } from '../../../adapters/sse/client.js';
import { type Bench, createBench } from '../../kit/client.js';
import { errorAnswer } from '../../kit/scripted-server.js';

const order = { entity: 'Order', id: 42 };

/** A proxy that holds back every event stream, and a server that answers polls. */
function behindProxy(bench: Bench): { buffers: boolean; polls: string[]; news: unknown[] } {
  const proxy = { buffers: true, polls: [] as string[], news: [] as unknown[] };
  const { network: fetch } = bench.world;
  bench.world.network = (input, init) => {
    const body = JSON.parse(String(init?.body ?? '{}')) as { wait?: string };
    if (body.wait === undefined) return fetch(input, init);
    if (body.wait === 'stream') {
      if (!proxy.buffers) return fetch(input, init);
      return new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))));
    }
    proxy.polls.push(body.wait);
    const hello = { type: 'hello', protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 0 };
    const ready = { type: 'ready', position: bench.server.top, known: 400_000, latest: {} };
    const answer = () => Response.json({ events: [hello, ready, ...proxy.news.splice(0)] });
    if (body.wait === 'once') return Promise.resolve(answer());
    return new Promise((resolve) =>
      bench.world.setTimeout(() => resolve(answer()), proxy.news.length > 0 ? 0 : 25_000),
    );
  };
  return proxy;
}

test('a link that is closed in the moment in which it was opened asks for nothing', async () => {
  const bench = createBench();
  bench.client.listen(order, { updated: bench.recorder() });
  await bench.world.until(() => bench.client.status().state === 'connected');
  // The machine slept: the look at the clocks, while the next link is being opened, finds out and gives that one up.
  bench.server.streams[0]?.cut();
  bench.world.chance = 0.9;
  await bench.world.settle();
  bench.world.sleep(60_000);
  await bench.world.advance(20_000);
  expect(bench.client.status().state).toBe('connected');
  expect(bench.server.live()).toHaveLength(1);
});

test('two streams without hello within 3 s: long polls; a stream is tried again later, and taken when it works', async () => {
  const bench = createBench();
  const proxy = behindProxy(bench);
  const seen = bench.recorder();
  bench.client.listen(order, { updated: seen }, { loadedAt: bench.world.now() });
  const start = bench.world.monotonic();
  await bench.world.until(() => bench.client.status().state === 'connected');
  expect(bench.world.monotonic() - start).toBeGreaterThanOrEqual(2 * HELLO_LIMIT);
  expect(bench.client.status()).toEqual({ state: 'connected', via: 'poll', degraded: true });
  expect(proxy.polls).toEqual(['once']);
  proxy.news.push({
    type: 'notification',
    notification: { entity: 'Order', id: '42', action: 'updated', position: 'e1:11', changedDate: 1 },
  });
  await bench.world.advance(1_000);
  expect(seen.runs).toHaveLength(1);
  proxy.buffers = false;
  await bench.world.until(() => bench.client.status().via === 'sse', STREAM_AGAIN + 40_000);
  expect(bench.client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
  bench.server.streams.at(-1)?.notify({ id: '42', position: 'e1:12' });
  await bench.world.advance(1_000);
  expect(seen.runs).toHaveLength(2);
});

test('streams that stay buffered are tried at growing distances, and polling goes on meanwhile', async () => {
  const bench = createBench();
  const proxy = behindProxy(bench);
  let streams = 0;
  const { network: fetch } = bench.world;
  bench.world.network = (input, init) => {
    if (String(init?.body).includes('"stream"')) streams += 1;
    return fetch(input, init);
  };
  bench.client.listen(order, { updated: bench.recorder() }, { loadedAt: bench.world.now() });
  await bench.world.until(() => bench.client.status().state === 'connected');
  expect(streams).toBe(2);
  await bench.world.advance(3 * STREAM_AGAIN + 60_000);
  expect(streams).toBe(4);
  expect(proxy.polls.length).toBeGreaterThan(6);
  expect(bench.client.status().state).toBe('connected');
});

test('a stream of another type, an unknown event and an event split anywhere', async () => {
  const bench = createBench();
  bench.server.instead.stream = [() => new Response('event: hello\n', { headers: { 'content-type': 'text/plain' } })];
  const seen = bench.recorder();
  bench.client.listen(order, { updated: seen }, { loadedAt: bench.world.now() });
  await bench.world.until(() => bench.client.status().state === 'reconnecting');
  expect(bench.client.status().error?.code).toBe('protocol');
  await bench.world.until(() => bench.client.status().state === 'connected');
  const stream = bench.server.streams[0];
  stream?.write('event: of the future\ndata: {"a":1}\n\n');
  const frame =
    'id: e1:11\nevent: notification\ndata: {"entity":"Order","id":"42","action":"updated","position":"e1:11","changedDate":1}\n\n';
  for (const char of frame) {
    stream?.write(char);
    await bench.world.settle();
  }
  await bench.world.advance(100);
  expect(seen.runs).toHaveLength(1);
  expect(bench.client.status().state).toBe('connected');
});

test('a closed client leaves no request behind', async () => {
  const bench = createBench();
  behindProxy(bench);
  bench.client.listen(order, { updated: bench.recorder() });
  await bench.world.until(() => bench.client.status().state === 'connected');
  // In mid-poll: it was neither cut nor answered, and nothing is asked after it.
  await bench.world.advance(10_000);
  bench.client.close();
  await bench.world.settle();
  expect(bench.world.timers).toBe(1); // that of the proxy
  await bench.world.advance(30_000);
  expect(bench.world.timers).toBe(0);
});

/** What the page was told, and how it heard. */
function statesOf({ client }: Bench): string[] {
  const states: string[] = [];
  client.onStatus(() => states.push([client.status().state, client.status().via].join(' ').trim()));
  return states;
}

/** Counts requests for streams, and answers them by `answer` for as long as there is one. */
function streamsOf({ world }: Bench): { tried: number[]; answer?: (() => Response | Promise<Response>) | undefined } {
  const { network } = world;
  const streams: ReturnType<typeof streamsOf> = { tried: [] };
  world.network = async (input, init) => {
    if (!String(init?.body).includes('"stream"')) return network(input, init);
    streams.tried.push(world.monotonic());
    return streams.answer ? streams.answer() : network(input, init);
  };
  return streams;
}

test('back to streaming: tried beside the polls, which go on meanwhile; no gap, no flicker, and jittered', async () => {
  for (const [chance, after] of [
    [0, 30_000],
    [0.5, 60_000],
    [0.999, 90_000],
  ] as const) {
    const bench = createBench();
    const { world, client, server } = bench;
    const proxy = behindProxy(bench);
    const streams = streamsOf(bench);
    const seen = bench.recorder();
    client.listen(order, { updated: seen }, { loadedAt: world.now() });
    world.chance = chance;
    await world.until(() => client.status().state === 'connected');
    const states = statesOf(bench);
    const polling = world.monotonic();
    // A poll ends after 25 s at the latest: then it is looked whether it is time.
    await world.until(() => streams.tried.length === 3, 130_000);
    const waited = (streams.tried[2] as number) - polling;
    expect(waited).toBeGreaterThanOrEqual(after - 100);
    expect(waited).toBeLessThan(after + 26_000);
    // While the stream is tried in vain, what happens still comes.
    await world.advance(1_000);
    proxy.news.push({
      type: 'notification',
      notification: { entity: 'Order', id: '42', action: 'updated', position: 'e1:11', changedDate: 1 },
    });
    await world.advance(26_000);
    expect(seen.runs).toHaveLength(1);
    expect(states).toEqual([]);
    // The next time it works; twice as long after.
    proxy.buffers = false;
    await world.until(() => streams.tried.length === 4, 2 * after + 60_000);
    expect((streams.tried[3] as number) - (streams.tried[2] as number)).toBeGreaterThanOrEqual(2 * after);
    await world.advance(10);
    expect(states).toEqual(['connected sse']);
    expect(server.live()).toHaveLength(1);
    client.close();
  }
});

const page = (status: number) => new Response('<html>', { status, headers: { 'content-type': 'text/html' } });
test.each<[string, () => Response | Promise<Response>]>([
  ['a page of its own', () => page(200)],
  ['403', () => page(403)],
  ['502', () => page(502)],
  ['an empty stream', () => new Response('', { headers: { 'content-type': 'text/event-stream' } })],
  ['a cut', () => Promise.reject(new TypeError('terminated'))],
])(
  'row 52: a filter that answers streams by %s, and lets the rest through: long polls within seconds',
  async (_name, answer) => {
    const bench = createBench();
    const proxy = behindProxy(bench);
    proxy.buffers = false;
    const streams = streamsOf(bench);
    streams.answer = answer;
    const seen = bench.recorder();
    bench.client.listen(order, { updated: seen }, { loadedAt: bench.world.now() });
    await bench.world.until(() => bench.client.status().state === 'connected', 3_000);
    expect(bench.client.status()).toEqual({ state: 'connected', via: 'poll', degraded: true });
    expect(streams.tried).toHaveLength(4);
    // While streams carry, nobody polls.
    streams.answer = undefined;
    await bench.world.until(() => bench.client.status().via === 'sse', 100_000);
    const polls = proxy.polls.length;
    await bench.world.advance(30_000);
    expect(proxy.polls).toHaveLength(polls);
  },
);

test('a server that is down for a while is no filter: pages come back to streams, not to polls', async () => {
  const bench = createBench();
  const { world, client } = bench;
  const proxy = behindProxy(bench);
  proxy.buffers = false;
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  const { network } = world;
  world.network = () => Promise.reject(new TypeError('refused'));
  bench.server.streams[0]?.cut();
  await world.advance(100_000);
  expect(client.status().state).toBe('reconnecting');
  world.network = network;
  await world.until(() => client.status().state === 'connected', 31_000);
  expect(client.status().via).toBe('sse');
  expect(proxy.polls).toEqual([]);
});

test('a server that asks for patience was reached: its streams are not blocked', async () => {
  const bench = createBench();
  const { world, client } = bench;
  const proxy = behindProxy(bench);
  proxy.buffers = false;
  const streams = streamsOf(bench);
  streams.answer = () => errorAnswer(429, 'limit', { 'retry-after': '1' });
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  await world.until(() => streams.tried.length === 9, 200_000);
  streams.answer = undefined;
  await world.until(() => client.status().state === 'connected', 31_000);
  expect(proxy.polls).toEqual([]);
});

test('a page that closes what it has just opened, over and over, takes that for no filter', async () => {
  const bench = createBench();
  const { world, client, server } = bench;
  const proxy = behindProxy(bench);
  proxy.buffers = false;
  server.accepts = false;
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  for (let round = 1; round <= 8; round++) {
    await world.until(() => server.streams.length === round);
    client.pause();
    await world.advance(10);
    if (round === 8) server.accepts = true;
    client.resume();
  }
  await world.until(() => client.status().state === 'connected');
  expect([client.status().via, proxy.polls]).toEqual(['sse', []]);
});

test('polls ask for a stream beside them once for each time, however long it takes', async () => {
  const bench = createBench();
  const { world } = bench;
  behindProxy(bench);
  const streams = streamsOf(bench);
  bench.client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  let asked = 0;
  // The link itself, as those who share it hold it.
  const adapter = sse();
  const host: LinkHost = {
    config: bench.server.config,
    world,
    request: async (route, body, signal) =>
      world.fetch(`/notify-listen/${route}`, { method: 'POST', body: JSON.stringify(body), signal }),
    alive() {},
    event() {},
    interest: () => ({ grants: [], channels: {}, own: null }),
    via() {},
    visible: () => true,
    again() {
      asked += 1;
    },
    down() {
      links.push(adapter.open(host.interest(), host));
    },
  };
  bench.client.close();
  const links: Link[] = [adapter.open(host.interest(), host)];
  await world.until(() => streams.tried.length === 2);
  await world.advance(110_000);
  expect(asked).toBe(1);
  await world.advance(100_000);
  expect(asked).toBe(2);
  for (const link of links) link.close();
});

test('a proxy whose buffer lets hello through and holds the rest: long polls after two in a row', async () => {
  const bench = createBench();
  const { world, client, server } = bench;
  const proxy = behindProxy(bench);
  proxy.buffers = false;
  server.accepts = false;
  const greeted = new Set<object>();
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  while (client.status().state !== 'connected' && world.monotonic() < 120_000) {
    for (const stream of server.live()) if (!greeted.has(stream)) stream.hello();
    for (const stream of server.live()) greeted.add(stream);
    await world.advance(100);
  }
  expect(client.status()).toMatchObject({ state: 'connected', via: 'poll' });
  expect(server.streams).toHaveLength(2);
});

test('a proxy that buffers only sometimes: streams stay, each one that was held costs 3 s', async () => {
  const bench = createBench();
  const { world, client, server } = bench;
  const proxy = behindProxy(bench);
  const streams = streamsOf(bench);
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  for (let round = 0; round < 6; round++) {
    const { length } = streams.tried;
    proxy.buffers = true;
    await world.until(() => streams.tried.length > length);
    proxy.buffers = false;
    await world.until(() => client.status().state === 'connected', HELLO_LIMIT + 1_000);
    await world.advance(20_000);
    expect(client.status().via).toBe('sse');
    server.live()[0]?.cut();
    await world.settle();
  }
  expect(proxy.polls).toEqual([]);
});

test('long polls that a proxy cuts before they are answered: the link lives on, and nothing is lost', async () => {
  const bench = createBench();
  const { world, client } = bench;
  const proxy = behindProxy(bench);
  const { network } = world;
  let cuts = 0;
  // It gives up on any answer after 10 s.
  world.network = (input, init) =>
    Promise.race([
      network(input, init),
      new Promise<Response>((resolve) => {
        world.setTimeout(() => {
          cuts += 1;
          resolve(page(504));
        }, 10_000);
      }),
    ]);
  const seen = bench.recorder();
  client.listen(order, { updated: seen }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  const states = statesOf(bench);
  await world.advance(60_000);
  expect(cuts).toBeGreaterThan(4);
  proxy.news.push({
    type: 'notification',
    notification: { entity: 'Order', id: '42', action: 'updated', position: 'e1:11', changedDate: 1 },
  });
  await world.advance(11_000);
  expect(seen.runs).toHaveLength(1);
  expect(states).toEqual([]);
  // One that waits, cut, and one that says what has come.
  expect(proxy.polls.slice(0, 5)).toEqual(['once', 'poll', 'once', 'poll', 'once']);
  expect(proxy.polls.length).toBeLessThan(20);
});

test('a poll that is answered by something else is a passing fault, and polls go on', async () => {
  const bench = createBench();
  const { world, client } = bench;
  behindProxy(bench);
  client.listen(order, { updated: bench.recorder() }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  for (const strange of ['<html>', '', 'null', '{"events":1}', '{"events":[']) {
    const { network } = world;
    world.network = () => Promise.resolve(new Response(strange));
    await world.until(() => client.status().state === 'reconnecting', 60_000);
    expect(client.status().error?.code).toBe('protocol');
    world.network = network;
    await world.until(() => client.status().state === 'connected', 35_000);
  }
});

test('nothing is taken from a cache, and no request is one that a cache keeps, but the one for the configuration', async () => {
  const bench = createBench();
  behindProxy(bench);
  const { network } = bench.world;
  const asked: string[] = [];
  bench.world.network = (input, init) => {
    expect(init?.cache).toBe('no-store');
    const { wait = '' } = JSON.parse(String(init?.body ?? '{}')) as { wait?: string };
    asked.push([init?.method ?? 'GET', String(input).split('/').at(-1), wait].join(' ').trim());
    return network(input, init);
  };
  bench.client.listen(order, { updated: bench.recorder() }, { loadedAt: bench.world.now() });
  await bench.world.until(() => bench.client.status().state === 'connected');
  await bench.world.advance(1_000);
  expect([...new Set(asked)].sort()).toEqual([
    'GET config?protocol=1',
    'POST auth',
    'POST stream once',
    'POST stream poll',
    'POST stream stream',
  ]);
});
