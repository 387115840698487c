/** Behind nginx as Debian ships it: its defaults, short time-outs, and a configuration that buffers in spite of us. */
import { readFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { root } from '../kit/build.js';
import { faultProxy } from '../kit/fault-proxy.js';
import { missing, type NginxOptions, startNginx } from '../kit/proxies.js';
import { AT_ONCE, connected, follows, SOON, startDesk, watch } from './desk.js';

let reason = '';
beforeAll(() => {
  reason = missing('nginx');
});
beforeEach((context) => {
  if (reason) context.skip(reason);
});

/** What buffers: `X-Accel-Buffering` is ignored, buffering is on (the default). */
const BUFFERING = 'proxy_ignore_headers X-Accel-Buffering;';

async function nginx(upstream: number, options: Omit<NginxOptions, 'upstream'> = {}): Promise<string> {
  const proxy = await startNginx({ upstream, ...options });
  onTestFinished(proxy.stop);
  return `http://127.0.0.1:${proxy.port}`;
}

test('with its defaults: streams, at once', async () => {
  const desk = await startDesk();
  const watcher = watch(await nginx(desk.server.port), 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 5; n += 1) await follows(desk, watcher, 1, AT_ONCE);
  expect(watcher.losses()).toBe(0);
  expect(watcher.errors()).toEqual([]);
});

/** The lines of its location but `proxy_pass`. */
function documented(): string {
  const [, location = ''] =
    /^```nginx\n.*?proxy_pass [^\n]*\n(.*?)^\}\n```$/ms.exec(readFileSync(`${root}docs/proxies.md`, 'utf8')) ?? [];
  return location;
}

test('what is documented is what is tried', () => expect(documented()).toContain('proxy_http_version'));

test.each([
  ['as docs/proxies.md shows it', { location: documented() }],
  ['gzip of everything', { http: 'gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;' }],
  [
    'a cache of everything that may be cached',
    { http: 'proxy_cache_path cache keys_zone=all:1m;', location: 'proxy_cache all; proxy_cache_valid 200 1m;' },
  ],
] as const)('%s: streams', async (_what, options) => {
  const desk = await startDesk();
  const watcher = watch(await nginx(desk.server.port, options), 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, AT_ONCE);
  expect(watcher.losses()).toBe(0);
});

describe('it buffers in spite of X-Accel-Buffering', () => {
  test('steps down to long polling within 8 s, and streams again when the buffering ends', async () => {
    const desk = await startDesk();
    const [buffering, passing] = await Promise.all([
      nginx(desk.server.port, { location: BUFFERING }),
      nginx(desk.server.port),
    ]);
    // The way to the application changes while the page stays.
    const way = await faultProxy({ target: Number(new URL(buffering).port) });
    onTestFinished(way.close);
    let ahead = 0;
    const watcher = watch(way.url, 1, {
      world: { monotonic: () => performance.now() + ahead, now: () => Date.now() + ahead },
    });
    const begun = performance.now();
    await connected(watcher, 'poll');
    const took = performance.now() - begun;
    // Two streams of 3 s without a word, with a short wait in between. A busy machine may take longer.
    expect(took).toBeGreaterThan(6_000);
    expect(took).toBeLessThan(9_000);
    for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, AT_ONCE);
    expect(watcher.client.status()).toMatchObject({ via: 'poll', degraded: true });

    way.target(Number(new URL(passing).port));
    way.cut('fin');
    await follows(desk, watcher, 1);
    ahead += 91_000; // a stream is tried again after half a minute to one and a half
    await follows(desk, watcher, 1); // ends the poll that waits
    await connected(watcher, 'sse');
    for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, AT_ONCE);
    expect(watcher.client.status().degraded).toBe(false);
  });
});

test('the application is gone for a while: 502, then everything that changed meanwhile is shown', async () => {
  const desk = await startDesk();
  const behind = await faultProxy({ target: desk.server.port });
  onTestFinished(behind.close);
  const watcher = watch(await nginx(behind.port), 1);
  await connected(watcher, 'sse');
  await behind.door('refuse');
  behind.cut('rst');
  await vi.waitFor(() => expect(watcher.errors()).toContain('unavailable'), SOON); // nginx's page, status 502
  const value = await desk.change(1);
  await behind.heal();
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
  await connected(watcher, 'sse');
});
