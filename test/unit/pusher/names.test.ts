/** Names at Pusher: legal, injective, readable, apart by namespace and period. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { audienceChannel, channelOf, everyChannelOf } from '../../../adapters/channel.js';
import { EVERYBODY } from '../../../adapters/provider.js';
import {
  channelOfName,
  eventName,
  fixedName,
  isHashed,
  LEAD_MS,
  MAX_PUSHER_NAME,
  PERIOD_MS,
  periodAt,
  periodName,
  periodsAt,
  SKEW_MS,
} from '../../../adapters/pusher/names.js';

/** What pusher-http-node takes, within the length that Pusher's documentation gives. */
const LEGAL = /^private-[A-Za-z0-9_\-=@,.;]{1,156}$/;
/** Beginnings by which Pusher and its SDKs take a channel for one of another kind. */
const OTHER_KIND = /^private-(encrypted|cache)-/;

const name = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text)),
  fc.string({ unit: fc.constantFrom(...".!~*'()=%@,;:/-_h p21E7"), minLength: 1, maxLength: 8 }),
  fc.string({ minLength: 100, maxLength: 300 }),
);
const channel = fc.oneof(
  fc.record({ entity: name }).map(channelOf),
  fc.record({ entity: name, id: name }).map(channelOf),
  name.map(everyChannelOf),
  fc
    .tuple(fc.constantFrom('user' as const, 'session' as const), fc.stringMatching(/^[\w-]{16}$/))
    .map(([kind, hash]) => audienceChannel(kind, hash)),
  fc.constant(EVERYBODY),
);
const namespace = fc.oneof(
  fc.stringMatching(/^[\w-]{1,40}$/),
  fc.constantFrom('encrypted-a', 'cache-a', 'a', 'a-', '-'),
);
const place = fc.tuple(namespace, channel, fc.option(fc.nat({ max: 60_000_000 }), { nil: undefined }));
const nameOf = ([space, local, period]: readonly [string, string, number | undefined]): string =>
  period === undefined ? fixedName(space, local) : periodName(space, local, period);

describe('names', () => {
  test('every name is legal, short enough, and of a private channel', () => {
    fc.assert(
      fc.property(place, (at) => {
        const text = nameOf(at);
        expect(text).toMatch(LEGAL);
        expect(text).not.toMatch(OTHER_KIND);
        expect(text.length).toBeLessThanOrEqual(MAX_PUSHER_NAME);
      }),
      { numRuns: 2_000 },
    );
  });

  test('no two channels, namespaces or periods share a name', () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(place, (at) => {
        const text = nameOf(at);
        const key = JSON.stringify(at);
        expect(seen.get(text) ?? key).toBe(key);
        seen.set(text, key);
      }),
      { numRuns: 5_000 },
    );
    expect(seen.size).toBeGreaterThan(1_000);
  });

  test('a fixed name leads back to its channel, or says why not', () => {
    fc.assert(
      fc.property(namespace, channel, (space, local) => {
        const text = fixedName(space, local);
        if (isHashed(space, local)) expect(() => channelOfName(space, text)).toThrow('too long');
        else expect(channelOfName(space, text)).toBe(local);
      }),
      { numRuns: 2_000 },
    );
  });

  test('what a page makes up is refused, or is the only name of its channel', () => {
    const made = fc.string({ unit: fc.constantFrom(...'=2A17E89%@,;./*Oa-'), maxLength: 12 });
    fc.assert(
      fc.property(made, (rest) => {
        let local: string;
        try {
          local = channelOfName('shop', `private-shop;${rest}`);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(fixedName('shop', local)).toBe(`private-shop;${rest}`);
      }),
      { numRuns: 2_000 },
    );
  });

  test('they can be read', () => {
    expect(fixedName('shop', channelOf({ entity: 'Order', id: 42 }))).toBe('private-shop;Order,42');
    expect(fixedName('shop', 'Order')).toBe('private-shop;Order');
    expect(fixedName('shop', 'Order/*')).toBe('private-shop;Order,@');
    expect(fixedName('shop', channelOf({ entity: 'Order', id: 'a/b (c)*' }))).toBe(
      'private-shop;Order,a=2Fb=20=28c=29=2A',
    );
    expect(fixedName('shop', '@user/abc')).toBe('private-shop;@user,abc');
    expect(fixedName('encrypted-shop', 'Order')).toBe('private-=encrypted-shop;Order');
    expect(periodName('shop', 'Order/42', 36)).toBe('private-shop;Order,42;10');
    // So a change of the rule, which would part pages of one version from nodes of another, is noticed.
    expect(fixedName('shop', channelOf({ entity: 'Order', id: 'x'.repeat(200) }))).toBe(
      'private-shop;;uj3ex_B8jY989Zq_W4ISjNQlCQL4Q05tnCVJBRBSQBI',
    );
  });

  test.each([
    ['Order,42', 'begin with "private-shop;"'],
    ['private-other;Order,42', 'begin with "private-shop;"'],
    ['presence-shop;Order,42', 'begin with "private-shop;"'],
    ['private-shop;', 'no name of an object'],
    ['private-shop;Order,4/2', 'no name of an object'],
    ['private-shop;Order,42;3lxe6', 'name of one period'],
    ['private-shop;;abc', 'too long for Pusher'],
    [`private-shop;${'x'.repeat(300)}`, 'too long for Pusher'],
  ])('%s is refused with the fix', (text, fix) => {
    expect(() => channelOfName('shop', text)).toThrow(fix);
    expect(() => channelOfName('shop', text)).toThrow(TypeError);
    expect(() => channelOfName('shop', text)).toThrow('channel_name');
  });
});

