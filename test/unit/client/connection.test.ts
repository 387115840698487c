/** The connection: docs/client.md, first table, and its races. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createBench, fateOf } from '../../kit/client.js';
import { errorAnswer } from '../../kit/scripted-server.js';

const order = { entity: 'Order', id: 42 };
/** A load that began just now, so that nothing is refreshed at attach. */
const fresh = (world: { now(): number }) => ({ loadedAt: world.now() });

test('asks nothing before the first listener, then /config and /auth in one tick, then one stream', async () => {
  const { server, world, client, recorder } = createBench();
  await world.advance(10_000);
  expect(server.requests).toEqual([]);
  expect(client.status()).toEqual({ state: 'initial', degraded: false });
  expect(world.timers).toBe(0);

  server.instead.config = [() => new Promise(() => {})];
  for (let id = 0; id < 40; id++) client.listen({ entity: 'Order', id }, { updated: recorder() }, fresh(world));
  expect(server.requests).toEqual([]);
  await world.advance(0);
  expect(server.requests.map(({ route }) => route).sort()).toEqual(['auth', 'config']);
  expect(server.auths()[0]?.objects).toHaveLength(40);
  expect(client.status().state).toBe('connecting');
});

test('connects, and closes 1 s after the last listener left', async () => {
  const { server, world, lifecycle, client, recorder } = createBench();
  const listening = client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
  listening.close();
  await world.advance(900);
  expect(server.live()).toHaveLength(1);
  await world.advance(200);
  expect(server.live()).toHaveLength(0);
  expect(client.status()).toEqual({ state: 'initial', degraded: false });
  expect(world.timers).toBe(0);
  expect(lifecycle.watchers).toBe(0);
});

test('objects beyond 1,000 are asked for in several requests', async () => {
  const { server, world, client, recorder } = createBench();
  for (let id = 0; id < 1_001; id++) client.listen({ entity: 'Order', id }, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  expect(server.auths().map(({ objects }) => objects.length)).toEqual([1_000, 1]);
});

test('a changed set opens beside the running stream and drops that one at ready; nothing is lost or doubled', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const [old] = server.streams;
  server.accepts = false;
  const second = fateOf(client.listen({ entity: 'Order', id: 43 }, { updated: recorder() }, fresh(world)).ready);
  await world.until(() => server.streams.length === 2);
  const [, next] = server.streams;
  expect(next?.request.channels).toEqual({ 'Order/42': 'e1:10', 'Order/43': null });
  next?.hello();
  old?.notify({ id: '42', position: 'e1:11' });
  next?.notify({ id: '42', position: 'e1:11' });
  await world.advance(500);
  expect(seen.runs).toHaveLength(1);
  expect(second.fate).toBe('pending');
  expect(old?.closed).toBe(false);
  next?.ready('e1:11');
  await world.advance(0);
  expect(old?.closed).toBe(true);
  expect(second.fate).toBe('resolved');
  next?.notify({ id: '42', position: 'e1:12' });
  await world.advance(500);
  expect(seen.runs).toHaveLength(2);
});

test('one opening at a time; the newest set is opened after it', async () => {
  const { server, world, client, recorder } = createBench();
  server.accepts = false;
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => server.streams.length === 1);
  for (let id = 100; id < 105; id++) {
    client.listen({ entity: 'Order', id }, { updated: recorder() }, fresh(world));
    await world.advance(20);
  }
  expect(server.streams).toHaveLength(1);
  server.streams[0]?.hello();
  server.streams[0]?.ready();
  await world.advance(20);
  expect(server.streams).toHaveLength(2);
  expect(server.streams[1]?.channels).toHaveLength(6);
});

test('no position moves before ready: an id of the replay is not taken as covered', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.accepts = false;
  server.streams[0]?.cut();
  await world.until(() => server.streams.length === 2);
  server.streams[1]?.hello();
  server.streams[1]?.notify({ id: '42', position: 'e1:15' });
  await world.advance(10);
  server.streams[1]?.cut();
  await world.until(() => server.streams.length === 3);
  expect(server.streams[2]?.request.channels).toEqual({ 'Order/42': 'e1:10' });
  expect(server.streams[2]?.request.own).toBe('e1:10');
});

