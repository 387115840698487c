/** The pure parts of the emulated Pusher: signatures by the published vectors, names, quotas, the cache, liveness. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  authenticate,
  isSignedBy,
  type PusherApp,
  requestSignature,
  sign,
} from '../../../adapters/emulators/pusher/app.js';
import { createEventCache } from '../../../adapters/emulators/pusher/cache.js';
import { MAX_CACHED } from '../../../adapters/emulators/pusher/limits.js';
import { createLiveness } from '../../../adapters/emulators/pusher/liveness.js';
import { isCache, isChannelName, isPresence, isPrivate, userOf } from '../../../adapters/emulators/pusher/names.js';
import { createMessageQuota } from '../../../adapters/emulators/pusher/quota.js';
import { signIn } from '../../../adapters/emulators/pusher/sign-in.js';
import { createTestWorld } from '../../kit/world.js';

const app: PusherApp = {
  id: '3',
  key: '278d425bdf160c739803',
  secret: '7ad3773142a6692b25b8',
  clientEvents: true,
  subscriptionCount: false,
};
const noNetwork = (): never => {
  throw new Error('no network here');
};
const world = () => createTestWorld(noNetwork);

describe('the published vectors', () => {
  test.each([
    [
      'a private channel',
      '1234.1234:private-foobar',
      '58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4',
    ],
    ['a user', '1234.1234::user::{"id":"12345"}', '4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba'],
    [
      'a presence channel',
      '1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
      '31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80',
    ],
  ])('%s', (_what, text, digest) => {
    expect(isSignedBy(app, `${app.key}:${digest}`, text)).toBe(true);
    expect(isSignedBy(app, `${app.key}:${digest.replace(/^./, 'f')}`, text)).toBe(false);
    expect(isSignedBy(app, `other:${digest}`, text)).toBe(false);
    expect(isSignedBy(app, digest, text)).toBe(false);
    expect(isSignedBy(app, undefined, text)).toBe(false);
  });

  const vector =
    'auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f';
  const digest = 'da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c';

  test('a request', () => {
    expect(requestSignature(app.secret, 'POST', '/apps/3/events', new URLSearchParams(vector))).toBe(digest);
  });

  test('the whole request, within 600 s either way', () => {
    const body = Buffer.from('{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}');
    const request = { method: 'POST', path: '/apps/3/events', query: `${vector}&auth_signature=${digest}`, body };
    const at = (seconds: number) => authenticate(app, request, seconds * 1000);
    expect(at(1353088179)).toBeUndefined();
    expect(at(1353088179 + 600)).toBeUndefined();
    expect(at(1353088179 - 600)).toBeUndefined();
    expect(at(1353088179 + 601)).toMatch(/auth_timestamp/);
    expect(at(1353088179 - 601)).toMatch(/auth_timestamp/);
  });
});

describe('a request is refused', () => {
  const now = 1_700_000_000_000;
  const body = Buffer.from('{}');
  /** A signed query; `change` is made before it is signed. */
  function query(change: Record<string, string | undefined> = {}): string {
    const fields = {
      auth_key: app.key,
      auth_timestamp: '1700000000',
      auth_version: '1.0',
      body_md5: createHash('md5').update(body).digest('hex'),
      ...change,
    };
    const pairs = new URLSearchParams(
      Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined),
    );
    pairs.set('auth_signature', requestSignature(app.secret, 'POST', '/apps/3/events', pairs));
    return String(pairs);
  }
  const judge = (text: string, given = {}) =>
    authenticate(app, { method: 'POST', path: '/apps/3/events', query: text, body, ...given }, now);

  test('for nothing, when it is right', () => expect(judge(query())).toBeUndefined());
  test.each([
    ['for its key', query({ auth_key: 'other' }), {}, /auth_key/],
    ['for its version', query({ auth_version: '2.0' }), {}, /auth_version/],
    ['for a timestamp that is none', query({ auth_timestamp: '0x6553f100' }), {}, /auth_timestamp/],
    ['for no timestamp', query({ auth_timestamp: undefined }), {}, /auth_timestamp/],
    ['for another body', query(), { body: Buffer.from('{"a":1}') }, /body_md5/],
    ['for no body_md5', query({ body_md5: undefined }), {}, /body_md5/],
    ['for another method', query(), { method: 'GET' }, /auth_signature/],
    ['for another path', query(), { path: '/apps/3/batch_events' }, /auth_signature/],
    ['for a parameter that was added', `${query()}&info=user_count`, {}, /auth_signature/],
    ['for no signature', query().replace(/auth_signature=\w+/, ''), {}, /auth_signature/],
  ])('%s', (_what, text, given, why) => expect(judge(text, given)).toMatch(why));

  test('for nothing, when its path was escaped on its way', () => {
    const path = '/apps/3/users/a b/terminate_connections';
    const pairs = new URLSearchParams(query());
    pairs.set('auth_signature', requestSignature(app.secret, 'POST', path, pairs));
    expect(judge(String(pairs), { path: path.replace(' ', '%20') })).toBeUndefined();
  });
});

