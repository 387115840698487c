/** The hub, case by case: what is written to whom, when, and with which id. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Channel } from '../../../adapters/channel.js';
import type { LogEntry } from '../../../adapters/contract.js';
import { makePosition, type Position } from '../../../adapters/position.js';
import type { Connection } from '../../../adapters/sse/connection.js';
import { MAX_BACKLOG } from '../../../adapters/sse/connection.js';
import { createHub, EXPIRY_INTERVAL } from '../../../adapters/sse/hub.js';
import type { Hub } from '../../../adapters/sse/server.js';
import { createHistory, type History } from '../../../server/history.js';
import { at, handClock, note, windowOf } from '../../kit/entries.js';
import { type FakeSink, fakeSink, type Written } from '../../kit/fake-sink.js';

const LIFE = 300_000;

let clock: ReturnType<typeof handClock>;
let history: History;
let hub: Hub;
let soon: (() => void)[];
let offset: number;

beforeEach(() => {
  clock = handClock();
  history = createHistory(windowOf(0, 0), { retention: 420_000, cap: 100_000, now: clock.now });
  soon = [];
  offset = 0;
  hub = createHub({ history, monotonic: clock.now, random: () => 0, soon: (run) => soon.push(run) });
});

function append(...entries: LogEntry[]): void {
  for (const entry of entries) {
    const logged = { position: at(++offset), entry };
    history.apply(logged, true);
    hub.deliver(logged);
  }
}

function tick(): void {
  for (const run of soon.splice(0)) run();
}

interface Opened {
  readonly sink: FakeSink;
  readonly connection: Connection;
}

/** A stream that says hello and covers nothing. */
function open(user = 'ann', { standard = false, session = '' } = {}): Opened {
  const sink = fakeSink();
  const own = [`@user/${user}`, ...(session ? [`@session/${session}`] : [])];
  const hello = { protocol: 1, epoch: 'epoch', user, heartbeat: 15_000 };
  return { sink, connection: hub.open(sink, { users: [user], own, standard }, hello) };
}

function cover(
  connection: Connection,
  channels: Readonly<Record<Channel, Position | null>> | Channel[],
  {
    own = null,
    ends = clock.now() + LIFE,
    refused = [],
    reauthorise = [],
  }: {
    own?: Position | null;
    ends?: number;
    refused?: Channel[];
    reauthorise?: Channel[];
  } = {},
): boolean {
  const asked: [Channel, Position | null][] = Array.isArray(channels)
    ? channels.map((channel) => [channel, null])
    : Object.entries(channels);
  return hub.cover(connection, {
    channels: new Map(asked.map(([channel]) => [channel, ends])),
    after: new Map(asked.flatMap(([channel, after]) => (after === null ? [] : [[channel, after]]))),
    own,
    refused,
    reauthorise,
  });
}

/** A stream that covers these channels from now on, and has read its `ready`. */
function listen(channels: Channel[], user = 'ann', session = ''): Opened {
  const opened = open(user, { session });
  cover(opened.connection, channels);
  opened.sink.take();
  return opened;
}

/** `12 shipped`, `12 shipped list` for a reduced one, ` (no id)` where it has none; other events by their type. */
function told({ sink }: Opened): string[] {
  return sink.take().map(name);
}

function name({ type, id, data }: Written): string {
  if (type !== 'notification') return data.channels ? `${type} ${data.channels.join()}` : type;
  const place = data.position.split(':')[1];
  const form = data.changedDate === undefined ? ' list' : '';
  return `${place} ${data.action}${form}${id === data.position ? '' : ' (no id)'}`;
}

