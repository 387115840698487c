/** The HTTP API of the emulated Pusher, by the official server library and by requests that it would not make. */
import { createHash } from 'node:crypto';
import PusherServer from 'pusher';
import { beforeEach, describe, expect, test } from 'vitest';
import { requestSignature } from '../../../adapters/emulators/pusher/app.js';
import type { PusherEmulator } from '../../../adapters/emulators/pusher/start.js';
import { createTestWorld } from '../../kit/world.js';
import { connectBare, serverSdk, settled, startingEmulators, subscribe } from './peers.js';

let emulator: PusherEmulator;
let sdk: PusherServer;
const start = startingEmulators();
beforeEach(async () => {
  emulator = await start({ subscriptionCount: true });
  sdk = serverSdk(emulator);
});

/** A signed request of any body. */
function request(path: string, body: unknown, method = 'POST'): Promise<Response> {
  const { PUSHER_APP_ID, PUSHER_KEY = '', PUSHER_SECRET = '' } = emulator.env;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const whole = `/apps/${PUSHER_APP_ID}${path}`;
  const query = new URLSearchParams({
    auth_key: PUSHER_KEY,
    auth_timestamp: String(Math.floor(Date.now() / 1000)),
    auth_version: '1.0',
    ...(text && { body_md5: createHash('md5').update(text).digest('hex') }),
  });
  query.set('auth_signature', requestSignature(PUSHER_SECRET, method, whole, query));
  return fetch(`${emulator.url}${whole}?${query}`, { method, ...(text && { body: text }) });
}
const statusOf = (sent: Promise<unknown>): Promise<number> =>
  sent.then(
    (answer) => (answer as { status: number }).status,
    (error) => (error as PusherServer.RequestError).status ?? 0,
  );

describe('the official server library', () => {
  test('triggers on several channels, and leaves out one connection', async () => {
    const [one, two] = [connectBare(emulator), connectBare(emulator)];
    for (const bare of [one, two]) for (const channel of ['a', 'b']) await subscribe(bare, emulator, channel);
    const answer = await sdk.trigger(['a', 'b'], 'shipped', { id: 42 }, { socket_id: await one.socketId() });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({});
    expect([await two.next('shipped'), await two.next('shipped')].map(({ channel }) => channel)).toEqual(['a', 'b']);
    await settled(one);
    expect(one.frames.map(({ event }) => event)).not.toContain('shipped');
    expect(emulator.counters).toMatchObject({ published: 2, delivered: 2, requests: 1 });
  });

  test('triggers a batch, in order', async () => {
    const bare = connectBare(emulator);
    await subscribe(bare, emulator, 'a');
    const batch = Array.from({ length: 10 }, (_, index) => ({ channel: 'a', name: `event-${index}`, data: { index } }));
    const answer = await sdk.triggerBatch(batch);
    expect(await answer.json()).toEqual({});
    await bare.next('event-9');
    const heard = bare.frames.map(({ event }) => event).filter((event) => event.startsWith('event-'));
    expect(heard).toEqual(batch.map(({ name }) => name));
  });

  test('is told what it asks about channels with a publish', async () => {
    await subscribe(connectBare(emulator), emulator, 'presence-a', { user_id: 'ben' });
    await subscribe(connectBare(emulator), emulator, 'news');
    const info = 'user_count,subscription_count';
    const one = await sdk.trigger(['presence-a', 'news'], 'shipped', {}, { info });
    const channels = { 'presence-a': { user_count: 1, subscription_count: 1 }, news: { subscription_count: 1 } };
    expect(await one.json()).toEqual({ channels });
    const batch = await sdk.triggerBatch([
      { channel: 'presence-a', name: 'shipped', data: {}, info },
      { channel: 'nobody', name: 'shipped', data: {} },
    ]);
    expect(await batch.json()).toEqual({ batch: [channels['presence-a'], {}] });
  });

  test('asks for channels', async () => {
    const bare = connectBare(emulator);
    await subscribe(bare, emulator, 'presence-a', { user_id: 'ben' });
    await subscribe(bare, emulator, 'presence-b', { user_id: 'ben' });
    await subscribe(bare, emulator, 'cache-a');
    await sdk.trigger('cache-a', 'shipped', { id: 42 });
    const get = async (path: string, params = {}): Promise<unknown> => (await sdk.get({ path, params })).json();
    expect(await get('/channels')).toEqual({ channels: { 'presence-a': {}, 'presence-b': {}, 'cache-a': {} } });
    expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-a': { user_count: 1 }, 'presence-b': { user_count: 1 } },
    });
    expect(await get('/channels/presence-a', { info: 'user_count,subscription_count' })).toEqual({
      occupied: true,
      user_count: 1,
      subscription_count: 1,
    });
    expect(await get('/channels/cache-a', { info: 'cache' })).toEqual({
      occupied: true,
      cache: { data: '{"id":42}', ttl: expect.any(Number) },
    });
    expect(await get('/channels/nobody')).toEqual({ occupied: false });
    expect(await get('/channels/presence-a/users')).toEqual({ users: [{ id: 'ben' }] });
  });

  test.each([
    ['/channels/news/users', {}],
    ['/channels', { info: 'user_count' }],
    ['/channels/news', { info: 'user_count' }],
    ['/channels', { info: 'members' }],
    ['/channels/a%20b', {}],
  ])('%s %j is answered by 400', async (path, params) => {
    expect(await statusOf(sdk.get({ path, params }))).toBe(400);
  });

  test('subscription_count is 400 where the app has not enabled it', async () => {
    const plain = serverSdk(await start());
    expect(await statusOf(plain.get({ path: '/channels', params: { info: 'subscription_count' } }))).toBe(400);
  });

  test('terminates the connections of a signed-in user with 4009, and no others', async () => {
    const [one, two, eve] = [connectBare(emulator), connectBare(emulator), connectBare(emulator)];
    for (const [bare, id] of [
      [one, 'ben b'],
      [two, 'ben b'],
      [eve, 'eve'],
    ] as const) {
      bare.send('pusher:signin', sdk.authenticateUser(await bare.socketId(), { id }));
      await bare.next('pusher:signin_success');
    }
    expect(await (await sdk.terminateUserConnections('ben b')).json()).toEqual({});
    expect([await one.closed, await two.closed]).toEqual([4009, 4009]);
    await settled(eve);
    expect(await statusOf(sdk.terminateUserConnections('nobody'))).toBe(200);
  });

  test('reaches it by a URL, and encrypts what the emulator cannot read', async () => {
    const { PUSHER_KEY, PUSHER_SECRET } = emulator.env;
    const byUrl = PusherServer.forURL(`http://${PUSHER_KEY}:${PUSHER_SECRET}@127.0.0.1:${emulator.port}/apps/1`);
    expect(await statusOf(byUrl.trigger('a', 'shipped', {}))).toBe(200);
    const bare = connectBare(emulator);
    await subscribe(bare, emulator, 'private-encrypted-a');
    await sdk.trigger('private-encrypted-a', 'shipped', { secret: 'apple' });
    expect(Object.keys((await bare.next('shipped')).data as object).sort()).toEqual(['ciphertext', 'nonce']);
  });
});

