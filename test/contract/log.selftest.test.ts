/** The suite tests itself: a log that breaks one promise fails at the case that names it. */
import { describe, expect, test } from 'vitest';
import type { Lease, Log, LogEntry, Logged, Tail, TailSink } from '../../adapters/contract.js';
import { epochOf, makePosition, type Position } from '../../adapters/position.js';
import { createFaultyLog, type LogNodes, logContract } from '../../adapters/testing/index.js';
import { createMemoryEngine, createMemoryLog, type MemoryEngine } from '../../server/log/memory.js';

const RETENTION = 60_000;
const OPTIONS = { retention: RETENTION, rounds: 10, patience: 200 };

type Break = (log: Log, engine: MemoryEngine) => Log;

function brokenNodes(broken: Break, more: Partial<LogNodes> = {}): () => LogNodes {
  return () => {
    let time = 1_000;
    const engine = createMemoryEngine({ retention: RETENTION, now: () => time });
    const [a, b] = [broken(createMemoryLog({ engine }), engine), broken(createMemoryLog({ engine }), engine)];
    const pass = async (ms: number): Promise<void> => {
      time += ms;
    };
    return { a, b, pass, ...more };
  };
}

/** A log whose tails give something else than they should. */
const giving =
  (change: (sink: TailSink) => (batch: readonly Logged[]) => void): Break =>
  (log) => ({ ...log, tail: (sink) => log.tail({ ...sink, entries: change(sink) }) });

const appending =
  (change: (entries: readonly LogEntry[], log: Log) => Promise<readonly Position[]>): Break =>
  (log) => ({ ...log, append: (entries) => change(entries, log) });

const tailing =
  (change: (sink: TailSink, log: Log) => Promise<Tail>): Break =>
  (log) => ({ ...log, tail: (sink) => change(sink, log) });

const leasing =
  (change: (lease: Lease) => Partial<Lease>): Break =>
  (log) => ({
    ...log,
    async lease(name, ttlMs) {
      const lease = await log.lease(name, ttlMs);
      return lease && { ...lease, ...change(lease) };
    },
  });

