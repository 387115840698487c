/** A node as an application has it: raw `node:http`, the routes, a notifier and a log; and what is measured inside it. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Log, NotificationEntry } from '../adapters/contract.js';
import { onConnection } from '../demo/server/distribute.js';
import { createNotifier, type Notifier } from '../server/index.js';
import { createFileLog } from '../server/log/file.js';
import { createMemoryEngine, createMemoryLog } from '../server/log/memory.js';
import { createNatsLog } from '../server/log/nats.js';
import { createPostgresLog } from '../server/log/postgres.js';
import { createRedisLog } from '../server/log/redis.js';
import { nodeListener } from '../server/use/node.js';
import { type Bare, bareOf } from './kit/bare.js';
import { serveParent } from './kit/child.js';
import { atRate, micros } from './kit/clock.js';

/** Longer than a run, so that nothing expires while it is measured. Milliseconds. */
const RETENTION = 30 * 60_000;
/** Entries that a log and a node keep: the defaults of the shared engines and of the history. */
export const CAP = 100_000;
/** Nobody of the bench is a person's browser. */
const PLENTY = 1_000_000;
/** Entries of one append while a log is filled. */
const BATCH = 500;

export interface Figures {
  /** User and system time of the process so far, by the operating system's accounting, in microseconds. */
  readonly cpu: number;
  /** The system's part of it. */
  readonly system: number;
  /** After garbage collection, in bytes: objects, and buffers beside the heap. */
  readonly memory: number;
  readonly rss: number;
  /** The most that it ever had. */
  readonly peak: number;
  readonly connections: number;
  readonly delivered: number;
  readonly history: number;
}

export interface NodeAnswers {
  /** Opens the log and, unless `logOnly`, a notifier that follows it and a server. */
  open(options: { log: string; namespace: string; logOnly?: boolean }): Promise<{ port: number; ms: number }>;
  /** Opens one more notifier on the same log, as a node would that starts now. Resolves with how long it took, in ms. */
  another(): Promise<number>;
  /** One append after the other, each beside a bare round trip; in microseconds. */
  oneByOne(ms: number): Promise<{ append: number[]; bare: number[] }>;
  /** So many callers, each with one append at a time. */
  joined(ms: number, callers: number): Promise<{ appended: number; ms: number; cpu: number }>;
  /** Notifies of `Order/1`, whose version is the time of the call. Resolves with how many there were. */
  notifyAt(options: { rate: number; ms: number; phase?: number }): Promise<number>;
  /** The same within transactions: for each its version, and when COMMIT was sent and answered. */
  commitAt(options: { rate: number; ms: number }): Promise<[version: number, sent: number, answered: number][]>;
  fill(entries: number, objects: number): Promise<void>;
  figures(collect: boolean): Promise<Figures>;
  close(): Promise<void>;
}

/** What it tells its parent. */
export interface NodeParent {
  closed(): void;
}

let log: Log;
let notifier: Notifier | undefined;
let server: Server | undefined;
let address = '';
let bare: Bare | undefined;
let count = 0;

function openLog(namespace: string): Log {
  const quiet = { logger: () => {}, retention: RETENTION, cap: CAP };
  if (address === 'memory:') return createMemoryLog({ engine: createMemoryEngine({ retention: RETENTION, cap: CAP }) });
  if (address.startsWith('file:')) return createFileLog({ path: address.slice('file:'.length), ...quiet });
  const shared = { url: address, namespace, ...quiet };
  if (address.startsWith('redis:')) return createRedisLog(shared);
  return address.startsWith('nats:') ? createNatsLog(shared) : createPostgresLog(shared);
}

const openNotifier = (): Notifier =>
  createNotifier<IncomingMessage>({
    user: (request) => request.headers['x-user'] as string | undefined,
    canListen: { Order: { one: () => true, all: () => true } },
    env: { NOTIFY_LISTEN_SECRET: 'a secret of the bench, long enough for it' },
    limits: { connectionsPerUser: PLENTY, openingsBurst: PLENTY, openingsPerSecond: PLENTY },
    logger: () => {},
    onError: (error) => console.error(error),
    log,
  });

function entry(id: number): NotificationEntry {
  const notification = { entity: 'Order', id: String(id), action: 'updated', changedDate: micros(), notifier: 'Ann' };
  return { kind: 'notification', notification };
}

