/** The pure parts of the emulated Ably: macs by the vectors, tokens, capabilities, channels in time, ids, pages. */
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type App, type Apps, createApps, type Key, parseKey } from '../../../adapters/emulators/ably/apps.js';
import { askedModes, grantedModes, readRewind } from '../../../adapters/emulators/ably/attachment.js';
import { type Caller, createAuthenticate, readCredentials } from '../../../adapters/emulators/ably/auth.js';
import {
  allows,
  capabilityText,
  covers,
  EVERYTHING,
  intersect,
  parseCapability,
} from '../../../adapters/emulators/ably/capability.js';
import { createChannel, RECOVERY_WINDOW } from '../../../adapters/emulators/ably/channel.js';
import { asAblyError, isPassing } from '../../../adapters/emulators/ably/errors.js';
import { createMembers } from '../../../adapters/emulators/ably/members.js';
import { page } from '../../../adapters/emulators/ably/paging.js';
import { takePresence } from '../../../adapters/emulators/ably/presence.js';
import { FLAG, PRESENCE } from '../../../adapters/emulators/ably/protocol.js';
import { prepare, publish, readChannelName } from '../../../adapters/emulators/ably/publishing.js';
import { createRate, PLANS } from '../../../adapters/emulators/ably/rates.js';
import { createRevocations, REAUTH_MARGIN } from '../../../adapters/emulators/ably/revocations.js';
import { createTokenDesk, readToken, signTokenRequest } from '../../../adapters/emulators/ably/tokens.js';
import { decodeFrame, encodeFrame, normalise, render, sizeOf } from '../../../adapters/emulators/ably/wire.js';
import { createTestWorld } from '../../kit/world.js';

const makeWorld = () => createTestWorld(() => Promise.reject(new Error('no network here')));
/** The code of the error that this throws. */
function codeOf(run: () => unknown): number {
  try {
    run();
  } catch (thrown) {
    return asAblyError(thrown).code;
  }
  return 0;
}

const KEY: Key = { name: 'app.key', secret: 'secret', capability: EVERYTHING, revocable: false };
const world = makeWorld();
const apps: Apps = createApps(world, PLANS.standard);
const app: App = apps.add('app', [KEY], ['kept'], PLANS.standard);
const caller = (more: Partial<Caller> = {}): Caller => ({
  app,
  key: KEY,
  capability: EVERYTHING,
  clientId: '*',
  token: undefined,
  ...more,
});

describe('token requests', () => {
  const AT = 1_700_000_000_000;
  const request = {
    keyName: 'app.key',
    capability: '{"*":["*"]}',
    timestamp: AT,
    nonce: '0123456789abcdef',
  };
  const signed = (more: object, secret = KEY.secret) => {
    const asked = { ...request, ...more };
    return { ...asked, mac: signTokenRequest(secret, asked) };
  };

  test.each([
    [{ ttl: 3_600_000, clientId: 'bob' }, 'I4Kf9Vc/+qZ8bonOVWOD8nOx+pTXH2E8I4hhQrAS+xk='],
    [{}, '4MJgH/IqI+JvzjmHDS0pwKfXbTU2cgfyqNhAmGYvxj8='],
  ])('the mac of %j', (more, mac) => {
    expect(signTokenRequest('secret', { ...request, ...more })).toBe(mac);
    const details = createTokenDesk(() => AT).request(KEY, { ...request, ...more, mac }, true);
    expect(details).toMatchObject({ keyName: 'app.key', issued: AT, expires: AT + 3_600_000 });
  });

  test.each([
    ['another secret', signed({}, 'other'), 40101],
    ['no mac', request, 40101],
    ['a field that was changed after signing', { ...signed({}), clientId: 'eve' }, 40101],
    ['two minutes early', signed({ timestamp: AT - 120_001 }), 40104],
    ['two minutes late', signed({ timestamp: AT + 120_001 }), 40104],
    ['a short nonce', signed({ nonce: '0123456789abcde' }), 40003],
    ['no life', signed({ ttl: 0 }), 40003],
    ['more than a day', signed({ ttl: 86_400_001 }), 40003],
    ['another key', signed({ keyName: 'app.other' }), 40102],
    ['an empty clientId', signed({ clientId: '' }), 40012],
    ['an unknown operation', signed({ capability: '{"a":["listen"]}' }), 40003],
  ])('%s is refused', (_what, asked, code) => {
    expect(codeOf(() => createTokenDesk(() => AT).request(KEY, asked, true))).toBe(code);
  });

  test('exactly two minutes are taken, a nonce only once', () => {
    const desk = createTokenDesk(() => AT);
    const asked = signed({ timestamp: AT - 120_000 });
    desk.request(KEY, asked, true);
    expect(codeOf(() => desk.request(KEY, asked, true))).toBe(40105);
  });

  test('a token can do no more than its key, and nothing at all is refused', () => {
    const key: Key = { ...KEY, capability: parseCapability({ 'order:*': ['subscribe', 'publish'], x: ['*'] }) };
    const desk = createTokenDesk(() => AT);
    const details = desk.request(key, signed({ capability: '{"order:1":["*"],"y":["subscribe"]}' }), true);
    expect(details.capability).toBe('{"order:1":["publish","subscribe"]}');
    const none = signed({ capability: '{"y":["subscribe"]}', nonce: 'another-nonce-16' });
    expect(codeOf(() => desk.request(key, none, true))).toBe(40160);
  });

  test('tokens of a revocable key live an hour at most', () => {
    const desk = createTokenDesk(() => AT);
    const asked = signed({ ttl: 3_600_001 });
    expect(codeOf(() => desk.request({ ...KEY, revocable: true }, asked, true))).toBe(40003);
    expect(desk.request(KEY, asked, true).expires).toBe(AT + 3_600_001);
  });
});

