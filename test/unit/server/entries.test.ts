/** From what an application passes to entries of the log: programmers' errors name the field before anything is sent. */
import { describe, expect, test } from 'vitest';
import type { LogEntry } from '../../../adapters/contract.js';
import { type EntryOptions, mergeHeld, notificationEntry, revokeEntry } from '../../../server/entries.js';
import { createSecrets } from '../../../server/secrets.js';
import type { ChangedObject } from '../../../server/types.js';
import { note } from '../../kit/entries.js';

const secrets = createSecrets(['the first secret', 'the second secret'], 'test');
const order: ChangedObject = { entity: 'Order', id: 42, changedDate: 7 };
const make = (options: EntryOptions = {}, object: ChangedObject = order, action = 'shipped', cause?: string) =>
  notificationEntry(action, object, options, secrets, cause);
const fault = (run: () => unknown): string => {
  try {
    run();
    return 'none';
  } catch (error) {
    return `${(error as Error).name} ${(error as Error).message}`;
  }
};

describe('a notification', () => {
  test('recipients and a dedupeKey are bounded: nothing may be too large for an engine', () => {
    const users = Array.from({ length: 1_001 }, (_, n) => n);
    expect(fault(() => make({ to: { users } }))).toMatch(/^RangeError to: names 1001 recipients.*notify in parts/);
    expect(fault(() => make({ to: { users: users.slice(1) } }))).toBe('none');
    expect(fault(() => make({ dedupeKey: 'k'.repeat(513) }))).toMatch(/^RangeError dedupeKey: has 513 characters/);
  });

  test('row 2: holds entity, id as text, action, changedDate, notifier and cause, and nothing else of the object', () => {
    const object = { ...order, total: 99, customer: 'Ben' } as ChangedObject;
    expect(make({ notifier: 'Ann' }, object, 'shipped', 'c0ffee')).toEqual({
      kind: 'notification',
      notification: { entity: 'Order', id: '42', action: 'shipped', changedDate: 7, notifier: 'Ann', cause: 'c0ffee' },
    });
  });

  test('row 39: a default changedDate is for display only and never skips; a given one may', () => {
    const { notification } = make({}, { entity: 'Order', id: 1 });
    expect(notification.unordered).toBe(true);
    expect(Math.abs(Date.parse(String(notification.changedDate)) - Date.now())).toBeLessThan(5_000);
    expect(make({}, { entity: 'Order', id: 1, changedDate: new Date(0) }).notification).toEqual({
      entity: 'Order',
      id: '1',
      action: 'shipped',
      changedDate: '1970-01-01T00:00:00.000Z',
    });
  });

  test('rows 4 to 6: users and sessions leave the process as keyed hashes only, one for each secret', () => {
    const entry = make({ to: { users: ['ann', 7], sessions: ['s1'] }, except: { users: ['ben'], sessions: ['s2'] } });
    expect(entry.to).toEqual({
      users: [...secrets.hashes('user', 'ann'), ...secrets.hashes('user', '7')],
      sessions: secrets.hashes('session', 's1'),
    });
    expect(entry.notification.except).toEqual([...secrets.hashes('user', 'ben'), ...secrets.hashes('session', 's2')]);
    expect(JSON.stringify(entry)).not.toMatch(/ann|ben|s1|s2/);
  });

  test('to nobody is to nobody, never to everybody; except nobody is no exception', () => {
    expect(make({ to: { users: [] } }).to).toEqual({ users: [], sessions: [] });
    expect(make({ except: {} }).notification).not.toHaveProperty('except');
  });

  test('spread and detail travel as given; a dedupeKey is that of one object and action', () => {
    expect(make({ spread: false, dedupeKey: 'k', detail: { a: [1, null] } })).toMatchObject({
      spread: false,
      dedupeKey: expect.stringMatching(/^k \S+ \S+$/),
      notification: { detail: { a: [1, null] } },
    });
    expect(make({ spread: true })).not.toHaveProperty('spread');
  });

  test('the detail is what it was at the call, whatever becomes of the object', () => {
    const detail = { progress: 10 };
    const entry = make({ detail });
    detail.progress = 99;
    expect(entry.notification.detail).toEqual({ progress: 10 });
  });

  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each<[string, () => unknown]>([
    ['TypeError object: is null', () => make({}, null as unknown as ChangedObject)],
    ['TypeError object.entity: is empty', () => make({}, { entity: '', id: 1 })],
    [
      'TypeError object.id: is undefined',
      () => make({}, { entity: 'Order', id: undefined } as unknown as ChangedObject),
    ],
    ['TypeError object.id: the number Infinity', () => make({}, { entity: 'Order', id: Number.POSITIVE_INFINITY })],
    ['TypeError action: is empty', () => make({}, order, '')],
    ['TypeError action: "*"', () => make({}, order, '*')],
    ['TypeError changedDate:', () => make({}, { ...order, changedDate: 'yesterday' })],
    ['TypeError notifier:', () => make({ notifier: 7 } as unknown as EntryOptions)],
    ['TypeError spread:', () => make({ spread: 0 } as unknown as EntryOptions)],
    ['TypeError dedupeKey:', () => make({ dedupeKey: '' })],
    ['TypeError detail:', () => make({ detail: circular })],
    ['TypeError detail:', () => make({ detail: () => 1 })],
    ['TypeError detail:', () => make({ detail: 1n })],
    ['TypeError to:', () => make({ to: 'ann' } as unknown as EntryOptions)],
    ['TypeError to:', () => make({ to: ['ann'] } as unknown as EntryOptions)],
    ['TypeError to.users:', () => make({ to: { users: 'ann' } } as unknown as EntryOptions)],
    ['TypeError to.users[1]:', () => make({ to: { users: ['ann', null] } } as unknown as EntryOptions)],
    ['TypeError to.sessions[0]:', () => make({ to: { sessions: [''] } })],
    ['TypeError except:', () => make({ except: 'ann' } as unknown as EntryOptions)],
    ['TypeError except.sessions:', () => make({ except: { sessions: 7 } } as unknown as EntryOptions)],
    ['RangeError detail:', () => make({ detail: 'x'.repeat(1_024) })],
    ['RangeError notifier:', () => make({ notifier: 'é'.repeat(600) })],
    ['RangeError except:', () => make({ except: { users: Array.from({ length: 60 }, (_, id) => id) } })],
  ])('%s … is said before anything is sent', (message, run) => {
    expect(fault(run)).toContain(message);
  });
});