/** Each breaks one promise; beside it a word of the case that must notice. */
const mutants: readonly (readonly [name: string, expected: string, broken: Break])[] = [
  [
    'drops one entry',
    'one order',
    giving((sink) => {
      let count = 0;
      return (batch) => {
        const left = batch.filter(() => ++count !== 3);
        if (left.length) sink.entries(left);
      };
    }),
  ],
  ['swaps two entries', 'whole', giving((sink) => (batch) => sink.entries([...batch].reverse()))],
  ['gives entries twice', 'one order', giving((sink) => (batch) => sink.entries([...batch, ...batch]))],
  [
    'gives one node another order',
    'one order',
    giving((sink) => {
      let kept: Logged | undefined;
      return (batch) => {
        const all = kept ? [...batch, kept] : [...batch];
        kept = all.length > 1 ? undefined : all[0];
        if (!kept) sink.entries(all);
      };
    }),
  ],
  [
    'gives empty batches',
    'an append of nothing',
    giving((sink) => (batch) => {
      sink.entries([]);
      sink.entries(batch);
    }),
  ],
  [
    'loses what a notification says',
    'as it was appended',
    giving(
      (sink) => (batch) =>
        sink.entries(
          batch.map(({ position, entry }) => ({
            position,
            entry: entry.kind === 'notification' ? { kind: entry.kind, notification: entry.notification } : entry,
          })),
        ),
    ),
  ],
  [
    'answers with other positions',
    'position that append resolved with',
    appending(async (entries, log) =>
      (await log.append(entries)).map((position) => makePosition(epochOf(position), `${position.split(':')[1]}0`)),
    ),
  ],
  [
    'accepts the first half of a batch',
    'whole',
    appending(async (entries, log) => {
      const half = await log.append(entries.slice(0, Math.ceil(entries.length / 2)));
      return entries.map((_, index) => half[index] ?? (half.at(-1) as Position));
    }),
  ],
  [
    'acknowledges before it has the entries',
    'acknowledged',
    appending(async (entries, log) => {
      setTimeout(() => log.append(entries).catch(() => {}), 20);
      return entries.map((_, index) => makePosition('early', index + 1));
    }),
  ],
  [
    'calls the sink from inside append',
    'from inside',
    (log, engine) => {
      const sinks: TailSink[] = [];
      return {
        ...log,
        async append(entries) {
          const positions = engine.append(entries);
          const batch = entries.map((entry, index) => ({ position: positions[index] as Position, entry }));
          for (const sink of sinks) if (batch.length) sink.entries(batch);
          return positions;
        },
        async tail(sink) {
          sinks.push(sink);
          return log.tail({ ...sink, entries: () => {} });
        },
      };
    },
  ],
  [
    'begins a tail without the window',
    'window of every tail',
    tailing((sink, log) => {
      let loaded = false;
      const tail = log.tail({ ...sink, entries: (batch) => (loaded ? sink.entries(batch) : undefined) });
      return tail.finally(() => {
        loaded = true;
      });
    }),
  ],
  [
    'leaves a hole between window and tail',
    'no hole',
    tailing(async (sink, log) => {
      let seen: Position | undefined;
      const window = await log.tail({
        ...sink,
        entries: (batch) => {
          seen = batch.at(-1)?.position;
          sink.entries(batch);
        },
      });
      await window.close();
      for (let turn = 0; turn < 5; turn++) await undefined;
      let live = false;
      const tail = await log.tail({ ...sink, entries: (batch) => (live ? sink.entries(batch) : undefined) });
      live = true;
      return { ...tail, start: { ...window.start, top: seen ?? window.start.top } };
    }),
  ],
  [
    'gives entries of the start twice',
    'no hole',
    tailing(async (sink, log) => {
      const early: Logged[] = [];
      await log.tail({ ...sink, entries: (batch) => early.push(...batch) });
      for (let turn = 0; turn < 3; turn++) await undefined;
      const tail = await log.tail({ ...sink, entries: (batch) => sink.entries(batch) });
      const doubles = early.filter(({ position }) => position === early.at(-1)?.position);
      if (doubles.length) sink.entries(doubles);
      return tail;
    }),
  ],
  [
    'has the same epoch every time',
    'different epochs',
    (log) => ({
      ...log,
      append: async (entries) =>
        (await log.append(entries)).map((position) => makePosition('same', position.split(':')[1] as string)),
    }),
  ],
  [
    'proves what it has not given',
    'prove',
    tailing(async (sink, log) => {
      const tail = await log.tail({ ...sink, entries: (batch) => void setTimeout(() => sink.entries(batch), 5) });
      return tail;
    }),
  ],
  [
    'proves an old top',
    'prove',
    tailing(async (sink, log) => {
      const tail = await log.tail(sink);
      return { ...tail, prove: async () => tail.start.top };
    }),
  ],
  [
    'proves although it is closed',
    'tail that was closed',
    tailing(async (sink, log) => {
      const tail = await log.tail(sink);
      return { ...tail, prove: (ms) => tail.prove(ms).catch(() => tail.start.top) };
    }),
  ],
  [
    'goes on after its tail was closed',
    'tail that was closed',
    tailing(async (sink, log) => ({ ...(await log.tail(sink)), close: async () => {} })),
  ],
  [
    'accepts although it is closed',
    'close',
    (log, engine) => ({ ...log, append: async (entries) => engine.append(entries) }),
  ],
  [
    'forgets what it deduped',
    'dedupes',
    appending((entries, log) =>
      log.append(
        entries.map((entry) => {
          if (entry.kind !== 'notification') return entry;
          const { dedupeKey: _, ...rest } = entry;
          return rest;
        }),
      ),
    ),
  ],
  [
    'dedupes without a key',
    'copies that are appended at once',
    appending((entries, log) =>
      log.append(
        entries.map((entry) =>
          entry.kind === 'notification' ? { dedupeKey: `by ${entry.notification.id}`, ...entry } : entry,
        ),
      ),
    ),
  ],
  [
    'gives a lease to everybody',
    'one holder',
    (log) => {
      let fence = 0;
      const endless: Lease = {
        fence: 0,
        renew: async () => true,
        release: async () => {},
        checkpoint: async () => undefined,
        moveCheckpoint: async () => true,
      };
      return { ...log, lease: async () => ({ ...endless, fence: ++fence }) };
    },
  ],
  [
    'never ends a lease',
    'not longer than its time',
    (log) => ({ ...log, lease: (name) => log.lease(name, Number.MAX_SAFE_INTEGER) }),
  ],
  ['does not release', 'released', leasing(() => ({ release: async () => {} }))],
  ['renews an ousted holder', 'released', leasing(() => ({ renew: async () => true }))],
  ['has one fence for all', 'greater fence', leasing(() => ({ fence: 1 }))],
  [
    'forgets the checkpoint',
    'checkpoint',
    leasing(() => {
      let own: Position | undefined;
      return {
        checkpoint: async () => own,
        moveCheckpoint: async (position) => {
          own = position;
          return true;
        },
      };
    }),
  ],
  [
    'lets an ousted holder move the checkpoint',
    'no ousted one moves it',
    (log) => {
      let newest: Lease | undefined;
      return leasing((lease) => {
        newest = lease;
        return { moveCheckpoint: (position) => (newest ?? lease).moveCheckpoint(position).then(() => true) };
      })(log, undefined as never);
    },
  ],
  [
    'has one checkpoint for all leases',
    'checkpoint',
    (() => {
      let shared: Position | undefined;
      return leasing(() => ({
        checkpoint: async () => shared,
        moveCheckpoint: async (position) => {
          shared = position;
          return true;
        },
      }));
    })(),
  ],
  [
    'keeps what has expired',
    'retention',
    (() => {
      const engine = createMemoryEngine();
      return () => createMemoryLog({ engine });
    })(),
  ],
  [
    'drops without raising the floor',
    'retention',
    tailing(async (sink, log) => {
      const tail = await log.tail(sink);
      return { ...tail, start: { ...tail.start, floor: makePosition(epochOf(tail.start.floor), 0) } };
    }),
  ],
];

