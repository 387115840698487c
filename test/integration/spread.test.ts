/** Row 53: refreshes of many pages are spread. Shipped clients and shipped nodes, virtual time, moments of real runs. */
import type { Refresh } from 'notify-listen/client';
import { createMemoryLog } from 'notify-listen/log/memory';
import { beforeEach, describe, expect, test } from 'vitest';
import { createMemoryEngine } from '../../server/log/memory.js';
import { type Fetch, type InProcessNode, nodeOf, pageOf } from '../kit/in-process.js';
import { type VirtualTime, virtualTime } from '../kit/virtual-time.js';

/** Refreshes in a second, on average, and at most. */
const TARGET = 30;
const MOST = 1.5 * TARGET;
const PAGES = 1_000;
const WINDOW = (PAGES / TARGET) * 1_000;
const ORDER = { entity: 'Order', id: 42 } as const;
const LIMITS = { connectionsPerUser: 1e9, openingsBurst: 1e9 };

let time: VirtualTime;

beforeEach(() => {
  time = virtualTime();
});

interface Runs {
  /** When each ran, on the monotonic clock, by page. */
  readonly moments: Map<number, number[]>;
  readonly reasons: Set<Refresh['reason']>;
  clear(): void;
}

/** A thousand pages that show one order, each ready and quiet. */
async function pages(fetch: Fetch, nodes: readonly InProcessNode[], count = PAGES): Promise<Runs> {
  const moments: Runs['moments'] = new Map();
  const reasons: Runs['reasons'] = new Set();
  const listening = Array.from({ length: count }, (_, n) =>
    pageOf(`user${n % 100}`, fetch).listen(
      ORDER,
      {
        '*': ({ reason }) => {
          reasons.add(reason);
          moments.set(n, [...(moments.get(n) ?? []), performance.now()]);
        },
      },
      { loadedAt: Date.now() },
    ),
  );
  await time.until(() => nodes.reduce((sum, { notifier }) => sum + notifier.metrics().connections, 0) === count);
  await Promise.all(listening.map(({ ready }) => ready));
  // A heartbeat tells each how many there are.
  await time.pass(20_000);
  const runs = { moments, reasons, clear: () => [moments, reasons].forEach((each) => void each.clear()) };
  runs.clear();
  return runs;
}

/** The most that ran within any second, wherever it begins. */
function busiest(moments: readonly number[]): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let from = 0;
  return sorted.reduce((most, moment, at) => {
    while (moment - (sorted[from] as number) >= 1_000) from++;
    return Math.max(most, at - from + 1);
  }, 0);
}

/** Each page once, evenly over the window that begins at `began`. */
function expectSpread({ moments }: Runs, began: number, most = MOST): void {
  expect([...moments.values()].map(({ length }) => length)).toEqual(Array(PAGES).fill(1));
  const waits = [...moments.values()].flat().map((moment) => moment - began);
  expect(busiest(waits)).toBeLessThanOrEqual(most);
  // Uniform: every tenth of the window has its share.
  for (let tenth = 0; tenth < 10; tenth++) {
    const share = waits.filter((wait) => Math.floor((wait / (WINDOW + 200)) * 10) === tenth).length;
    expect(share).toBeGreaterThan(PAGES / 10 - 15);
    expect(share).toBeLessThan(PAGES / 10 + 15);
  }
}

describe(`${PAGES} pages that listen to one object`, () => {
  test(`no second has more than ${MOST} refreshes, after a notification and after a restart on the memory log`, async () => {
    let node: InProcessNode | undefined = nodeOf({ limits: LIMITS });
    const fetch: Fetch = async (input, init) => {
      if (!node) throw new TypeError('connection refused');
      if (!String(input).endsWith('/ship')) return node.fetch(input, init);
      await node.notifier.notify('shipped', ORDER, { request: new Request(input, init) });
      return new Response();
    };
    const runs = await pages(fetch, [node], PAGES - 1);
    const own: number[] = [];
    const page = pageOf('ann', fetch);
    const listening = page.listen(ORDER, { '*': () => void own.push(performance.now()) }, { loadedAt: Date.now() });
    await time.until(() => page.status().state === 'connected');
    await listening.ready;
    const began = performance.now();
    await page.fetch('http://nodes.example/ship', { method: 'POST' });
    await time.pass(1_000);
    expect(own).toHaveLength(1);
    await time.pass(WINDOW);
    runs.moments.set(PAGES, own);
    expectSpread(runs, began);
    // A listener that attaches late has its load race decided at once.
    const late: number[] = [];
    pageOf('ann', fetch).listen(ORDER, { '*': () => void late.push(1) }, { loadedAt: Date.now() - WINDOW - 5_000 });
    await time.pass(500);
    expect(late).toHaveLength(1);
    runs.clear();
    const soon = performance.now();
    await node?.notifier.notify('urgent', ORDER, { spread: false });
    await time.pass(500);
    expect([...runs.moments.values()].flat().every((moment) => moment - soon < 200)).toBe(true);
    expect(runs.moments.size).toBe(PAGES - 1);

    // A restart on the memory log: one resync each.
    runs.clear();
    const closed = node.notifier.close({ within: 3_000 });
    node = undefined;
    await time.pass(500);
    await closed;
    node = nodeOf({ limits: LIMITS });
    await time.pass(WINDOW + 10_000);
    expect(runs.reasons).toEqual(new Set(['resync']));
    expect([...runs.moments.values()].map(({ length }) => length)).toEqual(Array(PAGES - 1).fill(1));
    expect(busiest([...runs.moments.values()].flat())).toBeLessThanOrEqual(MOST);
  }, 120_000);

  test('two nodes, before they share their totals: each spreads its own half, at the target each', async () => {
    const engine = createMemoryEngine();
    const nodes = [0, 1].map(() => nodeOf({ limits: LIMITS, log: createMemoryLog({ engine }) }));
    let next = 0;
    const fetch: Fetch = (input, init) => (nodes[next++ % 2] as InProcessNode).fetch(input, init);
    const runs = await pages(fetch, nodes, 200);
    await nodes[0]?.notifier.notify('shipped', ORDER);
    await time.pass(WINDOW);
    expect(runs.moments.size).toBe(200);
    expect(busiest([...runs.moments.values()].flat())).toBeLessThanOrEqual(2 * MOST);
  }, 120_000);
});