/** In turn, so that those that meet in one tick are not merged: each is counted. */
const actionOf = (index: number): string => `updated${Math.round(index) % 100}`;

const cpu = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const answers: NodeAnswers = {
  async open({ log: at, namespace, logOnly = false }) {
    address = at;
    const began = performance.now();
    log = openLog(namespace);
    if (logOnly) return { port: 0, ms: 0 };
    const mine = openNotifier();
    notifier = mine;
    await started(mine);
    const ms = performance.now() - began;
    const handle = nodeListener(mine);
    const listening = createServer((request, response) => void handle(request, response));
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    return { port: (listening.address() as AddressInfo).port, ms };
  },

  async another() {
    const began = performance.now();
    notifier = openNotifier();
    await started(notifier);
    return performance.now() - began;
  },

  async oneByOne(ms) {
    bare ??= await bareOf(address);
    const took = { append: [] as number[], bare: [] as number[] };
    const until = performance.now() + ms;
    while (performance.now() < until) {
      let began = performance.now();
      await log.append([entry(1_000 + (count++ % 1_000))]);
      took.append.push((performance.now() - began) * 1_000);
      // The tail's work belongs to neither.
      await turn();
      if (!bare) continue;
      began = performance.now();
      await bare.trip();
      took.bare.push((performance.now() - began) * 1_000);
      await turn();
    }
    return took;
  },

  async joined(ms, callers) {
    const before = cpu();
    const began = performance.now();
    let appended = 0;
    const caller = async (): Promise<void> => {
      while (performance.now() - began < ms) {
        await log.append([entry(1_000 + (count++ % 1_000))]);
        appended++;
        // A log that answers in the same turn would let nobody else have one.
        if (!log.capabilities.shared && appended % callers === 0) await turn();
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return { appended, ms: performance.now() - began, cpu: cpu() - before };
  },

  notifyAt: (options) =>
    atRate(options, (index) =>
      notifier?.notify(
        actionOf(index + (options.phase ?? 0) * 100),
        { entity: 'Order', id: 1, changedDate: micros() },
        { notifier: 'Ann' },
      ),
    ),

  async commitAt(options) {
    const { default: pg } = await import('pg');
    const pool = new pg.Pool({ connectionString: address, max: 4 });
    await pool.query('CREATE TABLE IF NOT EXISTS bench_orders (id int PRIMARY KEY, version bigint)');
    const made: [number, number, number][] = [];
    await atRate(options, async (index) => {
      const client = await pool.connect();
      const version = micros();
      await client.query('BEGIN');
      await client.query('INSERT INTO bench_orders VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET version = $2', [
        index % 100,
        version,
      ]);
      await notifier?.notify(
        actionOf(index),
        { entity: 'Order', id: 1, changedDate: version },
        { notifier: 'Ann', transaction: client },
      );
      const sent = micros();
      await client.query('COMMIT');
      made.push([version, sent, micros()]);
      client.release();
    });
    await pool.end();
    return made;
  },

  async fill(entries, objects) {
    for (let from = 0; from < entries; from += BATCH) {
      const size = Math.min(BATCH, entries - from);
      await log.append(Array.from({ length: size }, (_, index) => entry((from + index) % objects)));
    }
  },

  async figures(collect) {
    if (collect) {
      // Twice: what a first collection finalises, the second one frees.
      for (let n = 0; n < 2; n++) {
        globalThis.gc?.();
        await turn();
      }
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    const { connections = 0, delivered = 0, history = 0 } = notifier?.metrics() ?? {};
    const peak = process.resourceUsage().maxRSS * 1_024;
    return {
      cpu: cpu(),
      system: process.cpuUsage().system,
      memory: heapUsed + external,
      rss,
      peak,
      connections,
      delivered,
      history,
    };
  },

  async close() {
    server?.closeAllConnections();
    server?.close();
    await bare?.close();
    await notifier?.close({ within: 0 });
    await log.close();
  },
};

/** Resolves when the window of the log is loaded; `position()` alone gives up after a while. */
async function started(one: Notifier): Promise<void> {
  for (;;) {
    try {
      await one.position();
      return;
    } catch {
      // Not yet.
    }
  }
}

const call = serveParent<NodeAnswers, NodeParent>(answers);

onConnection((socket) => {
  socket.once('close', () => void call('closed').catch(() => {}));
  socket.setNoDelay(true);
  server?.emit('connection', socket);
  socket.resume();
});