test('positions move with events and heartbeats once ready, and never back', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const [stream] = server.streams;
  stream?.notify({ id: '42', position: 'e1:12' });
  stream?.send({ type: 'heartbeat', position: 'e1:99', spread: 0 }, 'e1:99');
  stream?.send({ type: 'heartbeat', position: 'e1:98', spread: 0 }, 'e1:98');
  await world.advance(10);
  stream?.cut();
  await world.until(() => server.streams.length === 2);
  expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:99' });
});

test('a link that says nothing for 2 heartbeats and 5 s is dropped; what is no event keeps it no longer', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.accepts = false;
  await world.advance(30_000);
  server.streams[0]?.write(': a proxy\n');
  expect(server.streams[0]?.closed).toBe(false);
  await world.advance(10_000);
  expect(server.streams[0]?.closed).toBe(true);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'network' } });
});

test.each<[string, () => Response | Promise<Response>, string]>([
  ['500', () => new Response('oops', { status: 500 }), 'unavailable'],
  ['502', () => new Response('<h1>Bad gateway</h1>', { status: 502 }), 'unavailable'],
  ['a login page', () => new Response('<html>', { headers: { 'content-type': 'text/html' } }), 'protocol'],
  ['an empty body', () => new Response(null, { status: 200 }), 'protocol'],
  ['broken JSON', () => new Response('{"user":', { headers: { 'content-type': 'application/json' } }), 'protocol'],
  ['503 of ours', () => errorAnswer(503, 'unavailable'), 'unavailable'],
  ['no network', () => Promise.reject(new TypeError('fetch failed')), 'network'],
  ['an unknown code', () => errorAnswer(418, 'teapot'), 'teapot'],
])('%s in any route is retried for ever, and visible meanwhile', async (_name, answer, code) => {
  for (const route of ['config', 'auth', 'stream']) {
    const { server, world, client, recorder } = createBench();
    server.instead[route] = Array.from({ length: 12 }, () => answer);
    const ready = fateOf(client.listen(order, { updated: recorder() }, fresh(world)).ready);
    await world.until(() => client.status().state === 'reconnecting');
    expect(client.status()).toMatchObject({ error: { code }, retryAt: expect.any(Number) });
    await world.until(() => ready.fate === 'resolved', 400_000);
    expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
    client.close();
  }
});

test('broken JSON in mid-stream ends the link, and the next one reads from the position', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.write('event: notification\ndata: {"entity"\n\n');
  await world.until(() => server.streams.length === 2);
  expect(server.streams[0]?.closed).toBe(true);
  expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:10' });
});

test('waits have full jitter, grow to 30 s, the first one too, and start again after ready', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const waits: number[] = [];
  world.chance = 0.999;
  server.instead.stream = Array.from({ length: 9 }, () => () => errorAnswer(503, 'unavailable'));
  server.streams[0]?.cut();
  for (let failure = 0; failure < 9; failure++) {
    const requests = server.requests.filter(({ route }) => route === 'stream').length;
    await world.until(() => client.status().retryAt !== undefined);
    waits.push((client.status().retryAt as number) - world.now());
    await world.until(() => server.requests.filter(({ route }) => route === 'stream').length > requests);
    await world.advance(0);
  }
  expect(waits.map((wait) => Math.round(wait / 100) * 100)).toEqual([
    300, 600, 1200, 2400, 4800, 9600, 19200, 30000, 30000,
  ]);
  world.chance = 0;
  await world.until(() => client.status().state === 'connected');
  world.chance = 0.999;
  server.streams.at(-1)?.cut();
  await world.until(() => client.status().retryAt !== undefined);
  expect((client.status().retryAt as number) - world.now()).toBeLessThanOrEqual(300);
});

test('a server that greets and hangs up is not asked in a loop: the backoff goes back at ready only', async () => {
  const { server, world, client, recorder } = createBench();
  world.chance = 0.9;
  client.listen(order, { updated: recorder() }, fresh(world));
  server.accepts = false;
  let asked = 0;
  const end = world.monotonic() + 60_000;
  while (world.monotonic() < end) {
    await world.advance(10);
    for (const stream of server.live()) {
      asked += 1;
      stream.hello();
      await world.settle();
      stream.end();
    }
  }
  expect(asked).toBeGreaterThan(6);
  expect(asked).toBeLessThan(15);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: expect.any(String) } });
});

