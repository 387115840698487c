/** The emulated Ably's switches: what a client sees of each, on a bare WebSocket and over the control route. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FLAG } from '../../../adapters/emulators/ably/protocol.js';
import { type AblyEmulator, startAblyEmulator } from '../../../adapters/emulators/ably/start.js';
import { createTestWorld, type TestWorld } from '../../kit/world.js';
import { attach, closePeers, connectBare, publish, rest, tokenFor } from './ably-peers.js';

let world: TestWorld;
let emulator: AblyEmulator;
beforeEach(async () => {
  world = createTestWorld(() => Promise.reject(new Error('no network here')));
  emulator = await startAblyEmulator({ world });
});
afterEach(async () => {
  closePeers();
  await emulator.close();
});
const dataOf = (frames: readonly { readonly messages?: readonly { readonly data?: unknown }[] }[]) =>
  frames.flatMap(({ messages = [] }) => messages.map(({ data }) => data));
const isResumed = ({ flags = 0 }: { readonly flags?: number }) => (flags & FLAG.RESUMED) !== 0;

describe('refusing', () => {
  test('connections: cut, or told a code that is final or not', async () => {
    emulator.faults.set({ connections: 'reset' });
    const cut = connectBare(emulator);
    await cut.closed;
    expect(cut.frames).toEqual([]);
    emulator.faults.set({ connections: 40110 });
    expect((await connectBare(emulator).next('ERROR')).error?.code).toBe(40110);
    emulator.faults.set({ connections: 50003 });
    expect((await connectBare(emulator).next('DISCONNECTED')).error).toMatchObject({ code: 50003, statusCode: 500 });
    emulator.faults.clear();
    await connectBare(emulator).next('CONNECTED');
  });

  test('requests: with a status and when to come again', async () => {
    emulator.faults.set({ requests: { status: 503, retryAfter: 7 } });
    const answer = await publish(emulator, 'a', {});
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('7');
    expect(answer.body.error).toMatchObject({ code: 50300, statusCode: 503 });
    emulator.faults.set({ requests: 'reset' });
    await expect(publish(emulator, 'a', {})).rejects.toThrow();
  });

  test('the quota: publishers and newcomers', async () => {
    const bare = connectBare(emulator);
    await bare.next('CONNECTED');
    emulator.faults.set({ quota: true });
    expect((await publish(emulator, 'a', {})).body.error).toMatchObject({ code: 40112, statusCode: 401 });
    bare.send('MESSAGE', { channel: 'a', msgSerial: 0, messages: [{}] });
    expect((await bare.next('NACK')).error?.code).toBe(40112);
    expect((await connectBare(emulator).next('ERROR')).error?.code).toBe(40111);
  });
});

describe('on the way', () => {
  test('messages are lost on channels that fit, and counted', async () => {
    const bare = connectBare(emulator);
    await attach(bare, 'order:1');
    await attach(bare, 'other');
    emulator.faults.set({ drop: 1, dropOn: 'order' });
    await publish(emulator, 'other', { data: 'other' });
    for (const data of ['lost', 'heard']) await publish(emulator, 'order:1', { data });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['other', 'heard']);
    expect(emulator.counters).toMatchObject({ dropped: 1, delivered: 2, published: 3 });
  });

  test('frames wait', async () => {
    const bare = connectBare(emulator);
    await bare.next('CONNECTED');
    emulator.faults.set({ delay: 500 });
    bare.send('ATTACH', { channel: 'a' });
    await world.until(() => emulator.counters.subscriptions === 1, 400);
    expect(bare.all('ATTACHED')).toEqual([]);
    await world.advance(500);
    await bare.next('ATTACHED');
  });

  test('half-open: nothing is heard, and nothing is said, until it is lifted', async () => {
    const bare = connectBare(emulator, { heartbeats: 'true' });
    await attach(bare, 'a');
    emulator.faults.set({ silent: true });
    await publish(emulator, 'a', { data: 'unheard' });
    bare.send('HEARTBEAT', { id: 'asked in the silence' });
    await world.advance(60_000);
    expect(bare.frames).toHaveLength(2);
    emulator.faults.clear();
    await publish(emulator, 'a', { data: 'heard' });
    await bare.next('MESSAGE');
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['heard']);
    expect(await bare.next('HEARTBEAT')).toEqual({ action: 0, id: 'asked in the silence' });
  });
});

describe('endings', () => {
  test('every connection, with a code; who comes back resumes', async () => {
    const bare = connectBare(emulator);
    const { channelSerial = '' } = await attach(bare, 'a');
    expect(emulator.closeAll(80003)).toBe(1);
    expect((await bare.next('DISCONNECTED')).error?.code).toBe(80003);
    await bare.closed;
    const resume = bare.frames[0]?.connectionDetails?.connectionKey ?? '';
    const back = connectBare(emulator, { resume });
    expect((await back.next('CONNECTED')).connectionId).toBe(bare.frames[0]?.connectionId);
    expect(isResumed(await attach(back, 'a', { channelSerial }))).toBe(true);
    expect(emulator.closeAll(40110)).toBe(1);
    expect((await back.next('ERROR')).error?.code).toBe(40110);
  });

  test('stopped and started on the same port: nothing is known any more, but tokens still hold', async () => {
    const { token } = await tokenFor(emulator);
    const bare = connectBare(emulator, { access_token: token });
    const { channelSerial = '' } = await attach(bare, 'a');
    const { port } = emulator;
    await emulator.stop();
    await bare.closed;
    await expect(publish(emulator, 'a', {})).rejects.toThrow();
    await emulator.start();
    expect(emulator.port).toBe(port);
    const resume = bare.frames[0]?.connectionDetails?.connectionKey ?? '';
    const back = connectBare(emulator, { access_token: token, resume });
    expect((await back.next('CONNECTED')).error?.code).toBe(80005);
    expect(isResumed(await attach(back, 'a', { channelSerial }))).toBe(false);
  });

  test('the key is gone, and is restored', async () => {
    const { token } = await tokenFor(emulator);
    const bare = connectBare(emulator, { access_token: token });
    await bare.next('CONNECTED');
    emulator.removeKey();
    expect((await bare.next('ERROR')).error).toMatchObject({ code: 40101, statusCode: 401 });
    expect((await publish(emulator, 'a', {})).body.error.code).toBe(40101);
    expect((await connectBare(emulator, { access_token: token }).next('ERROR')).error?.code).toBe(40101);
    emulator.restoreKey();
    expect((await publish(emulator, 'a', {})).status).toBe(201);
  });

  test("a client's tokens are revoked", async () => {
    const { token } = await tokenFor(emulator, { clientId: 'bob' });
    const bare = connectBare(emulator, { access_token: token });
    await bare.next('CONNECTED');
    emulator.revoke('bob');
    expect((await bare.next('DISCONNECTED')).error?.code).toBe(40141);
    await world.advance(1);
    const next = await tokenFor(emulator, { clientId: 'bob' });
    await connectBare(emulator, { access_token: next.token }).next('CONNECTED');
  });
});

describe('channels', () => {
  test('continuity is lost: told to who is attached, and to who comes back', async () => {
    const bare = connectBare(emulator);
    const { channelSerial = '' } = await attach(bare, 'a');
    await attach(bare, 'b');
    await publish(emulator, 'a', { data: 'before' });
    emulator.loseContinuity('a');
    const told = await bare.next('ATTACHED');
    expect(told).toMatchObject({ channel: 'a', error: { code: 90003 } });
    expect(isResumed(told)).toBe(false);
    expect(isResumed(await attach(bare, 'a', { channelSerial }))).toBe(false);
    expect(isResumed(await attach(bare, 'a', { channelSerial: told.channelSerial ?? '' }))).toBe(true);
    await publish(emulator, 'a', { data: 'after' });
    await bare.settled();
    expect(dataOf(bare.all('MESSAGE'))).toEqual(['before', 'after']);
  });

  test('a channel is suspended, and the next attempts to attach it are refused', async () => {
    const bare = connectBare(emulator);
    await attach(bare, 'a');
    emulator.suspend('a', 1);
    expect(await bare.next('DETACHED')).toMatchObject({ channel: 'a', error: { code: 50001 } });
    await publish(emulator, 'a', { data: 'unheard' });
    bare.send('ATTACH', { channel: 'a' });
    await bare.next('DETACHED');
    await attach(bare, 'a');
    await bare.settled();
    expect(bare.all('MESSAGE')).toEqual([]);
  });
});

describe('the control route', () => {
  const control = (body: unknown) => rest(emulator, 'POST', '/__faults', { body, key: '' });

  test('sets, tells and lifts faults, and is hit by none', async () => {
    const { body } = await control({ requests: { status: 500 }, dropOn: 'x' });
    expect(body).toMatchObject({ faults: { dropOn: 'x' }, counters: { connections: 0 } });
    expect((await publish(emulator, 'a', {})).status).toBe(500);
    await rest(emulator, 'DELETE', '/__faults', { key: '' });
    expect((await publish(emulator, 'a', {})).status).toBe(201);
    expect((await control({ nonsense: 1 })).status).toBe(400);
  });

  test('does what the methods do', async () => {
    const { token } = await tokenFor(emulator, { clientId: 'bob' });
    const bare = connectBare(emulator, { access_token: token });
    await attach(bare, 'a');
    await control({ loseContinuity: 'a' });
    expect((await bare.next('ATTACHED')).error?.code).toBe(90003);
    await control({ suspend: 'a' });
    await bare.next('DETACHED');
    await control({ revoke: 'bob' });
    await bare.next('DISCONNECTED');
    const other = connectBare(emulator);
    await other.next('CONNECTED');
    await control({ close: 80003 });
    await other.next('DISCONNECTED');
    const third = connectBare(emulator);
    await third.next('CONNECTED');
    await control({ cut: true });
    await third.closed;
    await control({ removeKey: true });
    await connectBare(emulator).next('ERROR');
    await control({ removeKey: false });
    await connectBare(emulator).next('CONNECTED');
    for (const wrong of [{ close: 1 }, { suspend: '' }, { revoke: 7 }]) expect((await control(wrong)).status).toBe(400);
  });
});
