/** The relay against the real memory log and follower, two nodes, and a provider that does what the test says. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LogEntry } from '../../../adapters/contract.js';
import { CHECK_ACTION, EVERYBODY } from '../../../adapters/provider.js';
import { createFaultyLog } from '../../../adapters/testing/index.js';
import { createMemoryEngine, createMemoryLog, type MemoryEngine } from '../../../server/log/memory.js';
import { MOST_WAITING } from '../../../server/relay/backlog.js';
import { ASK_EVERY, LEASE_LIFE } from '../../../server/relay.js';
import { note } from '../../kit/entries.js';
import { ACCEPTED, later, revocation, type ScriptedProvider, scriptedProvider, shown } from '../../kit/provider.js';
import { type RelayNode, type RelayNodeOptions, relayNode } from '../../kit/relay-node.js';

let engine: MemoryEngine;
let provider: ScriptedProvider;
let nodes: RelayNode[];

beforeEach(() => {
  vi.useFakeTimers();
  engine = createMemoryEngine();
  provider = scriptedProvider();
  nodes = [];
});
afterEach(async () => {
  for (const node of nodes) {
    provider.held = false;
    node.engine = 'works';
    const closed = node.relay.close();
    await pass(10_000);
    await closed;
    await node.follower.close();
  }
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
/** What is appended in one turn, carried as far as it goes without waiting. */
const append = async (...entries: LogEntry[]): Promise<void> => {
  await createMemoryLog({ engine }).append(entries);
  await pass(0);
  await pass(0);
};

/** A node that has made its first check, unless another one holds the lease. */
async function start(options: RelayNodeOptions = {}, log = createMemoryLog({ engine })): Promise<RelayNode> {
  const node = relayNode(log, provider.adapter, options);
  nodes.push(node);
  await pass(0);
  await pass(0);
  return node;
}

/** As `start`, with nothing accepted so far. */
async function settled(options: RelayNodeOptions = {}): Promise<RelayNode> {
  const node = await start(options);
  await pass(1_000);
  provider.accepted.length = 0;
  provider.calls.length = 0;
  return node;
}

const shownCalls = (): string[][] => provider.calls.map(shown);
const repeat = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

