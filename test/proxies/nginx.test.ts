/** Behind nginx as Debian ships it: its defaults, short time-outs, and a configuration that buffers in spite of us. */
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { faultProxy } from '../kit/fault-proxy.js';
import { missing, type NginxOptions, startNginx } from '../kit/proxies.js';
import { connected, follows, startDesk, watch } from './desk.js';

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
  for (let n = 0; n < 5; n += 1) await follows(desk, watcher, 1, 1_000);
  expect(watcher.losses()).toBe(0);
  expect(watcher.errors()).toEqual([]);
});

test.each([
  ['HTTP/1.1 to the application', { location: 'proxy_http_version 1.1; proxy_set_header Connection "";' }],
  ['gzip of everything', { http: 'gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;' }],
  [
    'a cache of everything that may be cached',
    { http: 'proxy_cache_path cache keys_zone=all:1m;', location: 'proxy_cache all; proxy_cache_valid 200 1m;' },
  ],
] as const)('%s: streams', async (_what, options) => {
  const desk = await startDesk();
  const watcher = watch(await nginx(desk.server.port, options), 1);
  await connected(watcher, 'sse');
  for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, 1_000);
  expect(watcher.losses()).toBe(0);
});

test('a heartbeat below its time-out: no cut at all', async () => {
  const desk = await startDesk({ heartbeat: 400 });
  const watcher = watch(await nginx(desk.server.port, { location: 'proxy_read_timeout 1s;' }), 1);
  await connected(watcher, 'sse');
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  await follows(desk, watcher, 1);
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
    await connected(watcher, 'poll', 10_000);
    const took = performance.now() - begun;
    expect(took).toBeGreaterThan(6_000);
    expect(took).toBeLessThan(8_000);
    for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, 2_000);
    expect(watcher.client.status()).toMatchObject({ via: 'poll', degraded: true });

    way.target(Number(new URL(passing).port));
    way.cut('fin');
    await follows(desk, watcher, 1);
    ahead += 61_000; // a stream is tried again after a minute
    await follows(desk, watcher, 1, 10_000); // ends the poll that waits
    await connected(watcher, 'sse', 10_000);
    for (let n = 0; n < 3; n += 1) await follows(desk, watcher, 1, 1_000);
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
  await vi.waitFor(() => expect(watcher.errors()).toContain('protocol'), { timeout: 5_000 }); // nginx's page, status 502
  const value = await desk.change(1);
  await behind.heal();
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), { timeout: 20_000 });
  await connected(watcher, 'sse');
});
