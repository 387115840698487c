/** The emulated Ably seen through a bare WebSocket: every frame, as Ably's protocol and our notes on it state them. */
import { afterEach, describe, expect, test } from 'vitest';
import { FLAG, PRESENCE } from '../../../adapters/emulators/ably/protocol.js';
import {
  type AblyEmulator,
  type AblyEmulatorOptions,
  startAblyEmulator,
} from '../../../adapters/emulators/ably/start.js';
import { createTestWorld } from '../../kit/world.js';
import { attach, type Bare, closePeers, connectBare, publish, rest, tokenFor } from './ably-peers.js';

const started: AblyEmulator[] = [];
async function start(options?: AblyEmulatorOptions): Promise<AblyEmulator> {
  const made = await startAblyEmulator(options);
  started.push(made);
  return made;
}
afterEach(async () => {
  closePeers();
  await Promise.all(started.splice(0).map((one) => one.close()));
});
const withTime = () => createTestWorld(() => Promise.reject(new Error('no network here')));
const keyOf = (bare: Bare): string => bare.frames[0]?.connectionDetails?.connectionKey ?? '';
const dataOf = (frames: readonly { readonly messages?: readonly { readonly data?: unknown }[] }[]) =>
  frames.flatMap(({ messages = [] }) => messages.map(({ data }) => data));

describe('connecting', () => {
  test.each(['json', 'msgpack'])('CONNECTED is the very first frame (%s)', async (format) => {
    const emulator = await start();
    const bare = connectBare(emulator, { format, clientId: 'bob' });
    await bare.next('CONNECTED');
    expect(bare.frames[0]).toMatchObject({
      action: 4,
      connectionId: expect.stringMatching(/^\w{10}$/),
      connectionDetails: {
        clientId: 'bob',
        connectionKey: expect.stringMatching(/^\w{10}!/),
        maxMessageSize: 65_536,
        maxFrameSize: 524_288,
        maxInboundRate: 50,
        connectionStateTtl: 120_000,
        maxIdleInterval: 15_000,
      },
    });
    bare.send('HEARTBEAT', { id: 'ping' });
    expect(await bare.next('HEARTBEAT')).toEqual({ action: 0, id: 'ping' });
    expect(emulator.counters).toMatchObject({ connections: 1, connected: 1 });
  });

  test.each([
    ['a wrong secret', { key: 'local0.emulat:wrong' }, 40101],
    ['an unknown key', { key: 'local0.who:emulator-secret' }, 40101],
    ['nonsense for a token', { access_token: 'nonsense' }, 40145],
    ['an empty clientId', { clientId: '' }, 40012],
  ])('%s: ERROR, and the end', async (_what, query, code) => {
    const bare = connectBare(await start(), query);
    expect((await bare.next('ERROR')).error?.code).toBe(code);
    await bare.closed;
    expect(bare.frames).toHaveLength(1);
  });

  test('another path is not there', async () => {
    const emulator = await start();
    expect((await fetch(`${emulator.url}/comet/connect`)).status).toBe(404);
  });

  test('CLOSE: CLOSED, and it cannot be resumed', async () => {
    const emulator = await start();
    const bare = connectBare(emulator);
    await bare.next('CONNECTED');
    bare.send('CLOSE');
    await bare.next('CLOSED');
    await bare.closed;
    const back = connectBare(emulator, { resume: keyOf(bare) });
    expect((await back.next('CONNECTED')).error?.code).toBe(80005);
  });

  test('an idle connection hears something every 15 s', async () => {
    const world = withTime();
    const emulator = await start({ world });
    const browser = connectBare(emulator, { heartbeats: 'true' });
    const other = connectBare(emulator);
    const pinged = new Promise((done) => other.socket.once('ping', done));
    await Promise.all([browser.next('CONNECTED'), other.next('CONNECTED')]);
    await world.advance(15_000);
    expect(await browser.next('HEARTBEAT')).toEqual({ action: 0 });
    await pinged;
  });

  test('the most connections, and how fast they may come', async () => {
    const world = withTime();
    const emulator = await start({ world, limits: { connections: 2, connectionRate: 3 } });
    const first = connectBare(emulator);
    await first.next('CONNECTED');
    await connectBare(emulator).next('CONNECTED');
    expect((await connectBare(emulator).next('ERROR')).error).toMatchObject({ code: 40111, statusCode: 403 });
    expect((await connectBare(emulator).next('ERROR')).error).toMatchObject({ code: 80021, statusCode: 429 });
    first.send('CLOSE');
    await first.closed;
    await world.advance(1_000);
    await connectBare(emulator).next('CONNECTED');
  });

  test('what is no frame ends the connection; an action that is not known does not', async () => {
    const bare = connectBare(await start());
    await bare.next('CONNECTED');
    bare.sendRaw('{"action":99}');
    await bare.settled();
    bare.sendRaw('{"action":21,"channel":"a","msgSerial":0}');
    expect((await bare.next('NACK')).error?.code).toBe(40000);
    bare.sendRaw('nonsense');
    expect((await bare.next('ERROR')).error?.code).toBe(40000);
    await bare.closed;
  });
});

