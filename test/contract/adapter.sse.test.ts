/** The built-in SSE adapter keeps the contract of an adapter: a notifier behind Node's own HTTP server, over the network. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'vitest';
import type { ObjectRef } from '../../adapters/contract.js';
import { type AdapterHouse, adapterContract, CONTRACT_ENTITIES } from '../../adapters/testing/index.js';
import { createNotifier } from '../../server/index.js';
import { createMemoryLog } from '../../server/log/memory.js';
import type { Notifier } from '../../server/types.js';
import { nodeListener } from '../../server/use/node.js';
import { createListenClient } from '../../widget/client/index.js';

async function sseHouse(mayListen: (user: string, object: ObjectRef) => boolean): Promise<AdapterHouse> {
  const entities = CONTRACT_ENTITIES.map((entity) => [
    entity,
    {
      one: (user: string, id: string) => mayListen(user, { entity, id }),
      all: (user: string) => mayListen(user, { entity }),
    },
  ]);
  let log = createMemoryLog();
  const start = (): Notifier =>
    createNotifier({
      user: (request: IncomingMessage) => request.headers['x-user'] as string | undefined,
      session: (request: IncomingMessage) => request.headers['x-session'] as string | undefined,
      canListen: Object.fromEntries(entities),
      log,
      env: { NOTIFY_LISTEN_SECRET: 'a secret of this test, which is long enough' },
      logger: () => {},
      onError: (error) => {
        throw error;
      },
    });
  let notifier = start();
  let listener = nodeListener(notifier);
  let online = true;
  const count = { auth: 0, links: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.endsWith('/auth')) count.auth += 1;
    if (request.url?.endsWith('/stream')) count.links += 1;
    void listener(request, response);
  });
  server.on('connection', (socket) => {
    if (!online) socket.destroy();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };

  return {
    notify: (action, object, options) => notifier.notify(action, object, options),
    revoke: (user, object) => notifier.revoke(user, object),
    position: () => notifier.position(),
    createClient: ({ user, session }, hooks) =>
      createListenClient({
        url: `http://127.0.0.1:${port}/notify-listen`,
        headers: { 'x-user': user, ...(session !== undefined && { 'x-session': session }) },
        ...hooks,
      }),
    disconnect() {
      online = false;
      cut();
    },
    connect() {
      online = true;
    },
    gap: () => log.append([{ kind: 'resync' }]),
    async restart() {
      const former = notifier;
      log = createMemoryLog();
      notifier = start();
      listener = nodeListener(notifier);
      await notifier.position();
      cut();
      await former.close();
    },
    requests: () => ({ ...count }),
    async close() {
      await notifier.close({ within: 0 });
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Longer than the suite's own patience, whose sentence says what did not come.
for (const { name, run } of adapterContract(sseHouse)) test(name, run, 15_000);
