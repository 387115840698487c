/**
 * Each log: appending one by one and joined, latency from `notify` to the bytes of a page, the start of a node on a full
 * window, memory. On a shared log the notification is made in one process and the page listens at another; on the memory and
 * file logs, which are one process's own, both are the same node. The page is a process of its own (this one).
 */
import { type Child, startChild } from './kit/child.js';
import { micros } from './kit/clock.js';
import { openPlaces, type Place } from './kit/engines.js';
import { grantFor, listen } from './kit/listen.js';
import { keep } from './kit/results.js';
import { median, overRounds, quantile, short, table } from './kit/stats.js';
import type { BenchOptions } from './main.js';
import type { NodeAnswers } from './node.js';

/** How long each part of a round lasts, in milliseconds. */
const WARM = 300;
const ONE_BY_ONE = 1_000;
const JOINED = 1_000;
const NOTIFIED = 2_000;
const CALLERS = 64;
const RATE = 50;
/** What a node finds that starts late, and about how many objects it is. */
const RETAINED = 100_000;
const OBJECTS = 10_000;
/** How often a node starts. */
const STARTS = 2;
/** How long the last of the notifications is waited for, in milliseconds. */
const PATIENCE = 5_000;

interface Round {
  readonly append: readonly number[];
  readonly bare: readonly number[];
  readonly perSecond: number;
  readonly cpuPerAppend: number;
  readonly latencies: readonly number[];
  readonly lost: number;
  /** From COMMIT sent to the page, and what COMMIT itself took. */
  readonly committed?: readonly number[];
  readonly commits?: readonly number[];
}

interface Start {
  readonly ms: number;
  /** User and system time, in milliseconds. */
  readonly cpuMs: number;
  readonly memory: number;
  readonly peak: number;
}

/** A log with its nodes and a page that listens. */
interface Bench {
  readonly place: Place;
  readonly writer: Child<NodeAnswers>;
  /** When the notification of each version arrived. */
  readonly arrived: Map<number, number>;
  readonly rounds: Round[];
  close(): Promise<void>;
}

async function openBench(place: Place): Promise<Bench> {
  const options = { log: place.address('bench'), namespace: 'bench' };
  const writer = await startChild<NodeAnswers>('node.ts');
  let { port } = await writer.call('open', options);
  const nodes = [writer];
  if (place.shared) {
    const reader = await startChild<NodeAnswers>('node.ts');
    ({ port } = await reader.call('open', options));
    nodes.push(reader);
  }
  const arrived = new Map<number, number>();
  const asking = await grantFor(port, 'ann', ['Order/1']);
  const socket = await listen({ port, asking, seen: (version) => arrived.set(version, micros()) });
  return {
    place,
    writer,
    arrived,
    rounds: [],
    async close() {
      socket.removeAllListeners('close');
      socket.destroy();
      for (const node of nodes) {
        await node.call('close');
        await node.end();
      }
    },
  };
}