describe('a revocation', () => {
  test('names the user by every hash, and the object by its text id', () => {
    expect(revokeEntry({ id: 7 }, { entity: 'Order', id: 42 }, secrets)).toEqual({
      kind: 'revoke',
      users: secrets.hashes('user', '7'),
      object: { entity: 'Order', id: '42' },
    });
    expect(revokeEntry('7', undefined, secrets)).not.toHaveProperty('object');
  });

  test('a user or an object that is none is an error', () => {
    for (const user of [undefined, null, '', {}, { id: null }])
      expect(fault(() => revokeEntry(user as never, undefined, secrets))).toContain('TypeError user:');
    expect(fault(() => revokeEntry('ann', { entity: 'Order', id: null } as never, secrets))).toContain('object.id');
  });
});

describe('row 11: equal notifications that wait together are sent once', () => {
  test('1,000 notifies in one batch are one, with the newest date', () => {
    const entries = Array.from({ length: 1_000 }, (_, n) => note(1, 'updated', { changedDate: n % 700 }));
    expect(mergeHeld(entries)).toEqual([note(1, 'updated', { changedDate: 699 })]);
  });

  test('another object, action or audience is another; each stands where its last was', () => {
    const to = { users: ['u'] };
    const entries: LogEntry[] = [
      note(1),
      note(2),
      note(undefined),
      note(1, 'x'),
      note(1, 'updated', {}, { to }),
      note(1),
    ];
    expect(mergeHeld(entries)).toEqual([
      note(2),
      note(undefined),
      note(1, 'x'),
      note(1, 'updated', {}, { to }),
      note(1),
    ]);
  });

  test('revocations, and copies with a key of their own, are left as they are', () => {
    const entries: LogEntry[] = [
      { kind: 'revoke', users: ['u'] },
      note(1, 'updated', {}, { dedupeKey: 'a' }),
      { kind: 'revoke', users: ['u'] },
      note(1, 'updated', {}, { dedupeKey: 'b' }),
    ];
    expect(mergeHeld(entries)).toEqual(entries);
  });
});
