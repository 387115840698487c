/** What a node holds of the log: DESIGN, "Every node tails the whole log and keeps the retained window in memory, compacted". */
import { describe, expect, test } from 'vitest';
import type { Channel } from '../../../adapters/channel.js';
import { makePosition, type Position } from '../../../adapters/position.js';
import { createHistory, type History } from '../../../server/history.js';
import { at, handClock, logged, note, windowOf } from '../../kit/entries.js';

const RETENTION = 60_000;

interface Node {
  readonly history: History;
  pass(ms: number): void;
  /** Applies entries at the given offsets, tailed now. */
  tail(...entries: readonly (readonly [number, Parameters<typeof logged>[1]])[]): void;
  read(channels: Readonly<Record<Channel, number | Position | null>>): { replay: string[]; resync: Channel[] };
}

function node({ cap = 1_000, floor = 0 } = {}): Node {
  const { now, pass } = handClock();
  const history = createHistory(windowOf(floor, floor), { retention: RETENTION, cap, now });
  return {
    history,
    pass,
    tail(...entries) {
      for (const [offset, entry] of entries) history.apply(logged(offset, entry), true);
    },
    read(channels) {
      const after = new Map(
        Object.entries(channels).map(([channel, position]) => [
          channel,
          typeof position === 'number' ? at(position) : position,
        ]),
      );
      const { replay, resync } = history.read(after);
      return {
        replay: replay.map(({ kept, reduced }) => {
          const { id = '*', action } = kept.entry.notification;
          return `${kept.position.split(':')[1]} ${reduced ? 'list' : id} ${action}`;
        }),
        resync: [...resync],
      };
    },
  };
}

describe('compaction: per channel, action and, on user and session channels, object, the latest notification', () => {
  test('a hundred notifications of one object and action are one, at the position of the last', () => {
    const { history, tail, read } = node();
    for (let n = 1; n <= 100; n++) tail([n, note(42)]);
    expect(read({ 'Order/42': 0 })).toEqual({ replay: ['100 42 updated'], resync: [] });
    expect(history.size()).toBe(2); // on Order/42 and on Order
  });

  test('another action, and another object on its own channel, is kept beside it', () => {
    const { tail, read } = node();
    tail([1, note(1)], [2, note(1, 'shipped')], [3, note(2)]);
    expect(read({ 'Order/1': 0, 'Order/2': 0 }).replay).toEqual(['1 1 updated', '2 1 shipped', '3 2 updated']);
    expect(read({ Order: 0 }).replay).toEqual(['2 list shipped', '3 list updated']);
  });

  test('on the channels of users and sessions, each object has its own place', () => {
    const { tail, read } = node();
    const to = { users: ['ann'], sessions: ['s1'] };
    tail([1, note(1, 'done', {}, { to })], [2, note(2, 'done', {}, { to })], [3, note(1, 'done', {}, { to })]);
    expect(read({ '@user/ann': 0 }).replay).toEqual(['2 2 done', '3 1 done']);
    expect(read({ '@session/s1': 0, '@user/ann': 0 }).replay).toEqual(['2 2 done', '3 1 done']);
    expect(read({ 'Order/1': 0, Order: 0 }).replay).toEqual([]); // row 4: never on a shared channel
  });

  test('merging takes the latest notifier, the greatest changedDate, the common cause or none', () => {
    const { tail, history } = node();
    tail(
      [1, note(1, 'updated', { changedDate: 9, notifier: 'Ann', cause: 'x' })],
      [2, note(1, 'updated', { changedDate: 4, notifier: 'Ben', cause: 'x' })],
    );
    const merged = (): unknown => history.read(new Map([['Order/1', at(0)]])).replay[0]?.kept.entry.notification;
    expect(merged()).toMatchObject({ changedDate: 9, notifier: 'Ben', cause: 'x' });
    tail([3, note(1, 'updated', { changedDate: 5 })]);
    expect(merged()).toEqual({ entity: 'Order', id: '1', action: 'updated', changedDate: 9 });
  });

  test('merging keeps `except` only where every merged one had it, and `spread: false` only if all had it', () => {
    const { tail, history } = node();
    const merged = () => history.read(new Map([['Order/1', at(0)]])).replay[0]?.kept.entry;
    tail([1, note(1, 'updated', { except: ['a', 'b'] }, { spread: false })]);
    tail([2, note(1, 'updated', { except: ['b', 'c'] }, { spread: false })]);
    expect(merged()).toMatchObject({ notification: { except: ['b'] }, spread: false });
    tail([3, note(1, 'updated', { except: ['c'] })]);
    expect(merged()?.notification).not.toHaveProperty('except');
    expect(merged()).not.toHaveProperty('spread');
  });
});

