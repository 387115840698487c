/** Channels: every object has exactly one, and no two things share one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  audienceChannel,
  channelOf,
  everyChannelOf,
  MAX_NAME_LENGTH,
  objectOf,
  qualify,
  unqualify,
} from '../../adapters/channel.js';
import { checkObject } from '../../adapters/notification.js';

/** Names that have been somebody's bug: separators, wildcards, escapes, paths, keys of every object. */
const TRICKY = [
  '*',
  '@',
  '@user',
  '@session',
  ':',
  '/',
  '//',
  '%',
  '%2F',
  '%2f',
  '%25',
  '.',
  '..',
  '../..',
  ' ',
  '\t\r\n',
  '\0',
  '#',
  '?a=b&c',
  '"',
  "'",
  '\\',
  'Order/*',
  'Order/42',
  'ns:Order',
  '__proto__',
  'constructor',
  'é',
  'e\u0301',
  'İ',
  'ß',
  '订单',
  '👩‍👩‍👧‍👦',
  '\uFEFF',
  '\u202E',
  'x'.repeat(MAX_NAME_LENGTH),
  '€'.repeat(MAX_NAME_LENGTH),
  '👍'.repeat(MAX_NAME_LENGTH / 2),
];
const name = fc.oneof(
  fc.constantFrom(...TRICKY),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('/', '*', '@', ':', '%', '2', 'F', '.', 'a'), minLength: 1, maxLength: 8 }),
);
const object = fc
  .record({ entity: name, id: fc.option(name, { nil: undefined }) })
  .map(({ entity, id }) => (id === undefined ? { entity } : { entity, id }));
const namespace = fc.stringMatching(/^[\w-]{1,40}$/);
const RUNS = { numRuns: 2_000 };

describe('channelOf and objectOf', () => {
  test('any object goes to its channel and back', () => {
    fc.assert(
      fc.property(object, (it) => {
        expect(objectOf(channelOf(it))).toEqual(it);
      }),
      RUNS,
    );
  });

  test('different objects have different channels', () => {
    fc.assert(
      fc.property(object, object, (a, b) => {
        const same = a.entity === b.entity && ('id' in a ? a.id : undefined) === ('id' in b ? b.id : undefined);
        expect(channelOf(a) === channelOf(b)).toBe(same);
      }),
      RUNS,
    );
  });

  test('a channel is plain ASCII without spaces, double quotes or control characters: it stands in any header, URL or key', () => {
    fc.assert(
      fc.property(object, (it) => {
        expect(channelOf(it)).toMatch(/^[\w\-.!~'()%]+(\/[\w\-.!~'()%]+)?$/);
      }),
      RUNS,
    );
  });

  test('a number and its text are the same id', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (id) => {
        expect(channelOf({ entity: 'Order', id })).toBe(channelOf({ entity: 'Order', id: String(id) }));
      }),
    );
    expect(channelOf({ entity: 'Order', id: -0 })).toBe('Order/0');
    expect(channelOf({ entity: 'Order', id: 1.5 })).toBe('Order/1.5');
  });

  test('a channel can be the key of a plain object: no name sets its prototype', () => {
    for (const entity of ['__proto__', 'constructor', 'toString']) {
      const byChannel: Record<string, string> = {};
      byChannel[channelOf({ entity })] = 'kept';
      expect(Object.keys(byChannel)).toEqual([channelOf({ entity })]);
      expect(objectOf(channelOf({ entity }))).toEqual({ entity });
    }
  });

  test('no object reaches an internal channel, whatever it is called', () => {
    fc.assert(
      fc.property(object, name, fc.constantFrom('user' as const, 'session' as const), (it, other, kind) => {
        const channel = channelOf(it);
        expect(channel).not.toBe(everyChannelOf(other));
        expect(channel).not.toBe(audienceChannel(kind, other));
        expect(channel.includes('*') || channel.startsWith('@') || channel.includes(':')).toBe(false);
      }),
      RUNS,
    );
    expect(channelOf({ entity: 'Order', id: '*' })).not.toBe(everyChannelOf('Order'));
    expect(channelOf({ entity: '@user', id: 'abc' })).not.toBe(audienceChannel('user', 'abc'));
  });

  test('internal channels are nobody’s object', () => {
    expect(objectOf(audienceChannel('user', 'abc'))).toBeUndefined();
    expect(objectOf(audienceChannel('session', 'abc'))).toBeUndefined();
    fc.assert(
      fc.property(name, (entity) => {
        expect(objectOf(everyChannelOf(entity))).toBeUndefined();
      }),
      RUNS,
    );
  });

  test('objectOf never throws, and takes only what channelOf writes', () => {
    const hostile = fc.oneof(
      fc.anything(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('%', '/', '4', 'g', '\uD800', '*', 'é') }),
    );
    fc.assert(
      fc.property(hostile, (channel) => {
        const it = objectOf(channel);
        if (it) expect(channelOf(it)).toBe(channel);
      }),
      RUNS,
    );
  });

  test.each([
    '',
    '/',
    'Order/',
    '/42',
    'Order/4/2',
    'Order/%2f', // the same id as Order/%2F: one object, one channel
    'Order/%61',
    'Order/%',
    'Order/%ED%A0%80', // half of a surrogate pair
    'Order/*',
    'Or*der',
    'Order/a b',
    'ns:Order',
    '@user/abc',
    `Order/${'x'.repeat(MAX_NAME_LENGTH + 1)}`,
    'x'.repeat(MAX_NAME_LENGTH + 1),
  ])('objectOf does not take %j', (channel) => {
    expect(objectOf(channel)).toBeUndefined();
  });
});

