/** The emulated Ably with the vendor's own library, nothing in it stubbed: whole, and put together from its modules. */
import type * as Ably from 'ably';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { type AblyEmulator, startAblyEmulator } from '../../../adapters/emulators/ably/start.js';
import { closePeers, sdkOptions, sdkRealtime, sdkRest } from './ably-peers.js';

let emulator: AblyEmulator;
beforeEach(async () => {
  emulator = await startAblyEmulator();
});
afterEach(async () => {
  closePeers();
  await emulator.close();
});

/** The next message, and all that were heard. */
async function hear(channel: Ably.RealtimeChannel) {
  const heard: unknown[] = [];
  let more: () => void = () => {};
  await channel.subscribe(({ data }) => {
    heard.push(data);
    more();
  });
  const until = async (last: unknown): Promise<unknown[]> => {
    while (heard.at(-1) !== last) await new Promise<void>((done) => (more = done));
    return heard;
  };
  return { heard, until };
}

describe.each([
  ['JSON', false],
  ['MessagePack', true],
])('%s', (_name, useBinaryProtocol) => {
  test('a token by authCallback, subscribe, publish over REST, history', async () => {
    const rest = sdkRest(emulator, { useBinaryProtocol });
    const client = sdkRealtime(
      emulator,
      { clientId: 'bob', capability: { 'order:*': ['subscribe', 'history'] } },
      { useBinaryProtocol },
    );
    const channel = client.channels.get('order:1');
    const { until } = await hear(channel);
    expect(client.auth.clientId).toBe('bob');
    const sent = rest.channels.get('order:1');
    await sent.publish('shipped', { a: 1 });
    await sent.publish('shipped', Buffer.from([1, 2]));
    await sent.publish([
      { name: 'x', data: 'one' },
      { name: 'x', data: 'last' },
    ]);
    expect(await until('last')).toEqual([{ a: 1 }, Buffer.from([1, 2]), 'one', 'last']);
    const page = await channel.history({ limit: 2, direction: 'forwards' });
    expect(page.items.map(({ data }) => data)).toEqual([{ a: 1 }, Buffer.from([1, 2])]);
    expect((await page.next())?.items.map(({ data }) => data)).toEqual(['one', 'last']);
    await expect(channel.publish('x', 'not allowed')).rejects.toMatchObject({ code: 40160 });
    await expect(client.channels.get('other').attach()).rejects.toMatchObject({ code: 40160 });
  });

  test('a cut socket: the same connection, every channel resumed, nothing missed', async () => {
    const rest = sdkRest(emulator, { useBinaryProtocol }).channels.get('a');
    const client = sdkRealtime(emulator, {}, { useBinaryProtocol });
    const channel = client.channels.get('a');
    const { until } = await hear(channel);
    const { id } = client.connection;
    await rest.publish('x', '1');
    await until('1');
    // Asked for before the cut: the SDK may be attached again before the publishing is answered.
    const again = channel.once('attached');
    emulator.cutAll();
    await rest.publish('x', '2');
    expect((await again).resumed).toBe(true);
    expect(await until('2')).toEqual(['1', '2']);
    expect(client.connection.id).toBe(id);
  });

  test('publishing while the socket is cut: once', async () => {
    const client = sdkRealtime(emulator, {}, { useBinaryProtocol });
    const channel = client.channels.get('a');
    const { until } = await hear(channel);
    const first = channel.publish('x', 'during');
    emulator.cutAll();
    await first;
    await channel.publish('x', 'after');
    expect(await until('after')).toEqual(['during', 'after']);
    expect(emulator.counters.published).toBe(2);
  });
});

test('in-place authorisation: more is allowed, without another connection', async () => {
  const client = sdkRealtime(emulator, { capability: { a: ['subscribe'] } });
  await client.channels.get('a').attach();
  const { id } = client.connection;
  await expect(client.channels.get('b').attach()).rejects.toMatchObject({ code: 40160 });
  const rest = sdkRest(emulator);
  const states: string[] = [];
  client.connection.on(({ current }) => states.push(current));
  await client.auth.authorize(undefined, {
    authCallback: (params, done) =>
      void rest.auth.createTokenRequest({ ...params, capability: { b: ['subscribe'] } }).then(
        (request) => done(null, request),
        (error) => done(error, null),
      ),
  });
  await client.channels.get('b').attach();
  await vi.waitFor(() => expect(client.channels.get('a').state).toBe('failed'));
  expect(client.channels.get('a').errorReason?.code).toBe(40160);
  expect(client.connection.id).toBe(id);
  expect(new Set(states)).toEqual(new Set(['connected']));
});

test('revoked by the library: the client comes back with another token, and resumes', async () => {
  const rest = sdkRest(emulator);
  const client = sdkRealtime(emulator, { clientId: 'bob' });
  const channel = client.channels.get('a');
  const { until } = await hear(channel);
  const { id } = client.connection;
  const gone = client.connection.once('disconnected');
  const answer = await rest.auth.revokeTokens([{ type: 'clientId', value: 'bob' }]);
  expect(answer.successCount).toBe(1);
  expect((await gone).reason?.code).toBe(40141);
  await client.connection.once('connected');
  await rest.channels.get('a').publish('x', 'back');
  expect(await until('back')).toEqual(['back']);
  expect(client.connection.id).toBe(id);
});

test('continuity lost while connected: an update that is not resumed', async () => {
  const channel = sdkRealtime(emulator).channels.get('a');
  await channel.attach();
  const update = channel.once('update');
  emulator.loseContinuity('a');
  expect(await update).toMatchObject({ resumed: false, reason: { code: 90003 } });
});

test('a suspended channel is attached again', async () => {
  const channel = sdkRealtime(emulator).channels.get('a');
  await channel.attach();
  const back = channel.once('attached');
  emulator.suspend('a');
  await back;
});

test('the most connections: failed, as the vendor says', async () => {
  emulator.faults.set({ quota: true });
  const client = sdkRealtime(emulator);
  expect((await client.connection.once('failed')).reason).toMatchObject({ code: 40111, statusCode: 403 });
});

test('presence', async () => {
  const [bob, ann] = [sdkRealtime(emulator, { clientId: 'bob' }), sdkRealtime(emulator, { clientId: 'ann' })];
  await bob.channels.get('a').presence.enter('here');
  expect(await ann.channels.get('a').presence.get()).toMatchObject([{ clientId: 'bob', data: 'here' }]);
  const listed = await sdkRest(emulator).channels.get('a').presence.get({});
  expect(listed.items).toMatchObject([{ clientId: 'bob' }]);
});

test('the library put together from modules, with the WebSocket of its surroundings', async () => {
  // It looks for a WebSocket when it is loaded.
  vi.stubGlobal('WebSocket', WebSocket);
  try {
    const { BaseRealtime, FetchRequest, WebSocketTransport } = await import('ably/modular');
    const rest = sdkRest(emulator);
    const client = new BaseRealtime({
      ...sdkOptions(emulator),
      disableConnectivityCheck: true,
      plugins: { WebSocketTransport, FetchRequest },
      authCallback: (params, done) =>
        void rest.auth.createTokenRequest(params).then(
          (request) => done(null, request),
          (error) => done(error, null),
        ),
    });
    const { until } = await hear(client.channels.get('a'));
    await rest.channels.get('a').publish('x', 'heard');
    expect(await until('heard')).toEqual(['heard']);
    client.close();
    await client.connection.once('closed');
  } finally {
    vi.unstubAllGlobals();
  }
});
