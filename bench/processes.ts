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
/** How long the last deliveries are waited for, in milliseconds. */
const PATIENCE = 5_000;

/** What is measured: some server processes with streams. */
interface Fleet {
  readonly name: string;
  readonly processes: number;
  /** CPU time of all its processes so far, in microseconds. */
  cpu(): Promise<number>;
  notifyAt(rate: number, ms: number): Promise<number>;
  /** Streams of each process. */
  connections(): Promise<number[]>;
}

interface Round {
  readonly cpuPerDelivery: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  readonly cores: number;
  readonly loadCores: number;
}

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
    cpu: async () => (await figures()).reduce((sum, { cpu }) => sum + cpu, 0),
    // Each process makes its part of the notifications, as each serves its part of the requests that lead to them.
    async notifyAt(rate, ms) {
      const made = nodes.map((node, n) => node.call('notifyAt', { rate: rate / count, ms, phase: n / count }));
      return (await Promise.all(made)).reduce((sum, one) => sum + one, 0);
    },
    connections: async () => (await figures()).map(({ connections }) => connections),
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
  };
}

export async function benchProcesses(options: BenchOptions): Promise<void> {
  const { rounds = 5, connections = 1_000, rate = 20 } = options;
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
        ['', 'CPU µs per delivery', '÷ 1 process', '÷ limit', 'p50 ms', 'p99 ms', 'lost', 'streams of each process'],
        [...measured].map(([fleet, of], n) => [
          fleet.name,
          overRounds(of.map(({ cpuPerDelivery }) => cpuPerDelivery)),
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
    for (const load of loads) await load.end();
    const memory = await benchMemory(redis);
    keep('processes', {
      connections,
      rate,
      fleets: [...measured].map(([fleet, of], n) => ({ name: fleet.name, rounds: of, connections: even[n] })),
      memory,
    });
  } finally {
    await redis.remove();
  }
}

async function measure(
  fleet: Fleet,
  loads: readonly Child<LoadAnswers>[],
  streams: number,
  rate: number,
): Promise<Round> {
  const total = async (): Promise<number> =>
    (await Promise.all(loads.map((load) => load.call('count', fleet.name)))).reduce((sum, one) => sum + one, 0);
  async function arrive(made: number): Promise<number> {
    const expected = made * streams;
    const late = performance.now() + PATIENCE;
    let came = await total();
    while (came < expected && performance.now() < late) {
      await wait(20);
      came = await total();
    }
    return expected - came;
  }
  const collect = async (): Promise<Arrived[]> => Promise.all(loads.map((load) => load.call('arrived', fleet.name)));

  await arrive(await fleet.notifyAt(rate, WARM));
  const before = await collect();
  const [cpu, began] = [await fleet.cpu(), performance.now()];
  const lost = await arrive(await fleet.notifyAt(rate, MEASURE));
  const used = (await fleet.cpu()) - cpu;
  const ms = performance.now() - began;
  const after = await collect();
  const latencies = after.flatMap((one) => one.latencies);
  const loadCpu = after.reduce((sum, one, n) => sum + one.cpu - (before[n]?.cpu ?? 0), 0);
  return {
    cpuPerDelivery: used / latencies.length,
    p50: quantile(latencies, 0.5) / 1_000,
    p99: quantile(latencies, 0.99) / 1_000,
    lost,
    cores: used / 1_000 / ms,
    loadCores: loadCpu / 1_000 / ms,
  };
}
