/** The official pusher-js and laravel-echo, unchanged, on the emulated Pusher. */
import Echo from 'laravel-echo';
import type { PresenceChannel } from 'pusher-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PusherEmulator, startPusherEmulator } from '../../../adapters/emulators/pusher/start.js';
import {
  closePeers,
  connectBare,
  once,
  PusherClient,
  serverSdk,
  settled,
  soon,
  startAuthEndpoint,
  startClient,
} from './peers.js';

let emulator: PusherEmulator;
beforeEach(async () => {
  emulator = await startPusherEmulator();
});
afterEach(async () => {
  closePeers();
  await emulator.close();
});
const connected = (client: PusherClient): Promise<unknown> => once(client.connection, 'connected');
const subscribed = (channel: Parameters<typeof once>[0]) => once(channel, 'pusher:subscription_succeeded');

describe('pusher-js', () => {
  test('hears public, private and encrypted channels', async () => {
    const sdk = serverSdk(emulator);
    const client = startClient(emulator);
    for (const name of ['news', 'private-a', 'private-cache-a']) {
      const channel = client.subscribe(name);
      await subscribed(channel);
      const heard = once(channel, 'shipped');
      await sdk.trigger(name, 'shipped', { id: 42 });
      expect(await heard, name).toEqual({ id: 42 });
    }
  });

  test('learns who is present', async () => {
    const ben = startClient(emulator, {}, 'ben').subscribe('presence-a') as PresenceChannel;
    await subscribed(ben);
    expect(ben.members.me).toEqual({ id: 'ben', info: { name: 'BEN' } });
    const came = once(ben, 'pusher:member_added');
    const other = startClient(emulator, {}, 'eve');
    const eve = other.subscribe('presence-a') as PresenceChannel;
    await subscribed(eve);
    expect(eve.members.count).toBe(2);
    expect(await came).toEqual({ id: 'eve', info: { name: 'EVE' } });
    const went = once(ben, 'pusher:member_removed');
    other.disconnect();
    expect(await went).toEqual({ id: 'eve', info: { name: 'EVE' } });
    expect(ben.members.count).toBe(1);
  });

  test('misses on an empty cache channel, and gets the last event of one that is not', async () => {
    const client = startClient(emulator);
    await once(client.subscribe('cache-a'), 'pusher:cache_miss');
    await serverSdk(emulator).trigger('cache-b', 'shipped', { id: 42 });
    expect(await once(client.subscribe('cache-b'), 'shipped')).toEqual({ id: 42 });
  });

  test('triggers client events', async () => {
    const [ben, eve] = [startClient(emulator, {}, 'ben'), startClient(emulator, {}, 'eve')];
    const [from, to] = [ben.subscribe('presence-a'), eve.subscribe('presence-a')];
    await Promise.all([subscribed(from), subscribed(to)]);
    const heard = new Promise((done) => to.bind('client-typing', (data: unknown, meta: unknown) => done([data, meta])));
    from.trigger('client-typing', { text: 'h' });
    expect(await heard).toEqual([{ text: 'h' }, { user_id: 'ben' }]);
  });

  test('signs in, hears what is sent to its user, and stops when the user is terminated', async () => {
    const sdk = serverSdk(emulator);
    const client = startClient(emulator, {}, 'ben');
    client.signin();
    await client.user.signinDonePromise;
    await soon(() => emulator.counters.subscriptions).toBe(1);
    const heard = once(client.user, 'hello');
    await sdk.sendToUser('ben', 'hello', { from: 'server' });
    expect(await heard).toEqual({ from: 'server' });
    const ended = once(client.connection, 'disconnected');
    await sdk.terminateUserConnections('ben');
    await ended;
    expect(emulator.counters.connections).toBe(0);
  });

  test('is told of a signature that is wrong', async () => {
    const client = startClient(emulator, {
      channelAuthorization: {
        transport: 'ajax',
        endpoint: '',
        customHandler: (_params, done) => done(null, { auth: 'local-key:0000' }),
      },
    });
    expect(await once(client.subscribe('private-a'), 'pusher:subscription_error')).toMatchObject({ status: 401 });
  });

  test.each([4200, 4201, 4202])('comes back at once after %d, with everything that it held', async (code) => {
    const client = startClient(emulator);
    const [news, secret] = [client.subscribe('news'), client.subscribe('private-a')];
    await Promise.all([subscribed(news), subscribed(secret)]);
    const before = client.connection.socket_id;
    const again = Promise.all([subscribed(news), subscribed(secret)]);
    expect(emulator.closeAll(code)).toBe(1);
    await again;
    expect(client.connection.socket_id).not.toBe(before);
    const heard = once(secret, 'shipped');
    await serverSdk(emulator).trigger('private-a', 'shipped', {});
    await heard;
  });

  test('waits a second after 4100, and comes back', async () => {
    const client = startClient(emulator);
    await connected(client);
    const began = performance.now();
    const again = connected(client);
    emulator.closeAll(4100);
    await again;
    expect(performance.now() - began).toBeGreaterThan(900);
  });

  test.each([
    ['4001: the key is not there', () => {}, 'other'],
    ['4003: the app is disabled', () => emulator.faults.set({ connections: 4003 }), 'local-key'],
    ['4004: the quota is reached', () => emulator.faults.set({ quota: true }), 'local-key'],
  ])('stops at %s', async (what, prepare, key) => {
    prepare();
    const client = startClient(emulator, {}, 'ben', key);
    const error = once<{ error: { data: { code: number } } }>(client.connection, 'error');
    const ended = once(client.connection, 'disconnected');
    expect((await error).error.data.code).toBe(Number(what.slice(0, 4)));
    await ended;
  });

  test('asks its endpoint as documented: form-encoded', async () => {
    const endpoint = await startAuthEndpoint(emulator);
    const client = startClient(emulator, {
      channelAuthorization: { transport: 'ajax', endpoint: `${endpoint.url}/pusher/auth`, params: { tenant: '7' } },
      userAuthentication: { transport: 'ajax', endpoint: `${endpoint.url}/pusher/user-auth` },
    });
    await subscribed(client.subscribe('private-a'));
    client.signin();
    await client.user.signinDonePromise;
    expect(endpoint.asked.map((form) => Object.fromEntries(form))).toEqual([
      { socket_id: client.connection.socket_id, channel_name: 'private-a', tenant: '7' },
      { socket_id: client.connection.socket_id },
    ]);
  });

  test('finds a server that plays dead by its own ping, and comes back', async () => {
    const client = startClient(emulator, { activityTimeout: 50, pongTimeout: 50 });
    await connected(client);
    const again = connected(client);
    emulator.faults.set({ silent: true });
    await once(client.connection, 'connecting');
    emulator.faults.clear();
    await again;
  });
});