test('Retry-After is a lower bound, itself bounded', async () => {
  const { server, world, client, recorder } = createBench();
  world.chance = 0;
  server.instead.stream = [
    () => errorAnswer(429, 'limit', { 'retry-after': '7' }),
    () => errorAnswer(503, 'unavailable', { 'retry-after': '999999999' }),
  ];
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().retryAt !== undefined);
  expect((client.status().retryAt as number) - world.now()).toBeGreaterThanOrEqual(6_990);
  await world.advance(7_100);
  expect((client.status().retryAt as number) - world.now()).toBeGreaterThan(500_000);
  await world.advance(600_000);
  expect(client.status().state).toBe('connected');
});

test('goodbye: comes back after a random wait in its window, from its positions', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.notify({ id: '42', position: 'e1:11' });
  server.streams[0]?.send({ type: 'goodbye', within: 4_000 });
  server.streams[0]?.end();
  await world.advance(1_900);
  expect(server.streams).toHaveLength(1);
  expect(client.status().state).toBe('reconnecting');
  await world.advance(200);
  expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:11' });
  expect(client.status().state).toBe('connected');
  expect(seen.runs).toHaveLength(1);
});

describe('goodbye of a stream that is still served', () => {
  const goodbye = { type: 'goodbye', within: 4_000, lasts: 8_000 } as const;

  test('the next one is opened beside it, within the window: the status stays, and nothing is lost or repeated', async () => {
    const { server, world, client, recorder } = createBench();
    const seen = recorder();
    client.listen(order, { updated: seen }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    const states: string[] = [];
    client.onStatus(() => states.push(client.status().state));
    server.streams[0]?.send(goodbye);
    await world.advance(1_900);
    expect(server.streams).toHaveLength(1);
    server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    server.accepts = false;
    await world.advance(200);
    expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:11' });
    server.streams[0]?.notify({ id: '42', position: 'e1:12' });
    await world.advance(200);
    expect(seen.runs).toHaveLength(2);
    server.streams[1]?.hello();
    server.streams[1]?.notify({ id: '42', position: 'e1:12' });
    server.streams[1]?.ready('e1:12');
    await world.advance(10_000);
    expect(server.streams[0]?.closed).toBe(true);
    expect(server.streams).toHaveLength(2);
    expect(seen.runs).toHaveLength(2);
    expect(states).toEqual([]);
  });

  test('fifty of them in a row: no other status, and each position is asked from', async () => {
    const { server, world, client, recorder } = createBench();
    const seen = recorder();
    client.listen(order, { updated: seen }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    const states: string[] = [];
    client.onStatus(() => states.push(client.status().state));
    for (let n = 0; n < 50; n++) {
      server.streams.at(-1)?.notify({ id: '42', position: `e1:${n + 100}` });
      server.top = `e1:${n + 100}`;
      server.streams.at(-1)?.send(goodbye);
      await world.advance(4_100);
      expect(server.streams).toHaveLength(n + 2);
      expect(server.streams.at(-1)?.request.channels).toEqual({ 'Order/42': `e1:${n + 100}` });
      expect(server.live()).toHaveLength(1);
    }
    expect(seen.runs).toHaveLength(50);
    expect(states).toEqual([]);
  });

  test('its end before the next one is ready is no failure; a refused opening is tried again while it carries', async () => {
    const { server, world, client, recorder } = createBench();
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    server.instead.stream = [() => errorAnswer(503, 'unavailable', { 'Retry-After': '1' })];
    server.streams[0]?.send(goodbye);
    await world.advance(2_100);
    expect(client.status().state).toBe('connected');
    await world.advance(1_100);
    expect(server.streams).toHaveLength(2);
    server.streams[1]?.send(goodbye);
    await world.advance(100);
    server.streams[1]?.end();
    await world.advance(100);
    expect(client.status()).toMatchObject({ state: 'reconnecting' });
    expect(client.status().error).toBeUndefined();
    await world.advance(2_000);
    expect(server.streams).toHaveLength(3);
    expect(client.status().state).toBe('connected');
  });

  test('one that was not ready yet is ended at once', async () => {
    const { server, world, client, recorder } = createBench();
    server.accepts = false;
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => server.streams.length === 1);
    server.streams[0]?.hello();
    server.streams[0]?.send(goodbye);
    await world.advance(100);
    expect(server.streams[0]?.closed).toBe(true);
    await world.advance(2_000);
    expect(server.streams).toHaveLength(2);
  });
});

test.each(['visible', 'wake'] as const)(
  '%s: does not trust the link, opens beside it and keeps it until ready',
  async (what) => {
    const { server, world, lifecycle, client, recorder } = createBench();
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    lifecycle.hide();
    await world.advance(10_000);
    server.accepts = false;
    if (what === 'wake') lifecycle.wake();
    else lifecycle.show();
    await world.advance(5);
    expect(server.streams).toHaveLength(2);
    expect(server.streams[0]?.closed).toBe(false);
    expect(client.status().state).toBe('connected');
    server.streams[1]?.hello();
    server.streams[1]?.ready();
    await world.advance(5);
    expect(server.streams[0]?.closed).toBe(true);
  },
);

test('wake while a wait runs: tries at once', async () => {
  const { server, world, lifecycle, client, recorder } = createBench();
  world.chance = 0.99;
  server.instead.stream = Array.from({ length: 12 }, () => () => errorAnswer(503, 'unavailable'));
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => (client.status().retryAt ?? 0) > world.now() + 20_000);
  server.instead.stream = [];
  lifecycle.wake();
  await world.advance(5);
  expect(client.status().state).toBe('connected');
});