describe('refusals', () => {
  test('401 for a wrong key, secret or time; 404 for another app', async () => {
    expect(await statusOf(serverSdk(emulator, { key: 'other' }).trigger('a', 'b', {}))).toBe(401);
    expect(await statusOf(serverSdk(emulator, { secret: 'other' }).trigger('a', 'b', {}))).toBe(401);
    expect(await statusOf(serverSdk(emulator, { appId: '2' }).trigger('a', 'b', {}))).toBe(404);
    const late = await start({ world: createTestWorld(() => Promise.reject(new Error('no network here'))) });
    expect(await statusOf(serverSdk(late).trigger('a', 'b', {}))).toBe(401);
    expect(emulator.counters.published).toBe(0);
  });

  test('413 for more than 10 kB of data, counted in bytes; nothing of its batch is published', async () => {
    expect(await statusOf(sdk.trigger('a', 'b', 'é'.repeat(5120)))).toBe(200);
    expect(await statusOf(sdk.trigger('a', 'b', 'é'.repeat(5121)))).toBe(413);
    const big = { channel: 'a', name: 'b', data: 'a'.repeat(10_241) };
    expect(await statusOf(sdk.triggerBatch([{ channel: 'a', name: 'b', data: '' }, big]))).toBe(413);
    expect(await statusOf(request('/events', 'a'.repeat(2 * 1024 * 1024)))).toBe(413);
    expect(emulator.counters.published).toBe(1);
  });

  const event = { name: 'shipped', data: '{}', channels: ['a'] };
  test.each<[string, string, unknown]>([
    ['a batch of 11', '/batch_events', { batch: Array(11).fill({ name: 'b', channel: 'a', data: '' }) }],
    ['an empty batch', '/batch_events', { batch: [] }],
    ['a batch that is none', '/batch_events', { batch: 'all' }],
    ['a batch with a wrong event', '/batch_events', { batch: [{ name: 'b', channel: 'a b', data: '' }] }],
    ['101 channels', '/events', { ...event, channels: Array.from({ length: 101 }, (_, index) => `a-${index}`) }],
    ['no channel', '/events', { ...event, channels: [] }],
    ['a wrong name', '/events', { ...event, channels: ['a', 'b/c'] }],
    ['a name that is too long', '/events', { ...event, channels: ['a'.repeat(165)] }],
    ['an event name that is too long', '/events', { ...event, name: 'a'.repeat(201) }],
    ['no event name', '/events', { ...event, name: undefined }],
    ['data that is no text', '/events', { ...event, data: { id: 42 } }],
    ['a socket id that is none', '/events', { ...event, socket_id: 'mine' }],
    ['an attribute that is none', '/events', { ...event, info: 'members' }],
    ['no JSON', '/events', '{'],
    ['no object', '/events', '[]'],
  ])('400 for %s', async (_what, path, body) => {
    const answer = await request(path, body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(emulator.counters.published).toBe(0);
  });

  test('one channel by the old field, and 100 channels, are taken', async () => {
    expect((await request('/events', { name: 'b', data: '', channel: 'a' })).status).toBe(200);
    const channels = Array.from({ length: 100 }, (_, index) => `a-${index}`);
    expect((await request('/events', { ...event, channels })).status).toBe(200);
  });

  test('404 for what is not there, 405 for another method', async () => {
    expect((await request('/nothing', event)).status).toBe(404);
    expect((await fetch(`${emulator.url}/`)).status).toBe(404);
    expect((await request('/channels', '', 'POST')).status).toBe(405);
    expect((await request('/events', '', 'GET')).status).toBe(405);
  });

  test('403 over the messages of a day: each publish and each delivery is one', async () => {
    const small = await start({ quotas: { messagesPerDay: 4 } });
    const bare = connectBare(small);
    await subscribe(bare, small, 'a');
    const send = () => statusOf(serverSdk(small).trigger('a', 'shipped', {}));
    expect([await send(), await send(), await send()]).toEqual([200, 200, 403]);
    await settled(bare);
    expect(bare.frames.filter(({ event }) => event === 'shipped')).toHaveLength(2);
  });
});