describe('names that have no channel are refused before they get that far', () => {
  test.each([
    [{ entity: 'Order', id: '\uD800' }, 'object.id'],
    [{ entity: 'x\uDC00', id: 1 }, 'object.entity'],
    [{ entity: 'Order', id: 'a\uDBFFb' }, 'object.id'],
  ])('half of a surrogate pair: %j', (it, field) => {
    expect(() => checkObject(it)).toThrow(TypeError);
    expect(() => checkObject(it)).toThrow(`${field}: holds half of a surrogate pair`);
  });

  test('whatever checkObject lets through has a channel and comes back', () => {
    const anyName = fc.oneof(name, fc.string({ unit: fc.constantFrom('\uD800', '\uDC00', 'a') }));
    fc.assert(
      fc.property(anyName, anyName, (entity, id) => {
        let checked: { entity: string; id?: string };
        try {
          checked = checkObject({ entity, id });
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(objectOf(channelOf(checked))).toEqual({ entity, id });
      }),
      RUNS,
    );
  });
});

describe('namespaces', () => {
  test('a qualified channel comes back in its own namespace and in no other', () => {
    fc.assert(
      fc.property(namespace, namespace, object, (own, other, it) => {
        const channel = channelOf(it);
        expect(unqualify(own, qualify(own, channel))).toBe(channel);
        if (own !== other) expect(unqualify(other, qualify(own, channel))).toBeUndefined();
      }),
      RUNS,
    );
  });

  test('internal channels take a namespace as well', () => {
    for (const channel of [everyChannelOf('Order'), audienceChannel('user', 'abc')]) {
      expect(unqualify('ns', qualify('ns', channel))).toBe(channel);
    }
  });

  test('a channel without a namespace is of none', () => {
    expect(unqualify('ns', 'ns')).toBeUndefined();
    expect(unqualify('ns', 'Order/42')).toBeUndefined();
  });

  test.each(['', 'a:b', 'a/b', 'a b', 'é', 'x'.repeat(41), 'a\n'])('%j cannot be one', (bad) => {
    expect(() => qualify(bad, 'Order')).toThrow(/^namespace: /);
  });
});
