/** A hosted provider over real HTTP: the exchange, forms on every server, and a cluster of two nodes on one log. */
import express from 'express';
import { createMemoryLog } from 'notify-listen/log/memory';
import { createNotifier } from 'notify-listen/server';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { AuthAnswer, ConfigAnswer, ProviderAuthAnswer } from '../../adapters/protocol.js';
import { CHECK_ACTION, EVERYBODY } from '../../adapters/provider.js';
import { type ScriptedProvider, scriptedProvider } from '../kit/provider.js';
import { SERVERS, type ServeOptions, type ServerKind, serve } from '../kit/server.js';

afterEach(() => {
  vi.useRealTimers();
});

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

function withForms(): ScriptedProvider {
  return scriptedProvider({
    forms: {
      read: (fields) => fields.getAll('channel'),
      answer: async (fields, { channels }) => ({ socket: fields.get('socket'), channels }),
    },
  });
}

describe.each(SERVERS)('row 65: a provider’s standard client, on %s', (kind: ServerKind) => {
  const parsers: [string, ServeOptions['before']][] = kind.startsWith('Express')
    ? [
        ['no parser', []],
        ['express.urlencoded()', [express.urlencoded({ extended: true })]],
        ['express.urlencoded() of the plain kind', [express.urlencoded({ extended: false })]],
        ['express.text()', [express.text({ type: '*/*' })]],
        ['express.raw()', [express.raw({ type: '*/*' })]],
        ['a parser of JSON', [express.json()]],
      ]
    : [['no parser', []]];

  test.each(parsers)('%s', async (_, before = []) => {
    const server = await serve(kind, { adapter: withForms().adapter, before });
    const ask = (body: string, headers = {}) =>
      server.ask('/auth', { user: 'ann', body, headers: { ...FORM, ...headers } });
    const right = { socket: '1.2', channels: ['Order/1', 'Order/a%2Fb'] };
    const fields = 'socket=1.2&channel=Order%2F1&channel=Order%2Fa%252Fb';
    const answer = await ask(fields);
    expect([answer.status, answer.json()]).toEqual([200, right]);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect((await ask('socket=1.2&channel=Order%2Fhidden')).status).toBe(403);
    expect((await server.ask('/auth', { body: fields, headers: FORM })).status).toBe(401);
    // In a query, as one of the clients asks by default.
    expect((await server.ask(`/auth?${fields}`, { user: 'ann' })).json()).toEqual(right);
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      expect((await ask(fields, headers)).status).toBe(403);
      expect((await server.ask(`/auth?${fields}`, { user: 'ann', headers })).status).toBe(403);
    }
    expect(server.errors).toEqual([]);
  });

  test('a body that is too long', async () => {
    const server = await serve(kind, { adapter: withForms().adapter, limits: { bodyBytes: 1_000 } });
    const { status } = await server.ask('/auth', { user: 'ann', body: `channel=${'x'.repeat(2_000)}`, headers: FORM });
    expect(status).toBe(413);
  });
});

describe('a page at a hosted provider', () => {
  test('config, grants, exchange, a hint, a right that ends', async () => {
    const provider = scriptedProvider();
    const server = await serve('Express 5', { adapter: provider.adapter });
    const config = (await server.ask('/config', { user: 'ann' })).json<ConfigAnswer>();
    expect(config).toMatchObject({ provider: 'scripted', settings: { key: 'public' } });
    const { grant } = await server.authorise({ user: 'ann' }, 'Order/1', 'Order');
    const exchange = async () =>
      (
        await server.ask('/auth', {
          user: 'ann',
          body: { protocol: 1, connection: 'c1', grants: [grant], channels: ['Order/1', 'Order'] },
        })
      ).json<ProviderAuthAnswer>();
    const authorised = await exchange();
    expect(authorised).toMatchObject({ epoch: config.epoch, reauthorise: [] });
    const { channels } = authorised.details as { channels: string[] };
    expect(channels).toEqual(['Order/1', 'Order', 'Order/*', `@user/${config.user}`, EVERYBODY]);

    const { positions } = await server.notifier.notify('shipped', { entity: 'Order', id: 1 });
    const item = await provider.until(({ action }) => action === 'shipped');
    expect([item.channels, item.position]).toEqual([['Order/1'], positions?.[0]]);

    await server.notifier.revoke('ann', { entity: 'Order', id: 1 });
    const check = await provider.until(({ channels: [channel] }) => channel === `@user/${config.user}`);
    expect(check.action).toBe(CHECK_ACTION);
    expect(provider.revoked).toEqual([[[config.user], ['Order/1']]]);
    expect((await exchange()).reauthorise).toEqual(['Order/1']);
    // Of another user, the same grant is worth nothing.
    const eve = await server.ask('/auth', {
      user: 'eve',
      body: { protocol: 1, connection: 'c2', grants: [grant], channels: ['Order'] },
    });
    expect(eve.json<ProviderAuthAnswer>().reauthorise).toEqual(['Order']);
    expect(
      (
        await server.ask('/auth', { user: 'ann', body: { protocol: 1, objects: [{ entity: 'Order' }] } })
      ).json<AuthAnswer>().results,
    ).toEqual(['granted']);
    expect(server.errors).toEqual([]);
  });

  test('the stream serves pages that cannot reach the provider, and says which one it is', async () => {
    const provider = scriptedProvider();
    const server = await serve('node:http', { adapter: provider.adapter });
    const stream = await server.listen({ user: 'ann' }, ['Order/1']);
    expect((await stream.next('hello')).data).toMatchObject({ provider: 'scripted' });
    await stream.next('ready');
    provider.broken = new Error('down');
    await server.notifier.notify('updated', { entity: 'Order', id: 1 });
    expect((await stream.next('notification')).data).toMatchObject({ action: 'updated', id: '1' });
  });
});

describe('a cluster on one log', () => {
  test('either node notifies, one carries; when it closes the other takes over and nothing is lost', async () => {
    vi.useFakeTimers();
    const provider = scriptedProvider();
    const log = createMemoryLog();
    const make = () =>
      createNotifier({
        user: () => 'ann',
        canListen: {},
        log,
        adapter: provider.adapter,
        env: { NOTIFY_LISTEN_SECRET: 'the secret of both nodes' },
        logger: () => {},
      });
    const [first, second] = [make(), make()];
    onTestFinished(async () => {
      await log.close();
    });
    const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
    await pass(100);
    expect([first, second].filter((node) => node.metrics().relay?.holds)).toHaveLength(1);
    const [holder, other] = first.metrics().relay?.holds ? [first, second] : [second, first];

    await holder.notify('a', { entity: 'Order', id: 1 });
    await other.notify('b', { entity: 'Order', id: 1 });
    await pass(100);
    provider.broken = new Error('down');
    await other.notify('c', { entity: 'Order', id: 1 });
    await pass(1_000);
    expect(holder.metrics().relay).toMatchObject({ waiting: 2 });
    const closed = holder.close({ within: 0 });
    await pass(5_000);
    await closed;
    await other.notify('d', { entity: 'Order', id: 1 });
    provider.broken = undefined;
    await pass(60_000);
    expect(other.metrics().relay).toMatchObject({ holds: true, waiting: 0, stuck: 0 });
    const heard = provider.accepted.filter(({ channels }) => channels.includes('Order/1')).map(({ action }) => action);
    expect(heard).toEqual(['a', 'b', 'c', 'd']);
    const over = other.close({ within: 0 });
    await pass(5_000);
    await over;
  });
});
