/** The fault switches of the emulated Pusher, from code and over the control route. */
import { connect } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { NO_FAULTS } from '../../../adapters/emulators/emulator.js';
import { type PusherEmulator, startPusherEmulator } from '../../../adapters/emulators/pusher/start.js';
import { createTestWorld } from '../../kit/world.js';
import {
  type Bare,
  connectBare,
  once,
  serverSdk,
  settled,
  soon,
  startClient,
  startingEmulators,
  subscribe,
} from './peers.js';

let emulator: PusherEmulator;
const start = startingEmulators();
beforeEach(async () => {
  emulator = await start();
});
const withTime = () => createTestWorld(() => Promise.reject(new Error('no network here')));
const events = (bare: Bare): string[] =>
  bare.frames.map(({ event }) => event).filter((event) => !event.startsWith('pusher'));
const trigger = (channel: string, event: string) => serverSdk(emulator).trigger(channel, event, {});

describe('connections', () => {
  test.each([4003, 4100, 4200])('are closed with %d', async (code) => {
    const before = connectBare(emulator);
    await before.socketId();
    emulator.faults.set({ connections: code });
    expect(await connectBare(emulator).closed).toBe(code);
    await settled(before);
    emulator.faults.clear();
    await connectBare(emulator).socketId();
  });

  test('are reset', async () => {
    emulator.faults.set({ connections: 'reset' });
    expect(await connectBare(emulator).closed).toBe(1006);
    expect(emulator.counters.connected).toBe(0);
  });

  test('are never answered', async () => {
    emulator.faults.set({ connections: 'silent' });
    const waiting = connect(emulator.port, '127.0.0.1');
    waiting.on('data', (data) => expect(String(data)).toBe('nothing'));
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Host: x'].join('\r\n');
    const head = `GET /app/local-key?protocol=7 HTTP/1.1\r\n${upgrade}\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
    await new Promise<void>((done) => waiting.write(head, () => done()));
    // Later ones, one of them served.
    await fetch(`${emulator.url}/__faults`);
    emulator.faults.clear();
    await connectBare(emulator).socketId();
    expect(waiting.readyState).toBe('open');
    expect(emulator.counters.connected).toBe(1);
    waiting.destroy();
  });

  test('are closed together, and hold nothing from that moment on', async () => {
    const [one, two] = [connectBare(emulator), connectBare(emulator)];
    await subscribe(one, emulator, 'news');
    await subscribe(two, emulator, 'news');
    expect(emulator.closeAll(4200)).toBe(2);
    expect(emulator.counters).toMatchObject({ connections: 0, subscriptions: 0 });
    // What it says before it has read that it was closed is not heard.
    one.send('pusher:subscribe', { channel: 'more' });
    expect([await one.closed, await two.closed]).toEqual([4200, 4200]);
    expect(emulator.counters).toMatchObject({ connections: 0, subscriptions: 0 });
    expect(emulator.closeAll(4200)).toBe(0);
  });
});

describe('requests', () => {
  test('are refused with a status and Retry-After', async () => {
    emulator.faults.set({ requests: { status: 503, retryAfter: 7 } });
    const { status, headers } = await fetch(`${emulator.url}/apps/1/channels`);
    expect([status, headers.get('retry-after')]).toEqual([503, '7']);
    await expect(trigger('news', 'shipped')).rejects.toMatchObject({ status: 503 });
    emulator.faults.set({ requests: { status: 500 } });
    expect((await fetch(`${emulator.url}/apps/1/channels`)).headers.get('retry-after')).toBeNull();
    expect(emulator.counters).toMatchObject({ published: 0, requests: 3 });
  });

  test('are reset', async () => {
    emulator.faults.set({ requests: 'reset' });
    await expect(trigger('news', 'shipped')).rejects.toThrow('Request failed with an error');
  });

  test('are never answered, until the other side gives up', async () => {
    emulator.faults.set({ requests: 'silent' });
    const patient = serverSdk(emulator, { timeout: 20 });
    await expect(patient.trigger('news', 'shipped', {})).rejects.toThrow('Request failed with an error');
    expect(emulator.counters.published).toBe(0);
  });
});

test('a delay holds frames and answers back, in order', async () => {
  const world = withTime();
  const timed = await start({ world });
  const bare = connectBare(timed);
  await subscribe(bare, timed, 'private-a');
  const other = connectBare(timed);
  await subscribe(other, timed, 'private-a');
  timed.faults.set({ delay: 5000 });
  other.send('client-first', {}, 'private-a');
  await soon(() => timed.counters.published).toBe(1);
  await world.advance(3000);
  timed.faults.set({ delay: 0 });
  other.send('client-second', {}, 'private-a');
  await soon(() => timed.counters.published).toBe(2);
  await world.advance(1999);
  expect(events(bare)).toEqual([]);
  await world.advance(1);
  await bare.next('client-second');
  expect(events(bare)).toEqual(['client-first', 'client-second']);

  timed.faults.set({ delay: 5000 });
  let answered = 0;
  const timers = world.timers;
  const answer = fetch(`${timed.url}/apps/1/channels`).then(({ status }) => {
    answered = status;
  });
  await soon(() => world.timers).toBe(timers + 1);
  await world.advance(4999);
  expect(answered).toBe(0);
  await world.advance(1);
  await answer;
  expect(answered).toBe(401);
});

test('the next messages are lost, on the channels that match', async () => {
  const bare = connectBare(emulator);
  await subscribe(bare, emulator, 'orders');
  await subscribe(bare, emulator, 'news');
  emulator.faults.set({ drop: 2, dropOn: 'order' });
  for (const [channel, event] of [
    ['news', 'one'],
    ['orders', 'two'],
    ['orders', 'three'],
    ['orders', 'four'],
  ] as const) {
    await trigger(channel, event);
  }
  await bare.next('four');
  expect(events(bare)).toEqual(['one', 'four']);
  expect(emulator.faults.now.drop).toBe(0);
  expect(emulator.counters).toMatchObject({ published: 4, delivered: 2, dropped: 2 });
});

test('half-open: connections stand, say nothing and hear nothing; what was sent meanwhile is lost', async () => {
  const bare = connectBare(emulator);
  await subscribe(bare, emulator, 'news');
  emulator.faults.set({ silent: true });
  let pongs = 0;
  bare.socket.on('pong', () => pongs++);
  bare.socket.ping();
  bare.send('pusher:ping', {});
  await trigger('news', 'lost');
  const late = connectBare(emulator);
  await new Promise((done) => late.socket.once('open', done));
  expect(emulator.counters).toMatchObject({ connections: 2, delivered: 0 });
  emulator.faults.set({ silent: false });
  await trigger('news', 'heard');
  await bare.next('heard');
  expect(events(bare)).toEqual(['heard']);
  await settled(late);
  expect(late.frames.map(({ event }) => event)).toEqual(['pusher:pong']);
});

test('the quota: publishing is 403, new connections are closed with 4004, client events are errors', async () => {
  const bare = connectBare(emulator);
  await subscribe(bare, emulator, 'private-a');
  emulator.faults.set({ quota: true });
  await expect(trigger('news', 'shipped')).rejects.toMatchObject({ status: 403 });
  expect((await serverSdk(emulator).get({ path: '/channels' })).status).toBe(200);
  expect(await connectBare(emulator).closed).toBe(4004);
  bare.send('client-a', {}, 'private-a');
  expect((await bare.next('pusher:error')).data).toMatchObject({ code: 4004 });
});

test('stop and start: killed, then back on the same port with nothing remembered', async () => {
  const client = startClient(emulator);
  const news = client.subscribe('news');
  await once(news, 'pusher:subscription_succeeded');
  await trigger('cache-a', 'shipped');
  const { port } = emulator;
  const cut = once<{ data: { code: number } }>(client.connection, 'error');
  await emulator.stop();
  expect((await cut).data.code).toBe(1006);
  await expect(trigger('news', 'shipped')).rejects.toThrow('Request failed with an error');
  expect(emulator.counters).toMatchObject({ connections: 0, subscriptions: 0 });
  // Before pusher-js tries for the first time, one second after the cut: it takes 15 s for a second one.
  const again = once(news, 'pusher:subscription_succeeded');
  await emulator.start();
  expect(emulator.port).toBe(port);
  await again;
  await once(client.subscribe('cache-a'), 'pusher:cache_miss');
});

test('terminateUser ends who is signed in', async () => {
  const bare = connectBare(emulator);
  bare.send('pusher:signin', serverSdk(emulator).authenticateUser(await bare.socketId(), { id: 'ben' }));
  await bare.next('pusher:signin_success');
  expect(emulator.terminateUser('eve')).toBe(0);
  expect(emulator.terminateUser('ben')).toBe(1);
  expect(await bare.closed).toBe(4009);
});

describe('the control route', () => {
  const control = async (body?: unknown, method = 'POST') => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(`${emulator.url}/__faults`, { method, ...(text !== undefined && { body: text }) });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, never> };
  };

  test('tells, sets and clears, from any origin, whatever the faults are', async () => {
    await connectBare(emulator).socketId();
    const set = await control({ requests: 'silent', delay: 60_000, connections: 4100 });
    expect(set.body).toMatchObject({
      faults: { ...NO_FAULTS, requests: 'silent', delay: 60_000, connections: 4100 },
      counters: { connections: 1, requests: 0 },
    });
    expect(emulator.faults.now).toEqual(set.body.faults);
    expect((await control(undefined, 'GET')).body.faults).toEqual(set.body.faults);
    expect((await control(undefined, 'DELETE')).body.faults).toEqual(NO_FAULTS);
    expect(set.headers.get('access-control-allow-origin')).toBe('*');
    const asked = await fetch(`${emulator.url}/__faults`, { method: 'OPTIONS' });
    expect([asked.status, asked.headers.get('access-control-allow-methods')]).toEqual([204, 'GET, POST, DELETE']);
    expect((await control(undefined, 'PUT')).status).toBe(405);
  });

  test('closes, terminates, and stops for a while', async () => {
    const [one, two] = [connectBare(emulator), connectBare(emulator)];
    await one.socketId();
    two.send('pusher:signin', serverSdk(emulator).authenticateUser(await two.socketId(), { id: 'ben' }));
    await two.next('pusher:signin_success');
    await control({ terminate: 'ben' });
    expect(await two.closed).toBe(4009);
    await control({ close: 4200 });
    expect(await one.closed).toBe(4200);

    const world = withTime();
    emulator = await start({ world });
    const cut = connectBare(emulator);
    await cut.socketId();
    expect((await control({ stopFor: 60_000 })).status).toBe(200);
    expect(await cut.closed).toBe(1006);
    await soon(() => world.timers).toBe(1);
    await expect(fetch(emulator.url)).rejects.toThrow();
    await world.advance(60_000);
    const status = (): Promise<number> =>
      fetch(emulator.url)
        .then((answer) => answer.status)
        .catch(() => 0);
    await soon(status).toBe(404);
    await connectBare(emulator).socketId();
  });

  test.each([
    ['{', /JSON/],
    ['[]', /JSON object/],
    ['{"dely":500}', /no fault "dely".*delay/],
    ['{"delay":"long"}', /"delay" is a whole number/],
    ['{"drop":-1}', /"drop"/],
    ['{"connections":42}', /3000 to 4999/],
    ['{"requests":{"status":200}}', /status/],
    ['{"requests":{"status":503,"retry":1}}', /status/],
    ['{"silent":1}', /true or false/],
    ['{"dropOn":null}', /text/],
    ['{"close":"all"}', /"close" is a whole number/],
    ['{"terminate":""}', /"terminate" is a text/],
    ['{"delay":500,"close":1}', /"close"/],
  ])('%s is answered by 400, and says why', async (body, why) => {
    const answer = await control(body);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toMatch(why);
  });

  test('nothing is done when a setting beside it is wrong', async () => {
    const bare = connectBare(emulator);
    await bare.socketId();
    await control({ close: 4200, delay: -1 });
    await settled(bare);
  });
});

test('wrong options are refused', async () => {
  await expect(startPusherEmulator({ key: 'a/b' })).rejects.toThrow(/key is letters/);
  await expect(startPusherEmulator({ secret: '' })).rejects.toThrow(/secret/);
  await expect(startPusherEmulator({ faults: { delay: -1 } })).rejects.toThrow(/delay/);
  await expect(startPusherEmulator({ port: emulator.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});
