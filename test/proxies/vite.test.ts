/**
 * Vite's development proxy, and compression middleware. Vite has not always told the page that the application's end of a
 * stream is gone (vitejs/vite#20712): a page must find that out by itself.
 */
import { readFileSync } from 'node:fs';
import compression from 'compression';
import type { ProxyOptions, UserConfig } from 'vite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../kit/build.js';
import { faultProxy } from '../kit/fault-proxy.js';
import { startVite } from '../kit/proxies.js';
import { AT_ONCE, connected, follows, hurried, SOON, startDesk, watch } from './desk.js';

async function vite(upstream: number, configure?: ProxyOptions['configure']): Promise<string> {
  const { port, stop } = await startVite(upstream, ['/notify-listen', '/values'], configure);
  onTestFinished(stop);
  return `http://127.0.0.1:${port}`;
}

/** What docs/proxies.md shows: the end of the application's answer is made the end of the page's. */
async function documented(): Promise<ProxyOptions['configure']> {
  const [, code = ''] = /^```js\n(.*?)^```$/ms.exec(readFileSync(`${root}docs/proxies.md`, 'utf8')) ?? [];
  const config = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { default: UserConfig };
  const route = config.default.server?.proxy?.['/notify-listen'];
  if (typeof route !== 'object') throw new Error('docs/proxies.md: no proxy for /notify-listen');
  return route.configure;
}

test('configured as documented: every end of a stream is told at once', async () => {
  const desk = await startDesk();
  const behind = await faultProxy({ target: desk.server.port });
  onTestFinished(behind.close);
  const watcher = watch(await vite(behind.port, await documented()), 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, AT_ONCE);
  for (const how of ['fin', 'rst'] as const) {
    const losses = watcher.losses();
    behind.cut(how);
    await vi.waitFor(() => expect(watcher.losses()).toBeGreaterThan(losses), { timeout: AT_ONCE, interval: 2 });
    await follows(desk, watcher, 1);
  }
  await behind.door('refuse');
  behind.cut('rst');
  const value = await desk.change(1);
  await vi.waitFor(() => expect(watcher.client.status().state).toBe('reconnecting'), { timeout: AT_ONCE });
  await behind.heal();
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
  await connected(watcher, 'sse');
});

test.each(['fin', 'rst', 'vanished'] as const)(
  'as it is, it may not tell: noticed by silence, within two heartbeats and 5 s: %s',
  async (how) => {
    const desk = await startDesk({ heartbeat: 500 });
    const behind = await faultProxy({ target: desk.server.port });
    onTestFinished(behind.close);
    const watcher = watch(await vite(behind.port), 1, { world: hurried() });
    await connected(watcher, 'sse');
    if (how === 'vanished') behind.set('both', { stall: 'swallow' });
    else behind.cut(how);
    const value = await desk.change(1);
    await vi.waitFor(() => expect(watcher.losses()).toBe(1), SOON);
    await behind.heal();
    await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
    await follows(desk, watcher, 1);
  },
);

test('compression middleware leaves streams alone', async () => {
  const desk = await startDesk({ before: [compression({ threshold: 0, filter: () => true })] });
  const origin = `http://127.0.0.1:${desk.server.port}`;
  const watcher = watch(origin, 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, AT_ONCE);
  const { headers } = await fetch(`${origin}/values/1`);
  expect(headers.get('content-encoding')).toMatch(/gzip|br/); // it was at work
});
