/** The log with faults: each fault does what it says, and ends when it is taken back. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Logged, LogWindow, NotificationEntry, TailSink } from '../../../adapters/contract.js';
import { epochOf, type Position } from '../../../adapters/position.js';
import { createFaultyLog } from '../../../adapters/testing/index.js';
import { createMemoryLog } from '../../../server/log/memory.js';

const entry = (id: number): NotificationEntry => ({
  kind: 'notification',
  notification: { entity: 'Order', id: String(id), action: 'updated', changedDate: 1 },
});

let seen: Logged[];
let resets: LogWindow[];
let failures: unknown[];
const sink: TailSink = {
  entries: (batch) => seen.push(...batch),
  reset: (start) => resets.push(start),
  failed: (error) => failures.push(error),
};
const positions = (): Position[] => seen.map(({ position }) => position);

beforeEach(() => {
  [seen, resets, failures] = [[], [], []];
});

describe('append', () => {
  test('fails: it rejects, and nothing is accepted', async () => {
    const { log, faults } = createFaultyLog(createMemoryLog);
    await log.tail(sink);
    faults.append = 'fails';
    await expect(log.append([entry(1)])).rejects.toThrow('append');
    faults.append = 'works';
    const given = await log.append([entry(2)]);
    expect(positions()).toEqual(given);
  });

  test('unanswered: it rejects, but the engine has the entries', async () => {
    const { log, faults } = createFaultyLog(createMemoryLog);
    await log.tail(sink);
    faults.append = 'unanswered';
    await expect(log.append([entry(1)])).rejects.toThrow('append');
    expect(seen).toHaveLength(1);
  });

  test('hangs: it neither resolves nor rejects, until the fault is taken back', async () => {
    const { log, faults } = createFaultyLog(createMemoryLog);
    await log.tail(sink);
    faults.append = 'hangs';
    let settled = false;
    const appended = log.append([entry(1)]).finally(() => {
      settled = true;
    });
    await log.tail({ ...sink, entries: () => {} }); // several turns later
    expect([settled, seen]).toEqual([false, []]);
    faults.append = 'works';
    expect(positions()).toEqual([]);
    expect(await appended).toEqual(positions());
  });
});

test('prove and tail can fail, and work again', async () => {
  const { log, faults } = createFaultyLog(createMemoryLog);
  const tail = await log.tail(sink);
  faults.prove = faults.tail = 'fails';
  await expect(tail.prove(100)).rejects.toThrow('prove');
  await expect(log.tail(sink)).rejects.toThrow('tail');
  faults.prove = faults.tail = 'works';
  const [top] = await log.append([entry(1)]);
  expect(await tail.prove(100)).toBe(top);
  expect((await log.tail(sink)).start.top).toBe(top);
});

test('a stalled tail gives nothing and proves nothing; when it flows, it gives what it held, in order', async () => {
  const { log, faults } = createFaultyLog(createMemoryLog);
  const tail = await log.tail(sink);
  faults.stall();
  const given = [...(await log.append([entry(1)])), ...(await log.append([entry(2)]))];
  expect(seen).toEqual([]);
  await expect(tail.prove(100)).rejects.toThrow('prove');
  faults.flow();
  given.push(...(await log.append([entry(3)])));
  expect(positions()).toEqual(given);
});

test('a disrupted tail says so, and goes on', async () => {
  const { log, faults } = createFaultyLog(createMemoryLog);
  await log.tail(sink);
  const error = new Error('cut');
  faults.disrupt(error);
  expect(failures).toEqual([error]);
  expect(await log.append([entry(1)])).toEqual(positions());
});

test('the loss of everything: a new epoch, a reset before the first entry of it, the old entries gone', async () => {
  const { log, faults } = createFaultyLog(createMemoryLog);
  await log.tail(sink);
  const [before] = await log.append([entry(1)]);
  await faults.loseEverything();
  expect(resets).toHaveLength(1);
  const [after] = await log.append([entry(2)]);
  expect(epochOf(after as Position)).toBe(epochOf((resets[0] as LogWindow).top));
  expect(epochOf(after as Position)).not.toBe(epochOf(before as Position));
  expect(positions()).toEqual([before, after]);
  const window: Logged[] = [];
  await log.tail({ ...sink, entries: (batch) => window.push(...batch) });
  expect(window.map(({ position }) => position)).toEqual([after]);
});

test('a closed tail is not reset', async () => {
  const { log, faults } = createFaultyLog(createMemoryLog);
  await (await log.tail(sink)).close();
  await faults.loseEverything();
  faults.disrupt();
  expect([resets, failures]).toEqual([[], []]);
});