describe('names of events', () => {
  test('the action, escaped where Pusher would take it for its own', () => {
    expect(eventName('shipped')).toBe('shipped');
    expect(eventName('pusher:x')).toBe('!pusher:x');
    expect(eventName('pusher_internal:x')).toBe('!pusher_internal:x');
    expect(eventName('client-added')).toBe('!client-added');
    expect(eventName('!client-added')).toBe('!!client-added');
    expect(eventName('notify-listen:check')).toBe('notify-listen:check');
  });

  test('no two actions share a name', () => {
    const action = fc.string({ unit: fc.constantFrom('!', 'client-', 'pusher:', 'a'), minLength: 1, maxLength: 4 });
    fc.assert(fc.property(action, action, (one, other) => (one === other) === (eventName(one) === eventName(other))));
  });
});

describe('periods', () => {
  const start = 6_000_000 * PERIOD_MS;
  const number = (now: number) => periodsAt(now).map(({ period }) => period - 6_000_000);

  test('the one before is still signed for the skew, the next one in the lead', () => {
    expect(number(start)).toEqual([-1, 0]);
    expect(number(start + SKEW_MS - 1)).toEqual([-1, 0]);
    expect(number(start + SKEW_MS)).toEqual([0]);
    expect(number(start + PERIOD_MS - LEAD_MS - 1)).toEqual([0]);
    expect(number(start + PERIOD_MS - LEAD_MS)).toEqual([0, 1]);
    expect(number(start + PERIOD_MS - 1)).toEqual([0, 1]);
  });

  test('at every moment a node whose clock differs by less than the skew publishes to a name that is held', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: start, max: start + 3 * PERIOD_MS }),
        fc.integer({ min: 1 - SKEW_MS, max: SKEW_MS - 1 }),
        (now, skew) => {
          expect(periodsAt(now).map(({ period }) => period)).toContain(periodAt(now + skew));
        },
      ),
    );
  });

  test('the ends are told as durations', () => {
    expect(periodsAt(start + 10_000)).toEqual([
      { period: 5_999_999, endsIn: -10_000 },
      { period: 6_000_000, endsIn: PERIOD_MS - 10_000 },
    ]);
    expect(periodsAt(start - 10_000).at(-1)).toEqual({ period: 6_000_000, endsIn: PERIOD_MS + 10_000 });
  });
});