describe('the floor: the position of the last dropped entry', () => {
  test('row 37: after the retention everything is gone, the floor has risen, and memory is back to its baseline', () => {
    const { history, tail, pass, read } = node();
    for (let n = 1; n <= 500; n++) tail([n, note(n)]);
    tail([501, { kind: 'resync', objects: [{ entity: 'Order', id: '7' }] }]);
    tail([502, { kind: 'revoke', users: ['ann'] }]);
    pass(RETENTION - 1);
    history.expire();
    expect(history.size()).toBe(1_000 - 499); // 500 objects, and one place for the list
    pass(1);
    history.expire();
    expect(history.size()).toBe(0);
    expect(history.floor).toBe(at(501));
    expect(history.latest('Order/1', [])).toBeUndefined();
    expect(history.revoked(['ann'], 'Order/1', at(1))).toBe(false);
    expect(read({ 'Order/1': 500 }).resync).toEqual(['Order/1']);
    expect(read({ 'Order/1': 501 })).toEqual({ replay: [], resync: [] });
  });

  test('an entry that was renewed lives on from then, and only what is older goes', () => {
    const { history, tail, pass, read } = node();
    tail([1, note(1)], [2, note(2)]);
    pass(RETENTION / 2);
    tail([3, note(1)]);
    pass(RETENTION / 2);
    history.expire();
    expect(history.floor).toBe(at(2));
    expect(read({ 'Order/1': 2, 'Order/2': 2 }).replay).toEqual(['3 1 updated']);
    expect(read({ 'Order/1': 1 })).toEqual({ replay: [], resync: ['Order/1'] });
  });

  test('a cap raises the floor, and what the node knows begins anew', () => {
    const { history, tail, pass, read } = node({ cap: 4 });
    pass(5_000);
    expect(history.known()).toBe(5_000);
    tail([1, note(1)], [2, note(2)], [3, note(3)]);
    pass(100);
    tail([4, note(4)]);
    expect(history.size()).toBe(4);
    expect(history.floor).toBe(at(1));
    expect(history.known()).toBe(100);
    expect(read({ 'Order/2': 0 }).resync).toEqual(['Order/2']);
    expect(read({ 'Order/2': 1 }).replay).toEqual(['2 2 updated']);
  });

  test('beyond a large cap only the oldest goes, and the floor is where it was', () => {
    const { history, tail, read } = node({ cap: 256 });
    // Each object has an entry of its own, and the list has one.
    for (let n = 1; n <= 255; n++) tail([n, note(n)]);
    expect([history.size(), history.floor]).toEqual([256, at(0)]);
    tail([256, note(256)]);
    expect([history.size(), history.floor]).toEqual([256, at(1)]);
    expect(read({ 'Order/1': 0 }).resync).toEqual(['Order/1']);
    expect(read({ 'Order/2': 1 })).toEqual({ replay: ['2 2 updated'], resync: [] });
  });

  test('a cap that was exceeded while the window was loaded keeps its floor', () => {
    const { now } = handClock();
    const history = createHistory(windowOf(0, 0), { retention: RETENTION, cap: 2, now });
    history.reset(windowOf(0, 3));
    for (let n = 1; n <= 3; n++) history.apply(logged(n, note(n)), false);
    history.start(windowOf(0, 3));
    expect(history.floor).toBe(at(2));
    expect(history.read(new Map([['Order/1', at(0)]])).resync).toEqual(['Order/1']);
  });

  test('entries that came while the window was loaded do not take the top back', () => {
    const { now } = handClock();
    const history = createHistory(windowOf(0, 0), { retention: RETENTION, cap: 10, now });
    history.reset(windowOf(0, 1));
    for (let n = 1; n <= 2; n++) history.apply(logged(n, note(n)), false);
    history.start(windowOf(0, 1));
    expect(history.top).toBe(at(2));
  });
});

