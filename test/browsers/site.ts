/** The site that the browsers visit: the page, the value that it shows, the notifier, and what the server sees of tabs. */
import { fileURLToPath } from 'node:url';
import express, { type Response } from 'express';
import type { NotifyOptions } from 'notify-listen/server';
import { bundle } from '../kit/bundle.js';
import { serve, type TestServer } from '../kit/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const OBJECT = { entity: 'Order', id: 1 };
/** Only what never comes takes so long: a busy machine must not look like that. Milliseconds. */
const WITHIN = 20_000;
/** How often it is looked whether something is so, in milliseconds. */
const LOOK = 10;

export interface PageOptions {
  /** Who logs in first. Default: whoever is logged in, or else ann. */
  readonly user?: string;
  /** `false`: the page finds a browser without Web Locks. */
  readonly locks?: boolean;
  /** How many copies of the library the page loads. Default 1. */
  readonly copies?: number;
}

export interface Site {
  readonly server: () => TestServer;
  /** The address of the page for a tab of this name. */
  page(tab: string, options?: PageOptions): string;
  /** An address of the site without the library. */
  readonly elsewhere: string;
  /** Changes the value and notifies. Returns the new value. */
  change(action?: string, options?: NotifyOptions): Promise<number>;
  /** Resolves when a tab has read this value or a later one: with the milliseconds since this call. */
  seen(tab: string, value: number, within?: number): Promise<number>;
  /** How often a tab has read the value. */
  reads(tab: string): number;
  /** The tabs that hold a stream at the moment. */
  streams(): string[];
  /** How many requests of this route all tabs have made. */
  requests(route: string): number;
  /** Resolves when it is so, with the milliseconds since this call. */
  until(isSo: () => boolean, what: string, within?: number): Promise<number>;
  /** Ends the process, as far as anybody outside can tell, and starts it anew: with an empty log. */
  restart(): Promise<void>;
  /** Nothing gets through any more, and what was connected is cut. */
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

let script: Promise<string> | undefined;
let sites = 0;

/** Bundled once for a test file, as for development: with every warning. */
function pageScript(): Promise<string> {
  script ??= bundle(ROOT, { entry: `${ROOT}/test/browsers/page.ts`, format: 'script', mode: 'development' }).then(
    ({ code }) => code,
  );
  return script;
}

function html({ locks, copies }: { locks: boolean; copies: number }): string {
  const library = '<script src="/page.js"></script>';
  return `<!doctype html><title>page</title>
<button id="duplicate" onclick="window.open(location.href)">duplicate</button>
<script>
var process = { env: {} };
var messages = 0;
const { postMessage } = BroadcastChannel.prototype;
BroadcastChannel.prototype.postMessage = function (message) { messages += 1; postMessage.call(this, message); };
${locks ? '' : "Object.defineProperty(navigator, 'locks', { value: undefined });"}
</script>
${library}<script>var page = entry.openPage();</script>
${copies > 1 ? `${library}<script>var second = entry.openPage('-second');</script>` : ''}`;
}

export async function openSite(): Promise<Site> {
  const code = await pageScript();
  // A browser's cookies are those of the host, whatever the port: the sites of several tests must not share them.
  const cookie = `user${++sites}`;
  let value = 0;
  const read = new Map<string, number>();
  const counts = new Map<string, number>();
  const asked = new Map<string, number>();
  const open = new Set<{ readonly tab: string; readonly response: Response }>();

  const app = express.Router();
  app.get('/', ({ query }, response) => {
    response.type('html').send(html({ locks: query.locks !== 'none', copies: Number(query.copies ?? 1) }));
  });
  app.get('/page.js', (_request, response) => void response.type('js').send(code));
  app.get('/elsewhere', (_request, response) => void response.type('html').send('<!doctype html><title>else</title>'));
  app.get('/login/:user', ({ params, query }, response) => {
    response.cookie(cookie, params.user).redirect(`/?${new URLSearchParams(query as Record<string, string>)}`);
  });
  app.get('/value', ({ query }, response) => {
    const tab = String(query.tab);
    const current = value;
    response.on('finish', () => {
      read.set(tab, current);
      counts.set(tab, (counts.get(tab) ?? 0) + 1);
    });
    response.set('Cache-Control', 'no-store').json(current);
  });
  app.use('/notify-listen', (request, response, next) => {
    asked.set(request.path, (asked.get(request.path) ?? 0) + 1);
    const entry = { tab: String(request.headers['x-tab']), response };
    open.add(entry);
    response.on('close', () => open.delete(entry));
    next();
  });

  const start = (port: number): Promise<TestServer> =>
    serve('Express 5', {
      port,
      user: ({ headers }) => new RegExp(`\\b${cookie}=(\\w+)`).exec(headers.cookie ?? '')?.[1] ?? 'ann',
      before: [app],
    });
  let server = await start(0);
  const { port } = server;
  const base = `http://127.0.0.1:${port}`;

  async function until(isSo: () => boolean, what: string, within: number = WITHIN): Promise<number> {
    const began = performance.now();
    const elapsed = (): number => Math.round(performance.now() - began);
    while (!isSo()) {
      if (elapsed() > within) throw new Error(`not within ${within} ms: ${what}; ${describe()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    return elapsed();
  }

  const streams = (): string[] =>
    [...open]
      .filter(({ response }) => String(response.getHeader('content-type')).startsWith('text/event-stream'))
      .map(({ tab }) => tab);

  function describe(): string {
    const seen = [...read].map(([tab, last]) => `${tab} read ${last}`);
    return `value ${value}; ${seen.join(', ')}; streams of ${streams().join(', ') || 'nobody'}`;
  }

  const site: Site = {
    server: () => server,
    page(tab, { user, locks = true, copies = 1 } = {}) {
      const query = new URLSearchParams({ tab, ...(!locks && { locks: 'none' }), copies: String(copies) });
      return `${base}/${user ? `login/${user}` : ''}?${query}`;
    },
    elsewhere: `${base}/elsewhere`,
    async change(action = 'changed', options = {}) {
      value += 1;
      const now = value;
      await server.notifier.notify(action, OBJECT, options);
      return now;
    },
    seen: (tab, wanted, within) => until(() => (read.get(tab) ?? -1) >= wanted, `${tab} reads ${wanted}`, within),
    reads: (tab) => counts.get(tab) ?? 0,
    streams,
    requests: (route) => asked.get(route) ?? 0,
    until,
    async restart() {
      await site.unplug();
      await server.close();
      server = await start(port);
    },
    async unplug() {
      const { server: listening } = server;
      const closed = new Promise((resolve) => listening.close(resolve));
      if ('closeAllConnections' in listening) (listening as { closeAllConnections(): void }).closeAllConnections();
      await closed;
    },
    plug: () => new Promise((resolve) => server.server.listen(port, '127.0.0.1', () => resolve())),
  };
  return site;
}
