/** What nodes on one shared log know of each other, and the limits and waits that follow from it. */
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Cluster, createCluster, meetsStranger } from '../../../server/cluster.js';
import { createGate, DEFAULT_LIMITS, type Gate } from '../../../server/limits.js';
import { createMemoryLog } from '../../../server/log/memory.js';
import { createSharedEngine, type SharedEngine } from '../../kit/shared-engine.js';

const running = new Set<Cluster>();
const known = { marks: ['mark'], onStranger: () => {} };

function node(
  engine: SharedEngine,
  connections: number,
  more: { authorised?: number; stuck?: number; users?: [string, number][] } = {},
) {
  const totals = { connections, authorised: more.authorised ?? 0, stuck: more.stuck ?? 0 };
  const users = new Map(more.users);
  const cluster = createCluster({
    log: engine.node(),
    totals: () => totals,
    users: () => users,
    random: () => 0,
    ...known,
    every: 4,
  });
  running.add(cluster);
  return cluster;
}

afterEach(() => {
  for (const cluster of running) cluster.close();
  running.clear();
});

describe('the totals of a cluster', () => {
  test('each node knows the sums over the others, and how many they are', async () => {
    const engine = createSharedEngine();
    const a = node(engine, 100, { authorised: 7, users: [['ann', 3]] });
    const b = node(engine, 20, { stuck: 5, users: [['ann', 4]] });
    const c = node(engine, 3, { authorised: 1, stuck: 9 });
    await vi.waitFor(() => {
      for (const one of [a, b, c]) expect(one.nodes()).toBe(3);
      expect(a.others()).toEqual({ connections: 23, authorised: 1, stuck: 9 });
    });
    expect(b.others()).toEqual({ connections: 103, authorised: 8, stuck: 9 });
    expect([a, b, c].map((one) => one.ofUser('ann'))).toEqual([4, 3, 7]);
    expect(c.ofUser('ben')).toBe(0);
  });

  test('a node that is gone is forgotten after ten seconds', async () => {
    const engine = createSharedEngine();
    const a = node(engine, 1);
    const b = node(engine, 1);
    await vi.waitFor(() => expect(a.nodes()).toBe(2));
    b.close();
    engine.pass(9_000);
    const reads = engine.counts.shares;
    await vi.waitFor(() => expect(engine.counts.shares).toBeGreaterThan(reads + 2));
    expect(a.nodes()).toBe(2);
    engine.pass(11_000); // its last record may have been on its way
    await vi.waitFor(() => expect(a.nodes()).toBe(1));
    expect(a.others()).toEqual({ connections: 0, authorised: 0, stuck: 0 });
  });

  test('while the engine is down what was known holds for a while; then the node is alone until it is back', async () => {
    const engine = createSharedEngine();
    const a = createCluster({
      log: engine.node(),
      totals: () => ({ connections: 1, authorised: 0, stuck: 0 }),
      users: () => new Map(),
      random: () => 0,
      ...known,
      every: 2,
    });
    running.add(a);
    node(engine, 5);
    await vi.waitFor(() => expect(a.others().connections).toBe(5));
    engine.calls = 'reject';
    // 10 s at 2 ms each are more failures than a test should wait for; that it still holds after some is what counts.
    const before = engine.counts.shares;
    await vi.waitFor(() => expect(engine.counts.shares).toBeGreaterThan(before + 5));
    expect(a.others().connections).toBe(5);
    engine.calls = 'answer';
    await vi.waitFor(() => expect(a.nodes()).toBe(2));
  });

  test('records of another version, or of something else, are read as far as they can be', async () => {
    const engine = createSharedEngine();
    const other = engine.node();
    const third = engine.node();
    const a = node(engine, 1);
    await other.share?.('{"connections":5,"users":{"ann":"many"},"new":true}', 60_000);
    await third.share?.('neither', 60_000);
    await vi.waitFor(() => expect(a.others()).toEqual({ connections: 5, authorised: 0, stuck: 0 }));
    expect([a.nodes(), a.ofUser('ann')]).toEqual([2, 0]);
  });

  test('processes without a common secret are told of, once; a publisher is no node', async () => {
    const engine = createSharedEngine();
    const strangers: string[] = [];
    const meet = (name: string, marks: string[]): void => {
      const totals = { connections: 1, authorised: 0, stuck: 0 };
      const onStranger = (): unknown => strangers.push(name);
      const own = { totals: () => totals, users: () => new Map(), random: () => 0, every: 2, marks, onStranger };
      running.add(createCluster({ log: engine.node(), ...own }));
    };
    meet('first', ['old', 'new']);
    meet('second', ['new']);
    const counted = node(engine, 1);
    await vi.waitFor(() => expect(counted.nodes()).toBe(3));
    await vi.waitFor(() => expect(strangers.sort()).toEqual(['first', 'second']));
    expect(await meetsStranger(engine.node(), ['new', 'mark'])).toBe(false);
    expect(await meetsStranger(engine.node(), ['mark'])).toBe(true);
    const looks = engine.counts.shares;
    await vi.waitFor(() => expect(engine.counts.shares).toBeGreaterThan(looks + 9));
    expect([counted.nodes(), strangers.length]).toEqual([3, 2]);
    expect(await meetsStranger(createMemoryLog(), ['mark'])).toBe(false);
  });

  test('a log of one process is a cluster of one', () => {
    const cluster = createCluster({
      log: createMemoryLog(),
      totals: () => ({ connections: 9, authorised: 0, stuck: 0 }),
      users: () => new Map(),
      random: Math.random,
      ...known,
    });
    expect([cluster.nodes(), cluster.everywhere(5, 'connections')]).toEqual([1, 5]);
  });

  test('how many listen everywhere is taken from this node’s part; a node that has just come up does not exaggerate', async () => {
    const engine = createSharedEngine();
    const a = node(engine, 250);
    const b = node(engine, 750);
    const fresh = node(engine, 1);
    await vi.waitFor(() => expect([a, b, fresh].map((one) => one.nodes())).toEqual([3, 3, 3]));
    expect(a.everywhere(50, 'connections')).toBe(200);
    expect(b.everywhere(750, 'connections')).toBe(1_001);
    expect(fresh.everywhere(1, 'connections')).toBe(6);
    expect(a.everywhere(0, 'connections')).toBe(0);
  });
});

