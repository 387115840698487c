/** Watches pages and server from outside while faults strike: what pages show against what they must show. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Application } from './application.js';
import type { Page } from './browsers.js';
import type { Ledger } from './ledger.js';
import type { Check, Seen } from './report.js';
import type { Report as PageReport } from './screen.js';
import type { Figures } from './server.js';

/** How often everybody is asked, in milliseconds. */
const LOOK = 500;
/** Lines of a page's story that are told when it fails. */
const STORY = 80;

export interface Watch {
  /** Asks all pages now: each shows what it must, and is connected. */
  allFresh(): Promise<boolean>;
  /** What is wrong with which page, with its story. */
  complaint(): Promise<string>;
  /** What every page went through, as long as it remembers. */
  stories(): Promise<string>;
  checks(rssBound: number): Check[];
  seen(): Seen;
  stop(): void;
}

export interface WatchOptions {
  readonly items: Ledger;
  readonly pages: readonly Page[];
  readonly applications: readonly Application[];
}

export function createWatch({ items, pages, applications }: WatchOptions): Watch {
  const stalest = new Map<Page, number>(pages.map((page) => [page, 0]));
  const latest = new Map<Page, PageReport>();
  /** Of pages that were closed since. */
  const former: Record<string, number> = {};
  /** The newest figures of each server process. */
  const processes = new Map<number, Figures>();
  let rss = 0;
  let watching = true;

  const wrong = (page: Page, report: PageReport | undefined): string => {
    if (!report) return 'it does not answer';
    const old = page.ids.filter((id) => (report.shown[id] ?? 0) < items.due(id));
    const lines = old.map((id) => `item ${id} shows ${report.shown[id]}, must show ${items.due(id)}`);
    if (report.status.state !== 'connected') lines.push(`it is ${report.status.state}`);
    // A page that polls says so as well, and streams again after a minute or so.
    if (report.status.degraded && report.status.via !== 'poll') lines.push('it is degraded');
    return lines.join('; ');
  };

  async function look(page: Page): Promise<string> {
    const report = await page.report();
    if (report) {
      const before = latest.get(page);
      // Fewer than before: it is another page in the same place.
      if (before && report.counts.hints < before.counts.hints) add(former, before.counts);
      latest.set(page, report);
      // A page that shows nothing yet does not look live.
      const showing = page.ids.filter((id) => report.shown[id] !== undefined);
      const ages = showing.map((id) => items.staleness(id, report.shown[id]));
      stalest.set(page, Math.max(stalest.get(page) ?? 0, ...ages));
    }
    return wrong(page, report);
  }

  async function lookAt(application: Application): Promise<void> {
    const figures = await application.figures();
    if (!figures) return;
    processes.set(figures.pid, figures);
    rss = Math.max(rss, figures.rss);
  }

  const loop = async (each: () => Promise<unknown>): Promise<void> => {
    while (watching) {
      await each();
      await wait(LOOK, undefined, { ref: false });
    }
  };
  for (const page of pages) void loop(() => look(page));
  for (const application of applications) void loop(() => lookAt(application));

  function seen(): Seen {
    const counts = { ...former };
    for (const report of latest.values()) add(counts, report.counts);
    const total = (pick: (figures: Figures) => number): number =>
      [...processes.values()].reduce((sum, figures) => sum + pick(figures), 0);
    return {
      mechanisms: {
        ...counts,
        'notifications replayed to pages': total(({ replayed }) => replayed),
        'resyncs sent': total(({ resyncs }) => resyncs),
        'conflated for slow readers': total(({ conflated }) => conflated),
        'stuck readers dropped': total(({ stalled }) => stalled),
        'server processes': processes.size,
      },
      pages: pages.map((page) => {
        const { state = 'unknown', via = '' } = latest.get(page)?.status ?? {};
        return { name: page.name, stalest: stalest.get(page) ?? 0, now: `${state} ${via}`.trim() };
      }),
      rss,
    };
  }

  return {
    allFresh: async () => (await Promise.all(pages.map(look))).every((complaint) => complaint === ''),
    async complaint() {
      const complaints = await Promise.all(
        pages.map(async (page) => {
          const what = wrong(page, await page.report());
          return what && `${page.name}: ${what}\n    ${(await page.story()).slice(-STORY).join('\n    ')}`;
        }),
      );
      return complaints.filter(Boolean).join('\n');
    },
    async stories() {
      const told = await Promise.all(
        pages.map(async (page) => [`${page.name}:`, ...(await page.story())].join('\n    ')),
      );
      return told.join('\n');
    },
    checks(rssBound) {
      const crashed = pages.filter((page) => page.crashed()).map(({ name }) => name);
      return [
        { name: 'no page crashed', ...(crashed.length > 0 && { failure: crashed.join(', ') }) },
        {
          name: `a server process stays below ${rssBound / 2 ** 20} MiB`,
          ...(rss > rssBound && { failure: `${Math.round(rss / 2 ** 20)} MiB` }),
        },
        { name: 'hints reached the pages', ...(!seen().mechanisms.hints && { failure: 'none did' }) },
      ];
    },
    seen,
    stop() {
      watching = false;
    },
  };
}

function add(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
}
