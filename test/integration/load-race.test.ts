/**
 * The load race, exactly: a server renders, a page listens, and a change falls anywhere between. Runs the samples of
 * docs/server-rendering.md: Express with a script, and a loader with a client component (react-dom/server, hydrated).
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Window } from 'happy-dom';
import { createListenClient, type ListenClient } from 'notify-listen/client';
import { createNotifier, type Notifier, type Position } from 'notify-listen/server';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createApp } from '../docs/server-rendering/express-page.js';
import { loadOrder } from '../docs/server-rendering/loader.js';
import { listenToOrder } from '../docs/server-rendering/order-page.js';
import { SECRET } from '../kit/server.js';

const WAIT = { timeout: 10_000, interval: 5 };

/** What React and the client look for in a page; `navigator` has only a getter from Node 21 on. */
function becomePage(): void {
  const window = new Window();
  vi.stubGlobal('window', window);
  vi.stubGlobal('document', window.document);
  vi.stubGlobal('navigator', window.navigator);
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));
}

interface Site {
  readonly origin: string;
  readonly notifier: Notifier;
  /** The database has it, and then the notification is out. */
  change(): Promise<void>;
  /** The two apart. */
  commit(): void;
  notify(): Promise<void>;
  state(): string;
  read(id: string): Promise<{ id: string; state: string }>;
  /** Called in the moment between the position and the read. */
  beforeRead: () => Promise<void>;
  /** How often the page's own API was asked. */
  reads(): number;
}

async function site(options: { historyCap?: number } = {}): Promise<Site> {
  const notifier = createNotifier({
    user: () => 'ann',
    canListen: { Order: { one: () => true } },
    env: { NOTIFY_LISTEN_SECRET: SECRET },
    logger: () => {},
    ...options,
  });
  let version = 1;
  let reads = 0;
  const made: Omit<Site, 'origin'> = {
    notifier,
    beforeRead: async () => {},
    state: () => `version ${version}`,
    reads: () => reads,
    commit: () => {
      version += 1;
    },
    async notify() {
      await notifier.notify('changed', { entity: 'Order', id: 42 });
    },
    async change() {
      made.commit();
      await made.notify();
    },
    async read(id) {
      await made.beforeRead();
      return { id, state: made.state() };
    },
  };
  const app = createApp(notifier, { read: (id) => made.read(id) });
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/')) reads += 1;
    app(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    await notifier.close({ within: 0 });
    server.close();
    server.closeAllConnections();
  });
  return Object.assign(made, { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

/** A page as its server made it; `listen` is what its script does, and `shown` what a person reads. */
interface Rendered {
  listen(): Promise<void>;
  shown(): string | null | undefined;
}

async function expressPage({ origin }: Site): Promise<Rendered> {
  const html = await (await fetch(`${origin}/orders/42`)).text();
  const { document } = new Window();
  document.write(html);
  const page = document as unknown as Document;
  return {
    shown: () => page.querySelector('output')?.textContent,
    async listen() {
      const listening = listenToOrder(page, origin);
      onTestFinished(() => listening.close());
      await listening.ready;
    },
  };
}

async function hydratedPage({ origin, notifier, read }: Site): Promise<Rendered> {
  if (!('document' in globalThis)) becomePage();
  const [{ createElement: h }, { renderToString }, { hydrateRoot }, { ListenProvider }, { OrderView }] =
    await Promise.all([
      import('react'),
      import('react-dom/server'),
      import('react-dom/client'),
      import('notify-listen/react'),
      import('../docs/server-rendering/order-view.js'),
    ]);
  const getOrder = async (id: string): Promise<{ id: string; state: string }> =>
    (await fetch(`${origin}/api/orders/${id}`)).json();
  // What a framework sends to the page as JSON, besides the markup.
  const props = JSON.parse(JSON.stringify(await loadOrder(notifier, { read }, '42')));
  const view = (client: ListenClient) => h(ListenProvider, { client }, h(OrderView, { ...props, getOrder }));
  const onServer = createListenClient({ url: `${origin}/notify-listen`, tabs: false });
  const root = document.createElement('div');
  root.innerHTML = renderToString(view(onServer));
  return {
    shown: () => root.querySelector('output')?.textContent,
    async listen() {
      const client = createListenClient({ url: `${origin}/notify-listen`, tabs: false });
      const mounted = hydrateRoot(root, view(client));
      onTestFinished(() => {
        mounted.unmount();
        client.close();
      });
      await vi.waitFor(() => expect(client.status().state).toBe('connected'), WAIT);
    },
  };
}

const PAGES = [
  ['Express', expressPage],
  ['a loader and a client component', hydratedPage],
] as const;

describe.each(PAGES)('a server renders with position(): %s', (_how, render) => {
  /** Renders and listens; `at` is called at each point of the way. */
  async function visit(made: Site, at: (point: string) => Promise<void>): Promise<Rendered> {
    await at('before position()');
    made.beforeRead = () => at('between position() and the read');
    const page = await render(made);
    made.beforeRead = async () => {};
    await at('between the read and the listening');
    await page.listen();
    await at('after it listens');
    return page;
  }

  test.each([
    ['before position()', 0],
    ['between position() and the read', 1],
    ['between the read and the listening', 1],
    ['after it listens', 1],
  ] as const)('a change %s: the page is fresh, after %i refreshes', async (where, refreshes) => {
    const made = await site();
    await made.notifier.position();
    const page = await visit(made, async (point) => {
      if (point !== where) return;
      await made.change();
      await made.notifier.position();
    });
    await vi.waitFor(() => expect(page.shown()).toBe(made.state()), WAIT);
    await vi.waitFor(() => expect(made.reads()).toBeGreaterThanOrEqual(refreshes), WAIT);
    // Another change is one more: had something run without a cause, it would be counted here.
    await made.change();
    await vi.waitFor(() => expect(page.shown()).toBe('version 3'), WAIT);
    expect(made.reads()).toBe(refreshes + 1);
  });

  test('a change whose commit and notification lie on either side of the load: fresh, whatever lies between', async () => {
    const points = [
      'before position()',
      'between position() and the read',
      'between the read and the listening',
      'after it listens',
    ];
    for (const [from, first] of points.entries()) {
      for (const second of points.slice(from)) {
        const made = await site();
        const page = await visit(made, async (point) => {
          if (point === first) made.commit();
          if (point === second) await made.notify();
        });
        await vi.waitFor(() => expect(page.shown()).toBe('version 2'), WAIT);
      }
    }
  });

  test('nothing changed, however much else did: no refresh at all', async () => {
    const made = await site();
    const others = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) await made.notifier.notify('changed', { entity: 'Order', id: 1_000 + n });
    };
    const page = await visit(made, others);
    expect(page.shown()).toBe('version 1');
    await made.change();
    await vi.waitFor(() => expect(page.shown()).toBe('version 2'), WAIT);
    expect(made.reads()).toBe(1);
  });

  test('without a position (the log was not reached yet): the page loads all the same, and is fresh', async () => {
    const made = await site();
    vi.spyOn(made.notifier, 'position').mockRejectedValue(new Error('not reached yet'));
    const page = await visit(made, async (point) => {
      if (point === 'between the read and the listening') await made.change();
    });
    await vi.waitFor(() => expect(page.shown()).toBe('version 2'), WAIT);
  });
});