describe('channels', () => {
  test('ATTACH, MESSAGE, DETACH', async () => {
    const emulator = await start();
    const bare = connectBare(emulator);
    const attached = await attach(bare, 'order:1', { channelSerial: null as never });
    expect((attached.flags ?? 0) & FLAG.RESUMED).toBe(0);
    expect((attached.flags ?? 0) & (FLAG.SUBSCRIBE | FLAG.PUBLISH)).toBe(FLAG.SUBSCRIBE | FLAG.PUBLISH);
    expect(emulator.counters.subscriptions).toBe(1);
    await publish(emulator, 'order:1', { name: 'shipped', data: { a: 1 } });
    expect(await bare.next('MESSAGE')).toMatchObject({
      channel: 'order:1',
      channelSerial: expect.any(String),
      messages: [{ name: 'shipped', data: '{"a":1}', encoding: 'json', action: 0, serial: expect.any(String) }],
    });
    bare.send('DETACH', { channel: 'order:1' });
    expect(await bare.next('DETACHED')).toEqual({ action: 13, channel: 'order:1' });
    await publish(emulator, 'order:1', { data: 'unheard' });
    await bare.settled();
    expect(bare.all('MESSAGE')).toHaveLength(1);
  });

  test('ACK names what it acknowledges; a frame that comes twice is taken once', async () => {
    const emulator = await start();
    const bare = connectBare(emulator);
    await attach(bare, 'a');
    const send = (msgSerial: number) =>
      bare.send('MESSAGE', { channel: 'a', msgSerial, messages: [{ data: `${msgSerial}` }] });
    send(0);
    expect(await bare.next('ACK')).toMatchObject({ msgSerial: 0, count: 1, res: [{ serials: [expect.any(String)] }] });
    send(0);
    send(1);
    expect(await bare.next('ACK')).toMatchObject({ msgSerial: 1 });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['0', '1']);
    expect((await bare.next('MESSAGE')).messages?.[0]?.id).toBe(`${bare.frames[0]?.connectionId}:0:0`);
  });

  test('sent again on another socket, it is acknowledged as the first time and not taken again', async () => {
    const emulator = await start();
    const bare = connectBare(emulator, { clientId: 'bob' });
    const hearer = connectBare(emulator);
    await attach(hearer, 'a');
    await bare.next('CONNECTED');
    const message = { channel: 'a', msgSerial: 0, messages: [{ data: 'once' }] };
    const entering = { channel: 'a', msgSerial: 1, presence: [{ action: PRESENCE.ENTER }] };
    bare.send('MESSAGE', message);
    bare.send('PRESENCE', entering);
    const first = [await bare.next('ACK'), await bare.next('ACK')];
    const back = connectBare(emulator, { clientId: 'bob', resume: keyOf(bare) });
    await back.next('CONNECTED');
    await bare.closed;
    back.send('MESSAGE', message);
    back.send('PRESENCE', entering);
    expect([await back.next('ACK'), await back.next('ACK')]).toEqual(first);
    await hearer.settled();
    expect(dataOf(hearer.all('MESSAGE'))).toEqual(['once']);
    expect(hearer.all('PRESENCE')).toHaveLength(1);
  });

  test('without echo one does not hear oneself', async () => {
    const emulator = await start();
    const bare = connectBare(emulator, { echo: 'false' });
    await attach(bare, 'a');
    bare.send('MESSAGE', { channel: 'a', msgSerial: 0, messages: [{ data: 'own' }] });
    await publish(emulator, 'a', { data: 'theirs' });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['theirs']);
  });

  test('names, capability and modes are enforced', async () => {
    const emulator = await start();
    const { token } = await tokenFor(emulator, { capability: { 'order:*': ['subscribe'] } });
    const bare = connectBare(emulator, { access_token: token });
    await bare.next('CONNECTED');
    for (const [channel, code] of [
      [':a', 40010],
      ['', 40010],
      ['other', 40160],
    ] as const) {
      bare.send('ATTACH', { channel });
      expect(await bare.next('ERROR')).toMatchObject({ channel, error: { code } });
    }
    const { flags = 0 } = await attach(bare, 'order:1');
    expect(flags & (FLAG.PUBLISH | FLAG.SUBSCRIBE)).toBe(FLAG.SUBSCRIBE);
    bare.send('MESSAGE', { channel: 'order:1', msgSerial: 0, messages: [{}] });
    expect((await bare.next('NACK')).error?.code).toBe(40160);
    const full = connectBare(emulator);
    await attach(full, 'a', { flags: FLAG.SUBSCRIBE });
    full.send('MESSAGE', { channel: 'a', msgSerial: 0, messages: [{}] });
    expect((await full.next('NACK')).error?.code).toBe(40165);
  });

  test('200 channels, and no more', async () => {
    const bare = connectBare(await start());
    await bare.next('CONNECTED');
    for (let index = 0; index <= 200; index++) bare.send('ATTACH', { channel: `c${index}` });
    expect(await bare.next('ERROR')).toMatchObject({ channel: 'c200', error: { code: 90010, statusCode: 400 } });
    await bare.settled();
    expect(bare.all('ATTACHED')).toHaveLength(200);
    bare.send('DETACH', { channel: 'c0' });
    await bare.next('DETACHED');
    bare.send('ATTACH', { channel: 'c200' });
    await bare.settled();
    expect(bare.all('ATTACHED')).toHaveLength(201);
  });

  test('rewind, by a parameter and by a qualifier, after ATTACHED', async () => {
    const emulator = await start();
    for (const data of ['1', '2', '3']) await publish(emulator, 'a', { data });
    const bare = connectBare(emulator);
    const attached = await attach(bare, 'a', { params: { rewind: '2', nothing: 'x' } });
    expect(attached.params).toEqual({ rewind: '2' });
    expect((attached.flags ?? 0) & FLAG.HAS_BACKLOG).toBe(FLAG.HAS_BACKLOG);
    await attach(bare, '[?rewind=1]a');
    await bare.settled();
    expect(bare.all('MESSAGE').map(({ channel }) => channel)).toEqual(['a', 'a', '[?rewind=1]a']);
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['2', '3', '3']);
    expect(bare.frames.findIndex(({ action }) => action === 15)).toBeGreaterThan(bare.frames.indexOf(attached));
  });

  test('binary data, from either format to either', async () => {
    const emulator = await start();
    const [json, msgpack] = [connectBare(emulator), connectBare(emulator, { format: 'msgpack' })];
    await Promise.all([attach(json, 'a'), attach(msgpack, 'a')]);
    msgpack.send('MESSAGE', { channel: 'a', msgSerial: 0, messages: [{ data: new Uint8Array([1, 255]) }] });
    json.send('MESSAGE', { channel: 'a', msgSerial: 0, messages: [{ data: 'Av8=', encoding: 'base64' }] });
    const [one, two] = [await msgpack.next('MESSAGE'), await msgpack.next('MESSAGE')];
    const sent = [one, two].map(({ messages }) => Array.from((messages?.[0]?.data ?? []) as Uint8Array));
    expect(sent.sort()).toEqual([
      [1, 255],
      [2, 255],
    ]);
    await json.settled();
    const heard = json.all('MESSAGE').flatMap(({ messages = [] }) => messages);
    expect(heard.map(({ data, encoding }) => [data, encoding]).sort()).toEqual([
      ['Af8=', 'base64'],
      ['Av8=', 'base64'],
    ]);
  });
});

