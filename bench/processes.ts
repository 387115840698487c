/**
 * 1, 2 and 4 server processes behind one port, on one Redis: what a delivery costs in CPU, and how even connections are. All
 * fleets and the limit (a bare `node:net` server that writes the same bytes) hold their streams during the whole run and are
 * measured in turn, so that what else the machine does hits all of them.
 */
import type { AddressInfo } from 'node:net';
import { createDistributor } from '../demo/server/distribute.js';
import { startRedis } from '../test/kit/engines/redis.js';
import { type Child, startChild } from './kit/child.js';
import { LIMIT, requestsOf, stand } from './kit/contenders.js';
import { type Crowd, startCrowd } from './kit/crowd.js';
import { keep } from './kit/results.js';
import { median, overRounds, short, table } from './kit/stats.js';
import type { BenchOptions } from './main.js';
import { benchMemory } from './memory.js';
import type { NodeAnswers, NodeParent } from './node.js';

const COUNTS = [1, 2, 4] as const;
/** People, each with as many streams as the others. */
const USERS = 400;
/** Of one measurement, and of what goes before it so that caches are warm. Milliseconds. */
const MEASURE = 3_000;
const WARM = 500;
/** Before the first one: so many times the rate, for so long, until the code is compiled. */
const HURRY = 3;
const FIRST = 4_000;

/** What is measured: some server processes with streams. */
interface Fleet {
  readonly name: string;
  readonly crowd: Crowd;
  readonly processes: number;
  /** CPU time of all its processes so far, and the system's part of it, in microseconds. */
  cpu(): Promise<Used>;
  notifyAt(rate: number, ms: number): Promise<number>;
  /** Streams of each process. */
  connections(): Promise<number[]>;
  end(): Promise<void>;
}

interface Used {
  readonly cpu: number;
  readonly system: number;
}

interface Round {
  readonly cpuPerDelivery: number;
  readonly systemPerDelivery: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  readonly cores: number;
  readonly crowdCores: number;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function fleetOf(count: number, url: string, connections: number): Promise<Fleet> {
  const distributor = createDistributor();
  const nodes: Child<NodeAnswers>[] = [];
  const namespace = `fleet-${count}`;
  for (let n = 0; n < count; n++) {
    const node = await startChild<NodeAnswers, NodeParent>('node.ts', (child) => ({
      closed: () => distributor.closed(child),
    }));
    await node.call('open', { log: url, namespace });
    distributor.add(node.process);
    nodes.push(node);
  }
  await new Promise<void>((resolve) => distributor.server.listen(0, '127.0.0.1', resolve));
  const figures = () => Promise.all(nodes.map((node) => node.call('figures', false)));
  const { port } = distributor.server.address() as AddressInfo;
  const crowd = await startCrowd();
  const sets = Array.from({ length: USERS }, () => [1]);
  await crowd.open({
    port,
    count: connections,
    ready: 'event: ready',
    requests: await requestsOf('notify-listen', port, sets),
  });
  return {
    crowd,
    name: `${count} ${count === 1 ? 'process' : 'processes'}`,
    processes: count,
    async cpu() {
      const of = await figures();
      return { cpu: sum(of.map(({ cpu }) => cpu)), system: sum(of.map(({ system }) => system)) };
    },
    // Each process makes its part of the notifications, as each serves its part of the requests that lead to them.
    async notifyAt(rate, ms) {
      const made = nodes.map((node, n) => node.call('notifyAt', { rate: rate / count, ms, phase: n / count }));
      return sum(await Promise.all(made));
    },
    connections: async () => (await figures()).map(({ connections }) => connections),
    async end() {
      await crowd.end();
      distributor.server.close();
      for (const node of nodes) await node.end();
    },
  };
}

async function limitFleet(connections: number): Promise<Fleet> {
  const limit = await stand(LIMIT);
  await limit.connect(connections, [[1]]);
  return {
    name: limit.name,
    crowd: limit.crowd,
    processes: 1,
    cpu: () => limit.server.call('used', false),
    notifyAt: (rate, ms) => limit.server.call('publish', { rate, ms }),
    connections: async () => [connections],
    end: limit.end,
  };
}

export async function benchProcesses(options: BenchOptions): Promise<void> {
  const { rounds = 5, connections = 4_000, rate = 5 } = options;
  const redis = await startRedis();
  try {
    const fleets = [await limitFleet(connections)];
    for (const count of COUNTS) fleets.push(await fleetOf(count, redis.url, connections));
    for (const fleet of fleets) {
      await fleet.notifyAt(rate * HURRY, FIRST);
      await fleet.crowd.settle();
    }
    const measured = new Map(fleets.map((fleet) => [fleet, [] as Round[]]));
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? fleets : [...fleets].reverse();
      for (const fleet of order) measured.get(fleet)?.push(await measure(fleet, connections, rate));
    }
    const even = await Promise.all(fleets.map((fleet) => fleet.connections()));
    const [limit, one] = [...measured.values()] as [Round[], Round[]];
    const perRound = (some: readonly Round[], than: readonly Round[]): string =>
      overRounds(some.map(({ cpuPerDelivery }, n) => cpuPerDelivery / (than[n]?.cpuPerDelivery ?? Number.NaN)));
    console.log(
      `\n${connections} streams of one object, ${rate} notifications a second, ${rounds} rounds in turn, median (lowest–highest)\n`,
    );
    console.log(
      table(
        [
          '',
          'CPU µs per delivery',
          'of it system',
          '÷ 1 process',
          '÷ limit',
          'p50 ms',
          'p99 ms',
          'lost',
          'streams of each process',
        ],
        [...measured].map(([fleet, of], n) => [
          fleet.name,
          overRounds(of.map(({ cpuPerDelivery }) => cpuPerDelivery)),
          short(median(of.map(({ systemPerDelivery }) => systemPerDelivery))),
          perRound(of, one),
          perRound(of, limit),
          short(median(of.map(({ p50 }) => p50))),
          short(median(of.map(({ p99 }) => p99))),
          String(of.reduce((sum, { lost }) => sum + lost, 0)),
          (even[n] ?? []).join(', '),
        ]),
      ),
    );
    const busy = median([...measured.values()].flat().map(({ crowdCores }) => crowdCores));
    console.log(`\nThe crowd took ${short(busy)} of a core.`);
    for (const fleet of fleets) await fleet.end();
    const idle = await idleNodes(redis.url, rate);
    console.log(
      `A notification costs the node that makes it ${short(idle.maker)} µs of CPU and every other node ${short(idle.hearer)} µs, with no stream.`,
    );
    const memory = await benchMemory(redis);
    keep('processes', {
      connections,
      rate,
      fleets: [...measured].map(([fleet, of], n) => ({ name: fleet.name, rounds: of, connections: even[n] })),
      idle,
      memory,
    });
  } finally {
    await redis.remove();
  }
}

