/** How a node follows the log: DESIGN 6, "The tail proves that it is alive". */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Log, Logged, LogWindow, TailSink } from '../../../adapters/contract.js';
import { comparePositions, epochOf, makePosition, type Position } from '../../../adapters/position.js';
import { createFaultyLog } from '../../../adapters/testing/index.js';
import { createFollower, type Follower, LAG_PATIENCE } from '../../../server/follower.js';
import { createMemoryEngine, createMemoryLog } from '../../../server/log/memory.js';
import { at, logged, note, settle, windowOf } from '../../kit/entries.js';

const HEARTBEAT = 15_000;

interface Node {
  readonly follower: Follower;
  readonly delivered: Logged[];
  readonly losses: LogWindow[];
  readonly beats: (Position | undefined)[];
  readonly errors: unknown[];
}

const running = new Set<Follower>();

function follow(log: Log): Node {
  const node = { delivered: [] as Logged[], losses: [] as LogWindow[], beats: [] as (Position | undefined)[] };
  const errors: unknown[] = [];
  const follower = createFollower({
    log,
    retention: 420_000,
    cap: 1_000,
    heartbeat: HEARTBEAT,
    monotonic: () => performance.now(),
    onError: (error) => errors.push(error),
    deliver: (one) => node.delivered.push(one),
    lost: (start) => node.losses.push(start),
    beat: (position) => node.beats.push(position),
  });
  running.add(follower);
  return { follower, ...node, errors };
}

const ids = ({ delivered }: Node): (string | undefined)[] =>
  delivered.map(({ entry }) => (entry.kind === 'notification' ? entry.notification.id : entry.kind));
const resyncs = ({ follower }: Node, position: Position): readonly string[] =>
  follower.history.read(new Map([['Order/1', position]])).resync;
const replays = ({ follower }: Node, position: Position, channel = 'Order/1'): number =>
  follower.history.read(new Map([[channel, position]])).replay.length;

