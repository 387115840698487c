/** The states and races of docs/shared-log.md, each with the engine in memory; the contract suite runs beside (log.shared). */
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Log, LogEntry, Logged, LogWindow, Tail } from '../../../adapters/contract.js';
import { epochOf, makePosition, type Position } from '../../../adapters/position.js';
import { createAppends } from '../../../server/log/shared/appends.js';
import type { Slice } from '../../../server/log/shared/driver.js';
import { createReader } from '../../../server/log/shared/reader.js';
import { createSharedEngine } from '../../kit/shared-engine.js';

const note = (id: number | string): LogEntry => ({
  kind: 'notification',
  notification: { entity: 'Order', id: String(id), action: 'updated', changedDate: 1 },
});
const revoke: LogEntry = { kind: 'revoke', users: ['h1'] };
const nameOf = ({ entry }: Logged): string => (entry.kind === 'notification' ? `${entry.notification.id}` : entry.kind);

interface Heard {
  readonly tail: Tail;
  /** Ids of notifications, kinds of other entries, `reset` for a reset, in their order. */
  readonly calls: string[];
  readonly resets: LogWindow[];
  readonly failures: unknown[];
}

const logs = new Set<Log>();

async function tail(log: Log): Promise<Heard> {
  logs.add(log);
  const heard = { calls: [] as string[], resets: [] as LogWindow[], failures: [] as unknown[] };
  const it = await log.tail({
    entries: (batch) => heard.calls.push(...batch.map(nameOf)),
    reset(start) {
      heard.calls.push('reset');
      heard.resets.push(start);
    },
    failed: (error) => heard.failures.push(error),
  });
  return { ...heard, tail: it };
}

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all([...logs].map((log) => log.close()));
  logs.clear();
});

