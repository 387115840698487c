/** What the tests of all engines share: visits to a site that end with their test, and figures that are printed. */
import { afterAll, onTestFinished } from 'vitest';
import type { Engine, Tab } from '../kit/browsers/engine.js';
import { openSite, type PageOptions, type Site } from './site.js';

/** How often it is looked into a page, in milliseconds. */
const LOOK = 25;

export interface Visit extends Tab {
  readonly name: string;
}

export interface Browsing {
  readonly engine: () => Engine;
  /** Keeps a figure, in milliseconds; all of them are printed at the end. */
  measured(what: string, ms: number): void;
  /** A site, and a way to open its page in a tab of a name. The tab is live when it is there. */
  visit(): Promise<{ readonly site: Site; open(tab: string, options?: PageOptions): Promise<Visit> }>;
}

export function browse(engine: () => Engine): Browsing {
  const figures = new Map<string, number>();
  afterAll(() => {
    const lines = [...figures].map(([what, ms]) => `${what} ${Math.round(ms)} ms`);
    if (lines.length > 0) console.log(`${engine().version}: ${lines.join('; ')}`);
  });
  return {
    engine,
    measured: (what, ms) => figures.set(what, ms),
    async visit() {
      const site = await openSite();
      return {
        site,
        async open(name, options) {
          const tab = await engine().open(site.page(name, options));
          onTestFinished(() => tab.close().catch(() => {}));
          await tab.evaluate('page.live()');
          await site.seen(name, 0);
          return { ...tab, name };
        },
      };
    },
  };
}

/** Waits until an expression is true in a page. While a page is being left nothing can be asked there: that is a no. */
export async function untilTrue(tab: Tab, expression: string, within = 10_000): Promise<void> {
  const late = Date.now() + within;
  for (;;) {
    const isTrue = await tab.evaluate<boolean>(`Boolean(${expression})`).catch(() => false);
    if (isTrue) return;
    if (Date.now() > late) throw new Error(`not true within ${within} ms: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}