/** A log whose tails the test drives by hand. */
function handLog(): { log: Log; tails: { sink: TailSink; open(start: LogWindow): void; closed: boolean }[] } {
  const tails: { sink: TailSink; open(start: LogWindow): void; closed: boolean }[] = [];
  const never = (): Promise<never> => Promise.reject(new Error('not asked for'));
  return {
    tails,
    log: {
      name: 'hand',
      capabilities: { shared: true, durable: false, dedupes: false },
      append: never,
      lease: never,
      close: () => Promise.resolve(),
      tail: (sink) =>
        new Promise((resolve) => {
          const tail = {
            sink,
            closed: false,
            open: (start: LogWindow) =>
              resolve({
                start,
                prove: () => Promise.reject(new Error('half open')),
                close: async () => {
                  tail.closed = true;
                },
              }),
          };
          tails.push(tail);
        }),
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(async () => {
  await Promise.all([...running].map((follower) => follower.close()));
  running.clear();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('the start', () => {
  test('serves nothing before the window is loaded, and then all of it', async () => {
    const engine = createMemoryEngine();
    const log = createMemoryLog({ engine });
    const [before] = (await log.append([note(1)])) as [Position];
    const node = follow(createMemoryLog({ engine }));
    expect(node.follower.healthy()).toBe(false);
    expect(node.follower.loaded()).toBe(false);
    await node.follower.started();
    expect(node.follower.healthy()).toBe(true);
    expect(node.follower.history.top).toBe(before);
    expect(replays(node, makePosition(epochOf(before), 0))).toBe(1);
    expect(node.delivered).toEqual([]);
    expect(node.losses).toEqual([]);
  });

  test('an engine that is away at the start is tried again for ever', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    faults.tail = 'fails';
    const node = follow(log);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(node.follower.loaded()).toBe(false);
    expect(node.beats.every((position) => position === undefined)).toBe(true);
    faults.tail = 'works';
    await vi.advanceTimersByTimeAsync(1_000);
    expect(node.follower.healthy()).toBe(true);
  });

  test('entries that arrive in the moment in which the tail opens are taken once, and the top does not go back', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.sink.entries([logged(1, note(1)), logged(2, note(2))]);
    tails[0]?.open(windowOf(0, 1));
    tails[0]?.sink.entries([logged(3, note(3))]);
    await node.follower.started();
    tails[0]?.sink.entries([logged(4, note(4))]);
    expect(node.follower.history.top).toBe(at(4));
    expect(ids(node)).toEqual(['4']);
    expect([1, 2, 3, 4].map((id) => replays(node, at(0), `Order/${id}`))).toEqual([1, 1, 1, 1]);
  });

  test('a reset in that moment is not forgotten', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.sink.entries([logged(1, note(1))]);
    tails[0]?.open(windowOf(0, 1));
    tails[0]?.sink.reset({ floor: makePosition('next', 0), top: makePosition('next', 5) });
    await node.follower.started();
    expect(node.follower.history.top).toBe('next:5');
    expect(resyncs(node, at(1))).toEqual(['Order/1']);
  });
});

describe('what is tailed', () => {
  test('goes into the history before it is delivered, in the same turn', async () => {
    const log = createMemoryLog();
    const tops: Position[] = [];
    const follower: Follower = createFollower({
      log,
      retention: 420_000,
      cap: 10,
      heartbeat: HEARTBEAT,
      monotonic: () => performance.now(),
      onError: () => {},
      deliver: () => tops.push(follower.history.top),
      lost: () => {},
      beat: () => {},
    });
    running.add(follower);
    await follower.started();
    const positions = await log.append([note(1), note(2), note(3)]);
    await settle();
    expect(tops).toEqual(positions);
  });
});

describe('the proof', () => {
  test('each heartbeat carries the position that is proved to be reached', async () => {
    const { log } = createFaultyLog(() => createMemoryLog());
    const node = follow(log);
    await node.follower.started();
    const [position] = await log.append([note(1)]);
    await vi.advanceTimersByTimeAsync(HEARTBEAT * 2);
    expect(node.beats).toEqual([position, position]);
    expect(node.follower.healthy()).toBe(true);
  });

  test('when it fails the heartbeat says degraded, and the link to the engine is dropped and opened anew', async () => {
    const made: number[] = [];
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const counted: Log = {
      ...log,
      tail: (sink) => {
        made.push(1);
        return log.tail(sink);
      },
    };
    const node = follow(counted);
    await node.follower.started();
    faults.prove = 'fails';
    faults.tail = 'fails';
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    expect(node.beats).toEqual([undefined]);
    expect(node.follower.healthy()).toBe(false);
    expect(made.length).toBe(2);
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    expect(node.beats).toEqual([undefined, undefined]);
    const positions = await log.append([note(1), note(2)]);
    faults.prove = 'works';
    faults.tail = 'works';
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    expect(node.follower.healthy()).toBe(true);
    expect(node.beats.at(-1)).toBe(positions[1]);
    expect(node.losses).toEqual([]);
    expect(ids(node)).toEqual(['1', '2']);
  });

  test('row 56: a half-open engine connection that gives nothing is noticed within one heartbeat', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const node = follow(log);
    await node.follower.started();
    faults.stall();
    await log.append([note(1)]);
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    expect(node.beats).toEqual([undefined]);
  });

  test('a proof that hangs is not joined by another; the node is degraded until it ends', async () => {
    let asked = 0;
    const log = createMemoryLog();
    const node = follow({
      ...log,
      tail: async (sink) => ({
        ...(await log.tail(sink)),
        prove: () => {
          asked += 1;
          return new Promise(() => {});
        },
      }),
    });
    await node.follower.started();
    await vi.advanceTimersByTimeAsync(HEARTBEAT * 3 + 1);
    expect(asked).toBe(1);
    expect(node.beats).toEqual([undefined, undefined]);
    expect(node.follower.healthy()).toBe(false);
  });
});

describe('opening again', () => {
  /** A node whose link was given up after entry 2, with its second tail begun. */
  async function reopened() {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.open(windowOf(0, 0));
    await node.follower.started();
    tails[0]?.sink.entries([logged(1, note(1)), logged(2, note(2))]);
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    const [old, next] = tails as [(typeof tails)[number], (typeof tails)[number]];
    expect(old.closed).toBe(true);
    return { node, old, next };
  }

  test('entries of the meantime are neither lost nor taken twice, whatever the old link still says', async () => {
    const { node, old, next } = await reopened();
    old.sink.entries([logged(3, note(3))]);
    next.sink.entries([logged(1, note(1)), logged(2, note(2)), logged(3, note(3)), logged(4, note(4))]);
    next.open(windowOf(0, 4));
    await settle();
    old.sink.entries([logged(4, note(4)), logged(5, note(5))]);
    old.sink.reset(windowOf(9, 9));
    next.sink.entries([logged(5, note(5))]);
    expect(ids(node)).toEqual(['1', '2', '3', '4', '5']);
    expect(node.losses).toEqual([]);
    expect(node.follower.history.top).toBe(at(5));
  });

  test('row 36: trimmed past: everybody is told, and positions from before are resynced', async () => {
    const { node, next } = await reopened();
    next.sink.entries([logged(8, note(1))]);
    next.open(windowOf(7, 8));
    await settle();
    expect(node.losses).toEqual([windowOf(7, 8)]);
    expect(resyncs(node, at(2))).toEqual(['Order/1']);
    expect(replays(node, at(7))).toBe(1);
  });

  test('a right that ended in what a new link could not continue ends on live streams, after the loss', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.open(windowOf(0, 1));
    await node.follower.started();
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    const revoke: Logged = { position: at(5), entry: { kind: 'revoke', users: ['h1'] } };
    tails[1]?.sink.entries([logged(4, note(4)), revoke]);
    tails[1]?.open(windowOf(3, 5));
    await settle();
    expect(node.losses).toEqual([windowOf(3, 5)]);
    expect(ids(node)).toEqual(['revoke']);
    expect(node.follower.history.revoked(['h1'], 'Order/1', at(2))).toBe(true);
  });

  test('the engine’s top is below this tail’s: it lost something', async () => {
    const { node, next } = await reopened();
    next.sink.entries([logged(1, note(1))]);
    next.open(windowOf(0, 1));
    await settle();
    expect(node.losses).toHaveLength(1);
    expect(resyncs(node, at(2))).toEqual(['Order/1']);
  });

  test('another epoch', async () => {
    const { node, next } = await reopened();
    next.open({ floor: makePosition('next', 0), top: makePosition('next', 0) });
    await settle();
    expect(node.losses).toHaveLength(1);
    expect(resyncs(node, at(2))).toEqual(['Order/1']);
    expect(node.follower.history.known()).toBe(0);
  });

  test('a random order of failures loses nothing: what is not delivered is resynced', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      let state = seed;
      const random = (n: number): number => {
        state = (state * 48_271) % 2_147_483_647;
        return state % n;
      };
      const { log, faults } = createFaultyLog(() => createMemoryLog());
      const node = follow(log);
      await node.follower.started();
      const appended: Position[] = [];
      for (let n = 0; n < 30; n++) {
        const what = random(8);
        if (what < 3) appended.push(...(await log.append([note(n)])));
        else if (what === 3) faults.prove = faults.prove === 'works' ? 'fails' : 'works';
        else if (what === 4) faults.tail = faults.tail === 'works' ? 'fails' : 'works';
        else if (what === 5) faults.stall();
        else if (what === 6) faults.flow();
        else await vi.advanceTimersByTimeAsync(random(20_000));
      }
      faults.prove = 'works';
      faults.tail = 'works';
      faults.flow();
      await vi.advanceTimersByTimeAsync(HEARTBEAT * 3);
      expect(node.losses).toEqual([]);
      expect(node.delivered.map(({ position }) => position)).toEqual(appended);
      expect(node.follower.healthy()).toBe(true);
      await node.follower.close();
    }
  });
});