/** Time passes in steps, so that what answers in real turns of the event loop keeps up with it. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    await vi.advanceTimersByTimeAsync(10);
    await new Promise(setImmediate);
  }
}

const deaf = { hints: false, idle: 3_600_000 } as const;

describe('a tail on a shared engine', () => {
  test('hints lost: a proof reads all the same, and so does the idle time', async () => {
    const engine = createSharedEngine();
    const [a, b] = [engine.node(deaf), engine.node(deaf)];
    const heard = await tail(b);
    const [position] = await a.append([note(1)]);
    expect(heard.calls).toEqual([]);
    expect(await heard.tail.prove(5_000)).toBe(position);
    expect(heard.calls).toEqual(['1']);
    const idle = await tail(engine.node({ hints: false, idle: 1 }));
    await a.append([note(2)]);
    await vi.waitFor(() => expect(idle.calls).toEqual(['1', '2']));
  });

  test('race 3: a read that began before the question is no proof', async () => {
    const asked: ((slice: Slice) => void)[] = [];
    const seen: string[] = [];
    const slice = (top: number, entries: readonly Logged[] = []): Slice => ({
      floor: makePosition('e', 0),
      top: makePosition('e', top),
      entries,
      more: false,
    });
    const reader = createReader({
      name: 'test',
      sink: { entries: (batch) => seen.push(...batch.map(nameOf)), reset: () => {}, failed: () => {} },
      read: () => new Promise((resolve) => asked.push(resolve)),
      renew: async () => {},
      idle: () => 3_600_000,
    });
    const loading = reader.load();
    asked.shift()?.(slice(0));
    await loading;
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    let proved: Position | undefined;
    const proof = reader.prove(60_000).then((top) => {
      proved = top;
    });
    // The answer to the earlier read: it does not know of entry 1.
    asked.shift()?.(slice(0));
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    expect(proved).toBeUndefined();
    asked.shift()?.(slice(1, [{ position: makePosition('e', 1), entry: note(1) }]));
    await proof;
    expect([proved, seen]).toEqual([makePosition('e', 1), ['1']]);
    reader.close();
  });

  test('race 4: a hint during a read is followed by another read, without a wait', async () => {
    let reads = 0;
    let during = (): void => {};
    const reader = createReader({
      name: 'test',
      sink: { entries: () => {}, reset: () => {}, failed: () => {} },
      async read() {
        reads++;
        during();
        return { floor: makePosition('e', 0), top: makePosition('e', 0), entries: [], more: false };
      },
      renew: async () => {},
      idle: () => 3_600_000,
    });
    await reader.load();
    await vi.waitFor(() => expect(reads).toBe(2));
    during = () => {
      during = () => {};
      reader.hint();
    };
    reader.hint();
    await vi.waitFor(() => expect(reads).toBe(4));
    reader.close();
  });

  test('trimmed past: a reset, and what the window has of revocations is given after it', async () => {
    const engine = createSharedEngine({ cap: 3 });
    const [a, b] = [engine.node(), engine.node(deaf)];
    const heard = await tail(b);
    await a.append([note(1), note(2), revoke, note(3), note(4), note(5)]);
    await heard.tail.prove(5_000);
    expect(heard.calls).toEqual(['reset', '3', '4', '5']);
    await a.append([note(6), note(7), note(8), revoke]);
    await heard.tail.prove(5_000);
    expect(heard.calls.slice(4)).toEqual(['reset', '7', '8', 'revoke']);
    expect(heard.failures).toEqual([]);
  });

  test('race 6, ahead of the engine: of two nodes that see it one changes the epoch, and both are told once', async () => {
    const engine = createSharedEngine();
    const nodes = [engine.node(deaf), engine.node(deaf)] as const;
    const heard = [await tail(nodes[0]), await tail(nodes[1])] as const;
    const [first] = await nodes[0].append([note(1), note(2), note(3)]);
    await Promise.all(heard.map((one) => one.tail.prove(5_000)));
    engine.lose({ silently: true, keep: 1 });
    await Promise.all(heard.map((one) => one.tail.prove(5_000)));
    expect(engine.counts.renewed).toBe(1);
    for (const { resets, calls, failures } of heard) {
      expect(calls).toEqual(['1', '2', '3', 'reset']);
      expect(epochOf(resets[0]?.top as Position)).not.toBe(epochOf(first as Position));
      expect(failures).toEqual([]);
    }
    const [after] = await nodes[1].append([note(4)]);
    expect(await heard[0].tail.prove(5_000)).toBe(after);
    expect(heard[0].calls.at(-1)).toBe('4');
  });

  test('race 8: a call that hangs is given up, its connections dropped, and made again', async () => {
    const engine = createSharedEngine();
    const [a, b] = [engine.node(deaf), engine.node(deaf)];
    const heard = await tail(b);
    await heard.tail.prove(5_000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    engine.calls = 'hang';
    const proof = heard.tail.prove(4_000);
    const append = a.append([note(1)]);
    const refused = expect(append).rejects.toThrow('append of the shared log took longer than 3000 ms');
    await pass(2_990);
    expect(engine.counts.dropped).toBe(0);
    engine.calls = 'answer';
    await pass(200);
    await refused;
    expect(engine.counts.dropped).toBe(2);
    await proof;
    expect(heard.failures).toHaveLength(1);
    vi.useRealTimers();
    await a.append([note(2)]);
    await heard.tail.prove(5_000);
    // What hung may have been accepted; here it was not.
    expect(heard.calls).toEqual(['2']);
  });

  test('an engine that refuses: proofs wait until their time is over, reads are made again with a wait', async () => {
    const engine = createSharedEngine();
    const heard = await tail(engine.node(deaf));
    await heard.tail.prove(5_000);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    engine.calls = 'reject';
    const proof = heard.tail.prove(4_000);
    const refused = expect(proof).rejects.toThrow('prove of the shared log took longer than 4000 ms');
    await pass(4_000);
    await refused;
    expect(heard.failures.length).toBeGreaterThan(3);
    expect(heard.failures.length).toBeLessThan(12);
    engine.calls = 'answer';
    await heard.tail.prove(4_000);
  });

  test('a tail that begins where another ended is told only what came after, and all of it where that is not there', async () => {
    const engine = createSharedEngine({ cap: 4 });
    const log = engine.node(deaf);
    logs.add(log);
    const [, second] = (await log.append([note(1), note(2), note(3)])) as [Position, Position, Position];
    const from = async (after: Position): Promise<{ calls: string[]; floor: Position }> => {
      const calls: string[] = [];
      const sink = { reset: () => {}, failed: () => {} };
      const { start } = await log.tail({ ...sink, entries: (batch) => calls.push(...batch.map(nameOf)) }, after);
      return { calls, floor: start.floor };
    };
    expect(await from(second)).toEqual({ calls: ['3'], floor: second });
    await log.append([note(4), note(5), note(6), note(7)]);
    // Trimmed past, and of another epoch.
    const { floor } = await from(second);
    expect(floor).not.toBe(second);
    for (const after of [second, makePosition('other', 1)])
      expect(await from(after)).toEqual({ calls: ['4', '5', '6', '7'], floor });
    // Beyond the top: the engine has lost something, and must say so.
    expect(epochOf((await from(makePosition(epochOf(second), 99))).floor)).not.toBe(epochOf(second));
    expect(engine.counts.renewed).toBe(1);
  });

  test('race 12: what cannot be read is a resync for all in its place, live and in a window', async () => {
    const engine = createSharedEngine();
    const [a, b] = [engine.node(deaf), engine.node(deaf)];
    const heard = await tail(b);
    const strange: unknown[] = [
      'text',
      { kind: 'presence' },
      { kind: 'notification' },
      { kind: 'notification', notification: { entity: 'Order', action: 7 } },
      { kind: 'notification', notification: { entity: 'Order', action: 'a' }, to: { users: 'ann' } },
      { kind: 'revoke' },
      { kind: 'resync', objects: [null] },
    ];
    await a.append([note(1), ...(strange as LogEntry[]), note(2)]);
    await heard.tail.prove(5_000);
    const expected = ['1', ...strange.map(() => 'resync'), '2'];
    expect(heard.calls).toEqual(expected);
    expect((await tail(engine.node(deaf))).calls).toEqual(expected);
    expect(heard.failures).toEqual([]);
  });

  test('a tail cannot begin while the engine refuses; the log can be asked again', async () => {
    const engine = createSharedEngine();
    const log = engine.node();
    engine.calls = 'reject';
    await expect(tail(log)).rejects.toThrow('the engine refuses');
    engine.calls = 'answer';
    await log.append([note(1)]);
    expect((await tail(log)).calls).toEqual(['1']);
  });

  test('an engine that is behind and keeps its epoch is a failure, not a loop', async () => {
    let top = 5;
    const failures: unknown[] = [];
    const reader = createReader({
      name: 'test',
      sink: { entries: () => {}, reset: () => {}, failed: (error) => failures.push(error) },
      read: async () => ({ floor: makePosition('e', 0), top: makePosition('e', top), entries: [], more: false }),
      renew: async () => {},
      idle: () => 3_600_000,
    });
    await reader.load();
    top = 4;
    reader.hint();
    await vi.waitFor(() => expect(String(failures[0])).toContain('keeps its epoch'));
    reader.close();
  });
});

describe('joined appends', () => {
  const numbers = (from: number, count: number): LogEntry[] => Array.from({ length: count }, (_, n) => note(from + n));

  test('what comes while one is under way makes the next batch, in order; each gets its own positions', async () => {
    const batches: LogEntry[][] = [];
    let release = (): void => {};
    let offset = 0;
    const append = createAppends(async (entries) => {
      batches.push([...entries]);
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return entries.map(() => makePosition('e', ++offset));
    });
    const given = [append(numbers(1, 1)), append(numbers(2, 2)), append(numbers(4, 1))];
    expect(batches).toHaveLength(1);
    release();
    await given[0];
    await vi.waitFor(() => expect(batches).toHaveLength(2));
    release();
    expect((await Promise.all(given)).map((positions) => positions.length)).toEqual([1, 2, 1]);
    expect(batches.map((batch) => batch.length)).toEqual([1, 3]);
    expect((await Promise.all(given)).flat()).toEqual([1, 2, 3, 4].map((n) => makePosition('e', n)));
  });

  test('a batch is bounded, an append is never cut, and a larger one goes alone', async () => {
    const sizes: number[] = [];
    const append = createAppends(async (entries) => {
      sizes.push(entries.length);
      await new Promise(setImmediate);
      return entries.map((_, n) => makePosition('e', n));
    });
    await Promise.all([1, 300, 300, 700, 100, 100].map((count) => append(numbers(1, count))));
    expect(sizes).toEqual([1, 300, 300, 700, 200]);
  });

  test('a batch that is rejected rejects each of its appends, and the next one is tried', async () => {
    let fail = true;
    const append = createAppends(async (entries) => {
      await new Promise(setImmediate);
      if (fail) throw new Error('refused');
      return entries.map((_, n) => makePosition('e', n));
    });
    const results = await Promise.allSettled([append(numbers(1, 1)), append(numbers(2, 1)), append(numbers(3, 1))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    fail = false;
    expect(await append(numbers(4, 1))).toHaveLength(1);
  });
});
