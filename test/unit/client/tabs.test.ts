/** One connection for all tabs of a browser. The numbers in the titles are those of the races in docs/tabs.md. */
import { expect, test } from 'vitest';
import {
  createListenClient,
  type ListenClient,
  type ListenClientOptions,
  type Refresh,
} from '../../../widget/client/index.js';
import { createHostedBench } from '../../kit/hosted.js';
import { createScriptedServer, type ScriptedServer } from '../../kit/scripted-server.js';
import { createTestBrowser, type TestBrowser, type TestTab } from '../../kit/tabs.js';
import { createTestLifecycle, createTestWorld, type TestLifecycle, type TestWorld } from '../../kit/world.js';

interface Page {
  readonly tab: TestTab;
  readonly client: ListenClient;
  readonly lifecycle: TestLifecycle;
  readonly errors: Error[];
  readonly runs: Refresh[];
  /** Listens to an order and records its runs. */
  listen(id?: number): ReturnType<ListenClient['listen']>;
  state(): string;
}

interface Bench {
  readonly server: ScriptedServer;
  readonly world: TestWorld;
  readonly browser: TestBrowser;
  page(options?: ListenClientOptions): Page;
  /** A page whose listener is ready. */
  ready(options?: ListenClientOptions): Promise<Page>;
  /** Notifies on the newest live stream. */
  notify(offset: number, id?: string): void;
}

function createBench(): Bench {
  const server = createScriptedServer();
  const world = createTestWorld((input, init) => server.fetch(input, init));
  const browser = createTestBrowser();
  let chance = 0;
  // Tabs must have names of their own.
  world.random = () => {
    chance = (chance + 0.137) % 1;
    return chance;
  };
  const bench: Bench = {
    server,
    world,
    browser,
    page(options = {}) {
      const tab = browser.tab();
      const lifecycle = createTestLifecycle();
      const errors: Error[] = [];
      const runs: Refresh[] = [];
      const client = createListenClient({
        world,
        lifecycle,
        tabs: tab.tabs,
        onError: (error) => errors.push(error as Error),
        ...options,
      });
      return {
        tab,
        client,
        lifecycle,
        errors,
        runs,
        listen: (id = 42) =>
          client.listen({ entity: 'Order', id }, { '*': (refresh) => runs.push(refresh) }, { loadedAt: world.now() }),
        state: () => client.status().state,
      };
    },
    async ready(options) {
      const page = bench.page(options);
      page.listen();
      await world.until(() => page.state() === 'connected');
      return page;
    },
    notify(offset, id = '42') {
      server
        .live()
        .at(-1)
        ?.notify({ id, position: `e1:${offset}` });
    },
  };
  return bench;
}

/** Advances until every page has so many runs. */
async function untilRan(world: TestWorld, pages: readonly Page[], runs: number): Promise<void> {
  await world.until(() => pages.every((page) => page.runs.length >= runs), 5_000);
  expect(pages.map((page) => page.runs.length)).toEqual(pages.map(() => runs));
}

test('row 42: twenty tabs hold one connection, and each refreshes once', async () => {
  const { server, world, ready, notify } = createBench();
  const pages: Page[] = [];
  for (let count = 0; count < 20; count++) pages.push(await ready());
  expect(server.live()).toHaveLength(1);
  notify(11);
  await untilRan(world, pages, 1);
  notify(12);
  await untilRan(world, pages, 2);
  expect(pages.flatMap((page) => page.errors)).toEqual([]);
});

test('tabs that open in one moment share an opening', async () => {
  const { server, world, page, notify } = createBench();
  const pages = Array.from({ length: 20 }, () => page());
  for (const each of pages) each.listen();
  await world.until(() => pages.every((each) => each.state() === 'connected'));
  expect(server.live()).toHaveLength(1);
  expect(server.streams.length).toBeLessThanOrEqual(3);
  notify(11);
  await untilRan(world, pages, 1);
});

test('different objects of different tabs go over the one connection, and to whom they concern', async () => {
  const { server, world, page, ready, notify } = createBench();
  const one = await ready();
  const two = page();
  two.listen(43);
  await world.until(() => two.state() === 'connected');
  expect(server.live()).toHaveLength(1);
  expect(server.live()[0]?.channels.sort()).toEqual(['Order/42', 'Order/43']);
  notify(11, '43');
  notify(12, '42');
  await untilRan(world, [one, two], 1);
  expect(two.runs[0]?.notification?.id).toBe('43');
  expect(one.runs[0]?.notification?.id).toBe('42');
});

