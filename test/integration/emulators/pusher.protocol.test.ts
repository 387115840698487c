/** The emulated Pusher seen through a bare WebSocket: every frame and every close code, as the protocol states them. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { PusherEmulator } from '../../../adapters/emulators/pusher/start.js';
import { createTestWorld } from '../../kit/world.js';
import { connectBare, serverSdk, settled, soon, startingEmulators, subscribe } from './peers.js';

let emulator: PusherEmulator;
const start = startingEmulators();
beforeEach(async () => {
  emulator = await start();
});
const withTime = () => createTestWorld(() => Promise.reject(new Error('no network here')));
const errorOf = async (bare: ReturnType<typeof connectBare>) => (await bare.next('pusher:error')).data;

describe('connecting', () => {
  test('says the socket id and the activity timeout, JSON in JSON', async () => {
    const bare = connectBare(emulator);
    expect(await bare.socketId()).toMatch(/^\d+\.\d+$/);
    expect(typeof bare.frames[0]?.data).toBe('string');
    expect(JSON.parse(bare.frames[0]?.data as string)).toEqual({
      socket_id: await bare.socketId(),
      activity_timeout: 120,
    });
    expect(emulator.counters).toMatchObject({ connections: 1, connected: 1 });
  });

  test.each([
    ['/app/local-key', 4008],
    ['/app/local-key?protocol=', 4006],
    ['/app/local-key?protocol=seven', 4006],
    ['/app/local-key?protocol=3', 4007],
    ['/app/local-key?protocol=8', 4007],
    ['/app/other-key?protocol=7', 4001],
    ['/apps?protocol=7', 4005],
    ['/app/local-key/more?protocol=7', 4005],
  ])('%s is closed with %d', async (path, code) => {
    const bare = connectBare(emulator, path);
    expect(await bare.closed).toBe(code);
    expect(emulator.counters.connections).toBe(0);
  });

  test('from protocol 6 on the code alone says why; before, an error does too', async () => {
    const now = connectBare(emulator, '/app/other?protocol=6');
    await now.closed;
    expect(now.frames).toEqual([]);
    const before = connectBare(emulator, '/app/other?protocol=5');
    expect(await errorOf(before)).toEqual({ code: 4001, message: 'Application does not exist' });
    expect(await before.closed).toBe(4001);
  });

  test('the activity timeout is told from protocol 7 on', async () => {
    const bare = connectBare(emulator, '/app/local-key?protocol=6');
    await bare.socketId();
    expect(bare.frames[0]?.data).not.toContain('activity_timeout');
  });

  test('more connections than the quota are closed with 4004; one that left makes room', async () => {
    const small = await start({ quotas: { connections: 1 } });
    const first = connectBare(small);
    await first.socketId();
    expect(await connectBare(small).closed).toBe(4004);
    first.socket.close();
    await first.closed;
    await soon(() => small.counters.connections).toBe(0);
    expect(await connectBare(small).socketId()).toBeTruthy();
  });

  test('with all of 10,000 places taken it says 4100', async () => {
    // The bound itself is judged without 10,000 sockets.
    const { judge } = await import('../../../adapters/emulators/pusher/handshake.js');
    const { createFaults } = await import('../../../adapters/emulators/faults.js');
    const house = {
      app: { id: '1', key: 'key', secret: 's', clientEvents: true, subscriptionCount: false },
      faults: createFaults({}, { codes: { min: 3000, max: 4999 } }),
    } as Parameters<typeof judge>[0];
    expect(judge(house, '/app/key?protocol=7', 9_999, Number.POSITIVE_INFINITY)).toEqual({
      protocol: 7,
      refused: undefined,
    });
    expect(judge(house, '/app/key?protocol=7', 10_000, Number.POSITIVE_INFINITY).refused).toBe(4100);
  });
});

describe('liveness on the wire', () => {
  test('a ping is answered, as an event and as a WebSocket ping', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:ping', {});
    expect(await bare.next('pusher:pong')).toEqual({ event: 'pusher:pong', data: {} });
    const pong = new Promise((done) => bare.socket.once('pong', (data) => done(String(data))));
    bare.socket.ping('here?');
    expect(await pong).toBe('here?');
  });

  test('a client that answers no ping is closed with 4201', async () => {
    const world = withTime();
    const timed = await start({ world });
    const bare = connectBare(timed);
    await bare.socketId();
    await world.advance(120_000);
    await bare.next('pusher:ping');
    await world.advance(30_000);
    expect(await bare.closed).toBe(4201);
  });

  test('one that answers stays', async () => {
    const world = withTime();
    const timed = await start({ world });
    const bare = connectBare(timed);
    await bare.socketId();
    await world.advance(120_000);
    await bare.next('pusher:ping');
    bare.send('pusher:pong', {});
    await settled(bare);
    await world.advance(30_000);
    await settled(bare);
    expect(timed.counters.connections).toBe(1);
  });

  test('a client of protocol 4 is closed with 4202 after a day of silence', async () => {
    const world = withTime();
    const timed = await start({ world });
    const bare = connectBare(timed, '/app/local-key?protocol=4');
    await bare.socketId();
    await world.advance(24 * 3_600_000);
    expect(await errorOf(bare)).toMatchObject({ code: 4202 });
    expect(await bare.closed).toBe(4202);
    expect(bare.frames.map(({ event }) => event)).not.toContain('pusher:ping');
  });
});

describe('subscribing', () => {
  test('a public channel needs no signature, and its events come JSON in JSON', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:subscribe', { channel: 'news' });
    expect(await bare.next('pusher_internal:subscription_succeeded')).toMatchObject({ channel: 'news', data: {} });
    await serverSdk(emulator).trigger('news', 'shipped', { id: 42 });
    await bare.next('shipped');
    expect(bare.frames.at(-1)).toEqual({ event: 'shipped', channel: 'news', data: '{"id":42}' });
  });

  test('data that is text as a whole, JSON in JSON, is understood too', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:subscribe', JSON.stringify({ channel: 'news' }));
    await bare.next('pusher_internal:subscription_succeeded');
  });

  test.each([
    ['private-a', undefined],
    ['private-a', 'local-key:0000'],
    ['private-encrypted-a', 'local-key:0000'],
    ['private-cache-a', 'local-key:0000'],
    ['presence-a', 'local-key:0000'],
  ])('%s with the signature %s is refused with 401', async (channel, auth) => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:subscribe', { channel, auth });
    expect(await bare.next('pusher:subscription_error')).toMatchObject({
      channel,
      data: { type: 'AuthError', status: 401 },
    });
    await serverSdk(emulator).trigger(channel, 'shipped', {});
    await settled(bare);
    expect(bare.frames.map(({ event }) => event)).not.toContain('shipped');
    expect(emulator.counters.subscriptions).toBe(0);
  });

  test('a signature made for another connection or channel is refused', async () => {
    const [bare, other] = [connectBare(emulator), connectBare(emulator)];
    const { auth } = serverSdk(emulator).authorizeChannel(await other.socketId(), 'private-a');
    await bare.socketId();
    bare.send('pusher:subscribe', { channel: 'private-a', auth });
    await bare.next('pusher:subscription_error');
    other.send('pusher:subscribe', { channel: 'private-b', auth });
    await other.next('pusher:subscription_error');
    other.send('pusher:subscribe', { channel: 'private-a', auth });
    await other.next('pusher_internal:subscription_succeeded');
  });

  test.each([['a b'], ['a/b'], ['a'.repeat(165)], [''], ['#other'], [7]])('%j is no channel', async (channel) => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:subscribe', { channel });
    expect(await errorOf(bare)).toMatchObject({ code: null });
  });

  test('twice is an error, and so is leaving what is not held; after leaving nothing comes', async () => {
    const bare = connectBare(emulator);
    await subscribe(bare, emulator, 'news');
    bare.send('pusher:subscribe', { channel: 'news' });
    expect(await errorOf(bare)).toMatchObject({ message: 'Existing subscription to channel news' });
    bare.send('pusher:unsubscribe', { channel: 'news' });
    bare.send('pusher:unsubscribe', { channel: 'news' });
    expect(await errorOf(bare)).toMatchObject({ message: 'No current subscription to channel news' });
    await serverSdk(emulator).trigger('news', 'shipped', {});
    await settled(bare);
    expect(bare.frames.map(({ event }) => event)).not.toContain('shipped');
  });

  test('subscribers are told how many they are where the app says so, except on presence channels', async () => {
    const counting = await start({ subscriptionCount: true });
    const [one, two] = [connectBare(counting), connectBare(counting)];
    await subscribe(one, counting, 'news');
    expect((await one.next('pusher_internal:subscription_count')).data).toEqual({ subscription_count: 1 });
    await subscribe(two, counting, 'news');
    expect((await one.next('pusher_internal:subscription_count')).data).toEqual({ subscription_count: 2 });
    expect((await two.next('pusher_internal:subscription_count')).data).toEqual({ subscription_count: 2 });
    await subscribe(two, counting, 'presence-a', { user_id: 'two' });
    two.socket.close();
    expect((await one.next('pusher_internal:subscription_count')).data).toEqual({ subscription_count: 1 });
    expect(two.frames.filter(({ channel }) => channel === 'presence-a')).toHaveLength(1);
  });

  test('frames that are none, and events that are unknown, are errors, not ends', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    for (const text of [
      '{',
      '[]',
      'null',
      '{"event":7}',
      '{"event":"pusher:nothing"}',
      '{"event":"mine","channel":"a"}',
    ]) {
      bare.sendRaw(text);
      expect(await errorOf(bare), text).toMatchObject({ code: null });
    }
    bare.sendRaw(Buffer.from('{"event":"pusher:ping"}'));
    expect(await errorOf(bare)).toMatchObject({ message: 'Binary frames are not supported' });
    await settled(bare);
  });
});

describe('presence', () => {
  test('says who is there, who comes and who goes; a user with two connections is one', async () => {
    const [ben, eve, again] = [connectBare(emulator), connectBare(emulator), connectBare(emulator)];
    const first = await subscribe(ben, emulator, 'presence-a', { user_id: 'ben', user_info: { name: 'Ben' } });
    expect(first.data).toEqual({ presence: { ids: ['ben'], hash: { ben: { name: 'Ben' } }, count: 1 } });
    const second = await subscribe(eve, emulator, 'presence-a', { user_id: 7 });
    expect(second.data).toEqual({ presence: { ids: ['ben', '7'], hash: { ben: { name: 'Ben' }, 7: null }, count: 2 } });
    expect((await ben.next('pusher_internal:member_added')).data).toEqual({ user_id: '7' });
    await subscribe(again, emulator, 'presence-a', { user_id: 7 });
    eve.socket.close();
    await eve.closed;
    again.send('pusher:unsubscribe', { channel: 'presence-a' });
    expect((await ben.next('pusher_internal:member_removed')).data).toEqual({ user_id: '7' });
    const events = ben.frames.map(({ event }) => event).filter((event) => event.startsWith('pusher_internal:member'));
    expect(events).toEqual(['pusher_internal:member_added', 'pusher_internal:member_removed']);
    expect(emulator.counters.subscriptions).toBe(1);
  });

  test('has its limits', async () => {
    const bare = connectBare(emulator);
    const { PUSHER_KEY, PUSHER_SECRET = '' } = emulator.env;
    const { sign } = await import('../../../adapters/emulators/pusher/app.js');
    const id = await bare.socketId();
    const ask = async (channel: string, channel_data: string) => {
      bare.send('pusher:subscribe', {
        channel,
        channel_data,
        auth: `${PUSHER_KEY}:${sign(PUSHER_SECRET, `${id}:${channel}:${channel_data}`)}`,
      });
      return (await bare.next('pusher:subscription_error')).data;
    };
    expect(await ask('presence-a', 'no json')).toMatchObject({ status: 401 });
    expect(await ask('presence-a', '{}')).toMatchObject({ status: 401 });
    expect(await ask('presence-a', '{"user_id":""}')).toMatchObject({ type: 'LimitReached' });
    expect(await ask('presence-a', JSON.stringify({ user_id: 'a'.repeat(129) }))).toMatchObject({
      type: 'LimitReached',
    });
    const big = { user_id: 'a', user_info: 'a'.repeat(1023) };
    expect(await ask('presence-a', JSON.stringify(big))).toMatchObject({ type: 'LimitReached' });
  });

  test('a channel takes 100 members', async () => {
    const last = connectBare(emulator);
    const all = Array.from({ length: 100 }, () => connectBare(emulator));
    for (const [index, bare] of all.entries()) {
      await subscribe(bare, emulator, 'presence-a', { user_id: `user-${index}` });
    }
    const data = serverSdk(emulator).authorizeChannel(await last.socketId(), 'presence-a', { user_id: 'user-100' });
    last.send('pusher:subscribe', { channel: 'presence-a', ...data });
    expect((await last.next('pusher:subscription_error')).data).toMatchObject({ type: 'LimitReached' });
    // A further connection of one who is there is no further member.
    await subscribe(last, emulator, 'presence-a', { user_id: 'user-7' });
  });
});

describe('cache channels', () => {
  test('a first subscriber misses, a later one gets the last event of a server, and no client event', async () => {
    const [one, two] = [connectBare(emulator), connectBare(emulator)];
    await subscribe(one, emulator, 'private-cache-a');
    expect(await one.next('pusher:cache_miss')).toMatchObject({ channel: 'private-cache-a' });
    const sdk = serverSdk(emulator);
    await sdk.trigger('private-cache-a', 'first', {});
    await sdk.trigger('private-cache-a', 'second', { id: 2 });
    one.send('client-third', {}, 'private-cache-a');
    await settled(one);
    await subscribe(two, emulator, 'private-cache-a');
    expect((await two.next('second')).data).toEqual({ id: 2 });
    await settled(two);
    expect(two.frames.map(({ event }) => event)).not.toContain('client-third');
    expect(two.frames.map(({ event }) => event)).not.toContain('pusher:cache_miss');
  });
});

describe('client events', () => {
  test('reach the others, with the user on a presence channel; never the sender', async () => {
    const [ben, eve] = [connectBare(emulator), connectBare(emulator)];
    await subscribe(ben, emulator, 'presence-a', { user_id: 'ben' });
    await subscribe(eve, emulator, 'presence-a', { user_id: 'eve' });
    await subscribe(ben, emulator, 'private-a');
    await subscribe(eve, emulator, 'private-a');
    ben.send('client-typing', { text: 'h' }, 'presence-a');
    expect(await eve.next('client-typing')).toEqual({
      event: 'client-typing',
      channel: 'presence-a',
      data: { text: 'h' },
      user_id: 'ben',
    });
    ben.send('client-typing', 'plain text', 'private-a');
    expect(await eve.next('client-typing')).toEqual({
      event: 'client-typing',
      channel: 'private-a',
      data: 'plain text',
    });
    await settled(ben);
    expect(ben.frames.map(({ event }) => event)).not.toContain('client-typing');
  });

  test('are refused on public channels, without a subscription, too large, too long, or where the app has none', async () => {
    const bare = connectBare(emulator);
    await subscribe(bare, emulator, 'news');
    await subscribe(bare, emulator, 'private-a');
    const refused = async (event: string, data: unknown, channel: string) => {
      bare.send(event, data, channel);
      return ((await errorOf(bare)) as { message: string }).message;
    };
    expect(await refused('client-a', {}, 'news')).toMatch(/private and presence/);
    expect(await refused('client-a', {}, 'private-b')).toMatch(/without a subscription/);
    expect(await refused(`client-${'a'.repeat(194)}`, {}, 'private-a')).toMatch(/longer than 200/);
    expect(await refused('client-a', 'a'.repeat(10_241), 'private-a')).toMatch(/larger than 10240/);
    const without = await start({ clientEvents: false });
    const other = connectBare(without);
    await subscribe(other, without, 'private-a');
    other.send('client-a', {}, 'private-a');
    expect(await errorOf(other)).toMatchObject({ message: 'Client events are not enabled in this app' });
  });

  test('ten in a second are taken, the eleventh is an error 4301; the next second begins anew', async () => {
    const world = withTime();
    const timed = await start({ world });
    const [one, two] = [connectBare(timed), connectBare(timed)];
    await subscribe(one, timed, 'private-a');
    await subscribe(two, timed, 'private-a');
    for (let index = 0; index < 11; index++) one.send('client-a', { index }, 'private-a');
    expect(await errorOf(one)).toMatchObject({ code: 4301 });
    await settled(one);
    await world.advance(1000);
    one.send('client-a', { index: 'last' }, 'private-a');
    await settled(one);
    await settled(two);
    const heard = two.frames
      .filter(({ event }) => event === 'client-a')
      .map(({ data }) => JSON.parse(data as string).index);
    expect(heard).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'last']);
  });
});

describe('users', () => {
  const signIn = async (
    bare: ReturnType<typeof connectBare>,
    user: { id: string; watchlist?: string[]; user_info?: object },
  ) => {
    bare.send('pusher:signin', serverSdk(emulator).authenticateUser(await bare.socketId(), user));
    return bare.next('pusher:signin_success');
  };

  test('who is signed in hears what is sent to the user; nobody else may', async () => {
    const [ben, eve] = [connectBare(emulator), connectBare(emulator)];
    expect((await signIn(ben, { id: 'ben' })).data).toEqual({ user_data: '{"id":"ben"}' });
    await signIn(eve, { id: 'eve' });
    ben.send('pusher:subscribe', { channel: '#server-to-user-ben' });
    await ben.next('pusher_internal:subscription_succeeded');
    eve.send('pusher:subscribe', { channel: '#server-to-user-ben' });
    expect((await eve.next('pusher:subscription_error')).data).toMatchObject({ status: 401 });
    await serverSdk(emulator).sendToUser('ben', 'hello', { from: 'server' });
    expect(await ben.next('hello')).toEqual({
      event: 'hello',
      channel: '#server-to-user-ben',
      data: { from: 'server' },
    });
  });

  test('a wrong signature is an error 4009, and signs nobody in', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.send('pusher:signin', { user_data: '{"id":"ben"}', auth: 'local-key:0000' });
    expect(await errorOf(bare)).toMatchObject({ code: 4009 });
    bare.send('pusher:subscribe', { channel: '#server-to-user-ben' });
    await bare.next('pusher:subscription_error');
  });

  test('who is signed in needs no channel_data on a presence channel', async () => {
    const bare = connectBare(emulator);
    await signIn(bare, { id: 'ben', user_info: { name: 'Ben' } });
    const joined = await subscribe(bare, emulator, 'presence-a');
    expect(joined.data).toEqual({ presence: { ids: ['ben'], hash: { ben: { name: 'Ben' } }, count: 1 } });
  });

  test('a watchlist tells who is there, who comes and who goes', async () => {
    const [ben, eve, again] = [connectBare(emulator), connectBare(emulator), connectBare(emulator)];
    await signIn(eve, { id: 'eve' });
    await signIn(ben, { id: 'ben', watchlist: ['eve', 'kim'] });
    const told = async () => ((await ben.next('pusher_internal:watchlist_events')).data as { events: object[] }).events;
    expect(await told()).toEqual([
      { name: 'online', user_ids: ['eve'] },
      { name: 'offline', user_ids: ['kim'] },
    ]);
    await signIn(again, { id: 'eve' });
    again.socket.close();
    eve.socket.close();
    expect(await told()).toEqual([{ name: 'offline', user_ids: ['eve'] }]);
    await signIn(connectBare(emulator), { id: 'kim' });
    expect(await told()).toEqual([{ name: 'online', user_ids: ['kim'] }]);
  });
});

describe('a peer cannot make it grow', () => {
  test('a frame that is too large ends the connection, not the server', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    bare.sendRaw(JSON.stringify({ event: 'client-a', channel: 'private-a', data: 'a'.repeat(100 * 1024) }));
    expect(await bare.closed).toBe(1009);
    const other = connectBare(emulator);
    await other.socketId();
    await settled(other);
  });

  test('a client that does not read is cut', async () => {
    const [lazy, reader] = [connectBare(emulator), connectBare(emulator)];
    const channels = Array.from({ length: 100 }, (_, index) => `a-${index}`);
    for (const channel of channels) await subscribe(lazy, emulator, channel);
    await subscribe(reader, emulator, 'a-0');
    lazy.socket.pause();
    const data = 'a'.repeat(10_000);
    // 1 MB each: what the kernel takes, and 16 MB more.
    for (let sent = 0; sent < 100 && emulator.counters.connections === 2; sent++) {
      await serverSdk(emulator).trigger(channels, 'shipped', data);
    }
    expect(emulator.counters).toMatchObject({ connections: 1, subscriptions: 1 });
    await settled(reader);
  });
});
