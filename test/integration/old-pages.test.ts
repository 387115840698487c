/** Old pages meet new servers: every frozen client against the server of today. See test/frozen/README.md. */
import { readdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createMemoryLog } from 'notify-listen/log/memory';
import { createFaultyLog } from 'notify-listen/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { serve, type TestServer } from '../kit/server.js';

/** As much of the client's face as these tests use; that of today may have moved on. */
interface FrozenClient {
  listen(
    object: { entity: string; id?: string | number },
    actions: Record<string, (refresh: { reason: string }) => void>,
    options?: { position?: string },
  ): { readonly ready: Promise<void>; close(): void };
  status(): { state: string; error?: { code: string } };
  close(): void;
}
interface FrozenModule {
  createListenClient(options: object): FrozenClient;
}

const folder = fileURLToPath(new URL('../frozen/', import.meta.url));
const clients = readdirSync(folder).filter((name) => /^client-v\d+\.mjs$/.test(name));

test('there is a frozen client', () => {
  expect(clients).toContain('client-v1.mjs');
});

describe.each(clients)('%s', (name) => {
  async function page(server: TestServer, user = 'ann'): Promise<FrozenClient> {
    const { createListenClient } = (await import(/* @vite-ignore */ pathToFileURL(folder + name).href)) as FrozenModule;
    const client = createListenClient({ url: server.url, headers: { 'x-user': user }, onError: () => {} });
    onTestFinished(() => client.close());
    return client;
  }

  /** One listener that notes why it ran. Its data was read at the position of now, so that nothing is to be made up for. */
  async function listening(
    server: TestServer,
    client: FrozenClient,
    object: { entity: string; id?: string | number },
  ): Promise<{ reasons: string[]; ran(times: number): Promise<void> }> {
    const reasons: string[] = [];
    const position = await server.notifier.position();
    await client.listen(object, { '*': ({ reason }) => reasons.push(reason) }, { position }).ready;
    return {
      reasons,
      ran: (times) => vi.waitFor(() => expect(reasons).toHaveLength(times), { interval: 10 }),
    };
  }

  test('is refreshed by notifications on its object, its list and its entity', async () => {
    const server = await serve('Express 5');
    const client = await page(server);
    const [object, list] = [
      await listening(server, client, { entity: 'Order', id: 42 }),
      await listening(server, client, { entity: 'Order' }),
    ];
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await Promise.all([object.ran(1), list.ran(1)]);
    await server.notifier.notify('imported', { entity: 'Order' });
    await Promise.all([object.ran(2), list.ran(2)]);
    await server.notifier.notify('shipped', { entity: 'Order', id: 43 });
    await list.ran(3);
    expect(object.reasons).toHaveLength(2);
  });

  test('is told of a refusal, and goes on with what it may', async () => {
    const server = await serve('Express 5');
    const client = await page(server);
    await expect(listening(server, client, { entity: 'Order', id: 'hidden' })).rejects.toMatchObject({
      code: 'refused',
    });
    const { ran } = await listening(server, client, { entity: 'Order', id: 1 });
    await server.notifier.notify('shipped', { entity: 'Order', id: 1 });
    await ran(1);
  });

  test('comes back after a cut and misses nothing', async () => {
    const server = await serve('Express 5');
    const client = await page(server);
    const { ran } = await listening(server, client, { entity: 'Order', id: 42 });
    (server.server as Server).closeAllConnections();
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await ran(1);
  });

  test('refreshes once when the log was lost', async () => {
    const { log, faults } = createFaultyLog(() => createMemoryLog());
    const server = await serve('Express 5', { log });
    const client = await page(server);
    const { ran, reasons } = await listening(server, client, { entity: 'Order', id: 42 });
    await faults.loseEverything();
    await ran(1);
    expect(reasons).toEqual(['resync']);
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await ran(2);
  });

  test('asks again when its right is withdrawn, and hears nothing once it is refused', async () => {
    const allowed = new Set(['42', 'marker']);
    const server = await serve('Express 5', { canListen: { Order: { one: (_user, id) => allowed.has(id) } } });
    const client = await page(server);
    const order = await listening(server, client, { entity: 'Order', id: 42 });
    const marker = await listening(server, client, { entity: 'Order', id: 'marker' });
    allowed.delete('42');
    await server.notifier.revoke('ann', { entity: 'Order', id: 42 });
    await server.notifier.notify('shipped', { entity: 'Order', id: 42 });
    await server.notifier.notify('shipped', { entity: 'Order', id: 'marker' });
    await marker.ran(1);
    expect(order.reasons).toEqual([]);
    allowed.add('42');
    await server.notifier.revoke('ann');
    await server.notifier.notify('shipped', { entity: 'Order', id: 'marker' });
    await marker.ran(2);
  });
});