describe('coming back', () => {
  async function cut(bare: Bare): Promise<void> {
    bare.socket.terminate();
    await bare.closed;
  }

  test('the same connection, RESUMED, and what was missed', async () => {
    const emulator = await start();
    const bare = connectBare(emulator);
    await attach(bare, 'a');
    await publish(emulator, 'a', { data: 'heard' });
    const { channelSerial = '' } = await bare.next('MESSAGE');
    await cut(bare);
    await publish(emulator, 'a', { data: 'missed' });
    const back = connectBare(emulator, { resume: keyOf(bare) });
    const connected = await back.next('CONNECTED');
    expect(connected.connectionId).toBe(bare.frames[0]?.connectionId);
    expect(connected.error).toBeUndefined();
    expect(connected.connectionDetails?.connectionKey).not.toBe(keyOf(bare));
    const { flags = 0 } = await attach(back, 'a', { channelSerial });
    expect(flags & FLAG.RESUMED).toBe(FLAG.RESUMED);
    await back.settled();
    expect(dataOf(back.all('MESSAGE'))).toEqual(['missed']);
  });

  test.each([
    ['nonsense', 80018],
    ['abcdefghij!abcdefghijklmnop-1', 80005],
  ])('with the key %s: another connection, and why', async (resume, code) => {
    const bare = connectBare(await start(), { resume });
    expect((await bare.next('CONNECTED')).error?.code).toBe(code);
  });

  test('after more than two minutes another connection; of what was published in between, nothing is known', async () => {
    const world = withTime();
    const emulator = await start({ world });
    const bare = connectBare(emulator);
    const { channelSerial = '' } = await attach(bare, 'a');
    await cut(bare);
    await publish(emulator, 'a', { data: 'old' });
    await world.advance(60_000);
    await publish(emulator, 'a', { data: 'young' });
    await world.advance(60_001);
    const back = connectBare(emulator, { resume: keyOf(bare) });
    const connected = await back.next('CONNECTED');
    expect(connected.error?.code).toBe(80005);
    expect(connected.connectionId).not.toBe(bare.frames[0]?.connectionId);
    const { flags = 0, error } = await attach(back, 'a', { channelSerial });
    expect(flags & FLAG.RESUMED).toBe(0);
    expect(error?.code).toBe(90003);
    await back.settled();
    expect(dataOf(back.all('MESSAGE'))).toEqual(['young']);
  });

  test('as another client it is another connection', async () => {
    const emulator = await start();
    const bare = connectBare(emulator, { clientId: 'bob' });
    await bare.next('CONNECTED');
    const back = connectBare(emulator, { clientId: 'eve', resume: keyOf(bare) });
    expect((await back.next('CONNECTED')).error?.code).toBe(80011);
  });
});