describe('replay: ascending, each position once, in full if any channel entitles to that', () => {
  test('row 30, row 33: channels with different positions are merged in order', () => {
    const { tail, read } = node();
    tail([10, note(1)], [20, note(2)], [30, note(3)], [40, note(1, 'shipped')]);
    expect(read({ 'Order/3': 0, 'Order/1': 10, 'Order/2': 5 }).replay).toEqual([
      '20 2 updated',
      '30 3 updated',
      '40 1 shipped',
    ]);
  });

  test('row 31: `null` asks for nothing that was before', () => {
    const { tail, read } = node();
    tail([1, note(1)]);
    expect(read({ 'Order/1': null, Order: null })).toEqual({ replay: [], resync: [] });
  });

  test('an entry on an object and its list comes once, in full; those of other objects come reduced', () => {
    const { tail, read } = node();
    tail([1, note(2)], [2, note(1)]);
    expect(read({ Order: 0, 'Order/1': 0 }).replay).toEqual(['2 1 updated']);
    tail([3, note(2)]);
    expect(read({ Order: 0, 'Order/1': 0 }).replay).toEqual(['2 1 updated', '3 list updated']);
  });

  test('replay of Order/42 always takes in Order/*, from the earliest of the objects’ positions', () => {
    const { tail, read } = node();
    tail([1, note(undefined, 'imported')], [2, note(1)]);
    expect(read({ 'Order/42': 0 }).replay).toEqual(['1 * imported']);
    expect(read({ 'Order/42': 1 }).replay).toEqual([]);
    expect(read({ 'Order/42': 1, 'Order/7': 0 }).replay).toEqual(['1 * imported']);
    expect(read({ Order: 0 }).replay).toEqual(['1 list imported', '2 list updated']);
    expect(read({ 'Orders/42': 0 }).replay).toEqual([]);
  });

  test('a list’s listener is not told only the object’s cause', () => {
    const { tail, history } = node();
    tail([1, note(2, 'updated', { cause: 'ben' })], [2, note(1, 'updated', { cause: 'ann', except: ['u'] })]);
    const both = history.read(
      new Map([
        ['Order', at(0)],
        ['Order/1', at(0)],
      ]),
    );
    expect(both.replay.map(({ kept }) => kept.entry.notification)).toEqual([
      { entity: 'Order', id: '1', action: 'updated', changedDate: 1 },
    ]);
    const one = history.read(new Map([['Order/1', at(0)]]));
    expect(one.replay[0]?.kept.entry.notification).toMatchObject({ cause: 'ann', except: ['u'] });
  });

  test('of an entry on a user’s and a session’s channel, neither hides what the other had merged', () => {
    const { tail, history } = node();
    const to = { users: ['u'], sessions: ['s'] };
    for (const first of [{ users: ['u'] }, { sessions: ['s'] }]) {
      const base = Number(history.top.split(':')[1]);
      tail([base + 1, note(1, 'updated', { cause: 'ben', changedDate: 9 }, { to: first })]);
      tail([base + 2, note(1, 'updated', { cause: 'ann', changedDate: 3 }, { to })]);
      const { replay } = history.read(
        new Map([
          ['@user/u', at(base)],
          ['@session/s', at(base)],
        ]),
      );
      expect(replay).toHaveLength(1);
      expect(replay[0]?.kept.entry.notification).toEqual({
        entity: 'Order',
        id: '1',
        action: 'updated',
        changedDate: 9,
      });
    }
  });
});

