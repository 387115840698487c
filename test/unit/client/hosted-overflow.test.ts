/** What a provider cannot hold, over our own server beside it: what of that stream is told to the core, and what is not. */
import { expect, test } from 'vitest';
import type { ClientAdapter, Interest, LinkHost } from '../../../adapters/contract.js';
import type { ListenError } from '../../../adapters/errors.js';
import type { Position } from '../../../adapters/position.js';
import type { ServerEvent } from '../../../adapters/protocol.js';
import { overflow } from '../../../widget/client/overflow.js';
import { createTestWorld } from '../../kit/world.js';

const hello = { type: 'hello', protocol: 1, epoch: 'e1', user: 'ann', heartbeat: 15_000, spread: 0 } as const;
const ready = (position: Position) => ({ type: 'ready', position, known: 400_000, latest: {} }) as const;

function beside() {
  const world = createTestWorld(() => Promise.reject(new Error('no network')));
  const events: (readonly [ServerEvent, Position?])[] = [];
  const downs: (ListenError | undefined)[] = [];
  const vias: string[] = [];
  const bases: Record<string, Position | null> = { 'Order/1': 'e1:5', 'Order/2': 'e1:5', 'Order/3': null };
  const outer = {
    world,
    interest: (): Interest => ({ grants: ['g'], channels: bases, own: 'e1:4' }),
    event: (...given: [ServerEvent, Position?]) => events.push(given),
    via: (via: string) => vias.push(via),
    alive: () => {},
    down: (error?: ListenError) => downs.push(error),
  } as unknown as LinkHost;
  let inner = outer;
  let closed = false;
  const sse: ClientAdapter = {
    name: 'sse',
    capabilities: { fansOut: 'node', replays: true },
    open(_, host) {
      inner = host;
      return {
        close() {
          closed = true;
        },
      };
    },
  };
  const asked: number[] = [];
  const link = overflow(sse, ['Order/2', 'Order/3', 'Order/gone'], outer, (within) => asked.push(within));
  return { world, events, downs, vias, bases, inner, link, asked, isClosed: () => closed };
}

test('it reads its own channels from the bases, and later from where it got to', () => {
  const { inner, bases } = beside();
  expect(inner.interest()).toEqual({ grants: ['g'], own: 'e1:4', channels: { 'Order/2': 'e1:5', 'Order/3': null } });
  inner.event(hello);
  // Before it is ready, an id says nothing.
  inner.event(
    { type: 'notification', notification: { entity: 'Order', id: '2', action: 'a', position: 'e1:6' } },
    'e1:6',
  );
  expect(inner.interest().channels).toEqual({ 'Order/2': 'e1:5', 'Order/3': null });
  const from = () => [...new Set([inner.interest().own, ...Object.values(inner.interest().channels)])];
  inner.event(ready('e1:7'), 'e1:7');
  expect(from()).toEqual(['e1:7']);
  inner.event({ type: 'heartbeat', position: 'e1:8', spread: 0 });
  expect(from()).toEqual(['e1:8']);
  inner.event({ type: 'notification', notification: { entity: 'Order', id: '2', action: 'a', position: 'e1:9' } });
  expect(from()).toEqual(['e1:8']);
  inner.event(
    { type: 'notification', notification: { entity: 'Order', id: '2', action: 'a', position: 'e1:9' } },
    'e1:9',
  );
  inner.event({ type: 'heartbeat', degraded: true, spread: 0 });
  expect(from()).toEqual(['e1:9']);
  delete bases['Order/2'];
  expect(inner.interest().channels).toEqual({ 'Order/3': 'e1:9' });
});

test('the outer link reads once it is ready: a channel without a position was read from there on only', () => {
  const { inner, asked } = beside();
  inner.event(hello);
  expect(asked).toEqual([]);
  inner.event(ready('e1:7'), 'e1:7');
  inner.event({ type: 'heartbeat', position: 'e1:8', spread: 0 });
  expect(asked).toEqual([0]);
});

test('the core is told what happened, never how far it was read', () => {
  const { inner, events, vias } = beside();
  const notification = {
    type: 'notification',
    notification: { entity: 'Order', id: '2', action: 'a', position: 'e1:8' },
  } as const;
  const told: ServerEvent[] = [
    notification,
    { type: 'resync', channels: ['Order/2'] },
    { type: 'refused', channels: ['Order/3'] },
    { type: 'reauthorise', channels: ['Order/2'] },
    { type: 'goodbye', within: 5 },
  ];
  inner.via('poll');
  inner.event(hello);
  inner.event(ready('e1:7'), 'e1:7');
  inner.event({ type: 'heartbeat', position: 'e1:7', spread: 3 });
  expect(events).toEqual([]);
  for (const event of told) inner.event(event, 'e1:9');
  expect(events).toEqual(told.map((event) => [event]));
  expect(vias).toEqual([]);
  inner.event({ type: 'heartbeat', degraded: true, spread: 3 });
  expect(events.at(-1)).toEqual([{ type: 'heartbeat', degraded: true, spread: 3 }]);
});

test('silence ends the link, bytes do not; a longer heartbeat is waited for', async () => {
  for (const heartbeat of [15_000, 60_000]) {
    const { world, inner, downs } = beside();
    inner.event({ ...hello, heartbeat });
    const limit = Math.max(35_000, 2 * heartbeat + 5_000);
    await world.advance(limit - 100);
    inner.alive();
    await world.advance(limit - 100);
    expect(downs).toEqual([]);
    await world.advance(5_200);
    expect(downs).toEqual([undefined]);
    expect(world.timers).toBe(0);
  }
});

test('its end is that of the link; closed, it leaves nothing', () => {
  const { inner, downs, link, isClosed, world } = beside();
  inner.down();
  expect(downs).toHaveLength(1);
  link.close();
  expect([isClosed(), world.timers]).toEqual([true, 0]);
});