describe('a stream begins', () => {
  test('hello follows at once, before access is asked and before replay', () => {
    append(note(1));
    const { sink, connection } = open();
    expect(sink.take()).toEqual([
      {
        type: 'hello',
        id: undefined,
        data: { protocol: 1, epoch: 'epoch', user: 'ann', heartbeat: 15_000, spread: 0, turn: 0.618 },
      },
    ]);
    cover(connection, { 'Order/1': at(0) });
    expect(sink.take().map(name)).toEqual(['1 updated', 'ready']);
  });

  test('`ready` carries the noted top as its id, the latest news of each channel, and how long all is known', () => {
    clock.pass(5_000);
    append(note(1, 'shipped'), note(2));
    clock.pass(250);
    const { sink, connection } = open();
    expect(cover(connection, ['Order/1', 'Order', 'Report/9'])).toBe(false);
    expect(sink.take().at(-1)).toEqual({
      type: 'ready',
      id: at(2),
      data: {
        position: at(2),
        known: 5_250,
        latest: {
          'Order/1': { shipped: { position: at(1), age: 250, changedDate: 1 } },
          Order: { shipped: { position: at(1), age: 250 }, updated: { position: at(2), age: 250 } },
        },
      },
    });
  });

  test('refused and reauthorise come first, resyncs after the replay just before `ready`, and the replay then has no ids', () => {
    append(note(1), note(2));
    const opened = open();
    const news = cover(
      opened.connection,
      { 'Order/1': at(0), 'Order/2': makePosition('other', 1) },
      { refused: ['Order/3'], reauthorise: ['Order/4'] },
    );
    expect(news).toBe(true);
    expect(told(opened)).toEqual([
      'hello',
      'refused Order/3',
      'reauthorise Order/4',
      '1 updated (no id)',
      'resync Order/2',
      'ready',
    ]);
  });

  test('a lost position of the own channels is a resync of everything', () => {
    const { sink, connection } = open();
    cover(connection, ['Order/1'], { own: makePosition('other', 1) });
    expect(sink.take().find(({ type }) => type === 'resync')?.data).toEqual({ channels: null });
  });

  test('a replayed frame with ids is not taken from a stream that had to go without', () => {
    append(note(1));
    const [lost, whole] = [open(), open()];
    cover(lost.connection, { 'Order/1': at(0), 'Order/2': makePosition('other', 1) });
    cover(whole.connection, { 'Order/1': at(0) });
    const again = open();
    cover(again.connection, { 'Order/1': at(0), 'Order/2': makePosition('other', 1) });
    expect(told(lost)).toContain('1 updated (no id)');
    expect(told(whole)).toContain('1 updated');
    expect(told(again)).toContain('1 updated (no id)');
  });

  test('row 18: what is appended between hello and the end of the tick is told once, whichever way', () => {
    const opened = open();
    append(note(1));
    cover(opened.connection, { 'Order/1': at(0) });
    append(note(1, 'shipped'));
    tick();
    expect(told(opened)).toEqual(['hello', '1 updated', 'ready', '2 shipped']);
  });

  test('a wave of reconnects renders each replayed entry once', () => {
    append(note(1));
    const frames = [1, 2, 3].map(() => {
      const { sink, connection } = open();
      const before = sink.frames.length;
      cover(connection, { 'Order/1': at(0) });
      return sink.frames.slice(before).map((frame) => frame.json);
    });
    expect(frames[1]).toEqual(frames[0]);
    expect(frames[2]).toEqual(frames[0]);
  });
});

describe('who gets what', () => {
  test('row 1: only those who hold the object or its entity', () => {
    const [one, other, list, report] = [['Order/1'], ['Order/2'], ['Order'], ['Report/1']].map((of) => listen(of));
    append(note(1, 'shipped'));
    tick();
    expect([one, other, list, report].map((opened) => told(opened as Opened))).toEqual([
      ['1 shipped'],
      [],
      ['1 shipped list'],
      [],
    ]);
  });

  test('a connection gets exactly one of the two renderings, the full one if it may', () => {
    const both = listen(['Order', 'Order/1']);
    append(note(1), note(2), note(undefined, 'imported'));
    tick();
    expect(told(both)).toEqual(['1 updated', '2 updated list', '3 imported']);
  });

  test('row 7: a notification on the entity wakes the list and every object’s listener', () => {
    const [object, two, list, other] = [['Order/1'], ['Order/1', 'Order/2'], ['Order'], ['Orders/1']].map((of) =>
      listen(of),
    );
    append(note(undefined, 'imported'));
    tick();
    expect([object, two, list, other].map((opened) => told(opened as Opened))).toEqual([
      ['1 imported'],
      ['1 imported'],
      ['1 imported list'],
      [],
    ]);
  });

  test('rows 4, 5: addressed ones reach these users and sessions only, whoever holds the object', () => {
    const ann = listen(['Order/1'], 'ann', 's1');
    const annElsewhere = listen(['Order/1'], 'ann', 's2');
    const ben = listen(['Order/1', 'Order'], 'ben', 's3');
    append(note(1, 'done', {}, { to: { sessions: ['s1'] } }), note(1, 'paid', {}, { to: { users: ['ann'] } }));
    append(note(1, 'both', {}, { to: { users: ['ann'], sessions: ['s1', 's3'] } }));
    tick();
    expect(told(ann)).toEqual(['1 done', '2 paid', '3 both']);
    expect(told(annElsewhere)).toEqual(['2 paid', '3 both']);
    expect(told(ben)).toEqual(['3 both']);
  });

  test('nothing before its cover, though the user’s channel is known', () => {
    const opened = open();
    append(note(1, 'done', {}, { to: { users: ['ann'] } }));
    tick();
    hub.beat(history.top);
    expect(told(opened)).toEqual(['hello']);
  });
});

