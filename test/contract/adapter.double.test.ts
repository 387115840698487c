/** The test double keeps the contract of an adapter, through the event stream and through the memory adapter's objects. */
import { describe, test } from 'vitest';
import type { ObjectRef } from '../../adapters/contract.js';
import { type AdapterHouse, adapterContract, createTestServer } from '../../adapters/testing/index.js';
import { createListenClient } from '../../widget/client/index.js';

describe.each(['sse', 'memory'] as const)('the test double through %s', (adapter) => {
  const house = (mayListen: (user: string, object: ObjectRef) => boolean): AdapterHouse => {
    const server = createTestServer({ adapter, mayListen });
    return {
      notify: server.notify,
      revoke: (user, object) => server.revoke(object, user),
      position: server.position,
      createClient: (page, hooks) => createListenClient({ ...server.options(page), ...hooks }),
      disconnect: server.disconnect,
      connect: server.connect,
      gap: () => server.gap(),
      restart: server.restart,
      requests: () => ({
        auth: server.requests.filter(({ route }) => route === 'auth').length,
        links: server.requests.filter(({ route }) => route === 'stream').length,
      }),
      close: server.close,
    };
  };
  // Each case has a double of its own, so they run together. Only what is broken waits so long.
  for (const { name, run } of adapterContract(house, { patience: 20_000 })) test.concurrent(name, run);
});