describe('laravel-echo', () => {
  test('hears private and presence channels, whispers, and leaves', async () => {
    const endpoint = await startAuthEndpoint(emulator);
    const open = () =>
      new Echo({
        broadcaster: 'pusher',
        key: emulator.env.PUSHER_KEY ?? '',
        cluster: 'local',
        wsHost: '127.0.0.1',
        wsPort: emulator.port,
        forceTLS: false,
        enabledTransports: ['ws'],
        authEndpoint: `${endpoint.url}/broadcasting/auth`,
        Pusher: PusherClient,
      } as never) as Echo<'pusher'>;
    const [one, two] = [open(), open()];
    const heard = new Promise((done) => one.private('orders.42').listen('.shipped', done));
    const here = new Promise((done) => one.join('room').here(done));
    expect(await here).toEqual([{ name: 'Echo' }]);
    await soon(() => emulator.counters.subscriptions).toBe(2);
    await serverSdk(emulator).trigger('private-orders.42', 'shipped', { id: 42 });
    expect(await heard).toEqual({ id: 42 });
    expect(endpoint.asked.map((form) => form.get('channel_name')).sort()).toEqual([
      'presence-room',
      'private-orders.42',
    ]);

    const whispered = new Promise((done) => one.private('orders.42').listenForWhisper('typing', done));
    const other = two.private('orders.42');
    await new Promise((done) => other.subscribed(done));
    other.whisper('typing', { text: 'h' });
    expect(await whispered).toEqual({ text: 'h' });

    one.leave('orders.42');
    await soon(() => emulator.counters.subscriptions).toBe(2);
    one.disconnect();
    two.disconnect();
  });
});

test('a client that the vendor never made sees the same as pusher-js', async () => {
  const bare = connectBare(emulator);
  await bare.socketId();
  bare.send('pusher:subscribe', { channel: 'news' });
  await bare.next('pusher_internal:subscription_succeeded');
  const news = startClient(emulator).subscribe('news');
  await subscribed(news);
  const heard = once(news, 'shipped');
  await serverSdk(emulator).trigger('news', 'shipped', { id: 42 });
  expect((await bare.next('shipped')).data).toEqual(await heard);
  await settled(bare);
});
