/** Chromium behind each proxy, over HTTP/1.1 and HTTP/2: hints come at once, and cuts behind the proxy lose nothing. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openBrowser } from '../kit/browser.js';
import { bundle } from '../kit/bundle.js';
import { faultProxy } from '../kit/fault-proxy.js';
import {
  type Certificate,
  missing,
  type RunningProxy,
  selfSigned,
  startHaproxy,
  startNginx,
  startVite,
  type Tool,
} from '../kit/proxies.js';
import { SOON, startDesk } from './desk.js';
import type { shown } from './page.js';

declare const entry: { readonly shown: typeof shown };

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const browser = openBrowser();
let html = '';
let tls: Certificate | undefined;

beforeAll(async () => {
  const { code } = await bundle(root, { entry: `${root}/test/proxies/page.ts`, format: 'script', mode: 'development' });
  // `process` is not defined in a browser; a bundler of an application replaces it.
  html = `<!doctype html><script>const process = { env: {} };</script><script>${code.replaceAll('</script', '<\\/script')}</script>`;
  if (missing('openssl') === '') tls = selfSigned();
});
afterAll(() => tls?.remove());

const proxied = (proxy: Pick<RunningProxy, 'port' | 'stop'>, scheme: string): string => {
  onTestFinished(proxy.stop);
  return `${scheme}://127.0.0.1:${proxy.port}`;
};

interface Front {
  readonly name: string;
  readonly needs: readonly Tool[];
  readonly protocol: 'h2' | 'http/1.1';
  start(upstream: number): Promise<string>;
  /** Whether it passes on the end of a stream. Default: yes. */
  readonly tells?: boolean;
}

const FRONTS: readonly Front[] = [
  {
    name: 'nginx',
    needs: ['nginx'],
    protocol: 'http/1.1',
    start: async (upstream) => proxied(await startNginx({ upstream }), 'http'),
  },
  {
    name: 'nginx, HTTP/2',
    needs: ['nginx', 'openssl'],
    protocol: 'h2',
    start: async (upstream) => proxied(await startNginx({ upstream, ...(tls && { tls }) }), 'https'),
  },
  {
    name: 'HAProxy',
    needs: ['haproxy'],
    protocol: 'http/1.1',
    start: async (upstream) => proxied(await startHaproxy({ upstream, timeout: '30s' }), 'http'),
  },
  {
    name: 'HAProxy, HTTP/2',
    needs: ['haproxy', 'openssl'],
    protocol: 'h2',
    start: async (upstream) => proxied(await startHaproxy({ upstream, timeout: '30s', ...(tls && { tls }) }), 'https'),
  },
  {
    name: "Vite's server.proxy",
    needs: [],
    protocol: 'http/1.1',
    // The page too, so that nothing but the proxy is asked of Vite.
    start: async (upstream) => proxied(await startVite(upstream, ['/notify-listen', '/values', '/page']), 'http'),
    tells: false,
  },
];

test.for(FRONTS)('$name', async ({ needs, protocol, start, tells = true }, context) => {
  const reason = missing(...needs);
  if (reason) return context.skip(reason);
  const desk = await startDesk({
    heartbeat: tells ? 60_000 : 500,
    after: [(request, response, next) => (request.path === '/page' ? response.type('html').send(html) : next())],
  });
  // Behind the proxy, so that its own way to the application can be cut, which it must pass on.
  const behind = await faultProxy({ target: desk.server.port });
  onTestFinished(behind.close);
  const origin = await start(behind.port);
  const tab = await browser().newContext({ ignoreHTTPSErrors: true });
  onTestFinished(() => tab.close());
  const page = await tab.newPage();
  await page.goto(`${origin}/page`);
  const state = () => page.evaluate(() => entry.shown());
  await expect.poll(state, SOON).toMatchObject({ status: { state: 'connected', via: 'sse' } });
  for (let n = 0; n < 3; n += 1) {
    await expect.poll(state, SOON).toMatchObject({ value: await desk.change(1) });
  }
  for (let cuts = 0; cuts < (tells ? 3 : 1); cuts += 1) {
    behind.cut(cuts % 2 ? 'fin' : 'rst');
    await expect.poll(state, SOON).toMatchObject({ value: await desk.change(1) });
    await expect.poll(state, SOON).toMatchObject({ status: { state: 'connected', via: 'sse' } });
  }
  expect((await state()).protocols).toEqual([protocol]);
});