test.each(['closed', 'killed'] as const)(
  'row 42: a leader that is %s is replaced, from the positions of each',
  async (end) => {
    const { server, world, ready, notify } = createBench();
    const leader = await ready();
    const pages = [await ready(), await ready()];
    notify(11);
    await untilRan(world, pages, 1);
    if (end === 'closed') leader.client.close();
    else {
      leader.tab.kill();
      // Its process is gone, and its socket with it.
      server.live()[0]?.cut();
      leader.client.close();
    }
    await world.until(() => server.live().some(({ request }) => request.channels['Order/42'] === 'e1:11'), 2_000);
    await world.advance(500);
    expect(server.live()).toHaveLength(1);
    expect(pages.map((page) => page.state())).toEqual(['connected', 'connected']);
    notify(12);
    await untilRan(world, pages, 2);
  },
);

test('races 1, 2, 6: a frozen leader is replaced; thawed it follows, and loses nothing', async () => {
  const { server, world, ready, notify } = createBench();
  const leader = await ready();
  const page = await ready();
  leader.tab.freeze();
  const before = server.streams.length;
  await world.until(() => server.streams.length > before, 20_000);
  await world.until(() => page.state() === 'connected');
  await world.advance(1_000);
  notify(11);
  await untilRan(world, [page], 1);
  leader.tab.thaw();
  leader.lifecycle.wake();
  await world.until(() => server.live().length === 1, 5_000);
  server.top = 'e1:11';
  notify(12);
  await world.until(() => leader.runs.length > 0 && page.runs.length === 2, 5_000);
  expect(leader.state()).toBe('connected');
});

test('race 4: a leader that stays hidden gives way to a tab that can be seen', async () => {
  const { server, world, ready, notify } = createBench();
  const leader = await ready();
  const page = await ready();
  const before = server.streams.length;
  leader.lifecycle.hide();
  await world.until(() => server.streams.length > before, 20_000);
  await world.advance(1_000);
  expect(server.live()).toHaveLength(1);
  // The stream is the visible tab's: without the former leader it lives on.
  leader.client.close();
  await world.settle();
  expect(server.live()).toHaveLength(1);
  notify(11);
  await untilRan(world, [page], 1);
});

test('a hidden leader among hidden tabs stays', async () => {
  const { server, world, ready } = createBench();
  const pages = [await ready(), await ready()];
  for (const { lifecycle } of pages) lifecycle.hide();
  const before = server.streams.length;
  const beats = server.live()[0];
  for (let beat = 0; beat < 20; beat++) {
    await world.advance(10_000);
    beats?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
  }
  // Renewals of grants open streams; nobody else may.
  expect(server.streams.length - before).toBeLessThanOrEqual(2);
});

test('race 11: the real link fails; the browser tries as one, and all come back together', async () => {
  const { server, world, ready, notify } = createBench();
  const pages = [await ready(), await ready(), await ready()];
  const gone = () => new Response('gone', { status: 502 });
  server.instead.stream = [gone, gone, gone];
  const before = server.streams.length;
  server.live()[0]?.cut();
  await world.until(() => pages.every((page) => page.state() === 'reconnecting'));
  await world.until(() => pages.every((page) => page.state() === 'connected'));
  expect(server.instead.stream).toEqual([]);
  expect(server.streams.length - before).toBeLessThanOrEqual(2);
  expect(server.live()).toHaveLength(1);
  notify(11);
  await untilRan(world, pages, 1);
});

test('race 12: a refused object of one tab does not touch the others', async () => {
  const { server, world, ready, page, notify } = createBench();
  const one = await ready();
  const two = page();
  two.listen(43);
  await world.until(() => two.state() === 'connected');
  server.live()[0]?.send({ type: 'refused', channels: ['Order/43'] });
  await world.until(() => two.errors.length > 0);
  expect(two.errors).toMatchObject([{ code: 'refused' }]);
  expect(one.errors).toEqual([]);
  notify(11);
  await untilRan(world, [one], 1);
  expect(two.runs).toEqual([]);
});

test('race 13: another user in one tab; the others stay apart', async () => {
  const { server, world, ready, page } = createBench();
  await ready();
  server.config.user = 'user-ben';
  const ben = page();
  ben.listen();
  await world.until(() => ben.state() === 'connected');
  expect(server.live()).toHaveLength(2);
  const [anns, bens] = server.live();
  anns?.notify({ id: '42', position: 'e1:11' });
  await world.advance(1_000);
  expect(ben.runs).toEqual([]);
  bens?.notify({ id: '42', position: 'e1:12' });
  await untilRan(world, [ben], 1);
});