describe('a tick', () => {
  test('row 11, promise 4: ten of one object and action in a tick are one frame', () => {
    const opened = listen(['Order/1']);
    for (let n = 0; n < 10; n++) append(note(1));
    tick();
    expect(told(opened)).toEqual(['10 updated']);
    expect(hub.counts().conflated).toBe(9);
  });

  test('frames are ascending after a replacement, and leave in one write', () => {
    const opened = listen(['Order/1', 'Order/2']);
    append(note(1), note(2), note(1));
    const before = opened.sink.frames.length;
    tick();
    expect(opened.sink.frames.length).toBe(before + 1);
    expect(told(opened)).toEqual(['2 updated', '3 updated']);
  });

  test('connections that got the same sequence share the very same bytes', () => {
    const pairs = [listen(['Order/1', 'Order/2']), listen(['Order/2', 'Order/1'], 'ben'), listen(['Order/1'])];
    append(note(1), note(2));
    tick();
    const [a, b, c] = pairs.map(({ sink }) => sink.frames.at(-1));
    expect(a).toBe(b);
    expect(a?.chunked).toBe(b?.chunked);
    expect(c).not.toBe(a);
    expect(told(pairs[2] as Opened)).toEqual(['1 updated']);
  });

  test('a node without connections does no work', () => {
    append(note(1));
    expect(soon).toEqual([]);
  });
});