test('a machine that slept: the wall clock jumped, so the link is opened again without waiting for the watchdog', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  world.sleep(20_000);
  await world.advance(5_100);
  expect(server.streams).toHaveLength(2);
  expect(server.live()).toHaveLength(1);
});

test('degraded shows, and after 30 s another node is looked for', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const beat = async () => {
    server.streams[0]?.send({ type: 'heartbeat', degraded: true, spread: 0 });
    await world.advance(10_000);
  };
  await beat();
  expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: true });
  for (let beats = 0; beats < 6; beats++) await beat();
  expect(server.streams.length).toBeGreaterThan(1);
  expect(client.status()).toEqual({ state: 'connected', via: 'sse', degraded: false });
});

test('degraded is over with the next proved heartbeat', async () => {
  const { server, world, client, recorder } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.send({ type: 'heartbeat', degraded: true, spread: 0 });
  await world.advance(10_000);
  server.streams[0]?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 }, 'e1:10');
  await world.advance(10);
  expect(client.status().degraded).toBe(false);
});

test('pause keeps positions and listeners; resume catches up', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  client.pause();
  expect(client.status()).toEqual({ state: 'disconnected', degraded: false });
  expect(server.live()).toHaveLength(0);
  await world.advance(60_000);
  expect(server.streams).toHaveLength(1);
  server.accepts = false;
  client.resume();
  await world.until(() => server.streams.length === 2);
  expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:10' });
  server.streams[1]?.hello();
  server.streams[1]?.notify({ id: '42', position: 'e1:12' });
  server.streams[1]?.ready('e1:12');
  await world.advance(500);
  expect(seen.runs).toMatchObject([{ reason: 'notification' }]);
});

test('401: disconnected, onUnauthenticated is called, and it resumes with its positions', async () => {
  let login: () => void = () => {};
  let asked = 0;
  const { server, world, client, recorder } = createBench({
    onUnauthenticated() {
      asked += 1;
      return new Promise<void>((resolve) => {
        login = resolve;
      });
    },
  });
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.instead.stream = [() => errorAnswer(401, 'unauthenticated')];
  server.streams[0]?.cut();
  await world.until(() => client.status().state === 'disconnected');
  expect(client.status().error?.code).toBe('unauthenticated');
  await world.advance(100_000);
  expect(server.streams).toHaveLength(1);
  login();
  await world.until(() => client.status().state === 'connected');
  expect(asked).toBe(1);
  expect(server.streams[1]?.request.channels).toEqual({ 'Order/42': 'e1:10' });
});

test('401 on both first requests asks for a login once; a login that changes nothing is not asked for in a loop', async () => {
  let asked = 0;
  const { server, world, client, recorder } = createBench({
    onUnauthenticated: () => {
      asked += 1;
    },
  });
  const refuse = () => errorAnswer(401, 'unauthenticated');
  server.instead.config = Array.from({ length: 1_000 }, () => refuse);
  server.instead.auth = Array.from({ length: 1_000 }, () => refuse);
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.advance(1);
  expect(asked).toBe(1);
  await world.advance(60_000);
  expect(asked).toBeGreaterThan(3);
  expect(asked).toBeLessThan(15);
});