test('race 14: a tab that died in silence is left out', async () => {
  const { server, world, ready, page } = createBench();
  const one = await ready();
  const dead = page();
  dead.listen(43);
  await world.until(() => dead.state() === 'connected');
  dead.tab.kill();
  // Its timers are as dead as it is.
  dead.client.pause();
  for (let count = 0; count < 16; count++) {
    await world.advance(10_000);
    server.live().at(-1)?.send({ type: 'heartbeat', position: 'e1:10', spread: 0 });
  }
  const [held] = server.live();
  expect(held?.channels).toEqual(['Order/42', 'Order/43']);
  one.lifecycle.wake();
  await world.until(() => server.live()[0] !== held);
  await world.advance(500);
  expect(server.live().map(({ channels }) => channels)).toEqual([['Order/42']]);
});

test('race 15: what does not fit gets a connection of its own', async () => {
  const { server, world, ready, page } = createBench();
  const one = await ready();
  const two = page();
  for (let id = 1000; id < 2000; id++) two.listen(id);
  await world.until(() => two.state() === 'connected');
  expect(server.live()).toHaveLength(2);
  server.live().at(-1)?.notify({ id: '1500', position: 'e1:11' });
  await untilRan(world, [two], 1);
  server.live()[0]?.notify({ id: '42', position: 'e1:12' });
  await untilRan(world, [one], 1);
});

test('race 15: a server that takes less than what is usual', async () => {
  const { server, world, ready, page } = createBench();
  await ready();
  const { fetch } = server;
  world.network = (input, init) =>
    String(input).endsWith('/stream') && Object.keys(JSON.parse(String(init?.body)).channels).length > 1
      ? Promise.resolve(Response.json({ error: { code: 'too-large', message: 'too many' } }, { status: 413 }))
      : fetch(input, init);
  const two = page();
  two.listen(43);
  await world.until(() => two.state() === 'connected');
  expect(server.live()).toHaveLength(2);
});

test('race 16: locks that throw, and locks that are never given', async () => {
  const { server, world, page, browser } = createBench();
  const { tabs } = browser.tab();
  const one = page({
    tabs: { ...tabs, request: () => Promise.reject(new DOMException('opaque origin', 'SecurityError')) },
  });
  one.listen();
  await world.until(() => one.state() === 'connected');
  expect(one.errors).toMatchObject([{ name: 'SecurityError' }, {}].slice(0, one.errors.length));
  browser.locks = false;
  const two = page();
  two.listen();
  await world.until(() => two.state() === 'connected', 30_000);
  expect(server.live()).toHaveLength(2);
});

test('without sharing every tab has a connection', async () => {
  const { server, ready } = createBench();
  await ready({ tabs: false });
  await ready({ tabs: false });
  expect(server.live()).toHaveLength(2);
});

test('nothing stays: locks, channels and timers go with the last link', async () => {
  const { server, world, browser, ready } = createBench();
  const pages = [await ready(), await ready()];
  for (const page of pages) page.client.close();
  await world.settle();
  expect(server.live()).toEqual([]);
  expect(world.timers).toBe(0);
  const { messages } = browser;
  // The lock is free: the next one leads at once, without asking anybody twice.
  const next = await ready();
  expect(browser.messages - messages).toBeLessThan(10);
  next.client.close();
});

test('two copies on one page do not loop', async () => {
  const { server, world, browser, ready, notify } = createBench();
  const pages = [await ready(), await ready()];
  const streams = server.streams.length;
  const { messages } = browser;
  notify(11);
  await untilRan(world, pages, 1);
  await world.advance(10_000);
  expect(server.streams.length).toBe(streams);
  expect(browser.messages - messages).toBeLessThan(12);
});

test('a tab that leaves is left out of what is opened next', async () => {
  const { server, world, ready, page } = createBench();
  const one = await ready();
  const two = page();
  two.listen(43);
  await world.until(() => two.state() === 'connected');
  const [held] = server.live();
  two.client.pause();
  await world.advance(3_000);
  expect(server.live()).toEqual([held]);
  one.lifecycle.wake();
  await world.until(() => server.live()[0] !== held);
  await world.advance(500);
  expect(server.live().map(({ channels }) => channels)).toEqual([['Order/42']]);
});