describe('what the provider is given', () => {
  test('at the first start everybody reads once, since nobody knows what was before; then it goes on from the top', async () => {
    await append(note(1), note(2));
    const node = await start();
    expect(shown(provider.accepted)).toEqual(['@all check 0 @2']);
    expect(provider.accepted[0]).toMatchObject({ channels: [EVERYBODY], action: CHECK_ACTION });
    await append(note(3));
    expect(shown(provider.accepted).slice(1)).toEqual(['Order/3 updated of 3 @3', 'Order updated @3']);
    await pass(1_000);
    expect(node.checkpoints).toEqual([engine.window().top]);
  });

  test('two renderings of an entry; one on the entity as a whole; one for users, without a list', async () => {
    await settled();
    await append(
      note(42, 'shipped', { notifier: 'Ann', changedDate: 7 }),
      note(undefined, 'imported'),
      note(42, 'late', {}, { to: { users: ['u', 'v', 'u'], sessions: ['s'] } }),
    );
    expect(shown(provider.accepted)).toEqual([
      'Order/42 shipped of 42 @1',
      'Order shipped @1',
      'Order/* imported @2',
      'Order imported @2',
      '@user/u,@user/v,@session/s late of 42 @3',
    ]);
    const [full, reduced, , , addressed] = provider.accepted.map(({ json }) => JSON.parse(json));
    expect(full).toMatchObject({ notifier: 'Ann', changedDate: 7, position: provider.accepted[0]?.position });
    expect(Object.keys(reduced)).toEqual(['entity', 'action', 'position']);
    expect(addressed.to).toBe(true);
  });

  test('no item is on more than 100 channels', async () => {
    await settled();
    await append(note(1, 'late', {}, { to: { users: repeat(250, (n) => `u${n}`) } }));
    expect(provider.accepted.map(({ channels }) => channels.length)).toEqual([100, 100, 50]);
    expect(new Set(provider.accepted.flatMap(({ channels }) => channels)).size).toBe(250);
  });

  test('in batches of at most 100, ascending, one call at a time', async () => {
    await settled();
    provider.held = true;
    await append(...repeat(250, (n) => note(n)));
    expect(provider.calls.map(({ length }) => length)).toEqual([100]);
    provider.held = false;
    await pass(0);
    // 250 objects and one list, which is behind them all.
    expect(provider.calls.map(({ length }) => length)).toEqual([100, 100, 51]);
    expect(shown(provider.accepted).at(-1)).toBe('Order updated @250');
    const places = provider.accepted.map(({ position }) => Number(position.split(':')[1]));
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  test('promise 3: what comes while a call is under way merges: a thousand notifications, one more item', async () => {
    await settled();
    provider.held = true;
    await append(note(1, 'updated', { changedDate: 9, cause: 'a' }));
    for (let n = 0; n < 1_000; n++)
      await createMemoryLog({ engine }).append([note(1, 'updated', { changedDate: n % 9 })]);
    await append(note(1, 'shipped'));
    provider.held = false;
    await pass(0);
    expect(shownCalls()).toEqual([
      ['Order/1 updated of 1 @1', 'Order updated @1'],
      ['Order/1 updated of 1 @1001', 'Order updated @1001', 'Order/1 shipped of 1 @1002', 'Order shipped @1002'],
    ]);
    expect(JSON.parse(provider.accepted[2]?.json ?? '')).toMatchObject({ changedDate: 8 });
  });

  test('a resync: everybody, or those who hear its objects', async () => {
    const node = await settled();
    node.audience.note('@user/a', 'a', [EVERYBODY], Date.now() + 60_000);
    await append({ kind: 'resync' });
    await append({ kind: 'resync', objects: [{ entity: 'Order', id: 1 }, { entity: 'Report' }] });
    expect(shown(provider.accepted)).toEqual(['@all check 0 @1', 'Order/1,Order,Report,Report/* check 0 @2']);
  });

  test('DESIGN 6, "Spread": the window counts the live authorisations of the channel; `spread: false` has none', async () => {
    const node = await settled();
    for (let n = 0; n < 300; n++) {
      const channels = [EVERYBODY, 'Order/1', 'Order/*', ...(n < 150 ? ['Order'] : [])];
      node.audience.note('@user/u', `c${n}`, channels, Date.now() + 60_000);
    }
    await append(note(1), note(1, 'quick', {}, { spread: false }), note(2), { kind: 'resync' });
    const windows = provider.accepted.map(({ json }) => {
      const wire = JSON.parse(json);
      return wire.spread ?? wire.check ?? 0;
    });
    // Order/1; Order for `quick`; Order/2 has no listeners; Order for `updated`; everybody.
    expect(windows).toEqual([10_000, 0, 0, 0, 5_000, 10_000]);
    await pass(60_000);
    await append(note(1));
    expect(JSON.parse(provider.accepted.at(-2)?.json ?? '')).not.toHaveProperty('spread');
  });

  test('an entry that this version cannot render is skipped, and keeps nothing behind it', async () => {
    const node = await settled();
    const circle: { self?: unknown } = {};
    circle.self = circle;
    await append(note(1, 'updated', { detail: circle }), note(2));
    expect(shown(provider.accepted)).toEqual(['Order/2 updated of 2 @2', 'Order updated @2']);
    expect(node.relay.metrics()).toMatchObject({ skipped: 1, waiting: 0 });
  });
});

describe('what the provider does not take', () => {
  test('row 14: a broken provider: everything waits with growing waits; told first and then every 30 s', async () => {
    const node = await settled();
    provider.broken = new Error('down');
    await append(note(1));
    await pass(299_000);
    expect(provider.calls.length).toBeGreaterThan(15);
    // 0.5 of the ceiling: 150, 300, … 15,000 ms.
    expect(provider.calls.length).toBeLessThan(30);
    expect(node.errors.filter((error) => error === provider.broken)).toHaveLength(10);
    expect(node.relay.metrics()).toMatchObject({ holds: true, waiting: 2, stuck: 299_000 });
    provider.broken = undefined;
    await pass(30_000);
    expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
    expect(node.relay.metrics()).toMatchObject({ waiting: 0, stuck: 0, published: 3 });
    expect(node.lines.map(({ message }) => message)).toContain('the provider takes notifications again');
  });

  test('not before the provider allows it', async () => {
    await settled();
    provider.outcome = () => later('slow down', 20_000);
    await append(note(1));
    expect(provider.calls).toHaveLength(1);
    provider.outcome = () => ACCEPTED;
    await pass(20_000);
    expect(provider.calls).toHaveLength(1);
    await pass(1_000);
    expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
  });

  test('a page that reaches the provider hastens the next try, once a second, and never before the provider allows it', async () => {
    const node = await settled();
    provider.broken = new Error('down');
    await append(note(1));
    await pass(100_000);
    const { length } = provider.calls;
    node.relay.hasten();
    node.relay.hasten();
    await pass(0);
    expect(provider.calls).toHaveLength(length + 1);
    provider.broken = undefined;
    await pass(1_000);
    provider.outcome = () => later('slow down', 20_000);
    node.relay.hasten();
    await pass(0);
    expect(provider.calls).toHaveLength(length + 2);
    provider.outcome = () => ACCEPTED;
    await pass(10_000);
    node.relay.hasten();
    await pass(0);
    expect(provider.calls).toHaveLength(length + 2);
    await pass(10_000);
    node.relay.hasten();
    await pass(0);
    expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
    await pass(1_000);
    node.relay.hasten();
    await pass(0);
    expect(provider.calls).toHaveLength(length + 3);
  });

  test('one channel that waits keeps its order and holds up no other', async () => {
    await settled();
    provider.outcome = ({ channels }) => (channels.includes('Order/1') ? later('this one', 60_000) : ACCEPTED);
    await append(note(1, 'a'), note(1, 'b'), note(2));
    await append(note(1, 'c'), note(3));
    await append(note(1, 'a'), note(2));
    expect(shown(provider.accepted).filter((item) => item.startsWith('Order/'))).toEqual([
      'Order/2 updated of 2 @3',
      'Order/3 updated of 3 @5',
      'Order/2 updated of 2 @7',
    ]);
    provider.outcome = () => ACCEPTED;
    provider.accepted.length = 0;
    await pass(90_000);
    expect(shown(provider.accepted)).toEqual(['Order/1 b of 1 @2', 'Order/1 c of 1 @4', 'Order/1 a of 1 @6']);
  });

  test('an item on several channels waits for each of them, and what is behind it waits, too', async () => {
    await settled();
    const to = (...users: string[]) => ({ to: { users } });
    provider.outcome = ({ channels }) => (channels[0] === '@user/u' ? later('u', 10_000) : ACCEPTED);
    await append(note(1, 'a', {}, to('u')), note(9));
    await append(note(1, 'b', {}, to('v', 'u')), note(1, 'c', {}, to('v')), note(1, 'd', {}, to('w')));
    expect(shown(provider.accepted)).toEqual(['Order/9 updated of 9 @2', 'Order updated @2', '@user/w d of 1 @5']);
    provider.outcome = () => ACCEPTED;
    provider.accepted.length = 0;
    await pass(11_000);
    expect(shown(provider.accepted)).toEqual(['@user/u a of 1 @1', '@user/v,@user/u b of 1 @3', '@user/v c of 1 @4']);
  });

  test('what it will never take is skipped, counted, and told once per kind and minute', async () => {
    const node = await settled();
    const tooLarge = Object.assign(new Error('413'), { status: 413 });
    provider.outcome = ({ channels }) =>
      channels.includes('Order/2') ? ACCEPTED : { kind: 'impossible', error: tooLarge };
    await append(note(1), note(2), note(3));
    await append(note(1));
    expect(shown(provider.accepted)).toEqual(['Order/2 updated of 2 @2']);
    expect(node.relay.metrics()).toMatchObject({ skipped: 5, waiting: 0, stuck: 0 });
    expect(node.errors).toEqual([tooLarge]);
    const told = () => node.lines.filter(({ message }) => message.includes('never take'));
    expect(told()).toMatchObject([{ level: 'warn', channel: 'Order/1', kind: 'Error,413' }]);
    await pass(60_000);
    expect(node.checkpoints.at(-1)).toBe(engine.window().top);
    await append(note(1));
    expect(told()).toHaveLength(2);
  });

  test('a call that is never answered counts as not taken; fewer outcomes than items, too', async () => {
    const node = await settled();
    provider.held = true;
    await append(note(1));
    await pass(29_000);
    expect(node.relay.metrics().waiting).toBe(2);
    await pass(1_000);
    expect(node.relay.metrics()).toMatchObject({ waiting: 2, stuck: 30_000 });
    provider.held = false;
    await pass(1_000);
    expect(node.relay.metrics()).toMatchObject({ waiting: 0, stuck: 0 });

    const short = { ...provider.adapter, publish: async () => [ACCEPTED] };
    const other = relayNode(createMemoryLog(), short);
    nodes.push(other);
    await pass(0);
    expect(other.relay.metrics()).toMatchObject({ published: 1, waiting: 0 });
  });

  test('row 15: ten minutes down in a flood: nothing is lost, merged, and the pages hear of the last of each', async () => {
    const node = await settled();
    provider.broken = new Error('down');
    for (let minute = 0; minute < 10; minute++) {
      for (let n = 0; n < 50; n++) await createMemoryLog({ engine }).append(repeat(20, (id) => note(id, 'updated')));
      await pass(60_000);
    }
    expect(node.relay.metrics()).toMatchObject({ waiting: 21 });
    expect(node.checkpoints).toHaveLength(1);
    provider.broken = undefined;
    await pass(30_000);
    expect(shown(provider.accepted)).toEqual([
      ...repeat(20, (id) => `Order/${id} updated of ${id} @${10_000 - 19 + id}`),
      'Order updated @10000',
    ]);
    await pass(1_000);
    expect(node.checkpoints.at(-1)).toBe(engine.window().top);
  });

  test('more than the bound waits: one message that makes everybody read stands for all of it', async () => {
    const node = await settled();
    provider.broken = new Error('down');
    await append(note('first'));
    const log = createMemoryLog({ engine });
    for (let n = 0; n < MOST_WAITING; n += 500) await log.append(repeat(500, (id) => note(n + id)));
    await pass(0);
    await append(note('last'));
    const { waiting } = node.relay.metrics();
    expect(waiting).toBeLessThan(10);
    expect(node.lines).toContainEqual(expect.objectContaining({ level: 'warn', items: expect.any(Number) }));
    await pass(60_000);
    // What it stands for has not arrived: whoever takes over begins before all of it.
    expect(node.checkpoints).toHaveLength(1);
    provider.broken = undefined;
    await pass(60_000);
    expect(provider.accepted[0]).toMatchObject({ channels: [EVERYBODY], action: CHECK_ACTION });
    expect(shown(provider.accepted)).toContain('Order/last updated of last @20002');
    await pass(1_000);
    expect(node.checkpoints.at(-1)).toBe(engine.window().top);
  });
});

describe('the lease', () => {
  test('one of two nodes carries; when it closes, the other goes on where it was', async () => {
    const [first, second] = [await settled(), await start()];
    await append(note(1));
    expect([first.relay.metrics().holds, second.relay.metrics().holds]).toEqual([true, false]);
    const closed = first.relay.close();
    await pass(0);
    await closed;
    await append(note(2));
    expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
    await pass(ASK_EVERY);
    expect(second.relay.metrics().holds).toBe(true);
    expect(shown(provider.accepted).slice(2)).toEqual(['Order/2 updated of 2 @2', 'Order updated @2']);
  });

  test('at least once: the holder is killed with items under way and accepted but not checked off', async () => {
    const first = await settled();
    const second = await start();
    await append(note(1));
    provider.held = true;
    await append(note(2));
    first.kill();
    await append(note(3), note(2, 'shipped'));
    provider.held = false;
    await pass(0);
    provider.accepted.length = 0;
    await pass(LEASE_LIFE + ASK_EVERY);
    expect(second.relay.metrics().holds).toBe(true);
    expect(shown(provider.accepted)).toEqual([
      'Order/1 updated of 1 @1',
      'Order/2 updated of 2 @2',
      'Order/3 updated of 3 @3',
      'Order updated @3',
      'Order/2 shipped of 2 @4',
      'Order shipped @4',
    ]);
  });

  test.each(['gone', 'fails', 'hangs'] as const)(
    'an engine that %s at the renewal: the holder stops',
    async (fault) => {
      const first = await settled();
      const second = await start();
      first.engine = fault;
      provider.broken = new Error('down');
      await append(note(1));
      // A plain no is heard at the renewal; then either node may ask anew.
      await pass(fault === 'gone' ? LEASE_LIFE / 3 + 1 : LEASE_LIFE);
      expect(first.relay.metrics()).toMatchObject({ holds: false, waiting: 0 });
      provider.broken = undefined;
      // Else its next lease, too, would last until the first renewal only.
      if (fault === 'gone') first.engine = 'works';
      await pass((fault === 'gone' ? (LEASE_LIFE * 2) / 3 : 0) + ASK_EVERY);
      expect([first, second].filter(({ relay }) => relay.metrics().holds)).toHaveLength(1);
      expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
      const calls = provider.calls.length;
      await append(note(2));
      expect(provider.calls.length).toBe(calls + 1);
    },
  );

  test('a process that stood still for longer than the lease publishes nothing when it goes on', async () => {
    const first = await settled();
    const log = createMemoryLog({ engine });
    await log.append([note(1)]);
    // The clock goes on, the timers do not: a paused process.
    vi.setSystemTime(Date.now() + LEASE_LIFE);
    const now = performance.now() + LEASE_LIFE;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now);
    provider.calls.length = 0;
    await pass(0);
    expect(first.relay.metrics().holds).toBe(false);
    expect(provider.calls).toEqual([]);
    clock.mockRestore();
  });

  test('`moveCheckpoint` says that somebody else holds it: back to waiting', async () => {
    const first = await settled();
    first.engine = 'gone';
    await append(note(1));
    await pass(1_000);
    expect(first.relay.metrics().holds).toBe(false);
    first.engine = 'works';
    await pass(LEASE_LIFE + ASK_EVERY);
    expect(first.relay.metrics().holds).toBe(true);
  });

  test('the checkpoint is moved at most once a second, and never past what waits', async () => {
    const node = await settled();
    for (let n = 0; n < 20; n++) {
      await append(note(n));
      await pass(250);
    }
    expect(node.checkpoints.length).toBeLessThanOrEqual(7);
    provider.outcome = ({ channels }) => (channels.includes('Order/stuck') ? later('no', 600_000) : ACCEPTED);
    await append(note('stuck'), note('free'));
    await pass(2_000);
    const stuck = node.checkpoints.at(-1);
    expect(stuck).toMatch(/:20$/);
    await append(note('free'), note('stuck', 'updated'));
    await pass(5_000);
    expect(node.checkpoints.at(-1)).toBe(stuck);
  });

  test('an engine that cannot be asked at the start: told now and then, tried until it answers', async () => {
    const node = relayNode(createMemoryLog({ engine }), provider.adapter);
    nodes.push(node);
    node.engine = 'fails';
    await pass(60_000);
    expect(node.errors.length).toBeGreaterThanOrEqual(2);
    expect(node.errors.length).toBeLessThanOrEqual(3);
    node.engine = 'hangs';
    await pass(60_000);
    node.engine = 'works';
    await pass(15_000);
    expect(node.relay.metrics().holds).toBe(true);
  });

  test('who cannot prove that it hears everything gives the lease back, and asks for it when it can', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog({ engine }));
    const first = await start({}, log);
    const second = await start();
    await pass(1_000);
    faults.prove = 'fails';
    faults.tail = 'fails';
    await pass(60_000);
    expect([first.relay.metrics().holds, second.relay.metrics().holds]).toEqual([false, true]);
    await append(note(1));
    expect(shown(provider.accepted)).toContain('Order/1 updated of 1 @1');
    faults.prove = 'works';
    faults.tail = 'works';
  });
});