async function measure(fleet: Fleet, streams: number, rate: number): Promise<Round> {
  const { crowd } = fleet;
  await fleet.notifyAt(rate, WARM);
  const idle = await crowd.settle();
  const [at, began] = [await fleet.cpu(), performance.now()];
  const expected = (await fleet.notifyAt(rate, MEASURE)) * streams;
  const arrived = await crowd.settle();
  const used = await fleet.cpu();
  const ms = performance.now() - began;
  return {
    cpuPerDelivery: (used.cpu - at.cpu) / arrived.count,
    systemPerDelivery: (used.system - at.system) / arrived.count,
    p50: arrived.p50 / 1_000,
    p99: arrived.p99 / 1_000,
    lost: expected - arrived.count,
    cores: (used.cpu - at.cpu) / 1_000 / ms,
    crowdCores: (arrived.cpu - idle.cpu) / 1_000 / ms,
  };
}

/** What a notification costs a node to which nobody listens: the one that makes it, and one that hears of it. */
async function idleNodes(url: string, rate: number): Promise<{ maker: number; hearer: number }> {
  const nodes = [await startChild<NodeAnswers>('node.ts'), await startChild<NodeAnswers>('node.ts')] as const;
  for (const node of nodes) await node.call('open', { log: url, namespace: 'idle' });
  const cpu = async (): Promise<number[]> =>
    (await Promise.all(nodes.map((node) => node.call('figures', false)))).map((one) => one.cpu);
  await nodes[0].call('notifyAt', { rate: rate * HURRY, ms: FIRST });
  const before = await cpu();
  const made = await nodes[0].call('notifyAt', { rate, ms: 2 * MEASURE });
  const [maker = 0, hearer = 0] = (await cpu()).map((used, n) => (used - (before[n] ?? 0)) / made);
  for (const node of nodes) await node.end();
  return { maker, hearer };
}
