/** What the carrier leaves behind when it ends in the middle of a call; what it carries is tested with the relay. */
import { afterEach, expect, test, vi } from 'vitest';
import type { Audience } from '../../../server/audience.js';
import type { Backlog } from '../../../server/relay/backlog.js';
import { createCarrier } from '../../../server/relay/carrier.js';
import type { Item } from '../../../server/relay/items.js';

afterEach(() => {
  vi.useRealTimers();
});

test('ended while a call is under way: no timer keeps the process, and nothing is told any more', async () => {
  vi.useFakeTimers();
  const told: unknown[] = [];
  const called = vi.fn(() => new Promise<never>(() => {}));
  const item = { kind: 'check', position: 'e:1', channels: ['@all'] } as unknown as Item;
  const backlog: Partial<Backlog> = { take: () => [item], done: (later) => told.push(later), size: 1 };
  const carrier = createCarrier({
    adapter: { publish: called },
    backlog: backlog as Backlog,
    audience: {} as Audience,
    monotonic: () => 0,
    random: () => 0,
    mayPublish: () => true,
    onLater: (error) => told.push(error),
    onImpossible: (_item, error) => told.push(error),
    onRecovered: (after) => told.push(after),
    onSettled: (accepted) => told.push(accepted),
  });
  carrier.wake();
  await vi.advanceTimersByTimeAsync(1);
  expect(told).toEqual([]);
  expect(called).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(1);
  carrier.end();
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
  expect(told).toEqual([]);
});
