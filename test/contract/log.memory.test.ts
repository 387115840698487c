/** The memory log keeps the contract of a log, with and without gaps in its offsets; and so does the log with faults. */
import { describe, expect, test } from 'vitest';
import { createFaultyLog, type LogNodes, logContract } from '../../adapters/testing/index.js';
import { createMemoryEngine, createMemoryLog, type MemoryEngineOptions } from '../../server/log/memory.js';

const RETENTION = 60_000;

function clock(): { now: () => number; pass: (ms: number) => Promise<void> } {
  let time = 1_000;
  return {
    now: () => time,
    async pass(ms) {
      time += ms;
    },
  };
}

function memoryNodes(options: MemoryEngineOptions = {}): LogNodes {
  const { now, pass } = clock();
  const engine = createMemoryEngine({ retention: RETENTION, now, ...options });
  return { a: createMemoryLog({ engine }), b: createMemoryLog({ engine }), pass };
}

describe('the memory log', () => {
  for (const { name, run } of logContract(memoryNodes, { retention: RETENTION })) test(name, run);
});

describe('the memory log with gaps in its offsets', () => {
  let gap = 0;
  const gaps = (): number => {
    gap = (gap * 31 + 7) % 1_000;
    return gap;
  };
  for (const { name, run } of logContract(() => memoryNodes({ gap: gaps }), { retention: RETENTION })) test(name, run);
});

describe('the log with faults, while it has none but the loss of everything', () => {
  const nodes = (): LogNodes => {
    const { now, pass } = clock();
    let engine = createMemoryEngine({ retention: RETENTION, now });
    const [a, b] = [
      createFaultyLog(() => createMemoryLog({ engine })),
      createFaultyLog(() => createMemoryLog({ engine })),
    ];
    return {
      a: a.log,
      b: b.log,
      pass,
      async lose() {
        engine = createMemoryEngine({ retention: RETENTION, now });
        await a.faults.loseEverything();
        await b.faults.loseEverything();
      },
    };
  };
  for (const { name, run } of logContract(nodes, { retention: RETENTION })) test(name, run);
});

describe('what is the memory log’s own', () => {
  const entry = (id: number) =>
    ({
      kind: 'notification',
      notification: { entity: 'Order', id: String(id), action: 'updated', changedDate: 1 },
    }) as const;
  const ignore = { entries: () => {}, reset: () => {}, failed: () => {} };

  test('the cap drops the oldest entries and raises the floor; live tails have had them', async () => {
    const log = createMemoryLog({ cap: 3 });
    const seen: string[] = [];
    await log.tail({ ...ignore, entries: (batch) => seen.push(...batch.map(({ position }) => position)) });
    const positions = await log.append([1, 2, 3, 4, 5].map(entry));
    const window: string[] = [];
    const { start } = await log.tail({ ...ignore, entries: (batch) => window.push(...batch.map((it) => it.position)) });
    expect(seen).toEqual(positions);
    expect(window).toEqual(positions.slice(2));
    expect(start).toEqual({ floor: positions[1], top: positions[4] });
  });

  test('a copy counts as new once the first one has expired', async () => {
    const { now, pass } = clock();
    const log = createMemoryLog({ now, retention: RETENTION });
    const copy = { ...entry(1), dedupeKey: 'k' };
    const [first] = await log.append([copy]);
    await pass(RETENTION - 1);
    expect(await log.append([copy])).toEqual([first]);
    await pass(2);
    expect(await log.append([copy])).not.toEqual([first]);
  });

  test('tails hear of an entry without a timer, before the one who appended it goes on', async () => {
    const log = createMemoryLog();
    let seen = 0;
    await log.tail({ ...ignore, entries: () => seen++ });
    const appended = log.append([entry(1)]);
    expect(seen).toBe(0);
    await appended;
    expect(seen).toBe(1);
  });

  test('a batch that holds something else than entries is refused as a whole', async () => {
    const log = createMemoryLog();
    const seen: unknown[] = [];
    await log.tail({ ...ignore, entries: (batch) => seen.push(...batch) });
    await expect(log.append([entry(1), null as never])).rejects.toThrow();
    const [position] = await log.append([entry(2)]);
    expect(seen).toEqual([{ position, entry: entry(2) }]);
  });

  test('a sink that throws is told so, and harms no other tail', async () => {
    const log = createMemoryLog();
    const failures: unknown[] = [];
    let seen = 0;
    await log.tail({
      ...ignore,
      entries: () => {
        throw new Error('mine');
      },
      failed: (error) => failures.push(error),
    });
    await log.tail({ ...ignore, entries: () => seen++ });
    await log.append([entry(1)]);
    expect(failures).toEqual([new Error('mine')]);
    expect(seen).toBe(1);
  });

  test('a tail that is closed by its own sink gets nothing more', async () => {
    const log = createMemoryLog();
    let seen = 0;
    const tail = await log.tail({
      ...ignore,
      entries: () => {
        seen++;
        void tail.close();
      },
    });
    await log.append([entry(1)]);
    await log.append([entry(2)]);
    expect(seen).toBe(1);
  });

  test('closing while a tail loads rejects it', async () => {
    const log = createMemoryLog();
    const tailing = log.tail(ignore);
    await log.close();
    await expect(tailing).rejects.toThrow('closed');
  });

  test('what it declares is what it is: for one process, and gone with it', () => {
    expect(createMemoryLog().capabilities).toEqual({ shared: false, durable: false, dedupes: true });
  });
});
