/** The SSE client half: hello in time, long polls where it is not, and the way back. */
import { expect, test } from 'vitest';
import { HELLO_LIMIT, STREAM_AGAIN } from '../../../adapters/sse/client.js';
import { type Bench, createBench } from '../../kit/client.js';

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
  bench.client.close();
  await bench.world.advance(30_000);
  expect(bench.world.timers).toBe(0);
});
