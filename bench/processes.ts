/**
 * 1, 2 and 4 server processes behind one port, on one Redis: what a delivery costs in CPU, and how even connections are. All
 * fleets and the limit (a bare `node:net` server that writes the same bytes) hold their streams during the whole run and are
 * measured in turn, so that what else the machine does hits all of them.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { createDistributor } from '../demo/server/distribute.js';
import { startRedis } from '../test/kit/engines/redis.js';
import { type Child, startChild } from './kit/child.js';
import { keep } from './kit/results.js';
import { median, overRounds, quantile, short, table } from './kit/stats.js';
import type { LimitAnswers } from './limit.js';
import type { Arrived, LoadAnswers } from './load.js';
import type { BenchOptions } from './main.js';
import { benchMemory } from './memory.js';
import type { NodeAnswers, NodeParent } from './node.js';

const COUNTS = [1, 2, 4] as const;
const LOADS = 2;
/** Of one measurement, and of what goes before it so that caches are warm. Milliseconds. */
const MEASURE = 3_000;
const WARM = 500;
/** Before the first one: so many times the rate, for so long, until the code is compiled. */
const HURRY = 3;
const FIRST = 4_000;
/** How long the last deliveries are waited for, in milliseconds. */
const PATIENCE = 5_000;

/** What is measured: some server processes with streams. */
interface Fleet {
  readonly name: string;
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
  readonly loadCores: number;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

async function fleetOf(count: number, url: string): Promise<Fleet & { readonly port: number }> {
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
  return {
    name: `${count} ${count === 1 ? 'process' : 'processes'}`,
    processes: count,
    port: (distributor.server.address() as AddressInfo).port,
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
      distributor.server.close();
      for (const node of nodes) await node.end();
    },
  };
}

async function limitFleet(connections: number): Promise<Fleet & { readonly port: number }> {
  const limit = await startChild<LimitAnswers>('limit.ts');
  return {
    name: 'limit',
    processes: 1,
    port: await limit.call('open'),
    cpu: () => limit.call('cpu'),
    notifyAt: (rate, ms) => limit.call('notifyAt', { rate, ms }),
    connections: async () => [connections],
    end: limit.end,
  };
}

export async function benchProcesses(options: BenchOptions): Promise<void> {
  const { rounds = 5, connections = 4_000, rate = 5 } = options;
  const redis = await startRedis();
  try {
    const loads = await Promise.all(Array.from({ length: LOADS }, () => startChild<LoadAnswers>('load.ts')));
    const fleets: Fleet[] = [];
    for (const make of [() => limitFleet(connections), ...COUNTS.map((count) => () => fleetOf(count, redis.url))]) {
      const fleet = await make();
      const share = {
        name: fleet.name,
        port: fleet.port,
        connections: connections / LOADS,
        bare: fleet.name === 'limit',
      };
      await Promise.all(loads.map((load) => load.call('open', share)));
      fleets.push(fleet);
    }
    for (const fleet of fleets) {
      const made = await fleet.notifyAt(rate * HURRY, FIRST);
      await arrive(fleet, loads, made * connections);
      await Promise.all(loads.map((load) => load.call('arrived', fleet.name)));
    }
    const measured = new Map(fleets.map((fleet) => [fleet, [] as Round[]]));
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? fleets : [...fleets].reverse();
      for (const fleet of order) measured.get(fleet)?.push(await measure(fleet, loads, connections, rate));
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
    const busy = median([...measured.values()].flat().map(({ loadCores }) => loadCores));
    console.log(`\nThe load's ${LOADS} processes together took ${short(busy)} of a core.`);
    for (const part of [...loads, ...fleets]) await part.end();
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

/** Resolves with how many are missing when nobody waits for them any longer. */
async function arrive(fleet: Fleet, loads: readonly Child<LoadAnswers>[], expected: number): Promise<number> {
  const late = performance.now() + PATIENCE;
  for (;;) {
    const came = sum(await Promise.all(loads.map((load) => load.call('count', fleet.name))));
    if (came >= expected || performance.now() > late) return expected - came;
    await wait(20);
  }
}

async function measure(
  fleet: Fleet,
  loads: readonly Child<LoadAnswers>[],
  streams: number,
  rate: number,
): Promise<Round> {
  const collect = async (): Promise<Arrived[]> => Promise.all(loads.map((load) => load.call('arrived', fleet.name)));
  await arrive(fleet, loads, (await fleet.notifyAt(rate, WARM)) * streams);
  const before = await collect();
  const [at, began] = [await fleet.cpu(), performance.now()];
  const lost = await arrive(fleet, loads, (await fleet.notifyAt(rate, MEASURE)) * streams);
  const used = await fleet.cpu();
  const ms = performance.now() - began;
  const after = await collect();
  const latencies = after.flatMap((one) => one.latencies);
  return {
    cpuPerDelivery: (used.cpu - at.cpu) / latencies.length,
    systemPerDelivery: (used.system - at.system) / latencies.length,
    p50: quantile(latencies, 0.5) / 1_000,
    p99: quantile(latencies, 0.99) / 1_000,
    lost,
    cores: (used.cpu - at.cpu) / 1_000 / ms,
    loadCores: sum(after.map((one, n) => one.cpu - (before[n]?.cpu ?? 0))) / 1_000 / ms,
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