describe('a log that is not what it was', () => {
  test('a checkpoint below the floor: everybody reads, then it goes on from the top', async () => {
    engine = createMemoryEngine({ retention: 60_000 });
    const first = await settled({ retention: 60_000 });
    first.kill();
    await append(note(1));
    await pass(61_000);
    await append(note(2));
    await pass(61_000);
    await append(note(3));
    await start({ retention: 60_000 });
    await pass(ASK_EVERY);
    expect(shown(provider.accepted)).toEqual(['@all check 0 @3']);
    await append(note(4));
    expect(shown(provider.accepted).slice(1)).toEqual(['Order/4 updated of 4 @4', 'Order updated @4']);
  });

  test('a checkpoint of another epoch, and one that the engine has not reached', async () => {
    for (const checkpoint of ['other:5', `${engine.window().top.split(':')[0]}:99`] as const) {
      const claim = engine.claim('relay', 1_000);
      claim?.moveCheckpoint(checkpoint as never);
      claim?.release();
      provider.accepted.length = 0;
      const node = await start();
      expect(shown(provider.accepted)).toEqual(['@all check 0 @0']);
      await pass(1_000);
      expect(node.checkpoints).toEqual([engine.window().top]);
      const closed = node.relay.close();
      await pass(0);
      await closed;
    }
  });

  test('a new epoch under a live term: what waits is of another log; everybody reads', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const node = await start({}, log);
    provider.broken = new Error('down');
    await log.append([note(1)]);
    await pass(0);
    await faults.loseEverything();
    await pass(0);
    provider.accepted.length = 0;
    await log.append([note(2)]);
    provider.broken = undefined;
    await pass(3_000);
    expect(shown(provider.accepted)).toEqual(['@all check 0 @0', 'Order/2 updated of 2 @1', 'Order updated @1']);
    expect(node.relay.metrics().waiting).toBe(0);
  });

  test('the takeover begins at the checkpoint, in the turn in which it registers: nothing between is lost or twice', async () => {
    const first = await settled();
    await append(note(1));
    await pass(1_000);
    const closed = first.relay.close();
    await pass(0);
    await closed;
    provider.accepted.length = 0;
    await append(
      note(2),
      { kind: 'resync', objects: [{ entity: 'Order', id: 9 }] },
      note(1, 'late', {}, { to: { users: ['u', 'v'] } }),
    );
    const second = await start();
    await append(note(3));
    expect(second.relay.metrics().holds).toBe(true);
    expect(shown(provider.accepted)).toEqual([
      'Order/2 updated of 2 @2',
      'Order updated @2',
      'Order/9,Order check 0 @3',
      '@user/u,@user/v late of 1 @4',
      'Order/3 updated of 3 @5',
      'Order updated @5',
    ]);
  });
});