describe('tokens', () => {
  test('AUTH in place: the new capability holds at once', async () => {
    const emulator = await start();
    const one = await tokenFor(emulator, { clientId: 'bob', capability: { a: ['*'], b: ['*'] } });
    const bare = connectBare(emulator, { access_token: one.token });
    await attach(bare, 'a');
    await attach(bare, 'b');
    const two = await tokenFor(emulator, { clientId: 'bob', capability: { b: ['subscribe'], c: ['subscribe'] } });
    bare.send('AUTH', { auth: { accessToken: two.token } });
    await bare.next('CONNECTED');
    const again = await bare.next('CONNECTED');
    expect(again).toMatchObject({ connectionId: bare.frames[0]?.connectionId });
    expect(again.error).toBeUndefined();
    expect(await bare.next('ERROR')).toMatchObject({ channel: 'a', error: { code: 40160 } });
    const { flags = 0 } = await bare.next('ATTACHED');
    expect(flags & (FLAG.PUBLISH | FLAG.SUBSCRIBE | FLAG.RESUMED)).toBe(FLAG.SUBSCRIBE | FLAG.RESUMED);
    await attach(bare, 'c');
    await publish(emulator, 'a', { data: 'unheard' });
    await publish(emulator, 'b', { data: 'heard' });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['heard']);
  });

  test.each([
    ['nonsense', async () => 'nonsense', 40145],
    [
      'of another client',
      async (emulator: AblyEmulator) => (await tokenFor(emulator, { clientId: 'eve' })).token,
      40102,
    ],
  ])('AUTH with a token that is %s ends the connection', async (_what, make, code) => {
    const emulator = await start();
    const { token } = await tokenFor(emulator, { clientId: 'bob' });
    const bare = connectBare(emulator, { access_token: token });
    await bare.next('CONNECTED');
    bare.send('AUTH', { auth: { accessToken: await make(emulator) } });
    expect((await bare.next('ERROR')).error?.code).toBe(code);
    await bare.closed;
  });

  test('30 s before its end another token is asked for; at its end it is over', async () => {
    const world = withTime();
    const emulator = await start({ world });
    const { token } = await tokenFor(emulator, { ttl: 60_000 });
    const bare = connectBare(emulator, { access_token: token });
    await bare.next('CONNECTED');
    await world.advance(30_000);
    await bare.next('AUTH');
    await world.advance(30_000);
    expect((await bare.next('DISCONNECTED')).error).toMatchObject({ code: 40142, statusCode: 401 });
    await bare.closed;
    const late = connectBare(emulator, { access_token: token });
    expect((await late.next('ERROR')).error?.code).toBe(40142);
  });

  test('revoked: DISCONNECTED at once, or after the margin; others stay', async () => {
    const world = withTime();
    const emulator = await start({ world });
    const [name] = (emulator.env.ABLY_API_KEY ?? '').split(':');
    const bob = await tokenFor(emulator, { clientId: 'bob' });
    const ann = await tokenFor(emulator, { clientId: 'ann' });
    const [his, hers] = [bob, ann].map(({ token }) => connectBare(emulator, { access_token: token })) as [Bare, Bare];
    await Promise.all([his.next('CONNECTED'), hers.next('CONNECTED')]);
    const revoke = (target: string, more = {}) =>
      rest(emulator, 'POST', `/keys/${name}/revokeTokens`, { body: { targets: [target], ...more } });
    await revoke('clientId:bob');
    expect((await his.next('DISCONNECTED')).error).toMatchObject({ code: 40141 });
    expect((await connectBare(emulator, { access_token: bob.token }).next('ERROR')).error?.code).toBe(40141);
    await revoke('clientId:ann', { allowReauthMargin: true });
    await hers.next('AUTH');
    expect(emulator.counters.connections).toBe(1);
    await world.advance(30_000);
    expect((await hers.next('DISCONNECTED')).error?.code).toBe(40141);
  });
});