describe('a reader that does not read', () => {
  let slow: Opened;
  beforeEach(() => {
    slow = listen(['Order/1', 'Order/2', 'Order']);
    slow.sink.blocked = true;
    append(note(1, 'last'));
    tick(); // is still taken, and answered with "no more"
    slow.sink.take();
  });

  test('row 12: sees the newest of each object and action only, ascending, when it reads again', () => {
    for (let n = 0; n < 5; n++) {
      append(note(1), note(2), note(9, 'x'), note(8, 'x'));
      tick();
    }
    expect(told(slow)).toEqual([]);
    slow.sink.unblock();
    expect(told(slow)).toEqual(['18 updated', '19 updated', '21 x list']);
    expect(hub.counts().conflated).toBe(4 + 4 + 9);
  });

  test('merging keeps the cause only where all had it', () => {
    append(note(1, 'updated', { cause: 'ann' }));
    tick();
    append(note(1, 'updated', { cause: 'ben' }));
    tick();
    slow.sink.unblock();
    expect(slow.sink.take()[0]?.data).not.toHaveProperty('cause');
  });

  test('gets no heartbeat while frames are pending', () => {
    append(note(1));
    hub.beat(history.top);
    expect(told(slow)).toEqual([]);
    slow.sink.unblock();
    hub.beat(history.top);
    expect(told(slow)).toEqual(['2 updated', 'heartbeat']);
  });

  test('row 15: beyond the bound it gets exactly one resync, and nothing is silent', () => {
    const { sink } = slow;
    const own = Array.from({ length: 10 * MAX_BACKLOG }, (_, id) => note(id, 'done', {}, { to: { users: ['ann'] } }));
    for (let from = 0; from < own.length; from += 500) {
      append(...own.slice(from, from + 500));
      tick();
    }
    sink.unblock();
    const events = sink.take();
    expect(events.filter(({ type }) => type === 'resync').map(({ data }) => data)).toEqual([{ channels: null }]);
    expect(events[0]?.type).toBe('resync');
    expect(events.length).toBeLessThanOrEqual(MAX_BACKLOG + 1);
  });

  test('row 56: is cut off when the socket takes nothing for 30 s, not before, and delays nobody else', () => {
    const other = listen(['Order/1']);
    append(note(1));
    tick();
    expect(told(other)).toEqual(['2 updated']);
    clock.pass(29_999);
    hub.beat(history.top);
    expect(slow.sink.ended).toBe('no');
    clock.pass(1);
    hub.beat(history.top);
    expect(slow.sink.ended).toBe('destroyed');
    hub.beat(history.top);
    expect(hub.counts()).toMatchObject({ stalled: 1, connections: 1 });
  });

  test('what waits is purged when its channel is no longer covered, and the reason comes first', () => {
    append(note(1), note(2));
    tick();
    hub.uncover(slow.connection, ['Order/1'], 'reauthorise');
    slow.sink.unblock();
    expect(told(slow)).toEqual(['reauthorise Order/1', '2 updated list', '3 updated']);
  });

  test('row 65: of a channel that is covered no more nothing is left, not even the reduced rendering', () => {
    const alone = listen(['Order/1'], 'ben');
    alone.sink.blocked = true;
    append(note(1, 'last'));
    tick();
    append(note(1), note(undefined, 'imported'), note(1, 'done', {}, { to: { users: ['ben'] } }));
    tick();
    alone.sink.take();
    append({ kind: 'revoke', users: ['ben'] });
    alone.sink.unblock();
    expect(told(alone)).toEqual(['reauthorise Order/1', '5 done']);
  });

  test('a resync of everything takes the place of what waits', () => {
    append(note(1), { kind: 'resync' });
    slow.sink.unblock();
    expect(told(slow)).toEqual(['resync']);
  });
});

describe('the end of a right', () => {
  test('row 65: after a revocation nothing of the channel is delivered, what is pending in the tick included', () => {
    const ann = listen(['Order/1', 'Order/2']);
    const ben = listen(['Order/1'], 'ben');
    append(note(1), { kind: 'revoke', users: ['ann'], object: { entity: 'Order', id: '1' } }, note(1, 'shipped'));
    append(note(2));
    tick();
    expect(told(ann)).toEqual(['reauthorise Order/1', '4 updated']);
    expect(told(ben)).toEqual(['1 updated', '3 shipped']);
  });

  test('of an entity: its list and all its objects; of everything: all; the own channels stay', () => {
    const ann = listen(['Order/1', 'Order/2', 'Order', 'Report/1']);
    append({ kind: 'revoke', users: ['ann'], object: { entity: 'Order' } }, note(1), note(undefined));
    tick();
    expect(told(ann)).toEqual(['reauthorise Order/1,Order/2,Order']);
    append({ kind: 'revoke', users: ['ann'] }, note(1, 'done', {}, { to: { users: ['ann'] } }));
    tick();
    expect(told(ann)).toEqual(['reauthorise Report/1', '5 done']);
  });

  test('Order/* is left with the last object of its entity', () => {
    const ann = listen(['Order/1', 'Order/2']);
    hub.uncover(ann.connection, ['Order/1'], 'refused');
    append(note(undefined, 'imported'));
    tick();
    expect(told(ann)).toEqual(['refused Order/1', '1 imported']);
    hub.uncover(ann.connection, ['Order/2', 'Order/7'], 'refused');
    append(note(undefined, 'imported'));
    tick();
    expect(told(ann)).toEqual(['refused Order/2']);
    expect(hub.counts().channels).toBe(1); // @user/ann
  });

  test('a standard EventSource cannot ask for a grant: it is sent away, and is asked for when it comes back', () => {
    const { sink, connection } = open('ann', { standard: true });
    cover(connection, ['Order/1']);
    sink.take();
    append({ kind: 'revoke', users: ['ann'] });
    expect(sink.take()).toEqual([{ type: 'goodbye', id: undefined, data: { within: 0 } }]);
    expect(sink.ended).toBe('ended');
  });

  test('a stream delivers a channel no longer than its grant lives', () => {
    const opened = open();
    hub.cover(opened.connection, {
      channels: new Map([
        ['Order/1', clock.now() + 10_000],
        ['Order/2', clock.now() + 20_000],
      ]),
      after: new Map(),
      own: null,
      refused: [],
      reauthorise: [],
    });
    told(opened);
    // The interval in which the hub looks is the most that is taken away.
    clock.pass(10_000 - 3 * EXPIRY_INTERVAL);
    hub.expire();
    expect(told(opened)).toEqual([]);
    clock.pass(2 * EXPIRY_INTERVAL);
    hub.expire();
    expect(told(opened)).toEqual(['reauthorise Order/1']);
    append(note(1), note(2));
    tick();
    expect(told(opened)).toEqual(['2 updated']);
    hub.prolong(opened.connection, ['Order/1', 'Order/2'], clock.now() + 60_000);
    clock.pass(50_000);
    hub.expire();
    expect(told(opened)).toEqual([]);
    append(note(1), note(2));
    tick();
    expect(told(opened)).toEqual(['4 updated']);
    clock.pass(10_000);
    hub.expire();
    expect(told(opened)).toContain('reauthorise Order/2');
  });
});