describe('limits per user over several nodes', () => {
  interface World {
    readonly gates: Gate[];
    /** All nodes look at each other. */
    readonly look: () => void;
  }

  function world(count: number, limit: number): World {
    let told: ReadonlyMap<string, number>[] = Array.from({ length: count }, () => new Map());
    const limits = { ...DEFAULT_LIMITS, connectionsPerUser: limit, openingsBurst: 40, openingsPerSecond: 5 };
    const gates = Array.from({ length: count }, (_, self) =>
      createGate(limits, () => 0, {
        nodes: () => count,
        ofUser: (user) => told.reduce((sum, of, other) => sum + (other === self ? 0 : (of.get(user) ?? 0)), 0),
      }),
    );
    return { gates, look: () => (told = gates.map((gate) => gate.report())) };
  }

  const entered = (gate: Gate | undefined): (() => void) | undefined => {
    try {
      return gate?.enter('ann');
    } catch {
      return undefined;
    }
  };

  test('whatever a user does, all nodes together never hold more than twice the limit', () => {
    const step = fc.record({
      node: fc.nat(7),
      leave: fc.boolean(),
      look: fc.boolean(),
      times: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 16, max: 200 }),
        fc.array(step, { maxLength: 60 }),
        (count, limit, steps) => {
          const { gates, look } = world(count, limit);
          const open: (() => void)[] = [];
          for (const { node: at, leave, look: looks, times } of steps) {
            if (looks) look();
            for (let n = 0; n < times; n++) {
              if (leave) open.splice(Math.floor(open.length / 2), 1)[0]?.();
              else {
                const left = entered(gates[at % count]);
                if (left) open.push(left);
              }
            }
            expect(open.length).toBeLessThanOrEqual(2 * limit);
          }
        },
      ),
    );
  });

  test('a user whom the load balancer keeps on one node reaches the limit there, and no more', () => {
    const { gates, look } = world(4, 80);
    let open = 0;
    for (let looks = 0; looks < 20; looks++) {
      while (entered(gates[0])) open += 1;
      look();
    }
    expect(open).toBe(80);
    expect(entered(gates[1])).toBeUndefined();
  });

  test('openings: the nodes together allow at most twice the rate', () => {
    const { gates } = world(4, 100);
    const free = gates.map(
      (gate) => Array.from({ length: 100 }, () => gate.delay('ann')).filter((wait) => wait === 0).length,
    );
    expect(free).toEqual([20, 20, 20, 20]);
  });
});
