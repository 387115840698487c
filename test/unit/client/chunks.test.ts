/** What is loaded only when it is needed may fail to load: nothing is lost by it. */
import { afterEach, expect, test, vi } from 'vitest';
import { createBench } from '../../kit/client.js';
import { createHostedBench } from '../../kit/hosted.js';

vi.mock('../../../widget/client/own.js', () => {
  throw new TypeError('Failed to fetch dynamically imported module');
});
let chunks = 0;
vi.mock('../../../adapters/sse/long-poll.js', async (original) => {
  chunks += 1;
  if (chunks === 1) throw new TypeError('Failed to fetch dynamically imported module');
  return original();
});

let links = 0;
vi.mock('../../../widget/client/hosted.js', async (original) => {
  links += 1;
  if (links === 1) throw new TypeError('Failed to fetch dynamically imported module');
  return original();
});
let overflows = 0;
vi.mock('../../../widget/client/overflow.js', async (original) => {
  overflows += 1;
  if (overflows === 1) throw new TypeError('Failed to fetch dynamically imported module');
  return original();
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const order = { entity: 'Order', id: 42 };

test('without the marks of own changes the request goes out as it is, and its echo runs', async () => {
  vi.stubGlobal('location', { href: 'https://shop.example/orders/42' });
  const { world, client, server, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, { loadedAt: world.now(), ignoreOwn: true });
  await world.until(() => client.status().state === 'connected');
  const { network } = world;
  const headers: Headers[] = [];
  world.network = (input, init) => {
    if (!String(input).startsWith('/orders')) return network(input, init);
    headers.push(new Headers(init?.headers));
    return Promise.resolve(new Response());
  };
  expect((await client.fetch('/orders/42/ship', { headers: { 'x-own': '1' } })).ok).toBe(true);
  expect(headers.map((each) => [...each.keys()])).toEqual([['x-own']]);
  server.streams[0]?.notify({ id: '42', position: 'e1:11', cause: 'c' });
  await world.advance(500);
  expect(seen.runs).toHaveLength(1);
});

test('long polls that cannot be loaded are a failed link: visible, and tried again', async () => {
  const { world, client, server, recorder } = createBench();
  const { network } = world;
  world.network = (input, init) => {
    if (!String(init?.body).includes('"stream"')) return network(input, init);
    return new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))));
  };
  server.instead.stream = Array.from({ length: 9 }, () => () => {
    const hello = { type: 'hello', protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 0 };
    return Response.json({ events: [hello, { type: 'ready', position: 'e1:10', known: 400_000, latest: {} }] });
  });
  client.listen(order, { updated: recorder() }, { loadedAt: world.now() });
  await world.until(() => chunks === 1 && client.status().state === 'reconnecting');
  expect(client.status().error?.code).toBe('network');
  await world.until(() => client.status().state === 'connected');
  expect(client.status()).toMatchObject({ via: 'poll' });
  client.close();
});

test('an application on server-sent events never loads what is for providers, though it names some', async () => {
  for (const named of [false, true]) {
    const { world, client, server, recorder } = named ? createHostedBench() : createBench();
    server.config.provider = 'sse';
    server.accepts = !named;
    client.listen(order, { updated: recorder() }, { loadedAt: world.now() });
    await world.until(() => client.status().state === 'connected');
    await world.advance(120_000);
    client.close();
    expect([links, overflows]).toEqual([0, 0]);
  }
});

test('without the links of providers the page is on server-sent events, says why, and tries again', async () => {
  const { world, client, server, provider, recorder, errors } = createHostedBench();
  server.grantLife = 60_000;
  client.listen(order, { updated: recorder() }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  expect(client.status()).toMatchObject({ via: 'sse', degraded: true });
  expect([links, provider.lines.length]).toEqual([1, 0]);
  expect(errors).toHaveLength(1);
  await world.until(() => client.status().via === 'pusher');
  expect(client.status().degraded).toBe(false);
  expect([links, overflows]).toEqual([2, 0]);
  client.close();
});

test('a page that listens to more than the provider holds does not stay without the rest', async () => {
  const { world, client, server, provider, recorder, log } = createHostedBench({}, 1);
  const seen = recorder();
  client.listen({ entity: 'Order', id: '7' }, { updated: recorder() }, { loadedAt: world.now() });
  client.listen(order, { updated: seen }, { loadedAt: world.now() });
  await world.until(() => overflows === 1);
  await world.settle();
  expect(client.status().error).toMatchObject({ name: 'ListenError', code: 'protocol' });
  // All goes over our own server, without a loop of reads.
  await world.until(() => client.status().state === 'connected');
  await world.advance(20_000);
  expect(client.status()).toMatchObject({ state: 'connected', via: 'sse', degraded: true });
  expect([overflows, log.reads.length]).toEqual([1, 0]);
  provider.line.attach();
  await world.until(() => client.status().via === 'pusher' && server.live().length === 1);
  expect(overflows).toBe(2);
  log.append({ entity: 'Order', id: '42' });
  await world.advance(1_200);
  expect(seen.runs).toHaveLength(1);
  client.close();
});
