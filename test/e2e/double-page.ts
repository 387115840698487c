/** What the browser loads in double.test.ts: the test double, the shipped client, and the contract suite over the two. */
import type { ObjectRef } from '../../adapters/contract.js';
import { type AdapterHouse, adapterContract, createTestServer } from '../../adapters/testing/index.js';
import { createListenClient } from '../../widget/client/index.js';

function house(mayListen: (user: string, object: ObjectRef) => boolean): AdapterHouse {
  const server = createTestServer({ mayListen });
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
}

/** Runs every case, one after the other; answers how each ended, `passed` or what was wrong. */
export async function runContract(): Promise<Record<string, string>> {
  const ends: Record<string, string> = {};
  for (const { name, run } of adapterContract(house, { rounds: 10 })) {
    ends[name] = await run().then(() => 'passed', String);
  }
  return ends;
}