async function failing(factory: () => LogNodes): Promise<string[]> {
  const cases = logContract(factory, OPTIONS);
  const ends = await Promise.allSettled(cases.map(({ run }) => run()));
  return cases.filter((_, index) => ends[index]?.status === 'rejected').map(({ name }) => name);
}

describe('a log that', () => {
  test.each(mutants)('%s fails at "%s"', async (_name, expected, broken) => {
    expect((await failing(brokenNodes(broken))).filter((name) => name.includes(expected))).not.toEqual([]);
  });

  test('loses everything and keeps quiet fails at "honest"', async () => {
    const silent = brokenNodes((log) => log, { lose: async () => {} });
    expect(await failing(silent)).toEqual([expect.stringContaining('honest')]);
  });

  test('goes on with the old epoch after a loss fails at "honest"', async () => {
    const nodes = (): LogNodes => {
      let engine = createMemoryEngine();
      const [a, b] = [
        createFaultyLog(() => createMemoryLog({ engine })),
        createFaultyLog(() => createMemoryLog({ engine })),
      ];
      const lying = (log: Log): Log => ({ ...log, tail: (sink) => log.tail({ ...sink, reset: () => {} }) });
      return {
        a: lying(a.log),
        b: lying(b.log),
        pass: async () => {},
        async lose() {
          engine = createMemoryEngine();
          await Promise.all([a.faults.loseEverything(), b.faults.loseEverything()]);
        },
      };
    };
    const names = await failing(nodes);
    expect(names.filter((name) => name.includes('honest'))).not.toEqual([]);
  });

  test('breaks nothing fails nowhere', async () => {
    expect(await failing(brokenNodes((log) => log))).toEqual([]);
  });
});