describe('resync: never silence, never a partial replay', () => {
  const { tail, read, history } = node({ floor: 5 });
  tail([6, note(1)], [7, note(2)]);

  test('row 35: a position of an unknown epoch', () => {
    expect(read({ 'Order/1': makePosition('other', 6) })).toEqual({ replay: [], resync: ['Order/1'] });
  });

  test('row 36: a position below the floor, but not the floor itself', () => {
    expect(read({ 'Order/1': 4 })).toEqual({ replay: [], resync: ['Order/1'] });
    expect(read({ 'Order/1': 5 })).toEqual({ replay: ['6 1 updated'], resync: [] });
  });

  test('a position above the top', () => {
    expect(read({ 'Order/1': 8 })).toEqual({ replay: [], resync: ['Order/1'] });
    expect(read({ 'Order/1': 7 })).toEqual({ replay: [], resync: [] });
  });

  test('only for the channels concerned', () => {
    expect(read({ 'Order/1': 4, 'Order/2': 5 })).toEqual({ replay: ['7 2 updated'], resync: ['Order/1'] });
  });

  test('own channels are no exception', () => {
    expect(read({ '@user/ann': 4 }).resync).toEqual(['@user/ann']);
  });

  test('a resync entry for an object concerns its channel and the list; one for the entity each of its objects; else all', () => {
    const other = node();
    other.tail([1, { kind: 'resync', objects: [{ entity: 'Order', id: '1' }] }]);
    const asked = { 'Order/1': 0, 'Order/2': 0, Order: 0, 'Report/1': 0, '@user/ann': 0 };
    expect(other.read(asked).resync).toEqual(['Order/1', 'Order']);
    other.tail([2, note(1)], [3, { kind: 'resync', objects: [{ entity: 'Order' }] }]);
    expect(other.read(asked).resync).toEqual(['Order/1', 'Order/2', 'Order']);
    other.tail([4, { kind: 'resync' }]);
    expect(other.read(asked).resync).toEqual(Object.keys(asked));
    expect(other.read({ 'Order/1': 4 })).toEqual({ replay: [], resync: [] });
  });

  test('no notification replaces a resync entry', () => {
    const other = node();
    other.tail([1, { kind: 'resync', objects: [{ entity: 'Order', id: '1' }] }]);
    for (let n = 2; n < 50; n++) other.tail([n, note(1)]);
    expect(other.read({ 'Order/1': 0 }).resync).toEqual(['Order/1']);
    expect(other.read({ 'Order/1': 1 })).toEqual({ replay: ['49 1 updated'], resync: [] });
  });

  test('a reset says so to everybody who comes from before it', () => {
    expect(history.top).toBe(at(7));
    const other = node();
    other.tail([1, note(1)]);
    other.history.reset({ floor: makePosition('next', 3), top: makePosition('next', 3) });
    expect(other.history.size()).toBe(0);
    expect(other.read({ 'Order/1': 1 }).resync).toEqual(['Order/1']);
    expect(other.read({ 'Order/1': makePosition('next', 3) }).resync).toEqual([]);
    expect(other.history.forgotten(at(1))).toBe(true);
  });
});

describe('the load race: per channel and action the latest notification, and how long all is known', () => {
  test('ages count from when this node tailed the entry', () => {
    const { tail, history, pass } = node();
    tail([1, note(1)], [2, note(1, 'shipped')]);
    pass(500);
    tail([3, note(1, 'shipped', { changedDate: 7, unordered: true })]);
    pass(20.7);
    expect(history.latest('Order/1', [])).toEqual({
      updated: { position: at(1), age: 520, changedDate: 1 },
      shipped: { position: at(3), age: 20, changedDate: 7, unordered: true },
    });
  });

  test('an age is never rounded up, nor is what is known: in doubt, refresh', () => {
    const { tail, history, pass } = node();
    pass(0.6);
    expect(history.known()).toBeCloseTo(0.6);
    tail([1, note(1)]);
    pass(10.6);
    expect(history.latest('Order/1', [])?.updated?.age).toBe(10);
  });

  test('0 for what it loaded at its start', () => {
    const { now, pass } = handClock();
    const history = createHistory(windowOf(0, 0), { retention: RETENTION, cap: 10, now });
    history.apply(logged(1, note(1)), false);
    history.start(windowOf(0, 1));
    pass(10_000);
    expect(history.latest('Order/1', [])).toEqual({ updated: { position: at(1), age: 0, changedDate: 1 } });
    expect(history.known()).toBe(10_000);
  });

  test('what concerns every object concerns each; the newer of both counts', () => {
    const { tail, history } = node();
    tail([1, note(1)], [2, note(undefined)], [3, note(2)]);
    expect(history.latest('Order/1', [])?.updated?.position).toBe(at(2));
    expect(history.latest('Order/2', [])?.updated?.position).toBe(at(3));
    expect(history.latest('Order/9', [])?.updated?.position).toBe(at(2));
    expect(history.latest('Report/1', [])).toBeUndefined();
  });

  test('no changedDate on lists: who may see the list may not see each object of it', () => {
    const { tail, history } = node();
    tail([1, note(1, 'updated', { changedDate: 5 })], [2, note(undefined, 'imported', { changedDate: 6 })]);
    expect(history.latest('Order', [])).toEqual({
      updated: { position: at(1), age: 0 },
      imported: { position: at(2), age: 0 },
    });
  });

  test('what was addressed to the user or the session counts for whatever it concerns', () => {
    const { tail, history } = node();
    const own = ['@user/ann', '@session/s'];
    tail([1, note(1, 'done', {}, { to: { users: ['ann'] } })]);
    tail([2, note(undefined, 'closed', {}, { to: { sessions: ['s'] } })]);
    tail([3, note(11, 'done', {}, { to: { users: ['ben'] } })]);
    tail([4, note(1, 'x', { entity: 'Orders' }, { to: { users: ['ann'] } })]);
    const actions = (channel: string, channels = own) => Object.keys(history.latest(channel, channels) ?? {}).sort();
    expect(actions('Order/1')).toEqual(['closed', 'done']);
    expect(actions('Order/11')).toEqual(['closed']);
    expect(actions('Order')).toEqual(['closed', 'done']);
    expect(actions('Order/1', [])).toEqual([]);
    expect(history.latest('Order', own)?.done).not.toHaveProperty('changedDate');
  });
});

