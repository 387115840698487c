/** The server half: Ably's own SDKs on both sides of a server of its protocol. */
import { Realtime, type TokenRequest } from 'ably';
import { describe, expect, test } from 'vitest';
import { createAblyAdapter } from '../../adapters/ably/server.js';
import { attaching, outgoing, startAbly, until } from '../kit/ably.js';

describe('publishing', () => {
  test('reaches subscribers by the name of the action, with the JSON as data, in order', async () => {
    await using bench = await startAbly();
    const { heard } = await bench.vanilla(['test:Order/42', 'test:Order', 'test:Order/+']);
    const first = outgoing(['Order/42'], 'shipped');
    const second = outgoing(['Order/42', 'Order'], 'updated');
    const outcomes = await bench.publish(first, second, outgoing(['Order/*'], 'imported'));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted']);
    await until(() => heard.length === 4);
    const of = (channel: string) => heard.filter((each) => each.channel === channel);
    expect(of('test:Order/42')).toEqual([
      { name: 'shipped', data: first.json, channel: 'test:Order/42' },
      { name: 'updated', data: second.json, channel: 'test:Order/42' },
    ]);
    expect(of('test:Order').map(({ name }) => name)).toEqual(['updated']);
    expect(of('test:Order/+').map(({ name }) => name)).toEqual(['imported']);
  });

  test('what is published again is heard once', async () => {
    await using bench = await startAbly();
    const { heard } = await bench.vanilla(['test:Order/42']);
    const item = outgoing(['Order/42']);
    await bench.publish(item, item);
    await bench.publish(item, outgoing(['Order/42'], 'end'));
    await until(() => heard.some(({ name }) => name === 'end'));
    expect(heard.length).toBe(2);
    expect(bench.emulator.counters.published).toBe(2);
  });

  test('250 objects at once are three requests', async () => {
    await using bench = await startAbly();
    const before = bench.emulator.counters.requests;
    const items = Array.from({ length: 250 }, (_, id) => outgoing([`Order/${id}`]));
    const outcomes = await bench.publish(...items);
    expect(outcomes.every(({ kind }) => kind === 'accepted')).toBe(true);
    expect(bench.emulator.counters).toMatchObject({ requests: before + 3, published: 250 });
  });

  test("a hot list stays within Ably's rate: what is too much is later, and is never refused by Ably", async () => {
    await using bench = await startAbly();
    let waiting = Array.from({ length: 80 }, (_, index) => outgoing(['Order'], `action-${index}`));
    const { heard } = await bench.vanilla(['test:Order']);
    const start = performance.now();
    while (waiting.length > 0) {
      const outcomes = await bench.publish(...waiting);
      const later = outcomes.flatMap((outcome) => (outcome.kind === 'later' ? [outcome] : []));
      for (const { error } of later) expect(String(error)).not.toMatch(/42913/);
      const wait = later[0]?.retryAfterMs ?? 0;
      waiting = waiting.filter((_, index) => outcomes[index]?.kind === 'later');
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    expect(performance.now() - start).toBeGreaterThan(1_000);
    await until(() => heard.length === 80);
    expect(heard.map(({ name }) => name)).toEqual(Array.from({ length: 80 }, (_, index) => `action-${index}`));
  });

  test('what Ably cannot take now is later, whatever the reason', async () => {
    await using bench = await startAbly();
    const { emulator } = bench;
    const outcome = async () => (await bench.publish(outgoing(['Order/1'])))[0];
    for (const status of [429, 500, 503]) {
      emulator.faults.set({ requests: { status } });
      expect(await outcome()).toMatchObject({ kind: 'later' });
    }
    emulator.faults.set({ requests: 'reset' });
    expect(await outcome()).toMatchObject({ kind: 'later' });
    emulator.faults.clear();
    emulator.faults.set({ quota: true });
    expect(await outcome()).toMatchObject({ kind: 'later', error: { message: expect.stringMatching(/ABLY_API_KEY/) } });
    emulator.faults.clear();
    emulator.removeKey();
    expect(await outcome()).toMatchObject({ kind: 'later', error: { message: expect.stringMatching(/ABLY_API_KEY/) } });
    emulator.restoreKey();
    await emulator.stop();
    expect(await outcome()).toMatchObject({ kind: 'later' });
    await emulator.start();
    expect(await outcome()).toEqual({ kind: 'accepted' });
  });

  test('what Ably will never take is impossible, and hinders nothing else', async () => {
    await using bench = await startAbly({ limits: { messageSize: 200 } });
    const large = { ...outgoing(['Order/1']), json: JSON.stringify('x'.repeat(300)) };
    const outcomes = await bench.publish(large, outgoing(['Order/2']), outgoing(['Order/1']));
    expect(outcomes.map(({ kind }) => kind)).toEqual(['impossible', 'accepted', 'accepted']);
  });
});

describe('a token', () => {
  test('allows to hear exactly the granted channels, and nothing else', async () => {
    await using bench = await startAbly();
    const client = await bench.withToken('ann', ['Order/42', 'Order/*']);
    const attach = (name: string) => attaching(client.channels.get(name));
    expect(await attach('test:Order/42')).toBe('attached');
    expect(await attach('test:Order/+')).toBe('attached');
    for (const other of ['test:Order/43', 'test:Order', 'test:Order/+/x', 'other:Order/42', 'test:*'])
      expect(await attach(other), other).toBe(40_160);
    expect(client.auth.clientId).toBe('ann');
    await expect(client.channels.get('test:Order/42').publish('shipped', '{}')).rejects.toMatchObject({ code: 40_160 });
    await expect(client.channels.get('test:Order/42').presence.enter()).rejects.toMatchObject({
      code: expect.any(Number),
    });
  });

  test('is signed here: nothing is asked of Ably', async () => {
    await using bench = await startAbly();
    const before = bench.emulator.counters.requests;
    const request = { connection: 'x', user: 'ann', channels: ['Order/42'], expires: Date.now() + 60_000 };
    const { details, renewIn } = await bench.adapter.authorise(request);
    const { tokenRequest, names } = details as { tokenRequest: TokenRequest; names: object };
    expect(bench.emulator.counters.requests).toBe(before);
    expect(names).toEqual({ 'Order/42': 'test:Order/42' });
    expect(tokenRequest).toMatchObject({ clientId: 'ann', capability: '{"test:Order/42":["subscribe"]}' });
    expect(tokenRequest.ttl).toBeGreaterThan(59_000);
    expect(tokenRequest.ttl).toBeLessThanOrEqual(60_000);
    expect(renewIn).toBeGreaterThanOrEqual(47_000);
    expect(renewIn).toBeLessThanOrEqual(54_000);
    expect(JSON.stringify(details)).not.toContain('emulator-secret');
  });

  test('ends with the right', async () => {
    await using bench = await startAbly();
    const client = await bench.withToken('ann', ['Order/42'], 1_000);
    expect(await attaching(client.channels.get('test:Order/42'))).toBe('attached');
    // Its authCallback has no other token to give.
    const reason = await new Promise((resolve) =>
      client.connection.once('disconnected', ({ reason }) => resolve(reason)),
    );
    expect(reason).toMatchObject({ code: 40_142 });
  });
});

describe('revocation', () => {
  test('cuts off whoever does not come with another token, and nobody else', async () => {
    await using bench = await startAbly();
    const ann = await bench.withToken('ann', ['Order/42']);
    const bob = await bench.withToken('bob', ['Order/42']);
    for (const client of [ann, bob]) expect(await attaching(client.channels.get('test:Order/42'))).toBe('attached');
    const cut = new Promise((resolve) => ann.connection.once(({ reason }) => resolve(reason)));
    await bench.adapter.revoke(['ann'], ['Order/42']);
    expect(await cut).toMatchObject({ code: 40_141 });
    expect(bob.connection.state).toBe('connected');
    expect(bench.warnings).toEqual([]);
  });

  test('with a key whose tokens cannot be revoked: no error, one warning', async () => {
    await using bench = await startAbly({ revocableTokens: false });
    await bench.adapter.revoke(['ann'], undefined);
    await bench.adapter.revoke(['bob'], undefined);
    expect(bench.warnings).toEqual([expect.stringMatching(/cannot be revoked.*Revocable tokens/)]);
  });

  test('that Ably does not hear of is rejected, to be tried again', async () => {
    await using bench = await startAbly();
    bench.emulator.faults.set({ requests: { status: 503 } });
    await expect(bench.adapter.revoke(['ann'], undefined)).rejects.toThrow();
    bench.emulator.faults.clear();
    await bench.adapter.revoke(['ann'], undefined);
  });
});

describe('two namespaces with one key', () => {
  test('never hear each other', async () => {
    await using bench = await startAbly();
    const { port } = bench.emulator;
    const other = createAblyAdapter({
      key: 'local0.emulat:emulator-secret',
      host: '127.0.0.1',
      port,
      tls: false,
      namespace: 'other',
    });
    const { heard } = await bench.vanilla(['test:Order/42']);
    await other.publish([outgoing(['Order/42'], 'theirs')]);
    await bench.publish(outgoing(['Order/42'], 'ours'));
    await until(() => heard.length > 0);
    expect(heard.map(({ name }) => name)).toEqual(['ours']);
    await other.close();
  });
});

describe('the form of a standard client', () => {
  test('reads what is asked for', async () => {
    await using bench = await startAbly();
    const read = (query: string) => bench.adapter.forms?.read(new URLSearchParams(query));
    expect(read('objects=Order%2F42%2COrder&rnd=1&clientId=x')).toEqual(['Order/42', 'Order']);
    expect(read('objects=Order%2F42&objects=Order%2F42&objects=Invoice%2Fa%252Fb')).toEqual([
      'Order/42',
      'Invoice/a%2Fb',
    ]);
    expect(read('objects=Order%2F*,%40all,%40user%2FAbc_-9')).toEqual(['Order/*', '@all', '@user/Abc_-9']);
    const many = Array.from({ length: 201 }, (_, id) => `Order/${id}`).join();
    for (const wrong of [
      '',
      'objects=',
      'objects=*',
      'objects=%40x',
      'objects=Order%2F1%2F*',
      'objects=a b',
      `objects=${many}`,
    ])
      expect(() => read(wrong), wrong).toThrow(/^objects: /);
  });

  test('answers a token request that the client uses as it is', async () => {
    await using bench = await startAbly();
    const granted = { connection: '', user: 'ann', channels: ['Order/42'], expires: Date.now() + 60_000 };
    const answer = await bench.adapter.forms?.answer(new URLSearchParams(), granted);
    const client = new Realtime({
      endpoint: '127.0.0.1',
      port: bench.emulator.port,
      tls: false,
      logLevel: 0,
      authCallback: (_params, callback) => callback(null, answer as TokenRequest),
    });
    expect(await attaching(client.channels.get('test:Order/42'))).toBe('attached');
    client.close();
  });
});