describe('rights that end', () => {
  test('the provider is told, of an object or of everything; then the user reads', async () => {
    await settled();
    await append(revocation('ann', '1'), revocation('bob'), { ...revocation('eve'), object: { entity: 'Order' } });
    expect(provider.revoked).toEqual([
      [['ann'], ['Order/1']],
      [['bob'], undefined],
      [['eve'], ['Order', 'Order/*']],
    ]);
    expect(shown(provider.accepted)).toEqual(['@user/ann check 0 @1', '@user/bob check 0 @2', '@user/eve check 0 @3']);
  });

  test('told again until it is accepted, while notifications go on; the checkpoint waits', async () => {
    const node = await settled();
    provider.deaf = new Error('no revocation');
    await append(revocation('ann', '1'), note(1));
    await pass(60_000);
    expect(provider.revoked.length).toBeGreaterThan(5);
    // The user's own pages read at once, whatever becomes of the provider.
    const first = ['Order/1 updated of 1 @2', 'Order updated @2', '@user/ann check 0 @1'];
    expect(shown(provider.accepted)).toEqual(first);
    expect(node.checkpoints.at(-1)).toMatch(/:0$/);
    expect(node.errors.filter((error) => error === provider.deaf).length).toBeLessThanOrEqual(3);
    expect(node.relay.metrics().waiting).toBe(1);
    provider.deaf = undefined;
    await pass(31_000);
    expect(shown(provider.accepted)).toEqual([...first, '@user/ann check 0 @1']);
    expect(node.checkpoints.at(-1)).toMatch(/:2$/);
  });

  test('given up on when every grant that it cancels has ended', async () => {
    const node = await settled({ grantLife: 60_000 });
    provider.deaf = new Error('no revocation');
    await append(revocation('ann', '1'));
    await pass(100_000);
    const tried = provider.revoked.length;
    await pass(100_000);
    expect(provider.revoked.length).toBe(tried);
    expect(shown(provider.accepted)).toEqual(['@user/ann check 0 @1', '@user/ann check 0 @1']);
    expect(node.relay.metrics().waiting).toBe(0);
  });

  test('the next holder tells what this one could not', async () => {
    const first = await settled();
    provider.deaf = new Error('no revocation');
    await append(revocation('ann', '1'));
    await start();
    first.kill();
    provider.deaf = undefined;
    provider.revoked.length = 0;
    await pass(LEASE_LIFE + ASK_EVERY);
    expect(provider.revoked).toEqual([[['ann'], ['Order/1']]]);
    expect(shown(provider.accepted)).toEqual(['@user/ann check 0 @1', '@user/ann check 0 @1']);
  });

  test('a department at once: some at a time, each told', async () => {
    await settled();
    provider.held = true;
    await append(...repeat(50, (n) => revocation(`u${n}`)));
    expect(provider.revoked.length).toBe(8);
    provider.held = false;
    await pass(0);
    expect(new Set(provider.revoked.map(([users]) => users[0])).size).toBe(50);
  });
});