describe('a reset of the log', () => {
  test('row 35: a new epoch is told to everybody, and what follows is delivered', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const node = follow(log);
    await node.follower.started();
    const [before] = (await log.append([note(1)])) as [Position];
    await settle();
    await faults.loseEverything();
    expect(node.losses).toHaveLength(1);
    expect(epochOf(node.follower.history.top)).not.toBe(epochOf(before));
    expect(resyncs(node, before)).toEqual(['Order/1']);
    await log.append([note(1)]);
    await settle();
    expect(ids(node)).toEqual(['1', '1']);
    expect(replays(node, node.losses[0]?.top as Position)).toBe(1);
  });

  test('nothing between its floor and its top is counted on, whether the engine gives it or not', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.open(windowOf(0, 0));
    await node.follower.started();
    tails[0]?.sink.reset(windowOf(3, 9));
    expect(resyncs(node, at(5))).toEqual(['Order/1']);
    tails[0]?.sink.entries([logged(8, note(1)), logged(9, { kind: 'revoke', users: ['u'] }), logged(10, note(1))]);
    expect(node.follower.history.top).toBe(at(10));
    expect(ids(node)).toEqual(['revoke', '1']);
    expect(node.follower.history.revoked(['u'], 'Order/1', at(8))).toBe(true);
  });
});

