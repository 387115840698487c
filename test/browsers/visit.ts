/** What the tests of all engines share: visits to a site that end with their test, and figures that are printed. */
import { afterAll, onTestFinished } from 'vitest';
import { ABILITIES, type Abilities, type Engine, type EngineName, type Tab } from '../kit/browsers/engine.js';
import { launchEngine, openEngine } from '../kit/browsers/index.js';
import { openSite, type PageOptions, type Site } from './site.js';

/** How often it is looked into a page, in milliseconds. */
const LOOK = 25;

export interface Visitor extends Tab {
  readonly name: string;
}

export interface Visit {
  readonly site: Site;
  /** Opens the page in a tab of this name, in front. It is live when it is there. */
  open(tab: string, options?: PageOptions): Promise<Visitor>;
  /** The tab that another one is made to open. */
  opened(tab: string, act: () => Promise<unknown>): Promise<Visitor>;
}

export interface Browsing {
  readonly can: Abilities;
  /** Keeps a figure, in milliseconds; all of them are printed at the end. */
  measured(what: string, ms: number): void;
  /** A site for one test. @param own in a browser of its own, which may be spoilt */
  visit(own?: boolean): Promise<Visit>;
}

/** Call it at the top of a test file: one browser for all of its tests. */
export function browse(name: EngineName): Browsing {
  const shared = openEngine(name);
  const figures = new Map<string, number>();
  afterAll(() => {
    if (figures.size === 0) return;
    const lines = [...figures].map(([what, ms]) => `${what} ${Math.round(ms)} ms`);
    console.log(`${shared().version}: ${lines.join('; ')}`);
  });
  return {
    can: ABILITIES[name],
    measured: (what, ms) => figures.set(what, ms),
    async visit(own = false) {
      const site = await openSite();
      const engine = own ? await ownEngine(name) : shared();
      const visitor = async (tab: Tab, called: string): Promise<Visitor> => {
        onTestFinished(() => tab.close().catch(() => {}));
        await untilTrue(tab, 'window.page');
        await tab.evaluate('page.live()');
        await site.seen(called, 0);
        return { ...tab, name: called };
      };
      return {
        site,
        open: async (called, options) => visitor(await engine.open(site.page(called, options)), called),
        opened: async (called, act) => visitor(await engine.opened(act), called),
      };
    },
  };
}

async function ownEngine(name: EngineName): Promise<Engine> {
  const engine = await launchEngine(name);
  if (typeof engine === 'string') throw new Error(engine);
  onTestFinished(() => engine.close());
  return engine;
}

/** Waits until the server has one connection for all tabs. While one takes over there may be two. */
export async function oneConnection(site: Site): Promise<void> {
  await site.until(() => site.server().notifier.metrics().connections === 1, 'one connection');
}

/** Leaves the page by a link. */
export async function leave(tab: Tab, url: string): Promise<void> {
  await tab.evaluate(`void setTimeout(() => location.assign('${url}'))`);
  await untilTrue(tab, `location.href === '${url}'`);
}

/** Goes back to the page by the browser's button. */
export async function goBack(tab: Tab): Promise<void> {
  await tab.evaluate('void setTimeout(() => history.back())');
  await untilTrue(tab, 'window.page');
}

/** Waits until an expression is true in a page. While a page is being left nothing can be asked there: that is a no. */
export async function untilTrue(tab: Tab, expression: string, within = 20_000): Promise<void> {
  const late = Date.now() + within;
  for (;;) {
    const isTrue = await tab.evaluate<boolean>(`Boolean(${expression})`).catch(() => false);
    if (isTrue) return;
    if (Date.now() > late) throw new Error(`not true within ${within} ms: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
