/** Notifications: what is let in, what goes over the wire, and what a merge of two says. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { channelOf, objectOf } from '../../adapters/channel.js';
import { MAX_WIRE_BYTES, type Notification } from '../../adapters/contract.js';
import {
  checkAction,
  checkChangedDate,
  checkObject,
  checkWireSize,
  compareChangedDates,
  mergeNotifications,
  parseNotification,
  renderFull,
  renderReduced,
  sameObject,
} from '../../adapters/notification.js';
import type { Position } from '../../adapters/position.js';
import { WIRE_KEYS } from '../../adapters/protocol.js';

const AT: Position = 'epoch:7';
const RUNS = { numRuns: 1_000 };
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
const isoDate = fc
  .tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom('', ':00', ':01', ':00.1', ':00.10', ':00.100000001', ':01.999999999'),
  )
  .map(([minute, rest]) => `2024-05-01T00:0${minute}${rest}Z`);
const changedDate = fc.oneof(isoDate, fc.integer({ min: 0, max: 5 }));
const notification: fc.Arbitrary<Notification> = fc.record(
  {
    entity: text,
    id: text,
    action: text,
    changedDate,
    unordered: fc.constant(true as const),
    notifier: text,
    cause: fc.constantFrom('c1', 'c2'),
    except: fc.uniqueArray(fc.constantFrom('h1', 'h2', 'h3'), { minLength: 1 }),
    detail: fc.jsonValue(),
  },
  { requiredKeys: ['entity', 'action', 'changedDate'] },
);

describe('checkObject', () => {
  test('gives a text id, and leaves everything else of the object behind', () => {
    expect(checkObject({ entity: 'Order', id: 42, changedDate: 1, total: 99 })).toEqual({ entity: 'Order', id: '42' });
    expect(checkObject({ entity: 'Order', id: -0 })).toEqual({ entity: 'Order', id: '0' });
    expect(checkObject({ entity: 'Order' })).toEqual({ entity: 'Order' });
  });

  test.each([
    [undefined, 'object: is undefined'],
    [null, 'object: is null'],
    ['Order/42', 'object: is string'],
    [{}, 'object.entity: is undefined'],
    [{ entity: '' }, 'object.entity: is empty'],
    [{ entity: 7 }, 'object.entity: is number'],
    [{ entity: 'x'.repeat(301) }, 'object.entity: has 301 characters'],
    [{ entity: 'Order', id: '' }, 'object.id: is empty'],
    [{ entity: 'Order', id: true }, 'object.id: is boolean'],
    [{ entity: 'Order', id: {} }, 'object.id: is object'],
    [{ entity: 'Order', id: Number.NaN }, 'object.id: the number NaN is not exact'],
    [{ entity: 'Order', id: 2 ** 53 }, 'object.id: the number 9007199254740992 is not exact'],
    [{ entity: 'Order', id: 'x'.repeat(301) }, 'object.id: has 301 characters'],
  ])('%j is refused with the field and the reason', (object, message) => {
    expect(() => checkObject(object)).toThrow(TypeError);
    expect(() => checkObject(object)).toThrow(message);
  });

  test.each([undefined, null])('a forgotten id (%s) is an error and never means everybody', (id) => {
    expect(() => checkObject({ entity: 'Order', id })).toThrow('leave the key out to mean every Order');
  });

  test('names the field that the caller gives', () => {
    expect(() => checkObject({ entity: '' }, 'objects[3]')).toThrow(/^objects\[3\]\.entity: /);
  });
});

describe('checkAction', () => {
  test('lets any other text through', () => {
    for (const action of ['shipped', 'very long indeed', '订单', '**', 'constructor'])
      expect(checkAction(action)).toBe(action);
  });

  test.each(['', '*', '__proto__', 'x'.repeat(101), '\uD800', 7, null, undefined])('refuses %j', (action) => {
    expect(() => checkAction(action)).toThrow(/^action: /);
  });
});

describe('checkChangedDate', () => {
  test.each([
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [0, 0],
    [-1, -1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['2024-05-01T10:00Z', '2024-05-01T10:00Z'],
    ['2024-05-01T10:00:01Z', '2024-05-01T10:00:01Z'],
    ['2024-05-01T10:00:01.123456789Z', '2024-05-01T10:00:01.123456789Z'],
    ['2024-05-01T10:00:01+02:00', '2024-05-01T08:00:01Z'],
    ['2024-05-01T10:00-00:30', '2024-05-01T10:30Z'],
    ['2024-01-01T00:00:00.5+14:00', '2023-12-31T10:00:00.5Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00Z'],
  ])('%s becomes %s', (value, expected) => {
    expect(checkChangedDate(value)).toBe(expected);
  });

  test('the microseconds of a database survive another time zone: two changes of one millisecond stay two', () => {
    const [first, second] = ['2024-05-01T10:00:00.123456+02:00', '2024-05-01T10:00:00.123457+02:00'].map((it) =>
      checkChangedDate(it),
    );
    expect(compareChangedDates(first as string, second as string)).toBeLessThan(0);
  });

  test.each([
    new Date(Number.NaN),
    new Date(8.64e15), // year 275760: its text has another form
    new Date(-8.64e15),
    1.5,
    Number.NaN,
    2 ** 53,
    '',
    'yesterday',
    '2024-05-01',
    '2024-05-01T10:00:00', // no time zone
    '2024-05-01 10:00:00Z',
    '2024-05-01T10:00:00.Z',
    '2024-05-01T10:00:00.1234567890Z',
    '2024-05-01T10:00.5Z',
    '2024-02-30T10:00:00Z', // Date takes it for 1 March
    '2023-02-29T10:00:00Z',
    '2024-13-01T10:00:00Z',
    '2024-05-01T24:00:00Z', // Date takes it for the next day
    '2024-05-01T10:60:00Z',
    '2024-05-01T10:00:60Z',
    '2024-05-01T10:00:00+25:00',
    '0000-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    '2024-05-01T10:00:00Z\n',
    null,
    undefined,
    {},
  ])('refuses %s', (value) => {
    expect(() => checkChangedDate(value)).toThrow(TypeError);
    expect(() => checkChangedDate(value, 'objects[1].changedDate')).toThrow(/^objects\[1\]\.changedDate: /);
  });

  test('means the same moment afterwards, for any date and zone', () => {
    const zone = fc
      .tuple(fc.constantFrom('+', '-'), fc.integer({ min: 0, max: 14 }))
      .map(([s, h]) => `${s}${String(h).padStart(2, '0')}:30`);
    const date = fc.date({ min: new Date('0001-01-01'), max: new Date('9998-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(date, zone, (moment, offset) => {
        const given = moment.toISOString().replace('Z', offset);
        expect(Date.parse(checkChangedDate(given) as string)).toBe(Date.parse(given));
      }),
      RUNS,
    );
  });

  test('every day of a year that exists is taken as it is, and no other', () => {
    const pad = (n: number): string => String(n).padStart(2, '0');
    for (const year of [2023, 2024])
      for (let month = 0; month <= 13; month++)
        for (let day = 0; day <= 32; day++) {
          const date = `${year}-${pad(month)}-${pad(day)}T23:59:59.123456Z`;
          const exists = new Date(Date.UTC(year, month - 1, day)).toISOString().startsWith(date.slice(0, 10));
          if (exists) expect(checkChangedDate(date)).toBe(date);
          else expect(() => checkChangedDate(date), date).toThrow(TypeError);
        }
  });
});

describe('compareChangedDates', () => {
  test.each([
    ['2024-05-01T10:00Z', '2024-05-01T10:00:00Z', 0],
    ['2024-05-01T10:00Z', '2024-05-01T10:00:00.000000000Z', 0],
    ['2024-05-01T10:00:00Z', '2024-05-01T10:00:00.000Z', 0],
    ['2024-05-01T10:00:00.1Z', '2024-05-01T10:00:00.10Z', 0],
    ['2024-05-01T10:00:00.09Z', '2024-05-01T10:00:00.1Z', -1],
    ['2024-05-01T10:00:00Z', '2024-05-01T10:00:00.000000001Z', -1],
    ['2024-05-01T10:00Z', '2024-05-01T10:00:00.5Z', -1],
    ['2024-05-01T10:00:59.999999999Z', '2024-05-01T10:01Z', -1],
    [9, 10, -1],
    [-1, 0, -1],
    [3, 3, 0],
  ])('%s and %s', (a, b, order) => {
    expect(Math.sign(compareChangedDates(a, b) as number)).toBe(order);
    expect(Math.sign(compareChangedDates(b, a) as number)).toBe(order === 0 ? 0 : -order);
  });

  test('a version and a date cannot be compared', () => {
    expect(compareChangedDates(1, '2024-05-01T10:00Z')).toBeUndefined();
    expect(compareChangedDates('2024-05-01T10:00Z', 1)).toBeUndefined();
  });

  test('agrees with the clock for all that checkChangedDate lets through', () => {
    const date = fc.date({ min: new Date('0001-01-01'), max: new Date('9998-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(date, date, (a, b) => {
        const order = compareChangedDates(checkChangedDate(a) as string, checkChangedDate(b) as string);
        expect(Math.sign(order as number)).toBe(Math.sign(a.getTime() - b.getTime()));
      }),
      RUNS,
    );
  });
});

describe('renderings', () => {
  const extra = fc.dictionary(
    fc.oneof(text, fc.constantFrom('to', 'spread', 'position', 'type', 'secret', '__proto__', 'toJSON')),
    fc.jsonValue(),
  );

  test('the wire JSON has exactly the allowed keys, whatever else the object holds (row 2)', () => {
    fc.assert(
      fc.property(notification, extra, fc.boolean(), fc.nat(60_000), (it, more, to, spread) => {
        const wire = JSON.parse(renderFull({ ...more, ...it } as Notification, AT, { to, spread })) as Record<
          string,
          unknown
        >;
        const expected = { ...it, position: AT, ...(to && { to: true }), ...(spread && { spread }) };
        expect(Object.keys(wire).every((key) => (WIRE_KEYS as readonly string[]).includes(key))).toBe(true);
        expect(wire).toEqual(JSON.parse(JSON.stringify(expected)));
      }),
      RUNS,
    );
  });

  test('a caller’s keys named like those of the hub fill nothing', () => {
    const it = {
      entity: 'Order',
      action: 'a',
      changedDate: 1,
      to: { users: ['ann'] },
      spread: 9,
      position: 'x:1',
    } as Notification;
    expect(JSON.parse(renderFull(it, AT))).toEqual({ entity: 'Order', action: 'a', changedDate: 1, position: AT });
  });

  test('the reduced one tells neither which object, nor who, nor when, nor what', () => {
    fc.assert(
      fc.property(notification, extra, (it, more) => {
        const { entity, action, cause, except } = it;
        const wire: unknown = JSON.parse(renderReduced({ ...more, ...it, ...{ cause, except } } as Notification, AT));
        expect(wire).toEqual({ entity, action, position: AT, ...(cause && { cause }), ...(except && { except }) });
      }),
      RUNS,
    );
  });

  test('what is rendered is read again, full and reduced', () => {
    fc.assert(
      fc.property(notification, (it) => {
        for (const json of [renderFull(it, AT), renderReduced(it, AT)]) {
          expect(parseNotification(JSON.parse(json))).toEqual(JSON.parse(json));
        }
      }),
      RUNS,
    );
  });
});

describe('checkWireSize', () => {
  const size = (json: string): number => new TextEncoder().encode(json).length;
  const longest: Position = `${'e'.repeat(40)}:${'9'.repeat(32)}`;

  test('what it lets through stays within 1 KiB, at any position and merged with anything it lets through', () => {
    const wide = fc.string({
      unit: fc.constantFrom('a', 'é', '€', '👍', '"', '\n', '\0'),
      minLength: 1,
      maxLength: 150,
    });
    const large = notification.chain((it) => fc.tuple(wide, wide).map(([id, notifier]) => ({ ...it, id, notifier })));
    const fits = (it: Notification): boolean => {
      try {
        checkWireSize(it);
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return false;
      }
    };
    fc.assert(
      fc.property(notification, large, (older, newer) => {
        if (!fits(newer)) return;
        expect(size(renderFull(newer, longest, { to: true, spread: 60_000 }))).toBeLessThanOrEqual(MAX_WIRE_BYTES);
        if (!fits(older)) return;
        const merged = mergeNotifications(older, newer);
        expect(size(renderFull(merged, longest, { to: true, spread: 60_000 }))).toBeLessThanOrEqual(MAX_WIRE_BYTES);
      }),
      RUNS,
    );
  });

  test('lets any small notification through', () => {
    fc.assert(
      fc.property(text, text, text, changedDate, (entity, id, action, date) => {
        checkWireSize({
          entity,
          id,
          action,
          changedDate: date,
          notifier: 'Ann',
          cause: 'c'.repeat(64),
          except: ['h'.repeat(32)],
        });
      }),
    );
  });

  test.each([
    ['detail', { detail: { text: 'x'.repeat(1_000) } }],
    ['notifier', { notifier: '€'.repeat(350) }],
    ['id', { id: '€'.repeat(300), notifier: 'Ann' }],
    ['except', { except: Array.from({ length: 40 }, () => 'h'.repeat(32)) }],
  ])('names the largest field: %s', (field, more) => {
    const it: Notification = { entity: 'Order', id: '42', action: 'shipped', changedDate: 1, ...more };
    expect(() => checkWireSize(it)).toThrow(RangeError);
    expect(() => checkWireSize(it)).toThrow(new RegExp(`^${field}: .*at most 1024 are allowed; shorten ${field}$`));
  });

  test('a detail that cannot be JSON is the caller’s error, and named', () => {
    const circular: { self?: unknown } = {};
    circular.self = circular;
    for (const detail of [circular, 1n, { toJSON: () => 1n }]) {
      expect(() => checkWireSize({ entity: 'Order', action: 'a', changedDate: 1, detail })).toThrow(
        /^detail: cannot be written as JSON/,
      );
    }
  });
});

describe('parseNotification', () => {
  test('never throws, and what it takes has a channel', () => {
    const hostile = fc.oneof(
      fc.anything({ withBigInt: true, withNullPrototype: true, withObjectString: true }),
      fc.json().map((json): unknown => JSON.parse(json)),
      fc.record(
        {
          entity: fc.oneof(text, fc.constantFrom('\uD800', '', 'x'.repeat(301)), fc.anything()),
          id: fc.oneof(text, fc.constantFrom('\uDFFF', ''), fc.anything()),
          action: fc.oneof(text, fc.anything()),
          position: fc.oneof(fc.constant(AT), fc.string()),
          except: fc.oneof(fc.array(text), fc.array(fc.anything())),
          changedDate: fc.anything(),
          spread: fc.oneof(fc.double(), fc.anything()),
        },
        { requiredKeys: ['entity', 'action', 'position'] },
      ),
    );
    fc.assert(
      fc.property(hostile, (input) => {
        const it = parseNotification(input);
        if (!it) return;
        const object = it.id === undefined ? { entity: it.entity } : { entity: it.entity, id: it.id };
        expect(objectOf(channelOf(object))).toEqual(object);
        for (const hash of it.except ?? []) expect(typeof hash).toBe('string');
        expect(Number.isFinite(it.spread ?? 0)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });

  const fine = { entity: 'Order', id: '42', action: 'shipped', position: AT };
  test.each([
    ['{"__proto__":{"entity":"Order","action":"a","position":"e:1"}}', 'a prototype that looks right'],
    ['{"constructor":{"prototype":{"entity":"Order"}}}', 'a constructor'],
    [JSON.stringify({ ...fine, id: 42 }), 'a number as id'],
    [JSON.stringify({ ...fine, id: null }), 'null as id'],
    [JSON.stringify({ ...fine, position: '7' }), 'a position without epoch'],
    [JSON.stringify({ ...fine, except: { length: 1 } }), 'a false array'],
    [JSON.stringify({ ...fine, except: [{}] }), 'an object as hash'],
    [JSON.stringify({ ...fine, changedDate: {} }), 'an object as date'],
    [JSON.stringify({ ...fine, action: ['shipped'] }), 'a list as action'],
    ['{"entity":"Order","action":"a","position":"e:1","spread":1e999}', 'a number beyond all'],
    [`${'['.repeat(5_000)}${']'.repeat(5_000)}`, 'depth'],
  ])('%s is not taken (%s)', (json) => {
    expect(parseNotification(JSON.parse(json))).toBeUndefined();
  });

  test('pollutes nothing', () => {
    const it = parseNotification(
      JSON.parse(
        `{"entity":"Order","action":"a","position":"e:1","__proto__":{"polluted":1},"detail":{"__proto__":{"polluted":1}}}`,
      ),
    );
    expect(it).toBeDefined();
    expect(({ ...it } as { polluted?: unknown }).polluted).toBeUndefined();
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('a key of a later version does no harm', () => {
    expect(parseNotification({ ...fine, urgency: 'high' })).toMatchObject(fine);
  });
});

describe('mergeNotifications', () => {
  const base: Notification = { entity: 'Order', id: '42', action: 'shipped', changedDate: 1 };
  const of = (more: Partial<Notification>): Notification => ({ ...base, ...more });

  test('takes the latest notifier and detail, or none', () => {
    expect(mergeNotifications(of({ notifier: 'Ann', detail: 1 }), of({ notifier: 'Bob' }))).toEqual(
      of({ notifier: 'Bob' }),
    );
    expect(mergeNotifications(of({ notifier: 'Ann' }), of({ detail: 2 }))).toEqual(of({ detail: 2 }));
  });

  test('takes the greatest date, whichever came last', () => {
    expect(mergeNotifications(of({ changedDate: 5 }), of({ changedDate: 3 })).changedDate).toBe(5);
    expect(mergeNotifications(of({ changedDate: 3 }), of({ changedDate: 5 })).changedDate).toBe(5);
  });

  test('keeps a cause that both have, and no other', () => {
    expect(mergeNotifications(of({ cause: 'a' }), of({ cause: 'a' })).cause).toBe('a');
    expect('cause' in mergeNotifications(of({ cause: 'a' }), of({ cause: 'b' }))).toBe(false);
    expect('cause' in mergeNotifications(of({}), of({ cause: 'b' }))).toBe(false);
    expect('cause' in mergeNotifications(of({ cause: 'a' }), of({}))).toBe(false);
  });

  test('leaves out only whom both leave out', () => {
    expect(mergeNotifications(of({ except: ['a', 'b'] }), of({ except: ['b', 'c'] })).except).toEqual(['b']);
    expect('except' in mergeNotifications(of({ except: ['a'] }), of({ except: ['b'] }))).toBe(false);
    expect('except' in mergeNotifications(of({}), of({ except: ['b'] }))).toBe(false);
    expect('except' in mergeNotifications(of({ except: ['a'] }), of({}))).toBe(false);
  });

  test('is unordered when either is, or when the kinds of date differ: then nobody may skip by it', () => {
    expect(mergeNotifications(of({ unordered: true }), of({})).unordered).toBe(true);
    expect(mergeNotifications(of({}), of({ unordered: true })).unordered).toBe(true);
    expect(mergeNotifications(of({}), of({ changedDate: '2024-05-01T10:00Z' })).unordered).toBe(true);
    expect('unordered' in mergeNotifications(of({}), of({ changedDate: 2 }))).toBe(false);
  });

  test('in whatever order three are merged, the same listeners run', () => {
    fc.assert(
      fc.property(notification, notification, notification, (a, b, c) => {
        const left = mergeNotifications(mergeNotifications(a, b), c);
        const right = mergeNotifications(a, mergeNotifications(b, c));
        const concerns = ({ changedDate: date, except, unordered, ...rest }: Notification) => ({
          ...rest,
          unordered: unordered ?? false,
          except: [...(except ?? [])].sort(),
          // An unordered date is for display; only an ordered one can make a listener skip.
          ...(unordered ? {} : { date: checkChangedDate(date) }),
        });
        expect(concerns(left)).toEqual(concerns(right));
      }),
      RUNS,
    );
  });

  test('nobody who would have run for one of the two is kept from running by the merge', () => {
    fc.assert(
      fc.property(
        notification,
        notification,
        fc.constantFrom('h1', 'h2', 'h3'),
        fc.constantFrom('c1', 'c2'),
        changedDate,
        (a, b, hash, cause, held) => {
          const runs = (it: Notification): boolean =>
            !it.except?.includes(hash) &&
            it.cause !== cause &&
            (it.unordered === true || (compareChangedDates(it.changedDate, held) ?? 1) > 0);
          // Each reason to skip is looked at by itself: the two notifications may be skipped for different reasons.
          const merged = mergeNotifications(a, b);
          for (const it of [a, b]) {
            if (!it.except?.includes(hash)) expect(merged.except?.includes(hash) ?? false).toBe(false);
            if (it.cause !== cause) expect(merged.cause === cause).toBe(false);
            if (
              runs({
                entity: 'x',
                action: 'x',
                changedDate: it.changedDate,
                ...(it.unordered && { unordered: it.unordered }),
              })
            ) {
              expect(
                runs({
                  entity: 'x',
                  action: 'x',
                  changedDate: merged.changedDate,
                  ...(merged.unordered && { unordered: merged.unordered }),
                }),
              ).toBe(true);
            }
          }
        },
      ),
      RUNS,
    );
  });

  test('changes neither of the two', () => {
    fc.assert(
      fc.property(notification, notification, (a, b) => {
        const before = structuredClone([a, b]);
        mergeNotifications(a, b);
        expect([a, b]).toEqual(before);
      }),
    );
  });
});

test('sameObject: a number and its text are one id; a list is not its object', () => {
  expect(sameObject({ entity: 'Order', id: 42 }, { entity: 'Order', id: '42' })).toBe(true);
  expect(sameObject({ entity: 'Order', id: 42 }, { entity: 'Order', id: 43 })).toBe(false);
  expect(sameObject({ entity: 'Order', id: 42 }, { entity: 'Invoice', id: 42 })).toBe(false);
  expect(sameObject({ entity: 'Order' }, { entity: 'Order', id: 'undefined' })).toBe(false);
  expect(sameObject({ entity: 'Order' }, { entity: 'Order' })).toBe(true);
});