async function until(reached: () => boolean): Promise<void> {
  const late = performance.now() + PATIENCE;
  while (!reached() && performance.now() < late) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function round({ place, writer, arrived, rounds }: Bench): Promise<void> {
  await writer.call('oneByOne', WARM);
  const { append, bare } = await writer.call('oneByOne', ONE_BY_ONE);
  const { appended, ms, cpu } = await writer.call('joined', JOINED, CALLERS);
  arrived.clear();
  const made = await writer.call('notifyAt', { rate: RATE, ms: NOTIFIED });
  await until(() => arrived.size >= made);
  const latencies = [...arrived].map(([version, at]) => at - version);
  const lost = made - arrived.size;
  const figures = { append, bare, perSecond: (appended / ms) * 1_000, cpuPerAppend: cpu / appended, latencies, lost };
  if (place.name !== 'postgres') {
    rounds.push(figures);
    return;
  }
  arrived.clear();
  const commits = await writer.call('commitAt', { rate: RATE, ms: NOTIFIED });
  await until(() => arrived.size >= commits.length);
  const committed = commits.flatMap(([version, sent]) => {
    const at = arrived.get(version);
    return at === undefined ? [] : [at - sent];
  });
  rounds.push({ ...figures, committed, commits: commits.map(([, sent, answered]) => answered - sent) });
}

/** Nodes that start on a full window, and what the window takes in the engine; beside a node on an empty log. */
async function starts(place: Place): Promise<{ starts: Start[]; ground: number; engine: number; filled: number }> {
  const full = { log: place.address('full'), namespace: 'full' };
  const empty = await startChild<NodeAnswers>('node.ts');
  await empty.call('open', { log: place.address('empty'), namespace: 'empty' });
  const ground = (await empty.call('figures', true)).memory;
  await empty.call('close');
  await empty.end();

  const writer = await startChild<NodeAnswers>('node.ts');
  await writer.call('open', { ...full, logOnly: true });
  const began = performance.now();
  await writer.call('fill', RETAINED, OBJECTS);
  const filled = performance.now() - began;
  const made: Start[] = [];
  if (place.name === 'memory') {
    // Its engine ends with the process: the other node is in the same one.
    const engine = (await writer.call('figures', true)).memory - ground;
    for (let n = 0; n < STARTS; n++) {
      const { cpu } = await writer.call('figures', false);
      const ms = await writer.call('another');
      const cpuMs = ((await writer.call('figures', false)).cpu - cpu) / 1_000;
      made.push({ ms, cpuMs, ...(await writer.call('figures', true)) });
    }
    await writer.end();
    return { starts: made, ground, engine, filled };
  }
  await writer.call('close');
  await writer.end();
  const engine = (await place.size?.('full')) ?? 0;
  for (let n = 0; n < STARTS; n++) {
    const node = await startChild<NodeAnswers>('node.ts');
    const { cpu } = await node.call('figures', false);
    const { ms } = await node.call('open', full);
    const cpuMs = ((await node.call('figures', false)).cpu - cpu) / 1_000;
    made.push({ ms, cpuMs, ...(await node.call('figures', true)) });
    await node.call('close');
    await node.end();
  }
  return { starts: made, ground, engine, filled };
}

const ms = (values: readonly number[], q: number): number => quantile(values, q) / 1_000;

export async function benchLogs({ rounds = 4 }: BenchOptions): Promise<void> {
  const places = await openPlaces();
  try {
    const benches: Bench[] = [];
    for (const place of places) benches.push(await openBench(place));
    for (let n = 0; n < rounds; n++) for (const bench of n % 2 ? [...benches].reverse() : benches) await round(bench);
    for (const bench of benches) await bench.close();

    console.log(
      `\nAppending, ${rounds} rounds in turn: median of the rounds (lowest–highest). Bare: the engine's smallest round trip\n`,
    );
    console.log(
      table(
        ['log', 'append p50 ms', 'p99 ms', 'bare p50 ms', 'p50 ÷ bare', `${CALLERS} callers, appends/s`, 'CPU µs each'],
        benches.map(({ place, rounds: of }) => [
          place.name,
          overRounds(of.map(({ append }) => ms(append, 0.5))),
          overRounds(of.map(({ append }) => ms(append, 0.99))),
          place.name === 'memory' ? '–' : overRounds(of.map(({ bare }) => ms(bare, 0.5))),
          place.name === 'memory' ? '–' : overRounds(of.map(({ append, bare }) => ms(append, 0.5) / ms(bare, 0.5))),
          overRounds(of.map(({ perSecond }) => perSecond)),
          short(median(of.map(({ cpuPerAppend }) => cpuPerAppend))),
        ]),
      ),
    );
    const [memory] = benches;
    const against = (of: readonly Round[], q: number): string =>
      overRounds(of.map(({ latencies }, n) => ms(latencies, q) / ms(memory?.rounds[n]?.latencies ?? [], q)));
    const rows = benches.map(({ place, rounds: of }) => [
      place.shared ? `${place.name}, another process` : `${place.name}, the same process`,
      overRounds(of.map(({ latencies }) => ms(latencies, 0.5))),
      overRounds(of.map(({ latencies }) => ms(latencies, 0.99))),
      against(of, 0.5),
      String(of.reduce((sum, { lost }) => sum + lost, 0)),
    ]);
    for (const { rounds: of } of benches.filter(({ place }) => place.name === 'postgres')) {
      const committed = of.map((one) => one.committed ?? []);
      const commits = median(of.flatMap((one) => one.commits ?? [])) / 1_000;
      rows.push([
        `postgres, from COMMIT (itself ${short(commits)})`,
        overRounds(committed.map((values) => ms(values, 0.5))),
        overRounds(committed.map((values) => ms(values, 0.99))),
        overRounds(committed.map((values, n) => ms(values, 0.5) / ms(memory?.rounds[n]?.latencies ?? [], 0.5))),
        String(of.reduce((sum, one) => sum + (one.commits?.length ?? 0) - (one.committed?.length ?? 0), 0)),
      ]);
    }
    console.log(`\nFrom notify() to the page's bytes, ${RATE} a second\n`);
    console.log(table(['log', 'p50 ms', 'p99 ms', 'p50 ÷ memory', 'not seen'], rows));

    const started = new Map<Place, Awaited<ReturnType<typeof starts>>>();
    for (const place of places) started.set(place, await starts(place));
    console.log(
      `\nA node that starts on ${RETAINED.toLocaleString('en')} entries of ${OBJECTS.toLocaleString('en')} objects, ${STARTS} starts\n`,
    );
    console.log(
      table(
        [
          'log',
          'loaded in s',
          'its CPU s',
          'node MB more than empty',
          'peak RSS MB',
          'engine B per entry',
          'filled, entries/s',
        ],
        [...started].map(([place, { starts: of, ground, engine, filled }]) => [
          place.name,
          overRounds(of.map((one) => one.ms / 1_000)),
          overRounds(of.map((one) => one.cpuMs / 1_000)),
          short(median(of.map(({ memory }) => memory - ground)) / 1e6),
          short(Math.max(...of.map(({ peak }) => peak)) / 1e6),
          short(engine / RETAINED) + (place.name === 'memory' ? ' (in the node)' : ''),
          short((RETAINED / filled) * 1_000),
        ]),
      ),
    );
    keep('logs', {
      rate: RATE,
      callers: CALLERS,
      logs: benches.map(({ place, rounds: of }) => ({
        name: place.name,
        rounds: of.map(({ append, bare, latencies, committed = [], commits = [], ...rest }) => ({
          ...rest,
          ...Object.fromEntries(
            Object.entries({ append, bare, latencies, committed, commits }).map(([what, values]) => [
              what,
              { p50: ms(values, 0.5), p95: ms(values, 0.95), p99: ms(values, 0.99), count: values.length },
            ]),
          ),
        })),
        start: started.get(place),
      })),
    });
  } finally {
    for (const place of places) await place.close();
  }
}
