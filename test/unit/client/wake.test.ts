/** Waking up: what became of a link while nobody looked, the back/forward cache, and clocks and timers that lie. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createListenClient, type Refresh } from '../../../widget/client/index.js';
import { pageLifecycle } from '../../../widget/client/lifecycle.js';
import { createBench, fateOf } from '../../kit/client.js';
import { createScriptedServer, errorAnswer } from '../../kit/scripted-server.js';
import { createTestLifecycle, createTestWorld } from '../../kit/world.js';

const order = { entity: 'Order', id: 42 };
const fresh = (world: { now(): number }) => ({ loadedAt: world.now() });

async function connected(options = {}) {
  const bench = createBench(options);
  const { world, client, recorder } = bench;
  const seen = recorder();
  const listening = client.listen(order, { updated: seen }, fresh(world));
  await world.until(() => client.status().state === 'connected');
  return { ...bench, seen, listening };
}

describe('a page that becomes visible', () => {
  test('a socket that died while it was hidden, without an event: asked at once, from the position', async () => {
    const { server, world, lifecycle, client, seen } = await connected();
    lifecycle.hide();
    await world.advance(20_000);
    server.accepts = false;
    lifecycle.show();
    await world.advance(1);
    const [dead, next] = server.streams;
    expect(next?.request.channels).toEqual({ 'Order/42': 'e1:10' });
    // Nobody has said that the former one is dead: it stays until the new one is ready.
    expect(dead?.closed).toBe(false);
    expect(client.status().state).toBe('connected');
    next?.hello();
    next?.notify({ id: '42', position: 'e1:11' });
    next?.ready('e1:11');
    await world.advance(10);
    expect(dead?.closed).toBe(true);
    expect(seen.runs).toHaveLength(1);
  });

  test('one that was silent for longer than the watchdog allows is dropped at once, also where no timer ran', async () => {
    const { server, world, lifecycle, client } = await connected();
    lifecycle.hide();
    world.sleep(120_000);
    server.accepts = false;
    lifecycle.show();
    await world.advance(1);
    expect(server.streams).toHaveLength(2);
    expect(server.streams[0]?.closed).toBe(true);
    expect(client.status().state).toBe('reconnecting');
  });

  test('a link that was heard just now is trusted, and so is one that has just begun', async () => {
    const { server, world, lifecycle } = await connected();
    server.streams[0]?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
    await world.advance(1_000);
    lifecycle.show();
    await world.advance(1_000);
    expect(server.streams).toHaveLength(1);
    // Some browsers tell a return by several events, each in a turn of its own.
    await world.advance(5_000);
    server.accepts = false;
    lifecycle.wake();
    await world.advance(5);
    lifecycle.show();
    await world.advance(5);
    expect(server.streams.map(({ closed }) => closed)).toEqual([false, false]);
  });

  test('what opened before it was hidden may be as dead as a link: another one takes its place', async () => {
    const { server, world, lifecycle, client, recorder } = createBench();
    server.accepts = false;
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => server.streams.length === 1);
    server.streams[0]?.hello();
    await world.advance(2_500);
    lifecycle.show();
    await world.advance(1);
    expect(server.streams.map(({ closed }) => closed)).toEqual([true, false]);
  });
});

describe('the back/forward cache, and a page that is frozen', () => {
  test('it closes all that it holds, keeps positions and listeners, and reads on from there when it comes back', async () => {
    const { server, world, lifecycle, client, seen } = await connected();
    server.streams[0]?.notify({ id: '42', position: 'e1:11' });
    await world.advance(10);
    lifecycle.leave();
    expect(server.live()).toHaveLength(0);
    await world.settle();
    expect(client.status()).toEqual({ state: 'connecting', degraded: false });
    // Whatever still runs in there opens nothing.
    client.listen({ entity: 'Order', id: 43 }, { updated: () => {} }, fresh(world));
    await world.advance(60_000);
    expect(server.streams).toHaveLength(1);
    expect(server.auths()).toHaveLength(1);

    server.accepts = false;
    lifecycle.wake();
    await world.advance(1);
    const back = server.streams[1];
    expect(back?.request).toMatchObject({ channels: { 'Order/42': 'e1:11' }, own: 'e1:11' });
    back?.hello();
    back?.notify({ id: '42', position: 'e1:12' });
    back?.ready('e1:12');
    await world.advance(200);
    expect(seen.runs.map(({ notification }) => notification?.position)).toEqual(['e1:11', 'e1:12']);
  });

  test('in any order of the events of its return it opens one link', async () => {
    for (const events of [['wake', 'show'], ['show', 'wake'], ['wake', 'wake', 'show'], ['show']] as const) {
      const { server, world, lifecycle, client } = await connected();
      lifecycle.hide();
      lifecycle.leave();
      lifecycle.hide();
      await world.advance(10_000);
      expect(server.streams).toHaveLength(1);
      for (const event of events) lifecycle[event]();
      await world.advance(10);
      expect(server.streams, events.join()).toHaveLength(2);
      expect(client.status().state).toBe('connected');
      client.close();
    }
  });

  test('questions that were under way are asked again', async () => {
    const { server, world, lifecycle, client, recorder } = createBench();
    server.instead.config = [() => new Promise(() => {})];
    server.instead.auth = [() => new Promise(() => {})];
    const ready = fateOf(client.listen(order, { updated: recorder() }, fresh(world)).ready);
    await world.advance(10);
    lifecycle.leave();
    await world.advance(100_000);
    expect(server.requests).toHaveLength(2);
    lifecycle.wake();
    await world.advance(10);
    expect(ready.fate).toBe('resolved');
  });

  test('grants are renewed in time afterwards, and those that ended meanwhile are asked for', async () => {
    const { server, world, lifecycle } = await connected();
    server.accepts = true;
    lifecycle.leave();
    await world.advance(10_000);
    lifecycle.wake();
    const beats = async (count: number) => {
      for (let beat = 0; beat < count; beat++) {
        await world.advance(10_000);
        server.live()[0]?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
      }
    };
    // So that no heartbeat comes in the moment of the renewal: it is at 70 % of 300 s since they were made.
    await world.advance(5_000);
    await beats(19);
    await world.advance(4_000);
    expect(server.auths()).toHaveLength(1);
    await world.advance(2_000);
    expect(server.auths()).toHaveLength(2);
    expect(server.streams).toHaveLength(3);
    lifecycle.leave();
    world.sleep(400_000);
    lifecycle.wake();
    await world.advance(10);
    expect(server.auths()).toHaveLength(3);
    expect(server.streams.at(-1)?.request.grants).toEqual(['grant-3']);
  });

  test('who waits for a login goes on waiting for it', async () => {
    let asked = 0;
    const { server, world, lifecycle, client, listening } = await connected({
      onUnauthenticated: () => {
        asked += 1;
      },
    });
    const out = () => errorAnswer(401, 'unauthenticated');
    server.instead.stream = [out, out, out];
    server.streams[0]?.cut();
    await world.until(() => asked === 1);
    lifecycle.leave();
    await world.advance(60_000);
    server.instead.stream = [];
    lifecycle.wake();
    await world.until(() => client.status().state === 'connected', 31_000);
    expect(listening.error).toBeUndefined();
  });

  test('what is paused stays so; and a client whose last listener left in there starts anew', async () => {
    const { server, world, lifecycle, client, listening, recorder } = await connected();
    client.pause();
    lifecycle.leave();
    lifecycle.wake();
    await world.advance(10_000);
    expect(server.streams).toHaveLength(1);
    client.resume();
    await world.advance(10);
    expect(server.streams).toHaveLength(2);
    lifecycle.leave();
    listening.close();
    await world.advance(2_000);
    expect(client.status().state).toBe('initial');
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => client.status().state === 'connected', 100);
  });

  test('reconnect() is taken for a return: no event is needed', async () => {
    const { world, lifecycle, client } = await connected();
    lifecycle.leave();
    client.reconnect();
    await world.until(() => client.status().state === 'connected', 100);
  });
});

describe('clocks and timers', () => {
  test('a wall clock that is set back means nothing: no link is dropped, no wait is longer', async () => {
    const { server, world, client } = await connected();
    world.sleep(-3_600_000);
    for (let beat = 0; beat < 4; beat++) {
      await world.advance(10_000);
      server.streams[0]?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
    }
    await world.advance(10);
    expect(server.streams).toHaveLength(1);
    server.streams[0]?.cut();
    await world.settle();
    world.sleep(-3_600_000);
    await world.advance(160);
    expect(client.status().state).toBe('connected');
  });

  test('one that goes ahead within a wait: tried at once', async () => {
    const { server, world, client } = await connected();
    server.instead.stream = [() => errorAnswer(503, 'unavailable', { 'retry-after': '300' })];
    server.streams[0]?.cut();
    await world.until(() => (client.status().retryAt ?? 0) > world.now() + 200_000);
    world.sleep(60_000);
    await world.until(() => client.status().state === 'connected', 5_100);
  });

  test('a wait that is over, and whose timer never came: tried at the next thing that happens', async () => {
    for (const route of ['config', 'auth', 'stream']) {
      const { server, world, client, recorder } = createBench();
      server.instead[route] = [() => errorAnswer(503, 'unavailable', { 'retry-after': '60' })];
      client.listen(order, { updated: recorder() }, fresh(world));
      await world.until(() => client.status().retryAt !== undefined);
      // Only the wall clock goes on, as while timers are frozen.
      world.sleep(30_000);
      client.listen({ entity: 'Order', id: 43 }, { updated: recorder() }, fresh(world));
      await world.advance(10);
      expect(client.status().state, route).toBe('reconnecting');
      world.sleep(31_000);
      client.listen({ entity: 'Order', id: 44 }, { updated: recorder() }, fresh(world));
      await world.advance(10);
      expect(client.status(), route).toEqual({ state: 'connected', via: 'sse', degraded: false });
      client.close();
    }
  });

  test('timers of a hidden page that fire once a minute, all at once, in any order: it neither flaps nor asks more, and is fresh when seen', async () => {
    for (const backwards of [false, true]) {
      const server = createScriptedServer();
      const world = createTestWorld((input, init) => server.fetch(input, init));
      const lifecycle = createTestLifecycle();
      // While hidden, timers that are due wait for the next full minute.
      const late = new Map<unknown, { readonly at: number; readonly run: () => void }>();
      const seen: Refresh[] = [];
      const client = createListenClient({
        lifecycle,
        world: {
          ...world,
          setTimeout(run, ms) {
            if (lifecycle.visible()) return world.setTimeout(run, ms);
            const id = Symbol('timer');
            late.set(id, { at: world.monotonic() + Math.max(0, ms || 0), run });
            return id;
          },
          clearTimeout(id) {
            if (!late.delete(id)) world.clearTimeout(id);
          },
          fetch: (input, init) => world.fetch(input, init),
        },
      });
      const minute = async () => {
        for (let beat = 0; beat < 4; beat++) {
          await world.advance(15_000);
          server.live()[0]?.send({ type: 'heartbeat', position: server.top, spread: 0 });
        }
        await world.settle();
        const ripe = [...late].filter(([, { at }]) => at <= world.monotonic());
        if (backwards) ripe.reverse();
        for (const [id, { run }] of ripe) if (late.delete(id)) run();
        await world.settle();
      };
      server.grantLife = 3_600_000;
      client.listen(order, { updated: (refresh) => seen.push(refresh) }, fresh(world));
      await world.until(() => client.status().state === 'connected');
      const states: string[] = [];
      client.onStatus(() => states.push(client.status().state));
      lifecycle.hide();
      for (let round = 0; round < 3; round++) await minute();
      expect([server.streams.length, states]).toEqual([1, []]);
      server.top = 'e1:11';
      server.streams[0]?.cut();
      // The wait, then the end of the tick: a minute each.
      for (let round = 0; round < 3; round++) await minute();
      expect([server.streams.length, client.status().state]).toEqual([2, 'connected']);
      server.streams[1]?.cut();
      await world.settle();
      server.accepts = false;
      lifecycle.show();
      await world.advance(10);
      const [, , stream] = server.streams;
      expect(stream?.request.channels).toEqual({ 'Order/42': 'e1:11' });
      stream?.hello();
      stream?.notify({ id: '42', position: 'e1:12' });
      stream?.ready('e1:12');
      await world.advance(200);
      expect(seen.map(({ notification }) => notification?.position)).toEqual(['e1:12']);
      // What was due while it was hidden comes now, all at once.
      for (const [, { run }] of [...late].reverse()) run();
      await world.advance(1_000);
      expect([server.streams.length, client.status().state]).toEqual([3, 'connected']);
      client.close();
    }
  });
});

describe('what the page tells', () => {
  afterEach(() => vi.unstubAllGlobals());

  function page(visibilityState: DocumentVisibilityState, more: object = {}) {
    const document = Object.assign(new EventTarget(), { visibilityState, ...more });
    const window = new EventTarget();
    const registered: string[] = [];
    for (const target of [document, window]) {
      const { addEventListener } = target;
      target.addEventListener = (type: string, ...rest: [never, never]) => {
        registered.push(type);
        addEventListener.call(target, type, ...rest);
      };
    }
    vi.stubGlobal('document', document);
    vi.stubGlobal('window', window);
    vi.stubGlobal('addEventListener', window.addEventListener);
    return { document, window, registered };
  }

  test('each event, and nothing once nobody watches', () => {
    const { document, window } = page('visible');
    const lifecycle = pageLifecycle();
    const told: string[] = [];
    const stop = lifecycle.watch((what) => told.push(what));
    const show = (visibilityState: DocumentVisibilityState) => {
      document.visibilityState = visibilityState;
      document.dispatchEvent(new Event('visibilitychange'));
    };
    const transition = (type: string, persisted: boolean) =>
      window.dispatchEvent(Object.assign(new Event(type), { persisted }));
    transition('pageshow', false);
    expect(told).toEqual([]);
    show('hidden');
    expect(lifecycle.visible()).toBe(false);
    document.dispatchEvent(new Event('freeze'));
    document.dispatchEvent(new Event('resume'));
    show('visible');
    expect(lifecycle.visible()).toBe(true);
    transition('pagehide', true);
    transition('pageshow', true);
    transition('pagehide', false);
    window.dispatchEvent(new Event('online'));
    window.dispatchEvent(new Event('offline'));
    expect(told).toEqual(['hidden', 'gone', 'wake', 'visible', 'gone', 'wake', 'gone', 'wake']);
    stop();
    show('hidden');
    transition('pagehide', true);
    expect(told).toHaveLength(8);
  });

  test('nothing that would keep a page out of the back/forward cache is registered', () => {
    const { registered } = page('visible');
    pageLifecycle().watch(() => {});
    expect(registered.sort()).toEqual(['freeze', 'online', 'pagehide', 'pageshow', 'resume', 'visibilitychange']);
  });

  test('a page that is rendered ahead, or hidden from its start, connects, and runs once when it is seen', async () => {
    const { document } = page('hidden', { prerendering: true });
    const { server, world, client, recorder } = createBench({ lifecycle: pageLifecycle() });
    const seen = recorder();
    client.listen(order, { updated: seen }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    for (const position of ['e1:11', 'e1:12'] as const) server.streams[0]?.notify({ id: '42', position });
    await world.advance(10_000);
    expect(seen.runs).toEqual([]);
    Object.assign(document, { visibilityState: 'visible', prerendering: false });
    document.dispatchEvent(new Event('visibilitychange'));
    await world.advance(100);
    expect(seen.runs).toMatchObject([{ merged: 2 }]);
    client.close();
  });

  test('a browser that says it is offline is not believed', async () => {
    page('visible');
    vi.stubGlobal('navigator', { onLine: false });
    const { world, client, recorder } = createBench({ lifecycle: pageLifecycle() });
    client.listen(order, { updated: recorder() }, fresh(world));
    await world.until(() => client.status().state === 'connected');
    client.close();
  });

  test('where there is no page it is always visible, and nothing ever wakes', () => {
    vi.stubGlobal('document', undefined);
    const lifecycle = pageLifecycle();
    expect(lifecycle.visible()).toBe(true);
    expect(lifecycle.watch(() => expect.unreachable())()).toBeUndefined();
  });
});
