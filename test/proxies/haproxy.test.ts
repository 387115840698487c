/** Behind HAProxy as Debian ships it, with short time-outs. */
import { readFileSync } from 'node:fs';
import { beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../kit/build.js';
import { faultProxy } from '../kit/fault-proxy.js';
import { type HaproxyOptions, missing, startHaproxy } from '../kit/proxies.js';
import { AT_ONCE, connected, follows, SOON, startDesk, watch } from './desk.js';

let reason = '';
beforeAll(() => {
  reason = missing('haproxy');
});
beforeEach((context) => {
  if (reason) context.skip(reason);
});

async function haproxy(upstream: number, options: Omit<HaproxyOptions, 'upstream'> = {}): Promise<string> {
  const proxy = await startHaproxy({ upstream, ...options });
  onTestFinished(proxy.stop);
  return `http://127.0.0.1:${proxy.port}`;
}

test('as docs/proxies.md shows it: streams, at once', async () => {
  const desk = await startDesk();
  const [, config = ''] = /^```haproxy\n(.*?)^```$/ms.exec(readFileSync(`${root}docs/proxies.md`, 'utf8')) ?? [];
  expect(config).toContain('timeout server');
  const watcher = watch(await haproxy(desk.server.port, { config }), 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 5; n += 1) await follows(desk, watcher, 1, AT_ONCE);
  expect(watcher.losses()).toBe(0);
  expect(watcher.errors()).toEqual([]);
});

test('the application is gone for a while: 503, then everything that changed meanwhile is shown', async () => {
  const desk = await startDesk();
  const behind = await faultProxy({ target: desk.server.port });
  onTestFinished(behind.close);
  const watcher = watch(await haproxy(behind.port), 1);
  await connected(watcher, 'sse');
  await behind.door('refuse');
  behind.cut('rst');
  await vi.waitFor(() => expect(watcher.errors()).toContain('unavailable'), SOON); // its page, status 503
  const value = await desk.change(1);
  await behind.heal();
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
  await connected(watcher, 'sse');
  await follows(desk, watcher, 1);
});