test('a listener that was ready says while nobody is logged in that nothing can come, and no longer after the login', async () => {
  for (const [status, code] of [
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ] as const) {
    const { server, world, client, recorder } = createBench();
    const listening = client.listen(order, { updated: recorder() }, fresh(world));
    const told: unknown[] = [];
    listening.onChange(() => told.push(listening.error?.code));
    await world.until(() => client.status().state === 'connected');
    server.instead.stream = [() => errorAnswer(status, code)];
    server.streams[0]?.cut();
    await world.advance(1_000);
    client.reconnect();
    await world.until(() => client.status().state === 'connected');
    expect(told).toEqual([undefined, code, undefined]);
    client.close();
  }
});

test('one that was not ready yet is so only when nothing can be missed, not when the login is tried again', async () => {
  const { server, world, client, recorder } = createBench();
  server.instead.config = [() => errorAnswer(401, 'unauthenticated')];
  const listening = client.listen(order, { updated: recorder() }, fresh(world));
  const told: unknown[] = [];
  listening.onChange(() => told.push(listening.error?.code));
  await world.until(() => client.status().state === 'disconnected');
  server.accepts = false;
  client.reconnect();
  await world.advance(100);
  expect(told).toEqual(['unauthenticated']);
  server.streams[0]?.hello();
  server.streams[0]?.ready();
  await world.advance(10);
  expect(told).toEqual(['unauthenticated', undefined]);
});

test('401 without onUnauthenticated waits for reconnect()', async () => {
  const { server, world, client, recorder } = createBench();
  server.instead.config = [() => errorAnswer(401, 'unauthenticated')];
  const ready = fateOf(client.listen(order, { updated: recorder() }, fresh(world)).ready);
  await world.advance(300_000);
  expect(client.status().state).toBe('disconnected');
  expect(ready.fate).toBe('pending');
  client.reconnect();
  await world.advance(10);
  expect(ready.fate).toBe('resolved');
});

test.each([
  [403, 'forbidden'],
  [403, 'origin'],
  [426, 'upgrade'],
])('%i %s: failed, ready rejects; reconnect() and the next listen() try again', async (status, code) => {
  const { server, world, client, recorder, errors } = createBench();
  server.instead.config = [() => errorAnswer(status, code), () => errorAnswer(status, code)];
  const first = fateOf(client.listen(order, { updated: recorder() }, fresh(world)).ready);
  await world.advance(300_000);
  expect(client.status()).toMatchObject({ state: 'failed', error: { code } });
  expect(first.fate).toBe(code);
  expect(errors).toMatchObject([{ code }]);
  expect(server.requests.length).toBeLessThanOrEqual(2);
  client.reconnect();
  await world.advance(10);
  expect(client.status().state).toBe('failed');
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  expect(client.status().state).toBe('connected');
});

test('close ends everything: ready rejects, nothing runs, no timer stays', async () => {
  const { server, world, client, recorder } = createBench();
  server.accepts = false;
  const seen = recorder();
  const listening = client.listen(order, { updated: seen });
  const { ready } = listening;
  const fate = fateOf(ready);
  await world.until(() => server.streams.length === 1);
  client.close();
  await world.settle();
  expect(fate.fate).toBe('closed');
  expect(client.status().state).toBe('disconnected');
  expect(world.timers).toBe(0);
  expect(server.live()).toHaveLength(0);
  const late = fateOf(client.listen(order, { updated: seen }).ready);
  await world.advance(60_000);
  expect(late.fate).toBe('closed');
  expect(server.streams).toHaveLength(1);
  expect(seen.runs).toEqual([]);
});

test('another user in hello: grants, positions and hints go at once, everything is asked again, listeners refresh', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.config.user = 'user-bob';
  server.streams[0]?.cut();
  await world.until(() => server.streams.length === 3);
  await world.advance(1_000);
  expect(server.streams[1]?.closed).toBe(true);
  expect(server.auths()).toHaveLength(2);
  expect(server.streams[2]?.request).toMatchObject({ channels: { 'Order/42': null }, own: null, grants: ['grant-2'] });
  expect(seen.runs).toMatchObject([{ reason: 'resync' }]);
});

test('the same user under another secret is no other user, whichever node answers', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const names = [
    { user: 'under-the-new', aliases: ['user-ann'] },
    { user: 'user-ann' },
    { user: 'under-the-newest', aliases: ['under-the-new', 'user-ann'] },
    { user: 'under-the-new' },
  ];
  for (const name of names) {
    Object.assign(server.config, { aliases: [] }, name);
    const { length } = server.streams;
    server.streams.at(-1)?.cut();
    await world.until(() => server.streams.length > length && client.status().state === 'connected');
  }
  expect(server.auths()).toHaveLength(1);
  expect(server.streams).toHaveLength(5);
  expect(seen.runs).toEqual([]);
});