describe('revocations', () => {
  test('of everything, an object, an entity: for this user only', () => {
    const { tail, history } = node();
    const revoked = (user: string, ...channels: string[]) =>
      channels.filter((channel) => history.revoked([user], channel, at(1)));
    const all = ['Order/1', 'Order/2', 'Order', 'Report/1', 'Report'];
    tail([2, { kind: 'revoke', users: ['ann', 'ann-by-the-second-secret'], object: { entity: 'Order', id: '1' } }]);
    expect(revoked('ann', ...all)).toEqual(['Order/1']);
    expect(revoked('ann-by-the-second-secret', ...all)).toEqual(['Order/1']);
    tail([3, { kind: 'revoke', users: ['ann'], object: { entity: 'Order' } }]);
    expect(revoked('ann', ...all)).toEqual(['Order/1', 'Order/2', 'Order']);
    tail([4, { kind: 'revoke', users: ['ann'] }]);
    expect(revoked('ann', ...all)).toEqual(all);
    expect(revoked('ben', ...all)).toEqual([]);
  });

  test('cancels every grant that was noted before it; one noted at it was asked after the right had changed', () => {
    const { tail, history } = node();
    tail([5, { kind: 'revoke', users: ['ann'] }]);
    expect(history.revoked(['ann'], 'Order/1', at(4))).toBe(true);
    expect(history.revoked(['ann'], 'Order/1', at(5))).toBe(false);
    expect(history.revoked(['ann'], 'Order/1', at(6))).toBe(false);
  });

  test('before the log has it, it cancels every grant made up to now; once it has it, new grants hold at once', () => {
    const { tail, history } = node();
    tail([5, note(1)]);
    history.revoke({ kind: 'revoke', users: ['ann'] });
    expect(history.revoked(['ann'], 'Order/1', at(5))).toBe(true);
    tail([6, { kind: 'revoke', users: ['ann'] }]);
    expect(history.revoked(['ann'], 'Order/1', at(5))).toBe(true);
    expect(history.revoked(['ann'], 'Order/1', at(6))).toBe(false);
  });

  test('a grant of another epoch is cancelled by any of them', () => {
    const { history } = node();
    history.revoke({ kind: 'revoke', users: ['ann'] });
    expect(history.revoked(['ann'], 'Order/1', makePosition('other', 99))).toBe(true);
  });

  test('do not count under the cap', () => {
    const { tail, history } = node({ cap: 2 });
    for (let n = 1; n <= 50; n++) tail([n, { kind: 'revoke', users: [`user${n}`] }]);
    expect(history.floor).toBe(at(0));
    expect(history.size()).toBe(0);
    expect(history.revoked(['user1'], 'Order/1', at(0))).toBe(true);
  });

  test('expire by time, and then a grant from before cannot be judged', () => {
    const { tail, history, pass } = node();
    tail([1, { kind: 'revoke', users: ['ann'] }]);
    expect(history.forgotten(at(0))).toBe(false);
    pass(RETENTION);
    tail([2, { kind: 'revoke', users: ['ben'] }]);
    history.expire();
    expect(history.forgotten(at(0))).toBe(true);
    expect(history.forgotten(at(1))).toBe(false);
    expect(history.revoked(['ben'], 'Order/1', at(1))).toBe(true);
    expect(history.forgotten(makePosition('other', 5))).toBe(true);
  });
});