describe('rates', () => {
  test('a connection that publishes too fast, a channel that is published to too fast: NACK', async () => {
    const emulator = await start({ world: withTime(), limits: { inboundRate: 3, channelRate: 2 } });
    const bare = connectBare(emulator);
    await bare.next('CONNECTED');
    for (let msgSerial = 0; msgSerial < 4; msgSerial++)
      bare.send('MESSAGE', { channel: 'a', msgSerial, messages: [{}] });
    await bare.settled();
    expect(bare.all('ACK')).toHaveLength(2);
    expect(bare.all('NACK').map(({ error }) => [error?.code, error?.statusCode])).toEqual([
      [42913, 429],
      [42911, 429],
    ]);
  });

  test('what is too much for a connection is lost, and told as a loss of continuity', async () => {
    const world = withTime();
    const emulator = await start({ world, limits: { outboundRate: 2 } });
    const bare = connectBare(emulator);
    await attach(bare, 'a');
    await attach(bare, 'b');
    for (const data of ['1', '2', '3', '4']) await publish(emulator, 'a', { data });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['1', '2']);
    await world.advance(1_000);
    const told = await bare.next('ATTACHED');
    expect(told).toMatchObject({ channel: 'a', error: { code: 80020 } });
    expect((told.flags ?? 0) & FLAG.RESUMED).toBe(0);
    await publish(emulator, 'a', { data: '5' });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['1', '2', '5']);
    expect(bare.all('ATTACHED').filter(({ channel }) => channel === 'b')).toHaveLength(1);
  });
});

describe('presence', () => {
  test('who comes, who is there, who leaves', async () => {
    const world = withTime();
    const emulator = await start({ world });
    const [bob, hearer] = [connectBare(emulator, { clientId: 'bob' }), connectBare(emulator)];
    await Promise.all([attach(bob, 'a'), attach(hearer, 'a')]);
    bob.send('PRESENCE', { channel: 'a', msgSerial: 0, presence: [{ action: PRESENCE.ENTER, data: 'hello' }] });
    await bob.next('ACK');
    expect((await hearer.next('PRESENCE')).presence).toMatchObject([
      { action: PRESENCE.ENTER, clientId: 'bob', data: 'hello' },
    ]);
    const late = connectBare(emulator);
    expect(((await attach(late, 'a')).flags ?? 0) & FLAG.HAS_PRESENCE).toBe(FLAG.HAS_PRESENCE);
    const sync = await late.next('SYNC');
    expect(sync.presence).toMatchObject([{ action: PRESENCE.PRESENT, clientId: 'bob' }]);
    expect(sync.channelSerial).toMatch(/^[\w-]+:$/);
    bob.socket.terminate();
    await bob.closed;
    await world.advance(14_999);
    await hearer.settled();
    expect(hearer.all('PRESENCE')).toHaveLength(1);
    await world.advance(1);
    expect((await hearer.next('PRESENCE')).presence).toMatchObject([{ action: PRESENCE.LEAVE, clientId: 'bob' }]);
  });
});