describe('close', () => {
  test('brings out what waits, moves the checkpoint and gives the lease back', async () => {
    const node = await settled();
    provider.held = true;
    await append(note(1));
    await append(note(2), revocation('ann'));
    const closed = node.relay.close();
    provider.held = false;
    await pass(0);
    await closed;
    expect(shown(provider.accepted).sort()).toEqual(
      [
        'Order/1 updated of 1 @1',
        'Order updated @1',
        'Order/2 updated of 2 @2',
        'Order updated @2',
        '@user/ann check 0 @3',
      ].sort(),
    );
    expect(node.checkpoints.at(-1)).toMatch(/:3$/);
    expect(engine.claim('relay', 1_000)).toBeDefined();
    await append(note(3));
    expect(provider.calls.flat().some(({ channels }) => channels.includes('Order/3'))).toBe(false);
  });

  test('a provider that refuses is asked once more; what is left is the next holder’s', async () => {
    const node = await settled();
    provider.broken = new Error('down');
    await append(note(1));
    const calls = provider.calls.length;
    const closed = node.relay.close();
    await pass(0);
    await closed;
    expect(provider.calls.length).toBe(calls + 1);
    expect(node.checkpoints.at(-1)).toMatch(/:0$/);
    provider.broken = undefined;
    await start();
    expect(shown(provider.accepted)).toEqual(['Order/1 updated of 1 @1', 'Order updated @1']);
  });

  test.each(['provider', 'engine'] as const)('a %s that hangs holds it up for seconds only', async (what) => {
    const node = await settled();
    if (what === 'provider') provider.held = true;
    else node.engine = 'hangs';
    await append(note(1));
    let over = false;
    void node.relay.close().then(() => {
      over = true;
    });
    await pass(8_000);
    expect(over).toBe(true);
  });

  test('while it is asking for the lease: what it gets it gives back', async () => {
    const node = relayNode(createMemoryLog({ engine }), provider.adapter);
    nodes.push(node);
    const closed = node.relay.close();
    await pass(10_000);
    await closed;
    expect(provider.calls).toEqual([]);
    expect(engine.claim('relay', 1_000)).toBeDefined();
  });
});
