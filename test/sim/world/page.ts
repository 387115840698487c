/** A tab: the shipped client on a virtual page, with listeners that refetch over the same line as everything else. */
import type { ProviderClientAdapter } from '../../../adapters/provider.js';
import {
  createListenClient,
  type Lifecycle,
  type ListenClient,
  type Listening,
  type Refresh,
} from '../../../widget/client/index.js';
import type { ListenerPlan, TabPlan } from '../history/types.js';
import type { Clock, Owner } from '../kernel/clock.js';
import { EPOCH_TIME } from '../kernel/globals.js';
import type { App } from './app.js';
import { type Client, type Line, type Network, newLine } from './network.js';
import type { BrowserTabs } from './tabs.js';

type Moment = Parameters<Parameters<Lifecycle['watch']>[0]>[0];

/** What the pages of one browser share. */
export interface Browser {
  user: string | undefined;
  /** Since when, in milliseconds. */
  since: number;
  /** How far its clocks are off. */
  wall: number;
  mono: number;
  /** Where its tabs share a connection. */
  readonly tabs: BrowserTabs | undefined;
}

/** One row of a listener, as the oracle sees it. */
export interface Row {
  readonly listener: Mounted;
  readonly actions: readonly string[];
  /** The change up to which the page shows everything that concerns this row. */
  shown: number;
  /** Who was logged in when it was read. */
  reader: string | undefined;
  /** When its data was loaded first. */
  loadedAt: number;
  /** Runs by reason, and the notifications that successful runs stood for. */
  readonly runs: Record<Refresh['reason'], number>;
  merged: number;
}

export interface Mounted {
  readonly plan: ListenerPlan;
  readonly page: Page;
  rows: readonly Row[];
  listening: Listening | undefined;
}

export interface Page extends Client {
  readonly index: number;
  readonly plan: TabPlan;
  readonly browser: Browser;
  readonly line: Line;
  readonly owner: Owner;
  readonly listeners: readonly Mounted[];
  client: ListenClient | undefined;
  alive: boolean;
  /** Refetches fail. */
  spoiled: boolean;
  show(): void;
  hide(): void;
  wake(): void;
  /** The page is about to be frozen, or put away. */
  leave(): void;
  readonly visible: boolean;
  /** Listeners that the client has on the page. */
  watchers(): number;
  open(position?: string): void;
  mount(listener: Mounted): void;
  close(): void;
  readonly errors: unknown[];
}

export interface PageOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly app: App;
  /** Whose tasks those of the application's own server are. */
  readonly server: Owner;
  readonly adapters: (page: Client) => readonly ProviderClientAdapter[];
  /** Told of each run that begins. */
  readonly ran: (row: Row, refresh: Refresh) => void;
  /** Told of what the client says about its transport. */
  readonly via: (page: Page, via: string | undefined) => void;
}

/** How long an application waits for its own server, in milliseconds. */
const PATIENCE = 10_000;

export function createPage(
  index: number,
  plan: TabPlan,
  browser: Browser,
  startedAt: number,
  { clock, network, app, server, adapters, ran, via }: PageOptions,
): Page {
  const owner = clock.owner(`tab ${index}`);
  const line = newLine(plan.latency, plan.jitter);
  const watchers = new Set<(what: Moment) => void>();
  let visible = true;
  const tell = (what: Moment): void => {
    for (const watcher of [...watchers]) watcher(what);
  };
  const lifecycle: Lifecycle = {
    visible: () => visible,
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
  };

  /** A read of the application's data, begun now. */
  function refetch(row: Row, refresh: Refresh): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (ms: number): void => void clock.after(owner, ms, () => reject(new Error('the refetch failed')));
      if (!clock.effect(owner)) return;
      const way = (): number => line.latency + owner.random.int(0, line.jitter);
      if (line.way === 'refused') return fail(owner.random.int(1, 30));
      if (line.way === 'void') return fail(PATIENCE);
      clock.after(server, way(), () => {
        const read = app.commit();
        const reader = browser.user;
        const spoiled = page.spoiled || page.line.answers !== undefined;
        clock.after(owner, way(), () => {
          if (spoiled) return reject(new Error('the refetch failed'));
          row.shown = read;
          row.reader = reader;
          row.merged += refresh.merged;
          resolve();
        });
      });
    });
  }

  const page: Page = {
    index,
    plan,
    browser,
    owner,
    line,
    user: () => browser.user,
    connections: new Set(),
    requests: {},
    listeners: [],
    client: undefined,
    alive: false,
    spoiled: false,
    errors: [],
    get visible() {
      return visible;
    },
    show() {
      if (visible) return;
      visible = true;
      owner.throttle = 0;
      tell('visible');
    },
    hide() {
      if (!visible) return;
      visible = false;
      // Browsers let timers of hidden pages fire once a second.
      owner.throttle = 1_000;
      tell('hidden');
    },
    wake: () => tell('wake'),
    leave: () => tell('gone'),
    watchers: () => watchers.size,
    open(position) {
      page.alive = true;
      const client = createListenClient({
        world: {
          now: () => EPOCH_TIME + clock.now() + browser.wall,
          monotonic: () => clock.now() - startedAt + browser.mono + 1,
          setTimeout: (run, ms) => clock.after(owner, ms, run, true),
          clearTimeout: (timer) => clock.cancel(timer as never),
          random: owner.random.next,
          fetch: (input, init) => network.fetch(page, input, init),
        },
        lifecycle,
        ...(browser.tabs && { tabs: browser.tabs.world(owner) }),
        adapters: adapters(page),
        onError: (error) => page.errors.push(error),
      });
      page.client = client;
      client.onStatus(() => via(page, client.status().via));
      for (const listener of page.listeners) {
        // Who logged out while the page was loaded is no concern of its client, which never met him.
        for (const row of listener.rows) row.reader = browser.user;
        listen(listener, position);
      }
    },
    mount(listener) {
      const now = clock.now();
      // It shows what it has just read.
      for (const row of listener.rows) {
        row.shown = app.commit();
        row.reader = browser.user;
        row.loadedAt = now;
      }
      listen(listener, undefined, EPOCH_TIME + now + browser.wall);
    },
    close() {
      page.alive = false;
      page.client?.close();
    },
  };

  function listen(listener: Mounted, position?: string, loadedAt?: number): void {
    const { entity, id, rows } = listener.plan;
    listener.listening = page.client?.listen(
      { entity, ...(id !== undefined && { id }) },
      rows.map((on, at) => {
        const row = listener.rows[at] as Row;
        return {
          on,
          run: (refresh: Refresh) => {
            ran(row, refresh);
            return refetch(row, refresh);
          },
        };
      }),
      { ...(position !== undefined && { position: position as never }), ...(loadedAt !== undefined && { loadedAt }) },
    );
  }

  (page as { listeners: readonly Mounted[] }).listeners = plan.listeners.map((each) => {
    const listener: Mounted = { plan: each, page, rows: [], listening: undefined };
    listener.rows = each.rows.map((actions) => ({
      listener,
      actions,
      shown: 0,
      reader: browser.user,
      loadedAt: startedAt,
      runs: { notification: 0, resync: 0, load: 0 },
      merged: 0,
    }));
    return listener;
  });
  return page;
}
