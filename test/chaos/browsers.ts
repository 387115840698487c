/** Chromium with several tabs, and Firefox with one where it is found, seen by the chaos run as tabs that it may torment. */
import type { Browser, BrowserContext, Page as BrowserPage, CDPSession } from 'playwright-core';
import { findChromium, launchChromium } from '../kit/browser.js';
import type { Engine, Tab as EngineTab } from '../kit/browsers/engine.js';
import { launchEngine } from '../kit/browsers/index.js';
import type { Report } from './screen.js';

/** How long a page may take to answer a question before it counts as not answering now, in milliseconds. */
const ANSWER_MS = 2_000;
/** How long one try of loading the page may take, in milliseconds, and the pause before the next. */
const LOAD_MS = 8_000;
const LOAD_AGAIN = 500;

/** Something that shows values: a tab, or a client in a process of the harness. */
export interface Page {
  readonly name: string;
  readonly ids: readonly string[];
  /** None while it loads, is stopped, or does not answer. */
  report(): Promise<Report | undefined>;
  story(): Promise<readonly string[]>;
  /** Closes it and opens another one in its place, which is loaded in the background, however long that takes. */
  reopen(): Promise<void>;
  crashed(): boolean;
}

export interface Tab extends Page {
  offline(on: boolean): Promise<void>;
  /** Hidden, as a tab in the background is. Not every browser can be told to. */
  readonly hide?: (on: boolean) => Promise<void>;
}

export interface Browsers {
  readonly tabs: readonly Tab[];
  readonly skipped: readonly string[];
  /** Processes in which pages run, or with `all` every process of the browser. Of Chromium. */
  processes(all: boolean): Promise<number[]>;
  close(): Promise<void>;
}

export interface Place {
  readonly name: string;
  readonly url: string;
  readonly ids: readonly string[];
}

declare const entry: { readonly report: () => Report; readonly told: () => readonly string[] };

const within = <T>(ms: number, promise: Promise<T>): Promise<T | undefined> =>
  Promise.race([
    promise.catch(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(resolve, ms, undefined).unref()),
  ]);

/** @param firefox whether the last of the places is one for Firefox, where it is found */
export async function openBrowsers(places: readonly Place[], firefox: boolean): Promise<Browsers> {
  const found = await findChromium();
  if (typeof found === 'string') throw new Error(found);
  const browser = await launchChromium(found);
  // One context: tabs of one browser, which share a connection where origin and user are the same.
  const context = await browser.newContext();
  const skipped: string[] = [];
  const tabs: Tab[] = [];
  const other = firefox ? await launchEngine('Firefox') : undefined;
  if (typeof other === 'string') skipped.push(`Firefox: ${other}`);

  const last = places.length - 1;
  for (const [index, place] of places.entries()) {
    if (index === last && typeof other === 'object') tabs.push(await engineTab(other, place));
    else tabs.push(await chromiumTab(context, place));
  }
  return {
    tabs,
    skipped,
    processes: (all) => processes(browser, all),
    async close() {
      await Promise.all([browser.close(), typeof other === 'object' && other.close()]);
    },
  };
}

/** The processes of Chromium, as it tells them itself. */
async function processes(browser: Browser, all: boolean): Promise<number[]> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.filter(({ type }) => all || type === 'renderer').map(({ id }) => id);
}

/** Loads the page until it is there: its server may be down, stopped, or behind a captive portal. */
async function loaded(wanted: () => boolean, attempt: () => Promise<boolean>): Promise<void> {
  while (wanted()) {
    if (await within(LOAD_MS + ANSWER_MS, attempt())) return;
    await new Promise((resolve) => setTimeout(resolve, LOAD_AGAIN));
  }
}

async function chromiumTab(context: BrowserContext, { name, url, ids }: Place): Promise<Tab> {
  let crashed = false;
  let page: BrowserPage;
  let network: CDPSession | undefined;

  async function open(): Promise<void> {
    const opened = await context.newPage();
    page = opened;
    network = undefined;
    opened.on('crash', () => {
      crashed = true;
    });
    void loaded(
      () => page === opened && !opened.isClosed(),
      async () => {
        await opened.goto(url, { timeout: LOAD_MS, waitUntil: 'domcontentloaded' });
        return opened.evaluate(() => typeof entry !== 'undefined');
      },
    );
  }

  await open();
  return {
    name,
    ids,
    report: () =>
      within(
        ANSWER_MS,
        page.evaluate(() => entry.report()),
      ),
    story: async () =>
      (await within(
        ANSWER_MS,
        page.evaluate(() => entry.told()),
      )) ?? ['it does not answer'],
    async offline(on) {
      // What a session emulates ends with it, and no other one can take it back.
      network ??= await context.newCDPSession(page);
      const conditions = { offline: on, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
      await network.send('Network.emulateNetworkConditions', conditions);
    },
    // Headless Chromium shows every tab as visible; this is all that a page can see of being hidden.
    // One that navigates meanwhile is a new page, which is visible.
    hide: async (on) => {
      const told = page.evaluate(`
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => '${on ? 'hidden' : 'visible'}' });
        document.dispatchEvent(new Event('visibilitychange'));
      `);
      await told.catch(() => {});
    },
    async reopen() {
      const former = page;
      await open();
      await former.close();
    },
    crashed: () => crashed,
  };
}

async function engineTab(engine: Engine, { name, url, ids }: Place): Promise<Tab> {
  let tab: EngineTab;

  async function open(): Promise<void> {
    const opened = await engine.open('about:blank');
    tab = opened;
    void loaded(
      () => tab === opened,
      async () => {
        await opened.evaluate(`void location.replace(${JSON.stringify(url)})`);
        for (let tries = 0; tries < LOAD_MS / LOAD_AGAIN; tries += 1) {
          await new Promise((resolve) => setTimeout(resolve, LOAD_AGAIN));
          if (await within(ANSWER_MS, opened.evaluate<boolean>(`typeof entry !== 'undefined'`))) return true;
        }
        return false;
      },
    );
  }

  await open();
  return {
    name: `${name} (Firefox)`,
    ids,
    report: () => within(ANSWER_MS, tab.evaluate<Report>('entry.report()')),
    story: async () => (await within(ANSWER_MS, tab.evaluate<string[]>('entry.told()'))) ?? ['it does not answer'],
    offline: async (on) => tab.offline?.(on),
    async reopen() {
      const former = tab;
      await open();
      await former.close();
    },
    crashed: () => false,
  };
}