describe('a position that says nothing', () => {
  /** Listens, waits for so many refreshes, and returns the reasons of all that came until a notification's. */
  const open = async (made: Site, position: Position, refreshes: number): Promise<string[]> => {
    const reasons: string[] = [];
    const client = createListenClient({ url: `${made.origin}/notify-listen`, tabs: false });
    onTestFinished(() => client.close());
    const listening = client.listen(
      { entity: 'Order', id: 42 },
      { '*': ({ reason }) => void reasons.push(reason) },
      { position },
    );
    await listening.ready;
    // A notification that came before the refresh has run would be the same one.
    await vi.waitFor(() => expect(reasons.length).toBeGreaterThanOrEqual(refreshes), WAIT);
    await made.notify();
    await vi.waitFor(() => expect(reasons.at(-1)).toBe('notification'), WAIT);
    return reasons;
  };

  test('of an older epoch (the server was restarted after it rendered): one refresh', async () => {
    expect(await open(await site(), 'epoch-of-before:7', 1)).toEqual(['load', 'notification']);
  });

  test('below the floor (the page was kept for longer than the retention): one refresh', async () => {
    const made = await site({ historyCap: 4 });
    const position = await made.notifier.position();
    for (let n = 0; n < 20; n++) await made.notifier.notify('changed', { entity: 'Order', id: 1_000 + n });
    expect(await open(made, position, 1)).toEqual(['load', 'notification']);
  });

  test('a good one: none', async () => {
    const made = await site();
    expect(await open(made, await made.notifier.position(), 0)).toEqual(['notification']);
  });
});

test('`loadedAt`, where the page loads its data itself: a change after it is one refresh, one before it none', async () => {
  const made = await site();
  await made.notify();
  await new Promise((resolve) => setTimeout(resolve, 20));
  const loadedAt = Date.now();
  const client = createListenClient({ url: `${made.origin}/notify-listen`, tabs: false });
  onTestFinished(() => client.close());
  const runs: string[] = [];
  const listen = (): Promise<void> =>
    client.listen({ entity: 'Order', id: 42 }, { '*': ({ reason }) => void runs.push(reason) }, { loadedAt }).ready;
  await listen();
  expect(runs).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await made.notify();
  await vi.waitFor(() => expect(runs).toEqual(['notification']), WAIT);
  // A second listener with data from before that change.
  await listen();
  await vi.waitFor(() => expect(runs).toEqual(['notification', 'load']), WAIT);
});
