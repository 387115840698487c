/** The adapter that docs/writing-an-adapter.md shows keeps the whole contract, with its broker over the network. */

// #region suite
import { adapterContract, serverHouse } from 'notify-listen/testing';
import { test } from 'vitest';
import { startBroker } from '../docs/example-adapter/broker.js';
import { example } from '../docs/example-adapter/client.js';
import { exampleServer } from '../docs/example-adapter/server.js';

const house = serverHouse(async () => {
  const key = 'the key of the account';
  const broker = await startBroker(key);
  return {
    adapter: ({ namespace }) => exampleServer({ url: broker.url, key, namespace }),
    client: () => example(),
    faults: {
      down: () => broker.become('down'),
      refuse: () => broker.become('refusing'),
      up: () => broker.become('up'),
      lose: () => broker.admitLoss(),
    },
    close: () => broker.close(),
  };
});

// Each case has a broker and a server of its own, so they may run together. The limit is longer than the suite's own
// patience, whose sentence says what did not come.
for (const { name, run } of adapterContract(house, { hosted: 'example', nodes: true }))
  test.concurrent(name, run, 30_000);
// #endregion
