/** Chromium (by its DevTools protocol) and Firefox (by WebDriver BiDi), both through puppeteer-core. */
import { type Browser, type LaunchOptions, launch, type Page } from 'puppeteer-core';
import { type Chromium, FLAGS } from '../browser.js';
import type { Engine, Tab } from './engine.js';
import { processOf } from './processes.js';

/** What puppeteer asks Chromium to do differently for tabs in the background. Ours are to live as anybody's do. */
const UNLIKE_USERS = [
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
];

/** Closing waits for the page to say goodbye, which one that is stuck or dead never does. Milliseconds. */
const GOODBYE = 3_000;

export function launchChromiumTabs({ executablePath, env }: Chromium): Promise<Engine> {
  return engineOf('Chromium', 'DedicatedWorker', {
    executablePath,
    args: [...FLAGS],
    env: { ...process.env, ...env },
    ignoreDefaultArgs: UNLIKE_USERS,
  });
}

export function launchFirefox(executablePath: string): Promise<Engine> {
  return engineOf('Firefox', 'DOM Worker', {
    browser: 'firefox',
    executablePath,
    // A process for each tab, which it otherwise has only for the first four of a site.
    extraPrefsFirefox: { 'dom.ipc.processCount.webIsolated': 50 },
  });
}

async function engineOf(name: string, worker: string, options: LaunchOptions): Promise<Engine> {
  const browser = await launch({ headless: true, defaultViewport: null, ...options });
  const [blank = await browser.newPage()] = await browser.pages();
  const pid = browser.process()?.pid;
  if (pid === undefined) throw new Error(`${name} has no process`);
  return {
    version: await browser.version(),
    async open(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return tabOf(page, blank, pid, worker);
    },
    async opened(act) {
      const before = new Set(await browser.pages());
      await act();
      return tabOf(await newPage(browser, before), blank, pid, worker);
    },
    close: () => browser.close(),
  };
}

/** Between two looks the browser's word of it must be able to come: `pages()` may answer without leaving this turn. */
const LOOK_EVERY = 20;
const OPENED_WITHIN = 30_000;

async function newPage(browser: Browser, before: ReadonlySet<Page>): Promise<Page> {
  for (let waited = 0; waited < OPENED_WITHIN; waited += LOOK_EVERY) {
    const [page] = (await browser.pages()).filter((known) => !before.has(known));
    if (page) return page;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
  }
  throw new Error('no new page was opened');
}

function tabOf(page: Page, blank: Page, pid: number, worker: string): Tab {
  const evaluate = async <T>(expression: string): Promise<T> => (await page.evaluate(expression)) as T;
  const isChromium = worker === 'DedicatedWorker';
  return {
    evaluate,
    show: () => page.bringToFront(),
    hide: () => blank.bringToFront(),
    close: () => Promise.race([page.close(), new Promise<void>((resolve) => setTimeout(resolve, GOODBYE).unref())]),
    process: () => processOf(pid, worker, evaluate),
    click: (id) => page.click(`#${id}`),
    offline: (on) => page.setOfflineMode(on),
    ...(isChromium && {
      async freeze(on: boolean) {
        const session = await page.createCDPSession();
        await session.send('Page.setWebLifecycleState', { state: on ? 'frozen' : 'active' });
        await session.detach();
      },
    }),
  };
}
