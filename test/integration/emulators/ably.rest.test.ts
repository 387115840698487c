/** The emulated Ably over REST: publishing, batches, history by pages, tokens, errors, browsers, the provisioner. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AblyEmulator, startAblyEmulator } from '../../../adapters/emulators/ably/start.js';
import { createTestWorld } from '../../kit/world.js';
import { type Answer, closePeers, connectBare, publish, rest, tokenFor } from './ably-peers.js';

let emulator: AblyEmulator;
const world = () => createTestWorld(() => Promise.reject(new Error('no network here')));
beforeEach(async () => {
  emulator = await startAblyEmulator({ persisted: ['kept'] });
});
afterEach(async () => {
  closePeers();
  await emulator.close();
});
const codeOf = ({ status, headers, body }: Answer) => [status, headers.get('x-ably-errorcode'), body.error?.code];

describe('publishing', () => {
  test('one, several, and what became of them', async () => {
    const one = await publish(emulator, 'a', { name: 'n', data: 'x' });
    expect(one).toMatchObject({ status: 201, body: { channel: 'a', messageId: expect.any(String) } });
    const several = await publish(emulator, 'a', [{ data: 'y' }, { data: 'z' }]);
    expect(several.body.serials).toHaveLength(2);
    const { body } = await rest(emulator, 'GET', '/channels/a/messages');
    expect(body.map(({ data }: { data: string }) => data)).toEqual(['z', 'y', 'x']);
    expect(emulator.counters.published).toBe(2);
  });

  test('the same id twice is one message', async () => {
    const [one, two] = [await publish(emulator, 'a', { id: 'i:0' }), await publish(emulator, 'a', { id: 'i:0' })];
    expect(two.body).toEqual(one.body);
    expect((await rest(emulator, 'GET', '/channels/a/messages')).body).toHaveLength(1);
    const wrong = await publish(emulator, 'a', [{ id: 'i:0' }, { id: 'j:1' }]);
    expect(codeOf(wrong)).toEqual([400, '40031', 40031]);
  });

  test('a batch says of each channel what became of it', async () => {
    const { token } = await tokenFor(emulator, { capability: { a: ['publish'], b: ['publish'] } });
    const body = { channels: ['a', 'c', 'b', ':no'], messages: { data: 'x' } };
    const answer = await rest(emulator, 'POST', '/messages', { body, token });
    expect(answer).toMatchObject({ status: 201, body: { successCount: 2, failureCount: 2 } });
    expect(answer.body.results).toMatchObject([
      { channel: 'a', messageId: expect.any(String) },
      { channel: 'c', error: { code: 40160, statusCode: 401 } },
      { channel: 'b' },
      { channel: ':no', error: { code: 40010 } },
    ]);
    const several = await rest(emulator, 'POST', '/messages', { body: [body, { channels: 'a', messages: [{}] }] });
    expect(several.body).toMatchObject([{ successCount: 3 }, { successCount: 1 }]);
    const many = { channels: Array.from({ length: 101 }, (_, index) => `c${index}`), messages: {} };
    expect(codeOf(await rest(emulator, 'POST', '/messages', { body: many }))).toEqual([400, '90010', 90010]);
  });

  test('too large, too fast, not allowed', async () => {
    expect(codeOf(await publish(emulator, 'a', { data: 'x'.repeat(65_537) }))).toEqual([400, '40009', 40009]);
    const huge = await publish(emulator, 'a', { data: 'x'.repeat(2_100_000) });
    expect(codeOf(huge)).toEqual([413, '40009', 40009]);
    const slow = await startAblyEmulator({ world: world(), limits: { channelRate: 1, requestRate: 2 } });
    await publish(slow, 'a', {});
    expect(codeOf(await publish(slow, 'a', {}))).toEqual([429, '42913', 42913]);
    expect(codeOf(await publish(slow, 'b', {}))).toEqual([429, '42918', 42918]);
    await slow.close();
  });
});

describe('history', () => {
  test('pages are linked, each relation in a header of its own', async () => {
    for (const data of ['1', '2', '3']) await publish(emulator, 'kept:a', { data });
    const path = '/channels/kept%3Aa/';
    const seen: string[] = [];
    for (let query: string | undefined = 'messages?limit=2&direction=forwards'; query; ) {
      const { headers, body }: Answer = await rest(emulator, 'GET', path + query);
      seen.push(...body.map(({ data }: { data: string }) => data));
      query = /<\.\/([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    expect(seen).toEqual(['1', '2', '3']);
    const response = await rest(emulator, 'GET', `${path}messages?limit=1&envelope=json`);
    expect(response.body).toMatchObject({
      statusCode: 200,
      headers: { link: expect.stringContaining('next') },
      response: [{ data: '3' }],
    });
  });

  test('up to where a channel was attached', async () => {
    await publish(emulator, 'a', { data: 'before' });
    const bare = connectBare(emulator);
    await bare.next('CONNECTED');
    bare.send('ATTACH', { channel: 'a' });
    const { channelSerial = '' } = await bare.next('ATTACHED');
    await publish(emulator, 'a', { data: 'after' });
    const until = (serial: string) =>
      rest(emulator, 'GET', `/channels/a/messages?from_serial=${encodeURIComponent(serial)}`);
    expect((await until(channelSerial)).body).toMatchObject([{ data: 'before' }]);
    emulator.loseContinuity('a');
    expect(codeOf(await until(channelSerial))).toEqual([400, '90008', 90008]);
  });
});

describe('credentials', () => {
  const [KEY_NAME] = ['local0.emulat'];

  test.each([
    ['none', { key: '' }, [401, '40101', 40101]],
    ['a wrong key', { key: 'local0.emulat:wrong' }, [401, '40101', 40101]],
    ['a token that is none', { token: 'x' }, [401, '40145', 40145]],
  ])('%s', async (_what, options, expected) => {
    expect(codeOf(await rest(emulator, 'GET', '/channels/a/messages', options))).toEqual(expected);
  });

  test('a token of a client publishes as that client, where it may', async () => {
    const { token } = await tokenFor(emulator, { clientId: 'bob', capability: { a: ['publish', 'history'] } });
    await rest(emulator, 'POST', '/channels/a/messages', { body: {}, token });
    expect((await rest(emulator, 'GET', '/channels/a/messages', { token })).body).toMatchObject([{ clientId: 'bob' }]);
    expect(codeOf(await rest(emulator, 'POST', '/channels/b/messages', { body: {}, token }))).toEqual([
      401,
      '40160',
      40160,
    ]);
  });

  test('an unsigned token request needs the key', async () => {
    const path = `/keys/${KEY_NAME}/requestToken`;
    expect(codeOf(await rest(emulator, 'POST', path, { body: {}, key: '' }))).toEqual([401, '40101', 40101]);
    expect(codeOf(await rest(emulator, 'POST', '/keys/who.is/requestToken', { body: {} }))).toEqual([
      404,
      '40400',
      40400,
    ]);
  });

  test('revoking: with the key, of the key, and only where it is switched on', async () => {
    const path = `/keys/${KEY_NAME}/revokeTokens`;
    const body = { targets: ['clientId:bob', 'who:x'] };
    const { token } = await tokenFor(emulator);
    expect(codeOf(await rest(emulator, 'POST', path, { body, token }))).toEqual([401, '40162', 40162]);
    expect(codeOf(await rest(emulator, 'POST', '/keys/local0.other/revokeTokens', { body }))).toEqual([
      401,
      '40133',
      40133,
    ]);
    const answer = await rest(emulator, 'POST', path, { body });
    expect(answer).toMatchObject({ status: 201, body: { successCount: 1, failureCount: 1 } });
    expect(answer.body.results[0]).toMatchObject({ target: 'clientId:bob', appliesAt: expect.any(Number) });
    const old = await rest(emulator, 'POST', path, { body, headers: { 'x-ably-version': '2' } });
    expect(old.body).toMatchObject([{ target: 'clientId:bob' }, { target: 'who:x' }]);
    const off = await startAblyEmulator({ revocableTokens: false });
    expect(codeOf(await rest(off, 'POST', path, { body }))).toEqual([401, '40163', 40163]);
    await off.close();
  });
});

test('a wrong option is told', async () => {
  await expect(startAblyEmulator({ key: 'app.key' })).rejects.toThrow(TypeError);
  await expect(startAblyEmulator({ capability: { a: ['shout'] } })).rejects.toThrow(TypeError);
});

test('the time, what is not there, and what a browser asks first', async () => {
  const { body } = await rest(emulator, 'GET', '/time', { key: '' });
  expect(Math.abs(body[0] - Date.now())).toBeLessThan(10_000);
  expect(codeOf(await rest(emulator, 'GET', '/nothing'))).toEqual([404, '40400', 40400]);
  const preflight = await fetch(`${emulator.url}/keys/a.b/requestToken`, { method: 'OPTIONS' });
  expect(preflight.status).toBe(204);
  expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
});

test('provisioned apps do not hear one another, and go with their connections', async () => {
  const body = { keys: [{}, { capability: '{"a":["subscribe"]}' }], namespaces: [{ id: 'kept', persisted: true }] };
  const { body: made } = await rest(emulator, 'POST', '/apps', { body, key: '' });
  expect(made).toMatchObject({ endpoint: '127.0.0.1', port: emulator.port, tls: false, namespaces: [{ id: 'kept' }] });
  const [full, limited] = made.keys;
  const bare = connectBare(emulator, { key: full.keyStr });
  await bare.next('CONNECTED');
  bare.send('ATTACH', { channel: 'a' });
  await bare.next('ATTACHED');
  await publish(emulator, 'a', { data: 'of the other app' });
  await rest(emulator, 'POST', '/channels/a/messages', { body: { data: 'own' }, key: full.keyStr });
  expect((await bare.next('MESSAGE')).messages).toMatchObject([{ data: 'own' }]);
  const refused = await rest(emulator, 'POST', '/channels/a/messages', { body: {}, key: limited.keyStr });
  expect(codeOf(refused)).toEqual([401, '40160', 40160]);
  expect((await rest(emulator, 'DELETE', `/apps/${made.appId}`, { key: full.keyStr })).status).toBe(204);
  await bare.closed;
  expect(codeOf(await rest(emulator, 'GET', '/channels/a/messages', { key: full.keyStr }))).toEqual([
    401,
    '40101',
    40101,
  ]);
});