test('race 11: a stream that says goodbye and is served on is followed by one opening for all', async () => {
  const { server, world, ready, notify } = createBench();
  const pages = [await ready(), await ready(), await ready()];
  const [held] = server.live();
  const streams = server.streams.length;
  held?.send({ type: 'goodbye', within: 1_000, lasts: 5_000 });
  await world.until(() => server.live()[0] !== held);
  held?.end();
  await world.advance(3_000);
  expect(server.streams.length - streams).toBe(1);
  expect(pages.map((page) => page.state())).toEqual(pages.map(() => 'connected'));
  notify(11);
  await untilRan(world, pages, 1);
});

test('race 11: a stream that ends with its goodbye is replaced by at most two', async () => {
  const { server, world, ready, notify } = createBench();
  const pages = [await ready(), await ready(), await ready()];
  const streams = server.streams.length;
  server.live()[0]?.send({ type: 'goodbye', within: 2_000 });
  server.live()[0]?.end();
  await world.advance(5_000);
  expect(server.live()).toHaveLength(1);
  expect(server.streams.length - streams).toBeLessThanOrEqual(3);
  notify(11);
  await untilRan(world, pages, 1);
});

test('over a provider: one connection for all tabs; when it dies they fall back together, say so, and return', async () => {
  const browser = createTestBrowser();
  const first = createHostedBench({ tabs: browser.tab().tabs });
  const { world, provider, log } = first;
  // Tabs must have names of their own.
  let chance = 0;
  world.random = () => {
    chance = (chance + 0.137) % 1;
    return chance;
  };
  const second = createListenClient({
    world,
    lifecycle: createTestLifecycle(),
    adapters: [provider],
    tabs: browser.tab().tabs,
  });
  const clients = [first.client, second];
  const seen = clients.map((client) => {
    const recorder = first.recorder();
    client.listen({ entity: 'Order', id: 42 }, { '*': recorder }, { loadedAt: world.now() });
    return recorder;
  });
  const arrive = (via: string) =>
    world.until(() => clients.every((client) => client.status().via === via && client.status().state === 'connected'));
  await arrive('pusher');
  expect(provider.lines.filter((line) => !line.closed)).toHaveLength(1);
  log.notify({ entity: 'Order', id: '42' });
  await world.until(() => seen.every(({ runs }) => runs.length === 1));
  provider.line.down();
  await arrive('sse');
  expect(clients.map((client) => client.status().degraded)).toEqual([true, true]);
  expect(first.server.live()).toHaveLength(1);
  log.append({ entity: 'Order', id: '42' });
  await world.until(() => seen.every(({ runs }) => runs.length === 2));
  provider.line.attach();
  await arrive('pusher');
  log.notify({ entity: 'Order', id: '42' });
  await world.until(() => seen.every(({ runs }) => runs.length === 3));
  await world.advance(5_000);
  expect(seen.map(({ runs }) => runs.length)).toEqual([3, 3]);
  expect(first.server.live()).toHaveLength(0);
});

test('a page that was rendered before the log changed, and joins tabs that know the new one: in doubt', async () => {
  const { server, world, page, ready } = createBench();
  server.config.epoch = 'e2';
  server.top = 'e2:3';
  const one = await ready();
  const two = page();
  two.client.listen(
    { entity: 'Order', id: 42 },
    { '*': (refresh) => two.runs.push(refresh) },
    { position: 'e1:9' as never },
  );
  await world.until(() => two.state() === 'connected');
  await world.until(() => two.runs.length > 0, 5_000);
  expect(two.runs.map(({ reason }) => reason)).toEqual(['load']);
  expect(server.live()).toHaveLength(1);
  expect(one.runs).toEqual([]);
});

test('over a provider that brings what is of another log: asked for, and not in a loop', async () => {
  const { world, log, client, recorder } = createHostedBench({ tabs: createTestBrowser().tab().tabs });
  client.listen({ entity: 'Order', id: 42 }, { '*': recorder() }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  // The node that answers has not heard of it yet.
  const hello = { type: 'hello', protocol: 1, epoch: 'e1', user: 'user-ann', heartbeat: 15_000, spread: 0 };
  const events = [hello, { type: 'ready', position: 'e1:10', known: 400_000, latest: {} }];
  log.insteadOfReads.push(...Array.from({ length: 300 }, () => () => Response.json({ events })));
  for (let count = 1; count <= 200; count++) {
    log.carry(log.append({ entity: 'Order', id: '42' }, 'updated', { position: `e2:${count}` }));
    await world.advance(50);
  }
  const reads = 300 - log.insteadOfReads.length;
  expect(reads).toBeGreaterThan(2);
  expect(reads).toBeLessThan(25);
});