describe('resync', () => {
  test('an object’s entry reaches its listeners and the list’s; an entity’s each of its objects; else everybody', () => {
    const [one, two, list, report] = [['Order/1'], ['Order/2', 'Report/2'], ['Order'], ['Report/1']].map((of) =>
      listen(of),
    ) as [Opened, Opened, Opened, Opened];
    append(note(2), { kind: 'resync', objects: [{ entity: 'Order', id: '1' }] });
    expect([one, two, list, report].map(told)).toEqual([
      ['resync Order/1'],
      ['1 updated'],
      ['1 updated list', 'resync Order'],
      [],
    ]);
    append({ kind: 'resync', objects: [{ entity: 'Order' }] });
    expect([one, two, list, report].map(told)).toEqual([['resync Order/1'], ['resync Order/2'], ['resync Order'], []]);
    append({ kind: 'resync' });
    expect([one, two, list, report].map(told)).toEqual([['resync'], ['resync'], ['resync'], ['resync']]);
  });

  test('it has its id, so that a stream that is opened anew is not told again', () => {
    const opened = listen(['Order/1']);
    append({ kind: 'resync' });
    append({ kind: 'resync', objects: [{ entity: 'Order', id: '1' }] });
    hub.beat(history.top);
    expect(opened.sink.take().map(({ type, id }) => [type, id])).toEqual([
      ['resync', at(1)],
      ['resync', at(2)],
      ['heartbeat', at(2)],
    ]);
  });

  test('ahead of a backlog it has none: what waits behind it is older', () => {
    const opened = listen(['Order/1']);
    opened.sink.blocked = true;
    append(note(1));
    hub.flush();
    append(note(1, 'updated'));
    hub.flush();
    append({ kind: 'resync', objects: [{ entity: 'Order', id: '1' }] });
    opened.sink.unblock();
    const told = opened.sink.take();
    expect(told.find(({ type }) => type === 'resync')?.id).toBeUndefined();
    expect(told.at(-1)?.type).toBe('notification');
  });
});

describe('heartbeats', () => {
  test('carry the proved position behind everything queued ahead of it; without a proof they say degraded', () => {
    const opened = listen(['Order/1']);
    append(note(1));
    hub.beat(history.top);
    hub.beat(undefined);
    expect(opened.sink.take().map(({ type, id, data }) => [type, id, data.position, data.degraded])).toEqual([
      ['notification', at(1), at(1), undefined],
      ['heartbeat', at(1), at(1), undefined],
      ['heartbeat', undefined, undefined, true],
    ]);
  });

  test('none before `ready`: its id would make a standard EventSource skip the replay', () => {
    const { sink } = open('ann', { standard: true });
    hub.beat(history.top);
    expect(sink.take().map(({ type }) => type)).toEqual(['hello']);
  });

  test('one buffer is shared by all', () => {
    const [a, b] = [listen(['Order/1']), listen(['Order/2'], 'ben')];
    hub.beat(history.top);
    expect(a.sink.frames.at(-1)?.chunked).toBe(b.sink.frames.at(-1)?.chunked);
  });
});