test('channel names say their kind', () => {
  expect(isChannelName(`private-${'a'.repeat(156)}`)).toBe(true);
  expect(isChannelName(`private-${'a'.repeat(157)}`)).toBe(false);
  expect(isChannelName('aZ09_-=@,.;')).toBe(true);
  for (const name of ['', 'a b', 'a/b', 'a:b', 'é', '#a', 'a\n']) expect(isChannelName(name), name).toBe(false);
  expect(['private-a', 'private-encrypted-a', 'presence-a', 'a-private-'].map(isPrivate)).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(['presence-cache-a', 'private-a'].map(isPresence)).toEqual([true, false]);
  for (const name of ['cache-a', 'private-cache-a', 'presence-cache-a', 'private-encrypted-cache-a']) {
    expect(isCache(name), name).toBe(true);
  }
  expect(['private-a-cache-', 'acache-'].map(isCache)).toEqual([false, false]);
  expect(userOf('#server-to-user-ben')).toBe('ben');
  expect(userOf('#server-to-user-')).toBeUndefined();
});

test('the quota of a day ends at midnight UTC', async () => {
  const clock = world();
  const quota = createMessageQuota(3, clock);
  quota.count(2);
  expect(quota.reached).toBe(false);
  quota.count(1);
  expect(quota.reached).toBe(true);
  const day = 24 * 3_600_000;
  await clock.advance(day - (clock.now() % day) - 1);
  expect(quota.reached).toBe(true);
  await clock.advance(1);
  expect(quota.reached).toBe(false);
});

test('the cache keeps the last event for half an hour, and no more than it may', async () => {
  const clock = world();
  const cache = createEventCache(clock);
  cache.put('cache-a', 'first', '1');
  cache.put('cache-a', 'second', '2');
  await clock.advance(29 * 60_000);
  expect(cache.get('cache-a')).toEqual({ frame: 'second', data: '2', ttl: 60 });
  await clock.advance(60_000);
  expect(cache.get('cache-a')).toBeUndefined();
  for (let index = 0; index <= MAX_CACHED; index++) cache.put(`cache-${index}`, '', '');
  expect(cache.get('cache-0')).toBeUndefined();
  expect(cache.get('cache-1')).toBeDefined();
});

describe('liveness', () => {
  function watch(pings: boolean, silent = () => false) {
    const clock = world();
    const told: (string | number)[] = [];
    const liveness = createLiveness({
      world: clock,
      pings,
      activityTimeout: 120_000,
      pongTimeout: 30_000,
      silent,
      ping: () => void told.push('ping'),
      dead: (code) => void told.push(code),
    });
    return { clock, told, liveness };
  }

  test('pings after silence, and ends with 4201 without an answer', async () => {
    const { clock, told } = watch(true);
    await clock.advance(119_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual(['ping']);
    await clock.advance(29_999);
    expect(told).toEqual(['ping']);
    await clock.advance(1);
    expect(told).toEqual(['ping', 4201]);
    expect(clock.timers).toBe(0);
  });

  test('an answer, and everything else that comes, counts', async () => {
    const { clock, told, liveness } = watch(true);
    await clock.advance(60_000);
    liveness.heard();
    await clock.advance(119_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    // In the same millisecond as the ping.
    liveness.heard();
    await clock.advance(30_000);
    expect(told).toEqual(['ping']);
    liveness.stop();
    expect(clock.timers).toBe(0);
  });

  test('a client that knows no ping has a day', async () => {
    const { clock, told, liveness } = watch(false);
    await clock.advance(3_600_000);
    liveness.heard();
    await clock.advance(24 * 3_600_000 - 1);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([4202]);
  });

  test('a server that plays dead neither asks nor ends', async () => {
    const { clock, told, liveness } = watch(true, () => true);
    await clock.advance(3_600_000);
    expect(told).toEqual([]);
    liveness.stop();
  });
});

describe('sign-in', () => {
  const enter = (user: unknown, before?: Parameters<typeof signIn>[2]) => {
    const user_data = JSON.stringify(user);
    return signIn(app, '1.2', before, { user_data, auth: `${app.key}:${sign(app.secret, `1.2::user::${user_data}`)}` });
  };

  test('takes the first 100 of a watchlist, and says so', () => {
    const watchlist = Array.from({ length: 101 }, (_, index) => `user-${index}`);
    const made = enter({ id: 'ben', watchlist });
    if (typeof made === 'string') throw new Error(made);
    expect(made).toMatchObject({ id: 'ben', watchlist: watchlist.slice(0, 100) });
    expect(made.answers.map((frame) => JSON.parse(frame).event)).toEqual(['pusher:signin_success', 'pusher:error']);
    expect(made.answers[1]).toContain('4302');
  });

  test.each([[{}], [{ id: 7 }], [{ id: '' }], [{ id: 'a'.repeat(129) }], [null]])('refuses %j', (user) => {
    expect(enter(user)).toContain('"code":4009');
  });

  test('refuses another user on the same connection', () => {
    const ben = enter({ id: 'ben' }) as Exclude<ReturnType<typeof enter>, string>;
    expect(enter({ id: 'ben' }, ben)).toMatchObject({ id: 'ben' });
    expect(enter({ id: 'eve' }, ben)).toContain('"code":4009');
  });
});