describe('tokens', () => {
  const details = createTokenDesk(world.now).request(
    KEY,
    { clientId: 'bob', capability: '{"a":["subscribe"]}' },
    false,
  );
  const jwt = (header: object, claims: object, secret = KEY.secret): string => {
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  const now = Math.floor(world.now() / 1_000);
  const HEADER = { alg: 'HS256', kid: 'app.key' };
  const LIFE = { iat: now, exp: now + 60 };

  test('say what was issued', () => {
    const { key, claims } = readToken(apps.get, details.token);
    expect(key).toBe(KEY);
    expect(claims).toMatchObject({ clientId: 'bob', capability: { a: ['subscribe'] }, expires: details.expires });
  });

  test.each([
    ['text', 'nonsense', 40145],
    ['a changed token', details.token.replace(/~./, (two) => (two === '~a' ? '~b' : '~a')), 40145],
    ['a JWT of another secret', jwt(HEADER, LIFE, 'other'), 40144],
    ['a JWT without a signature', `${jwt(HEADER, LIFE).split('.').slice(0, 2).join('.')}.`, 40144],
    ['a JWT of another algorithm', jwt({ ...HEADER, alg: 'none' }, LIFE), 40144],
    ['a JWT without an end', jwt(HEADER, { iat: now }), 40144],
    ['a JWT that lives two days', jwt(HEADER, { iat: now, exp: now + 172_800 }), 40144],
    ['a JWT of an unknown app', jwt({ ...HEADER, kid: 'who.key' }, LIFE), 40400],
    ['a JWT of an unknown key', jwt({ ...HEADER, kid: 'app.who' }, LIFE), 40101],
  ])('%s is refused', (_what, token, code) => {
    expect(codeOf(() => readToken(apps.get, token))).toBe(code);
  });

  test('a JWT says who and what', () => {
    const capability = '{"a":["subscribe"]}';
    const token = jwt(HEADER, { ...LIFE, 'x-ably-capability': capability, 'x-ably-clientId': 'bob' });
    expect(readToken(apps.get, token).claims).toMatchObject({ clientId: 'bob', capability: { a: ['subscribe'] } });
  });

  test('who asks: key, token, header, query; and what is wrong with them', () => {
    const authenticate = createAuthenticate(apps, createRevocations(world.now), world.now);
    const basic = `Basic ${Buffer.from('app.key:secret').toString('base64')}`;
    const bearer = `Bearer ${Buffer.from(details.token).toString('base64')}`;
    const none = new URLSearchParams();
    expect(authenticate(readCredentials(basic, none))).toMatchObject({ clientId: '*', token: undefined });
    expect(authenticate(readCredentials(bearer, none))).toMatchObject({ clientId: 'bob' });
    const query = new URLSearchParams({ access_token: details.token, clientId: 'bob' });
    expect(authenticate(readCredentials(undefined, query))).toMatchObject({ clientId: 'bob' });
    query.set('clientId', 'eve');
    expect(codeOf(() => authenticate(readCredentials(undefined, query)))).toBe(40102);
    expect(codeOf(() => authenticate(readCredentials(undefined, none)))).toBe(40101);
    expect(codeOf(() => authenticate({ key: 'app.key:wrong' }))).toBe(40101);
    expect(codeOf(() => authenticate({ key: 'who.key:secret' }))).toBe(40101);
    const late = createAuthenticate(apps, createRevocations(world.now), () => details.expires);
    expect(codeOf(() => late({ token: details.token }))).toBe(40142);
    expect(() => parseKey('app.key')).toThrow(TypeError);
  });
});

describe('revocations', () => {
  const key: Key = { ...KEY, revocable: true };
  const claims = {
    keyName: 'app.key',
    issued: world.now(),
    expires: world.now() + 1,
    capability: { a: ['*'] },
    clientId: 'bob',
    revocationKey: 'staff',
  };

  test.each(['clientId:bob', 'revocationKey:staff', 'channel:a'])('%s', (target) => {
    const revocations = createRevocations(world.now);
    expect(revocations.revoked(claims)).toBe(false);
    const { results } = revocations.take(key, { targets: [target, 'who:x', 'clientId:other'] });
    expect(results).toMatchObject([{ target }, { error: { statusCode: 400 } }, { target: 'clientId:other' }]);
    expect(revocations.revoked(claims)).toBe(true);
    expect(revocations.revoked({ ...claims, issued: world.now() + 1 })).toBe(false);
    expect(revocations.revoked({ ...claims, keyName: 'app.other' })).toBe(false);
  });

  test('a margin to come with another token; issuedBefore; what cannot be revoked', () => {
    let now = world.now();
    const revocations = createRevocations(() => now);
    const [made] = revocations.take(key, { targets: ['clientId:bob'], allowReauthMargin: true }).made;
    expect(made?.appliesAt).toBe(now + REAUTH_MARGIN);
    expect(revocations.revoked(claims)).toBe(false);
    now += REAUTH_MARGIN;
    expect(revocations.revoked(claims)).toBe(true);
    revocations.take(key, { targets: ['clientId:bob'], issuedBefore: claims.issued });
    expect(revocations.revoked(claims)).toBe(false);
    expect(codeOf(() => revocations.take(KEY, { targets: ['clientId:bob'] }))).toBe(40163);
    expect(codeOf(() => revocations.take(key, { targets: [] }))).toBe(40003);
    expect(codeOf(() => revocations.take(key, { targets: Array(101).fill('clientId:x') }))).toBe(40003);
    expect(codeOf(() => revocations.take(key, { targets: ['clientId:x'], issuedBefore: now + 1 }))).toBe(40003);
  });
});

describe('capabilities', () => {
  test.each([
    ['*', 'order:1', true],
    ['*', '[meta]log', false],
    ['[*]*', '[meta]log', true],
    ['[*]*', 'order', true],
    ['[meta]*', 'log', false],
    ['order:*', 'order:1', true],
    ['order:*', 'order:1:line:2', true],
    ['order:*', 'order', false],
    ['order:*', 'orders:1', false],
    ['ord*', 'order', false],
    ['*:1', 'order:1', true],
    ['*:1', 'order:2', false],
    ['order:*:line', 'order:1:line', true],
    ['order:*:line', 'order:1:2:line', false],
    ['order:1', 'order:*', false],
    ['order:*', 'order:*', true],
  ])('%s covers %s: %s', (pattern, resource, covered) => {
    expect(covers(pattern, resource)).toBe(covered);
  });

  test('what is allowed, and what two have in common', () => {
    const held = parseCapability('{"order:*":["subscribe"],"own":["*"]}');
    expect(allows(held, 'order:1', 'subscribe')).toBe(true);
    expect(allows(held, 'order:1', 'publish')).toBe(false);
    expect(allows(held, 'own', 'publish')).toBe(true);
    expect(intersect({ '*': ['*'] }, held)).toEqual(held);
    expect(intersect({ '*': ['publish'] }, held)).toEqual({ own: ['publish'] });
    expect(capabilityText({ b: ['subscribe', 'publish'], a: ['*'] })).toBe('{"a":["*"],"b":["publish","subscribe"]}');
  });

  test.each(['', '[]', '{"a":[]}', '{"a":"subscribe"}', '{"a":["*","publish"]}', '{"a":["shout"]}'])(
    '%s is none',
    (text) => {
      expect(codeOf(() => parseCapability(text))).toBe(40003);
    },
  );

  test('modes: what was asked for and is allowed', () => {
    expect(grantedModes({ a: ['subscribe'] }, 'a', askedModes(0, {}))).toBe(FLAG.SUBSCRIBE | FLAG.PRESENCE_SUBSCRIBE);
    expect(grantedModes({ a: ['*'] }, 'a', askedModes(FLAG.PUBLISH | FLAG.RESUMED, {}))).toBe(FLAG.PUBLISH);
    expect(grantedModes({ a: ['*'] }, 'a', askedModes(FLAG.PUBLISH, { modes: 'subscribe' }))).toBe(FLAG.SUBSCRIBE);
    expect(grantedModes({ a: ['*'] }, 'b', askedModes(0, {}))).toBe(0);
  });
});

describe('a channel in time', () => {
  const message = (id: string) => ({ id, connectionId: 'c', messages: [{ id: `${id}:0`, data: id }] });
  const make = (persisted = false) => {
    const clock = makeWorld();
    return { clock, channel: createChannel('a', { persisted, limits: PLANS.standard, world: clock }) };
  };
  const idsAfter = (channel: ReturnType<typeof createChannel>, serial: string) => {
    const { whole, entries } = channel.after(serial);
    return { whole, ids: entries.map(({ id }) => id) };
  };

  test('what came after a serial, within two minutes', async () => {
    const { clock, channel } = make();
    const start = channel.serial();
    const first = channel.add(message('one'));
    await clock.advance(1_000);
    channel.add(message('two'));
    expect(idsAfter(channel, start)).toEqual({ whole: true, ids: ['one', 'two'] });
    expect(idsAfter(channel, first.serial)).toEqual({ whole: true, ids: ['two'] });
    await clock.advance(RECOVERY_WINDOW - 1_000);
    expect(idsAfter(channel, start)).toEqual({ whole: false, ids: ['two'] });
    expect(idsAfter(channel, first.serial)).toEqual({ whole: true, ids: ['two'] });
  });

  test('nothing came: however long ago, nothing is missing', async () => {
    const { clock, channel } = make();
    const start = channel.serial();
    await clock.advance(10 * RECOVERY_WINDOW);
    expect(idsAfter(channel, start)).toEqual({ whole: true, ids: [] });
  });

  test('serials of another life of the channel say nothing, nor do those that never were', () => {
    const { channel } = make();
    const { serial } = channel.add(message('one'));
    expect(idsAfter(channel, serial.replace(/\d+$/, '7')).whole).toBe(false);
    channel.forget();
    expect(idsAfter(channel, serial)).toEqual({ whole: false, ids: [] });
    expect(channel.numberOf(serial)).toBeUndefined();
  });

  test('history of a persisted channel outlives the window, resuming does not', async () => {
    const { clock, channel } = make(true);
    const start = channel.serial();
    channel.add(message('one'));
    await clock.advance(RECOVERY_WINDOW);
    expect(channel.kept().map(({ id }) => id)).toEqual(['one']);
    expect(idsAfter(channel, start).whole).toBe(false);
    await clock.advance(24 * 3_600_000);
    expect(channel.kept()).toEqual([]);
  });

  test('an id is known for two minutes', async () => {
    const { clock, channel } = make();
    const entry = channel.add(message('one'));
    expect(channel.known('one')).toBe(entry);
    await clock.advance(RECOVERY_WINDOW);
    expect(channel.known('one')).toBeUndefined();
  });

  test('rewind by number and by time', async () => {
    const { clock, channel } = make();
    for (const id of ['one', 'two', 'three']) {
      channel.add(message(id));
      await clock.advance(10_000);
    }
    const ids = (text: string) => channel.rewind(readRewind(text)).entries.map(({ id }) => id);
    expect(ids('2')).toEqual(['two', 'three']);
    expect(ids('20s')).toEqual(['two', 'three']);
    expect(ids('1m')).toEqual(['one', 'two', 'three']);
    expect(codeOf(() => readRewind('soon'))).toBe(40003);
  });

  test('it is idle two minutes after the last one left', async () => {
    const { clock, channel } = make();
    const subscriber = { deliver() {}, lost() {}, suspended() {} };
    channel.join(subscriber);
    await clock.advance(RECOVERY_WINDOW);
    expect(channel.idle()).toBe(false);
    channel.leave(subscriber);
    expect(channel.idle()).toBe(false);
    await clock.advance(RECOVERY_WINDOW);
    expect(channel.idle()).toBe(true);
  });
});

describe('publishing', () => {
  const publisher = (more: Partial<Caller> = {}) => ({
    caller: caller(more),
    connectionId: 'conn',
    base: 'conn:3',
    connectionOf: (key: string) => (key === 'key' ? { id: 'other', clientId: 'ann' } : undefined),
  });
  const ids = (given: readonly unknown[]) => prepare(given, publisher()).messages.map(({ id }) => id);

  test('ids: made, taken, or refused', () => {
    expect(ids([{ data: 'a' }, { data: 'b' }])).toEqual(['conn:3:0', 'conn:3:1']);
    expect(ids([{ id: 'any' }])).toEqual(['any']);
    expect(ids([{ id: 'x:0' }, { id: 'x:1' }])).toEqual(['x:0', 'x:1']);
    for (const wrong of [['x:0', 'y:1'], ['x:1', 'x:2'], ['x', 'x'], ['x:0', undefined], [''], ['x:0', 'x:2']])
      expect(
        codeOf(() => ids(wrong.map((id) => ({ id })))),
        JSON.stringify(wrong),
      ).toBe(40031);
  });

  test('the same id again is the same entry, and is not counted', () => {
    let counted = 0;
    const channel = app.channel('idempotent');
    const send = () => publish(channel, [{ id: 'same', data: 'x' }], publisher(), () => counted++);
    expect(send()).toBe(send());
    expect(counted).toBe(1);
  });

  test('whose it is', () => {
    const sender = (said: string | undefined, clientId: string | undefined) =>
      prepare([{ clientId: said ?? null }], publisher({ clientId })).messages[0]?.clientId;
    expect(sender('bob', '*')).toBe('bob');
    expect(sender(undefined, '*')).toBeUndefined();
    expect(sender(undefined, 'bob')).toBe('bob');
    expect(codeOf(() => sender('eve', 'bob'))).toBe(40012);
    expect(codeOf(() => sender('eve', undefined))).toBe(40012);
    expect(codeOf(() => sender('*', '*'))).toBe(40012);
  });

  test('on behalf of a connection', () => {
    expect(prepare([{ connectionKey: 'key' }], publisher()).messages[0]).toMatchObject({
      connectionId: 'other',
      clientId: 'ann',
    });
    expect(codeOf(() => prepare([{ connectionKey: 'who' }], publisher()))).toBe(40006);
  });

  test('limits: size, rate, right', () => {
    const { messageSize, channelRate } = PLANS.standard;
    expect(codeOf(() => prepare([{ data: 'x'.repeat(messageSize) }], publisher()))).toBe(0);
    expect(codeOf(() => prepare([{ name: 'n', data: 'x'.repeat(messageSize) }], publisher()))).toBe(40009);
    expect(codeOf(() => prepare([{ data: 7 }], publisher()))).toBe(40013);
    expect(codeOf(() => prepare([{ extras: 'x' }], publisher()))).toBe(40032);
    expect(codeOf(() => prepare([{ action: 1, serial: 'x' }], publisher()))).toBe(40000);
    expect(codeOf(() => prepare([{ action: 0 }], publisher()))).toBe(0);
    const fast = app.channel('fast');
    const send = () => publish(fast, [{ data: 'x' }], { ...publisher(), base: String(Math.random()) }, () => {});
    for (let sent = 0; sent < channelRate; sent++) send();
    expect(codeOf(send)).toBe(42913);
    const right = publisher({ capability: { fast: ['subscribe'] } });
    expect(codeOf(() => publish(fast, [{}], right, () => {}))).toBe(40160);
  });

  test.each([
    ['order:1', 'order:1', {}],
    ['[?rewind=2]order:1', 'order:1', { rewind: '2' }],
    ['[meta]log', '[meta]log', {}],
    ['[meta?rewind=1m]log', '[meta]log', { rewind: '1m' }],
  ])('the name %s', (name, base, params) => {
    expect(readChannelName(name)).toEqual({ base, params });
  });
  test.each(['', ':a', '[a', '[meta]', 'a\nb', 'a*:b', 'x'.repeat(2_049), undefined])('%j is no name', (name) => {
    expect(codeOf(() => readChannelName(name))).toBe(40010);
  });
});

describe('presence', () => {
  const source = { connectionId: 'conn', base: 'conn:0', clientId: '*' };
  test('enter, update, leave', () => {
    const channel = app.channel('present');
    const act = (action: number, data?: string) =>
      takePresence(channel, [{ action, clientId: 'bob', ...(data && { data }) }], source);
    act(PRESENCE.ENTER, 'here');
    act(PRESENCE.ENTER, 'again');
    act(PRESENCE.LEAVE);
    act(PRESENCE.LEAVE);
    expect(channel.kept().map(({ presence }) => presence?.map(({ action, data }) => [action, data]))).toEqual([
      [[PRESENCE.ENTER, 'here']],
      [[PRESENCE.UPDATE, 'again']],
      [[PRESENCE.LEAVE, 'again']],
    ]);
    expect(codeOf(() => takePresence(channel, [{ action: PRESENCE.ENTER }], source))).toBe(40012);
    const named = { ...source, clientId: 'ann' };
    expect(codeOf(() => takePresence(channel, [{ action: PRESENCE.ENTER, clientId: 'bob' }], named))).toBe(40012);
  });

  test('no more members than the limit', () => {
    const members = createMembers(1);
    members.take({ action: PRESENCE.ENTER, clientId: 'a', connectionId: 'c' });
    members.take({ action: PRESENCE.UPDATE, clientId: 'a', connectionId: 'c' });
    expect(codeOf(() => members.take({ action: PRESENCE.ENTER, clientId: 'b', connectionId: 'c' }))).toBe(91003);
  });
});

describe('the wire', () => {
  const bytes = new Uint8Array([1, 2, 255]);

  test('binary data is kept as bytes and written for each format', () => {
    const kept = normalise({ data: Buffer.from(bytes).toString('base64'), encoding: 'cipher/base64' });
    expect(kept).toEqual({ data: bytes, encoding: 'cipher' });
    expect(render('msgpack', kept)).toBe(kept);
    expect(render('json', kept)).toEqual({ data: 'AQL/', encoding: 'cipher/base64' });
    expect(normalise({ data: { a: 1 } })).toEqual({ data: '{"a":1}', encoding: 'json' });
    expect(normalise({ data: 'text' })).toEqual({ data: 'text' });
  });

  test.each(['json', 'msgpack'] as const)('frames in %s; null is as if it were not there', (format) => {
    const frame = { action: 15, msgSerial: 2 ** 40, messages: [{ data: bytes }], error: undefined };
    const written = encodeFrame(format, frame as never);
    const read = decodeFrame(format, Buffer.from(written));
    const data = format === 'json' ? { data: 'AQL/', encoding: 'base64' } : { data: bytes };
    expect(read).toEqual({ action: 15, msgSerial: 2 ** 40, messages: [data] });
    expect(codeOf(() => decodeFrame(format, Buffer.from([0xc1])))).toBe(40000);
    expect(decodeFrame('json', Buffer.from('{"action":10,"channelSerial":null}'))).toEqual({ action: 10 });
    expect(codeOf(() => decodeFrame('json', Buffer.from('[]')))).toBe(80013);
  });

  test('sizes', () => {
    expect(sizeOf({ name: 'é', data: bytes, clientId: 'b', extras: { a: 1 } })).toBe(2 + 3 + 1 + 7);
  });

  test('which errors let a client come back', () => {
    const passing = (code: number, statusCode: number) => isPassing({ code, statusCode, message: '' });
    expect([passing(40142, 401), passing(50003, 500), passing(80003, 400)]).toEqual([true, true, true]);
    expect([passing(40101, 401), passing(40111, 403), passing(80021, 429)]).toEqual([false, false, false]);
  });
});

test('a rate lets so many through in a second', async () => {
  const clock = makeWorld();
  const rate = createRate(3, clock);
  expect([rate.take(2), rate.take(2), rate.take()]).toEqual([true, false, true]);
  expect(rate.rest()).toBe(1_000);
  await clock.advance(999);
  expect(rate.take()).toBe(false);
  await clock.advance(1);
  expect(rate.take(3)).toBe(true);
});

test('pages go on where the last one ended, in either direction', () => {
  const list = [1, 2, 3, 4, 5].map((place) => ({ place, at: place * 10, item: place }));
  for (const [direction, expected] of [
    ['forwards', [1, 2, 3, 4, 5]],
    ['backwards', [5, 4, 3, 2, 1]],
  ] as const) {
    const seen: unknown[] = [];
    for (let query: URLSearchParams | undefined = new URLSearchParams({ direction, limit: '2' }); query; ) {
      const { body, links }: ReturnType<typeof page> = page(query, list);
      seen.push(...(body as unknown[]));
      query = links?.next;
    }
    expect(seen).toEqual(expected);
  }
  expect(page(new URLSearchParams({ start: '20', end: '30' }), list).body).toEqual([3, 2]);
  for (const wrong of ['limit=0', 'limit=1001', 'direction=up', 'start=2&end=1'])
    expect(codeOf(() => page(new URLSearchParams(wrong), list))).toBe(40003);
});