describe('row 53, spread: the connections that a rendering goes to ÷ 30 per second', () => {
  const spreadOf = ({ sink }: Opened): number | undefined => sink.take().at(-1)?.data.spread;

  test.each([
    [89, undefined],
    [90, 3_000],
    [300, 10_000],
    [1_800, 60_000],
    [1_900, 60_000],
  ])('%i listeners: %s ms', (listeners, window) => {
    const [first] = Array.from({ length: listeners }, () => listen(['Order/1'])) as [Opened];
    append(note(1));
    tick();
    expect(spreadOf(first)).toBe(window);
    expect(hub.counts().delivered).toBe(listeners);
    hub.beat(history.top);
    expect(spreadOf(first)).toBe(window ?? 0); // for resyncs: all connections
  });

  test('`spread: false`: nobody waits', () => {
    const [first] = Array.from({ length: 300 }, () => listen(['Order/1'])) as [Opened];
    append(note(1, 'updated', {}, { spread: false }));
    tick();
    expect(spreadOf(first)).toBeUndefined();
  });

  test('each rendering counts its own listeners: those who got the full one do not wait for the lists', () => {
    const [object] = Array.from({ length: 10 }, () => listen(['Order/1', 'Order'])) as [Opened];
    const [list] = Array.from({ length: 90 }, () => listen(['Order'])) as [Opened];
    append(note(1));
    tick();
    expect(spreadOf(object)).toBeUndefined();
    expect(spreadOf(list)).toBe(3_000);
    append(note(1));
    for (let n = 0; n < 5; n++) listen(['Order', 'Order/1']);
    tick();
    expect(spreadOf(list)).toBe(3_000);
  });

  test('promise 4: a wave that comes back is spread too, though its frames are rendered once', () => {
    append(note(1));
    const spreads = Array.from({ length: 600 }, () => {
      const { sink, connection } = open();
      cover(connection, { 'Order/1': at(0) });
      return sink.events().find(({ type }) => type === 'notification')?.data.spread ?? 0;
    });
    expect(spreads[0]).toBe(0);
    expect(spreads.at(-1)).toBeGreaterThanOrEqual(10_000); // 600 ÷ 30 is 20 s; at most a doubling out of date
    expect(new Set(spreads).size).toBeLessThan(12);
  });
});

describe('row 58: the end', () => {
  test('close says goodbye to each stream, with the wait before it reconnects, behind what was pending', () => {
    const opened = listen(['Order/1']);
    append(note(1));
    hub.close(3_000);
    expect(opened.sink.take().map(({ type, data }) => [type, data.within])).toEqual([
      ['notification', undefined],
      ['goodbye', 3_000],
    ]);
    expect(opened.sink.ended).toBe('ended');
    expect(hub.counts()).toMatchObject({ connections: 0, channels: 0, users: 0 });
  });

  test('a stream that was on its way is sent on at once', () => {
    hub.close(1_000);
    const opened = open();
    expect(told(opened)).toEqual(['hello', 'goodbye']);
    expect(cover(opened.connection, ['Order/1'])).toBe(false);
    expect(hub.counts()).toMatchObject({ connections: 0, channels: 0 });
  });

  test('dismiss ends one', () => {
    const [one, other] = [listen(['Order/1']), listen(['Order/1'])];
    hub.dismiss(one.connection, 500);
    append(note(1));
    tick();
    expect(one.sink.take().map(({ type, data }) => [type, data.within])).toEqual([['goodbye', 500]]);
    expect(told(other)).toEqual(['1 updated']);
    hub.dismiss(one.connection, 500);
    expect(told(one)).toEqual([]);
  });

  test('row 57: connections that went away leave nothing behind, and their end is told once', () => {
    let left = 0;
    const opened = Array.from({ length: 50 }, (_, n) => listen([`Order/${n}`, 'Order'], `user${n}`));
    for (const { connection, sink } of opened) {
      connection.onLeave = () => {
        left += 1;
      };
      sink.cut();
      sink.end();
    }
    append(note(1));
    tick();
    hub.beat(history.top);
    expect(left).toBe(50);
    expect(hub.counts()).toMatchObject({ connections: 0, channels: 0, users: 0, delivered: 0 });
  });
});
