/**
 * What networks do to a page that listens, by the fault proxy: captive portals, broken gateways, silence, slowness. All of
 * it is retried, shown in the status, and never final; what changed meanwhile is shown afterwards.
 */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CANNED } from '../kit/canned.js';
import { type FaultProxy, type Faults, faultProxy } from '../kit/fault-proxy.js';
import { connected, type Desk, follows, hurried, SOON, startDesk, type Watcher, watch } from './desk.js';

async function behindFaults(heartbeat = 15_000): Promise<{ desk: Desk; proxy: FaultProxy }> {
  const desk = await startDesk({ heartbeat });
  const proxy = await faultProxy({ target: desk.server.port });
  onTestFinished(proxy.close);
  return { desk, proxy };
}

const anError: unknown = expect.anything();

/** Several attempts have met the fault. */
const met = (proxy: FaultProxy, before: number): Promise<void> =>
  vi.waitFor(() => expect(proxy.counts().accepted).toBeGreaterThan(before + 2), SOON);

async function recovers(desk: Desk, proxy: FaultProxy, watcher: Watcher): Promise<void> {
  const value = await desk.change(1);
  await proxy.heal();
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
  await follows(desk, watcher, 1);
  expect(watcher.states).not.toContain('failed');
  expect(watcher.states).not.toContain('disconnected');
}

describe.each(Object.entries(CANNED))('instead of the application: %s', (_name, answer) => {
  test('in mid-life', async () => {
    const { desk, proxy } = await behindFaults();
    const watcher = watch(proxy.url, 1, { world: hurried() });
    await connected(watcher, 'sse');
    const { accepted } = proxy.counts();
    await proxy.door({ answer });
    proxy.cut('rst');
    await met(proxy, accepted);
    await vi.waitFor(
      () => expect(watcher.client.status()).toMatchObject({ state: 'reconnecting', error: anError }),
      SOON,
    );
    await recovers(desk, proxy, watcher);
  });

  test('from the start', async () => {
    const { desk, proxy } = await behindFaults();
    await proxy.door({ answer });
    const watcher = watch(proxy.url, 1, { world: hurried() });
    await met(proxy, 0);
    await vi.waitFor(
      () => expect(watcher.client.status()).toMatchObject({ state: 'reconnecting', error: anError }),
      SOON,
    );
    await recovers(desk, proxy, watcher);
  });
});

test('a portal that lets the configuration pass, and answers streams with its page', async () => {
  const { desk, proxy } = await behindFaults();
  const portal = await faultProxy({ target: desk.server.port });
  onTestFinished(portal.close);
  await portal.door({ answer: CANNED.login });
  let inside = true;
  const watcher = watch(proxy.url, 1, {
    world: {
      ...hurried(),
      fetch: (input, init) => fetch(inside && String(input).endsWith('/stream') ? portal.url : input, init),
    },
  });
  await met(portal, 0);
  expect(watcher.errors()).toEqual(['protocol']);
  const value = await desk.change(1);
  inside = false;
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
  await connected(watcher, 'sse');
});

describe.each<readonly [string, Faults, Faults]>([
  ['split at every byte', { split: 1 }, { split: 1 }],
  ['a delay of 300 ms with jitter', { delay: 300, jitter: 200 }, { delay: 300, jitter: 200 }],
  ['a slow drip', { drip: { bytes: 40, every: 10 } }, { drip: { bytes: 20, every: 10 } }],
])('slow, but it passes: %s', (_name, up, down) => {
  test('streams, and follows', async () => {
    const { desk, proxy } = await behindFaults();
    proxy.set('up', up);
    proxy.set('down', down);
    const watcher = watch(proxy.url, 1);
    await connected(watcher, 'sse');
    for (let n = 0; n < 2; n += 1) await follows(desk, watcher, 1);
    expect(watcher.losses()).toBe(0);
  });
});

test('every connection ends after some bytes, wherever that is in an answer: nothing is lost', async () => {
  const { desk, proxy } = await behindFaults();
  const watcher = watch(proxy.url, 1, { world: hurried() });
  await connected(watcher, 'sse');
  for (let after = 1; after < 1_200; after += 97) {
    proxy.set('down', { cut: { after, how: after % 2 ? 'fin' : 'rst' } });
    const { cut } = proxy.counts();
    while (proxy.counts().cut < cut + 2) {
      await desk.change(1);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await proxy.heal();
    await vi.waitFor(() => expect(watcher.shown()).toBe(desk.value(1)), SOON);
  }
});

describe.each<readonly [string, 'up' | 'down' | 'both', Faults]>([
  ['both directions, lost', 'both', { stall: 'swallow' }],
  ['from the server, lost', 'down', { stall: 'swallow' }],
  ['both directions, held back', 'both', { stall: 'hold' }],
])('silence without an end: %s', (_name, direction, faults) => {
  test('is noticed by the watchdog, and all is shown when the way is free', async () => {
    const { desk, proxy } = await behindFaults(250);
    const watcher = watch(proxy.url, 1, { world: hurried() });
    await connected(watcher, 'sse');
    proxy.set(direction, faults);
    await desk.change(1);
    await vi.waitFor(() => expect(watcher.losses()).toBe(1), SOON);
    await recovers(desk, proxy, watcher);
  });
});

test('accepted and never answered, from the start', async () => {
  const { desk, proxy } = await behindFaults();
  await proxy.door('mute');
  const watcher = watch(proxy.url, 1, { world: hurried() });
  await vi.waitFor(() => expect(proxy.counts().accepted).toBeGreaterThan(0), SOON);
  await recovers(desk, proxy, watcher);
});
