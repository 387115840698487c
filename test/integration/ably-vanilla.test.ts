/** Ably's own client against the routes, as an application has it that does not use ours: `authUrl`, by GET and by POST. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Realtime } from 'ably';
import express, { type Request } from 'express';
import { createNotifier } from 'notify-listen/server';
import { routes } from 'notify-listen/server/express';
import { describe, expect, test } from 'vitest';
import { startAblyEmulator } from '../../adapters/emulators/index.js';
import { attaching } from '../kit/ably.js';

async function startApplication(parser?: express.RequestHandler) {
  const emulator = await startAblyEmulator();
  const notifier = createNotifier({
    user: (request: Request) => request.get('x-user'),
    canListen: { Order: { one: (_user, id) => id !== 'hidden', all: () => true } },
    env: { ...emulator.env, NOTIFY_LISTEN_SECRET: 'the secret of this test', NOTIFY_LISTEN_NAMESPACE: 'prod' },
    logger: () => {},
  });
  const app = express();
  if (parser) app.use(parser);
  app.use('/notify-listen', routes(notifier));
  const server = await new Promise<Server>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  const clients: Realtime[] = [];
  return {
    notifier,
    /** As an application writes it, but for the address of the local server. */
    client(authMethod: 'GET' | 'POST', objects: string, user = 'ann') {
      const made = new Realtime({
        authUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify-listen/auth`,
        authMethod,
        authParams: { objects },
        authHeaders: { 'x-user': user },
        endpoint: '127.0.0.1',
        port: emulator.port,
        tls: false,
        logLevel: 0,
      });
      clients.push(made);
      return made;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await notifier.close({ within: 0 });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await emulator.close();
    },
  };
}

const PARSERS: readonly [string, express.RequestHandler | undefined][] = [
  ['no body parser', undefined],
  ['express.urlencoded', express.urlencoded({ extended: true })],
];

describe.each(PARSERS)("Ably's client and Express with %s", (_name, parser) => {
  test.each(['GET', 'POST'] as const)('hears what it may, by %s', async (method) => {
    await using application = await startApplication(parser);
    const client = application.client(method, 'Order/42,Order,Order/a%2Fb');
    const heard: [string | undefined, string | undefined, Record<string, unknown>][] = [];
    let three = (): void => {};
    const all = new Promise<void>((resolve) => {
      three = resolve;
    });
    for (const name of ['prod:Order/42', 'prod:Order', 'prod:Order/a%2Fb'])
      await client.channels.get(name).subscribe((message) => {
        heard.push([name, message.name, JSON.parse(message.data as string) as Record<string, unknown>]);
        if (heard.length === 4) three();
      });
    await application.notifier.notify('shipped', { entity: 'Order', id: 42 }, { notifier: 'Ann' });
    await application.notifier.notify('updated', { entity: 'Order', id: 'a/b' });
    await all;
    expect(heard).toContainEqual([
      'prod:Order/42',
      'shipped',
      expect.objectContaining({ entity: 'Order', id: '42', action: 'shipped', notifier: 'Ann' }),
    ]);
    expect(heard).toContainEqual(['prod:Order/a%2Fb', 'updated', expect.objectContaining({ id: 'a/b' })]);
    const ofList = heard.filter(([name]) => name === 'prod:Order').map(([, action, data]) => [action, data.id]);
    expect(ofList.sort()).toEqual([
      ['shipped', undefined],
      ['updated', undefined],
    ]);
    // Only what it named.
    expect(await attaching(client.channels.get('prod:Order/43'))).toBe(40_160);
  });

  test.each(['GET', 'POST'] as const)(
    'is refused as a whole where it names what it may not see, by %s',
    async (method) => {
      await using application = await startApplication(parser);
      const client = application.client(method, 'Order/42,Order/hidden');
      // 403 is final for Ably's client.
      const reason = await new Promise((resolve) =>
        client.connection.once('failed', (change) => resolve(change.reason)),
      );
      expect(reason).toMatchObject({ statusCode: 403 });
    },
  );
});

test('nobody, or nothing asked for: the client waits and asks again', async () => {
  await using application = await startApplication();
  for (const client of [application.client('GET', 'Order', ''), application.client('GET', '')]) {
    const reason = await new Promise((resolve) =>
      client.connection.once('disconnected', (change) => resolve(change.reason)),
    );
    expect(reason).toMatchObject({ code: 80_019 });
  }
});