test('another user whose right is refused: the listener learns it', async () => {
  const { server, world, client, recorder } = createBench();
  const listening = client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.config.user = 'user-bob';
  server.access = () => 'refused';
  client.reconnect();
  await world.advance(1_000);
  expect(listening.error?.code).toBe('refused');
});

test('an epoch that was left and comes again is reported as split', async () => {
  const { server, world, client, recorder, errors } = createBench();
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  for (const epoch of ['e2', 'e1', 'e2']) {
    server.config.epoch = epoch;
    server.top = `${epoch}:10`;
    const { length } = server.streams;
    server.streams.at(-1)?.cut();
    await world.until(() => server.streams.length > length && client.status().state === 'connected');
  }
  expect(errors.map((error) => 'code' in error && error.code)).toEqual(['split', 'split']);
});

test('an epoch change that the server does not tell refreshes all the same', async () => {
  const { server, world, client, recorder } = createBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.config.epoch = 'e2';
  server.top = 'e2:1';
  server.streams[0]?.cut();
  await world.advance(2_000);
  expect(seen.runs).toMatchObject([{ reason: 'resync' }]);
  server.streams[1]?.notify({ id: '42', position: 'e2:2' });
  await world.advance(2_000);
  expect(seen.runs).toHaveLength(2);
});

test('an adapter that the page does not have: SSE, one warning that names the import', async () => {
  const { server, world, client, recorder, errors } = createBench();
  server.config.provider = 'pusher';
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  server.streams[0]?.cut();
  await world.until(() => server.streams.length === 2);
  expect(client.status()).toMatchObject({ via: 'sse', degraded: true });
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatchObject({
    code: 'configuration',
    message: expect.stringContaining("from 'notify-listen/adapters/pusher/client'"),
  });
});

test('several clients of one page know nothing of each other', async () => {
  const one = createBench();
  const two = createBench();
  const seen = one.recorder();
  one.client.listen(order, { updated: seen }, fresh(one.world));
  two.client.listen(order, { updated: two.recorder() }, fresh(two.world));
  await one.world.until(() => one.client.status().state === 'connected');
  await two.world.until(() => two.client.status().state === 'connected');
  two.client.close();
  one.server.streams[0]?.notify({ id: '42', position: 'e1:11' });
  await one.world.advance(500);
  expect(seen.runs).toHaveLength(1);
});

test('headers are asked for every attempt, and a failing header function is retried', async () => {
  let attempt = 0;
  const { server, world, client, recorder } = createBench({
    headers: async () => {
      attempt += 1;
      if (attempt === 1) throw new Error('token service is down');
      return { authorization: `Bearer ${attempt}` };
    },
  });
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  const sent = server.requests.map(({ headers }) => headers.get('authorization'));
  expect(new Set(sent).size).toBe(sent.length);
  expect(sent.every((value) => value?.startsWith('Bearer'))).toBe(true);
});

test('status is an immutable snapshot, new whenever something in it changed', async () => {
  const { world, client, recorder } = createBench();
  const states: string[] = [];
  const stop = client.onStatus(() => states.push(client.status().state));
  const before = client.status();
  expect(client.status()).toBe(before);
  client.listen(order, { updated: recorder() }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  expect(states).toEqual(['connecting', 'connected']);
  expect(client.status()).not.toBe(before);
  stop();
  client.pause();
  expect(states).toEqual(['connecting', 'connected']);
});

test('routes that are not there: retried for ever, and said once in development', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  const { server, world, client } = createBench();
  const missing = () => new Response('<h1>Not found</h1>', { status: 404 });
  server.instead.config = Array.from({ length: 3 }, () => missing);
  server.instead.auth = Array.from({ length: 3 }, () => missing);
  client.listen(order, { updated: () => {} });
  await world.until(() => client.status().error !== undefined);
  expect(client.status()).toMatchObject({ state: 'reconnecting', error: { code: 'protocol' } });
  await world.until(() => client.status().state === 'connected');
  expect(
    warn.mock.calls.map(([text]) => String(text).includes('/notify-listen/') && String(text).includes('404')),
  ).toEqual([true]);
});
