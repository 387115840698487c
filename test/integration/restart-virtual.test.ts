/** Row 58: a rolling restart of two nodes. Shipped clients and shipped nodes, virtual time. */
import { createMemoryLog } from 'notify-listen/log/memory';
import { expect, test } from 'vitest';
import { createMemoryEngine } from '../../server/log/memory.js';
import { type Fetch, type InProcessNode, nodeOf, pageOf } from '../kit/in-process.js';
import { virtualTime } from '../kit/virtual-time.js';

const WITHIN = 20_000;
const OBJECTS = 25;

test.each([
  [500, 'drained: no page is without a stream', true],
  [200, 'ended at once', false],
] as const)(
  '%i pages, %s; no second has more than 3 × the mean of reconnects; nothing is lost, nobody resyncs',
  async (PAGES, _how, drain) => {
    const time = virtualTime();
    const engine = createMemoryEngine();
    const node = (): InProcessNode =>
      nodeOf({ log: createMemoryLog({ engine }), limits: { connectionsPerUser: 1e9, openingsBurst: 1e9 } });
    const nodes = [node(), node()] as [InProcessNode, InProcessNode];
    /** What the balancer takes for alive: it looks at /health every two seconds. */
    let targets: readonly InProcessNode[] = nodes;
    let turn = 0;
    const openings: number[] = [];
    const fetch: Fetch = (input, init) => {
      if (String(init?.body).includes('"wait":"stream"')) openings.push(performance.now());
      return (targets[turn++ % targets.length] as InProcessNode).fetch(input, init);
    };

    const newest = new Map<number, string>();
    const states: string[] = [];
    const reasons = new Set<string>();
    const last = new Map<number, string | undefined>();
    const pages = Array.from({ length: PAGES }, (_, n) => {
      const page = pageOf(`user${n % 10}`, fetch);
      page.listen(
        { entity: 'Order', id: n % OBJECTS },
        {
          '*': ({ reason, notification }) => {
            reasons.add(reason);
            last.set(n, notification?.position);
          },
        },
        { loadedAt: Date.now() },
      );
      return page;
    });
    await time.until(() => pages.every((page) => page.status().state === 'connected'));
    await time.pass(1_000);
    for (const page of pages) page.onStatus(() => states.push(page.status().state));
    reasons.clear();

    let sent = 0;
    async function change(notifier: InProcessNode['notifier']): Promise<void> {
      const id = sent++ % OBJECTS;
      const { positions } = await notifier.notify('changed', { entity: 'Order', id }, { spread: false });
      newest.set(id, positions?.[0] as string);
    }

    for (const old of [0, 1] as const) {
      const { notifier } = nodes[old];
      const other = nodes[1 - old] as InProcessNode;
      const streams = notifier.metrics().connections;
      openings.length = 0;
      const began = performance.now();
      const closed = notifier.close({ within: WITHIN, drain });
      for (let second = 0; second < 24; second++) {
        if (second === 2) targets = [other];
        await change(other.notifier);
        await time.pass(1_000);
      }
      await closed;
      const bins = Array<number>(24).fill(0);
      for (const moment of openings) {
        const second = Math.floor((moment - began) / 1_000);
        bins[second] = (bins[second] ?? 0) + 1;
      }
      console.log(`${streams} streams, reconnects in each second: ${bins.join(' ')}`);
      expect(streams).toBeGreaterThan(PAGES / 3);
      expect(Math.max(...bins)).toBeLessThanOrEqual((3 * streams) / (WITHIN / 1_000));
      // The whole window is used.
      expect(bins.slice(0, 20).filter((count) => count > 0).length).toBeGreaterThan(16);
      expect(openings.length).toBeLessThan(streams * 1.1);
      expect(other.notifier.metrics().connections).toBe(PAGES);
      nodes[old] = node();
      targets = nodes;
    }
    await time.pass(1_000);
    for (let n = 0; n < PAGES; n++) expect(last.get(n)).toBe(newest.get(n % OBJECTS));
    expect(reasons).toEqual(new Set(['notification']));
    if (drain) expect(states).toEqual([]);
  },
  120_000,
);