describe('reach: a position above this node’s tail is lag, not loss', () => {
  test('reached: it is not ahead, or of another epoch, which the history answers', async () => {
    const log = createMemoryLog();
    const node = follow(log);
    await node.follower.started();
    const [position] = (await log.append([note(1)])) as [Position];
    expect(await node.follower.reach(position)).toBe('reached');
    expect(comparePositions(node.follower.history.top, position)).toBe(0);
    expect(await node.follower.reach(makePosition('other', 7))).toBe('reached');
  });

  test('reached: waits for the tail', async () => {
    const engine = createMemoryEngine();
    const log = createMemoryLog({ engine });
    const node = follow(createMemoryLog({ engine }));
    await node.follower.started();
    const [position] = (await log.append([note(1)])) as [Position];
    expect(await node.follower.reach(position)).toBe('reached');
    expect(replays(node, makePosition(epochOf(position), 0))).toBe(1);
  });

  test('beyond: the engine has not got so far either', async () => {
    const log = createMemoryLog();
    const node = follow(log);
    await node.follower.started();
    expect(await node.follower.reach(makePosition(epochOf(node.follower.history.top), 99))).toBe('beyond');
  });

  test('late: not in time, or no link', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const node = follow(log);
    await node.follower.started();
    const ahead = makePosition(epochOf(node.follower.history.top), 1);
    faults.stall();
    await log.append([note(1)]);
    expect(await node.follower.reach(ahead)).toBe('late');
    faults.prove = 'fails';
    faults.tail = 'fails';
    await vi.advanceTimersByTimeAsync(HEARTBEAT);
    expect(await node.follower.reach(ahead)).toBe('late');
    expect(LAG_PATIENCE).toBe(2_000);
  });
});

describe('close', () => {
  test('closes the tail, proves no more, and is healthy no more', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    tails[0]?.open(windowOf(0, 0));
    await node.follower.started();
    const closing = node.follower.close();
    expect(node.follower.healthy()).toBe(false);
    await closing;
    expect(tails[0]?.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(HEARTBEAT * 3);
    expect(node.beats).toEqual([]);
    expect(tails).toHaveLength(1);
  });

  test('a tail that opens too late is closed at once', async () => {
    const { log, tails } = handLog();
    const node = follow(log);
    await node.follower.close();
    tails[0]?.open(windowOf(0, 0));
    await settle();
    expect(tails[0]?.closed).toBe(true);
  });
});

test('an entry that cannot be worked with becomes a resync in its place, live and at the start; what is behind it is heard', async () => {
  const engine = createMemoryEngine();
  const log = createMemoryLog({ engine });
  const strange = { kind: 'notification' } as never;
  const live = follow(log);
  await live.follower.started();
  await log.append([note(1), strange, note(2)]);
  await settle();
  expect(ids(live)).toEqual(['1', 'resync', '2']);
  expect(live.errors).toHaveLength(1);
  const late = follow(createMemoryLog({ engine }));
  await late.follower.started();
  expect(late.follower.healthy()).toBe(true);
  expect(late.errors).toHaveLength(1);
  expect(late.follower.history.top).toBe(engine.window().top);
  await Promise.all([live, late].map(({ follower }) => follower.close()));
  await log.close();
});
