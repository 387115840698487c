/** Names at Ably: one for each channel, within Ably's rules, and never a wildcard. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ablyName, LONGEST_NAME } from '../../../adapters/ably/names.js';
import { audienceChannel, type Channel, channelOf, everyChannelOf } from '../../../adapters/channel.js';
import { EVERYBODY } from '../../../adapters/provider.js';

const text = (max: number) => fc.string({ minLength: 1, maxLength: max, unit: 'binary' });
/** Short names of few letters, so that what is alike meets often; and long ones. */
const name = fc.oneof(
  fc.string({ minLength: 1, maxLength: 4, unit: fc.constantFrom('a', '/', ':', '*', '+', '#', '[', '@', '%', '\n') }),
  text(300),
);
const channel: fc.Arbitrary<Channel> = fc.oneof(
  fc
    .tuple(name, fc.option(name, { nil: undefined }))
    .map(([entity, id]) => channelOf({ entity, ...(id !== undefined && { id }) })),
  name.map(everyChannelOf),
  fc
    .tuple(fc.constantFrom('user' as const, 'session' as const), fc.base64String({ minLength: 1, maxLength: 43 }))
    .map(([kind, hash]) => audienceChannel(kind, hash)),
  fc.constant(EVERYBODY),
);
const namespace = fc.stringMatching(/^[\w-]{1,40}$/);

describe('the name at Ably', () => {
  test('keeps what a person can read', () => {
    expect(ablyName('prod', 'Order/42')).toBe('prod:Order/42');
    expect(ablyName('prod', 'Order')).toBe('prod:Order');
    expect(ablyName('prod', 'Order/*')).toBe('prod:Order/+');
    expect(ablyName('prod', '@all')).toBe('prod:@all');
    expect(ablyName('prod', 'Order/a%2Fb')).toBe('prod:Order/a%2Fb');
  });

  test('is within the rules for every channel', () => {
    fc.assert(
      fc.property(namespace, channel, (space, local) => {
        const at = ablyName(space, local);
        expect(at).toMatch(/^[\w-]{1,40}:[^:*\s[\]]+$/);
        expect(at.length).toBeLessThanOrEqual(LONGEST_NAME);
      }),
    );
  });

  test('belongs to one channel of one namespace', () => {
    fc.assert(
      fc.property(namespace, channel, namespace, channel, (space, local, otherSpace, otherLocal) => {
        const same = space === otherSpace && local === otherLocal;
        expect(ablyName(space, local) === ablyName(otherSpace, otherLocal)).toBe(same);
      }),
      { numRuns: 1_000 },
    );
  });

  test('tells apart two long ones that begin alike, and cannot be met by a short one', () => {
    const long = (end: string) => ablyName('prod', channelOf({ entity: 'Order', id: 'x'.repeat(280) + end }));
    expect(long('1')).not.toBe(long('2'));
    expect(long('1')).toMatch(/^prod:#[\w-]{43}$/);
    expect(ablyName('prod', channelOf({ entity: long('1').slice('prod:'.length) }))).not.toBe(long('1'));
  });

  test('refuses a namespace that could end early', () => {
    for (const wrong of ['', 'a:b', '[x]', 'a b', 'x'.repeat(41)])
      expect(() => ablyName(wrong, 'Order')).toThrow(TypeError);
  });
});
